//! Compares an object's shape with its kind's type, as a Go decoder does.

use serde_json::Value;

use super::{Definition, FieldType, Kind};

/// A field that an object has and its kind does not, or one of the wrong type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StructureError {
    /// `spec.replcas`, for `unknown field "spec.replcas"`.
    Unknown { path: String },
    /// As Go's JSON decoder words it, and as Kubernetes' converter of untyped objects does.
    Mistyped { message: String, converted: String },
}

/// Every difference, in the order of the object's fields.
pub fn check_structure(kind: &'static Kind, object: &Value) -> Vec<StructureError> {
    let mut walk = Walk { path: String::new(), fields: String::new(), errors: Vec::new() };
    walk.check_struct(kind.definition(), object, Place { owner: kind.definition(), named: false });
    walk.errors
}

/// Where a value stands, for what is said of its type: the struct with the field that it is in.
#[derive(Clone, Copy)]
struct Place<'a> {
    owner: &'a Definition,
    named: bool,
}

struct Walk {
    /// `spec.containers[0].image`
    path: String,
    /// `spec.containers.image`: a decoder of Go's counts neither items nor keys.
    fields: String,
    errors: Vec<StructureError>,
}

impl Walk {
    fn check_struct(&mut self, definition: &Definition, value: &Value, place: Place<'_>) {
        let Some(map) = value.as_object() else {
            if !value.is_null() {
                let converted = format!("cannot restore struct from: {}", go_kind(value));
                self.mistyped(value, place, &go_struct(&definition.name), converted);
            }
            return;
        };
        for (name, value) in map {
            let (length, fields) = (self.path.len(), self.fields.len());
            for text in [&mut self.path, &mut self.fields] {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            match definition.field(name) {
                None => self.errors.push(StructureError::Unknown { path: self.path.clone() }),
                Some(field) => self.check_value(&field.field_type, value, Place { owner: definition, named: true }),
            }
            self.path.truncate(length);
            self.fields.truncate(fields);
        }
    }

    fn check_value(&mut self, field_type: &FieldType, value: &Value, place: Place<'_>) {
        let length = self.path.len();
        match (field_type, value) {
            (_, Value::Null) => {}
            (FieldType::Struct(name), _) => {
                if let Some(definition) = super::definition(name) {
                    self.check_struct(definition, value, place);
                }
            }
            (FieldType::List(element), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push_str(&format!("[{index}]"));
                    self.check_value(element, item, place);
                    self.path.truncate(length);
                }
            }
            (FieldType::Map(element), Value::Object(map)) => {
                for (key, item) in map {
                    self.path.push_str(&format!(".{key}"));
                    self.check_value(element, item, place);
                    self.path.truncate(length);
                }
            }
            _ => self.check_scalar(field_type, value, place),
        }
    }

    fn check_scalar(&mut self, field_type: &FieldType, value: &Value, place: Place<'_>) {
        let is_int32 = value.as_i64().is_some_and(|number| i32::try_from(number).is_ok());
        let fits = match field_type {
            FieldType::String | FieldType::Duration => value.is_string(),
            FieldType::Bool => value.is_boolean(),
            FieldType::Int32 => is_int32,
            FieldType::Int64 => value.as_i64().is_some(),
            FieldType::Float64 => value.is_number(),
            FieldType::IntOrString => value.is_string() || is_int32,
            FieldType::Any => true,
            FieldType::List(_) | FieldType::Map(_) | FieldType::Struct(_) => false,
            FieldType::Quantity => return self.complain(check_quantity(value)),
            FieldType::Bytes => match value.as_str() {
                Some(text) => {
                    let position = illegal_base64(text);
                    return self.complain(position.map(|at| format!("illegal base64 data at input byte {at}")));
                }
                None => false,
            },
            FieldType::Time | FieldType::MicroTime => match value.as_str() {
                Some(text) => return self.complain(super::time::mistake(text, *field_type == FieldType::MicroTime)),
                None => false,
            },
        };
        if !fits {
            self.mistyped(value, place, &go_type(field_type), unconvertible(field_type, value));
        }
    }

    fn complain(&mut self, message: Option<String>) {
        let mistakes = message.map(|message| StructureError::Mistyped { converted: message.clone(), message });
        self.errors.extend(mistakes);
    }

    fn mistyped(&mut self, value: &Value, place: Place<'_>, expected: &str, converted: String) {
        let integer = matches!(expected, "int32" | "int64");
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".into(),
            Value::Number(number) if integer => format!("number {}", go_number(number)),
            Value::Number(_) => "number".into(),
            Value::String(_) => "string".into(),
            Value::Array(_) => "array".into(),
            Value::Object(_) => "object".into(),
        };
        let target = if place.named {
            format!("struct field {}.{} of type {expected}", short_name(&place.owner.name), self.fields)
        } else {
            format!("value of type {expected}")
        };
        let message = format!("json: cannot unmarshal {found} into Go {target}");
        self.errors.push(StructureError::Mistyped { message, converted });
    }
}

/// Why an untyped value cannot become one of this type.
fn unconvertible(expected: &FieldType, value: &Value) -> String {
    let found = go_kind(value);
    match expected {
        FieldType::List(_) | FieldType::Bytes => format!("cannot restore slice from {found}"),
        FieldType::Map(_) => format!("cannot restore map from {found}"),
        FieldType::IntOrString | FieldType::Time | FieldType::MicroTime | FieldType::Duration => {
            let found = match value {
                Value::Bool(_) => "bool",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                _ => "object",
            };
            format!("json: cannot unmarshal {found} into Go value of type {}", go_type(expected))
        }
        _ => {
            let is_number = matches!(expected, FieldType::Int32 | FieldType::Int64 | FieldType::Float64);
            let convertible = value.is_number() && (is_number || (*expected == FieldType::String && !value.is_f64()));
            let expected = go_type(expected);
            if convertible {
                format!("cannot convert {found} to {expected}")
            } else {
                format!("unrecognized type: {expected}")
            }
        }
    }
}

/// The kind of an untyped value in Go.
fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

/// An exponent has its sign, as Go's encoder writes it.
fn go_number(number: &serde_json::Number) -> String {
    let text = number.to_string();
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with(['-', '+']) => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

const QUANTITY_RULE: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

fn check_quantity(value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(_) => return None,
        Value::String(text) => text,
        _ => return Some(QUANTITY_RULE.into()),
    };
    if super::Quantity::parse(text).is_some() {
        return None;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let suffix = unsigned.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &unsigned[..unsigned.len() - suffix.len()];
    let exponent = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let well_formed = number.bytes().any(|byte| byte.is_ascii_digit())
        && number.matches('.').count() <= 1
        && exponent.bytes().all(|byte| byte.is_ascii_digit());
    Some(if well_formed { "unable to parse quantity's suffix".into() } else { QUANTITY_RULE.into() })
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

fn short_name(definition: &str) -> &str {
    definition.rsplit('.').next().unwrap_or(definition)
}

/// The Go name of a type, as its decoder prints it: `v1.PodSpec`, `[]v1.Container`, `map[string]string`.
fn go_type(field_type: &FieldType) -> String {
    match field_type {
        FieldType::String | FieldType::Time | FieldType::MicroTime => "string".into(),
        FieldType::Bool => "bool".into(),
        FieldType::Int32 | FieldType::IntOrString => "int32".into(),
        FieldType::Int64 => "int64".into(),
        FieldType::Float64 => "float64".into(),
        FieldType::Bytes => "[]uint8".into(),
        FieldType::Quantity => "resource.Quantity".into(),
        FieldType::Duration => "v1.Duration".into(),
        FieldType::Any => "interface {}".into(),
        FieldType::List(element) => format!("[]{}", go_type(element)),
        FieldType::Map(element) => format!("map[string]{}", go_type(element)),
        FieldType::Struct(name) => go_struct(name),
    }
}

/// `io.k8s.api.core.v1.Pod` as `v1.Pod`.
fn go_struct(name: &str) -> String {
    let mut parts = name.rsplit('.');
    let last = parts.next().unwrap_or_default();
    format!("{}.{last}", parts.next().unwrap_or_default())
}
