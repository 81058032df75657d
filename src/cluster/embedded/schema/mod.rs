//! What the embedded cluster knows of each kind: resource names, scopes, field types, merge keys.

use serde_json::Value;

/// A kind that the cluster serves.
#[derive(Debug)]
pub struct Kind {
    /// API group, empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    /// `Deployment`.
    pub name: &'static str,
    /// `deployments`.
    pub plural: &'static str,
    pub singular: &'static str,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub namespaced: bool,
    pub verbs: &'static [&'static str],
    /// `status`, `scale`, `log`, `exec`, …
    pub subresources: &'static [&'static str],
    /// The Go type's name in the schema table, `io.k8s.api.apps.v1.Deployment`.
    pub definition: &'static str,
}

impl Kind {
    /// `apps/v1`, or `v1` for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.into() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl PartialEq for &'static Kind {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(*self, *other)
    }
}

/// Every kind, in the order of discovery.
pub fn kinds() -> &'static [Kind] {
    &[]
}

/// By group, version and plural resource name.
pub fn by_resource(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    kinds().iter().find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
}

/// By `apiVersion` and `kind`, as objects carry them.
pub fn by_kind(api_version: &str, name: &str) -> Option<&'static Kind> {
    kinds().iter().find(|kind| kind.api_version() == api_version && kind.name == name)
}

/// A field that an object has and its kind's schema does not, or one of the wrong type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StructureError {
    /// Strict decoding error, `unknown field "spec.replcas"`.
    Unknown { path: String },
    /// As Go's JSON decoder words it.
    Mistyped { message: String },
}

/// Compares an object's shape with its kind's schema.
pub fn check_structure(_kind: &'static Kind, _object: &Value) -> Vec<StructureError> {
    Vec::new()
}

/// Removes the fields that the kind's schema does not know, as a Go decoder drops them.
pub fn prune_unknown(_kind: &'static Kind, _object: &mut Value) {}

/// Decodes an `application/vnd.kubernetes.protobuf` body (`k8s\0`, runtime.Unknown, message) to JSON.
pub fn decode_protobuf(_bytes: &[u8]) -> Result<Value, String> {
    Err("not decoded yet".into())
}
