//! Walks a value by its kind's type: which fields it sets, how two values differ, what a merge makes of them,
//! and what is left when some fields are taken out.

use std::collections::BTreeSet;

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
            (_, Step::Field(name)) => self.below_field(name),
            (Self::Keyed(element, _), Step::Key(_)) => Self::of_type(element),
            _ => Self::Atomic,
        }
    }

    /// The shape of a struct's field or a map's member.
    pub fn below_field(self, name: &str) -> Self {
        match self {
            Self::Struct(definition) => definition.field(name).map_or(Self::Atomic, Self::of_field),
            Self::Map(element) => Self::of_type(element),
            _ => Self::Atomic,
        }
    }
}

/// A map's or list's content, each child with the step that leads to it; nothing for null and what is absent.
type Children<'v> = Vec<(Step, &'v Value)>;

fn children<'v>(shape: Shape<'_>, value: Option<&'v Value>) -> Children<'v> {
    match (shape, value) {
        (Shape::Struct(_) | Shape::Map(_), Some(Value::Object(map))) => {
            map.iter().map(|(name, child)| (Step::Field(name.clone()), child)).collect()
        }
        (Shape::Keyed(element, keys), Some(Value::Array(items))) => {
            items.iter().map(|item| (item_key(element, keys, item), item)).collect()
        }
        (Shape::Set, Some(Value::Array(items))) => {
            items.iter().map(|item| (Step::Value(item.to_string()), item)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a place with this shape is a leaf for these values: atomic, or of a form that its shape does not expect.
fn is_leaf(shape: Shape<'_>, value: Option<&Value>) -> bool {
    match shape {
        Shape::Atomic => true,
        Shape::Struct(_) | Shape::Map(_) => value.is_some_and(|value| !value.is_object() && !value.is_null()),
        Shape::Keyed(..) | Shape::Set => value.is_some_and(|value| !value.is_array() && !value.is_null()),
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

/// The fields that a value sets: leaves, what is atomic, items of lists, the keys of maps, and what is null or empty.
/// Of items that stand more than once in a list only their key is set.
pub fn fields_of(shape: Shape<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    if is_leaf(shape, Some(value)) {
        set.member = true;
        return set;
    }
    for (step, child) in children(shape, Some(value)) {
        if let Some(seen) = set.children.get_mut(&step) {
            *seen = FieldSet { member: true, ..FieldSet::default() };
            continue;
        }
        let mut inner = fields_of(shape.below(&step), child);
        let is_empty = child.is_null() || child.as_object().is_some_and(Map::is_empty);
        inner.member |= is_empty || !matches!(shape, Shape::Struct(_));
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

impl Difference {
    fn changed() -> Self {
        Self { changed: FieldSet { member: true, ..FieldSet::default() }, removed: FieldSet::default() }
    }

    fn removed() -> Self {
        Self { changed: FieldSet::default(), removed: FieldSet { member: true, ..FieldSet::default() } }
    }

    fn add(&mut self, step: &Step, inner: Self) {
        self.changed.join(step, inner.changed);
        self.removed.join(step, inner.removed);
    }
}

pub fn compare(shape: Shape<'_>, old: Option<&Value>, new: Option<&Value>) -> Difference {
    if old == new {
        return Difference::default();
    }
    if let (Shape::Struct(_) | Shape::Map(_), Some((old_map, new_map))) = (shape, maps(old, new)) {
        return compare_maps(shape, old_map, new_map);
    }
    let (old_children, new_children) = (children(shape, old), children(shape, new));
    let both_empty = old_children.is_empty() && new_children.is_empty();
    if both_empty || is_leaf(shape, old) || is_leaf(shape, new) {
        return if new.is_none() { Difference::removed() } else { Difference::changed() };
    }
    let mut difference = Difference::default();
    let mut seen = BTreeSet::new();
    for (step, _) in new_children.iter().chain(&old_children) {
        if seen.insert(step) {
            compare_item(shape.below(step), step, &old_children, &new_children, &mut difference);
        }
    }
    difference.changed.member |= old.is_none();
    difference.removed.member |= new.is_none();
    difference
}

/// Two values as maps that are not both empty; `None` is one that is absent. It is the usual case, and the one that
/// writes spend their time in.
type Maps<'v> = (Option<&'v Map<String, Value>>, Option<&'v Map<String, Value>>);

fn maps<'v>(old: Option<&'v Value>, new: Option<&'v Value>) -> Option<Maps<'v>> {
    let (old, new) = match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => (Some(old), Some(new)),
        (None, Some(Value::Object(new))) => (None, Some(new)),
        (Some(Value::Object(old)), None) => (Some(old), None),
        _ => return None,
    };
    let is_empty = |map: Option<&Map<String, Value>>| map.is_none_or(Map::is_empty);
    (!is_empty(old) || !is_empty(new)).then_some((old, new))
}

fn compare_maps(shape: Shape<'_>, old: Option<&Map<String, Value>>, new: Option<&Map<String, Value>>) -> Difference {
    let mut difference = Difference::default();
    let mut compare_child = |name: &str, old: Option<&Value>, new: Option<&Value>| {
        if old != new {
            let inner = compare(shape.below_field(name), old, new);
            difference.add(&Step::Field(name.to_owned()), inner);
        }
    };
    for (name, child) in new.into_iter().flatten() {
        compare_child(name, old.and_then(|old| old.get(name)), Some(child));
    }
    for (name, child) in old.into_iter().flatten() {
        if new.is_none_or(|new| !new.contains_key(name)) {
            compare_child(name, Some(child), None);
        }
    }
    difference.changed.member |= old.is_none();
    difference.removed.member |= new.is_none();
    difference
}

/// Compares one child; what stands more than once in a list counts as one leaf.
fn compare_item(shape: Shape<'_>, step: &Step, old: &Children<'_>, new: &Children<'_>, difference: &mut Difference) {
    let values = |children: &Children<'_>| -> Vec<Value> {
        children.iter().filter(|(other, _)| other == step).map(|(_, value)| (*value).clone()).collect()
    };
    let first = |children: &Children<'_>| children.iter().position(|(other, _)| other == step);
    let (left, right) = (first(old), first(new));
    let count = |children: &Children<'_>, from: Option<usize>| {
        from.map_or(0, |from| children[from..].iter().filter(|(other, _)| other == step).count())
    };
    let (left_count, right_count) = (count(old, left), count(new, right));
    let (left, right) = (left.map(|index| old[index].1), right.map(|index| new[index].1));
    match (left_count, right_count) {
        (0 | 1, 0 | 1) => difference.add(step, compare(shape, left, right)),
        (0 | 1, _) => {
            difference.add(step, compare(shape, left, None));
            difference.add(step, Difference::changed());
        }
        (_, 0 | 1) => {
            difference.add(step, compare(shape, None, right));
            difference.add(step, Difference::removed());
        }
        _ if values(old) != values(new) => difference.add(step, Difference::changed()),
        _ => {}
    }
}

/// Merges an applied configuration over a live object.
pub fn merge(shape: Shape<'_>, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let size = |value: Option<&Value>| match value {
        Some(Value::Object(map)) => map.len(),
        Some(Value::Array(items)) => items.len(),
        _ => 0,
    };
    let both_empty = size(live) == 0 && size(applied) == 0;
    if both_empty || is_leaf(shape, live) || is_leaf(shape, applied) {
        return applied.or(live).cloned();
    }
    match shape {
        Shape::Keyed(..) | Shape::Set => Some(Value::Array(merge_items(shape, live, applied))),
        _ => {
            let mut merged = Map::new();
            let names = |value: Option<&Value>| -> Vec<String> {
                value.and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.clone()).collect()
            };
            for name in names(live).into_iter().chain(names(applied)) {
                if merged.contains_key(&name) {
                    continue;
                }
                let child = |value: Option<&'_ Value>| value.and_then(|value| value.get(&name)).cloned();
                let below = shape.below(&Step::Field(name.clone()));
                if let Some(value) = merge(below, child(live).as_ref(), child(applied).as_ref()) {
                    merged.insert(name, value);
                }
            }
            Some(Value::Object(merged))
        }
    }
}

/// Items of both lists in the order that structured-merge-diff gives them: the applied order, and what only the live
/// list has before the shared item that it stood before.
fn merge_items(shape: Shape<'_>, live: Option<&Value>, applied: Option<&Value>) -> Vec<Value> {
    let (left, right) = (children(shape, live), children(shape, applied));
    let find = |among: &Children<'_>, step: &Step| among.iter().position(|(other, _)| other == step);
    let mut shared = right.iter().map(|(step, _)| step).filter(|step| find(&left, step).is_some());
    let mut next_shared = shared.next();
    let mut done = BTreeSet::new();
    let mut result = Vec::with_capacity(left.len() + right.len());
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if l < left.len() && r < right.len() {
            let step = &left[l].0;
            if *step == right[r].0 {
                done.insert(step);
                result.extend(merge_item(shape, &left, &right[r]));
                (l, r, next_shared) = (l + 1, r + 1, shared.next());
                continue;
            }
            if find(&right, step).is_some() && next_shared.is_some_and(|next| next != step) {
                l += 1;
                continue;
            }
        }
        if l < left.len() {
            let (step, item) = &left[l];
            if find(&right, step).is_none() {
                result.push((*item).clone());
                l += 1;
                continue;
            }
            if done.contains(step) {
                l += 1;
            }
        }
        if r < right.len() {
            let step = &right[r].0;
            done.insert(step);
            result.extend(merge_item(shape, &left, &right[r]));
            if next_shared == Some(step) {
                next_shared = shared.next();
            }
            r += 1;
        }
    }
    result
}

/// An applied item over the live one of its key; where the live list has it more than once, it starts anew.
fn merge_item(shape: Shape<'_>, live: &Children<'_>, (step, item): &(Step, &Value)) -> Option<Value> {
    let mut same = live.iter().filter(|(other, _)| other == step).map(|(_, value)| *value);
    let before = same.next().filter(|_| same.next().is_none());
    merge(shape.below(step), before, Some(item))
}

/// The value without the places in `removed`; what becomes empty by it is null.
pub fn remove(shape: Shape<'_>, value: &Value, removed: &FieldSet) -> Value {
    if removed.children.is_empty() || is_leaf(shape, Some(value)) {
        return value.clone();
    }
    let kept = children(shape, Some(value)).into_iter().filter_map(|(step, child)| match removed.child(&step) {
        None => Some((step, child.clone())),
        Some(below) if below.member => None,
        Some(below) => {
            let child = remove(shape.below(&step), child, below);
            Some((step, child))
        }
    });
    match shape {
        Shape::Keyed(..) | Shape::Set => {
            let items: Vec<Value> = kept.map(|(_, child)| child).collect();
            if items.is_empty() { Value::Null } else { items.into() }
        }
        _ => {
            let map: Map<String, Value> = kept
                .filter_map(|(step, child)| match step {
                    Step::Field(name) => Some((name, child)),
                    _ => None,
                })
                .collect();
            if map.is_empty() { Value::Null } else { map.into() }
        }
    }
}

/// The set with each declared field that has something below it as a member: such a field goes as a whole.
pub fn with_named_fields(shape: Shape<'_>, set: &FieldSet) -> FieldSet {
    let children = set.children.iter().map(|(step, child)| {
        let mut below = with_named_fields(shape.below(step), child);
        let declared = match (shape, step) {
            (Shape::Struct(definition), Step::Field(name)) => definition.field(name).is_some(),
            _ => false,
        };
        below.member |= declared && !child.children.is_empty();
        (step.clone(), below)
    });
    FieldSet { member: set.member, children: children.collect() }
}
