//! Replays what a real Kubernetes 1.34.2 was asked, in order, and compares each answer whole.

use std::collections::BTreeMap;

use serde_json::Value;

use super::embedded::{READER, Server};

const RECORDED: &str = include_str!("../golden/requests.jsonl");

/// Differences that stay, by the request's number and title, with the reason.
const DIFFERENCES: &[(usize, &str, &str)] = &[
    (72, "strategic merge: $patch delete", SOONER),
    (73, "strategic merge: $patch replace", SOONER),
    (74, "strategic merge: delete from a primitive map by null", SOONER),
    (75, "strategic merge: $setElementOrder", SOONER),
    (102, "change a Pod", "the real message ends in a diff of Go's own types"),
    (103, "change a Pod image", NO_NODE),
    (126, "Table of nodes", NO_NODE),
    (127, "Table of pods", NO_NODE),
    (133, "Table of events", NO_NODE),
    (141, "foreground", "its managed fields remember more or fewer steps of a scaling"),
    (142, "delete a Pod", NO_NODE),
    (143, "delete a Pod at once", NO_NODE),
    (152, "version", "it says that it is the embedded cluster"),
    (154, "health", "the checks are named for its own parts"),
    (155, "who am I", "the administrator has a token, not a certificate"),
    (161, "no credentials", "nothing is told to the anonymous, not even that it is forbidden"),
];

/// Where the recorded controllers had not come by yet, they are held: from the first of these requests on, up to the
/// second.
const HELD: &[(usize, usize)] = &[(79, 83), (149, usize::MAX)];

const SOONER: &str = "the recorded controllers had not yet seen the change before: here they have";
const NO_NODE: &str = "no node takes part in this test";

/// What is random or a matter of time, replaced by what kind of thing it is; whether it is there still counts.
pub fn normalize(value: &mut Value, key: &str) {
    match value {
        Value::Object(members) => {
            let renamed = std::mem::take(members).into_iter().map(|(key, mut member)| {
                normalize(&mut member, &key);
                (placeholders(&key), member)
            });
            *members = renamed.collect();
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| normalize(item, key));
            // Their order is that of their times.
            if key == "managedFields" {
                items.sort_by_key(|item| {
                    (item["operation"].to_string(), item["manager"].to_string(), item["subresource"].to_string())
                });
            }
        }
        Value::String(text) => {
            let random = [
                "uid",
                "resourceVersion",
                "continue",
                "token",
                "clusterIP",
                "clusterIPs",
                "ca.crt",
                "pod-template-hash",
            ];
            if random.contains(&key) && text != "None" {
                *text = format!("<{key}>");
            } else {
                *text = placeholders(text);
            }
        }
        Value::Number(_) if key == "nodePort" => {
            let chosen = value.as_i64().is_some_and(|port| port != 30_090);
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
            (r#"(\\*"resourceVersion\\*":\\*")\d+"#, "$1<revision>"),
            (r"^\d+\.\d+\.\d+\.\d+:\d+$", "<address>"),
            (r"10\.96\.\d+\.\d+", "<address>"),
            (r"80:3(?:[12]\d{3}|0[1-9]\d\d|008\d|009[1-9])/TCP", "80:<chosen>/TCP"),
            (r"^\d+[smh](\d+[sm])?$", "<age>"),
            (r"\bd-[0-9a-z]{8,10}\b", "d-<hash>"),
            (r"pod-template-hash=[0-9a-z]{8,10}", "pod-template-hash=<hash>"),
            (r"^(h|np|np2|s)-[0-9a-z]{5}$", "$1-<suffix>"),
        ]
        .into_iter()
        .map(|(pattern, placeholder)| (regex::Regex::new(pattern).unwrap(), placeholder))
        .collect()
    });
    patterns
        .iter()
        .fold(text.to_owned(), |text, (pattern, placeholder)| pattern.replace_all(&text, *placeholder).into_owned())
}

/// Rows are in the order of names, and those end in hashes here.
fn sort_hashed_rows(table: &mut Value) {
    if let Some(rows) = table.get_mut("rows").and_then(Value::as_array_mut) {
        rows.sort_by_key(|row| {
            let name = row["cells"][0].as_str().unwrap_or_default();
            if name.contains("<hash>") { row["cells"].to_string() } else { name.to_owned() }
        });
    }
}

/// Watch streams and single events are lines of JSON; a recorded one-line stream was kept as its object.
pub fn comparable(value: &Value) -> Value {
    if let Value::String(text) = value {
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if !lines.is_empty() && lines.len() == text.lines().count() && text.starts_with('{') {
            return if let [only] = &lines[..] { only.clone() } else { Value::Array(lines) };
        }
    }
    value.clone()
}

/// Discovery lists the kinds that are served as Kubernetes does, in its order; the others are taken out.
fn keep_served(theirs: &mut Value, ours: &Value) {
    let names = |value: &Value, list: &str, name: &str| -> Vec<Value> {
        value[list]
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| item.pointer(name).cloned().unwrap_or_default())
            .collect()
    };
    let keep = |theirs: &mut Value, ours: &Value, list: &str, name: &str| {
        let served = names(ours, list, name);
        if let Some(items) = theirs[list].as_array_mut() {
            items.retain(|item| served.contains(item.pointer(name).unwrap_or(&Value::Null)));
        }
    };
    if ours["kind"] == "APIResourceList" {
        keep(theirs, ours, "resources", "/name");
    }
    if ours["kind"] == "APIGroupDiscoveryList" {
        keep(theirs, ours, "items", "/metadata/name");
        for (theirs, ours) in theirs["items"].as_array_mut().unwrap().iter_mut().zip(ours["items"].as_array().unwrap())
        {
            keep(theirs, ours, "versions", "/version");
            let ours = ours["versions"].as_array().unwrap();
            for (theirs, ours) in theirs["versions"].as_array_mut().unwrap().iter_mut().zip(ours) {
                keep(theirs, ours, "resources", "/resource");
                for (theirs, ours) in
                    theirs["resources"].as_array_mut().unwrap().iter_mut().zip(ours["resources"].as_array().unwrap())
                {
                    if theirs["subresources"].is_array() {
                        keep(theirs, ours, "subresources", "/subresource");
                    }
                }
            }
        }
    }
}

/// The first differences between two values, by path.
pub fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
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
async fn the_recorded_requests_are_answered_as_recorded() {
    let server = Server::with_controllers().await;
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
        server.settled().await;
        if HELD.iter().any(|(from, _)| *from == number) {
            server.stop_controllers();
        } else if HELD.iter().any(|(_, to)| *to == number) {
            server.start_controllers();
            server.settled().await;
        }
        let answer = server.call_as(token, method, &path, &headers, body).await;
        let mut ours = comparable(&answer.json());
        if let Some(token) = ours["metadata"]["continue"].as_str() {
            continued = Some(token.into());
        }
        let mut theirs = comparable(&recorded["response"]);
        keep_served(&mut theirs, &ours);
        normalize(&mut ours, "");
        normalize(&mut theirs, "");
        sort_hashed_rows(&mut ours);
        sort_hashed_rows(&mut theirs);
        let mut found = Vec::new();
        if u64::from(answer.status) != recorded["status"].as_u64().unwrap() {
            found.push(format!("status: ours {} theirs {}", answer.status, recorded["status"]));
        }
        differences("", &ours, &theirs, &mut found);
        let listed = DIFFERENCES.iter().any(|(at, known, _)| *at == number && *known == title);
        match (found.is_empty(), listed) {
            (true, false) => same += 1,
            (true, true) => wrong.push(format!("{number} {title}: is listed as different, and is the same")),
            (false, true) => {}
            (false, false) => {
                let shown: Vec<String> = found.iter().take(6).map(|line| line.chars().take(300).collect()).collect();
                wrong.push(format!("{number} {title} ({method} {path}):\n    {}", shown.join("\n    ")));
            }
        }
    }
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
            server.settled().await;
            let answer = server.call_as(token, "GET", path, &[], "").await;
            assert_eq!((answer.status, answer.json()["reason"].as_str()), (401, Some("Unauthorized")), "{path}");
        }
    }
}

#[tokio::test]
async fn the_reader_reads_and_writes_nothing() {
    let server = Server::start().await;
    let check = async |method: &str, path: &str, status: u16, message: &str| {
        server.settled().await;
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
