//! Replays requests that a real Kubernetes 1.34.2 was sent with nothing but its API server running, so that no
//! controller has a part in the answers: defaults, validation, decoding, patches, server-side apply.

use std::time::Duration;

use serde_json::Value;

use super::embedded::Server;
use super::requests::{comparable, differences, normalize};

/// Replays a recording in order; the answers that differ, each with its title and first differences.
async fn replay(recorded: &str) -> (usize, Vec<String>) {
    let server = Server::start().await;
    let mut wrong = Vec::new();
    let mut same = 0;
    for line in recorded.lines() {
        let recorded: Value = serde_json::from_str(line).expect("a recording is JSON");
        if recorded["title"] == "updater 0" {
            // In the recording all of them wrote within one second, and their order goes by seconds.
            let part = jiff::Timestamp::now().subsec_nanosecond().unsigned_abs();
            tokio::time::sleep(Duration::from_nanos(1_005_000_000 - u64::from(part))).await;
        }
        let found = replay_one(&server, &recorded).await;
        if found.is_empty() {
            same += 1;
        } else {
            let shown: Vec<String> = found.iter().take(6).map(|line| line.chars().take(400).collect()).collect();
            wrong.push(format!("{}:\n    {}", recorded["title"].as_str().unwrap_or_default(), shown.join("\n    ")));
        }
    }
    (same, wrong)
}

async fn replay_one(server: &Server, recorded: &Value) -> Vec<String> {
    let text = |key: &str| recorded[key].as_str().unwrap_or_default();
    let body = match &recorded["body"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut headers = Vec::new();
    if !text("contentType").is_empty() {
        headers.push(("content-type", text("contentType")));
    }
    let answer = server.call(text("method"), text("path"), &headers, body).await;
    let (mut ours, mut theirs) = (comparable(&answer.json()), comparable(&recorded["response"]));
    normalize(&mut ours, "");
    normalize(&mut theirs, "");
    let mut found = Vec::new();
    if u64::from(answer.status) != recorded["status"].as_u64().unwrap_or_default() {
        found.push(format!("status: ours {} theirs {}", answer.status, recorded["status"]));
    }
    differences("", &ours, &theirs, &mut found);
    let warnings: Vec<&str> =
        answer.headers.get_all("warning").iter().filter_map(|value| value.to_str().ok()).collect();
    let expected: Vec<&str> = recorded["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if warnings != expected {
        found.push(format!("warnings: ours {warnings:?} theirs {expected:?}"));
    }
    found
}

/// At least so many answers are the same; the differences are printed.
async fn check(recorded: &str, same_min: usize) {
    let (same, wrong) = replay(recorded).await;
    println!("{same} same, {} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same >= same_min, "{same} answers are the same, {same_min} were");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defaults_validation_and_decoding() {
    check(include_str!("../golden/exactness/admission.jsonl"), 826).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_and_server_side_apply() {
    check(include_str!("../golden/exactness/patches.jsonl"), 344).await;
}
