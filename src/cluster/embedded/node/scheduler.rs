//! Binds pods to the one node, or says why not.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::events::{Telling, reference};
use super::super::registry::{Entry, Writer};
use super::pod::lock;
use super::{NODE_NAME, Shared, kind};

/// Decides about a pod that no node has yet, and writes the decision.
pub fn schedule(shared: &Arc<Shared>, entry: &Arc<Entry>, pod: &Value) {
    let now = Timestamp::now();
    let pods = kind("Pod");
    let node = shared.registry.get(kind("Node"), "", NODE_NAME).map(|node| node.value()).unwrap_or_default();
    if pod.pointer("/spec/schedulerName").is_some_and(|name| *name != "default-scheduler") {
        return; // another scheduler's, which this cluster has not
    }
    let about = reference(pods, pod, "");
    let time = format!("{now:.0}");
    let writer = Writer::new("kube-scheduler");
    match obstacle(pod, &node, &occupants(shared, pod)) {
        None => {
            lock(&shared.unschedulable).remove(&(entry.namespace.to_string(), entry.name.to_string()));
            let condition =
                json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time});
            let bound =
                shared.registry.modify(pods, &entry.namespace, &entry.name, &writer.on("binding"), false, |live| {
                    let mut pod = live.clone();
                    pod["spec"]["nodeName"] = NODE_NAME.into();
                    set_condition(&mut pod, &condition);
                    Ok(pod)
                });
            if bound.is_ok() {
                let message = format!("Successfully assigned {}/{} to {NODE_NAME}", entry.namespace, entry.name);
                shared.scheduler.tell(&about, &Telling::normal("Scheduled", message), now);
            }
        }
        Some(why) => {
            lock(&shared.unschedulable).insert((entry.namespace.to_string(), entry.name.to_string()));
            let message = format!(
                "0/1 nodes are available: 1 {why}. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
            );
            if pod.pointer("/status/conditions/0/message").and_then(Value::as_str) == Some(&message) {
                return;
            }
            let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
                "lastProbeTime": null, "lastTransitionTime": time});
            let _ = shared.registry.modify(pods, &entry.namespace, &entry.name, &writer.status(), false, |live| {
                let mut pod = live.clone();
                set_condition(&mut pod, &condition);
                Ok(pod)
            });
            shared.scheduler.tell(&about, &Telling::warning("FailedScheduling", message), now);
        }
    }
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

/// The other pods that take of the node's resources; none are looked for where this one asks for nothing.
fn occupants(shared: &Shared, pod: &Value) -> Vec<Value> {
    if requested(pod, "cpu") + requested(pod, "memory") <= 0.0 {
        return Vec::new();
    }
    shared.all_pods().iter().filter(|other| !other.is_over()).map(|other| other.object()).collect()
}

/// What a pod asks for: its containers together, or the largest of its init containers.
fn requested(pod: &Value, resource: &str) -> f64 {
    let each = |key: &str| {
        let containers = pod.pointer(key).and_then(Value::as_array).into_iter().flatten();
        containers.filter_map(|container| quantity(&container["resources"]["requests"][resource])).collect::<Vec<_>>()
    };
    let together: f64 = each("/spec/containers").iter().sum();
    each("/spec/initContainers").into_iter().fold(together, f64::max)
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

/// What keeps the pod off the node, as the scheduler words it. `occupants` are the pods that run on it.
pub fn obstacle(pod: &Value, node: &Value, occupants: &[Value]) -> Option<&'static str> {
    if node.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true) {
        return Some("node(s) were unschedulable");
    }
    let labels = &node["metadata"]["labels"];
    let wanted = pod.pointer("/spec/nodeSelector").and_then(Value::as_object).into_iter().flatten();
    if wanted.into_iter().any(|(key, value)| labels.get(key) != Some(value)) {
        return Some("node(s) didn't match Pod's node affinity/selector");
    }
    let tolerated = |taint: &Value| {
        let tolerations = pod.pointer("/spec/tolerations").and_then(Value::as_array);
        tolerations.into_iter().flatten().any(|toleration| {
            let key = toleration["key"].as_str().unwrap_or_default();
            let effect = toleration["effect"].as_str().unwrap_or_default();
            (key.is_empty() || taint["key"] == key)
                && (effect.is_empty() || taint["effect"] == effect)
                && (toleration["operator"] == "Exists" || toleration["value"] == taint["value"])
        })
    };
    let taints = node.pointer("/spec/taints").and_then(Value::as_array).into_iter().flatten();
    if taints.into_iter().any(|taint| taint["effect"] != "PreferNoSchedule" && !tolerated(taint)) {
        return Some("node(s) had untolerated taint(s)");
    }
    let lacks = |resource: &str| {
        let asked = requested(pod, resource);
        let has = quantity(&node["status"]["allocatable"][resource]).unwrap_or(f64::MAX);
        let taken: f64 = occupants.iter().map(|other| requested(other, resource)).sum();
        asked > 0.0 && asked + taken > has
    };
    if lacks("cpu") {
        return Some("Insufficient cpu");
    }
    lacks("memory").then_some("Insufficient memory")
}

fn quantity(value: &Value) -> Option<f64> {
    super::super::admission::quantity(value)
}
