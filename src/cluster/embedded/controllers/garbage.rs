//! The garbage collector: dependents go after their owners (background), before them (foreground), or are set free
//! (orphan).

use serde_json::{Value, json};

use super::super::registry::Propagation;
use super::super::schema::Kind;
use super::change::Change;
use super::object::{self, list};

pub const FOREGROUND: &str = "foregroundDeletion";
pub const ORPHAN: &str = "orphan";

/// What became of an owner that a dependent names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It is there.
    Solid,
    /// It is being deleted and waits for its dependents.
    Waiting,
    /// There is no such object.
    Absent,
}

pub fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    list(object, "/metadata/finalizers").any(|candidate| candidate == finalizer)
}

/// Decides about an object with owners; `state` tells what became of each, by its reference.
pub fn plan_dependent(
    kind: &'static Kind,
    dependent: &Value,
    has_dependents: bool,
    state: impl Fn(&Value) -> Owner,
) -> Vec<Change> {
    let owners: Vec<(&Value, Owner)> =
        list(dependent, "/metadata/ownerReferences").map(|owner| (owner, state(owner))).collect();
    if owners.is_empty() || object::is_deleting(dependent) {
        return Vec::new();
    }
    let solid: Vec<Value> =
        owners.iter().filter(|(_, state)| *state == Owner::Solid).map(|(owner, _)| (*owner).clone()).collect();
    if !solid.is_empty() {
        let all_solid = solid.len() == owners.len();
        return if all_solid { Vec::new() } else { vec![Change::set_owners(kind, dependent, solid)] };
    }
    let waiting = owners.iter().any(|(_, state)| *state == Owner::Waiting);
    let propagation = if has_finalizer(dependent, ORPHAN) {
        Propagation::Orphan
    } else if waiting && has_dependents || has_finalizer(dependent, FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    vec![Change::Delete {
        kind,
        namespace: object::namespace(dependent).into(),
        name: object::name(dependent).into(),
        uid: object::uid(dependent).into(),
        propagation: Some(propagation),
    }]
}

/// Decides about an owner that is being deleted and waits for its dependents, or is to set them free.
pub fn plan_owner(kind: &'static Kind, owner: &Value, dependents: &[(&'static Kind, Value)]) -> Vec<Change> {
    if !object::is_deleting(owner) {
        return Vec::new();
    }
    let uid = object::uid(owner);
    if has_finalizer(owner, ORPHAN) {
        let mut changes: Vec<Change> = dependents
            .iter()
            .map(|(kind, dependent)| {
                let others = list(dependent, "/metadata/ownerReferences").filter(|reference| reference["uid"] != uid);
                Change::set_owners(kind, dependent, others.cloned().collect())
            })
            .collect();
        changes.push(without_finalizer(kind, owner, ORPHAN));
        return changes;
    }
    let blocks = |dependent: &Value| {
        list(dependent, "/metadata/ownerReferences")
            .any(|reference| reference["uid"] == uid && reference["blockOwnerDeletion"] == true)
    };
    if has_finalizer(owner, FOREGROUND) && !dependents.iter().any(|(_, dependent)| blocks(dependent)) {
        return vec![without_finalizer(kind, owner, FOREGROUND)];
    }
    Vec::new()
}

fn without_finalizer(kind: &'static Kind, owner: &Value, finalizer: &str) -> Change {
    let left: Vec<&Value> = list(owner, "/metadata/finalizers").filter(|candidate| **candidate != finalizer).collect();
    let left = if left.is_empty() { Value::Null } else { json!(left) };
    let patch = json!({"metadata": {"uid": object::uid(owner), "finalizers": left}});
    Change::Merge { kind, namespace: object::namespace(owner).into(), name: object::name(owner).into(), patch }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependent() -> Value {
        json!({"metadata": {"name": "d", "namespace": "n", "uid": "d", "ownerReferences": [
            {"kind": "A", "name": "a", "uid": "a", "blockOwnerDeletion": true}, {"kind": "B", "name": "b", "uid": "b"},
        ]}})
    }

    fn config_map() -> &'static Kind {
        object::kind("v1", "ConfigMap")
    }

    #[test]
    fn a_dependent_goes_with_its_last_owner() {
        let check = |a: Owner, b: Owner, has_dependents: bool, expected: &str| {
            let state = |owner: &Value| if owner["uid"] == "a" { a } else { b };
            let found = match &plan_dependent(config_map(), &dependent(), has_dependents, state)[..] {
                [] => "stays".to_owned(),
                [Change::Merge { patch, .. }] => format!("keeps {}", patch["metadata"]["ownerReferences"][0]["name"]),
                [Change::Delete { propagation: Some(propagation), .. }] => format!("{propagation:?}"),
                other => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "{a:?} {b:?}");
        };
        check(Owner::Solid, Owner::Solid, false, "stays");
        check(Owner::Absent, Owner::Solid, false, "keeps \"b\"");
        check(Owner::Absent, Owner::Absent, true, "Background");
        check(Owner::Waiting, Owner::Absent, true, "Foreground");
        check(Owner::Waiting, Owner::Absent, false, "Background");
    }

    #[test]
    fn an_owner_waits_for_those_that_block_it() {
        let mut owner = json!({"metadata": {
            "name": "a", "namespace": "n", "uid": "a", "deletionTimestamp": "x", "finalizers": [FOREGROUND],
        }});
        assert_eq!(plan_owner(config_map(), &owner, &[(config_map(), dependent())]), []);
        assert_eq!(plan_owner(config_map(), &owner, &[]).len(), 1);
        owner["metadata"]["finalizers"] = json!([ORPHAN]);
        let changes = plan_owner(config_map(), &owner, &[(config_map(), dependent())]);
        let [Change::Merge { patch, .. }, Change::Merge { patch: last, .. }] = &changes[..] else { panic!() };
        assert_eq!(patch["metadata"]["ownerReferences"][0]["name"], "b");
        assert_eq!(last["metadata"]["finalizers"], Value::Null);
    }
}
