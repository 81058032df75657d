//! What is to be done to bring what is there to what was: pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{State, text};

/// What to do, in order: what others come from first is last to go.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Objects that were not there.
    pub delete: Vec<Value>,
    /// Objects that are missing.
    pub create: Vec<Value>,
    /// Objects that are otherwise now; what was, and what is.
    pub replace: Vec<(Value, Value)>,
}

/// Whether an object is kept: not what the cluster makes in every namespace, and not what a controller makes of
/// another object, but for the ReplicaSets of a Deployment.
pub fn is_kept(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let (kind, name) = (text(&object["kind"]), text(&metadata["name"]));
    let is_made = matches!(
        (kind, name),
        ("ServiceAccount", "default") | ("ConfigMap", "kube-root-ca.crt") | ("Service", "kubernetes")
    );
    let is_token = object["type"] == "kubernetes.io/service-account-token";
    let owned = metadata["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty());
    !is_made && !is_token && metadata["deletionTimestamp"].is_null() && (!owned || kind == "ReplicaSet")
}

/// An object's name among all others.
pub fn key(object: &Value) -> (String, String, String) {
    let metadata = &object["metadata"];
    (text(&object["kind"]).to_owned(), text(&metadata["namespace"]).to_owned(), text(&metadata["name"]).to_owned())
}

pub fn plan(wanted: &State, found: &State) -> Plan {
    let there: BTreeMap<_, &Value> = found.objects.iter().map(|object| (key(object), object)).collect();
    let then: BTreeMap<_, &Value> = wanted.objects.iter().map(|object| (key(object), object)).collect();
    let mut plan = Plan::default();
    for (key, object) in &then {
        match there.get(key) {
            None => plan.create.push((*object).clone()),
            Some(live) if essence(object) != essence(live) => plan.replace.push(((*object).clone(), (*live).clone())),
            Some(_) => {}
        }
    }
    // ReplicaSets that were not there go in the end, when their Deployment does not want them any more.
    let gone = there.iter().filter(|(key, _)| !then.contains_key(*key) && key.0 != "ReplicaSet");
    plan.delete = gone.map(|(_, object)| (*object).clone()).collect();
    // A ReplicaSet that is there before its Deployment is adopted by it.
    plan.create.sort_by_key(|object| order(text(&object["kind"])));
    plan
}

fn order(kind: &str) -> u8 {
    match kind {
        "Secret" | "ConfigMap" | "ServiceAccount" | "Role" | "RoleBinding" => 0,
        "Service" | "PersistentVolumeClaim" => 1,
        "ReplicaSet" => 2,
        _ => 3,
    }
}

/// What an object is asked to be, without what the cluster writes into it.
pub fn essence(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        let passing = [
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "managedFields",
            "ownerReferences",
            "selfLink",
        ];
        for name in passing {
            metadata.remove(name);
        }
    }
    object
}

/// An object as it can be created.
pub fn creatable(object: &Value) -> Value {
    let mut fresh = essence(object);
    if fresh["kind"] == "ReplicaSet" {
        // Its Deployment adopts it and scales it up.
        fresh["spec"]["replicas"] = 0.into();
    }
    fresh
}

/// An object that was, as an update of the one that is.
pub fn update(object: &Value, live: &Value) -> Value {
    let mut fresh = essence(object);
    let metadata = fresh["metadata"].as_object_mut();
    if let (Some(metadata), Some(owners)) = (metadata, live["metadata"].get("ownerReferences")) {
        metadata.insert("ownerReferences".into(), owners.clone());
    }
    if fresh["kind"] == "Service" {
        // Addresses stay with the Service that has them.
        for name in ["clusterIP", "clusterIPs"] {
            if let Some(value) = live["spec"].get(name) {
                fresh["spec"][name] = value.clone();
            }
        }
    }
    fresh
}

/// Who set which fields, without those of a status, which nobody of ours writes.
pub fn managed_fields(object: &Value) -> Vec<Value> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    entries.into_iter().filter(|entry| entry.get("subresource").is_none()).collect()
}

/// The annotation in which a Deployment and its ReplicaSets count revisions.
pub const REVISION: &str = "deployment.kubernetes.io/revision";

/// The Deployment with the template of the ReplicaSet that carried it when its newest did not: whoever goes back to
/// a rollout that hangs has to go through what served beside it.
pub fn carrier(deployment: &Value, objects: &[Value]) -> Option<Value> {
    let status = &deployment["status"];
    let number = |name: &str| status[name].as_i64().unwrap_or(0);
    let replicas = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    if replicas == 0 || number("updatedReplicas") >= replicas && number("availableReplicas") >= replicas {
        return None;
    }
    let revision = &deployment["metadata"]["annotations"][REVISION];
    let uid = &deployment["metadata"]["uid"];
    let serving = objects.iter().find(|object| {
        object["kind"] == "ReplicaSet"
            && object["metadata"]["ownerReferences"][0]["uid"] == *uid
            && object["metadata"]["annotations"][REVISION] != *revision
            && object["status"]["readyReplicas"].as_i64().unwrap_or(0) > 0
    })?;
    let mut before = essence(deployment);
    before["spec"]["template"] = serving["spec"]["template"].clone();
    if let Some(labels) = before["spec"]["template"]["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    before["spec"]["replicas"] = replicas.into();
    Some(before)
}

/// An empty map, for objects that lack one.
pub fn annotations(object: &Value) -> Map<String, Value> {
    object["metadata"]["annotations"].as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str, name: &str, value: i32) -> Value {
        json!({"kind": kind, "metadata": {"name": name, "namespace": "n", "uid": format!("u{value}"),
            "resourceVersion": value.to_string()}, "data": value})
    }

    fn state(objects: Vec<Value>) -> State {
        State { objects, ..State::default() }
    }

    #[test]
    fn only_what_differs_is_written() {
        let same = |version: &str| {
            let mut same = object("Secret", "same", 1);
            same["metadata"]["resourceVersion"] = version.into();
            same
        };
        let wanted = state(vec![
            object("Deployment", "missing", 1),
            object("ReplicaSet", "missing", 1),
            same("1"),
            object("ConfigMap", "other", 1),
        ]);
        let found = state(vec![
            same("7"),
            object("ConfigMap", "other", 2),
            object("Pod", "new", 1),
            object("ReplicaSet", "new", 1),
        ]);
        let plan = plan(&wanted, &found);
        let names = |objects: &[Value]| objects.iter().map(|object| key(object).0).collect::<Vec<_>>();
        assert_eq!(names(&plan.delete), ["Pod"]);
        assert_eq!(names(&plan.create), ["ReplicaSet", "Deployment"]);
        assert_eq!(plan.replace.len(), 1);
    }

    #[test]
    fn what_others_make_is_left_to_them() {
        fn check(object: &Value, expected: bool) {
            assert_eq!(is_kept(object), expected, "{object}");
        }
        let owned = |kind: &str| json!({"kind": kind, "metadata": {"ownerReferences": [{"uid": "u"}]}});
        check(&owned("ReplicaSet"), true);
        check(&owned("Pod"), false);
        check(&object("Pod", "bare", 1), true);
        check(&json!({"kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}}), false);
        check(&json!({"kind": "Secret", "metadata": {"name": "a"}, "type": "helm.sh/release.v1"}), true);
    }

    #[test]
    fn a_rollout_that_hung_is_reached_through_what_served() {
        let set = |revision: &str, ready: i32| {
            json!({"kind": "ReplicaSet", "metadata": {"ownerReferences": [{"uid": "d"}],
                "annotations": {REVISION: revision}}, "status": {"readyReplicas": ready},
                "spec": {"template": {"metadata": {"labels": {"app": "a", "pod-template-hash": revision}}}}})
        };
        let deployment = |updated: i32, available: i32| {
            json!({"kind": "Deployment", "metadata": {"uid": "d", "annotations": {REVISION: "2"}},
                "spec": {"replicas": 2, "template": {}}, "status": {"updatedReplicas": updated,
                "availableReplicas": available}})
        };
        let sets = [set("1", 2), set("2", 0)];
        assert_eq!(carrier(&deployment(2, 2), &sets), None);
        let before = carrier(&deployment(1, 2), &sets).expect("the first served");
        assert_eq!(before["spec"]["template"]["metadata"]["labels"], json!({"app": "a"}));
    }
}
