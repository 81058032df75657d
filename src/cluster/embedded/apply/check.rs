//! Whether an applied configuration fits its kind's type: unknown fields, wrong types, list items without keys or
//! twice the same. Worded as structured-merge-diff words it.

use serde_json::Value;

use super::super::schema::{FieldType, Kind};
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
        (Shape::Struct(_) | Shape::Map(_), other) => mistake(format!("expected map, got &{{{other}}}")),
        (Shape::Keyed(..) | Shape::Set, other) => mistake(format!("expected list, got &{{{other}}}")),
        (Shape::Atomic, value) => {
            if let Some(expected) = scalar.and_then(|scalar| unfit(scalar, value)) {
                mistake(format!("expected {expected}, got &{{{}}}", value.to_string().trim_matches('"')));
            }
        }
    }
}

fn walk_keyed(element: &FieldType, keys: &[String], items: &[Value], path: &mut Vec<Step>, errors: &mut Vec<String>) {
    let mut seen = Vec::new();
    for (index, item) in items.iter().enumerate() {
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

/// What a scalar should have been, where it is something else.
fn unfit(expected: &FieldType, value: &Value) -> Option<&'static str> {
    match expected {
        FieldType::String => (!value.is_string()).then_some("string"),
        FieldType::Bool => (!value.is_boolean()).then_some("boolean"),
        FieldType::Int32 | FieldType::Int64 | FieldType::Float64 => {
            (!value.is_number()).then_some("numeric (int or float)")
        }
        FieldType::List(_) => (!value.is_array()).then_some("list"),
        _ => None,
    }
}
