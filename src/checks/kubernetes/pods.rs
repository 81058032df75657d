//! Why pods are not ready, in their own words.

use serde_json::Value;

use super::super::cluster::{Cluster, ClusterError};
use super::name_of;

/// Reasons for which a container will not start by itself.
const LASTING: [&str; 7] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
];
/// So many failed probes mean that they will go on failing.
const FAILED_PROBES_MAX: u64 = 3;

/// What keeps a pod from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub text: String,
    pub hint: String,
    /// It will not pass by itself.
    pub is_lasting: bool,
}

/// The trouble of the youngest pod that has any, among those that the object owns or is.
pub async fn trouble(cluster: &Cluster, kind: &str, object: &Value) -> Result<Option<Trouble>, ClusterError> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let pods = match (kind, selector(object)) {
        ("Pod", _) => vec![object.clone()],
        ("Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job", Some(selector)) => {
            cluster.list(&format!("/api/v1/namespaces/{namespace}/pods"), Some(&selector)).await?
        }
        _ => return Ok(None),
    };
    let mut unready: Vec<&Value> = pods.iter().filter(|pod| !is_ready(pod)).collect();
    unready.sort_by_key(|pod| pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default());
    if unready.is_empty() {
        return Ok(None);
    }
    let events = cluster.list(&format!("/api/v1/namespaces/{namespace}/events"), None).await?;
    Ok(unready.iter().rev().find_map(|pod| of_pod(pod, &events)))
}

fn selector(object: &Value) -> Option<String> {
    let labels = object["spec"]["selector"]["matchLabels"].as_object()?;
    let terms = labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    Some(terms.collect::<Vec<_>>().join(","))
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Why one pod is not ready.
fn of_pod(pod: &Value, events: &[Value]) -> Option<Trouble> {
    let name = name_of(pod);
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let describe = format!("`kubectl describe pod {name} -n {namespace}` tells its story");
    let statuses = ["initContainerStatuses", "containerStatuses"];
    let containers = statuses.iter().filter_map(|field| pod["status"][*field].as_array()).flatten();
    for container in containers {
        let waiting = &container["state"]["waiting"];
        let reason = waiting["reason"].as_str().unwrap_or_default();
        if LASTING.contains(&reason) {
            let message = waiting["message"].as_str().map(|message| format!(": {message}")).unwrap_or_default();
            let hint = match reason {
                "CrashLoopBackOff" => format!("`kubectl logs {name} -n {namespace} -p` shows its last words"),
                _ => describe,
            };
            return Some(Trouble { text: format!("pod {name}: {reason}{message}"), hint, is_lasting: true });
        }
        let ended = &container["state"]["terminated"];
        if let Some(code) = ended["exitCode"].as_i64().filter(|code| *code != 0) {
            let text = format!("pod {name}: its container {} exited {code}", container["name"].as_str().unwrap_or("?"));
            let hint = format!("`kubectl logs {name} -n {namespace}` shows its last words");
            return Some(Trouble { text, hint, is_lasting: false });
        }
    }
    let of_this_pod = |event: &&Value| event["involvedObject"]["name"] == name && event["type"] == "Warning";
    let mut warnings: Vec<&Value> = events.iter().filter(of_this_pod).collect();
    warnings.sort_by_key(|event| event["lastTimestamp"].as_str().unwrap_or_default());
    let event = warnings.last()?;
    let message = event["message"].as_str().unwrap_or_default().trim();
    let is_probe = event["reason"] == "Unhealthy";
    let count = event["count"].as_u64().unwrap_or(1);
    let is_lasting = (is_probe && count >= FAILED_PROBES_MAX) || event["reason"] == "FailedScheduling";
    Some(Trouble { text: format!("pod {name}: {message}"), hint: describe, is_lasting })
}
