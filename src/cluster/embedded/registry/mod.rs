//! The only writer: every change of the cluster's objects, whether a client's, a controller's or the
//! kubelet's, goes through here and meets the same rules.

use std::sync::Arc;

use serde_json::Value;

use super::schema::Kind;
use super::status::Status;

/// A stored object at one revision: immutable, shared, serialised once.
#[derive(Debug)]
pub struct Entry {
    pub kind: &'static Kind,
    /// Empty for cluster-scoped objects.
    pub namespace: Box<str>,
    pub name: Box<str>,
    pub uid: Box<str>,
    /// The cluster-wide revision of its last write, `metadata.resourceVersion`.
    pub revision: u64,
    /// The whole object as JSON, `apiVersion` and `kind` included.
    pub json: bytes::Bytes,
}

impl Entry {
    /// The object, parsed anew from its JSON.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).expect("the registry serialised it")
    }
}

/// Who writes: decides managed fields and nothing else.
#[derive(Debug, Clone)]
pub struct Writer {
    /// `kube-controller-manager`, `kubelet`, `kubectl-create`, …
    pub field_manager: String,
    /// Empty, `status`, `scale`, …
    pub subresource: &'static str,
    pub dry_run: bool,
}

impl Writer {
    pub fn new(field_manager: &str) -> Self {
        Self { field_manager: field_manager.into(), subresource: "", dry_run: false }
    }

    #[must_use]
    pub fn status(mut self) -> Self {
        self.subresource = "status";
        self
    }
}

/// `DeleteOptions`, parsed.
#[derive(Debug, Clone, Default)]
pub struct Deletion {
    pub grace_period_seconds: Option<i64>,
    /// `Background`, `Foreground` or `Orphan`.
    pub propagation: Option<Propagation>,
    pub precondition_uid: Option<String>,
    pub precondition_revision: Option<u64>,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// A change that controllers, the node and watchers are told of.
#[derive(Debug, Clone)]
pub struct Event {
    pub kind: EventKind,
    pub entry: Arc<Entry>,
    /// The object before a modification, for selector transitions.
    pub previous: Option<Arc<Entry>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// The registry of all objects. Synchronous; writes are durable against kill -9 when they return.
#[derive(Debug)]
pub struct Registry {}

impl Registry {
    pub fn get(&self, _kind: &'static Kind, _namespace: &str, _name: &str) -> Option<Arc<Entry>> {
        None
    }

    /// In order of namespace and name; `None` lists all namespaces.
    pub fn list(&self, _kind: &'static Kind, _namespace: Option<&str>) -> Vec<Arc<Entry>> {
        Vec::new()
    }

    /// Creates; the namespace and name come from the object's metadata (`generateName` honoured).
    pub fn create(&self, _kind: &'static Kind, _object: Value, _writer: &Writer) -> Result<Arc<Entry>, Status> {
        Err(Status::new(501, "NotImplemented", "create"))
    }

    /// Replaces; `metadata.resourceVersion`, where present, is a precondition. `writer.subresource` decides
    /// whether spec or status is taken.
    pub fn update(&self, _kind: &'static Kind, _object: Value, _writer: &Writer) -> Result<Arc<Entry>, Status> {
        Err(Status::new(501, "NotImplemented", "update"))
    }

    /// Deletes, or marks for deletion where finalizers, a grace period or a namespace's content ask for it.
    /// Returns the object as it is after the call.
    pub fn delete(
        &self,
        _kind: &'static Kind,
        _namespace: &str,
        _name: &str,
        _deletion: &Deletion,
    ) -> Result<Arc<Entry>, Status> {
        Err(Status::new(501, "NotImplemented", "delete"))
    }

    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        0
    }
}
