//! Replays requests that a real Kubernetes 1.34.2 was sent with nothing but its API server running, so that no
//! controller has a part in the answers: defaults, validation, decoding, patches, server-side apply. Of the requests
//! 800 to 803 the recording kept a later one's status; what stands there is what their answers say was sent.

use std::time::Duration;

use serde_json::Value;

use super::embedded::Server;
use super::requests::{Difference, Known, comparable, differences, normalize};

/// Replays a recording in order; what differs is just what the table of known differences says, no more and no less.
async fn check(recorded: &str, known: &'static str) {
    let server = Server::start().await;
    let known = Known::read(known);
    let mut wrong = Vec::new();
    let mut same = 0;
    for (number, line) in recorded.lines().enumerate() {
        let recorded: Value = serde_json::from_str(line).expect("a recording is JSON");
        if recorded["title"] == "updater 0" {
            // In the recording all of them wrote within one second, and their order goes by seconds.
            let part = jiff::Timestamp::now().subsec_nanosecond().unsigned_abs();
            tokio::time::sleep(Duration::from_nanos(1_005_000_000 - u64::from(part))).await;
        }
        let found = replay_one(&server, &recorded).await;
        same += usize::from(found.is_empty());
        let title = recorded["title"].as_str().and_then(|title| title.lines().next());
        wrong.extend(known.judge(number, title.unwrap_or_default().trim_end(), &found));
    }
    println!(
        "{same} of {} answers are as recorded, {} differ for a stated reason",
        recorded.lines().count(),
        known.len()
    );
    assert!(wrong.is_empty(), "{} answers differ otherwise than the table says:\n{}", wrong.len(), wrong.join("\n"));
}

async fn replay_one(server: &Server, recorded: &Value) -> Vec<Difference> {
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
    let mut found: Vec<_> = Difference::status(answer.status, &recorded["status"]).into_iter().collect();
    differences("", &ours, &theirs, &mut found);
    let warnings: Vec<&str> =
        answer.headers.get_all("warning").iter().filter_map(|value| value.to_str().ok()).collect();
    let expected: Vec<&str> = recorded["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if warnings != expected {
        found.push(Difference { place: "warnings".into(), detail: format!("ours {warnings:?} theirs {expected:?}") });
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defaults_validation_and_decoding() {
    check(include_str!("../golden/exactness/admission.jsonl"), "exactness/admission-differ.txt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_and_server_side_apply() {
    check(include_str!("../golden/exactness/patches.jsonl"), "exactness/patches-differ.txt").await;
}
