//! What a plan asks for, and how it is carried out.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::events::Telling;
use super::super::registry::{Deletion, PatchKind, Propagation, Registry, Writer};
use super::super::schema::Kind;
use super::super::status::Status;
use super::object;

/// The program whose parts the controllers are, in managed fields.
pub const MANAGER: &str = "kube-controller-manager";

/// One write. A plan's changes are carried out in order; the first that fails ends the plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Creates an object.
    Create { kind: &'static Kind, object: Value },
    /// Replaces an object that is still as the plan saw it.
    Update { kind: &'static Kind, object: Value, subresource: &'static str },
    /// Merges into an object, whatever it has become, as long as it is the same one.
    Merge { kind: &'static Kind, namespace: String, name: String, patch: Value },
    /// Deletes an object that is still the same one.
    Delete { kind: &'static Kind, namespace: String, name: String, uid: String, propagation: Option<Propagation> },
    /// Tells about an object: `about` as [`super::super::events::reference`] makes it.
    Tell { about: Value, telling: Telling },
}

impl Change {
    pub fn update(kind: &'static Kind, object: Value) -> Self {
        Self::Update { kind, object, subresource: "" }
    }

    pub fn update_status(kind: &'static Kind, object: Value) -> Self {
        Self::Update { kind, object, subresource: "status" }
    }

    pub fn delete(kind: &'static Kind, doomed: &Value) -> Self {
        Self::Delete {
            kind,
            namespace: object::namespace(doomed).into(),
            name: object::name(doomed).into(),
            uid: object::uid(doomed).into(),
            propagation: Some(Propagation::Background),
        }
    }

    /// The uid of what it deletes.
    pub fn deleted_uid(&self) -> Option<&str> {
        if let Self::Delete { uid, .. } = self { Some(uid) } else { None }
    }

    /// Makes an owner the controller of an object that has none.
    pub fn adopt(kind: &'static Kind, child: &Value, owner: Value) -> Self {
        let mut owners: Vec<Value> = object::list(child, "/metadata/ownerReferences").cloned().collect();
        owners.push(owner);
        Self::set_owners(kind, child, owners)
    }

    /// Replaces the owner references.
    pub fn set_owners(kind: &'static Kind, child: &Value, owners: Vec<Value>) -> Self {
        let owners = if owners.is_empty() { Value::Null } else { Value::Array(owners) };
        let patch = json!({"metadata": {"uid": object::uid(child), "ownerReferences": owners}});
        Self::Merge { kind, namespace: object::namespace(child).into(), name: object::name(child).into(), patch }
    }
}

/// Carries out a plan's writes over one registry.
#[derive(Debug)]
pub struct Writing<'a> {
    registry: &'a Registry,
    writer: Writer,
    /// The revisions that this plan itself made, by uid: it may go on from them.
    revisions: HashMap<String, String>,
}

impl<'a> Writing<'a> {
    pub fn new(registry: &'a Registry) -> Self {
        Self { registry, writer: Writer::new(MANAGER), revisions: HashMap::new() }
    }

    /// Carries out one change, all but the telling. What is gone already needs no deletion.
    pub fn write(&mut self, change: Change) -> Result<Option<Value>, Status> {
        match change {
            Change::Create { kind, object } => {
                self.registry.create(kind, object, &self.writer).map(|entry| Some(entry.value()))
            }
            Change::Update { kind, mut object, subresource } => {
                let uid = object::uid(&object).to_owned();
                if let Some(revision) = self.revisions.get(&uid) {
                    object["metadata"]["resourceVersion"] = revision.as_str().into();
                }
                let entry = self.registry.update(kind, object, &self.writer.clone().on(subresource))?;
                self.revisions.insert(uid, entry.revision.to_string());
                Ok(None)
            }
            Change::Merge { kind, namespace, name, patch } => {
                self.registry.patch(kind, &namespace, &name, PatchKind::Merge, &patch, &self.writer, false)?;
                Ok(None)
            }
            Change::Delete { kind, namespace, name, uid, propagation } => {
                let deletion = Deletion { precondition_uid: Some(uid), propagation, ..Deletion::default() };
                match self.registry.delete(kind, &namespace, &name, &deletion) {
                    Err(status) if !matches!(status.code, 404 | 409) => Err(status),
                    _ => Ok(None),
                }
            }
            Change::Tell { .. } => Ok(None),
        }
    }
}
