//! What differs from kind to kind: initial status, generation, which half of an object a write may change.

use serde_json::{Value, json};

use super::super::schema::{self, Kind};
use super::metadata;

/// Kinds whose `metadata.generation` counts the changes of their spec.
const WITH_GENERATION: [&str; 11] = [
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "Pod",
    "Ingress",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "EndpointSlice",
];

pub(super) fn namespace_kind() -> Option<&'static Kind> {
    schema::by_kind("v1", "Namespace")
}

pub(super) fn service_account_kind() -> Option<&'static Kind> {
    schema::by_kind("v1", "ServiceAccount")
}

/// Kinds that a PUT creates where they are not there.
pub(super) fn creates_on_update(kind: &Kind) -> bool {
    matches!(kind.name, "Event" | "Endpoints" | "Service" | "Lease")
}

fn has_status(kind: &Kind) -> bool {
    kind.subresources.contains(&"status")
}

pub(super) fn set_type(kind: &Kind, object: &mut Value) {
    if !object.is_object() {
        *object = json!({});
    }
    let object = object.as_object_mut().expect("made an object above");
    object.insert("apiVersion".into(), kind.api_version().into());
    object.insert("kind".into(), kind.name.into());
}

/// Clients do not decide the status of what they create, nor the generation.
pub(super) fn prepare_create(kind: &Kind, object: &mut Value) {
    if WITH_GENERATION.contains(&kind.name) {
        metadata::metadata_mut(object).insert("generation".into(), 1.into());
    }
    if has_status(kind) && kind.name != "Node" {
        object["status"] = initial_status(kind, object);
    }
    if kind.name == "Namespace" {
        let spec = metadata::member_mut(object, "spec");
        let finalizers = spec.entry("finalizers").or_insert_with(|| json!([]));
        if let Some(finalizers) = finalizers.as_array_mut()
            && !finalizers.iter().any(|finalizer| finalizer == "kubernetes")
        {
            finalizers.push("kubernetes".into());
        }
    }
}

/// The label that Kubernetes gives every namespace; a default, and so the client's own in managed fields.
pub(super) fn label_namespace(kind: &Kind, object: &mut Value) {
    let name = metadata::text(object, "name").to_owned();
    if kind.name != "Namespace" || name.is_empty() {
        return;
    }
    let labels = metadata::metadata_mut(object).entry("labels").or_insert_with(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
    }
}

fn initial_status(kind: &Kind, object: &Value) -> Value {
    match kind.name {
        "Pod" => pod_status(object),
        "Namespace" => json!({"phase": "Active"}),
        "Service" | "Ingress" => json!({"loadBalancer": {}}),
        "ReplicaSet" | "StatefulSet" => json!({"replicas": 0}),
        "DaemonSet" => {
            json!({"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0})
        }
        "PersistentVolume" | "PersistentVolumeClaim" => json!({"phase": "Pending"}),
        _ => json!({}),
    }
}

fn pod_status(pod: &Value) -> Value {
    let mut status = json!({"phase": "Pending", "qosClass": quality_of_service(pod)});
    let gated = pod.pointer("/spec/schedulingGates").and_then(Value::as_array).is_some_and(|gates| !gates.is_empty());
    if gated {
        status["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastProbeTime": null, "lastTransitionTime": metadata::text(pod, "creationTimestamp"),
        }]);
    }
    status
}

/// `Guaranteed`, `Burstable` or `BestEffort`, by the containers' requests and limits.
fn quality_of_service(pod: &Value) -> &'static str {
    let containers = ["containers", "initContainers"];
    let all: Vec<&Value> = containers
        .iter()
        .filter_map(|list| pod.get("spec")?.get(list)?.as_array())
        .flatten()
        .map(|container| container.get("resources").unwrap_or(&Value::Null))
        .collect();
    let amount = |resources: &Value, side: &str, name: &str| {
        resources.get(side).and_then(|amounts| amounts.get(name)).filter(|amount| !amount.is_null()).cloned()
    };
    let asks = |resources: &Value| {
        ["requests", "limits"]
            .iter()
            .any(|side| ["cpu", "memory"].iter().any(|name| amount(resources, side, name).is_some()))
    };
    let guaranteed = |resources: &Value| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amount(resources, "limits", name);
            limit.is_some() && amount(resources, "requests", name).is_none_or(|request| Some(request) == limit)
        })
    };
    if !all.iter().any(|resources| asks(resources)) {
        "BestEffort"
    } else if all.iter().all(|resources| guaranteed(resources)) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Takes from `new` the half that the subresource may write, the rest from `live`.
pub(super) fn prepare_update(kind: &Kind, new: &mut Value, live: &Value, subresource: &str) {
    match subresource {
        "status" => {
            let written = std::mem::replace(new, live.clone());
            new["status"] = written.get("status").cloned().unwrap_or_else(|| json!({}));
            if let (None, Some(quality)) = (new.pointer("/status/qosClass"), live.pointer("/status/qosClass")) {
                new["status"]["qosClass"] = quality.clone();
            }
            for key in ["annotations", "managedFields", "finalizers"] {
                if kind.name == "Namespace" && key == "finalizers" {
                    continue;
                }
                if let Some(value) = written.pointer(&format!("/metadata/{key}")) {
                    metadata::metadata_mut(new).insert(key.into(), value.clone());
                }
            }
        }
        "finalize" => {
            let finalizers = new.pointer("/spec/finalizers").cloned().unwrap_or_else(|| json!([]));
            *new = live.clone();
            new["spec"]["finalizers"] = finalizers;
        }
        "binding" => {}
        _ if has_status(kind) => keep(new, live, "status"),
        _ => {}
    }
    if kind.name == "Namespace" && subresource != "finalize" {
        let spec = live.get("spec").cloned().unwrap_or_else(|| json!({}));
        new["spec"] = spec;
    }
}

fn keep(new: &mut Value, live: &Value, key: &str) {
    let Some(object) = new.as_object_mut() else { return };
    match live.get(key) {
        Some(value) => object.insert(key.into(), value.clone()),
        None => object.remove(key),
    };
}

fn of_deployment(object: &Value) -> bool {
    object.get("kind").is_some_and(|kind| kind == "Deployment")
}

/// Counts a change of the spec; with a Deployment, whose annotations its controller hands down, of those too.
pub(super) fn set_generation(new: &mut Value, live: &Value, subresource: &str) {
    if matches!(subresource, "binding" | "status") {
        return;
    }
    let generation = metadata::generation(live);
    let changed = if new.get("endpoints").is_some() {
        // An EndpointSlice has no spec: all of it counts but the metadata, and of that the labels.
        let parts = ["endpoints", "ports", "addressType"];
        parts.iter().any(|part| new.get(part) != live.get(part))
            || new.pointer("/metadata/labels") != live.pointer("/metadata/labels")
    } else {
        new.get("spec") != live.get("spec")
            || (of_deployment(new) && new.pointer("/metadata/annotations") != live.pointer("/metadata/annotations"))
    };
    if generation > 0 && changed {
        metadata::metadata_mut(new).insert("generation".into(), (generation + 1).into());
    }
}

/// Whether a write would change nothing but the times in managed fields.
pub(super) fn same(new: &Value, live: &Value) -> bool {
    new == live || {
        let equal_but_metadata = new.as_object().is_some_and(|new| {
            live.as_object().is_some_and(|live| {
                new.len() == live.len()
                    && new.iter().all(|(key, value)| key == "metadata" || live.get(key) == Some(value))
            })
        });
        equal_but_metadata && without_times(new) == without_times(live)
    }
}

fn without_times(object: &Value) -> Value {
    let mut metadata = object.get("metadata").cloned().unwrap_or(Value::Null);
    for entry in metadata.get_mut("managedFields").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("time");
        }
    }
    metadata
}

/// Whether an object that is being deleted waits for nothing any more.
pub(super) fn is_finished(kind: &Kind, object: &Value) -> bool {
    let deleting = !metadata::text(object, "deletionTimestamp").is_empty();
    let grace = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0);
    let content = kind.name == "Namespace"
        && object
            .pointer("/spec/finalizers")
            .and_then(Value::as_array)
            .is_some_and(|finalizers| !finalizers.is_empty());
    deleting && grace == 0 && !content && metadata::finalizers(object).is_empty()
}
