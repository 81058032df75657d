//! Creating and updating one object: what is decided before the commit.

use std::sync::Arc;

use serde_json::Value;

use super::super::admission;
use super::super::apply::{self, Manager};
use super::super::schema::Kind;
use super::super::status::Status;
use super::{Entry, Registry, Writer, admit, errors, metadata, service, strategy};

impl Registry {
    pub(super) fn try_create(
        &self,
        kind: &'static Kind,
        mut object: Value,
        writer: &Writer,
    ) -> Result<(Arc<Entry>, Value), Status> {
        let now = self.now_text();
        strategy::set_type(kind, &mut object);
        if !metadata::text(&object, "resourceVersion").is_empty() && !writer.dry_run {
            return Err(errors::bad_request("resourceVersion should not be set on objects to be created"));
        }
        if !kind.namespaced {
            metadata::metadata_mut(&mut object).remove("namespace");
        }
        self.check_namespace(kind, &object)?;
        metadata::metadata_mut(&mut object).remove("deletionTimestamp");
        strategy::label_namespace(kind, &mut object);
        admission::set_defaults(kind, &mut object);
        let manager = Manager { name: &writer.field_manager, subresource: writer.subresource, now: &now };
        apply::track_update(kind, None, &mut object, &manager);
        self.finish_create(kind, object, writer, &now)
    }

    /// From an object with defaults and managed fields to the stored one; server-side apply joins here.
    pub(super) fn finish_create(
        &self,
        kind: &'static Kind,
        mut object: Value,
        writer: &Writer,
        now: &str,
    ) -> Result<(Arc<Entry>, Value), Status> {
        stamp_new(&mut object, now);
        strategy::prepare_create(kind, &mut object);
        let name = metadata::text(&object, "name").to_owned();
        self.admit_create(kind, &mut object)?;
        if name.is_empty() {
            let cause = errors::required("metadata.name", "name or generateName is required");
            return Err(errors::invalid(kind, "", &[cause]));
        }
        let causes = admission::validate_create(kind, &object);
        if !causes.is_empty() {
            return Err(errors::invalid(kind, &name, &causes));
        }
        if service::concerns(kind) {
            service::allocate(&self.store, &mut object, None, writer.dry_run)
                .map_err(|causes| errors::invalid(kind, &name, &causes))?;
        }
        if self.get(kind, metadata::text(&object, "namespace"), &name).is_some() {
            return Err(errors::already_exists(kind, &name));
        }
        apply::settle(kind.definition(), &mut object);
        match self.commit(kind, &object, None, writer.dry_run)? {
            Some(entry) => Ok((entry, object)),
            None => Err(errors::already_exists(kind, &name)),
        }
    }

    /// Namespaces must be there and stay; a dry run is told so too.
    pub(super) fn check_namespace(&self, kind: &'static Kind, object: &Value) -> Result<(), Status> {
        if !kind.namespaced {
            return Ok(());
        }
        let namespace = metadata::text(object, "namespace");
        let Some(namespaces) = strategy::namespace_kind() else { return Ok(()) };
        match self.get(namespaces, "", namespace) {
            None => Err(errors::namespace_not_found(namespace)),
            Some(entry) if entry.deleting => {
                Err(errors::namespace_terminating(kind, namespace, metadata::text(object, "name")))
            }
            Some(_) => Ok(()),
        }
    }

    fn admit_create(&self, kind: &'static Kind, object: &mut Value) -> Result<(), Status> {
        if kind.name != "Pod" || !kind.group.is_empty() {
            return Ok(());
        }
        let namespace = metadata::text(object, "namespace").to_owned();
        let account = admit::service_account(object).to_owned();
        if let Some(why) = admit::refusal(object) {
            return Err(errors::forbidden(kind, metadata::text(object, "name"), &why));
        }
        let exists = account == "default"
            || strategy::service_account_kind().is_none_or(|kind| self.get(kind, &namespace, &account).is_some());
        if !exists {
            let why = format!(
                "error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found"
            );
            return Err(errors::forbidden(kind, metadata::text(object, "name"), &why));
        }
        admit::pod(object, &account);
        Ok(())
    }

    /// Decides an update and commits it; `None` where another write came between.
    pub(super) fn commit_change(
        &self,
        entry: &Arc<Entry>,
        live: &Value,
        mut new: Value,
        writer: &Writer,
    ) -> Result<Option<Arc<Entry>>, Status> {
        let kind = entry.kind;
        check_preconditions(entry, &new)?;
        let now = self.now_text();
        check_deletion_time(entry, &new, live)?;
        strategy::set_type(kind, &mut new);
        keep_stamped(&mut new, live);
        strategy::prepare_update(kind, &mut new, live, writer.subresource);
        strategy::label_namespace(kind, &mut new);
        admission::set_defaults(kind, &mut new);
        let manager = Manager { name: &writer.field_manager, subresource: writer.subresource, now: &now };
        apply::track_update(kind, Some(live), &mut new, &manager);
        self.finish_change(entry, live, new, writer)
    }

    /// From a changed object with managed fields to the stored one; server-side apply joins here.
    pub(super) fn finish_change(
        &self,
        entry: &Arc<Entry>,
        live: &Value,
        mut new: Value,
        writer: &Writer,
    ) -> Result<Option<Arc<Entry>>, Status> {
        let kind = entry.kind;
        if service::concerns(kind) && writer.subresource.is_empty() {
            service::carry_over(&mut new, live);
        }
        if kind.name == "Pod" && kind.group.is_empty() && writer.subresource.is_empty() {
            admit::tolerations(&mut new);
        }
        check_finalizers(kind, &new, live)?;
        if matches!(writer.subresource, "" | "scale" | "status") {
            let causes = if writer.subresource == "status" {
                admission::validate_status(kind, &new)
            } else {
                admission::validate_update(kind, &new, live)
            };
            if !causes.is_empty() {
                return Err(errors::invalid(kind, &entry.name, &causes));
            }
        }
        if service::concerns(kind) {
            service::allocate(&self.store, &mut new, Some(live), writer.dry_run)
                .map_err(|causes| errors::invalid(kind, &entry.name, &causes))?;
        }
        apply::settle(kind.definition(), &mut new);
        strategy::set_generation(&mut new, live, writer.subresource);
        if strategy::same(&new, live) {
            return Ok(Some(Arc::clone(entry)));
        }
        if strategy::is_finished(kind, &new) {
            return self.remove(entry, live, &new, writer.dry_run);
        }
        self.commit(kind, &new, Some(entry), writer.dry_run)
    }
}

/// What only the registry sets, on a new object.
fn stamp_new(object: &mut Value, now: &str) {
    let metadata = metadata::metadata_mut(object);
    for key in ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        metadata.remove(key);
    }
    metadata.insert("uid".into(), metadata::new_uid().into());
    metadata.insert("creationTimestamp".into(), now.into());
    let named = metadata.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    let base = metadata.get("generateName").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !named && !base.is_empty() {
        metadata.insert("name".into(), metadata::generated_name(&base).into());
    }
}

/// What only the registry sets, on an update: as it was.
pub(super) fn keep_stamped(new: &mut Value, live: &Value) {
    let metadata = metadata::metadata_mut(new);
    for key in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
    ] {
        match live.get("metadata").and_then(|metadata| metadata.get(key)) {
            Some(value) => metadata.insert(key.into(), value.clone()),
            None => metadata.remove(key),
        };
    }
    metadata.remove("selfLink");
    metadata.remove("resourceVersion");
    if let Some(revision) = live.pointer("/metadata/resourceVersion") {
        metadata.insert("resourceVersion".into(), revision.clone());
    }
}

/// When an object was deleted is nothing that a write changes. Kubernetes validates this twice, hence two causes.
fn check_deletion_time(entry: &Entry, new: &Value, live: &Value) -> Result<(), Status> {
    let time = metadata::text(new, "deletionTimestamp");
    if time.is_empty() || time == metadata::text(live, "deletionTimestamp") {
        return Ok(());
    }
    let cause = errors::invalid_value("metadata.deletionTimestamp", &time.into(), "field is immutable");
    Err(errors::invalid(entry.kind, &entry.name, &[cause.clone(), cause]))
}

pub(super) fn check_preconditions(entry: &Entry, new: &Value) -> Result<(), Status> {
    let uid = metadata::text(new, "uid");
    if !uid.is_empty() && uid != &*entry.uid {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            storage_key(entry),
            entry.uid
        );
        return Err(errors::conflict(entry.kind, &entry.name, &why));
    }
    let revision = metadata::text(new, "resourceVersion");
    if revision.is_empty() || revision == "0" {
        return Ok(());
    }
    match revision.parse::<u64>() {
        Ok(revision) if revision == entry.revision => Ok(()),
        Ok(_) => Err(errors::modified(entry.kind, &entry.name)),
        Err(_) => Err(Status::new(500, "", format!("strconv.ParseUint: parsing \"{revision}\": invalid syntax"))),
    }
}

/// Where Kubernetes keeps the object; its message says so.
fn storage_key(entry: &Entry) -> String {
    let folder = match (entry.kind.group, entry.kind.name) {
        ("", "Service") => "services/specs",
        ("", "Endpoints") => "services/endpoints",
        ("", "Node") => "minions",
        _ => entry.kind.plural,
    };
    if entry.namespace.is_empty() {
        format!("/{folder}/{}", entry.name)
    } else {
        format!("/{folder}/{}/{}", entry.namespace, entry.name)
    }
}

/// While an object is being deleted, finalizers can only go. Kubernetes validates this twice, hence two causes.
fn check_finalizers(kind: &'static Kind, new: &Value, live: &Value) -> Result<(), Status> {
    if metadata::text(live, "deletionTimestamp").is_empty() {
        return Ok(());
    }
    let before = metadata::finalizers(live);
    let added: Vec<String> = metadata::finalizers(new)
        .into_iter()
        .filter(|finalizer| !before.contains(finalizer))
        .map(|finalizer| format!("{finalizer:?}"))
        .collect();
    if added.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    let cause = errors::forbidden_field("metadata.finalizers", &detail);
    Err(errors::invalid(kind, metadata::text(new, "name"), &[cause.clone(), cause]))
}
