//! The three patch types that rewrite an object: JSON patch (RFC 6902), merge patch (RFC 7386) and
//! Kubernetes' strategic merge patch. Pure functions over values.

use serde_json::Value;

use super::schema::Kind;
use super::status::Status;

/// RFC 6902; errors are worded as the API server words them.
pub fn json_patch(_document: &Value, _patch: &Value) -> Result<Value, Status> {
    Err(Status::new(501, "NotImplemented", "json patch"))
}

/// RFC 7386.
pub fn merge_patch(document: &Value, _patch: &Value) -> Value {
    document.clone()
}

/// Strategic merge by the kind's merge keys, with all `$` directives.
pub fn strategic_merge_patch(_kind: &'static Kind, _document: &Value, _patch: &Value) -> Result<Value, Status> {
    Err(Status::new(501, "NotImplemented", "strategic merge patch"))
}
