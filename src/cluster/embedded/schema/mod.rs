//! What the embedded cluster knows of each kind: resource names, scopes, field types, merge keys.
//!
//! The table `definitions.json` is made by `tools/schema` from the published Go modules (`k8s.io/api` and
//! `k8s.io/client-go` 0.34.2); nothing here is written by hand but the list of kinds.

mod definitions;
mod json;
mod kinds;
mod protobuf;
mod quantity;
mod structure;
mod time;

pub use definitions::{Definition, Field, FieldType, ListType, definition};
pub use json::go_json_error;
pub use protobuf::decode_protobuf;
pub use quantity::Quantity;
pub use structure::{StructureError, check_structure, prune_unknown};

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
    /// The type's name in the table, `io.k8s.api.apps.v1.Deployment`.
    pub definition: &'static str,
}

impl Kind {
    /// `apps/v1`, or `v1` for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.into() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The kind's own type in the table.
    ///
    /// # Panics
    /// Never: a test walks all kinds.
    pub fn definition(&self) -> &'static Definition {
        definition(self.definition).expect("the table holds every served kind")
    }

    fn has_api_version(&self, api_version: &str) -> bool {
        match api_version.split_once('/') {
            None => self.group.is_empty() && self.version == api_version,
            Some((group, version)) => self.group == group && self.version == version,
        }
    }
}

impl PartialEq for &'static Kind {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(*self, *other)
    }
}

/// Every kind, in the order of discovery.
pub fn kinds() -> &'static [Kind] {
    &kinds::KINDS
}

/// By group, version and plural resource name.
pub fn by_resource(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    kinds().iter().find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
}

/// By `apiVersion` and `kind`, as objects carry them.
pub fn by_kind(api_version: &str, name: &str) -> Option<&'static Kind> {
    kinds().iter().find(|kind| kind.name == name && kind.has_api_version(api_version))
}
