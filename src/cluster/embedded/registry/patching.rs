//! Patches: each is a function of the live object; where another write comes between, it is applied again.

use std::sync::Arc;

use serde_json::Value;

use super::super::admission;
use super::super::apply::{self, Manager};
use super::super::patch;
use super::super::schema::{self, Kind, StructureError};
use super::super::status::Status;
use super::{ATTEMPTS_MAX, Entry, Registry, Writer, errors, metadata, strategy};

/// The four patch types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    Json,
    Merge,
    Strategic,
    /// Server-side apply.
    Apply,
}

/// What becomes of fields that the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Dropped.
    Ignore,
    /// Dropped, with a warning.
    #[default]
    Warn,
    /// Refused.
    Strict,
}

/// A patch as it was sent.
#[derive(Debug, Clone, Copy)]
pub struct PatchRequest<'a> {
    pub kind: PatchKind,
    pub body: &'a Value,
    /// For [`PatchKind::Apply`]: takes over fields of other managers.
    pub force: bool,
    pub field_validation: FieldValidation,
}

/// What a patch made.
#[derive(Debug, Clone)]
pub struct Written {
    pub entry: Arc<Entry>,
    /// Server-side apply creates what is not there.
    pub created: bool,
    pub warnings: Vec<String>,
}

impl Registry {
    /// Patches one object with no warnings asked for: what controllers and the node use.
    #[allow(clippy::too_many_arguments)] // An object's address, what is done to it and by whom, as the other writes have them.
    pub fn patch(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        patch: PatchKind,
        body: &Value,
        writer: &Writer,
        force: bool,
    ) -> Result<Arc<Entry>, Status> {
        let request = PatchRequest { kind: patch, body, force, field_validation: FieldValidation::Ignore };
        self.patch_with(kind, namespace, name, &request, writer).map(|written| written.entry)
    }

    /// Patches one object; server-side apply creates it where it is not there.
    pub fn patch_with(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        request: &PatchRequest<'_>,
        writer: &Writer,
    ) -> Result<Written, Status> {
        let _services = self.service_guard(kind);
        let conditional = !metadata::text(request.body, "resourceVersion").is_empty();
        for _ in 0..ATTEMPTS_MAX {
            let outcome = match self.get(kind, namespace, name) {
                None if request.kind == PatchKind::Apply && writer.subresource.is_empty() => {
                    match self.create_by_apply(kind, namespace, name, request, writer) {
                        Err(status) if status.reason == "AlreadyExists" => None,
                        created => return created,
                    }
                }
                None => return Err(errors::not_found(kind, name)),
                Some(entry) if request.kind == PatchKind::Apply => self.apply_over(&entry, request, writer)?,
                Some(entry) => self.patch_over(&entry, request, writer)?,
            };
            match outcome {
                Some(done) => return Ok(done),
                None if conditional => break,
                None => {}
            }
        }
        Err(errors::modified(kind, name))
    }

    fn create_by_apply(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        request: &PatchRequest<'_>,
        writer: &Writer,
    ) -> Result<Written, Status> {
        let now = self.now_text();
        if !metadata::text(request.body, "uid").is_empty() {
            let why = "uid mismatch: the provided object specified uid, and no existing object was found";
            return Err(errors::conflict(kind, name, why));
        }
        let manager = Manager { name: &writer.field_manager, subresource: writer.subresource, now: &now };
        let mut object = apply::apply(kind, None, request.body, &manager, request.force)?;
        strategy::set_type(kind, &mut object);
        let stamped = metadata::metadata_mut(&mut object);
        stamped.insert("name".into(), name.into());
        if kind.namespaced {
            stamped.insert("namespace".into(), namespace.into());
        }
        self.check_namespace(kind, &object)?;
        strategy::label_namespace(kind, &mut object);
        admission::set_defaults(kind, &mut object);
        let entry = self.finish_create(kind, object, writer, &now)?;
        Ok(Written { entry, created: true, warnings: Vec::new() })
    }

    fn apply_over(
        &self,
        entry: &Arc<Entry>,
        request: &PatchRequest<'_>,
        writer: &Writer,
    ) -> Result<Option<Written>, Status> {
        let now = self.now_text();
        let live = entry.value();
        super::change::check_preconditions(entry, request.body)?;
        let mut applied = request.body.clone();
        metadata::metadata_mut(&mut applied).remove("resourceVersion");
        let manager = Manager { name: &writer.field_manager, subresource: writer.subresource, now: &now };
        let mut new = apply::apply(entry.kind, Some(&live), &applied, &manager, request.force)?;
        let managed = new.pointer("/metadata/managedFields").cloned();
        super::change::keep_stamped(&mut new, &live);
        strategy::set_type(entry.kind, &mut new);
        strategy::prepare_update(entry.kind, &mut new, &live, writer.subresource);
        if let Some(managed) = managed {
            metadata::metadata_mut(&mut new).insert("managedFields".into(), managed);
        }
        admission::set_defaults(entry.kind, &mut new);
        let stored = self.finish_change(entry, &live, new, writer)?;
        Ok(stored.map(|entry| Written { entry, created: false, warnings: Vec::new() }))
    }

    fn patch_over(
        &self,
        entry: &Arc<Entry>,
        request: &PatchRequest<'_>,
        writer: &Writer,
    ) -> Result<Option<Written>, Status> {
        let kind = entry.kind;
        let live = entry.value();
        let mut new = match request.kind {
            PatchKind::Json => patch::json_patch(&live, request.body)?,
            PatchKind::Merge => patch::merge_patch(&live, request.body),
            PatchKind::Strategic | PatchKind::Apply => patch::strategic_merge_patch(kind, &live, request.body)?,
        };
        let warnings = check_patched(kind, &mut new, request)?;
        if metadata::text(&new, "name") != &*entry.name {
            let cause =
                errors::invalid_value("metadata.name", &metadata::text(&new, "name").into(), "field is immutable");
            return Err(errors::invalid(kind, &entry.name, &[cause]));
        }
        let stored = self.commit_change(entry, &live, new, writer)?;
        Ok(stored.map(|entry| Written { entry, created: false, warnings }))
    }
}

/// The patched object must still be one of its kind; unknown fields go, as the request asks.
fn check_patched(kind: &'static Kind, new: &mut Value, request: &PatchRequest<'_>) -> Result<Vec<String>, Status> {
    let mut unknown = Vec::new();
    for error in schema::check_structure(kind, new) {
        match error {
            StructureError::Unknown { path } => unknown.push(format!("unknown field \"{path}\"")),
            StructureError::Mistyped { message } => return Err(mistyped(new, request, &message)),
        }
    }
    if unknown.is_empty() {
        return Ok(unknown);
    }
    schema::prune_unknown(kind, new);
    match request.field_validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(unknown),
        FieldValidation::Strict => {
            let detail = format!("strict decoding error: {}", unknown.join(", "));
            Err(invalid_patch(request, &detail))
        }
    }
}

/// A strategic patch is shown as it was sent, the others by what they would make of the object.
fn mistyped(new: &Value, request: &PatchRequest<'_>, message: &str) -> Status {
    if request.kind == PatchKind::Strategic {
        return invalid_patch(request, message);
    }
    let value = Value::String(new.to_string());
    errors::invalid_named("", "", "", "", &[errors::invalid_value("patch", &value, message)])
}

fn invalid_patch(request: &PatchRequest<'_>, detail: &str) -> Status {
    let value = Value::String(go_map(request.body));
    errors::invalid_named("", "", "", "", &[errors::invalid_value("patch", &value, detail)])
}

/// A value as Go's `%+v` prints it.
fn go_map(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}:{}", go_map(value))).collect();
            format!("map[{}]", members.join(" "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(go_map).collect::<Vec<_>>().join(" ")),
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".into(),
        other => other.to_string(),
    }
}
