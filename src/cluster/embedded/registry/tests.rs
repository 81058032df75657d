use serde_json::{Value, json};

use super::super::schema;
use super::*;

fn kind(name: &str) -> &'static Kind {
    schema::kinds().iter().find(|kind| kind.name == name).expect("a kind of the schema")
}

fn writer() -> Writer {
    Writer::new("test")
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "default"}, "data": data})
}

#[test]
fn create_stamps_and_refuses_a_second() {
    let registry = Registry::in_memory();
    let entry = registry.create(kind("ConfigMap"), config_map("c", &json!({"a": "1"})), &writer()).unwrap();
    let object = entry.value();
    assert_eq!(object["metadata"]["resourceVersion"], entry.revision.to_string());
    assert_eq!(object["metadata"]["uid"].as_str().unwrap().len(), 36);
    assert_eq!(object["apiVersion"], "v1");
    let status = registry.create(kind("ConfigMap"), config_map("c", &json!({})), &writer()).unwrap_err();
    assert_eq!(status.message, "configmaps \"c\" already exists");
}

#[test]
fn a_write_that_changes_nothing_keeps_the_revision() {
    let registry = Registry::in_memory();
    let first = registry.create(kind("ConfigMap"), config_map("c", &json!({"a": "1"})), &writer()).unwrap();
    let again = registry.update(kind("ConfigMap"), config_map("c", &json!({"a": "1"})), &writer()).unwrap();
    assert_eq!(first.revision, again.revision);
    let changed = registry.update(kind("ConfigMap"), config_map("c", &json!({"a": "2"})), &writer()).unwrap();
    assert_eq!(changed.revision, first.revision + 1);
    let mut stale = config_map("c", &json!({"a": "3"}));
    stale["metadata"]["resourceVersion"] = first.revision.to_string().into();
    let status = registry.update(kind("ConfigMap"), stale, &writer()).unwrap_err();
    assert_eq!((status.code, status.reason), (409, "Conflict"));
}

#[test]
fn namespaces_decide_what_can_be_created() {
    let registry = Registry::in_memory();
    let mut elsewhere = config_map("c", &json!({}));
    elsewhere["metadata"]["namespace"] = "nope".into();
    let status = registry.create(kind("ConfigMap"), elsewhere, &writer()).unwrap_err();
    assert_eq!((status.code, &*status.message), (404, "namespaces \"nope\" not found"));

    registry.create(kind("Namespace"), json!({"metadata": {"name": "n"}}), &writer()).unwrap();
    let gone = registry.delete_or_mark(kind("Namespace"), "", "n", &Deletion::default()).unwrap();
    assert!(!gone.gone);
    assert_eq!(gone.entry.value()["status"]["phase"], "Terminating");
    let mut late = config_map("late", &json!({}));
    late["metadata"]["namespace"] = "n".into();
    let status = registry.create(kind("ConfigMap"), late, &writer()).unwrap_err();
    assert_eq!(status.code, 403);
    let mut finalized = gone.entry.value();
    finalized["spec"]["finalizers"] = json!([]);
    registry.update(kind("Namespace"), finalized, &writer().on("finalize")).unwrap();
    assert!(registry.get(kind("Namespace"), "", "n").is_none());
}

#[test]
fn finalizers_hold_an_object() {
    let registry = Registry::in_memory();
    let mut object = config_map("f", &json!({}));
    object["metadata"]["finalizers"] = json!(["example.org/f"]);
    registry.create(kind("ConfigMap"), object, &writer()).unwrap();
    let marked = registry.delete_or_mark(kind("ConfigMap"), "default", "f", &Deletion::default()).unwrap();
    assert!(!marked.gone && marked.entry.deleting);
    let mut free = marked.entry.value();
    free["metadata"]["finalizers"] = json!([]);
    let last = registry.update(kind("ConfigMap"), free, &writer()).unwrap();
    assert_eq!(last.revision, marked.entry.revision);
    assert!(registry.get(kind("ConfigMap"), "default", "f").is_none());
}

#[test]
fn pods_that_run_are_ended_by_their_kubelet() {
    let registry = Registry::in_memory();
    let pod = json!({
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"nodeName": "n", "containers": [{"name": "a", "image": "i"}]},
    });
    registry.create(kind("Pod"), pod, &writer()).unwrap();
    let marked = registry.delete_or_mark(kind("Pod"), "default", "p", &Deletion::default()).unwrap();
    assert!(!marked.gone);
    assert_eq!(marked.entry.value()["metadata"]["deletionGracePeriodSeconds"], 30);
    let now = Deletion { grace_period_seconds: Some(0), ..Deletion::default() };
    assert!(registry.delete_or_mark(kind("Pod"), "default", "p", &now).unwrap().gone);
}

#[test]
fn node_ports_are_given_once() {
    let registry = Registry::in_memory();
    let service = |name: &str, port: i64| {
        json!({
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]},
        })
    };
    registry.create(kind("Service"), service("a", 30090), &writer()).unwrap();
    let status = registry.create(kind("Service"), service("b", 30090), &writer()).unwrap_err();
    assert_eq!(
        status.message,
        "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 30090: provided port is already allocated"
    );
    let chosen = registry.create(kind("Service"), service("b", 0), &writer()).unwrap().value();
    assert!((30_086..=32_767).contains(&chosen["spec"]["ports"][0]["nodePort"].as_i64().unwrap()));
}

#[test]
fn a_dry_run_stores_nothing() {
    let registry = Registry::in_memory();
    let before = registry.revision();
    let mut dry = writer();
    dry.dry_run = true;
    let entry = registry.create(kind("ConfigMap"), config_map("c", &json!({})), &dry).unwrap();
    assert_eq!(entry.value()["metadata"].get("resourceVersion"), None);
    assert_eq!(registry.revision(), before);
}

#[test]
fn dependents_are_found_by_their_owner() {
    let registry = Registry::in_memory();
    let mut object = config_map("c", &json!({}));
    object["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "owner"}]);
    registry.create(kind("ConfigMap"), object, &writer()).unwrap();
    assert_eq!(registry.dependents("owner").len(), 1);
    registry.delete(kind("ConfigMap"), "default", "c", &Deletion::default()).unwrap();
    assert!(registry.dependents("owner").is_empty());
}

#[test]
fn a_null_that_the_kubelet_writes_stays() {
    let registry = Registry::in_memory();
    let pod = json!({
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"nodeName": "n", "containers": [{"name": "a", "image": "i"}]},
    });
    let mut pod = registry.create(kind("Pod"), pod, &writer()).unwrap().value();
    let condition =
        json!({"type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": "2026-01-01T00:00:00Z"});
    pod["status"]["conditions"] = json!([condition]);
    let written = registry.update(kind("Pod"), pod, &writer().status()).unwrap().value();
    assert_eq!(written["status"]["conditions"], json!([condition]));
}
