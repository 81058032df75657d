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
    /// What a strict decoder refused in the body already.
    pub duplicates: &'a [String],
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
        let request =
            PatchRequest { kind: patch, body, force, field_validation: FieldValidation::Ignore, duplicates: &[] };
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
        check_converted(kind, request.body, &object)?;
        strategy::set_type(kind, &mut object);
        let stamped = metadata::metadata_mut(&mut object);
        stamped.insert("name".into(), name.into());
        if kind.namespaced {
            stamped.insert("namespace".into(), namespace.into());
        }
        self.check_namespace(kind, &object)?;
        strategy::label_namespace(kind, &mut object);
        admission::set_defaults(kind, &mut object);
        let (entry, _) = self.finish_create(kind, object, writer, &now)?;
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
        let uid = metadata::text(request.body, "uid");
        if !uid.is_empty() && uid != &*entry.uid {
            let cause = errors::invalid_value("metadata.uid", &uid.into(), "field is immutable");
            return Err(errors::invalid(entry.kind, &entry.name, &[cause.clone(), cause]));
        }
        super::change::check_preconditions(entry, request.body)?;
        let mut applied = request.body.clone();
        metadata::metadata_mut(&mut applied).remove("resourceVersion");
        let manager = Manager { name: &writer.field_manager, subresource: writer.subresource, now: &now };
        let mut new = apply::apply(entry.kind, Some(&live), &applied, &manager, request.force)?;
        check_converted(entry.kind, request.body, &new)?;
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
        check_names(entry, &new)?;
        let uid = metadata::text(&new, "uid");
        if !uid.is_empty() && uid != &*entry.uid {
            let cause = errors::invalid_value("metadata.uid", &uid.into(), "field is immutable");
            return Err(errors::invalid(kind, &entry.name, &[cause.clone(), cause]));
        }
        let stored = self.commit_change(entry, &live, new, writer)?;
        Ok(stored.map(|entry| Written { entry, created: false, warnings }))
    }
}

/// What was applied must be of its kind once it is merged.
fn check_converted(kind: &'static Kind, applied: &Value, merged: &Value) -> Result<(), Status> {
    let mistake = schema::check_structure(kind, merged).into_iter().find_map(|error| match error {
        StructureError::Mistyped { converted, .. } => Some(converted),
        StructureError::Unknown { .. } => None,
    });
    let Some(mistake) = mistake else { return Ok(()) };
    let version = if kind.group.is_empty() { format!("/{}", kind.version) } else { kind.api_version() };
    let what = format!("{version}, Kind={}", kind.name);
    let (namespace, name) = (metadata::text(applied, "namespace"), metadata::text(applied, "name"));
    let message = format!(
        "failed to convert new object ({namespace}/{name}; {what}) to proper version: unable to convert unstructured object to {what}: {mistake}"
    );
    Err(Status::new(500, "", message))
}

/// A patch cannot move an object.
fn check_names(entry: &Entry, new: &Value) -> Result<(), Status> {
    let (name, found) = (&*entry.name, metadata::text(new, "name"));
    if found.is_empty() {
        let message = format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
        return Err(errors::bad_request(message));
    }
    if found != name {
        let message = format!("the name of the object ({found}) does not match the name on the URL ({name})");
        return Err(errors::bad_request(message));
    }
    let namespace = metadata::text(new, "namespace");
    if !namespace.is_empty() && namespace != &*entry.namespace {
        return Err(errors::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// The patched object must still be one of its kind; unknown fields go, as the request asks.
fn check_patched(kind: &'static Kind, new: &mut Value, request: &PatchRequest<'_>) -> Result<Vec<String>, Status> {
    let stated = |key: &str| new.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, name) = (stated("apiVersion"), stated("kind"));
    // A strategic patch goes by the type of the path, and leaves what an object says of itself alone.
    if request.kind != PatchKind::Strategic && (version != kind.api_version() || name != kind.name) {
        let detail =
            format!("no kind {name:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:110\"");
        return Err(invalid_patch(kind, new, request, &detail));
    }
    let mut found: Vec<String> = request.duplicates.to_vec();
    for error in schema::check_structure(kind, new) {
        match error {
            StructureError::Unknown { path } => found.push(format!("unknown field \"{path}\"")),
            StructureError::Mistyped { message, converted } => {
                let detail = if request.kind == PatchKind::Strategic { converted } else { message };
                return Err(invalid_patch(kind, new, request, &detail));
            }
        }
    }
    if found.is_empty() {
        return Ok(found);
    }
    let refused = invalid_patch(kind, new, request, &format!("strict decoding error: {}", found.join(", ")));
    schema::prune_unknown(kind, new);
    match request.field_validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(found),
        FieldValidation::Strict => Err(refused),
    }
}

/// A strategic patch is shown as it was sent, the others by what they would make of the object.
fn invalid_patch(kind: &'static Kind, new: &Value, request: &PatchRequest<'_>, detail: &str) -> Status {
    let shown = match request.kind {
        PatchKind::Strategic | PatchKind::Apply => go_map(request.body),
        PatchKind::Merge => apply::encode(kind, new, &|place| is_merged(request.body, place)),
        PatchKind::Json => apply::encode(kind, new, &|place| is_passed(request.body, place)),
    };
    errors::invalid_named("", "", "", "", &[errors::invalid_value("patch", &Value::String(shown), detail)])
}

/// Whether a merge patch has something below this place.
fn is_merged(patch: &Value, place: &[String]) -> bool {
    place.iter().try_fold(patch, |patch, name| patch.get(name)).is_some_and(Value::is_object)
}

/// Whether an operation leads through this place.
fn is_passed(operations: &Value, place: &[String]) -> bool {
    let path = place.iter().fold(String::new(), |path, name| path + "/" + name) + "/";
    let mut operations = operations.as_array().into_iter().flatten();
    operations.any(|operation| {
        ["path", "from"]
            .iter()
            .any(|key| operation.get(*key).and_then(Value::as_str).is_some_and(|pointer| pointer.starts_with(&path)))
    })
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
