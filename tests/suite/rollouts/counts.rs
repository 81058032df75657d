//! The sequence of replica counts: of the Deployment (replicas, updated, ready, available, unavailable) and of each
//! ReplicaSet (replicas, fully labelled, ready, available), scene by scene.
//!
//! A controller writes counts when it comes by. Where two pods become ready between two of its writes, one count is
//! never written; so a tuple that one side lacks is let pass if all its counts lie between those before and after it
//! that both have. A peak or a dip, such as the third ready pod of a rolling update, is never between.

use std::collections::BTreeMap;

use serde_json::Value;
use similar::{Algorithm, DiffOp};

use super::story::Names;

type Tuple = Vec<i64>;

/// Counts by scene and object.
pub fn counts(events: &[Value]) -> BTreeMap<String, Vec<Tuple>> {
    let names = Names::of(events);
    let mut counts: BTreeMap<String, Vec<Tuple>> = BTreeMap::new();
    let mut last: BTreeMap<String, Tuple> = BTreeMap::new();
    let (mut scene, mut number) = ("", 0);
    for event in events {
        if let Some(next) = event["scene"].as_str() {
            (scene, number) = (next, number + 1);
            continue;
        }
        let (object, keys): (_, &[&str]) = match event["kind"].as_str() {
            _ if event["event"] == "DELETED" => continue,
            Some("Deployment") => (
                "the Deployment".to_owned(),
                &["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"],
            ),
            Some("ReplicaSet") => (
                format!("ReplicaSet {}", names.short(event["name"].as_str().unwrap_or_default())),
                &["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
            ),
            _ => continue,
        };
        let tuple: Tuple = keys.iter().map(|key| event["status"][key].as_i64().unwrap_or(0)).collect();
        if last.insert(object.clone(), tuple.clone()).as_ref() != Some(&tuple) {
            counts.entry(format!("{number:02} {scene}: {object}")).or_default().push(tuple);
        }
    }
    counts
}

/// What one side has and the other could not have missed.
pub fn differences(recorded: &[Tuple], played: &[Tuple]) -> Vec<String> {
    let mut found = Vec::new();
    for operation in similar::capture_diff_slices(Algorithm::Myers, recorded, played) {
        if matches!(operation, DiffOp::Equal { .. }) {
            continue;
        }
        for (side, sign, range) in [(recorded, '-', operation.old_range()), (played, '+', operation.new_range())] {
            let around = range.start.checked_sub(1).and_then(|before| side.get(before)).zip(side.get(range.end));
            for tuple in &side[range] {
                if !around.is_some_and(|(before, after)| is_between(tuple, before, after)) {
                    found.push(format!("{sign} {tuple:?}"));
                }
            }
        }
    }
    found
}

fn is_between(tuple: &Tuple, before: &Tuple, after: &Tuple) -> bool {
    let ends = before.iter().zip(after);
    tuple.iter().zip(ends).all(|(count, (before, after))| (before.min(after)..=before.max(after)).contains(&count))
}

#[test]
fn counts_in_between_may_be_missed_and_peaks_may_not() {
    let recorded = vec![vec![2, 0], vec![2, 1], vec![2, 2], vec![3, 3], vec![2, 2]];
    let without = |at: usize| [&recorded[..at], &recorded[at + 1..]].concat();
    assert!(differences(&recorded, &without(1)).is_empty());
    assert!(differences(&without(1), &recorded).is_empty());
    assert_eq!(differences(&recorded, &without(3)), ["- [3, 3]"]);
    assert_eq!(differences(&recorded, &without(0)), ["- [2, 0]"]);
    assert_eq!(differences(&recorded, &without(4)), ["- [2, 2]"]);
}
