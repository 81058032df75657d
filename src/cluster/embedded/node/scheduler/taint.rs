//! Taints that drive pods away: what the taint manager of Kubernetes does.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::super::super::events::{Telling, reference};
use super::super::super::registry::Deletion;
use super::super::pod::{Pod, lock};
use super::super::{NODE_NAME, Shared, kind};
use super::fit;

/// How long a pod may stay under the node's `NoExecute` taints: `None` for good, `Some(0)` not at all. Pure.
pub fn stay_seconds(pod: &Value, node: &Value) -> Option<u64> {
    let taints = node.pointer("/spec/taints").and_then(Value::as_array).into_iter().flatten();
    let tolerations = pod.pointer("/spec/tolerations").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut stay: Option<u64> = None;
    for taint in taints.filter(|taint| taint["effect"] == "NoExecute") {
        let mut fitting = tolerations.iter().filter(|toleration| fit::is_for(toleration, taint)).peekable();
        if fitting.peek().is_none() {
            return Some(0);
        }
        let seconds = fitting.filter_map(|toleration| toleration["tolerationSeconds"].as_i64());
        let least = seconds.map(|seconds| u64::try_from(seconds).unwrap_or(0)).min();
        stay = stay.into_iter().chain(least).min();
    }
    stay
}

/// Sends away the pods that the node's taints do not suffer, at once or when their time is over.
pub fn evict(shared: &Arc<Shared>) {
    let pods: Vec<Arc<Pod>> = lock(&shared.pods).values().cloned().collect();
    for pod in pods {
        look_at(shared, &pod, None);
    }
}

/// `waited` is what the pod's tolerations gave it, where that time is over.
fn look_at(shared: &Arc<Shared>, pod: &Arc<Pod>, waited: Option<u64>) {
    let Some(node) = shared.registry.get(kind("Node"), "", NODE_NAME) else { return };
    let object = pod.object();
    match stay_seconds(&object, &node.value()) {
        None => {}
        Some(seconds) if seconds == 0 || waited.is_some_and(|waited| waited >= seconds) => {
            if object.pointer("/metadata/deletionTimestamp").is_some() {
                return;
            }
            let about = reference(kind("Pod"), &object, "");
            let message = format!("Marking for deletion Pod {}/{}", pod.namespace, pod.name);
            shared.taints.tell(&about, &Telling::normal("TaintManagerEviction", message), Timestamp::now());
            let deletion = Deletion { precondition_uid: Some(pod.uid.clone()), ..Deletion::default() };
            // gone already is as good
            let _ = shared.registry.delete(kind("Pod"), &pod.namespace, &pod.name, &deletion);
        }
        Some(seconds) => {
            let (shared, pod) = (Arc::clone(shared), Arc::clone(pod));
            #[allow(clippy::cast_precision_loss, reason = "seconds of a pod's life")]
            let wait = shared.scaled(seconds as f64);
            tokio::spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep(wait) => look_at(&shared, &pod, Some(seconds)),
                    () = pod.ended() => {}
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tolerations_say_how_long() {
        let node = json!({"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}});
        let stay = |tolerations: Value| stay_seconds(&json!({"spec": {"tolerations": tolerations}}), &node);
        assert_eq!(stay(json!([])), Some(0));
        assert_eq!(stay(json!([{"key": "other", "operator": "Exists"}])), Some(0));
        assert_eq!(stay(json!([{"key": "k", "operator": "Exists"}])), None);
        assert_eq!(stay(json!([{"key": "k", "operator": "Exists", "tolerationSeconds": 30}])), Some(30));
        assert_eq!(stay_seconds(&json!({}), &json!({})), None);
    }
}
