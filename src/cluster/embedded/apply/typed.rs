//! Walks a value by its kind's type: which fields it sets, how two values differ, what a merge makes of them,
//! and what is left when some fields are taken out.

use serde_json::{Map, Value};

use super::super::schema::{Definition, Field, FieldType, ListType, definition};
use super::set::{FieldSet, Step};

/// How a place of the object is treated.
#[derive(Clone, Copy)]
pub enum Shape<'a> {
    /// A leaf, or a list, map or struct that is replaced as a whole.
    Atomic,
    Struct(&'a Definition),
    Map(&'a FieldType),
    /// A list whose items are told apart by these keys.
    Keyed(&'a FieldType, &'a [String]),
    Set,
}

impl<'a> Shape<'a> {
    pub fn of_field(field: &'a Field) -> Self {
        if field.atomic {
            return Self::Atomic;
        }
        match (&field.field_type, &field.list_type) {
            (FieldType::List(element), ListType::Map(keys)) => Self::Keyed(element, keys),
            (FieldType::List(_), ListType::Set) => Self::Set,
            (FieldType::Map(element), _) => Self::Map(element),
            (other, _) => Self::of_type(other),
        }
    }

    pub fn of_type(field_type: &'a FieldType) -> Self {
        match field_type {
            FieldType::Struct(name) => match definition(name) {
                Some(definition) if !definition.atomic => Self::Struct(definition),
                _ => Self::Atomic,
            },
            FieldType::Map(element) => Self::Map(element),
            _ => Self::Atomic,
        }
    }

    /// The shape below `step`.
    pub fn below(self, step: &Step) -> Self {
        match (self, step) {
            (Self::Struct(definition), Step::Field(name)) => {
                definition.field(name).map_or(Self::Atomic, Self::of_field)
            }
            (Self::Map(element), Step::Field(_)) | (Self::Keyed(element, _), Step::Key(_)) => Self::of_type(element),
            _ => Self::Atomic,
        }
    }
}

/// The children of a value, each with the step that leads to it; `None` for leaves and what is atomic.
pub fn children<'v>(shape: Shape<'_>, value: &'v Value) -> Option<Vec<(Step, &'v Value)>> {
    match (shape, value) {
        (Shape::Struct(_) | Shape::Map(_), Value::Object(map)) => {
            Some(map.iter().map(|(name, child)| (Step::Field(name.clone()), child)).collect())
        }
        (Shape::Keyed(element, keys), Value::Array(items)) => {
            Some(items.iter().map(|item| (item_key(element, keys, item), item)).collect())
        }
        (Shape::Set, Value::Array(items)) => {
            Some(items.iter().map(|item| (Step::Value(item.to_string()), item)).collect())
        }
        (Shape::Atomic, _) => None,
        (_, Value::Null) => Some(Vec::new()),
        _ => None,
    }
}

/// The step of a keyed item; absent keys count by their defaults.
pub fn item_key(element: &FieldType, keys: &[String], item: &Value) -> Step {
    let definition = element.element();
    let mut found = Map::new();
    for key in keys {
        let default =
            || definition.and_then(|definition| definition.field(key)).and_then(|field| field.default.clone());
        if let Some(value) = item.get(key).filter(|value| !value.is_null()).cloned().or_else(default) {
            found.insert(key.clone(), value);
        }
    }
    Step::Key(Value::Object(found).to_string())
}

/// The fields that a value sets: leaves, what is atomic, items of lists, and empty structs and maps.
pub fn fields_of(shape: Shape<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    match children(shape, value) {
        None => set.member = true,
        Some(children) => {
            if children.is_empty() {
                set.member = true;
            }
            for (step, child) in children {
                let mut inner = fields_of(shape.below(&step), child);
                inner.member |= !matches!(step, Step::Field(_));
                set.children.insert(step, inner);
            }
        }
    }
    set
}

/// Every place of a value, leaves and what leads to them.
fn places_of(shape: Shape<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet { member: true, ..FieldSet::default() };
    for (step, child) in children(shape, value).into_iter().flatten() {
        let inner = places_of(shape.below(&step), child);
        set.children.insert(step, inner);
    }
    set
}

/// What differs between two values, place by place as structured-merge-diff's comparison has it.
#[derive(Debug, Default)]
pub struct Difference {
    /// Set in the second with another value, or only there.
    pub changed: FieldSet,
    /// Set in the first only.
    pub removed: FieldSet,
}

pub fn compare(shape: Shape<'_>, old: Option<&Value>, new: Option<&Value>) -> Difference {
    match (old, new) {
        (None, None) => Difference::default(),
        (Some(old), Some(new)) if old == new => Difference::default(),
        (None, Some(new)) => Difference { changed: places_of(shape, new), removed: FieldSet::default() },
        (Some(old), None) => Difference { changed: FieldSet::default(), removed: places_of(shape, old) },
        (Some(old), Some(new)) => compare_both(shape, old, new),
    }
}

fn compare_both(shape: Shape<'_>, old: &Value, new: &Value) -> Difference {
    let mut difference = Difference::default();
    let (Some(old_children), Some(new_children)) = (children(shape, old), children(shape, new)) else {
        difference.changed.member = true;
        return difference;
    };
    let find = |among: &[(Step, &Value)], step: &Step| among.iter().position(|(other, _)| other == step);
    for (step, child) in &new_children {
        let before = find(&old_children, step).map(|index| old_children[index].1);
        difference.add(step, compare(shape.below(step), before, Some(child)));
    }
    for (step, child) in &old_children {
        if find(&new_children, step).is_none() {
            difference.add(step, compare(shape.below(step), Some(child), None));
        }
    }
    difference
}

impl Difference {
    fn add(&mut self, step: &Step, inner: Self) {
        if !inner.changed.is_empty() {
            self.changed.children.insert(step.clone(), inner.changed);
        }
        if !inner.removed.is_empty() {
            self.removed.children.insert(step.clone(), inner.removed);
        }
    }
}

/// Merges an applied configuration over a live object.
pub fn merge(shape: Shape<'_>, live: &Value, applied: &Value) -> Value {
    match (shape, live, applied) {
        (Shape::Struct(_) | Shape::Map(_), Value::Object(live), Value::Object(applied)) => {
            let mut merged = live.clone();
            for (name, value) in applied {
                let below = shape.below(&Step::Field(name.clone()));
                let value = match live.get(name) {
                    Some(before) => merge(below, before, value),
                    None => value.clone(),
                };
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Shape::Keyed(..) | Shape::Set, Value::Array(live), Value::Array(applied)) => {
            Value::Array(merge_items(shape, live, applied))
        }
        (_, _, applied) => applied.clone(),
    }
}

/// The applied items in their order, those that only the live list has kept between the neighbours that they had.
fn merge_items(shape: Shape<'_>, live: &[Value], applied: &[Value]) -> Vec<Value> {
    let step_of = |item: &Value| match shape {
        Shape::Keyed(element, keys) => item_key(element, keys, item),
        _ => Step::Value(item.to_string()),
    };
    let live_steps: Vec<Step> = live.iter().map(step_of).collect();
    let applied_steps: Vec<Step> = applied.iter().map(step_of).collect();
    let mut result = Vec::with_capacity(live.len() + applied.len());
    let mut next_live = 0;
    for (item, step) in applied.iter().zip(&applied_steps) {
        if let Some(position) = live_steps.iter().position(|other| other == step) {
            while next_live < position {
                if !applied_steps.contains(&live_steps[next_live]) {
                    result.push(live[next_live].clone());
                }
                next_live += 1;
            }
            next_live = next_live.max(position + 1);
            result.push(merge(shape.below(step), &live[position], item));
        } else {
            result.push(item.clone());
        }
    }
    let rest = live.iter().zip(&live_steps).skip(next_live);
    result.extend(rest.filter(|(_, step)| !applied_steps.contains(step)).map(|(item, _)| item.clone()));
    result
}

/// The value without the places in `removed`; structs, maps and lists that become empty by it go as well, as in
/// structured-merge-diff.
pub fn remove(shape: Shape<'_>, value: &Value, removed: &FieldSet) -> Option<Value> {
    match (shape, value) {
        (Shape::Struct(_) | Shape::Map(_), Value::Object(map)) => {
            let mut kept = Map::new();
            for (name, child) in map {
                let step = Step::Field(name.clone());
                if let Some(child) = remove_child(shape, &step, child, removed) {
                    kept.insert(name.clone(), child);
                }
            }
            (!kept.is_empty() || map.is_empty()).then_some(Value::Object(kept))
        }
        (Shape::Keyed(..) | Shape::Set, Value::Array(items)) => {
            let kept: Vec<Value> = children(shape, value)
                .into_iter()
                .flatten()
                .filter_map(|(step, child)| remove_child(shape, &step, child, removed))
                .collect();
            (!kept.is_empty() || items.is_empty()).then_some(Value::Array(kept))
        }
        _ => Some(value.clone()),
    }
}

fn remove_child(shape: Shape<'_>, step: &Step, child: &Value, removed: &FieldSet) -> Option<Value> {
    match removed.child(step) {
        None => Some(child.clone()),
        Some(below) if below.member => None,
        Some(below) => remove(shape.below(step), child, below),
    }
}
