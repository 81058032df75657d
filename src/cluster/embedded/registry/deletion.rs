//! Deleting: preconditions, finalizers, grace periods, namespaces.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::schema::Kind;
use super::super::status::Status;
use super::{Draft, Entry, Registry, commit_failed, errors, metadata, strategy};

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

/// What a deletion did.
#[derive(Debug, Clone)]
pub struct Removal {
    /// The object after the call; its last state where it is gone.
    pub entry: Arc<Entry>,
    /// Whether it is gone.
    pub gone: bool,
}

/// Namespaces that Kubernetes does not let go.
const PROTECTED: [&str; 3] = ["default", "kube-system", "kube-public"];

impl Registry {
    /// Deletes, or marks for deletion where finalizers, a grace period or a namespace's content ask for it.
    /// Returns the object as it is after the call.
    pub fn delete(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        deletion: &Deletion,
    ) -> Result<Arc<Entry>, Status> {
        self.delete_or_mark(kind, namespace, name, deletion).map(|removal| removal.entry)
    }

    /// The same, telling whether the object is gone.
    pub fn delete_or_mark(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        deletion: &Deletion,
    ) -> Result<Removal, Status> {
        for _ in 0..super::ATTEMPTS_MAX {
            let entry = self.get(kind, namespace, name).ok_or_else(|| errors::not_found(kind, name))?;
            check_preconditions(&entry, deletion)?;
            if kind.name == "Namespace" && PROTECTED.contains(&name) {
                return Err(errors::forbidden(kind, name, "this namespace may not be deleted"));
            }
            let live = entry.value();
            let marked = mark(kind, &live, deletion, (self.now)());
            let done = if strategy::is_finished(kind, &marked) {
                // A pod's end is told with its grace period, all others as they were.
                let seen = if kind.name == "Pod" { &marked } else { &live };
                self.remove(&entry, seen, &marked, deletion.dry_run)?.map(|entry| Removal { entry, gone: true })
            } else if marked == live {
                Some(Removal { entry, gone: false })
            } else {
                self.commit(kind, &marked, Some(&entry), deletion.dry_run)?.map(|entry| Removal { entry, gone: false })
            };
            if let Some(removal) = done {
                return Ok(removal);
            }
        }
        Err(errors::modified(kind, name))
    }

    /// Takes an object out of the store: watchers see it as `seen`, the caller gets `answered`.
    pub(super) fn remove(
        &self,
        entry: &Arc<Entry>,
        seen: &Value,
        answered: &Value,
        dry_run: bool,
    ) -> Result<Option<Arc<Entry>>, Status> {
        if !dry_run {
            let draft = Draft::new(entry.kind, seen);
            if let Err(error) = self.store.remove(entry, Some(&draft)) {
                return commit_failed(entry.kind, seen, error);
            }
        }
        Ok(Some(Draft::new(entry.kind, answered).into_dry_run(Some(entry))))
    }
}

fn check_preconditions(entry: &Entry, deletion: &Deletion) -> Result<(), Status> {
    if let Some(uid) = deletion.precondition_uid.as_deref().filter(|uid| *uid != &*entry.uid) {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). \
             The object might have been deleted and then recreated",
            entry.uid
        );
        return Err(errors::precondition(entry.kind, &entry.name, &why));
    }
    if let Some(revision) = deletion.precondition_revision.filter(|revision| *revision != entry.revision) {
        let why = format!(
            "the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record ({}). \
             The object might have been modified",
            entry.revision
        );
        return Err(errors::precondition(entry.kind, &entry.name, &why));
    }
    Ok(())
}

/// The object with what the deletion sets on it. Pure.
fn mark(kind: &'static Kind, live: &Value, deletion: &Deletion, now: Timestamp) -> Value {
    let mut object = live.clone();
    let finalizers = wanted_finalizers(live, deletion.propagation);
    metadata::set_finalizers(&mut object, &finalizers);
    let already = !metadata::text(live, "deletionTimestamp").is_empty();
    let grace = grace_period(kind, live, deletion);
    let before = live.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    if already && before.is_none_or(|before| grace >= before) {
        return object;
    }
    let at = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
    let generation = metadata::generation(live);
    let stamped = metadata::metadata_mut(&mut object);
    stamped.insert("deletionTimestamp".into(), metadata::time(at).into());
    if kind.name == "Namespace" {
        object["status"]["phase"] = "Terminating".into();
    } else {
        stamped.insert("deletionGracePeriodSeconds".into(), grace.into());
    }
    if generation > 0 && !already {
        metadata::metadata_mut(&mut object).insert("generation".into(), (generation + 1).into());
    }
    object
}

/// Only pods have a grace period, and only where a kubelet has something to end.
fn grace_period(kind: &Kind, live: &Value, deletion: &Deletion) -> i64 {
    let scheduled = live.pointer("/spec/nodeName").and_then(Value::as_str).is_some_and(|node| !node.is_empty());
    let over = matches!(live.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed"));
    if kind.name != "Pod" || !scheduled || over {
        return 0;
    }
    let of_pod = || live.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30);
    // A negative period means one second; nobody waits longer than a year.
    match deletion.grace_period_seconds.unwrap_or_else(of_pod) {
        seconds if seconds < 0 => 1,
        seconds => seconds.min(31_536_000),
    }
}

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// The propagation policy is carried out by the garbage collector, which sees it in the finalizers.
fn wanted_finalizers(live: &Value, propagation: Option<Propagation>) -> Vec<String> {
    let mut finalizers: Vec<String> = metadata::finalizers(live).into_iter().map(Into::into).collect();
    let Some(propagation) = propagation else { return finalizers };
    finalizers.retain(|finalizer| finalizer != FOREGROUND && finalizer != ORPHAN);
    match propagation {
        Propagation::Background => {}
        Propagation::Foreground => finalizers.push(FOREGROUND.into()),
        Propagation::Orphan => finalizers.push(ORPHAN.into()),
    }
    finalizers
}
