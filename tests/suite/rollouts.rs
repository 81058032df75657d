//! Thirteen scenes of a Deployment's life, as a real Kubernetes 1.34 played them (`tests/golden/rollouts.jsonl`),
//! played on the embedded cluster in this process: registry, controllers and node.
//!
//! What is compared is each object's own story (see [`story`]): the sequence of its distinct states; the sequence of
//! replica counts (see [`counts`]); and, across objects, what causes what (see [`causes`]). Not compared is when.
//! Differences that stay are in [`EXCUSED`], each with its reason.

#[path = "rollouts/causes.rs"]
mod causes;
#[path = "rollouts/counts.rs"]
mod counts;
#[path = "rollouts/play.rs"]
mod play;
#[path = "rollouts/story.rs"]
mod story;

use std::collections::BTreeMap;

use serde_json::Value;

/// Lines that one side may lack: the story's title begins so, the line contains this, and why.
const EXCUSED: &[(&str, &str, &str)] = &[
    ("Deployment", "ReplicaSetUpdated", "pods may be ready before the Deployment is looked at again"),
    ("Pods", "waiting ContainerCreating", "the kubelet tells every second, in between only the first state counts"),
    ("Pods", "running  ready false", "as above: a probe may have succeeded, or the container ended, by then"),
    ("Events of pods", "Unhealthy Readiness probe failed", "a last probe may meet a container that has just ended"),
    ("Pods of ReplicaSet #5", "terminated Error 1 ready false again", "as above, between two restarts"),
    ("Pods of ReplicaSet #4", "terminated ContainerStatusUnknown", "the reason in Ready is that of a failed pod"),
];

#[test]
fn thirteen_scenes_go_as_on_kubernetes() {
    let recorded: Vec<Value> = include_str!("../golden/rollouts.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("the recording is JSON lines"))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let played = runtime.block_on(play::play());
    let expected = story::stories(&recorded);
    let actual = story::stories(&played);
    let mut differences = String::new();
    for title in expected.keys().chain(actual.keys().filter(|title| !expected.contains_key(*title))) {
        let (expected, actual) = (lines(&expected, title), lines(&actual, title));
        let diff = similar::TextDiff::from_lines(&expected, &actual);
        let changed = diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal);
        let excused =
            |line: &str| EXCUSED.iter().any(|(story, part, _)| title.starts_with(story) && line.contains(part));
        if changed.map(|change| change.value()).any(|line| !excused(line)) {
            let diff = diff.unified_diff().context_radius(30).to_string();
            differences.push_str(&format!("\n{title} (- Kubernetes, + embedded)\n{diff}"));
        }
    }
    for (story, part, _) in EXCUSED {
        for (whose, stories) in [("recorded", &expected), ("played", &actual)] {
            let mut lines = stories.iter().filter(|(title, _)| title.starts_with(story)).flat_map(|(_, lines)| lines);
            if !lines.any(|line| line.contains(part)) {
                differences.push_str(&format!("\n{story}: {part:?} is excused, and never {whose}"));
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
    same_counts(&recorded, &played);
    same_causes(&recorded, &played);
}

fn same_counts(recorded: &[Value], played: &[Value]) {
    let (recorded, played) = (counts::counts(recorded), counts::counts(played));
    let mut differences = String::new();
    for title in recorded.keys().chain(played.keys().filter(|title| !recorded.contains_key(*title))) {
        let side = |counts: &BTreeMap<String, Vec<Vec<i64>>>| counts.get(title).cloned().unwrap_or_default();
        let (recorded, played) = (side(&recorded), side(&played));
        let found = counts::differences(&recorded, &played);
        if !found.is_empty() {
            differences.push_str(&format!("{title}: {found:?}\n  recorded {recorded:?}\n  played   {played:?}\n"));
        }
    }
    let tuples = |side: &BTreeMap<String, Vec<Vec<i64>>>| side.values().map(Vec::len).sum::<usize>();
    println!("{} tuples of replica counts are recorded, {} played", tuples(&recorded), tuples(&played));
    assert!(differences.is_empty(), "replica counts differ:\n{differences}");
}

fn same_causes(recorded: &[Value], played: &[Value]) {
    let (tested_there, broken) = causes::check(recorded);
    assert!(broken.is_empty(), "the rules do not hold for the recording:\n{}", broken.join("\n"));
    let (tested_here, broken) = causes::check(played);
    println!("causes: {tested_here:#?}");
    assert_eq!(tested_there.keys().collect::<Vec<_>>(), tested_here.keys().collect::<Vec<_>>(), "each rule is tested");
    assert!(broken.is_empty(), "what caused it did not come before:\n{}", broken.join("\n"));
}

fn lines(stories: &BTreeMap<String, Vec<String>>, title: &str) -> String {
    stories.get(title).into_iter().flatten().fold(String::new(), |text, line| text + line + "\n")
}
