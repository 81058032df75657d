//! What Go's encoder makes of an object: structs that are always written, zero values that are left out. Managed
//! fields and stored objects follow it, so ours must as well.

use serde_json::{Value, json};

use super::super::schema::{Definition, Field, FieldType, Kind};

/// What is written of an object in which nothing is set.
pub fn zero_object(kind: &'static Kind) -> Value {
    let mut zero = json!({});
    normalise(kind.definition(), &mut zero);
    add_nulls(kind.definition(), &mut zero);
    zero
}

/// Adds the empty structs that are always written (`resources: {}`, `status: {loadBalancer: {}}`) wherever the object
/// has the struct that they stand in, and drops zero and empty values that are left out (`finalizers: []`).
pub fn normalise(definition: &Definition, value: &mut Value) {
    let Some(map) = value.as_object_mut() else { return };
    map.retain(|name, value| {
        // The one time that is neither a pointer nor `omitzero`: Go writes it as null.
        let dropped = |field: &Field| field.omitted_if_zero || (value.is_null() && name != "lastProbeTime");
        !is_zero(value) || !definition.field(name).is_some_and(dropped)
    });
    for field in definition.fields.iter().filter(|field| field.always_written) {
        map.entry(field.name.clone()).or_insert_with(|| json!({}));
    }
    for (name, value) in map.iter_mut() {
        let Some(field) = definition.field(name) else { continue };
        let Some(element) = field.field_type.element() else { continue };
        match (&field.field_type, value) {
            (_, Value::Array(items)) => items.iter_mut().for_each(|item| normalise(element, item)),
            (FieldType::Map(_), Value::Object(map)) => map.values_mut().for_each(|item| normalise(element, item)),
            (_, value) => normalise(element, value),
        }
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
