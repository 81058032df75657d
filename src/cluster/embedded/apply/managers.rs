//! `metadata.managedFields`: who set which fields, read, changed and written back.

use serde_json::{Map, Value, json};

use super::super::status::{Cause, Status};
use super::Manager;
use super::set::{FieldSet, Step, path_text};

/// Kubernetes keeps at most this many managers that update; the oldest are merged.
const UPDATERS_MAX: usize = 10;
const ANCIENT: &str = "ancient-changes";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Apply,
    Update,
}

#[derive(Debug, Clone)]
struct Entry {
    manager: String,
    operation: Operation,
    api_version: String,
    subresource: String,
    time: String,
    set: FieldSet,
}

/// All managers of an object.
#[derive(Debug, Default)]
pub struct Managers {
    entries: Vec<Entry>,
}

impl Managers {
    /// Reads the object's managed fields; entries that make no sense are left out.
    pub fn of(object: &Value) -> Self {
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        Self { entries: entries.into_iter().flatten().filter_map(parse).collect() }
    }

    /// The managers but this applier whose fields are changed, with those fields.
    pub fn conflicts(&self, changed: &FieldSet, manager: &str, subresource: &str) -> Vec<(usize, FieldSet)> {
        self.overlaps(changed, |entry| {
            entry.operation == Operation::Apply && entry.manager == manager && entry.subresource == subresource
        })
    }

    /// The same for an update: everyone else loses what it changed.
    pub fn overlaps_of_update(
        &self,
        changed: &FieldSet,
        manager: &Manager<'_>,
        api_version: &str,
    ) -> Vec<(usize, FieldSet)> {
        self.overlaps(changed, |entry| entry.is_updater(manager, api_version))
    }

    fn overlaps(&self, changed: &FieldSet, is_self: impl Fn(&Entry) -> bool) -> Vec<(usize, FieldSet)> {
        self.entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| !is_self(entry))
            .map(|(index, entry)| (index, entry.set.intersection(changed)))
            .filter(|(_, set)| !set.is_empty())
            .collect()
    }

    /// The manager at `index` no longer owns these fields.
    pub fn take_away(&mut self, index: usize, fields: &FieldSet) {
        let entry = &mut self.entries[index];
        entry.set = entry.set.difference(fields);
    }

    /// Nobody owns what is not there any more.
    pub fn drop_what_is_gone(&mut self, removed: &FieldSet) {
        if !removed.is_empty() {
            for entry in &mut self.entries {
                entry.set = entry.set.difference(removed);
            }
        }
    }

    /// Replaces the applier's set and returns the one it had.
    pub fn replace_applied(&mut self, manager: &Manager<'_>, api_version: &str, set: FieldSet) -> FieldSet {
        let position = self.entries.iter().position(|entry| {
            entry.operation == Operation::Apply
                && entry.manager == manager.name
                && entry.subresource == manager.subresource
        });
        let Some(position) = position else {
            let timeless = Manager { now: "", ..manager.clone() };
            self.entries.push(Entry::new(&timeless, Operation::Apply, api_version, set));
            return FieldSet::default();
        };
        let entry = &mut self.entries[position];
        entry.api_version = api_version.into();
        std::mem::replace(&mut entry.set, set)
    }

    /// Notes the time of an apply; Kubernetes does so only where the object itself changed, and keeps an applier that
    /// changed nothing without any.
    pub fn stamp_applied(&mut self, manager: &Manager<'_>) {
        for entry in &mut self.entries {
            if entry.operation == Operation::Apply
                && entry.manager == manager.name
                && entry.subresource == manager.subresource
            {
                entry.time = manager.now.into();
            }
        }
    }

    /// Adds what the updater changed to its set.
    pub fn add_updated(&mut self, manager: &Manager<'_>, api_version: &str, changed: &FieldSet) {
        let position = self.entries.iter().position(|entry| entry.is_updater(manager, api_version));
        match position {
            None if changed.is_empty() => {}
            None => self.entries.push(Entry::new(manager, Operation::Update, api_version, changed.clone())),
            Some(position) => {
                let entry = &mut self.entries[position];
                let set = entry.set.union(changed);
                if set != entry.set {
                    entry.time = manager.now.into();
                    entry.set = set;
                }
            }
        }
        self.cap_updaters();
    }

    /// Every field that somebody owns.
    pub fn owned(&self) -> FieldSet {
        self.entries.iter().fold(FieldSet::default(), |all, entry| all.union(&entry.set))
    }

    /// Writes the managed fields into the object, in Kubernetes' order.
    pub fn write_to(mut self, object: &mut Value) {
        self.entries.retain(|entry| !entry.set.is_empty());
        self.entries.sort_by(|a, b| {
            (a.operation, &a.time, &a.manager, &a.api_version, &a.subresource).cmp(&(
                b.operation,
                &b.time,
                &b.manager,
                &b.api_version,
                &b.subresource,
            ))
        });
        let Some(object) = object.as_object_mut() else { return };
        let metadata = object.entry("metadata").or_insert_with(|| json!({}));
        let Some(metadata) = metadata.as_object_mut() else { return };
        if self.entries.is_empty() {
            metadata.remove("managedFields");
        } else {
            let entries = self.entries.iter().map(Entry::to_value).collect();
            metadata.insert("managedFields".into(), Value::Array(entries));
        }
    }

    /// The 409 of an apply that others stand against.
    pub fn conflict_status(&self, conflicts: &[(usize, FieldSet)]) -> Status {
        let mut found: Vec<(String, Vec<Step>)> = Vec::new();
        for (index, set) in conflicts {
            let manager = self.entries[*index].describe();
            found.extend(set.paths().into_iter().map(|path| (manager.clone(), path)));
        }
        let causes: Vec<Cause> = found
            .iter()
            .map(|(manager, path)| Cause {
                reason: "FieldManagerConflict",
                message: format!("conflict with {manager}"),
                field: path_text(path),
            })
            .collect();
        let text = match causes.as_slice() {
            [only] => format!("{}: {}", only.message, only.field),
            _ => conflict_list(&found),
        };
        let plural = if causes.len() == 1 { "" } else { "s" };
        let message = format!("Apply failed with {} conflict{plural}: {text}", causes.len());
        let causes: Vec<Value> = causes
            .into_iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        Status::new(409, "Conflict", message).with_details(json!({ "causes": causes }))
    }

    fn cap_updaters(&mut self) {
        let updaters = self.entries.iter().filter(|entry| entry.operation == Operation::Update).count();
        if updaters <= UPDATERS_MAX {
            return;
        }
        let (mut updaters, appliers): (Vec<Entry>, Vec<Entry>) =
            std::mem::take(&mut self.entries).into_iter().partition(|entry| entry.operation == Operation::Update);
        updaters.sort_by(|a, b| a.time.cmp(&b.time));
        let excess = updaters.len() + 1 - UPDATERS_MAX;
        let mut ancient = updaters[0].clone();
        for entry in updaters.drain(..excess) {
            ancient.set = ancient.set.union(&entry.set);
            ancient.time = entry.time;
        }
        ancient.manager = ANCIENT.into();
        self.entries = appliers;
        self.entries.push(ancient);
        self.entries.extend(updaters);
    }
}

impl Entry {
    fn new(manager: &Manager<'_>, operation: Operation, api_version: &str, set: FieldSet) -> Self {
        Self {
            manager: manager.name.into(),
            operation,
            api_version: api_version.into(),
            subresource: manager.subresource.into(),
            time: manager.now.into(),
            set,
        }
    }

    fn is_updater(&self, manager: &Manager<'_>, api_version: &str) -> bool {
        self.operation == Operation::Update
            && self.manager == manager.name
            && self.subresource == manager.subresource
            && self.api_version == api_version
    }

    /// As conflicts name it: `"three" using v1`, `"x" with subresource "scale" using apps/v1`.
    fn describe(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("manager".into(), self.manager.clone().into());
        let operation = if self.operation == Operation::Apply { "Apply" } else { "Update" };
        map.insert("operation".into(), operation.into());
        map.insert("apiVersion".into(), self.api_version.clone().into());
        if !self.time.is_empty() {
            map.insert("time".into(), self.time.clone().into());
        }
        map.insert("fieldsType".into(), "FieldsV1".into());
        map.insert("fieldsV1".into(), self.set.to_fields());
        if !self.subresource.is_empty() {
            map.insert("subresource".into(), self.subresource.clone().into());
        }
        Value::Object(map)
    }
}

fn parse(value: &Value) -> Option<Entry> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let operation = match value.get("operation")?.as_str()? {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return None,
    };
    Some(Entry {
        manager: text("manager"),
        operation,
        api_version: text("apiVersion"),
        subresource: text("subresource"),
        time: text("time"),
        set: FieldSet::from_fields(value.get("fieldsV1")?),
    })
}

/// Several conflicts, manager by manager.
fn conflict_list(found: &[(String, Vec<Step>)]) -> String {
    let mut managers: Vec<&String> = found.iter().map(|(manager, _)| manager).collect();
    managers.sort();
    managers.dedup();
    let mut lines = Vec::new();
    for manager in managers {
        lines.push(format!("conflicts with {manager}:"));
        let paths = found.iter().filter(|(other, _)| other == manager);
        lines.extend(paths.map(|(_, path)| format!("- {}", path_text(path))));
    }
    lines.join("\n")
}
