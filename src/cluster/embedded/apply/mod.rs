//! Server-side apply and managed fields. Pure functions over values, after structured-merge-diff and
//! apimachinery's `managedfields`: a set of fields for each manager, conflicts where an apply changes what another
//! manager set, removal of what its last owner no longer applies.

mod check;
mod go;
mod managers;
mod set;
#[cfg(test)]
mod tests;
mod typed;

use serde_json::{Value, json};

pub use self::go::normalise;
use self::managers::Managers;
use self::set::{FieldSet, Step};
use self::typed::Shape;
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
/// object with its managed fields.
///
/// # Errors
/// Without `force` a conflict is a 409 with `FieldManagerConflict` causes; a field that the kind does not have is
/// refused as Kubernetes words it.
pub fn apply(
    kind: &'static Kind,
    live: Option<&Value>,
    applied: &Value,
    manager: &Manager<'_>,
    force: bool,
) -> Result<Value, Status> {
    if applied.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(Status::new(400, "BadRequest", "metadata.managedFields must be nil"));
    }
    let shape = Shape::Struct(kind.definition());
    check::check_typed(kind, shape, applied)?;
    let empty = json!({});
    let base = live.unwrap_or(&empty);
    let mut managers = Managers::of(base);
    let merged = typed::merge(shape, base, applied);

    let changed = not_ignored(&typed::compare(shape, Some(base), Some(&merged)).changed, manager.subresource);
    let conflicts = managers.conflicts(&changed, manager.name, manager.subresource);
    if !conflicts.is_empty() && !force {
        return Err(managers.conflict_status(&conflicts));
    }
    for (index, fields) in &conflicts {
        managers.take_away(*index, fields);
    }
    let set = not_ignored(&typed::fields_of(shape, applied), manager.subresource);
    let last = managers.replace_applied(manager, &kind.api_version(), set);
    let mut result = prune(shape, merged, &last, &managers.owned());
    managers.drop_what_is_gone(&typed::compare(shape, Some(base), Some(&result)).removed);
    if live.is_none_or(|live| !same_but_managers(live, &result)) {
        managers.stamp_applied(manager);
    }
    managers.write_to(&mut result);
    Ok(result)
}

fn same_but_managers(live: &Value, result: &Value) -> bool {
    let without_managers = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        object
    };
    without_managers(live) == without_managers(result)
}

/// Records in `new` what `manager` changed by a create, update or patch (operation `Update`).
pub fn track_update(kind: &'static Kind, live: Option<&Value>, new: &mut Value, manager: &Manager<'_>) {
    let shape = Shape::Struct(kind.definition());
    let zero;
    let base = if let Some(live) = live {
        live
    } else {
        zero = go::zero_object(kind);
        &zero
    };
    let mut managers = Managers::of(live.unwrap_or(&Value::Null));
    let difference = typed::compare(shape, Some(base), Some(new));
    let changed = not_ignored(&difference.changed, manager.subresource);
    for (index, fields) in managers.overlaps_of_update(&changed, manager, &kind.api_version()) {
        managers.take_away(index, &fields);
    }
    managers.drop_what_is_gone(&difference.removed);
    managers.add_updated(manager, &kind.api_version(), &changed);
    managers.write_to(new);
}

/// Without the fields that nobody can manage: an object's identity, and what the other side of a status split owns.
fn not_ignored(set: &FieldSet, subresource: &str) -> FieldSet {
    let field = |name: &str| Step::Field(name.into());
    let mut identity = FieldSet::default();
    for name in ["apiVersion", "kind", "metadata"] {
        identity.insert(&[field(name)]);
    }
    for name in
        ["name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"]
    {
        identity.insert(&[field("metadata"), field(name)]);
    }
    let mut reset = FieldSet::default();
    reset.insert(&[field(if subresource == "status" { "spec" } else { "status" })]);
    let mut managed_fields = FieldSet::default();
    managed_fields.insert(&[field("metadata"), field("managedFields")]);
    let mut set = set.difference(&identity).recursive_difference(&reset).recursive_difference(&managed_fields);
    set.member = false;
    set
}

/// Removes what this manager applied last time, does not apply now, and nobody else has set.
fn prune(shape: Shape<'_>, merged: Value, last: &FieldSet, owned: &FieldSet) -> Value {
    let removable = removable(last, owned);
    if removable.is_empty() {
        return merged;
    }
    typed::remove(shape, &merged, &removable).unwrap_or_else(|| json!({}))
}

fn removable(last: &FieldSet, owned: &FieldSet) -> FieldSet {
    let nothing = FieldSet::default();
    let children = last
        .children
        .iter()
        .map(|(step, child)| (step.clone(), removable(child, owned.child(step).unwrap_or(&nothing))))
        .filter(|(_, child)| !child.is_empty())
        .collect();
    FieldSet { member: last.member && owned.is_empty(), children }
}
