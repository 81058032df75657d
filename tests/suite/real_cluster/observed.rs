//! What two sandboxes show of the same step, without what no two clusters have in common: identities, revisions of
//! the store, times, generated names, addresses.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_json::{Map, Value, json};

/// What [`objects`] is made from.
pub const KINDS: &str = "namespaces,deployments.apps,replicasets.apps,services,pods,secrets";

/// Where the two differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub path: String,
    pub embedded: String,
    pub kind: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:\n    embedded: {}\n    kind:     {}", self.path, self.embedded, self.kind)
    }
}

/// Every leaf in which two values differ. A list of another length is one leaf.
pub fn differences(path: &str, embedded: &Value, kind: &Value, found: &mut Vec<Difference>) {
    match (embedded, kind) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                differences(&format!("{path}/{name}"), &embedded[name], &kind[name], found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (embedded, kind)) in one.iter().zip(other).enumerate() {
                differences(&format!("{path}/{index}"), embedded, kind, found);
            }
        }
        _ if embedded == kind => {}
        _ => found.push(Difference { path: path.to_owned(), embedded: text(embedded), kind: text(kind) }),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text without addresses, times and generated names.
pub fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, replacement) in [
        (r"http://(127\.0\.0\.1|localhost):\d+", "URL"),
        (r"(localhost|127\.0\.0\.1):\d+/demo-app", "REGISTRY/demo-app"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "TIME"),
        // An image's tag ends with when it was built.
        (r"\b([0-9a-f]{56})-\d{13}\b", "$1-BUILT"),
        (r"\bdemo-app-[0-9a-z]{8,10}-[0-9a-z]{5}\b", "demo-app-HASH-POD"),
        (r"\bdemo-app-[0-9a-f]{8,10}\b", "demo-app-HASH"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
    }
    text
}

/// What `verify --json` says of each check.
pub fn verdicts(report: &Value) -> Value {
    let checks = report["checks"].as_array().into_iter().flatten();
    let plain = |value: &Value| plain(value.as_str().unwrap_or_default());
    let verdict = |check: &Value| {
        let said =
            json!({"state": check["state"], "expected": plain(&check["expected"]), "actual": plain(&check["actual"])});
        (plain(&check["name"]), said)
    };
    checks.map(verdict).collect::<Map<_, _>>().into()
}

/// What the course made in its namespaces: workloads and Services with their defaults, conditions, and the releases
/// as their records have them.
pub fn objects(list: &Value) -> Value {
    let mut namespaces: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for object in list["items"].as_array().into_iter().flatten() {
        let metadata = &object["metadata"];
        let namespace = metadata["namespace"].as_str().or(metadata["name"].as_str()).unwrap_or_default();
        if namespace.starts_with("demo-app") {
            namespaces.entry(namespace).or_default().push(object);
        }
    }
    namespaces.into_iter().map(|(name, objects)| (name.to_owned(), namespace(&objects))).collect::<Map<_, _>>().into()
}

fn namespace(objects: &[&Value]) -> Value {
    let mut shown = Map::new();
    let mut pods: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        match kind {
            "Pod" => pods.entry(owner(object)).or_default().push(pod(object)),
            // Its name is made of a hash; its revision tells it from the others as well.
            "ReplicaSet" => {
                let revision = &object["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
                shown.insert(format!("ReplicaSet {} of {}", text(revision), owner(object)), whole(object));
            }
            "Deployment" | "Service" | "Namespace" => {
                shown.insert(format!("{kind} {name}"), whole(object));
            }
            "Secret" if object["type"] == "helm.sh/release.v1" => {
                shown.insert(format!("Secret {name}"), release(object));
            }
            _ => {}
        }
    }
    for (owner, mut pods) in pods {
        pods.sort_by_key(Value::to_string);
        shown.insert(format!("Pods of {owner}"), pods.into());
    }
    without_hashes(&shown.into(), objects)
}

/// The hashes of pods' templates are replaced by the revision that each stands for.
fn without_hashes(shown: &Value, objects: &[&Value]) -> Value {
    let mut text = shown.to_string();
    for object in objects.iter().filter(|object| object["kind"] == "ReplicaSet") {
        let metadata = &object["metadata"];
        if let (Some(hash), Some(revision)) = (
            metadata["labels"]["pod-template-hash"].as_str(),
            metadata["annotations"]["deployment.kubernetes.io/revision"].as_str(),
        ) {
            text = text.replace(hash, &format!("HASH{revision}"));
        }
    }
    let value: Value = serde_json::from_str(&text).expect("it was JSON before");
    each_text(value, &plain)
}

fn each_text(value: Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(&text).into(),
        Value::Array(items) => items.into_iter().map(|item| each_text(item, change)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (change(&name), each_text(value, change)))
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

fn owner(object: &Value) -> String {
    text(&object["metadata"]["ownerReferences"][0]["name"])
}

/// All but the identity: metadata that somebody chose or that others read, the specification, the status.
fn whole(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let owners = metadata["ownerReferences"].as_array().cloned().unwrap_or_default();
    let owners: Vec<Value> = owners.into_iter().map(|owner| without(owner, &["uid"])).collect();
    let mut status = object["status"].clone();
    if status["conditions"].is_array() {
        status["conditions"] = conditions(object);
    }
    json!({
        "labels": metadata["labels"],
        "annotations": metadata["annotations"],
        "owners": owners,
        "finalizers": metadata["finalizers"],
        "generation": metadata["generation"],
        "spec": without(object["spec"].clone(), &["clusterIP", "clusterIPs"]),
        "status": status,
    })
}

fn pod(object: &Value) -> Value {
    json!({"phase": object["status"]["phase"], "conditions": conditions(object)})
}

fn conditions(object: &Value) -> Value {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let times = ["lastTransitionTime", "lastUpdateTime", "lastProbeTime"];
    let by_type = |condition: &Value| (text(&condition["type"]), without(condition.clone(), &times));
    conditions.map(by_type).collect::<Map<_, _>>().into()
}

fn without(mut object: Value, fields: &[&str]) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.retain(|name, _| !fields.contains(&name.as_str()));
    }
    object
}

/// A release's Secret, and what its record says: base64 twice, gzip, JSON.
fn release(secret: &Value) -> Value {
    let data = STANDARD.decode(secret["data"]["release"].as_str().unwrap_or_default()).expect("base64");
    let data = STANDARD.decode(data).expect("base64 within");
    let mut record = String::new();
    flate2::read::GzDecoder::new(data.as_slice()).read_to_string(&mut record).expect("gzip");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    let labels = without(secret["metadata"]["labels"].clone(), &["modifiedAt"]);
    json!({
        "labels": labels,
        "annotations": secret["metadata"]["annotations"],
        "immutable": secret["immutable"],
        "record": record,
    })
}

/// A cluster with one workload, as the API lists it.
fn listed(hash: &str, address: &str, time: &str, is_ready: &str) -> Value {
    let meta = |name: &str, owner: &str| json!({"name": name, "namespace": "demo-app-development", "uid": hash, "ownerReferences": [{"name": owner, "uid": time}]});
    let ready = json!([{"type": "Ready", "status": is_ready, "lastTransitionTime": time}]);
    let mut replicas = meta(&format!("demo-app-{hash}"), "demo-app");
    replicas["annotations"] = json!({"deployment.kubernetes.io/revision": "3"});
    replicas["labels"] = json!({"pod-template-hash": hash});
    json!({"items": [
        {"kind": "ReplicaSet", "metadata": replicas, "spec": {"selector": {"matchLabels": {"pod-template-hash": hash}}}},
        {"kind": "Pod", "metadata": meta(&format!("demo-app-{hash}-{}", &hash[..5]), &format!("demo-app-{hash}")),
         "status": {"phase": "Running", "conditions": ready}},
        {"kind": "Service", "metadata": meta("demo-app", "none"), "spec": {"clusterIP": address, "clusterIPs": [address], "type": "NodePort"}},
        {"kind": "Pod", "metadata": {"name": hash, "namespace": "kube-system"}},
    ]})
}

#[test]
fn what_no_two_clusters_have_in_common_is_no_difference() {
    let ours = objects(&listed("5d5f7c9b4", "10.96.0.7", "2026-01-01T00:00:00Z", "True"));
    let mut found = Vec::new();
    differences("", &ours, &objects(&listed("7c9b45d5fb", "10.96.1.1", "2026-01-02T00:00:00Z", "True")), &mut found);
    assert_eq!(found, []);
    differences("", &ours, &objects(&listed("7c9b45d5fb", "10.96.1.1", "2026-01-02T00:00:00Z", "False")), &mut found);
    let path = "/demo-app-development/Pods of demo-app-HASH3/0/conditions/Ready/status";
    let expected = Difference { path: path.into(), embedded: "True".into(), kind: "False".into() };
    assert_eq!(found, [expected]);
}
