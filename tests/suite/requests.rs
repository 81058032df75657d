//! Replays what a real Kubernetes 1.34.2 was asked, in order, and compares each answer whole.

use std::collections::BTreeMap;

use serde_json::Value;

use super::embedded::{READER, Server};

const RECORDED: &str = include_str!("../golden/requests.jsonl");

/// Differences that stay, by the request's number and title, with the reason.
const DIFFERENCES: &[(usize, &str, &str)] = &[];

/// What is random or a matter of time, replaced by what kind of thing it is; whether it is there still counts.
fn normalize(value: &mut Value, key: &str) {
    match value {
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                normalize(member, key);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| normalize(item, key)),
        Value::String(text) => {
            let random = ["uid", "resourceVersion", "continue", "token", "clusterIP", "clusterIPs", "ca.crt"];
            if random.contains(&key) && text != "None" {
                *text = format!("<{key}>");
            } else {
                *text = placeholders(text);
            }
        }
        Value::Number(_) if key == "nodePort" => {
            let chosen = value.as_i64().is_some_and(|port| port > 30_100);
            if chosen {
                *value = "<chosen>".into();
            }
        }
        _ => {}
    }
}

fn placeholders(text: &str) -> String {
    use std::sync::OnceLock;
    static PATTERNS: OnceLock<Vec<(regex::Regex, &str)>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(|| {
        [
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
            (r"kube-api-access-[a-z0-9]{5}", "kube-api-access-<suffix>"),
            (r"\bg-[a-z0-9]{5}\b", "g-<suffix>"),
            (r"current: \d+", "current: <revision>"),
            (r"10\.96\.(\d+)\.(\d+)", "<address>"),
            (r"80:3[12]\d{3}/TCP", "80:<chosen>/TCP"),
            (r"^\d+[smh](\d+[sm])?$", "<age>"),
        ]
        .into_iter()
        .map(|(pattern, placeholder)| (regex::Regex::new(pattern).unwrap(), placeholder))
        .collect()
    });
    patterns
        .iter()
        .fold(text.to_owned(), |text, (pattern, placeholder)| pattern.replace_all(&text, *placeholder).into_owned())
}

/// Watch streams and single events are lines of JSON; a recorded one-line stream was kept as its object.
fn comparable(value: &Value) -> Value {
    if let Value::String(text) = value {
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if !lines.is_empty() && lines.len() == text.lines().count() && text.starts_with('{') {
            return if let [only] = &lines[..] { only.clone() } else { Value::Array(lines) };
        }
    }
    value.clone()
}

/// The first differences between two values, by path.
fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeMap<&String, ()> = a.keys().chain(b.keys()).map(|key| (key, ())).collect();
            for key in keys.keys() {
                let path = format!("{path}.{key}");
                match (a.get(*key), b.get(*key)) {
                    (Some(a), Some(b)) => differences(&path, a, b, found),
                    (None, Some(b)) => found.push(format!("{path}: lacking {b}")),
                    (Some(a), None) => found.push(format!("{path}: extra {a}")),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{at}]"), a, b, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: ours {ours} theirs {theirs}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the controllers"]
async fn the_recorded_requests_are_answered_as_recorded() {
    let server = Server::start().await;
    let mut generated: Option<String> = None;
    let mut continued: Option<String> = None;
    let mut wrong = Vec::new();
    let mut same = 0;
    for (number, line) in RECORDED.lines().enumerate() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| recorded[key].as_str().unwrap_or_default();
        let (title, method) = (text("title"), text("method"));
        let mut path = text("path").to_owned();
        if let (Some(token), true) = (&continued, path.contains("continue=ey")) {
            path = format!("{}continue={token}", path.split("continue=").next().unwrap());
        }
        let body = match &recorded["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut headers = Vec::new();
        if !text("contentType").is_empty() {
            headers.push(("content-type", text("contentType")));
        }
        if !text("accept").is_empty() {
            headers.push(("accept", text("accept")));
        }
        let token = match title {
            "no credentials" => "",
            "a wrong token" => "wrong",
            _ => super::embedded::ADMIN,
        };
        let answer = server.call_as(token, method, &path, &headers, body).await;
        let mut ours = comparable(&answer.json());
        if title == "generateName" {
            generated = ours["metadata"]["name"].as_str().map(Into::into);
        }
        if let Some(token) = ours["metadata"]["continue"].as_str() {
            continued = Some(token.into());
        }
        let mut theirs = comparable(&recorded["response"]);
        normalize(&mut ours, "");
        normalize(&mut theirs, "");
        let mut found = Vec::new();
        if u64::from(answer.status) != recorded["status"].as_u64().unwrap() {
            found.push(format!("status: ours {} theirs {}", answer.status, recorded["status"]));
        }
        differences("", &ours, &theirs, &mut found);
        let listed = DIFFERENCES.iter().any(|(at, known, _)| *at == number && *known == title);
        match (found.is_empty(), listed) {
            (true, false) => same += 1,
            (true, true) => wrong.push(format!("{number} {title}: listed as different, but is the same now")),
            (false, true) => {}
            (false, false) => {
                let shown: Vec<String> = found.iter().take(6).map(|line| line.chars().take(300).collect()).collect();
                wrong.push(format!("{number} {title} ({method} {path}):\n    {}", shown.join("\n    ")));
            }
        }
    }
    let _ = generated;
    println!(
        "{same} of {} requests are answered as recorded, {} differ for a stated reason",
        RECORDED.lines().count(),
        DIFFERENCES.len()
    );
    assert!(wrong.is_empty(), "{} requests differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn without_credentials_nothing_is_told() {
    let server = Server::start().await;
    for path in ["/version", "/healthz", "/readyz", "/livez", "/readyz?verbose"] {
        assert_eq!(server.call_as("", "GET", path, &[], "").await.status, 200, "{path}");
    }
    for path in
        ["/", "/api", "/apis", "/api/v1", "/api/v1/pods", "/openapi/v3", "/nothing", "/tutorial/v1/state", "/metrics"]
    {
        for token in ["", "wrong"] {
            let answer = server.call_as(token, "GET", path, &[], "").await;
            assert_eq!((answer.status, answer.json()["reason"].as_str()), (401, Some("Unauthorized")), "{path}");
        }
    }
}

#[tokio::test]
async fn the_reader_reads_and_writes_nothing() {
    let server = Server::start().await;
    let check = async |method: &str, path: &str, status: u16, message: &str| {
        let answer = server.call_as(READER, method, path, &[("content-type", "application/json")], "{}").await;
        assert_eq!(answer.status, status, "{method} {path}: {:?}", answer.json());
        if !message.is_empty() {
            assert_eq!(answer.json()["message"], message, "{method} {path}");
        }
    };
    check("GET", "/api/v1/namespaces/default/secrets", 200, "").await;
    check(
        "POST",
        "/api/v1/namespaces/default/configmaps",
        403,
        "configmaps is forbidden: User \"tutorial-reader\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"default\"",
    )
    .await;
    check(
        "DELETE",
        "/apis/apps/v1/namespaces/default/deployments/d",
        403,
        "deployments.apps \"d\" is forbidden: User \"tutorial-reader\" cannot delete resource \"deployments\" in API group \"apps\" in the namespace \"default\"",
    )
    .await;
    check("GET", "/api/v1/namespaces/default/pods/p/exec?command=ls", 403, "").await;
    check("GET", "/tutorial/v1/state", 403, "").await;
    check("POST", "/tutorial/v1/snapshots/a", 403, "").await;
    check("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", 201, "").await;
}
