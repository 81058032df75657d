//! Compares an object's shape with its kind's type, as a Go decoder does.

use serde_json::Value;

use super::{Definition, FieldType, Kind};

/// A field that an object has and its kind does not, or one of the wrong type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StructureError {
    /// `spec.replcas`, for `unknown field "spec.replcas"`.
    Unknown { path: String },
    /// As Go's JSON decoder words it.
    Mistyped { message: String },
}

/// Every difference, in the order of the object's fields.
pub fn check_structure(kind: &'static Kind, object: &Value) -> Vec<StructureError> {
    let mut errors = Vec::new();
    let mut path = String::new();
    check_struct(kind.definition(), object, &mut path, &mut errors);
    errors
}

/// Removes the fields that the kind does not know, and nulls, as a Go decoder drops them.
pub fn prune_unknown(kind: &'static Kind, object: &mut Value) {
    prune_struct(kind.definition(), object);
}

fn prune_struct(definition: &Definition, value: &mut Value) {
    let Some(map) = value.as_object_mut() else { return };
    map.retain(|name, value| !value.is_null() && definition.field(name).is_some());
    for (name, value) in map.iter_mut() {
        if let Some(field) = definition.field(name) {
            prune_value(&field.field_type, value);
        }
    }
}

fn prune_value(field_type: &FieldType, value: &mut Value) {
    match (field_type, value) {
        (FieldType::Struct(name), value) => {
            if let Some(definition) = super::definition(name) {
                prune_struct(definition, value);
            }
        }
        (FieldType::List(element), Value::Array(items)) if element.element().is_some() => {
            for item in items {
                prune_value(element, item);
            }
        }
        (FieldType::Map(element), Value::Object(map)) if element.element().is_some() => {
            for item in map.values_mut() {
                prune_value(element, item);
            }
        }
        _ => {}
    }
}

fn check_struct(definition: &Definition, value: &Value, path: &mut String, errors: &mut Vec<StructureError>) {
    let Some(map) = value.as_object() else {
        if !value.is_null() {
            errors.push(mistyped(value, path, definition, "", short_name(&definition.name)));
        }
        return;
    };
    for (name, value) in map {
        let length = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        match definition.field(name) {
            None => errors.push(StructureError::Unknown { path: path.clone() }),
            Some(field) => check_value(&field.field_type, value, path, definition, name, errors),
        }
        path.truncate(length);
    }
}

fn check_value(
    field_type: &FieldType,
    value: &Value,
    path: &mut String,
    owner: &Definition,
    name: &str,
    errors: &mut Vec<StructureError>,
) {
    if value.is_null() {
        return;
    }
    match (field_type, value) {
        (FieldType::Struct(struct_name), _) => {
            let Some(definition) = super::definition(struct_name) else { return };
            if value.is_object() {
                check_struct(definition, value, path, errors);
            } else {
                errors.push(mistyped(value, path, owner, name, &go_type(field_type)));
            }
        }
        (FieldType::List(element), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                let length = path.len();
                path.push_str(&format!("[{index}]"));
                check_value(element, item, path, owner, name, errors);
                path.truncate(length);
            }
        }
        (FieldType::Map(element), Value::Object(map)) => {
            for (key, item) in map {
                let length = path.len();
                path.push_str(&format!(".{key}"));
                check_value(element, item, path, owner, name, errors);
                path.truncate(length);
            }
        }
        _ => errors.extend(check_scalar(field_type, value, path, owner, name)),
    }
}

fn check_scalar(
    field_type: &FieldType,
    value: &Value,
    path: &str,
    owner: &Definition,
    name: &str,
) -> Option<StructureError> {
    let fits = match field_type {
        FieldType::String => value.is_string(),
        FieldType::Bool => value.is_boolean(),
        FieldType::Int32 => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        FieldType::Int64 => value.as_i64().is_some(),
        FieldType::Float64 => value.is_number(),
        FieldType::Bytes => return check_bytes(value, path, owner, name),
        FieldType::Quantity => return check_quantity(value),
        FieldType::IntOrString => value.is_string() || value.as_i64().is_some(),
        FieldType::Time | FieldType::MicroTime | FieldType::Duration => return check_time(value),
        FieldType::Any => true,
        FieldType::List(_) | FieldType::Map(_) | FieldType::Struct(_) => false,
    };
    (!fits).then(|| mistyped(value, path, owner, name, &go_type(field_type)))
}

fn check_bytes(value: &Value, path: &str, owner: &Definition, name: &str) -> Option<StructureError> {
    let Some(text) = value.as_str() else {
        return Some(mistyped(value, path, owner, name, "[]uint8"));
    };
    let position = illegal_base64(text)?;
    Some(StructureError::Mistyped { message: format!("illegal base64 data at input byte {position}") })
}

/// Where Go's decoder stops: the first byte outside the alphabet, or the end of a text of a wrong length.
fn illegal_base64(text: &str) -> Option<usize> {
    let bytes: Vec<(usize, u8)> =
        text.bytes().enumerate().filter(|(_, byte)| *byte != b'\n' && *byte != b'\r').collect();
    let body = bytes.iter().take_while(|(_, byte)| byte.is_ascii_alphanumeric() || b"+/".contains(byte)).count();
    let padding = &bytes[body..];
    let whole = match body % 4 {
        0 => padding.is_empty(),
        2 => padding.len() == 2 && padding.iter().all(|(_, byte)| *byte == b'='),
        3 => padding.len() == 1 && padding[0].1 == b'=',
        _ => false,
    };
    if whole {
        return None;
    }
    match padding.first() {
        Some((position, _)) => Some(if body % 4 == 0 || padding[0].1 != b'=' { *position } else { text.len() }),
        None => Some(text.len() - body % 4),
    }
}

fn check_quantity(value: &Value) -> Option<StructureError> {
    let message = match value {
        Value::Number(_) => return None,
        Value::String(text) if is_quantity(text) => return None,
        Value::String(text) if text.is_empty() => {
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        }
        Value::String(text) if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            "unable to parse quantity's suffix"
        }
        _ => "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    };
    Some(StructureError::Mistyped { message: message.into() })
}

/// A number with one of Kubernetes' suffixes.
fn is_quantity(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number_end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(number_end);
    let number_fits = number.matches('.').count() <= 1 && number.bytes().any(|byte| byte.is_ascii_digit());
    let exponent = |rest: &str| {
        let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
    };
    let suffix_fits = matches!(
        suffix,
        "" | "n" | "u" | "m" | "k" | "M" | "G" | "T" | "P" | "E" | "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei"
    ) || suffix.strip_prefix(['e', 'E']).is_some_and(exponent);
    number_fits && suffix_fits
}

fn check_time(value: &Value) -> Option<StructureError> {
    let text = value.as_str()?;
    if text.parse::<jiff::Timestamp>().is_ok() {
        return None;
    }
    Some(StructureError::Mistyped {
        message: format!(
            "parsing time \"{text}\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"{text}\" as \"2006\""
        ),
    })
}

fn mistyped(value: &Value, path: &str, owner: &Definition, name: &str, expected: &str) -> StructureError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() || number.is_u64() => "number",
        Value::Number(number) => {
            return StructureError::Mistyped {
                message: format!(
                    "json: cannot unmarshal number {number} into Go struct field {}.{path} of type {expected}",
                    short_name(&owner.name)
                ),
            };
        }
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let place = if name.is_empty() {
        format!("value of type {expected}")
    } else {
        format!("struct field {}.{path} of type {expected}", short_name(&owner.name))
    };
    StructureError::Mistyped { message: format!("json: cannot unmarshal {found} into Go {place}") }
}

fn short_name(definition: &str) -> &str {
    definition.rsplit('.').next().unwrap_or(definition)
}

/// The Go name of a type, as its decoder prints it: `v1.PodSpec`, `[]v1.Container`, `map[string]string`.
fn go_type(field_type: &FieldType) -> String {
    match field_type {
        FieldType::String => "string".into(),
        FieldType::Bool => "bool".into(),
        FieldType::Int32 => "int32".into(),
        FieldType::Int64 => "int64".into(),
        FieldType::Float64 => "float64".into(),
        FieldType::Bytes => "[]uint8".into(),
        FieldType::Quantity => "resource.Quantity".into(),
        FieldType::IntOrString => "intstr.IntOrString".into(),
        FieldType::Time => "v1.Time".into(),
        FieldType::MicroTime => "v1.MicroTime".into(),
        FieldType::Duration => "v1.Duration".into(),
        FieldType::Any => "interface {}".into(),
        FieldType::List(element) => format!("[]{}", go_type(element)),
        FieldType::Map(element) => format!("map[string]{}", go_type(element)),
        FieldType::Struct(name) => {
            let mut parts = name.rsplit('.');
            let last = parts.next().unwrap_or_default();
            format!("{}.{last}", parts.next().unwrap_or_default())
        }
    }
}
