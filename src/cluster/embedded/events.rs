//! Telling what happened: `v1.Event` objects, as controllers and the kubelet write them.
//!
//! Place: above the registry, used by controllers and node. What is told again raises the count of the event that is
//! there; many similar events of one object become one, worded and counted as Kubernetes' own recorder does it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::registry::{PatchKind, Registry, Writer};
use super::schema::{self, Kind};

/// So many different messages of one reason are told one by one.
const SIMILAR_MAX: usize = 10;
/// After so long a silence, similar events are told one by one again.
const SIMILAR_WITHIN: SignedDuration = SignedDuration::from_secs(600);
/// So many events are remembered, to be counted up.
const REMEMBERED_MAX: usize = 4096;

/// How serious an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    Normal,
    Warning,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    pub severity: Severity,
    /// `ScalingReplicaSet`, `Killing`, …
    pub reason: &'static str,
    pub message: String,
}

impl Telling {
    pub fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Normal, reason, message: message.into() }
    }

    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, reason, message: message.into() }
    }
}

/// The `involvedObject` that refers to an object; `field_path` names a container, else it is empty.
pub fn reference(kind: &Kind, object: &Value, field_path: &str) -> Value {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    let mut reference = json!({
        "kind": kind.name,
        "name": text("name"),
        "uid": text("uid"),
        "apiVersion": kind.api_version(),
        "resourceVersion": text("resourceVersion"),
    });
    for (key, value) in [("namespace", text("namespace")), ("fieldPath", field_path)] {
        if !value.is_empty() {
            reference[key] = value.into();
        }
    }
    reference
}

/// Writes events under one component's name. Telling never fails: an event that cannot be written is left out.
#[derive(Debug)]
pub struct Recorder {
    registry: Arc<Registry>,
    /// `deployment-controller`, `kubelet`, …
    component: &'static str,
    /// The node's name, for the kubelet.
    host: String,
    writer: Writer,
    memory: Mutex<Memory>,
}

impl Recorder {
    /// `manager` is the field manager, the name of the program that the component is part of.
    pub fn new(registry: Arc<Registry>, component: &'static str, host: &str, manager: &str) -> Self {
        let writer = Writer::new(manager);
        Self { registry, component, host: host.into(), writer, memory: Mutex::default() }
    }

    /// Tells about an object, given by [`reference`].
    pub fn tell(&self, about: &Value, telling: &Telling, now: Timestamp) {
        let Some(kind) = schema::by_kind("v1", "Event") else { return };
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, message) = memory.observe(about, telling, now);
        let time = whole_seconds(now);
        let namespace = about["namespace"].as_str().unwrap_or("default");
        if let Some(known) = memory.known.get_mut(&key) {
            let patch = json!({"count": known.count + 1, "lastTimestamp": time, "message": message});
            let patched =
                self.registry.patch(kind, namespace, &known.name, PatchKind::Merge, &patch, &self.writer, false);
            if patched.is_ok() {
                known.count += 1;
                return;
            }
        }
        let name = format!("{}.{:x}", about["name"].as_str().unwrap_or_default(), memory.unique(now));
        let event = self.event(&name, namespace, about, telling, &message, &time);
        if let Ok(entry) = self.registry.create(kind, event, &self.writer) {
            memory.remember(key, Known { name: entry.name.to_string(), count: 1 });
        }
    }

    fn event(&self, name: &str, namespace: &str, about: &Value, telling: &Telling, message: &str, time: &str) -> Value {
        let mut source = json!({"component": self.component});
        if !self.host.is_empty() {
            source["host"] = self.host.as_str().into();
        }
        json!({
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": about,
            "reason": telling.reason,
            "message": message,
            "source": source,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
            "type": telling.severity.name(),
            "eventTime": null,
            "reportingComponent": self.component,
            "reportingInstance": self.host,
        })
    }
}

/// An event that is there.
#[derive(Debug)]
struct Known {
    name: String,
    count: u64,
}

#[derive(Debug)]
struct Similar {
    messages: HashSet<String>,
    last: Timestamp,
}

/// What was told before, bounded.
#[derive(Debug, Default)]
struct Memory {
    known: HashMap<String, Known>,
    similar: HashMap<String, Similar>,
    order: VecDeque<String>,
    last: i128,
}

impl Memory {
    /// The time in nanoseconds, or a little later where that was given before.
    fn unique(&mut self, now: Timestamp) -> i128 {
        self.last = now.as_nanosecond().max(self.last + 1);
        self.last
    }

    /// The key under which an event is counted, and the message that it bears.
    fn observe(&mut self, about: &Value, telling: &Telling, now: Timestamp) -> (String, String) {
        let text = |key: &str| about[key].as_str().unwrap_or_default();
        let group = [
            text("kind"),
            text("namespace"),
            text("name"),
            text("uid"),
            text("fieldPath"),
            telling.severity.name(),
            telling.reason,
        ]
        .join("\0");
        if self.similar.len() > REMEMBERED_MAX {
            self.similar.clear();
        }
        let similar =
            self.similar.entry(group.clone()).or_insert_with(|| Similar { messages: HashSet::new(), last: now });
        if now.duration_since(similar.last) > SIMILAR_WITHIN {
            similar.messages.clear();
        }
        similar.last = now;
        if similar.messages.len() < SIMILAR_MAX {
            similar.messages.insert(telling.message.clone());
        }
        if similar.messages.len() < SIMILAR_MAX {
            return (format!("{group}\0{}", telling.message), telling.message.clone());
        }
        (group, format!("(combined from similar events): {}", telling.message))
    }

    fn remember(&mut self, key: String, known: Known) {
        if self.known.insert(key.clone(), known).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > REMEMBERED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

fn whole_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(messages: &[&str]) -> Vec<(String, u64)> {
        let registry = Registry::in_memory();
        let recorder = Recorder::new(Arc::clone(&registry), "deployment-controller", "", "kube-controller-manager");
        let kind = schema::by_kind("v1", "ConfigMap").expect("served");
        let object = json!({"metadata": {"name": "web", "namespace": "default", "uid": "u"}});
        // Names are ordered by time only where the time has its usual length.
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        for message in messages {
            recorder.tell(&reference(kind, &object, ""), &Telling::normal("Scaling", *message), now);
        }
        let events = schema::by_kind("v1", "Event").expect("served");
        registry
            .list(events, Some("default"))
            .iter()
            .map(|entry| entry.value())
            .map(|event| (event["message"].as_str().unwrap().to_owned(), event["count"].as_u64().unwrap()))
            .collect()
    }

    #[test]
    fn the_same_again_is_counted() {
        assert_eq!(told(&["a", "b", "a", "a"]), [("a".into(), 3), ("b".into(), 1)]);
    }

    #[test]
    fn many_similar_ones_become_one() {
        let messages = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
        let events = told(&messages);
        assert_eq!(events.len(), 10);
        assert_eq!(events[8], ("8".into(), 1));
        assert_eq!(events[9], ("(combined from similar events): 10".into(), 2));
    }
}
