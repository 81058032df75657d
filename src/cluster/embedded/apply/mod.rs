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

use std::sync::LazyLock;

use serde_json::{Value, json};

pub use self::go::{encode, normalise, settle};
use self::managers::{Managers, Operation};
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

/// What is set on objects that nobody manages yet, before the first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// kubectl's own name for a server-side apply, which may take over what kubectl applied from the client's side.
const KUBECTL: &str = "kubectl";
const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

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
    let mut base = live.cloned().unwrap_or_else(|| json!({}));
    let mut managers = Managers::of(&base);
    take_managed_fields(&mut base);
    if managers.is_empty() && live.is_some() {
        let before = Manager { name: BEFORE_FIRST_APPLY, ..manager.clone() };
        update(kind, go::zero_object(kind), &base, &mut managers, &before);
    }
    let merged = typed::merge(shape, Some(&base), Some(applied)).unwrap_or_else(|| json!({}));
    let set = not_ignored(kind, typed::fields_of(shape, applied), manager.subresource);
    let last = managers.replace_applied(manager, &kind.api_version(), set);
    let mut result = prune(shape, merged, &last, &managers.owned());

    let difference = typed::compare(shape, Some(&base), Some(&result));
    let changed = not_reset(kind, difference.changed, manager.subresource);
    let removed = not_reset(kind, difference.removed, manager.subresource);
    let conflicts = managers.conflicts(&changed, manager);
    if !conflicts.is_empty() && !force && !may_take_over(kind, &base, manager, &conflicts) {
        return Err(managers.conflict_status(&conflicts));
    }
    managers.take_away(&conflicts);
    managers.drop_what_is_gone(&removed, Some(manager));
    if result != base {
        managers.stamp(Operation::Apply, manager, &kind.api_version());
    }
    keep_last_applied(&mut result, applied, manager);
    managers.write_to(&mut result);
    go::normalise(kind.definition(), &mut result);
    Ok(result)
}

/// Records in `new` what `manager` changed by a create, update or patch (operation `Update`).
pub fn track_update(kind: &'static Kind, live: Option<&Value>, new: &mut Value, manager: &Manager<'_>) {
    let stated = take_managed_fields(new);
    let mut managers = match stated {
        Some(stated) if manager.subresource.is_empty() && is_reset(&stated) => Managers::default(),
        Some(stated) if manager.subresource.is_empty() => match Managers::parse(&stated) {
            Some(managers) if !managers.is_empty() => managers,
            _ => Managers::of(live.unwrap_or(&Value::Null)),
        },
        _ => Managers::of(live.unwrap_or(&Value::Null)),
    };
    if live.is_some() && (managers.is_empty() || (manager.subresource == "scale" && !managers.own_replicas())) {
        managers.write_to(new);
        return;
    }
    match live {
        Some(live) => update(kind, live, new, &mut managers, manager),
        None => update(kind, go::zero_object(kind), new, &mut managers, manager),
    }
    managers.write_to(new);
}

fn update(kind: &'static Kind, base: &Value, new: &Value, managers: &mut Managers, manager: &Manager<'_>) {
    let shape = Shape::Struct(kind.definition());
    let difference = typed::compare(shape, Some(base), Some(new));
    let changed = not_reset(kind, difference.changed, manager.subresource);
    let removed = not_reset(kind, difference.removed, manager.subresource);
    let conflicts = managers.overlaps(&changed);
    managers.take_away(&conflicts);
    managers.drop_what_is_gone(&removed, None);
    managers.add_updated(manager, &kind.api_version(), without_identity(changed));
}

/// Takes the managed fields that the object states; `None` where it states none.
fn take_managed_fields(object: &mut Value) -> Option<Value> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    metadata.remove("managedFields").filter(|fields| !fields.is_null())
}

/// An empty list, or a list of one empty entry, clears all managers.
fn is_reset(stated: &Value) -> bool {
    let is_empty = |entry: &Value| entry.as_object().is_some_and(serde_json::Map::is_empty);
    stated.as_array().is_some_and(|entries| entries.iter().all(is_empty) && entries.len() <= 1)
}

/// Fields that kubectl applied from the client's side are its own: its first server-side apply takes them over.
fn may_take_over(kind: &'static Kind, live: &Value, manager: &Manager<'_>, conflicts: &[(usize, FieldSet)]) -> bool {
    if manager.name != KUBECTL {
        return false;
    }
    let last = live.pointer(LAST_APPLIED).and_then(Value::as_str);
    let Some(last) = last.and_then(|text| serde_json::from_str::<Value>(text).ok()) else { return false };
    let own = typed::fields_of(Shape::Struct(kind.definition()), &last);
    conflicts.iter().all(|(_, fields)| fields.difference(&own).is_empty())
}

/// kubectl's annotation follows its server-side applies, so that it may go back to the client's side.
fn keep_last_applied(result: &mut Value, applied: &Value, manager: &Manager<'_>) {
    if manager.name == KUBECTL
        && let Some(annotation) = result.pointer_mut(LAST_APPLIED)
    {
        let mut last = applied.clone();
        take_managed_fields(&mut last);
        *annotation = format!("{last}\n").into();
    }
}

/// Without what a write by this subresource cannot change: the other half of a status split.
fn not_reset(kind: &Kind, mut set: FieldSet, subresource: &str) -> FieldSet {
    let field = |name: &str| Step::Field(name.into());
    let mut reset = FieldSet::default();
    if subresource == "status" {
        reset.insert(&[field("spec")]);
        match kind.name {
            "Deployment" => reset.insert(&[field("metadata"), field("labels")]),
            "Pod" => {
                reset.insert(&[field("metadata"), field("deletionTimestamp")]);
                reset.insert(&[field("metadata"), field("ownerReferences")]);
            }
            _ => {}
        }
    } else if kind.subresources.contains(&"status") {
        reset.insert(&[field("status")]);
    }
    set.take_out_recursively(&reset);
    set
}

/// Without the fields that nobody can manage: an object's identity, and what the subresource resets.
fn not_ignored(kind: &Kind, set: FieldSet, subresource: &str) -> FieldSet {
    without_identity(not_reset(kind, set, subresource))
}

fn without_identity(mut set: FieldSet) -> FieldSet {
    static IDENTITY: LazyLock<FieldSet> = LazyLock::new(|| {
        let field = |name: &str| Step::Field(name.into());
        let mut identity = FieldSet::default();
        for name in ["apiVersion", "kind", "metadata"] {
            identity.insert(&[field(name)]);
        }
        for name in [
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        ] {
            identity.insert(&[field("metadata"), field(name)]);
        }
        identity
    });
    set.take_out(&IDENTITY);
    set.member = false;
    set
}

/// Removes what this manager applied last time, does not apply now, and nobody else has set.
fn prune(shape: Shape<'_>, merged: Value, last: &FieldSet, owned: &FieldSet) -> Value {
    if last.is_empty() {
        return merged;
    }
    let last = typed::with_named_fields(shape, last);
    let fields = |value: &Value| typed::with_named_fields(shape, &typed::fields_of(shape, value));
    let all = fields(&merged);
    let without_last = typed::remove(shape, &merged, &last);
    let kept = fields(&without_last).union(&typed::with_named_fields(shape, owned));
    let without_own = typed::remove(shape, &merged, &all.difference(&kept));
    typed::remove(shape, &merged, &all.difference(&fields(&without_own)).intersection(&last))
}
