//! The annotations by which a Deployment and its ReplicaSets tell of revisions and sizes.

use serde_json::Value;

use super::super::object;
use super::numbers;

pub const REVISION: &str = "deployment.kubernetes.io/revision";
pub const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// Of the Deployment alone.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];
const HISTORY_LENGTH_MAX: usize = 2000;

/// Brings a ReplicaSet's annotations up to date; a revision only rises. Returns whether anything changed.
pub fn set(deployment: &Value, set: &mut Value, revision: i64, exists: bool) -> bool {
    let mut changed = copy(deployment, set);
    let before = set["metadata"]["annotations"][REVISION].as_str().map(ToOwned::to_owned);
    let number = before.as_deref().and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    if number < revision {
        insert(set, REVISION, revision.to_string());
        changed = true;
        if let Some(before) = before {
            let history = history(set["metadata"]["annotations"][REVISION_HISTORY].as_str(), &before);
            insert(set, REVISION_HISTORY, history);
        }
    }
    if !exists {
        changed |= set_sizes(deployment, set);
    }
    changed
}

/// The list of earlier revisions, bounded by leaving out the oldest.
fn history(before: Option<&str>, revision: &str) -> String {
    let mut revisions: Vec<&str> = before.into_iter().flat_map(|list| list.split(',')).collect();
    revisions.retain(|revision| !revision.is_empty());
    revisions.push(revision);
    while revisions.len() > 1 && revisions.iter().map(|revision| revision.len() + 1).sum::<usize>() > HISTORY_LENGTH_MAX
    {
        revisions.remove(0);
    }
    revisions.join(",")
}

/// Writes the sizes that later scaling is in proportion to.
pub fn set_sizes(deployment: &Value, set: &mut Value) -> bool {
    let needed = !sizes_are_current(deployment, set);
    if needed {
        let (desired, max) = sizes(deployment);
        insert(set, DESIRED, desired);
        insert(set, MAX, max);
    }
    needed
}

pub fn sizes_are_current(deployment: &Value, set: &Value) -> bool {
    let (desired, max) = sizes(deployment);
    let annotations = &set["metadata"]["annotations"];
    annotations[DESIRED] == *desired && annotations[MAX] == *max
}

fn sizes(deployment: &Value) -> (String, String) {
    let desired = numbers::replicas(deployment);
    (desired.to_string(), (desired + numbers::max_surge(deployment)).to_string())
}

/// Writes a ReplicaSet's revision to the Deployment. Returns whether that changed it.
pub fn set_revision(deployment: &mut Value, revision: &str) -> bool {
    if deployment["metadata"]["annotations"][REVISION] == *revision {
        return false;
    }
    insert(deployment, REVISION, revision.to_owned());
    true
}

fn copy(deployment: &Value, set: &mut Value) -> bool {
    let mut changed = false;
    let annotations = deployment.pointer("/metadata/annotations").and_then(Value::as_object);
    for (key, value) in annotations.into_iter().flatten().filter(|(key, _)| !NOT_COPIED.contains(&key.as_str())) {
        if set["metadata"]["annotations"].get(key) != Some(value) {
            object::map_mut(set, &["metadata", "annotations"]).insert(key.clone(), value.clone());
            changed = true;
        }
    }
    changed
}

fn insert(object: &mut Value, key: &str, value: String) {
    object::map_mut(object, &["metadata", "annotations"]).insert(key.into(), value.into());
}
