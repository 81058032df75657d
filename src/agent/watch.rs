//! How a resource stands: pure functions of the object, and for a workload of its pods and their events.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::progress::{Row, State, quoted};

/// A workload's pods of its newest revision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pods {
    /// How many the workload wants.
    pub wanted: u64,
    /// The pods themselves.
    pub pods: Vec<Value>,
}

impl Pods {
    /// Whether all that are there are ready.
    pub fn are_ready(&self) -> bool {
        self.pods.iter().all(|pod| condition(pod, "Ready") == Some("True"))
    }

    /// Whether there are others than those of these uids.
    pub fn have_new(&self, known: &HashSet<String>) -> bool {
        self.pods.iter().any(|pod| !known.contains(text(pod, "/metadata/uid")))
    }
}

/// Whether a ReplicaSet is a Deployment's present one: its pods are made from the same template.
pub fn is_present_set(deployment: &Value, set: &Value) -> bool {
    let mut template = set.pointer("/spec/template").cloned().unwrap_or_default();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    deployment.pointer("/spec/template").map(without_nulls) == Some(without_nulls(&template))
}

/// The value without the nulls that some answers carry (`creationTimestamp`).
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// Errors seen so far, of one workload's pods.
#[derive(Debug, Clone, Default)]
pub struct Errors {
    pods: HashMap<String, PodErrors>,
    looked: bool,
}

#[derive(Debug, Clone, Default)]
struct PodErrors {
    count: u64,
    last: String,
    waiting: HashMap<String, String>,
    events: HashMap<String, u64>,
}

/// Whether the object is as desired; `Err` says that it never will be.
pub fn readiness(object: &Value) -> Result<bool, String> {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64);
    let status = |field: &str| number(&format!("/status/{field}")).unwrap_or(0);
    let observed = status("observedGeneration") >= number("/metadata/generation").unwrap_or(0);
    let wanted = number("/spec/replicas").unwrap_or(1);
    match kind {
        "Deployment" => Ok(observed
            && status("updatedReplicas") == wanted
            && status("replicas") == wanted
            && status("availableReplicas") == wanted),
        "StatefulSet" => Ok(observed && status("updatedReplicas") == wanted && status("readyReplicas") == wanted),
        "ReplicaSet" | "ReplicationController" => Ok(observed && status("readyReplicas") == wanted),
        "DaemonSet" => {
            let wanted = status("desiredNumberScheduled");
            Ok(observed && status("updatedNumberScheduled") == wanted && status("numberAvailable") == wanted)
        }
        "Job" => match condition(object, "Failed") {
            Some("True") => Err("the job failed".into()),
            _ => Ok(condition(object, "Complete") == Some("True")),
        },
        "Pod" => match object.pointer("/status/phase").and_then(Value::as_str) {
            Some("Succeeded") => Ok(true),
            Some("Failed") => Err("the pod failed".into()),
            _ => Ok(condition(object, "Ready") == Some("True")),
        },
        "CustomResourceDefinition" => Ok(condition(object, "Established") == Some("True")),
        _ => Ok(true),
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))?
        .get("status")?
        .as_str()
}

/// A pod's status as kubectl words it.
pub fn pod_status(pod: &Value) -> String {
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten();
    for status in statuses {
        for state in ["waiting", "terminated"] {
            if let Some(reason) = status.pointer(&format!("/state/{state}/reason")).and_then(Value::as_str) {
                return reason.to_owned();
            }
        }
    }
    pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or("Pending").to_owned()
}

impl Errors {
    /// Takes in what pods and events say at `now_s` (seconds since 1970); nobody counts further than `limit`.
    pub fn observe(&mut self, pods: &[Value], events: &[Value], now_s: i64, limit: u64) {
        // What probes said before the first look is an earlier deployment's.
        let first = !std::mem::replace(&mut self.looked, true);
        for pod in pods {
            let name = text(pod, "/metadata/name");
            let errors = self.pods.entry(name.to_owned()).or_default();
            errors.observe_containers(pod);
            let ignored_until = probe_errors_ignored_until_s(pod);
            for event in events.iter().filter(|event| concerns(event, pod)) {
                errors.observe_event(event, first || ignored_until.is_none_or(|until| now_s < until), limit);
            }
        }
    }

    /// How many errors there are in all.
    pub fn count(&self) -> u64 {
        self.pods.values().map(|errors| errors.count).sum()
    }

    fn of(&self, pod: &str) -> Option<&PodErrors> {
        self.pods.get(pod).filter(|errors| errors.count > 0)
    }
}

impl PodErrors {
    fn observe_containers(&mut self, pod: &Value) {
        for field in ["initContainerStatuses", "containerStatuses"] {
            let statuses = pod.pointer(&format!("/status/{field}")).and_then(Value::as_array).into_iter().flatten();
            for status in statuses {
                let Some(waiting) = status.pointer("/state/waiting") else { continue };
                let reason = text(waiting, "/reason");
                if matches!(reason, "" | "ContainerCreating" | "PodInitializing") {
                    continue;
                }
                let error = format!("{reason}: {}", text(waiting, "/message"));
                let container = text(status, "/name");
                if self.waiting.get(container) != Some(&error) {
                    self.waiting.insert(container.to_owned(), error.clone());
                    self.add(1, error);
                }
            }
        }
    }

    fn observe_event(&mut self, event: &Value, ignored: bool, limit: u64) {
        let count = event
            .get("count")
            .and_then(Value::as_u64)
            .or_else(|| event.pointer("/series/count")?.as_u64())
            .unwrap_or(1);
        let before = self.events.insert(text(event, "/metadata/name").to_owned(), count).unwrap_or(0);
        if count > before && !ignored {
            let message = text(event, "/message").lines().next().unwrap_or_default();
            self.add(
                (count - before).min(limit.saturating_sub(self.count)),
                format!("{}: {message}", text(event, "/reason")),
            );
        }
    }

    fn add(&mut self, count: u64, error: String) {
        self.count += count;
        self.last = error;
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether an event is about a failing probe of the pod.
fn concerns(event: &Value, pod: &Value) -> bool {
    let (uid, own) = (text(event, "/involvedObject/uid"), text(pod, "/metadata/uid"));
    let same =
        if uid.is_empty() { text(event, "/involvedObject/name") == text(pod, "/metadata/name") } else { uid == own };
    same && text(event, "/type") == "Warning"
        && matches!(text(event, "/reason"), "Unhealthy" | "FailedMount" | "FailedCreatePodSandBox")
}

/// Until when failing readiness probes of a pod are no errors yet: it may still be starting. `None`: it has not started.
fn probe_errors_ignored_until_s(pod: &Value) -> Option<i64> {
    let started = pod.pointer("/status/containerStatuses/0/state/running/startedAt").and_then(Value::as_str)?;
    let started_s = started.parse::<jiff::Timestamp>().ok()?.as_second();
    let probe = pod.pointer("/spec/containers/0/readinessProbe");
    let field = |name: &str, default: i64| probe.and_then(|probe| probe.get(name)?.as_i64()).unwrap_or(default);
    let threshold = field("failureThreshold", 3);
    let patience_s = if threshold <= 1 { 0 } else { field("periodSeconds", 10) * threshold };
    Some(started_s + field("initialDelaySeconds", 0) + patience_s)
}

/// A workload's lines of the table: its own, and its pods'.
pub fn workload_rows(name: &str, state: State, pods: &Pods, errors: &Errors) -> Vec<Row> {
    let ready = pods.pods.iter().filter(|pod| condition(pod, "Ready") == Some("True")).count();
    let mut rows = vec![Row { resource: name.to_owned(), state, info: format!("Ready:{ready}/{}", pods.wanted) }];
    for pod in &pods.pods {
        let pod_name = text(pod, "/metadata/name");
        let is_ready = condition(pod, "Ready") == Some("True");
        let mut info = format!("Status:{}", pod_status(pod));
        if let Some(error) = errors.of(pod_name) {
            info.push_str(&format!("  Errors:{}  LastError:{}", error.count, quoted(&error.last)));
        }
        rows.push(Row {
            resource: format!(" • Pod/{pod_name}"),
            state: if is_ready { State::Ready } else { State::Unknown },
            info,
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(updated: u64, replicas: u64, available: u64) -> Value {
        json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2},
               "status": {"observedGeneration": 2, "updatedReplicas": updated, "replicas": replicas, "availableReplicas": available}})
    }

    #[test]
    fn a_deployment_is_ready_when_only_new_pods_serve() {
        assert_eq!(readiness(&deployment(2, 2, 2)), Ok(true));
        assert_eq!(readiness(&deployment(1, 3, 2)), Ok(false));
        assert_eq!(readiness(&deployment(2, 3, 3)), Ok(false));
        assert_eq!(readiness(&json!({"kind": "Service"})), Ok(true));
        assert!(
            readiness(&json!({"kind": "Job", "status": {"conditions": [{"type": "Failed", "status": "True"}]}}))
                .is_err()
        );
    }

    #[test]
    fn the_present_replica_set_has_the_deployments_template() {
        let deployment = json!({"spec": {"template": {"metadata": {"labels": {"app": "a"}}, "spec": {"x": 1}}}});
        let set = |x: u64| {
            json!({"spec": {"template": {
                "metadata": {"creationTimestamp": null, "labels": {"app": "a", "pod-template-hash": "h"}}, "spec": {"x": x}
            }}})
        };
        assert!(is_present_set(&deployment, &set(1)));
        assert!(!is_present_set(&deployment, &set(2)));
    }

    #[test]
    fn every_new_waiting_reason_is_an_error() {
        let pod = |reason: &str, message: &str| json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [{"name": "web", "state": {"waiting": {"reason": reason, "message": message}}}]}});
        let mut errors = Errors::default();
        for (reason, message, count) in [
            ("ContainerCreating", "", 0),
            ("ErrImagePull", "x", 1),
            ("ErrImagePull", "x", 1),
            ("ImagePullBackOff", "y", 2),
            ("ErrImagePull", "x", 3),
        ] {
            errors.observe(&[pod(reason, message)], &[], 0, 3);
            assert_eq!(errors.count(), count, "{reason}");
        }
    }

    #[test]
    fn failing_probes_count_once_the_pod_had_its_time() {
        let pod = json!({
            "metadata": {"name": "p", "uid": "u"},
            "spec": {"containers": [{"readinessProbe": {"periodSeconds": 1}}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "web", "state": {"running": {"startedAt": "1970-01-01T00:00:10Z"}}}]}
        });
        let event = |count: u64| {
            json!({"metadata": {"name": "e"}, "type": "Warning", "reason": "Unhealthy", "count": count,
                   "involvedObject": {"uid": "u"}, "message": "Readiness probe failed: HTTP probe failed with statuscode: 404"})
        };
        let mut errors = Errors::default();
        errors.observe(std::slice::from_ref(&pod), &[event(2)], 12, 3);
        assert_eq!(errors.count(), 0);
        errors.observe(std::slice::from_ref(&pod), &[event(7)], 15, 3);
        assert_eq!(errors.count(), 3);
        let rows = workload_rows("Deployment/demo-app", State::Failed, &Pods { wanted: 2, pods: vec![pod] }, &errors);
        assert_eq!(rows[0].info, "Ready:0/2");
        assert_eq!(
            rows[1].info,
            "Status:Running  Errors:3  LastError:\"Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 404\""
        );
    }
}
