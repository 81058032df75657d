//! A pod's status, computed from what its containers do. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::NODE_ADDRESS;

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminated {
    pub exit_code: i32,
    pub reason: &'static str,
    pub message: String,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub container_id: String,
}

/// Where a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    Waiting { reason: &'static str, message: String },
    Running { since: Timestamp },
    Terminated(Terminated),
}

/// A container as its status shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerView {
    pub name: String,
    /// The full name once it is pulled, the name as written before.
    pub image: String,
    pub image_id: String,
    pub container_id: String,
    pub stage: Stage,
    pub last: Option<Terminated>,
    pub ready: bool,
    pub started: bool,
    pub restarts: u32,
    /// An init container that goes on beside the others.
    pub is_sidecar: bool,
}

/// A pod as its status shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodView {
    pub started: Timestamp,
    /// Empty while the sandbox is not set up.
    pub address: String,
    pub initialized: bool,
    pub init_containers: Vec<ContainerView>,
    pub containers: Vec<ContainerView>,
    /// The containers have ended and will not start again, or the pod is being taken down.
    pub over: bool,
    /// Why the whole pod has failed, where that is not for its containers to show: reason and message.
    pub failure: Option<(String, String)>,
}

/// The whole `status`; `live` is the pod as it is, for what stays and for the times of conditions.
pub fn compute(view: &PodView, live: &Value, now: Timestamp) -> Value {
    let generation = live.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1);
    let phase = phase(view);
    let mut status = Map::new();
    status.insert("observedGeneration".into(), generation.into());
    status.insert("phase".into(), phase.into());
    if let Some((reason, message)) = &view.failure {
        status.insert("reason".into(), reason.clone().into());
        status.insert("message".into(), message.clone().into());
    }
    status.insert("conditions".into(), conditions(view, phase, live, generation, now));
    status.insert("hostIP".into(), NODE_ADDRESS.into());
    status.insert("hostIPs".into(), json!([{"ip": NODE_ADDRESS}]));
    if !view.address.is_empty() {
        status.insert("podIP".into(), view.address.clone().into());
        status.insert("podIPs".into(), json!([{"ip": view.address}]));
    }
    status.insert("startTime".into(), time(view.started).into());
    let spec = |key: &str| live.pointer(&format!("/spec/{key}")).and_then(Value::as_array).cloned().unwrap_or_default();
    if !view.init_containers.is_empty() {
        let specs = spec("initContainers");
        let list: Vec<Value> =
            view.init_containers.iter().map(|container| container_status(container, &specs)).collect();
        status.insert("initContainerStatuses".into(), list.into());
    }
    let specs = spec("containers");
    let list: Vec<Value> = view.containers.iter().map(|container| container_status(container, &specs)).collect();
    status.insert("containerStatuses".into(), list.into());
    if let Some(quality) = live.pointer("/status/qosClass") {
        status.insert("qosClass".into(), quality.clone());
    }
    Value::Object(status)
}

fn phase(view: &PodView) -> &'static str {
    if view.failure.is_some() {
        return "Failed";
    }
    let terminated: Vec<Option<i32>> = view
        .containers
        .iter()
        .map(|container| match &container.stage {
            Stage::Terminated(terminated) => Some(terminated.exit_code),
            _ => None,
        })
        .collect();
    let init_failed = view.over
        && view
            .init_containers
            .iter()
            .any(|container| matches!(&container.stage, Stage::Terminated(t) if t.exit_code != 0));
    if view.over && terminated.iter().all(Option::is_some) {
        return if terminated.iter().all(|code| *code == Some(0)) { "Succeeded" } else { "Failed" };
    }
    if init_failed {
        return "Failed";
    }
    let has_run = |container: &ContainerView| {
        !matches!(container.stage, Stage::Waiting { .. }) || container.restarts > 0 || container.last.is_some()
    };
    if view.containers.iter().any(has_run) { "Running" } else { "Pending" }
}

fn conditions(view: &PodView, phase: &str, live: &Value, generation: i64, now: Timestamp) -> Value {
    let sidecars = view.init_containers.iter().filter(|container| container.is_sidecar);
    let unready: Vec<&str> = sidecars
        .chain(&view.containers)
        .filter(|container| !container.ready)
        .map(|container| container.name.as_str())
        .collect();
    let completed = matches!(phase, "Succeeded");
    let failed = matches!(phase, "Failed");
    let not_ready = || {
        if completed {
            ("False", Some("PodCompleted"), None)
        } else if failed {
            ("False", Some("PodFailed"), None)
        } else {
            (
                "False",
                Some("ContainersNotReady"),
                Some(format!("containers with unready status: [{}]", unready.join(" "))),
            )
        }
    };
    let ready = || if unready.is_empty() { ("True", None, None) } else { not_ready() };
    let initialized = if completed {
        ("True", Some("PodCompleted"), None)
    } else if view.initialized {
        ("True", None, None)
    } else {
        let names: Vec<&str> = view
            .init_containers
            .iter()
            .filter(|container| {
                let done = matches!(&container.stage, Stage::Terminated(ended) if ended.exit_code == 0);
                if container.is_sidecar { !container.started } else { !done }
            })
            .map(|container| container.name.as_str())
            .collect();
        (
            "False",
            Some("ContainersNotInitialized"),
            Some(format!("containers with incomplete status: [{}]", names.join(" "))),
        )
    };
    let sandbox = if view.address.is_empty() || completed || failed { "False" } else { "True" };
    let wanted = [
        ("PodReadyToStartContainers", (sandbox, None, None)),
        ("Initialized", initialized),
        ("Ready", ready()),
        ("ContainersReady", ready()),
        ("PodScheduled", ("True", None, None)),
    ];
    let before = live.pointer("/status/conditions").and_then(Value::as_array);
    let list: Vec<Value> = wanted
        .into_iter()
        .map(|(name, (status, reason, message))| {
            let old = before.into_iter().flatten().find(|condition| condition["type"] == name);
            let since = old
                .filter(|condition| condition["status"] == status)
                .and_then(|condition| condition["lastTransitionTime"].as_str())
                .map_or_else(|| time(now), str::to_owned);
            let mut condition = json!({"type": name, "observedGeneration": generation, "status": status,
                "lastProbeTime": null, "lastTransitionTime": since});
            if let Some(reason) = reason {
                condition["reason"] = reason.into();
            }
            if let Some(message) = message {
                condition["message"] = message.into();
            }
            condition
        })
        .collect();
    list.into()
}

fn container_status(view: &ContainerView, specs: &[Value]) -> Value {
    let mut status = json!({
        "name": view.name,
        "state": stage(&view.stage),
        "lastState": view.last.as_ref().map_or_else(|| json!({}), |last| json!({"terminated": terminated(last)})),
        "ready": view.ready,
        "restartCount": view.restarts,
        "image": view.image,
        "imageID": view.image_id,
        "started": view.started,
    });
    if !view.container_id.is_empty() {
        status["containerID"] = view.container_id.clone().into();
        status["resources"] = json!({});
    }
    let spec = specs.iter().find(|spec| spec["name"] == view.name.as_str());
    let mounts: Vec<Value> = spec
        .and_then(|spec| spec["volumeMounts"].as_array())
        .into_iter()
        .flatten()
        .map(|mount| {
            let mut shown = json!({"name": mount["name"], "mountPath": mount["mountPath"]});
            if mount["readOnly"] == true {
                shown["readOnly"] = true.into();
                shown["recursiveReadOnly"] = "Disabled".into();
            }
            shown
        })
        .collect();
    if !mounts.is_empty() {
        status["volumeMounts"] = mounts.into();
    }
    status
}

fn stage(stage: &Stage) -> Value {
    match stage {
        Stage::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
        Stage::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
        Stage::Running { since } => json!({"running": {"startedAt": time(*since)}}),
        Stage::Terminated(ended) => json!({"terminated": terminated(ended)}),
    }
}

fn terminated(ended: &Terminated) -> Value {
    let mut value = json!({
        "exitCode": ended.exit_code,
        "reason": ended.reason,
        "startedAt": time(ended.started),
        "finishedAt": time(ended.finished),
    });
    if !ended.message.is_empty() {
        value["message"] = ended.message.clone().into();
    }
    if !ended.container_id.is_empty() {
        value["containerID"] = ended.container_id.clone().into();
    }
    value
}

pub fn time(time: Timestamp) -> String {
    format!("{time:.0}")
}
