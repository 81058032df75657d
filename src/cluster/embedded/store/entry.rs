//! A stored object: immutable, serialised once, with the few fields that the store and its readers ask for
//! without parsing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::schema::{self, Kind};

/// A stored object at one revision: immutable, shared, serialised once.
#[derive(Debug)]
pub struct Entry {
    pub kind: &'static Kind,
    /// Empty for cluster-scoped objects.
    pub namespace: Box<str>,
    pub name: Box<str>,
    pub uid: Box<str>,
    /// The cluster-wide revision of its last write, `metadata.resourceVersion`; 0 for what a dry run would make.
    pub revision: u64,
    /// The whole object as JSON, `apiVersion` and `kind` first.
    pub json: Bytes,
    /// In order of their keys.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// The uids of its owners.
    pub owners: Box<[Box<str>]>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Where in `json` the text after `apiVersion` and `kind` begins.
    pub(super) body_at: u32,
    /// Where in `json` the decimal digits of the revision stand; 0 where there are none.
    pub(super) revision_at: u32,
}

impl Entry {
    /// The object, parsed anew from its JSON.
    ///
    /// # Panics
    /// Never: the JSON is what the registry serialised.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).expect("the registry serialised it")
    }

    /// What stands in a list: the object without `apiVersion` and `kind`, and without its opening brace.
    pub fn list_item(&self) -> &[u8] {
        &self.json[self.body_at as usize..]
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        let at = self.labels.binary_search_by(|(candidate, _)| (**candidate).cmp(key)).ok()?;
        Some(&self.labels[at].1)
    }

    /// The same object under another revision.
    #[must_use]
    pub fn at_revision(&self, revision: u64) -> Self {
        let digits = decimal_digits(self.revision);
        let at = self.revision_at as usize;
        let mut json = Vec::with_capacity(self.json.len() + 4);
        json.extend_from_slice(&self.json[..at]);
        json.extend_from_slice(revision.to_string().as_bytes());
        json.extend_from_slice(&self.json[at + digits..]);
        Self {
            kind: self.kind,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            revision,
            json: json.into(),
            labels: self.labels.clone(),
            owners: self.owners.clone(),
            deleting: self.deleting,
            body_at: self.body_at,
            revision_at: self.revision_at,
        }
    }

    /// Reads an entry back from the JSON that [`Draft::seal`] made. `None` where it is not of that shape or of a
    /// kind that is not served.
    pub(super) fn from_stored(json: Bytes, revision: u64) -> Option<Self> {
        let head: Head<'_> = serde_json::from_slice(&json).ok()?;
        let kind = schema::by_kind(&head.api_version, &head.kind)?;
        let body_at = opening(kind).len();
        let digits = revision.to_string();
        let marker = format!("\"resourceVersion\":\"{digits}\"");
        let end = json.len().min(body_at + 2048);
        let found =
            find(&json[body_at..end], marker.as_bytes()).or_else(|| find(&json[body_at..], marker.as_bytes()))?;
        let revision_at = body_at + found + "\"resourceVersion\":\"".len();
        Some(Self {
            kind,
            namespace: head.metadata.namespace.into_owned().into(),
            name: head.metadata.name.into_owned().into(),
            uid: head.metadata.uid.into_owned().into(),
            revision,
            labels: head
                .metadata
                .labels
                .into_iter()
                .map(|(key, value)| (key.into_owned().into(), value.into_owned().into()))
                .collect(),
            owners: head.metadata.owner_references.into_iter().map(|owner| owner.uid.into_owned().into()).collect(),
            deleting: head.metadata.deletion_timestamp.is_some(),
            body_at: u32::try_from(body_at).ok()?,
            revision_at: u32::try_from(revision_at).ok()?,
            json,
        })
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn decimal_digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "apiVersion")]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    metadata: HeadMetadata<'a>,
}

#[derive(Deserialize)]
struct HeadMetadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    labels: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(borrow, default, rename = "ownerReferences")]
    owner_references: Vec<HeadOwner<'a>>,
    #[serde(borrow, default, rename = "deletionTimestamp")]
    deletion_timestamp: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct HeadOwner<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
}

/// An object on its way into the store: serialised but for its revision, which only the commit knows.
#[derive(Debug)]
pub struct Draft {
    kind: &'static Kind,
    namespace: Box<str>,
    name: Box<str>,
    uid: Box<str>,
    labels: Box<[(Box<str>, Box<str>)]>,
    owners: Box<[Box<str>]>,
    deleting: bool,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Draft {
    /// Serialises an object in the order in which Kubernetes prints it, leaving a gap for the revision.
    pub fn new(kind: &'static Kind, object: &Value) -> Self {
        let empty = Map::new();
        let metadata = object.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
        let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut head = Vec::with_capacity(1024);
        head.extend_from_slice(opening(kind).as_bytes());
        head.extend_from_slice(b"\"metadata\":{");
        for key in METADATA_FIRST {
            if let Some(value) = metadata.get(key) {
                write_member(&mut head, key, value);
                head.push(b',');
            }
        }
        let mut tail = Vec::with_capacity(1024);
        for (key, value) in metadata {
            if !METADATA_FIRST.contains(&key.as_str()) && key != "resourceVersion" {
                tail.push(b',');
                write_member(&mut tail, key, value);
            }
        }
        tail.push(b'}');
        for (key, value) in object.as_object().unwrap_or(&empty) {
            if !matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
                tail.push(b',');
                write_member(&mut tail, key, value);
            }
        }
        tail.push(b'}');
        Self {
            kind,
            namespace: text("namespace").into(),
            name: text("name").into(),
            uid: text("uid").into(),
            labels: labels(metadata),
            owners: owners(metadata),
            deleting: metadata.contains_key("deletionTimestamp"),
            head,
            tail,
        }
    }

    /// The entry at a revision.
    pub(super) fn seal(&self, revision: u64) -> Entry {
        let mut json = Vec::with_capacity(self.head.len() + self.tail.len() + 40);
        json.extend_from_slice(&self.head);
        let mut revision_at = 0;
        if revision > 0 {
            json.extend_from_slice(b"\"resourceVersion\":\"");
            revision_at = json.len();
            json.extend_from_slice(revision.to_string().as_bytes());
            json.push(b'"');
        } else if json.last() == Some(&b',') {
            json.pop();
        }
        json.extend_from_slice(&self.tail);
        Entry {
            kind: self.kind,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            revision,
            labels: self.labels.clone(),
            owners: self.owners.clone(),
            deleting: self.deleting,
            body_at: u32::try_from(opening(self.kind).len()).expect("a kind's name is short"),
            revision_at: u32::try_from(revision_at).expect("metadata's first members are bounded by the body limit"),
            json: json.into(),
        }
    }

    /// What a dry run answers: nothing is stored, and the revision is that of the live object, if any.
    pub fn into_dry_run(self, live: Option<&Arc<Entry>>) -> Arc<Entry> {
        Arc::new(self.seal(live.map_or(0, |live| live.revision)))
    }
}

const METADATA_FIRST: [&str; 4] = ["name", "generateName", "namespace", "uid"];

/// The text that every object of a kind begins with.
fn opening(kind: &Kind) -> String {
    format!("{{\"kind\":\"{}\",\"apiVersion\":\"{}\",", kind.name, kind.api_version())
}

/// Writes `"key":value`.
fn write_member(target: &mut Vec<u8>, key: &str, value: &Value) {
    serde_json::to_writer(&mut *target, key).expect("writing to memory");
    target.push(b':');
    serde_json::to_writer(&mut *target, value).expect("writing to memory");
}

fn labels(metadata: &Map<String, Value>) -> Box<[(Box<str>, Box<str>)]> {
    let Some(labels) = metadata.get("labels").and_then(Value::as_object) else { return Box::default() };
    let mut sorted: Vec<(Box<str>, Box<str>)> =
        labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().unwrap_or_default().into())).collect();
    sorted.sort_unstable();
    sorted.into()
}

fn owners(metadata: &Map<String, Value>) -> Box<[Box<str>]> {
    let Some(owners) = metadata.get("ownerReferences").and_then(Value::as_array) else { return Box::default() };
    owners.iter().filter_map(|owner| owner.get("uid")?.as_str()).map(Into::into).collect()
}
