//! Reading and writing one object, and deleting many.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use hyper::Request;
use serde_json::{Value, json};

use super::super::admission;
use super::super::registry::{
    Deletion, Entry, FieldValidation, PatchKind, PatchRequest, Propagation, Removal, Writer, errors,
};
use super::super::schema::Kind;
use super::super::status::{Cause, Status};
use super::answer::{self, Answer};
use super::body::RequestBody;
use super::handle::Context;
use super::negotiate::{self, Representation};
use super::query::Query;
use super::route::Target;
use super::selector::Selector;
use super::{decode, list, table};

pub(super) fn get(context: &Context, request: &Request<RequestBody>, target: &Target<'_>) -> Result<Answer, Status> {
    let representation = negotiate::representation(request.headers())?;
    let entry = find(context, target)?;
    represent(context, 200, &entry, representation)
}

pub(super) fn find(context: &Context, target: &Target<'_>) -> Result<Arc<Entry>, Status> {
    let name = target.name.unwrap_or_default();
    let found = context.server.registry.get(target.kind, target.namespace.unwrap_or_default(), name);
    found.ok_or_else(|| errors::not_found(target.kind, name))
}

/// One object in the representation that was asked for.
pub(super) fn represent(
    context: &Context,
    code: u16,
    entry: &Entry,
    representation: Representation,
) -> Result<Answer, Status> {
    match representation {
        Representation::Json => Ok(answer::json_bytes(code, entry.json.clone())),
        Representation::Yaml => Ok(answer::yaml(code, &entry.value())),
        Representation::Metadata => Ok(answer::json(code, &list::partial(&entry.value(), true))),
        Representation::Table => {
            let object = entry.value();
            let revision = entry.revision.to_string();
            let include = table::Include::parse(context.query.get("includeObject"))?;
            let table = table::table(entry.kind, &[object], include, &json!({"resourceVersion": revision}), true);
            Ok(answer::json(code, &table))
        }
    }
}

pub(super) fn field_validation(query: &Query) -> Result<FieldValidation, Status> {
    match query.get("fieldValidation") {
        None | Some("Warn") => Ok(FieldValidation::Warn),
        Some("Strict") => Ok(FieldValidation::Strict),
        Some("Ignore") => Ok(FieldValidation::Ignore),
        Some(other) => {
            Err(invalid_option("CreateOptions", "fieldValidation", other, &["", "Ignore", "Strict", "Warn"]))
        }
    }
}

fn invalid_option(options: &str, field: &str, value: &str, supported: &[&str]) -> Status {
    let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
    let cause = Cause {
        reason: "FieldValueNotSupported",
        message: format!("Unsupported value: {value:?}: supported values: {}", supported.join(", ")),
        field: field.into(),
    };
    errors::invalid_named(&format!("{options}.meta.k8s.io"), "meta.k8s.io", options, "", &[cause])
}

/// Who writes: the query's field manager, or what the user agent is called.
pub(super) fn writer(query: &Query, headers: &HeaderMap, subresource: &'static str) -> Writer {
    let field_manager = query.get("fieldManager").map_or_else(
        || {
            let agent = headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let name: String = agent.split('/').next().unwrap_or_default().chars().take(128).collect();
            if name.is_empty() { "unknown".into() } else { name }
        },
        Into::into,
    );
    Writer { field_manager, subresource, dry_run: query.dry_run() }
}

fn static_subresource(target: &Target<'_>) -> &'static str {
    let Some(wanted) = target.subresource else { return "" };
    target.kind.subresources.iter().find(|known| **known == wanted).copied().unwrap_or_default()
}

/// Checks the namespace and name in a body against the path.
fn check_place(object: &Value, target: &Target<'_>) -> Result<(), Status> {
    let found = |key: &str| object.pointer(&format!("/metadata/{key}")).and_then(Value::as_str).unwrap_or_default();
    let wanted = target.namespace.unwrap_or_default();
    if target.kind.namespaced && !found("namespace").is_empty() && found("namespace") != wanted {
        return Err(errors::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if let Some(name) = target.name {
        let found = found("name");
        if !found.is_empty() && found != name {
            return Err(errors::bad_request(format!(
                "the name of the object ({found}) does not match the name on the URL ({name})"
            )));
        }
    }
    Ok(())
}

/// Sets the namespace and name that the path states.
fn place(object: &mut Value, target: &Target<'_>) {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    if target.kind.namespaced {
        object["metadata"]["namespace"] = target.namespace.unwrap_or_default().into();
    }
    if let Some(name) = target.name {
        object["metadata"]["name"] = name.into();
    }
}

async fn object_of(
    context: &Context,
    request: Request<RequestBody>,
    target: &Target<'_>,
) -> Result<(Value, Vec<String>), Status> {
    let validation = field_validation(&context.query)?;
    let content_type = decode::content_type(request.headers()).to_owned();
    let replaces = request.method() == Method::PUT;
    let body = decode::read_body(request.into_body()).await?;
    let decoded = decode::decode(&content_type, &body, target.kind.name)?;
    let (mut object, warnings) = decode::check_object(target.kind, decoded, validation, &body)?;
    if let (true, Some(name), None | Some("")) =
        (replaces, target.name, object.pointer("/metadata/name").and_then(Value::as_str))
    {
        return Err(errors::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )));
    }
    check_place(&object, target)?;
    place(&mut object, target);
    Ok((object, warnings))
}

pub(super) async fn create(
    context: &Context,
    request: Request<RequestBody>,
    target: &Target<'_>,
) -> Result<Answer, Status> {
    if target.subresource == Some("binding") {
        return bind(context, request, target).await;
    }
    if target.subresource == Some("eviction") {
        return evict(context, request, target).await;
    }
    let representation = negotiate::representation(request.headers())?;
    let writer = writer(&context.query, request.headers(), "");
    let (object, warnings) = object_of(context, request, target).await?;
    let repeated = admission::repeated_owners(&object);
    let (entry, stored) = context.server.registry.create_whole(target.kind, object, &writer)?;
    let mut answered = represent(context, 201, &entry, representation)?;
    answer::warn(&mut answered, &warnings);
    answer::warn(&mut answered, &repeated);
    answer::warn(&mut answered, &admission::warnings(target.kind, &stored));
    Ok(answered)
}

pub(super) async fn update(
    context: &Context,
    request: Request<RequestBody>,
    target: &Target<'_>,
) -> Result<Answer, Status> {
    let representation = negotiate::representation(request.headers())?;
    let writer = writer(&context.query, request.headers(), static_subresource(target));
    let (object, warnings) = object_of(context, request, target).await?;
    let existed =
        context.server.registry.get(target.kind, target.namespace.unwrap_or_default(), target.name.unwrap_or_default());
    let entry = context.server.registry.update(target.kind, object, &writer)?;
    let code = if existed.is_some() { 200 } else { 201 };
    let mut answered = represent(context, code, &entry, representation)?;
    answer::warn(&mut answered, &warnings);
    if writer.subresource.is_empty() {
        answer::warn(&mut answered, &admission::warnings(target.kind, &entry.value()));
    }
    Ok(answered)
}

pub(super) async fn patch(
    context: &Context,
    request: Request<RequestBody>,
    target: &Target<'_>,
) -> Result<Answer, Status> {
    let representation = negotiate::representation(request.headers())?;
    let kind = patch_kind(decode::content_type(request.headers()))?;
    let named = context.query.get("fieldManager").is_some();
    let writer = writer(&context.query, request.headers(), static_subresource(target));
    let validation = field_validation(&context.query)?;
    let body = decode::read_body(request.into_body()).await?;
    patch_options(&context.query, kind)?;
    let (body, duplicates) = if kind == PatchKind::Apply {
        applied_configuration(target, &body, named, validation)?
    } else {
        patch_body(kind, &body)?
    };
    let patch = PatchRequest {
        kind,
        body: &body,
        force: context.query.flag("force"),
        field_validation: validation,
        duplicates: &duplicates,
    };
    let (namespace, name) = (target.namespace.unwrap_or_default(), target.name.unwrap_or_default());
    let written = context.server.registry.patch_with(target.kind, namespace, name, &patch, &writer)?;
    let mut answered = represent(context, if written.created { 201 } else { 200 }, &written.entry, representation)?;
    if kind == PatchKind::Apply && validation == FieldValidation::Warn {
        answer::warn(&mut answered, &duplicates);
    }
    answer::warn(&mut answered, &written.warnings);
    if writer.subresource.is_empty() {
        answer::warn(&mut answered, &admission::warnings(target.kind, &written.entry.value()));
    }
    Ok(answered)
}

pub(super) fn patch_kind(content_type: &str) -> Result<PatchKind, Status> {
    match content_type {
        "application/json-patch+json" => Ok(PatchKind::Json),
        "application/merge-patch+json" => Ok(PatchKind::Merge),
        "application/strategic-merge-patch+json" => Ok(PatchKind::Strategic),
        "application/apply-patch+yaml" => Ok(PatchKind::Apply),
        _ => Err(Status::new(415, "UnsupportedMediaType", "415: Unsupported Media Type")
            .with_details(Value::Object(serde_json::Map::new()))),
    }
}

/// The longest name of a field manager, in bytes.
const MANAGER_BYTES_MAX: usize = 128;

fn patch_options(query: &Query, kind: PatchKind) -> Result<(), Status> {
    let mut causes = Vec::new();
    if kind != PatchKind::Apply && query.flag("force") {
        causes.push(errors::forbidden_field("force", "may not be specified for non-apply patch"));
    }
    if query.get("fieldManager").is_some_and(|manager| manager.len() > MANAGER_BYTES_MAX) {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {MANAGER_BYTES_MAX} bytes"),
            field: "fieldManager".into(),
        });
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(errors::invalid_named("PatchOptions.meta.k8s.io", "meta.k8s.io", "PatchOptions", "", &causes))
}

/// A patch, with the fields that stand in it twice.
pub(super) fn patch_body(kind: PatchKind, body: &Bytes) -> Result<(Value, Vec<String>), Status> {
    let refuse = |why: String| Err(errors::bad_request(why));
    let decoded = match decode::decode_json(body) {
        Ok(decoded) => decoded,
        Err(error) if kind == PatchKind::Strategic => return refuse(error),
        Err(error) => return refuse(format!("error decoding patch: {error}")),
    };
    let found = decode::go_type(&decoded.value);
    match (kind, &decoded.value) {
        (PatchKind::Json, Value::Array(operations)) => check_operations(operations)?,
        (PatchKind::Json, Value::Null) => return Ok((json!([]), Vec::new())),
        (PatchKind::Json, _) => {
            return refuse(format!(
                "error decoding patch: json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
            ));
        }
        (_, Value::Object(_)) => {}
        (PatchKind::Merge, Value::Null) => return refuse("Invalid JSON Patch".into()),
        (PatchKind::Strategic, Value::Null) => return Ok((json!({}), Vec::new())),
        (PatchKind::Strategic, _) => {
            return refuse(format!("json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"));
        }
        _ => {
            return refuse(format!(
                "error decoding patch: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
            ));
        }
    }
    Ok((decoded.value, decoded.duplicates))
}

/// Each operation is an object of texts, and a value of any kind.
fn check_operations(operations: &[Value]) -> Result<(), Status> {
    let refuse = |what: &Value, place: &str| {
        let found = decode::go_type(what);
        Err(errors::bad_request(format!("error decoding patch: json: cannot unmarshal {found} into Go {place}")))
    };
    for operation in operations {
        if !operation.is_object() && !operation.is_null() {
            return refuse(operation, "value of type handlers.jsonPatchOp");
        }
        for key in ["op", "path", "from"] {
            if let Some(value) = operation.get(key).filter(|value| !value.is_string() && !value.is_null()) {
                return refuse(value, &format!("struct field jsonPatchOp.{key} of type string"));
            }
        }
    }
    Ok(())
}

/// The body of a server-side apply, which must state its kind, with the keys that stand in it twice.
fn applied_configuration(
    target: &Target<'_>,
    body: &Bytes,
    named: bool,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), Status> {
    if !named {
        let cause = errors::required("fieldManager", "is required for apply patch");
        return Err(errors::invalid_named("PatchOptions.meta.k8s.io", "meta.k8s.io", "PatchOptions", "", &[cause]));
    }
    let document = decode::decode_yaml(body).map_err(|error| {
        errors::bad_request(format!("error decoding YAML: error converting YAML to JSON: yaml: {error}"))
    })?;
    let repeated = decode::repeated(&document);
    let value = document.value;
    if !value.is_object() && !value.is_null() {
        let found = decode::go_type(&value);
        return Err(errors::bad_request(format!(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        )));
    }
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    if kind.is_empty() || version.is_empty() {
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        return Err(errors::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
    }
    if version != target.kind.api_version() || kind != target.kind.name {
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        return Err(errors::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
    }
    if !value["metadata"]["managedFields"].is_null() {
        return Err(errors::bad_request("metadata.managedFields must be nil"));
    }
    check_place(&value, target)?;
    if validation == FieldValidation::Strict && !repeated.is_empty() {
        let why = decode::repeated_error(&repeated);
        return Err(errors::bad_request(format!("error strict decoding YAML: error converting YAML to JSON: {why}")));
    }
    Ok((value, repeated))
}

pub(super) async fn delete(
    context: &Context,
    request: Request<RequestBody>,
    target: &Target<'_>,
) -> Result<Answer, Status> {
    let representation = negotiate::representation(request.headers())?;
    let deletion = deletion(context, request).await?;
    let (namespace, name) = (target.namespace.unwrap_or_default(), target.name.unwrap_or_default());
    let removal = context.server.registry.delete_or_mark(target.kind, namespace, name, &deletion)?;
    if removal.gone && !returns_object(target.kind) {
        return Ok(answer::json(200, &deleted(&removal)));
    }
    represent(context, 200, &removal.entry, representation)
}

/// Kinds whose deletion answers the object even where it is gone at once.
fn returns_object(kind: &Kind) -> bool {
    kind.group.is_empty()
        && matches!(
            kind.name,
            "Pod" | "Service" | "ServiceAccount" | "PersistentVolume" | "PersistentVolumeClaim" | "ResourceQuota"
        )
}

fn deleted(removal: &Removal) -> Value {
    let kind = removal.entry.kind;
    let mut details = json!({"name": removal.entry.name, "kind": kind.plural, "uid": removal.entry.uid});
    if !kind.group.is_empty() {
        details["group"] = kind.group.into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// `DeleteOptions` from the body or, where there is none, from the query.
async fn deletion(context: &Context, request: Request<RequestBody>) -> Result<Deletion, Status> {
    let content_type = decode::content_type(request.headers()).to_owned();
    let body = decode::read_body(request.into_body()).await?;
    let mut options = json!({});
    if body.is_empty() {
        for key in ["propagationPolicy", "gracePeriodSeconds", "orphanDependents"] {
            if let Some(value) = context.query.get(key) {
                options[key] = value.parse::<i64>().map_or_else(|_| Value::from(value), Value::from);
            }
        }
    } else {
        options = decode::decode(&content_type, &body, "DeleteOptions")?.value;
    }
    parse_deletion(&options, context.query.dry_run())
}

fn parse_deletion(options: &Value, dry_run: bool) -> Result<Deletion, Status> {
    let propagation = match options.get("propagationPolicy").and_then(Value::as_str) {
        None => None,
        Some("Background") => Some(Propagation::Background),
        Some("Foreground") => Some(Propagation::Foreground),
        Some("Orphan") => Some(Propagation::Orphan),
        Some(other) => {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            return Err(invalid_option("DeleteOptions", "propagationPolicy", other, &supported));
        }
    };
    let orphans = match options.get("orphanDependents") {
        Some(Value::Bool(true)) => Some(Propagation::Orphan),
        Some(Value::Bool(false)) => Some(Propagation::Background),
        _ => None,
    };
    let grace_period_seconds = options.get("gracePeriodSeconds").and_then(Value::as_i64);
    let text = |path: &str| options.pointer(path).and_then(Value::as_str);
    let dry =
        options.get("dryRun").and_then(Value::as_array).is_some_and(|values| values.iter().any(|value| value == "All"));
    let precondition_revision = match text("/preconditions/resourceVersion") {
        None => None,
        Some(revision) => Some(revision.parse().map_err(|_| {
            errors::bad_request(format!("preconditions.resourceVersion: {revision:?} is not a resource version"))
        })?),
    };
    Ok(Deletion {
        grace_period_seconds,
        propagation: propagation.or(orphans),
        precondition_uid: text("/preconditions/uid").map(Into::into),
        precondition_revision,
        dry_run: dry_run || dry,
    })
}

pub(super) async fn delete_collection(
    context: &Context,
    request: Request<RequestBody>,
    target: &Target<'_>,
) -> Result<Answer, Status> {
    let selector = Selector::parse(
        target.kind,
        context.query.get("labelSelector").unwrap_or_default(),
        context.query.get("fieldSelector").unwrap_or_default(),
    )?;
    let deletion = deletion(context, request).await?;
    let registry = &context.server.registry;
    let matching: Vec<_> =
        registry.list(target.kind, target.namespace).into_iter().filter(|entry| selector.matches(entry)).collect();
    let mut items = Vec::new();
    for entry in matching {
        match registry.delete_or_mark(target.kind, &entry.namespace, &entry.name, &deletion) {
            Ok(removal) => items.push(if removal.gone { entry } else { removal.entry }),
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    Ok(answer::json_bytes(200, list::list_bytes(target.kind, &items, registry.revision(), None, None)))
}

/// The scheduler's way of placing a pod.
async fn bind(context: &Context, request: Request<RequestBody>, target: &Target<'_>) -> Result<Answer, Status> {
    let writer = writer(&context.query, request.headers(), "binding");
    let content_type = decode::content_type(request.headers()).to_owned();
    let body = decode::read_body(request.into_body()).await?;
    let binding = decode::decode(&content_type, &body, "Binding")?.value;
    let node = binding.pointer("/target/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (namespace, name) = (target.namespace.unwrap_or_default(), target.name.unwrap_or_default());
    context.server.registry.modify(target.kind, namespace, name, &writer, false, |live| {
        let placed = live.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or_default();
        if !placed.is_empty() {
            let why = format!("pod {name} is already assigned to node \"{placed}\"");
            return Err(errors::conflict(target.kind, name, &why));
        }
        let mut pod = live.clone();
        pod["spec"]["nodeName"] = node.clone().into();
        Ok(pod)
    })?;
    let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(answer::json(201, &success))
}

/// Deletes a pod; there are no disruption budgets here.
async fn evict(context: &Context, request: Request<RequestBody>, target: &Target<'_>) -> Result<Answer, Status> {
    let content_type = decode::content_type(request.headers()).to_owned();
    let body = decode::read_body(request.into_body()).await?;
    let eviction = decode::decode(&content_type, &body, "Eviction")?.value;
    let (version, kind) = (eviction["apiVersion"].as_str(), eviction["kind"].as_str());
    if !matches!(version, Some("policy/v1" | "policy/v1beta1")) || kind != Some("Eviction") {
        let (version, kind) = (version.unwrap_or_default(), kind.unwrap_or_default());
        return Err(errors::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a Eviction: no kind \"{kind}\" is registered for version \"{version}\" in scheme \"pkg/api/legacyscheme/scheme.go:30\""
        )));
    }
    let named = eviction.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    if !named.is_empty() && Some(named) != target.name {
        return Err(errors::bad_request("name in URL does not match name in Eviction object"));
    }
    let options = eviction.get("deleteOptions").cloned().unwrap_or_else(|| json!({}));
    let deletion = parse_deletion(&options, context.query.dry_run())?;
    let (namespace, name) = (target.namespace.unwrap_or_default(), target.name.unwrap_or_default());
    context.server.registry.delete(target.kind, namespace, name, &deletion)?;
    let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(answer::json(201, &success))
}
