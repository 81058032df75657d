//! Functions that decide, look up and call other templates.

use std::time::{SystemTime, UNIX_EPOCH};

use gtmpl_ng::helm_functions::value_is_truthy as is_empty;
use gtmpl_ng::{FuncError, Value};

use super::super::{AUTHOR_END, AUTHOR_START, FAILED, Failed, evaluate, include as include_template};
use super::{Answer, argument, exactly, fault, integer, is_nil, map, string, type_name};

/// `.a.b`, rewritten: the site's number, the receiver, the fields. A missing key is nil, a field of nil fails.
pub fn fields(arguments: &[Value]) -> Answer {
    let [site, receiver, names @ ..] = arguments else { return fault("no receiver") };
    let mut value = receiver;
    for name in names {
        let Value::String(name) = name else { return fault("no name") };
        let found = match value {
            Value::Map(entries) | Value::Object(entries) => Ok(entries.get(name).unwrap_or(&Value::NoValue)),
            nil if is_nil(nil) => Err(format!("nil pointer evaluating interface {{}}.{name}")),
            other => Err(format!("can't evaluate field {name} in type {}", interface_type(other))),
        };
        value = found.map_err(|text| {
            FAILED.set(Some(Failed::Site(integer(site).ok().and_then(|site| usize::try_from(site).ok()).unwrap_or(0))));
            FuncError::Generic(text)
        })?;
    }
    Ok(value.clone())
}

/// A value inside a map is an interface to Go; its type reads so.
fn interface_type(value: &Value) -> &'static str {
    match value {
        Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Array(_) => "interface {}",
        other => type_name(other),
    }
}

/// A method of `.Files` or `.Capabilities.APIVersions`: its name, the object, its arguments.
pub fn method(arguments: &[Value]) -> Answer {
    let name = string(argument(arguments, 0))?;
    let object = argument(arguments, 1);
    let key = argument(arguments, 2);
    match name {
        "Get" | "GetBytes" => Ok(map(object)?.get(string(key)?).cloned().unwrap_or_else(|| Value::from(""))),
        "Lines" => {
            let text = map(object)?.get(string(key)?).map(ToString::to_string).unwrap_or_default();
            Ok(Value::Array(text.lines().map(Value::from).collect()))
        }
        "Has" => match object {
            Value::Array(versions) => Ok(Value::Bool(versions.contains(key))),
            _ => Ok(Value::Bool(false)),
        },
        other => fault(format!("the embedded werf has no method {other}")),
    }
}

pub fn include(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    include_template(string(&arguments[0])?, arguments[1].clone())
        .map(Value::String)
        .map_err(|error| FuncError::Generic(format!("template: {error}")))
}

pub fn tpl(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    evaluate(string(&arguments[0])?, arguments[1].clone()).map(Value::String).map_err(|error| {
        FuncError::Generic(format!(
            "error during tpl function execution for {:?}: template: {error}",
            arguments[0].to_string()
        ))
    })
}

pub fn required(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    match &arguments[1] {
        value if is_nil(value) => told(&arguments[0]),
        Value::String(text) if text.is_empty() => told(&arguments[0]),
        value => Ok(value.clone()),
    }
}

pub fn fail(arguments: &[Value]) -> Answer {
    told(argument(arguments, 0))
}

/// The author's own words, which Helm tells without the way to them.
fn told<T>(message: &Value) -> Result<T, FuncError> {
    fault(format!("{AUTHOR_START}{message}{AUTHOR_END}"))
}

/// The cluster is not asked while rendering; as Helm answers without one, there is nothing.
#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn lookup(_arguments: &[Value]) -> Answer {
    Ok(Value::Map(std::collections::HashMap::new()))
}

pub fn default(arguments: &[Value]) -> Answer {
    match arguments {
        [fallback] => Ok(fallback.clone()),
        [fallback, value, ..] if is_empty(value) => Ok(fallback.clone()),
        [_, value, ..] => Ok(value.clone()),
        [] => fault("wrong number of args: want at least 1 got 0"),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn empty(arguments: &[Value]) -> Answer {
    Ok(Value::Bool(is_empty(argument(arguments, 0))))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn coalesce(arguments: &[Value]) -> Answer {
    Ok(arguments.iter().find(|value| !is_empty(value)).cloned().unwrap_or(Value::Nil))
}

pub fn ternary(arguments: &[Value]) -> Answer {
    exactly(arguments, 3)?;
    let Value::Bool(truth) = arguments[2] else {
        return fault(format!("wrong type for value; expected bool; got {}", type_name(&arguments[2])));
    };
    Ok(arguments[usize::from(!truth)].clone())
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn all(arguments: &[Value]) -> Answer {
    Ok(Value::Bool(arguments.iter().all(|value| !is_empty(value))))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn any(arguments: &[Value]) -> Answer {
    Ok(Value::Bool(arguments.iter().any(|value| !is_empty(value))))
}

pub fn not(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    Ok(Value::Bool(is_empty(&arguments[0])))
}

pub fn len(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    match &arguments[0] {
        Value::String(text) => Ok(Value::from(text.len())),
        Value::Array(items) => Ok(Value::from(items.len())),
        Value::Map(entries) | Value::Object(entries) => Ok(Value::from(entries.len())),
        value if is_nil(value) => fault("reflect: call of reflect.Value.Type on zero Value"),
        other => fault(format!("len of type {}", type_name(other))),
    }
}

/// Go's `index`, with its texts.
pub fn index(arguments: &[Value]) -> Answer {
    let Some((item, keys)) = arguments.split_first() else {
        return fault("wrong number of args for index: want at least 1 got 0");
    };
    if is_nil(item) {
        return fault("index of untyped nil");
    }
    let mut value = item.clone();
    for key in keys {
        value = match &value {
            Value::Map(entries) | Value::Object(entries) => match key {
                Value::String(name) => entries.get(name).cloned().unwrap_or(Value::NoValue),
                nil if is_nil(nil) => return fault("value is nil; should be of type string"),
                other => return fault(format!("value has type {}; should be string", type_name(other))),
            },
            Value::Array(items) => {
                if is_nil(key) {
                    return fault("cannot index slice/array with nil");
                }
                let Value::Number(_) = key else {
                    return fault(format!("cannot index slice/array with type {}", type_name(key)));
                };
                let at = integer(key)?;
                match usize::try_from(at).ok().and_then(|at| items.get(at)) {
                    Some(found) => found.clone(),
                    None => return fault(format!("index out of range: {at}")),
                }
            }
            nil if is_nil(nil) => return fault("index of nil pointer"),
            other => return fault(format!("can't index item of type {}", type_name(other))),
        };
    }
    Ok(value)
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn now(_arguments: &[Value]) -> Answer {
    Ok(Value::from(jiff::Timestamp::now().to_string()))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn unix_epoch(_arguments: &[Value]) -> Answer {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(Value::from(seconds.to_string()))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn hello(_arguments: &[Value]) -> Answer {
    Ok(Value::from("Hello!"))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn type_of(arguments: &[Value]) -> Answer {
    let value = argument(arguments, 0);
    Ok(Value::from(if is_nil(value) { "<nil>" } else { type_name(value) }))
}

pub fn type_is(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    Ok(Value::Bool(string(&arguments[0])?.trim_start_matches('*') == type_name(&arguments[1])))
}

fn kind_name(value: &Value) -> &'static str {
    match type_name(value) {
        "map[string]interface {}" => "map",
        "[]interface {}" => "slice",
        "nil" => "invalid",
        other => other,
    }
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn kind_of(arguments: &[Value]) -> Answer {
    Ok(Value::from(kind_name(argument(arguments, 0))))
}

pub fn kind_is(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    let (want, kind) = (string(&arguments[0])?, kind_name(&arguments[1]));
    // A zero of a values file is whole here and a float to Helm: both names fit it.
    let zero = matches!(&arguments[1], Value::Number(number) if number.as_i64() == Some(0));
    Ok(Value::Bool(want == kind || zero && matches!(want, "int" | "int64" | "float64")))
}

pub fn deep_equal(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    Ok(Value::Bool(super::compare::is_deeply_equal(&arguments[0], &arguments[1])))
}

pub fn removed(_arguments: &[Value]) -> Answer {
    fault("use .Values.werf.image.<name>")
}
