//! Kubernetes' errors in Kubernetes' words, as `k8s.io/apimachinery/pkg/api/errors` builds them.

use serde_json::{Map, Value, json};

use super::super::schema::Kind;
use super::super::status::{Cause, Status};
use super::super::store::StoreError;

/// `deployments.apps`, or `pods` for the core group.
pub fn qualified_resource(kind: &Kind) -> String {
    if kind.group.is_empty() { kind.plural.into() } else { format!("{}.{}", kind.plural, kind.group) }
}

/// `Deployment.apps`, or `Pod` for the core group.
pub fn qualified_kind(kind: &Kind) -> String {
    if kind.group.is_empty() { kind.name.into() } else { format!("{}.{}", kind.name, kind.group) }
}

fn details(kind: &Kind, name: &str, resource: &str) -> Value {
    let mut details = Map::new();
    if !name.is_empty() {
        details.insert("name".into(), name.into());
    }
    if !kind.group.is_empty() {
        details.insert("group".into(), kind.group.into());
    }
    details.insert("kind".into(), resource.into());
    details.into()
}

pub fn not_found(kind: &Kind, name: &str) -> Status {
    Status::new(404, "NotFound", format!("{} \"{name}\" not found", qualified_resource(kind))).with_details(details(
        kind,
        name,
        kind.plural,
    ))
}

pub fn namespace_not_found(namespace: &str) -> Status {
    Status::new(404, "NotFound", format!("namespaces \"{namespace}\" not found"))
        .with_details(json!({"name": namespace, "kind": "namespaces"}))
}

pub fn already_exists(kind: &Kind, name: &str) -> Status {
    Status::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", qualified_resource(kind)))
        .with_details(details(kind, name, kind.plural))
}

/// A conflict on an update, patch or scale.
pub fn conflict(kind: &Kind, name: &str, why: &str) -> Status {
    let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified_resource(kind));
    Status::new(409, "Conflict", message).with_details(details(kind, name, kind.plural))
}

pub fn modified(kind: &Kind, name: &str) -> Status {
    let why = "the object has been modified; please apply your changes to the latest version and try again";
    conflict(kind, name, why)
}

/// A conflict with the preconditions of a deletion, which names the kind and not the resource.
pub fn precondition(kind: &Kind, name: &str, why: &str) -> Status {
    let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified_kind(kind));
    Status::new(409, "Conflict", message).with_details(details(kind, name, kind.name))
}

pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Status {
    let message = format!("{} \"{name}\" is forbidden: {why}", qualified_resource(kind));
    Status::new(403, "Forbidden", message).with_details(details(kind, name, kind.plural))
}

pub fn namespace_terminating(kind: &Kind, namespace: &str, name: &str) -> Status {
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut status = forbidden(kind, name, &why);
    status.details["causes"] = json!([{
        "reason": "NamespaceTerminating",
        "message": format!("namespace {namespace} is being terminated"),
        "field": "metadata.namespace",
    }]);
    status
}

pub fn bad_request(message: impl Into<String>) -> Status {
    Status::new(400, "BadRequest", message)
}

/// 422 with its causes; the message names each once.
pub fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Status {
    invalid_named(&qualified_kind(kind), kind.group, kind.name, name, causes)
}

/// The same for what is no stored kind, such as `DeleteOptions.meta.k8s.io`.
pub fn invalid_named(qualified: &str, group: &str, kind: &str, name: &str, causes: &[Cause]) -> Status {
    let mut sentences: Vec<String> = Vec::new();
    for cause in causes {
        let sentence = format!("{}: {}", cause.field, cause.message);
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    let text = match &sentences[..] {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    let mut details = Map::new();
    if !name.is_empty() {
        details.insert("name".into(), name.into());
    }
    if !group.is_empty() {
        details.insert("group".into(), group.into());
    }
    if !kind.is_empty() {
        details.insert("kind".into(), kind.into());
    }
    let causes: Vec<Value> = causes
        .iter()
        .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
        .collect();
    details.insert("causes".into(), causes.into());
    Status::new(422, "Invalid", format!("{qualified} \"{name}\" is invalid: {text}")).with_details(details.into())
}

pub fn required(field: &str, detail: &str) -> Cause {
    let message = if detail.is_empty() { "Required value".into() } else { format!("Required value: {detail}") };
    Cause { reason: "FieldValueRequired", message, field: field.into() }
}

/// `value` is printed as JSON.
pub fn invalid_value(field: &str, value: &Value, detail: &str) -> Cause {
    Cause { reason: "FieldValueInvalid", message: format!("Invalid value: {value}: {detail}"), field: field.into() }
}

pub fn forbidden_field(field: &str, detail: &str) -> Cause {
    Cause { reason: "FieldValueForbidden", message: format!("Forbidden: {detail}"), field: field.into() }
}

/// A write that the disk did not take: nothing that was acknowledged is lost.
pub fn not_stored(error: &StoreError) -> Status {
    let full = matches!(error, StoreError::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull);
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let code = if full { 507 } else { 500 };
    Status::new(code, "InternalError", format!("Internal error occurred: {message}"))
        .with_details(json!({"causes": [{"message": message}]}))
}
