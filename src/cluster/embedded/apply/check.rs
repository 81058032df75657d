//! Whether an applied configuration fits its kind's type: unknown fields, wrong types, list items without keys or
//! twice the same. Worded as structured-merge-diff words it.

use serde_json::Value;

use super::super::schema::{FieldType, Kind, definition};
use super::super::status::Status;
use super::set::{Step, path_text};
use super::typed::{Shape, item_key};

/// The first mistakes of a configuration, as the 500 that Kubernetes answers with.
pub fn check_typed(kind: &'static Kind, shape: Shape<'_>, applied: &Value) -> Result<(), Status> {
    let mut errors = Vec::new();
    walk(shape, None, applied, &mut Vec::new(), &mut errors);
    if errors.is_empty() {
        return Ok(());
    }
    let name = |field: &str| applied.pointer(field).and_then(Value::as_str).unwrap_or_default();
    let version = if kind.group.is_empty() { format!("/{}", kind.version) } else { kind.api_version() };
    let text = match errors.as_slice() {
        [only] => only.clone(),
        _ => format!("errors:\n  {}", errors.join("\n  ")),
    };
    let message = format!(
        "failed to create typed patch object ({}/{}; {version}, Kind={}): {text}",
        name("/metadata/namespace"),
        name("/metadata/name"),
        kind.name
    );
    Err(Status::new(500, "", message))
}

fn walk(shape: Shape<'_>, scalar: Option<&FieldType>, value: &Value, path: &mut Vec<Step>, errors: &mut Vec<String>) {
    let mut mistake = |what: String| errors.push(format!("{}: {what}", path_text(path)));
    match (shape, value) {
        (_, Value::Null) => {}
        (Shape::Struct(definition), Value::Object(map)) => {
            for (name, child) in map {
                path.push(Step::Field(name.clone()));
                match definition.field(name) {
                    None => errors.push(format!("{}: field not declared in schema", path_text(path))),
                    Some(field) => walk(Shape::of_field(field), Some(&field.field_type), child, path, errors),
                }
                path.pop();
            }
        }
        (Shape::Map(element), Value::Object(map)) => {
            for (name, child) in map {
                path.push(Step::Field(name.clone()));
                walk(Shape::of_type(element), Some(element), child, path, errors);
                path.pop();
            }
        }
        (Shape::Keyed(element, keys), Value::Array(items)) => walk_keyed(element, keys, items, path, errors),
        (Shape::Set, Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                if items[..index].contains(item) {
                    mistake(format!("duplicate entries for key [={item}]"));
                }
            }
        }
        (Shape::Struct(_) | Shape::Map(_), other) => mistake(format!("expected map, got &{{{}}}", printed(other))),
        (Shape::Keyed(..) | Shape::Set, other) => mistake(format!("expected list, got &{{{}}}", printed(other))),
        (Shape::Atomic, value) => {
            if let Some(field_type) = scalar {
                walk_atomic(field_type, value, path, errors);
            }
        }
    }
}

fn walk_keyed(element: &FieldType, keys: &[String], items: &[Value], path: &mut Vec<Step>, errors: &mut Vec<String>) {
    let mut seen = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if !item.is_object() {
            let what = if item.is_null() { "a null element" } else { "non-map elements" };
            errors
                .push(format!("{}: element {index}: associative list with keys may not have {what}", path_text(path)));
            continue;
        }
        let step = item_key(element, keys, item);
        let missing = keys.iter().find(|key| {
            let Step::Key(found) = &step else { return false };
            !found.contains(&format!("{key:?}:"))
        });
        if let Some(key) = missing {
            errors.push(format!(
                "{}: element {index}: associative list with keys has an element that omits key field {key:?} (and doesn't have default value)",
                path_text(path)
            ));
            continue;
        }
        if seen.contains(&step) {
            errors.push(format!(
                "{}: duplicate entries for key {}",
                path_text(path),
                path_text(std::slice::from_ref(&step))
            ));
            continue;
        }
        path.push(step.clone());
        walk(Shape::of_type(element), Some(element), item, path, errors);
        path.pop();
        seen.push(step);
    }
}

/// Below what is atomic the types must fit as well.
fn walk_atomic(field_type: &FieldType, value: &Value, path: &mut Vec<Step>, errors: &mut Vec<String>) {
    let descend =
        |step: Step, field_type: &FieldType, child: &Value, path: &mut Vec<Step>, errors: &mut Vec<String>| {
            path.push(step);
            walk_atomic(field_type, child, path, errors);
            path.pop();
        };
    match (field_type, value) {
        (_, Value::Null) => {}
        (FieldType::List(element), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                descend(Step::Index(index), element, item, path, errors);
            }
        }
        (FieldType::Map(element), Value::Object(map)) => {
            for (name, child) in map {
                descend(Step::Field(name.clone()), element, child, path, errors);
            }
        }
        (FieldType::Struct(name), Value::Object(map)) => {
            let definition = definition(name);
            for (name, child) in map {
                if let Some(field) = definition.and_then(|definition| definition.field(name)) {
                    descend(Step::Field(name.clone()), &field.field_type, child, path, errors);
                } else {
                    path.push(Step::Field(name.clone()));
                    errors.push(format!("{}: field not declared in schema", path_text(path)));
                    path.pop();
                }
            }
        }
        _ => {
            if let Some(mistake) = unfit(field_type, value) {
                errors.push(format!("{}: {mistake}", path_text(path)));
            }
        }
    }
}

/// What a scalar should have been and is, where that differs, with each type's own way to print what it got.
fn unfit(expected: &FieldType, value: &Value) -> Option<String> {
    match expected {
        FieldType::String | FieldType::Bytes | FieldType::Time | FieldType::MicroTime => (!value.is_string())
            .then(|| format!("expected string, got &value.valueUnstructured{{Value:{}}}", literal(value))),
        FieldType::Bool => (!value.is_boolean()).then(|| format!("expected boolean, got &{{{}}}", printed(value))),
        FieldType::Int32 | FieldType::Int64 | FieldType::Float64 => {
            (!value.is_number()).then(|| format!("expected numeric (int or float), got {}", type_name(value)))
        }
        FieldType::List(_) => Some(format!("expected list, got &{{{}}}", printed(value))),
        FieldType::Map(_) | FieldType::Struct(_) => Some(format!("expected map, got &{{{}}}", printed(value))),
        _ => None,
    }
}

/// As Go's `%T` names a decoded value's type.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// As Go's `%v` prints a decoded value.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let members: Vec<String> = map.iter().map(|(name, child)| format!("{name}:{}", printed(child))).collect();
            format!("map[{}]", members.join(" "))
        }
        other => other.to_string(),
    }
}

/// As Go's `%#v` prints a decoded value.
fn literal(value: &Value) -> String {
    let list = |items: Vec<String>| format!("{}{{{}}}", type_name(value), items.join(", "));
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::Array(items) => list(items.iter().map(literal).collect()),
        Value::Object(map) => list(map.iter().map(|(name, child)| format!("{name:?}:{}", literal(child))).collect()),
        other => other.to_string(),
    }
}
