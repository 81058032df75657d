//! Defaults and validation, by kind, as Kubernetes 1.34 has them (`pkg/apis/*/v1/defaults.go` and
//! `pkg/apis/*/validation`). Pure functions over values; what needs other objects (addresses, ports, namespaces)
//! is the registry's.

mod cluster;
mod defaults;
mod endpoints;
mod metadata;
mod network;
mod pod;
mod selector;
mod service;
#[cfg(test)]
mod tests;
mod validation;
mod warnings;

pub use pod::quantity;
pub use selector::matches as selector_matches;
pub use warnings::{repeated_owners, warnings};

use serde_json::Value;

use super::apply;
use super::schema::Kind;
use super::status::Cause;

/// Fills in what Kubernetes' own defaulting fills in on every write, and the empty structs that its encoder writes.
pub fn set_defaults(kind: &'static Kind, object: &mut Value) {
    apply::normalise(kind.definition(), object);
    defaults::set(kind, object);
}

/// What is wrong with a new object, in Kubernetes' order and wording; `message` is the text after the field's name.
pub fn validate_create(kind: &'static Kind, object: &Value) -> Vec<Cause> {
    let mut causes = metadata::validate(kind, object);
    causes.extend(validation::validate(kind, object));
    causes
}

/// What is wrong with a status that a controller reports.
pub fn validate_status(kind: &'static Kind, new: &Value) -> Vec<Cause> {
    validation::validate_status(kind, new.get("status").unwrap_or(&Value::Null))
}

/// What is wrong with an update, immutable fields among it.
pub fn validate_update(kind: &'static Kind, new: &Value, old: &Value) -> Vec<Cause> {
    // The real server comes by the metadata on three ways, with most kinds, with some on four; its message names each cause once.
    let mut causes = metadata::validate_update(new, old);
    causes.extend(causes.clone());
    if kind.name == "ConfigMap" {
        causes.extend(metadata::validate(kind, new));
    }
    if !matches!(kind.name, "Service" | "Node" | "Namespace") {
        causes.extend(metadata::validate(kind, new));
    }
    causes.extend(validation::validate_update(kind, new, old));
    causes
}

/// `Required value`, with a detail where there is one.
fn required(field: impl Into<String>, detail: &str) -> Cause {
    let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
    Cause { reason: "FieldValueRequired", message: format!("Required value{detail}"), field: field.into() }
}

fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Cause {
    Cause { reason: "FieldValueInvalid", message: format!("Invalid value: {value}: {detail}"), field: field.into() }
}

fn forbidden(field: impl Into<String>, detail: &str) -> Cause {
    Cause { reason: "FieldValueForbidden", message: format!("Forbidden: {detail}"), field: field.into() }
}

fn duplicate(field: impl Into<String>, value: &Value) -> Cause {
    Cause { reason: "FieldValueDuplicate", message: format!("Duplicate value: {value}"), field: field.into() }
}

fn not_found(field: impl Into<String>, value: &Value) -> Cause {
    Cause { reason: "FieldValueNotFound", message: format!("Not found: {value}"), field: field.into() }
}

fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Cause {
    let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
    Cause {
        reason: "FieldValueNotSupported",
        message: format!("Unsupported value: {value}: supported values: {}", supported.join(", ")),
        field: field.into(),
    }
}

/// The text at `key`, empty where there is none.
fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The items of the list at `key`.
fn items<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
