//! What Go's encoder makes of an object: structs that are always written, zero values that are left out. Managed
//! fields and stored objects follow it, so ours must as well.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::super::schema::{self, Definition, Field, FieldType, Kind, Quantity};

/// What is written of an object in which nothing is set.
pub fn zero_object(kind: &'static Kind) -> &'static Value {
    static ZERO_OBJECTS: LazyLock<HashMap<&str, Value>> = LazyLock::new(|| {
        let zero = |kind: &'static Kind| {
            let mut zero = json!({});
            normalise(kind.definition(), &mut zero);
            add_nulls(kind.definition(), &mut zero);
            (kind.definition, zero)
        };
        schema::kinds().iter().map(zero).collect()
    });
    ZERO_OBJECTS.get(kind.definition).expect("every kind of the schema has one")
}

/// Brings an object into the one form that decoding and encoding it in Go gives: structs and plain values that are
/// always written are added (`resources: {}`), zero and empty values that are left out go (`finalizers: []`),
/// quantities and times are written in their one form. Lists that Go writes as null stay empty until [`settle`].
pub fn normalise(definition: &Definition, value: &mut Value) {
    let Some(map) = value.as_object_mut() else { return };
    map.retain(|name, value| {
        let omitted = |field: &Field| field.omitted_if_zero && field.name != "managedFields";
        !is_zero(value) || !definition.field(name).is_some_and(|field| value.is_null() || omitted(field))
    });
    for field in &definition.fields {
        if field.always_written {
            map.entry(field.name.as_str()).or_insert_with(|| json!({}));
        } else if (field.required || is_time(field)) && !map.contains_key(&field.name) {
            map.insert(field.name.clone(), zero_value(&field.field_type));
        }
    }
    for (name, value) in map.iter_mut() {
        if let Some(field) = definition.field(name) {
            normalise_value(&field.field_type, value);
        }
    }
}

fn is_time(field: &Field) -> bool {
    field.written_as_null && matches!(field.field_type, FieldType::Time | FieldType::MicroTime)
}

fn normalise_value(field_type: &FieldType, value: &mut Value) {
    match (field_type, value) {
        (FieldType::Struct(_), value) => {
            if let Some(definition) = field_type.element() {
                normalise(definition, value);
            }
        }
        (FieldType::List(element), Value::Array(items)) => {
            for item in items.iter_mut() {
                normalise_value(element, item);
            }
        }
        (FieldType::Map(element), Value::Object(map)) => {
            for item in map.values_mut() {
                if item.is_null() {
                    *item = zero_value(element);
                }
                normalise_value(element, item);
            }
        }
        (FieldType::Quantity, value) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Some(quantity) = Quantity::parse(&text) {
                *value = quantity.to_string().into();
            }
        }
        (FieldType::Bytes, Value::String(text)) => {
            use base64::Engine as _;
            let lenient = base64::engine::GeneralPurpose::new(
                &base64::alphabet::STANDARD,
                base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
            );
            let plain: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
            if let Ok(bytes) = lenient.decode(&plain) {
                *text = base64::engine::general_purpose::STANDARD.encode(bytes);
            }
        }
        (FieldType::Time, Value::String(text)) if text.len() != "2006-01-02T15:04:05Z".len() => {
            if let Ok(time) = text.parse::<jiff::Timestamp>() {
                *text = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            }
        }
        (FieldType::MicroTime, Value::String(text)) if text.len() != "2006-01-02T15:04:05.000000Z".len() => {
            if let Ok(time) = text.parse::<jiff::Timestamp>() {
                *text = time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
            }
        }
        _ => {}
    }
}

/// The object's JSON with its fields in the order of Go's structs; where `touched` says so of a place (its names and
/// indexes), in the order of names, as what a patch has gone through comes out.
pub fn encode(kind: &'static Kind, object: &Value, touched: &dyn Fn(&[String]) -> bool) -> String {
    let mut text = String::new();
    write_value(Some(kind.definition()), object, &mut Vec::new(), touched, &mut text);
    text
}

fn write_value(
    definition: Option<&Definition>,
    value: &Value,
    place: &mut Vec<String>,
    touched: &dyn Fn(&[String]) -> bool,
    text: &mut String,
) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<(&String, &Value)> = map.iter().collect();
            if let Some(definition) = definition.filter(|_| place.is_empty() || !touched(place)) {
                let position = |name: &str| definition.fields.iter().position(|field| field.name == name);
                // What an object says of itself comes first.
                let rank = |name: &str| match name {
                    "kind" if place.is_empty() => (0, 1),
                    "apiVersion" if place.is_empty() => (0, 0),
                    _ => (1, position(name).unwrap_or(usize::MAX)),
                };
                members.sort_by_key(|(name, _)| rank(name));
            }
            text.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                let below = definition.and_then(|definition| definition.field(name)?.field_type.element());
                place.push(name.clone());
                write_value(below, value, place, touched, text);
                place.pop();
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                place.push(index.to_string());
                write_value(definition, item, place, touched, text);
                place.pop();
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// What storing makes of an object: empty lists that Go's encoder does not leave out become null.
pub fn settle(definition: &Definition, value: &mut Value) {
    let Some(map) = value.as_object_mut() else { return };
    for (name, value) in map.iter_mut() {
        let Some(field) = definition.field(name) else { continue };
        if field.written_as_null && value.as_array().is_some_and(Vec::is_empty) {
            *value = Value::Null;
        }
        let Some(element) = field.field_type.element() else { continue };
        match (&field.field_type, value) {
            (_, Value::Array(items)) => {
                for item in items.iter_mut() {
                    settle(element, item);
                }
            }
            (FieldType::Struct(_), value) => settle(element, value),
            _ => {}
        }
    }
}

/// What Go makes of a null that stands in a map.
fn zero_value(field_type: &FieldType) -> Value {
    match field_type {
        FieldType::String | FieldType::Bytes => "".into(),
        FieldType::Bool => false.into(),
        FieldType::Int32 | FieldType::Int64 | FieldType::Float64 => 0.into(),
        FieldType::Quantity => "0".into(),
        FieldType::Struct(_) => json!({}),
        _ => Value::Null,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn add_nulls(definition: &Definition, value: &mut Value) {
    let Some(map) = value.as_object_mut() else { return };
    for (name, value) in map.iter_mut() {
        if let Some(element) = definition.field(name).and_then(|field| field.field_type.element()) {
            add_nulls(element, value);
        }
    }
    for field in definition.fields.iter().filter(|field| field.written_as_null) {
        map.entry(field.name.clone()).or_insert(Value::Null);
    }
}
