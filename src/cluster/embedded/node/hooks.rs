//! What a container is asked to do right after its start.

use std::sync::Arc;

use serde_json::Value;

use super::super::events::Telling;
use super::pod::Pod;
use super::{exec, probe};

/// Runs the `postStart` hook; where it fails, that is told, and the container is to be stopped.
pub async fn post_start(pod: &Arc<Pod>, index: usize, container: &Value) -> bool {
    let hook = &container["lifecycle"]["postStart"];
    let passed = if let Some(command) = hook.pointer("/exec/command").and_then(Value::as_array) {
        let command: Vec<String> = command.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect();
        let output = exec::run(pod, index, &command);
        if output.code != 0
            && let Some(live) = pod.live(index)
            && !output.stderr.is_empty()
        {
            // Kubernetes keeps a hook's words to itself; here they say what the sandbox cannot run.
            live.log.write(&format!("postStart: {}", output.stderr), jiff::Timestamp::now());
        }
        output.code == 0
    } else if let Some(http) = hook.get("httpGet").filter(|http| http.is_object()) {
        probe::ask_http(pod, index, http).is_ok()
    } else {
        if let Some(seconds) = hook.pointer("/sleep/seconds").and_then(Value::as_f64) {
            tokio::time::sleep(pod.shared.scaled(seconds)).await;
        }
        true
    };
    if !passed {
        pod.tell(index, &Telling::warning("FailedPostStartHook", "PostStartHook failed"));
        pod.tell(index, &Telling::normal("Killing", "FailedPostStartHook"));
    }
    passed
}
