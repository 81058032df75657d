//! The only writer: every change of the cluster's objects, whether a client's, a controller's or the
//! kubelet's, goes through here and meets the same rules.
//!
//! Place: above schema, store, apply, patch and admission; below api, controllers and node. Synchronous.
//! Invariants: a write decides by one version of the object and commits over exactly that version; what a write
//! returns is durable against kill -9; nothing but this module stamps uid, revision, generation and deletion.

mod admit;
mod bootstrap;
mod change;
mod deletion;
pub mod errors;
mod metadata;
mod patching;
mod service;
mod strategy;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::Value;

use super::schema::Kind;
use super::status::Status;
use super::store::{CommitError, Draft, Store};
pub use super::store::{
    Entry, Event, EventKind, Figures, Next, Notice, Options as StoreOptions, StoreError, Subscription,
};
pub use deletion::{Deletion, Propagation, Removal};
pub use patching::{FieldValidation, PatchKind, PatchRequest, Written};

/// Who writes: decides managed fields and nothing else.
#[derive(Debug, Clone)]
pub struct Writer {
    /// `kube-controller-manager`, `kubelet`, `kubectl-create`, …
    pub field_manager: String,
    /// Empty, `status`, `scale`, `finalize`, `binding`, …
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

    /// The same writer on another subresource.
    #[must_use]
    pub fn on(mut self, subresource: &'static str) -> Self {
        self.subresource = subresource;
        self
    }
}

/// How the registry is set up.
#[derive(Debug, Clone)]
pub struct Options {
    pub store: StoreOptions,
    /// The clock that objects are stamped by.
    pub now: fn() -> Timestamp,
}

impl Default for Options {
    fn default() -> Self {
        Self { store: StoreOptions::default(), now: Timestamp::now }
    }
}

/// The registry of all objects. Synchronous; writes are durable against kill -9 when they return.
#[derive(Debug)]
pub struct Registry {
    store: Arc<Store>,
    now: fn() -> Timestamp,
    /// Held while a Service is written, because its addresses are unique in the whole cluster.
    services: Mutex<()>,
}

/// So often is a write tried again that was overtaken by another and states no revision.
const ATTEMPTS_MAX: usize = 32;

impl Registry {
    /// Opens the cluster's data in a directory and makes the system namespaces where they are not there.
    pub fn open(directory: &Path, options: &Options) -> Result<Arc<Self>, StoreError> {
        Self::over(Store::open(Some(directory), &options.store)?, options)
    }

    /// A registry that keeps nothing on disk, for tests.
    ///
    /// # Panics
    /// Never: without a directory nothing is read or written.
    pub fn in_memory() -> Arc<Self> {
        let options = Options::default();
        Store::open(None, &options.store)
            .and_then(|store| Self::over(store, &options))
            .expect("without a directory nothing is read or written")
    }

    fn over(store: Arc<Store>, options: &Options) -> Result<Arc<Self>, StoreError> {
        let registry = Arc::new(Self { store, now: options.now, services: Mutex::new(()) });
        registry.bootstrap()?;
        Ok(registry)
    }

    /// What was amiss in the data when it was opened.
    pub fn notices(&self) -> &[Notice] {
        self.store.notices()
    }

    pub fn get(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.store.get(kind, namespace, name)
    }

    /// In order of namespace and name; `None` lists all namespaces.
    pub fn list(&self, kind: &'static Kind, namespace: Option<&str>) -> Vec<Arc<Entry>> {
        self.store.list(kind, namespace).1
    }

    /// A list with the revision that it is of, from which a watch continues.
    pub fn list_with_revision(&self, kind: &'static Kind, namespace: Option<&str>) -> (u64, Vec<Arc<Entry>>) {
        self.store.list(kind, namespace)
    }

    /// A list as it was at an earlier revision; `None` where the history no longer reaches back to it.
    pub fn list_at(&self, kind: &'static Kind, namespace: Option<&str>, revision: u64) -> Option<Vec<Arc<Entry>>> {
        self.store.list_at(kind, namespace, revision)
    }

    /// The objects that name this uid among their owner references.
    pub fn dependents(&self, owner_uid: &str) -> Vec<Arc<Entry>> {
        self.store.by_owner(owner_uid)
    }

    /// The object of this uid.
    pub fn by_uid(&self, uid: &str) -> Option<Arc<Entry>> {
        self.store.by_uid(uid)
    }

    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        self.store.revision()
    }

    /// All events of all kinds from now on.
    pub fn subscribe(&self) -> Subscription {
        self.store.subscribe(None, None)
    }

    /// Events of one kind after a revision.
    pub fn watch(&self, kind: &'static Kind, after: u64) -> Subscription {
        self.store.subscribe(Some(kind), Some(after))
    }

    pub fn figures(&self) -> Figures {
        self.store.figures()
    }

    /// Writes every object to a file, atomically.
    pub fn snapshot(&self, path: &Path) -> Result<(), StoreError> {
        self.store.snapshot(path)
    }

    /// Makes the objects those of a snapshot, in place, by ordinary events under new revisions. Returns how many
    /// objects changed.
    pub fn restore(&self, path: &Path) -> Result<usize, StoreError> {
        self.store.restore(path)
    }

    /// Creates; the namespace and name come from the object's metadata (`generateName` honoured).
    pub fn create(&self, kind: &'static Kind, object: Value, writer: &Writer) -> Result<Arc<Entry>, Status> {
        self.create_whole(kind, object, writer).map(|(entry, _)| entry)
    }

    /// The same, with the object as it was stored but for its revision: for who would parse the entry at once.
    pub fn create_whole(
        &self,
        kind: &'static Kind,
        object: Value,
        writer: &Writer,
    ) -> Result<(Arc<Entry>, Value), Status> {
        let _services = self.service_guard(kind);
        if !metadata::text(&object, "name").is_empty() {
            return self.try_create(kind, object, writer);
        }
        for _ in 0..ATTEMPTS_MAX {
            match self.try_create(kind, object.clone(), writer) {
                Err(status) if status.reason == "AlreadyExists" => {}
                other => return other,
            }
        }
        let prefix = metadata::text(&object, "generateName");
        Err(Status::new(409, "AlreadyExists", format!("no free name was found for {} {prefix}", kind.plural)))
    }

    /// Replaces; `metadata.resourceVersion`, where present, is a precondition. `writer.subresource` decides
    /// whether spec or status is taken.
    pub fn update(&self, kind: &'static Kind, object: Value, writer: &Writer) -> Result<Arc<Entry>, Status> {
        let namespace = metadata::text(&object, "namespace").to_owned();
        let name = metadata::text(&object, "name").to_owned();
        if self.get(kind, &namespace, &name).is_none()
            && strategy::creates_on_update(kind)
            && writer.subresource.is_empty()
        {
            return self.create(kind, object, writer);
        }
        let conditional = !metadata::text(&object, "resourceVersion").is_empty();
        self.modify(kind, &namespace, &name, writer, conditional, |_| Ok(object.clone()))
    }

    /// Reads, changes and writes, again where another write came between; `change` gets the live object.
    /// A status of `change` ends it.
    pub fn modify(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        writer: &Writer,
        conditional: bool,
        change: impl Fn(&Value) -> Result<Value, Status>,
    ) -> Result<Arc<Entry>, Status> {
        let _services = self.service_guard(kind);
        for _ in 0..ATTEMPTS_MAX {
            let entry = self.get(kind, namespace, name).ok_or_else(|| errors::not_found(kind, name))?;
            let live = entry.value();
            let new = change(&live)?;
            match self.commit_change(&entry, &live, new, writer)? {
                Some(written) => return Ok(written),
                None if conditional => break,
                None => {}
            }
        }
        Err(errors::modified(kind, name))
    }

    /// Stores a decided object; `None` where another write came between.
    fn commit(
        &self,
        kind: &'static Kind,
        object: &Value,
        live: Option<&Arc<Entry>>,
        dry_run: bool,
    ) -> Result<Option<Arc<Entry>>, Status> {
        let draft = Draft::new(kind, object);
        if dry_run {
            return Ok(Some(draft.into_dry_run(live)));
        }
        match self.store.put(&draft, live) {
            Ok(entry) => Ok(Some(entry)),
            Err(error) => commit_failed(kind, object, error),
        }
    }

    fn now_text(&self) -> String {
        metadata::time((self.now)())
    }
}

/// A failed commit as a status, or `None` where it is to be tried again.
fn commit_failed<T>(kind: &'static Kind, object: &Value, error: CommitError) -> Result<Option<T>, Status> {
    let namespace = metadata::text(object, "namespace");
    match error {
        CommitError::Changed => Ok(None),
        CommitError::NamespaceMissing => Err(errors::namespace_not_found(namespace)),
        CommitError::NamespaceTerminating => {
            Err(errors::namespace_terminating(kind, namespace, metadata::text(object, "name")))
        }
        CommitError::Store(error) => Err(errors::not_stored(&error)),
    }
}
