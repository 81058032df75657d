//! Binds pods to the one node, or says why not.

mod fit;
mod taint;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::events::{Telling, reference};
use super::super::registry::{Entry, EventKind, Writer};
use super::pod::lock;
use super::{NODE_NAME, Shared, kind};

pub use taint::evict;

/// The name by which pods ask for this scheduler; Kubernetes' default.
const NAME: &str = "default-scheduler";

/// Whether a pod may be bound, or this scheduler's to bind, as far as its text tells without being parsed.
pub fn may_concern(entry: &Entry) -> bool {
    let text = std::str::from_utf8(&entry.json).unwrap_or_default();
    text.contains("\"nodeName\":\"") || text.contains(NAME)
}

/// Decides about a pod that no node has yet, and writes the decision.
pub fn schedule(shared: &Arc<Shared>, entry: &Arc<Entry>, pod: &Value) {
    if pod.pointer("/spec/schedulerName").is_some_and(|name| name != NAME) {
        return; // another scheduler's, which this cluster has not
    }
    if pod.pointer("/spec/schedulingGates").and_then(Value::as_array).is_some_and(|gates| !gates.is_empty()) {
        let message = "Scheduling is blocked due to non-empty scheduling gates";
        write_unscheduled(shared, entry, pod, "SchedulingGated", message);
        return; // its next change brings it here again
    }
    let node = shared.registry.get(kind("Node"), "", NODE_NAME).map(|node| node.value()).unwrap_or_default();
    match fit::obstacle(pod, &node, &occupants(shared)) {
        None => {
            lock(&shared.unschedulable).remove(&place(entry));
            bind(shared, entry, pod);
        }
        Some(obstacle) => {
            lock(&shared.unschedulable).insert(place(entry));
            let message = obstacle.message();
            if write_unscheduled(shared, entry, pod, "Unschedulable", &message) {
                let about = reference(kind("Pod"), pod, "");
                shared.scheduler.tell(&about, &Telling::warning("FailedScheduling", message), Timestamp::now());
            }
        }
    }
}

fn place(entry: &Entry) -> (String, String) {
    (entry.namespace.to_string(), entry.name.to_string())
}

fn bind(shared: &Arc<Shared>, entry: &Arc<Entry>, pod: &Value) {
    let now = Timestamp::now();
    let condition = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null,
        "lastTransitionTime": format!("{now:.0}")});
    let writer = Writer::new("kube-scheduler").on("binding");
    let bound = shared.registry.modify(kind("Pod"), &entry.namespace, &entry.name, &writer, false, |live| {
        let mut pod = live.clone();
        pod["spec"]["nodeName"] = NODE_NAME.into();
        set_condition(&mut pod, &condition);
        Ok(pod)
    });
    if let Ok(bound) = bound {
        let message = format!("Successfully assigned {}/{} to {NODE_NAME}", entry.namespace, entry.name);
        shared.scheduler.tell(&reference(kind("Pod"), pod, ""), &Telling::normal("Scheduled", message), now);
        // The next pod is to find this one on the node, though its event is still to come.
        super::observe_pod(shared, &bound, EventKind::Modified);
    }
}

/// Writes why the pod is not scheduled; false where its status says so already.
fn write_unscheduled(shared: &Arc<Shared>, entry: &Entry, pod: &Value, reason: &str, message: &str) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    if conditions.into_iter().any(|one| one["type"] == "PodScheduled" && one["message"] == message) {
        return false;
    }
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": reason, "message": message,
        "lastProbeTime": null, "lastTransitionTime": format!("{:.0}", Timestamp::now())});
    let writer = Writer::new("kube-scheduler").status();
    // a pod that is gone needs no word
    let _ = shared.registry.modify(kind("Pod"), &entry.namespace, &entry.name, &writer, false, |live| {
        let mut pod = live.clone();
        set_condition(&mut pod, &condition);
        Ok(pod)
    });
    true
}

/// Looks again at the pods that did not fit: something has changed.
pub fn retry(shared: &Arc<Shared>) {
    let waiting = std::mem::take(&mut *lock(&shared.unschedulable));
    for (namespace, name) in waiting {
        let Some(entry) = shared.registry.get(kind("Pod"), &namespace, &name) else { continue };
        let pod = entry.value();
        if pod.pointer("/spec/nodeName").is_none() && !entry.deleting {
            schedule(shared, &entry, &pod);
        }
    }
}

/// The pods that are on the node.
fn occupants(shared: &Shared) -> Vec<Value> {
    shared.all_pods().iter().filter(|other| !other.is_over()).map(|other| other.object()).collect()
}

fn set_condition(pod: &mut Value, condition: &Value) {
    let conditions = &mut pod["status"]["conditions"];
    let kept: Vec<Value> = conditions
        .as_array()
        .into_iter()
        .flatten()
        .filter(|other| other["type"] != condition["type"])
        .cloned()
        .chain([condition.clone()])
        .collect();
    *conditions = kept.into();
}
