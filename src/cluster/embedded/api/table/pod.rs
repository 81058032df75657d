//! A pod's row: the STATUS that users know is computed from phase, conditions and container states.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cells::{age, integer, list, none_if_empty, text};

/// The cells of a pod.
pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let summary = summarize(pod);
    let restarts = match summary.last_restart {
        Some(at) if summary.restarts > 0 => format!("{} ({} ago)", summary.restarts, super::cells::duration(at, now)),
        _ => summary.restarts.to_string(),
    };
    vec![
        text(pod, "/metadata/name").into(),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        restarts.into(),
        age(pod, now).into(),
        none_if_empty(first_address(pod)).into(),
        none_if_empty(text(pod, "/spec/nodeName")).into(),
        none_if_empty(text(pod, "/status/nominatedNodeName")).into(),
        readiness_gates(pod).into(),
    ]
}

/// Told with rows of pods that are over.
pub(super) fn row_condition(pod: &Value) -> Option<Value> {
    let (reason, message) = match text(pod, "/status/phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!({"type": "Completed", "status": "True", "reason": reason, "message": message}))
}

struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

fn first_address(pod: &Value) -> &str {
    pod.pointer("/status/podIPs/0/ip").and_then(Value::as_str).unwrap_or_else(|| text(pod, "/status/podIP"))
}

fn readiness_gates(pod: &Value) -> String {
    let gates = list(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".into();
    }
    let met = gates.iter().filter(|gate| condition(pod, text(gate, "/conditionType")) == "True").count();
    format!("{met}/{}", gates.len())
}

fn condition<'a>(pod: &'a Value, kind: &str) -> &'a str {
    list(pod, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == kind)
        .map_or("", |condition| text(condition, "/status"))
}

fn summarize(pod: &Value) -> Summary {
    let phase = text(pod, "/status/phase");
    let pod_reason = text(pod, "/status/reason");
    let sidecars: Vec<&str> = list(pod, "/spec/initContainers")
        .iter()
        .filter(|container| text(container, "/restartPolicy") == "Always")
        .map(|container| text(container, "/name"))
        .collect();
    let mut summary = Summary {
        reason: if pod_reason.is_empty() { phase.into() } else { pod_reason.into() },
        ready: 0,
        total: list(pod, "/spec/containers").len() + sidecars.len(),
        restarts: 0,
        last_restart: None,
    };
    let gated = list(pod, "/status/conditions")
        .iter()
        .any(|condition| text(condition, "/type") == "PodScheduled" && text(condition, "/reason") == "SchedulingGated");
    if gated {
        summary.reason = "SchedulingGated".into();
    }
    let (initializing, sidecar_restarts) = summarize_init(pod, &sidecars, &mut summary);
    if !initializing || condition(pod, "Initialized") == "True" {
        summary.restarts = sidecar_restarts;
        summarize_containers(pod, &mut summary);
    }
    if !text(pod, "/metadata/deletionTimestamp").is_empty() {
        if pod_reason == "NodeLost" {
            summary.reason = "Unknown".into();
        } else if !matches!(phase, "Succeeded" | "Failed") {
            summary.reason = "Terminating".into();
        }
    }
    summary
}

/// Whether an init container still holds the pod, and the restarts of those that run beside it.
fn summarize_init(pod: &Value, sidecars: &[&str], summary: &mut Summary) -> (bool, i64) {
    let wanted = list(pod, "/spec/initContainers").len();
    let mut sidecar_restarts = 0;
    for (at, status) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
        let sidecar = sidecars.contains(&text(status, "/name"));
        summary.restarts += integer(status, "/restartCount");
        note_restart(status, summary);
        if sidecar {
            sidecar_restarts += integer(status, "/restartCount");
        }
        let terminated = status.pointer("/state/terminated");
        if terminated.is_some_and(|state| integer(state, "/exitCode") == 0) {
            continue;
        }
        if sidecar && status.get("started").and_then(Value::as_bool) == Some(true) {
            summary.ready += usize::from(status.get("ready").and_then(Value::as_bool) == Some(true));
            continue;
        }
        let waiting = text(status, "/state/waiting/reason");
        summary.reason = match terminated {
            Some(state) => format!("Init:{}", ended(state)),
            None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
            None => format!("Init:{at}/{wanted}"),
        };
        return (true, sidecar_restarts);
    }
    (false, sidecar_restarts)
}

fn summarize_containers(pod: &Value, summary: &mut Summary) {
    let mut running = false;
    for status in list(pod, "/status/containerStatuses").iter().rev() {
        summary.restarts += integer(status, "/restartCount");
        note_restart(status, summary);
        let waiting = text(status, "/state/waiting/reason");
        if !waiting.is_empty() {
            summary.reason = waiting.into();
        } else if let Some(state) = status.pointer("/state/terminated") {
            summary.reason = ended(state);
        } else if status.get("ready").and_then(Value::as_bool) == Some(true)
            && status.pointer("/state/running").is_some()
        {
            running = true;
            summary.ready += 1;
        }
    }
    if running && summary.reason == "Completed" {
        summary.reason = if condition(pod, "Ready") == "True" { "Running".into() } else { "NotReady".into() };
    }
}

/// How a container ended: its reason, its signal or its exit code.
fn ended(state: &Value) -> String {
    let reason = text(state, "/reason");
    let signal = integer(state, "/signal");
    if !reason.is_empty() {
        reason.into()
    } else if signal != 0 {
        format!("Signal:{signal}")
    } else {
        format!("ExitCode:{}", integer(state, "/exitCode"))
    }
}

fn note_restart(status: &Value, summary: &mut Summary) {
    let at = text(status, "/lastState/terminated/finishedAt").parse().ok();
    summary.last_restart = summary.last_restart.max(at);
}
