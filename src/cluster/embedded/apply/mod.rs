//! Server-side apply and managed fields. Pure functions over values.

use serde_json::Value;

use super::schema::Kind;
use super::status::Status;

/// Who writes, and how.
#[derive(Debug, Clone)]
pub struct Manager<'a> {
    pub name: &'a str,
    /// `status`, `scale` or empty.
    pub subresource: &'a str,
    /// RFC 3339 in whole seconds, for `managedFields[].time`.
    pub now: &'a str,
}

/// Merges an applied configuration into the live object (`None`: it does not exist yet) and returns the
/// object with its managed fields. Without `force` a conflict is a 409 with `FieldManagerConflict` causes.
pub fn apply(
    _kind: &'static Kind,
    _live: Option<&Value>,
    _applied: &Value,
    _manager: &Manager<'_>,
    _force: bool,
) -> Result<Value, Status> {
    Err(Status::new(501, "NotImplemented", "server-side apply"))
}

/// Records in `new` what `manager` changed by a create, update or patch (operation `Update`).
pub fn track_update(_kind: &'static Kind, _live: Option<&Value>, _new: &mut Value, _manager: &Manager<'_>) {}
