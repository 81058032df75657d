//! Replays what a real Kubernetes 1.34.2 was asked, in order, and compares each answer whole. What stays different is
//! in tables that name each path that differs, with the reason: `tests/golden/requests-differ.txt`, and
//! `tests/golden/not-served.txt` for the kinds and subresources that discovery lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::embedded::{READER, Server};

const RECORDED: &str = include_str!("../golden/requests.jsonl");

/// Where the recorded controllers had not come by yet, they are held: from the first of these requests on, up to the
/// second.
const HELD: &[(usize, usize)] = &[(79, 83), (149, usize::MAX)];

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
        Value::Number(_) if key == "healthCheckNodePort" => *value = "<chosen>".into(),
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

/// Discovery lists the kinds that are served as Kubernetes does, in its order; the others are taken out and noted:
/// `apps/v1 daemonsets`, or `v1 pods/eviction` where the kind is served.
fn keep_served(theirs: &mut Value, ours: &Value, not_served: &mut BTreeSet<String>) {
    if ours["kind"] == "APIResourceList" {
        let version = theirs["groupVersion"].as_str().unwrap_or_default().to_owned();
        for name in keep(theirs, ours, "resources", "/name") {
            not_served.insert(format!("{version} {name}"));
        }
    }
    if ours["kind"] != "APIGroupDiscoveryList" {
        return;
    }
    for group in keep(theirs, ours, "items", "/metadata/name") {
        not_served.insert(format!("{group} *"));
    }
    for (group, theirs, ours) in pairs(theirs, ours, "items", "/metadata/name") {
        for version in keep(theirs, ours, "versions", "/version") {
            not_served.insert(format!("{group}/{version} *"));
        }
        for (version, theirs, ours) in pairs(theirs, ours, "versions", "/version") {
            let version = if group.is_empty() { version } else { format!("{group}/{version}") };
            for resource in keep(theirs, ours, "resources", "/resource") {
                not_served.insert(format!("{version} {resource}"));
            }
            for (resource, theirs, ours) in pairs(theirs, ours, "resources", "/resource") {
                let before = theirs["subresources"].as_array().map_or(0, Vec::len);
                let lacking = keep(theirs, ours, "subresources", "/subresource");
                if lacking.len() == before && before > 0 {
                    theirs.as_object_mut().unwrap().remove("subresources");
                }
                not_served.extend(lacking.iter().map(|name| format!("{version} {resource}/{name}")));
            }
        }
    }
}

fn named(item: &Value, name: &str) -> String {
    item.pointer(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Takes out of a recorded list what ours lacks, and returns the names of that.
fn keep(theirs: &mut Value, ours: &Value, list: &str, name: &str) -> Vec<String> {
    let served: Vec<String> = ours[list].as_array().into_iter().flatten().map(|item| named(item, name)).collect();
    let Some(items) = theirs.get_mut(list).and_then(Value::as_array_mut) else { return Vec::new() };
    let (kept, lacking) = std::mem::take(items).into_iter().partition(|item| served.contains(&named(item, name)));
    *items = kept;
    lacking.iter().map(|item: &Value| named(item, name)).collect()
}

/// The items that both have, by name.
fn pairs<'a>(
    theirs: &'a mut Value,
    ours: &'a Value,
    list: &str,
    name: &str,
) -> Vec<(String, &'a mut Value, &'a Value)> {
    let items = theirs.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
    let ours = ours[list].as_array().into_iter().flatten();
    items
        .filter_map(|theirs| {
            let wanted = named(theirs, name);
            let ours = ours.clone().find(|ours| named(ours, name) == wanted)?;
            Some((wanted, theirs, ours))
        })
        .collect()
}

/// Each with the reason before it.
fn listed_as_not_served() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/not-served.txt");
    let text = std::fs::read_to_string(path).expect("the table is there");
    assert!(text.starts_with("# "), "a reason comes first");
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// One place where two values differ.
pub struct Difference {
    /// `-` is lacking, `+` is more than recorded, `~` is otherwise; then the path, and the beginning of what is there.
    pub place: String,
    pub detail: String,
}

/// So much of a value is pinned in a table of differences.
const PINNED: usize = 80;

impl Difference {
    fn lacking(path: &str, theirs: &Value) -> Self {
        Self { place: format!("- {path}"), detail: theirs.to_string() }
    }

    fn other(sign: char, path: &str, ours: &Value, theirs: Option<&Value>) -> Self {
        let ours = ours.to_string();
        let pinned: String = ours.chars().take(PINNED).collect();
        let theirs = theirs.map(|theirs| format!("theirs {theirs}")).unwrap_or_default();
        let rest = if pinned.len() < ours.len() { format!("…{} ", &ours[pinned.len()..]) } else { String::new() };
        let place = format!("{sign} {path} {pinned}");
        Self { place: place.trim_end().into(), detail: format!("{rest}{theirs}") }
    }

    /// A status code that is not the recorded one.
    pub fn status(ours: u16, theirs: &Value) -> Option<Self> {
        (Some(u64::from(ours)) != theirs.as_u64())
            .then(|| Self { place: format!("status {ours} for {theirs}"), detail: String::new() })
    }
}

/// The differences between two values, by path.
pub fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<Difference>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = format!("{path}.{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => differences(&path, a, b, found),
                    (None, Some(b)) => found.push(Difference::lacking(&path, b)),
                    (Some(a), None) => found.push(Difference::other('+', &path, a, None)),
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
        _ => found.push(Difference::other('~', path, ours, Some(theirs))),
    }
}

/// A table of the differences that stay, from `tests/golden/`: a reason after `# `, then the cases that it explains
/// (number and title; after a `?` those that may also be the same), each with what differs, indented, where `*` stands
/// for anything. Whatever else differs is wrong, and so is a line that no longer does.
pub struct Known {
    file: &'static str,
    cases: BTreeMap<usize, KnownCase>,
}

#[derive(Default)]
struct KnownCase {
    title: String,
    reason: String,
    may_be_same: bool,
    lines: Vec<String>,
}

impl Known {
    pub fn read(file: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
        let text = std::fs::read_to_string(path).expect("the table is there");
        let (mut cases, mut reason, mut number) = (BTreeMap::<usize, KnownCase>::new(), "", 0);
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(text) = line.strip_prefix("# ") {
                reason = text;
            } else if let Some(text) = line.strip_prefix("    ") {
                cases.get_mut(&number).expect("a line follows its case").lines.push(text.into());
            } else {
                let (at, title) = line.split_once(' ').expect("a number and a title");
                let may_be_same = at.starts_with('?');
                number = at.trim_start_matches('?').parse().expect("a number");
                assert!(!reason.is_empty(), "{file}: {number} has no reason");
                let case = KnownCase { title: title.into(), reason: reason.into(), may_be_same, lines: Vec::new() };
                assert!(cases.insert(number, case).is_none(), "{file}: {number} is there twice");
            }
        }
        Self { file, cases }
    }

    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// The cases' numbers.
    pub fn numbers(&self) -> impl Iterator<Item = usize> {
        self.cases.keys().copied()
    }

    /// The lines of a case.
    pub fn lines(&self, number: usize) -> &[String] {
        self.cases.get(&number).map_or(&[], |case| &case.lines)
    }

    /// What is wrong with a case in which this was found to differ; nothing where the table says just that.
    pub fn judge(&self, number: usize, title: &str, found: &[Difference]) -> Option<String> {
        let Some(case) = self.cases.get(&number) else {
            return (!found.is_empty()).then(|| describe(number, title, found.iter().collect()));
        };
        let Self { file, .. } = self;
        if case.title != title {
            return Some(format!("{number} {title}: {file} calls it {:?}", case.title));
        }
        if case.may_be_same && found.is_empty() {
            return None;
        }
        let unknown: Vec<_> =
            found.iter().filter(|found| !case.lines.iter().any(|line| fits(line, &found.place))).collect();
        if !unknown.is_empty() {
            return Some(describe(number, title, unknown));
        }
        let gone: Vec<_> =
            case.lines.iter().filter(|line| !found.iter().any(|found| fits(line, &found.place))).collect();
        (!gone.is_empty() && !case.may_be_same)
            .then(|| format!("{number} {title}: {file} has lines that no longer differ ({}): {gone:#?}", case.reason))
    }
}

/// In the table's own form, with what was found beside it.
fn describe(number: usize, title: &str, found: Vec<&Difference>) -> String {
    let lines = found.into_iter().map(|Difference { place, detail }| {
        format!("\n    {place}{}{}", if detail.is_empty() { "" } else { "   <- " }, cut(detail))
    });
    format!("{number} {title}{}", lines.collect::<String>())
}

fn cut(text: &str) -> String {
    text.chars().take(400).collect()
}

/// Whether a text is as a pattern has it, in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    text.strip_prefix(head)
        .is_some_and(|text| text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(rest, &text[at..])))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorded_requests_are_answered_as_recorded() {
    let server = Server::with_controllers().await;
    let known = Known::read("requests-differ.txt");
    let mut not_served = BTreeSet::new();
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
        keep_served(&mut theirs, &ours, &mut not_served);
        normalize(&mut ours, "");
        normalize(&mut theirs, "");
        sort_hashed_rows(&mut ours);
        sort_hashed_rows(&mut theirs);
        let mut found: Vec<_> = Difference::status(answer.status, &recorded["status"]).into_iter().collect();
        differences("", &ours, &theirs, &mut found);
        same += usize::from(found.is_empty());
        wrong.extend(known.judge(number, title, &found));
    }
    println!(
        "{same} of {} requests are answered as recorded, {} differ for a stated reason",
        RECORDED.lines().count(),
        known.len()
    );
    assert!(wrong.is_empty(), "{} requests differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(not_served, listed_as_not_served(), "tests/golden/not-served.txt has not what discovery lacks");
}

/// Every path that there is by discovery, with those that are not in it.
async fn all_paths(server: &Server) -> Vec<String> {
    let accept = [("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")];
    let mut paths: Vec<String> = [
        "/",
        "/api",
        "/api/v1",
        "/apis",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/api/v1",
        "/metrics",
        "/nothing",
        "/tutorial/v1/state",
        "/tutorial/v1/snapshots/a",
        "/api/v1/nothing",
        "/api/v1/namespaces/default",
        "/api/v1/namespaces/default/nothing/x",
        "/api/v1/watch/pods",
        "/versions",
        "/healthzz",
        "//version",
        "/%2e%2e/version/../api",
        "/api/v1/pods?watch=1",
        "/version/x",
        "/readyz/x/y",
    ]
    .map(Into::into)
    .into();
    for root in ["/api", "/apis"] {
        let groups = server.call("GET", root, &accept, "").await.json();
        for group in groups["items"].as_array().expect("groups") {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().unwrap() {
                let slash = if name.is_empty() { "" } else { "/" };
                let base = format!("{root}{slash}{name}/{}", version["version"].as_str().unwrap());
                paths.push(base.clone());
                for resource in version["resources"].as_array().unwrap() {
                    let plural = resource["resource"].as_str().unwrap();
                    let namespaced = resource["scope"] == "Namespaced";
                    let inside = if namespaced { "/namespaces/default" } else { "" };
                    paths.push(format!("{base}/{plural}"));
                    paths.push(format!("{base}{inside}/{plural}"));
                    paths.push(format!("{base}{inside}/{plural}/x"));
                    for subresource in resource["subresources"].as_array().into_iter().flatten() {
                        let subresource = subresource["subresource"].as_str().unwrap();
                        let rest = if subresource == "proxy" { "/index.html" } else { "?command=ls&ports=80" };
                        paths.push(format!("{base}{inside}/{plural}/x/{subresource}{rest}"));
                    }
                }
            }
        }
    }
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_nothing_is_told() {
    let server = Server::start().await;
    for path in ["/version", "/healthz", "/readyz", "/livez", "/readyz?verbose"] {
        assert_eq!(server.call_as("", "GET", path, &[], "").await.status, 200, "{path}");
    }
    let paths = all_paths(&server).await;
    for subresource in ["pods/x/exec", "pods/x/attach", "pods/x/portforward", "pods/x/proxy", "services/x/proxy"] {
        assert!(paths.iter().any(|path| path.contains(subresource)), "{subresource} is asked for");
    }
    let before = server.registry.revision();
    let web_socket: &[_] = &[
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "v5.channel.k8s.io"),
    ];
    let spdy: &[_] =
        &[("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v4.channel.k8s.io")];
    let json: &[_] = &[("content-type", "application/json"), ("impersonate-user", "kubernetes-admin")];
    let ways = [
        ("GET", json),
        ("POST", json),
        ("PUT", json),
        ("PATCH", json),
        ("DELETE", json),
        ("GET", web_socket),
        ("POST", spdy),
    ];
    for path in &paths {
        for (number, (method, headers)) in ways.iter().enumerate() {
            let token = if number % 2 == 0 { "" } else { "wrong" };
            let answer = server.call_as(token, method, path, headers, "{\"metadata\":{\"name\":\"x\"}}").await;
            let body = answer.json();
            assert_eq!((answer.status, &body["reason"]), (401, &"Unauthorized".into()), "{method} {path}: {body}");
            assert_eq!(
                (&body["kind"], &body["message"]),
                (&"Status".into(), &"Unauthorized".into()),
                "{method} {path}"
            );
        }
    }
    assert_eq!(server.registry.revision(), before, "nothing was written");
    println!("{} paths, {} ways each: 401", paths.len(), ways.len());
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
