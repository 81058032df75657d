//! Go's comparisons, which refuse to compare what is not of one kind: a number of a values file is a float, a number
//! in a template is whole, and `eq .Values.replicas 1` is a mistake that has to be told.

use std::cmp::Ordering;

use gtmpl_ng::{FuncError, NumberKind, Value};

use super::{Answer, exactly, fault, is_nil, type_name};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Truth,
    Whole,
    Float,
    Text,
    Other,
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Bool(_) => Kind::Truth,
        Value::String(_) => Kind::Text,
        Value::Number(number) => match number.kind() {
            NumberKind::Float(_) => Kind::Float,
            NumberKind::Signed(_) | NumberKind::Unsigned(_) => Kind::Whole,
        },
        _ => Kind::Other,
    }
}

fn is_zero(value: &Value) -> bool {
    matches!(value, Value::Number(number) if number.as_i64() == Some(0))
}

/// Whether two values may be compared at all. A zero stands for a float too: see `from_json`.
fn alike(one: &Value, other: &Value) -> bool {
    let (left, right) = (kind(one), kind(other));
    let numbers = |kind: Kind| matches!(kind, Kind::Whole | Kind::Float);
    left == right || numbers(left) && numbers(right) && (is_zero(one) || is_zero(other))
}

fn incompatible<T>(one: &Value, other: &Value) -> Result<T, FuncError> {
    fault(format!("incompatible types for comparison: {} and {}", type_name(one), type_name(other)))
}

fn equal(one: &Value, other: &Value) -> Result<bool, FuncError> {
    if is_nil(one) || is_nil(other) {
        return Ok(is_nil(one) && is_nil(other));
    }
    if !alike(one, other) {
        return incompatible(one, other);
    }
    if kind(one) == Kind::Other {
        return fault(format!("non-comparable type {one}: {}", type_name(one)));
    }
    Ok(one == other)
}

/// The order of two values of one kind.
fn order(one: &Value, other: &Value) -> Result<Ordering, FuncError> {
    match (one, other) {
        (Value::String(left), Value::String(right)) => Ok(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) if alike(one, other) => {
            Ok(left.partial_cmp(right).unwrap_or(Ordering::Equal))
        }
        _ if kind(one) == Kind::Other || kind(one) == Kind::Truth => fault("invalid type for comparison"),
        _ => incompatible(one, other),
    }
}

/// The first against each of the others.
pub fn eq(arguments: &[Value]) -> Answer {
    let [first, others @ ..] = arguments else { return fault("missing argument for comparison") };
    if others.is_empty() {
        return fault("missing argument for comparison");
    }
    for other in others {
        if equal(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub fn ne(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    Ok(Value::Bool(!equal(&arguments[0], &arguments[1])?))
}

fn ordered(arguments: &[Value], holds: impl Fn(Ordering) -> bool) -> Answer {
    exactly(arguments, 2)?;
    Ok(Value::Bool(holds(order(&arguments[0], &arguments[1])?)))
}

pub fn lt(arguments: &[Value]) -> Answer {
    ordered(arguments, Ordering::is_lt)
}

pub fn le(arguments: &[Value]) -> Answer {
    ordered(arguments, Ordering::is_le)
}

pub fn gt(arguments: &[Value]) -> Answer {
    ordered(arguments, Ordering::is_gt)
}

pub fn ge(arguments: &[Value]) -> Answer {
    ordered(arguments, Ordering::is_ge)
}

/// Equal and of the same types all the way down, as Go's `reflect.DeepEqual` has it.
pub fn is_deeply_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(one, other)| is_deeply_equal(one, other))
        }
        (Value::Map(left) | Value::Object(left), Value::Map(right) | Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, one)| right.get(key).is_some_and(|other| is_deeply_equal(one, other)))
        }
        _ if is_nil(one) || is_nil(other) => is_nil(one) && is_nil(other),
        _ => alike(one, other) && one == other,
    }
}
