//! `kubectl describe`: an object with what belongs to it, as text.

mod controllers;
mod pod;
mod simple;
mod template;

use jiff::Timestamp;
use serde_json::Value;

use super::connection::Connection;
use super::error::KubectlError;
use super::flags::{Arguments, Flag, switch, value};
use super::get::last_seen;
use super::output::{self, age, table};
use super::select::{self, Scope};
use super::{Outcome, manifests, positionals};
use crate::discovery::Resource;

pub const FLAGS: &[Flag] = &[
    value("selector", Some('l')),
    value("chunk-size", None),
    manifests::FILENAME,
    manifests::RECURSIVE,
    switch("all-namespaces", Some('A')),
    switch("show-events", None),
];

pub async fn run(arguments: &Arguments) -> Outcome {
    let connection = Connection::open(arguments).await?;
    let words = positionals(arguments);
    if words.is_empty() {
        return Err(KubectlError::Plain("You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of supported resources.".into()));
    }
    let scope = Scope::of(arguments);
    let selections = select::parse(&connection, &words, arguments).await?;
    let (found, errors) = select::objects(&connection, &selections, &scope).await;
    if found.is_empty() && errors.is_empty() {
        let place =
            if scope.all_namespaces { String::new() } else { format!(" in {} namespace.", connection.namespace) };
        output::complain(&format!("No resources found{place}"));
    }
    let mut texts = Vec::new();
    for (resource, object) in &found {
        let subject =
            Subject { connection: &connection, resource, object, events: arguments.is_not_off("show-events") };
        texts.push(subject.describe().await?);
    }
    output::print(&texts.join("\n\n"));
    KubectlError::of(errors).map_or(Ok(0), Err)
}

/// What is described, and where to ask for what belongs to it.
struct Subject<'a> {
    connection: &'a Connection,
    resource: &'a Resource,
    object: &'a Value,
    events: bool,
}

impl Subject<'_> {
    async fn describe(&self) -> Result<String, KubectlError> {
        let object = self.object;
        let events = self.events_of().await?;
        let mut text = Text::default();
        match (self.resource.group.as_str(), self.resource.kind.as_str()) {
            ("", "Pod") => pod::pod(&mut text, object),
            ("", "Service") => {
                let slices = self
                    .related("endpointslices.discovery.k8s.io", &format!("kubernetes.io/service-name={}", name(object)))
                    .await?;
                simple::service(&mut text, object, &slices);
            }
            ("", "ConfigMap") => simple::config_map(&mut text, object),
            ("", "Secret") => {
                simple::secret(&mut text, object);
                return Ok(text.aligned());
            }
            ("", "Namespace") => {
                let discovery = self.connection.discovery().await?;
                let has = |kind: &str| discovery.find(kind).is_some();
                simple::namespace(&mut text, object, has("resourcequotas"), has("limitranges"));
                return Ok(text.aligned());
            }
            ("", "Node") => {
                let pods = self.connection.get("/api/v1/pods").await?;
                let lease = self
                    .connection
                    .get(&format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{}", name(object)))
                    .await
                    .ok();
                simple::node(&mut text, object, pods["items"].as_array().map_or(&[], Vec::as_slice), lease.as_ref());
            }
            ("", "ServiceAccount") => simple::service_account(&mut text, object),
            ("apps", "Deployment") => {
                let sets = self.related("replicasets.apps", &selector_of(object)).await?;
                controllers::deployment(&mut text, object, &sets);
            }
            ("apps", "ReplicaSet" | "StatefulSet" | "DaemonSet") | ("batch", "Job") => {
                let pods = self.related("pods", &selector_of(object)).await?;
                controllers::with_pods(&mut text, object, &pods);
            }
            _ => simple::any(&mut text, object),
        }
        if let Some(events) = events {
            text.events(&events);
        }
        Ok(text.aligned())
    }

    /// Objects of another kind in the same namespace.
    async fn related(&self, kind: &str, selector: &str) -> Result<Vec<Value>, KubectlError> {
        let namespace = self.object["metadata"]["namespace"].as_str().unwrap_or_default();
        let resource = self.connection.resource(kind).await?;
        let scope = Scope { labels: Some(selector.to_owned()), ..Scope::default() };
        let selection = select::Selection { resource: resource.clone(), name: None };
        let path = selection.path(self.connection, &scope);
        let path = path.replacen(
            &resource.collection(Some(&self.connection.namespace)),
            &resource.collection(Some(namespace)),
            1,
        );
        let list = self.connection.get(&path).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// The object's events, oldest first; `None` where none are wanted.
    async fn events_of(&self) -> Result<Option<Vec<Value>>, KubectlError> {
        if !self.events || self.resource.kind == "Event" {
            return Ok(None);
        }
        let namespace = self.object["metadata"]["namespace"].as_str().unwrap_or("default");
        let list = self.connection.get(&format!("/api/v1/namespaces/{namespace}/events")).await?;
        let mut events = list["items"].as_array().cloned().unwrap_or_default();
        events.retain(|event| {
            let involved = &event["involvedObject"];
            let has_uid = involved["uid"] == self.object["metadata"]["uid"] || self.resource.kind == "Node";
            involved["name"] == self.object["metadata"]["name"]
                && involved["kind"] == self.resource.kind.as_str()
                && has_uid
        });
        events.sort_by_key(last_seen);
        Ok(Some(events))
    }
}

/// An event's age: `5s`, `4s (x3 over 20s)`.
pub fn event_age(event: &Value, now: Timestamp) -> String {
    let first = event["firstTimestamp"].as_str().or_else(|| event["eventTime"].as_str());
    let first = first.or_else(|| event["metadata"]["creationTimestamp"].as_str()).unwrap_or_default();
    let count = event["series"]["count"].as_u64().or_else(|| event["count"].as_u64()).unwrap_or(1);
    if count > 1 {
        return format!("{} (x{count} over {})", age::since(&last_seen(event), now), age::since(first, now));
    }
    age::since(first, now)
}

/// A pod template by itself, aligned by tabs of eight as `rollout history --revision` shows it.
pub fn template_text(pod_template: &Value) -> String {
    let mut text = Text::default();
    text.line(0, "Pod Template:");
    template::template_body(&mut text, pod_template);
    text.0
}

/// Lines with tabs between their cells, aligned at the end.
#[derive(Default)]
struct Text(String);

impl Text {
    /// A line at a level; each is two blanks deeper.
    fn line(&mut self, level: usize, text: &str) {
        self.0.push_str(&"  ".repeat(level));
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// `Label:\tvalue`.
    fn field(&mut self, level: usize, label: &str, value: &str) {
        self.line(level, &format!("{label}:\t{value}"));
    }

    /// Several values below each other, behind one label.
    fn values(&mut self, level: usize, label: &str, values: &[String]) {
        if values.is_empty() {
            self.field(level, label, "<none>");
        }
        for (index, value) in values.iter().enumerate() {
            if index == 0 { self.field(level, label, value) } else { self.line(0, &format!("\t{value}")) }
        }
    }

    fn labels(&mut self, level: usize, object: &Value) {
        self.values(level, "Labels", &pairs(&object["metadata"]["labels"], "="));
    }

    fn annotations(&mut self, level: usize, object: &Value) {
        self.values(level, "Annotations", &annotations(object));
    }

    fn events(&mut self, events: &[Value]) {
        if events.is_empty() {
            self.field(0, "Events", "<none>");
            return;
        }
        let now = Timestamp::now();
        self.line(0, "Events:");
        self.line(1, "Type\tReason\tAge\tFrom\tMessage");
        self.line(1, "----\t------\t----\t----\t-------");
        for event in events {
            let from = event["source"]["component"].as_str().filter(|from| !from.is_empty());
            let from = from.or_else(|| event["reportingComponent"].as_str()).unwrap_or_default();
            let cells = [
                text_of(&event["type"]),
                text_of(&event["reason"]),
                &event_age(event, now),
                from,
                text_of(&event["message"]).trim(),
            ];
            self.line(1, &cells.join("\t"));
        }
    }

    fn aligned(&self) -> String {
        table::align(&self.0, table::DESCRIPTION)
    }
}

fn name(object: &Value) -> &str {
    text_of(&object["metadata"]["name"])
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A scalar as text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// `key=value` of a mapping.
fn pairs(map: &Value, separator: &str) -> Vec<String> {
    let map = map.as_object().into_iter().flatten();
    map.map(|(key, value)| format!("{key}{separator}{}", plain(value))).collect()
}

/// Annotations as kubectl tells them: not what it applied last, long ones on lines of their own.
fn annotations(object: &Value) -> Vec<String> {
    let hidden = "kubectl.kubernetes.io/last-applied-configuration";
    let map = object["metadata"]["annotations"].as_object().into_iter().flatten();
    let shown = map.filter(|(key, _)| *key != hidden).map(|(key, value)| {
        let value = text_of(value);
        if value.contains('\n') || key.len() + value.len() > 140 {
            let shortened: String = value.chars().take(140).collect();
            let dots = if shortened.len() < value.len() { "..." } else { "" };
            format!("{key}:\n\t  {}{dots}", shortened.replace('\n', "\n\t  "))
        } else {
            format!("{key}: {value}")
        }
    });
    shown.collect()
}

/// A selector of labels in kubectl's words.
fn selector_of(object: &Value) -> String {
    pairs(&object["spec"]["selector"]["matchLabels"], "=").join(",")
}
