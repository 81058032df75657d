//! Defaults and validation, by kind. Pure functions over values.

use serde_json::Value;

use super::schema::Kind;
use super::status::Cause;

/// Fills in what Kubernetes' own defaulting fills in on every write.
pub fn set_defaults(_kind: &'static Kind, _object: &mut Value) {}

/// What is wrong with a new object, in Kubernetes' order and wording; `message` is the text after the field's name.
pub fn validate_create(_kind: &'static Kind, _object: &Value) -> Vec<Cause> {
    Vec::new()
}

/// What is wrong with an update, immutable fields among it.
pub fn validate_update(_kind: &'static Kind, _new: &Value, _old: &Value) -> Vec<Cause> {
    Vec::new()
}
