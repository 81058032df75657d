//! Thirteen scenes of a Deployment's life, as a real Kubernetes 1.34 played them (`tests/golden/rollouts.jsonl`),
//! played on the embedded cluster in this process: registry, controllers and node.
//!
//! What is compared is each object's own story (see [`story`]): the sequence of its distinct states, not how the
//! stories of different objects interleave, nor when. Differences that stay are in [`EXCUSED`], each with its reason.

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
    assert!(differences.is_empty(), "{differences}");
}

fn lines(stories: &BTreeMap<String, Vec<String>>, title: &str) -> String {
    stories.get(title).into_iter().flatten().fold(String::new(), |text, line| text + line + "\n")
}
