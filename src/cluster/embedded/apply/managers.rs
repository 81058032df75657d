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
    /// Reads the object's managed fields; where one of them makes no sense, none counts.
    pub fn of(object: &Value) -> Self {
        object.pointer("/metadata/managedFields").and_then(Self::parse).unwrap_or_default()
    }

    /// Reads managed fields; `None` where one of them makes no sense.
    pub fn parse(entries: &Value) -> Option<Self> {
        let entries: Option<Vec<Entry>> = entries.as_array()?.iter().map(parse).collect();
        entries.map(|entries| Self { entries })
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether somebody owns the replicas, which the scale subresource writes.
    pub fn own_replicas(&self) -> bool {
        let (spec, replicas) = (Step::Field("spec".into()), Step::Field("replicas".into()));
        self.entries.iter().any(|entry| {
            entry.set.child(&spec).and_then(|spec| spec.child(&replicas)).is_some_and(|replicas| replicas.member)
        })
    }

    /// The managers but this applier whose fields are changed, with those fields.
    pub fn conflicts(&self, changed: &FieldSet, manager: &Manager<'_>) -> Vec<(usize, FieldSet)> {
        let mut conflicts = self.overlaps(changed);
        conflicts.retain(|(index, _)| !self.entries[*index].is_by(Operation::Apply, manager, ""));
        conflicts
    }

    /// Everyone whose fields are changed, with those fields.
    pub fn overlaps(&self, changed: &FieldSet) -> Vec<(usize, FieldSet)> {
        self.entries
            .iter()
            .enumerate()
            .map(|(index, entry)| (index, entry.set.intersection(changed)))
            .filter(|(_, set)| !set.is_empty())
            .collect()
    }

    /// Each manager loses the fields that stand with it.
    pub fn take_away(&mut self, fields: &[(usize, FieldSet)]) {
        for (index, fields) in fields {
            let entry = &mut self.entries[*index];
            entry.set = entry.set.difference(fields);
        }
    }

    /// Nobody but `applier` owns what is not there any more.
    pub fn drop_what_is_gone(&mut self, removed: &FieldSet, applier: Option<&Manager<'_>>) {
        if !removed.is_empty() {
            for entry in &mut self.entries {
                if applier.is_none_or(|applier| !entry.is_by(Operation::Apply, applier, "")) {
                    entry.set = entry.set.difference(removed);
                }
            }
        }
        self.entries.retain(|entry| !entry.set.is_empty());
    }

    /// Replaces the applier's set and returns the one it had.
    pub fn replace_applied(&mut self, manager: &Manager<'_>, api_version: &str, set: FieldSet) -> FieldSet {
        let position = self.entries.iter().position(|entry| entry.is_by(Operation::Apply, manager, ""));
        let Some(position) = position else {
            self.entries.push(Entry::new(manager, Operation::Apply, api_version, set));
            return FieldSet::default();
        };
        let entry = &mut self.entries[position];
        entry.api_version = api_version.into();
        std::mem::replace(&mut entry.set, set)
    }

    /// The entry's time is that of the write that changed the object.
    pub fn stamp(&mut self, operation: Operation, manager: &Manager<'_>, api_version: &str) {
        for entry in &mut self.entries {
            if entry.is_by(operation, manager, api_version) {
                entry.time = manager.now.into();
            }
        }
    }

    /// Adds what the updater changed to its set.
    pub fn add_updated(&mut self, manager: &Manager<'_>, api_version: &str, changed: FieldSet) {
        if !changed.is_empty() {
            let position = self.entries.iter().position(|entry| entry.is_by(Operation::Update, manager, api_version));
            match position {
                None => self.entries.push(Entry::new(manager, Operation::Update, api_version, changed)),
                Some(position) => self.entries[position].set = self.entries[position].set.union(&changed),
            }
            // What came through the scale subresource bears no time, as in Kubernetes.
            if manager.subresource != "scale" {
                self.stamp(Operation::Update, manager, api_version);
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

    /// Merges the oldest updaters of a version into one, until there are few enough.
    fn cap_updaters(&mut self) {
        let is_updater = |entry: &Entry| entry.operation == Operation::Update;
        let mut excess = self.entries.iter().filter(|entry| is_updater(entry)).count().saturating_sub(UPDATERS_MAX);
        if excess == 0 {
            return;
        }
        self.entries.sort_by(|a, b| {
            (&a.time, &a.manager, &a.api_version, &a.subresource).cmp(&(
                &b.time,
                &b.manager,
                &b.api_version,
                &b.subresource,
            ))
        });
        let (mut kept, mut buckets): (Vec<Entry>, Vec<Entry>) = (Vec::new(), Vec::new());
        let mut first: Vec<Entry> = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            if excess == 0 || !is_updater(&entry) {
                kept.push(entry);
            } else if let Some(bucket) = buckets.iter_mut().find(|bucket| bucket.api_version == entry.api_version) {
                bucket.absorb(entry);
                excess -= 1;
            } else if let Some(index) = first.iter().position(|other| other.api_version == entry.api_version) {
                let mut bucket = first.swap_remove(index);
                (bucket.manager, bucket.subresource) = (ANCIENT.into(), String::new());
                bucket.absorb(entry);
                buckets.push(bucket);
                excess -= 1;
            } else {
                first.push(entry);
            }
        }
        self.entries = kept;
        self.entries.extend(first);
        self.entries.extend(buckets);
    }
}

impl Entry {
    fn new(manager: &Manager<'_>, operation: Operation, api_version: &str, set: FieldSet) -> Self {
        Self {
            manager: manager.name.into(),
            operation,
            api_version: api_version.into(),
            subresource: manager.subresource.into(),
            time: String::new(),
            set,
        }
    }

    /// The other's fields as well, as of the other's time.
    fn absorb(&mut self, other: Self) {
        self.set = self.set.union(&other.set);
        self.time = other.time;
    }

    /// Whether it is this manager's; appliers are the same in each version.
    fn is_by(&self, operation: Operation, manager: &Manager<'_>, api_version: &str) -> bool {
        self.operation == operation
            && self.manager == manager.name
            && self.subresource == manager.subresource
            && (operation == Operation::Apply || self.api_version == api_version)
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
