//! When an object is ready: roll-outs as `kubectl rollout status` counts, pods by their condition, Services by
//! their end points, others by the conditions that they have.

use std::fmt;

use serde_json::Value;

use super::super::cluster::{Cluster, ClusterError};
use super::pods::{self, Trouble};
use super::{name_of, of_pods};
use crate::discovery::Resource;

/// How far an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    Ready {
        is: String,
    },
    /// It may become ready by itself.
    Progressing {
        is: String,
        hint: String,
    },
    /// It will not become ready by itself.
    Stuck {
        is: String,
        hint: String,
    },
}

impl fmt::Display for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { is } | Self::Progressing { is, .. } | Self::Stuck { is, .. } => formatter.write_str(is),
        }
    }
}

fn ready(is: impl Into<String>) -> Readiness {
    Readiness::Ready { is: is.into() }
}

fn progressing(is: impl Into<String>) -> Readiness {
    Readiness::Progressing { is: is.into(), hint: String::new() }
}

fn stuck(is: impl Into<String>) -> Readiness {
    Readiness::Stuck { is: is.into(), hint: String::new() }
}

/// What readiness of a kind is called.
pub fn word(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => "rolled out",
        "Job" => "complete",
        "Service" => "with ready end points",
        _ => "ready",
    }
}

/// The controller has not seen the last change yet.
pub fn is_unobserved(object: &Value) -> bool {
    let generation = object["metadata"]["generation"].as_u64().unwrap_or(0);
    object["status"]["observedGeneration"].as_u64().is_some_and(|observed| observed < generation)
}

/// How far the object is, with its pods' own reasons.
pub async fn of(cluster: &Cluster, resource: &Resource, object: &Value) -> Result<Readiness, ClusterError> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    if resource.kind == "Service" && resource.group.is_empty() {
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
        let selector = format!("kubernetes.io/service-name={}", name_of(object));
        return Ok(service(object, &cluster.list(&path, Some(&selector)).await?));
    }
    let readiness = by_status(&resource.kind, object);
    if matches!(readiness, Readiness::Ready { .. }) {
        return Ok(readiness);
    }
    let trouble = pods::trouble(cluster, &resource.kind, object).await?;
    Ok(match trouble {
        Some(trouble) => with_trouble(&readiness, &trouble),
        None => readiness,
    })
}

fn with_trouble(readiness: &Readiness, trouble: &Trouble) -> Readiness {
    let is = format!("{readiness}; {}", trouble.text);
    let hint = trouble.hint.clone();
    match readiness {
        Readiness::Progressing { .. } if !trouble.is_lasting => Readiness::Progressing { is, hint },
        _ => Readiness::Stuck { is, hint },
    }
}

/// By the object alone.
fn by_status(kind: &str, object: &Value) -> Readiness {
    if object["metadata"]["deletionTimestamp"].is_string() {
        return progressing("it is being deleted");
    }
    let generation = object["metadata"]["generation"].as_u64().unwrap_or(0);
    let observed = object["status"]["observedGeneration"].as_u64().unwrap_or(0);
    let is_counted = matches!(kind, "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet");
    if is_counted && observed < generation {
        return progressing("its last change has not been taken up yet");
    }
    match kind {
        "Deployment" => deployment(object),
        "ReplicaSet" => replicas(object, "readyReplicas"),
        "StatefulSet" => stateful_set(object),
        "DaemonSet" => daemon_set(object),
        "Pod" => pod(object),
        "Job" => job(object),
        _ => conditions(object),
    }
}

fn status(object: &Value, field: &str) -> u64 {
    object["status"][field].as_u64().unwrap_or(0)
}

fn condition<'o>(object: &'o Value, kind: &str) -> Option<&'o Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn deployment(object: &Value) -> Readiness {
    let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
    let updated = status(object, "updatedReplicas");
    let all = status(object, "replicas");
    let available = status(object, "availableReplicas");
    let late = condition(object, "Progressing").filter(|condition| condition["reason"] == "ProgressDeadlineExceeded");
    if let Some(condition) = late {
        let message = condition["message"].as_str().unwrap_or_default();
        return stuck(format!("{} new, and the roll-out was given up: {message}", of_pods(updated, wanted)));
    }
    if object["spec"]["paused"] == true && updated < wanted {
        return Readiness::Stuck {
            is: "its roll-out is paused".into(),
            hint: format!("`kubectl rollout resume deployment {}` lets it go on", name_of(object)),
        };
    }
    if updated < wanted {
        return progressing(format!("{} new", of_pods(updated, wanted)));
    }
    if all > updated {
        return progressing(format!(
            "{} new ready, {} old still there",
            of_pods(available.min(updated), wanted),
            all - updated
        ));
    }
    if available < updated {
        return progressing(format!("{} available", of_pods(available, wanted)));
    }
    ready(format!("{} available", of_pods(available, wanted)))
}

fn replicas(object: &Value, field: &str) -> Readiness {
    let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
    let found = status(object, field);
    let text = format!("{} ready", of_pods(found, wanted));
    if found == wanted && status(object, "replicas") == wanted { ready(text) } else { progressing(text) }
}

fn stateful_set(object: &Value) -> Readiness {
    let current = object["status"]["currentRevision"].as_str();
    let update = object["status"]["updateRevision"].as_str();
    match replicas(object, "readyReplicas") {
        Readiness::Ready { is } if current == update || update.is_none() => ready(is),
        Readiness::Ready { .. } => progressing("pods of an older revision are still there"),
        other => other,
    }
}

fn daemon_set(object: &Value) -> Readiness {
    let wanted = status(object, "desiredNumberScheduled");
    let updated = status(object, "updatedNumberScheduled");
    let available = status(object, "numberAvailable");
    if updated < wanted {
        return progressing(format!("{} new", of_pods(updated, wanted)));
    }
    let text = format!("{} available", of_pods(available, wanted));
    if available < wanted { progressing(text) } else { ready(text) }
}

fn pod(object: &Value) -> Readiness {
    let phase = object["status"]["phase"].as_str().unwrap_or("Pending");
    if condition(object, "Ready").is_some_and(|condition| condition["status"] == "True") {
        return ready("it is ready");
    }
    match phase {
        "Succeeded" => stuck("it has ended"),
        "Failed" => stuck("it has failed"),
        phase => progressing(format!("it is {phase}, not ready")),
    }
}

fn job(object: &Value) -> Readiness {
    let holds = |kind: &str| condition(object, kind).filter(|condition| condition["status"] == "True");
    if holds("Complete").is_some() {
        return ready("it is complete");
    }
    match holds("Failed") {
        Some(failed) => stuck(format!("it has failed: {}", failed["message"].as_str().unwrap_or_default())),
        None => progressing(format!(
            "{} running",
            super::counted(usize::try_from(status(object, "active")).unwrap_or(0), "pod")
        )),
    }
}

/// Of any other kind: `Ready`, else `Available`, else that it is there.
fn conditions(object: &Value) -> Readiness {
    let Some(condition) = condition(object, "Ready").or_else(|| condition(object, "Available")) else {
        return match object["status"]["phase"].as_str() {
            Some("Terminating") => progressing("it is Terminating"),
            Some(phase @ ("Pending" | "Failed" | "Lost")) => progressing(format!("it is {phase}")),
            _ => ready("it is there"),
        };
    };
    let kind = condition["type"].as_str().unwrap_or_default();
    if condition["status"] == "True" {
        return ready(format!("its condition {kind} is True"));
    }
    let told: Vec<&str> = [&condition["reason"], &condition["message"]].into_iter().filter_map(Value::as_str).collect();
    progressing(format!("its condition {kind} is {}: {}", condition["status"].as_str().unwrap_or("?"), told.join(": ")))
}

fn service(object: &Value, slices: &[Value]) -> Readiness {
    let endpoints: Vec<&Value> = slices.iter().filter_map(|slice| slice["endpoints"].as_array()).flatten().collect();
    let ready_count = endpoints.iter().filter(|endpoint| endpoint["conditions"]["ready"] != false).count();
    let counted = super::counted;
    if ready_count > 0 {
        return ready(format!("{} ready", counted(ready_count, "end point")));
    }
    let selector: Vec<String> = object["spec"]["selector"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if endpoints.is_empty() {
        let is = if selector.is_empty() {
            "no end points, and no selector that could find pods".to_owned()
        } else {
            format!("no end points: no pod has the labels {}", selector.join(","))
        };
        let hint = "its selector and the pods' labels must agree: `kubectl get pods --show-labels`".into();
        return Readiness::Progressing { is, hint };
    }
    progressing(format!("{}, none of them ready", counted(endpoints.len(), "end point")))
}
