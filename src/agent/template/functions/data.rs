//! Functions of maps and lists, and of their texts in YAML and JSON.

use std::collections::HashMap;

use gtmpl_ng::Value;
use gtmpl_ng::helm_functions::value_is_truthy as is_empty;

use super::super::super::yaml;
use super::{Answer, argument, exactly, fault, from_json_of_text, integer, is_nil, map, string, to_json as json};

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn to_yaml(arguments: &[Value]) -> Answer {
    Ok(Value::from(yaml::write(&json(argument(arguments, 0))).trim_end_matches('\n')))
}

/// As `toYaml`, with the items of lists indented.
#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn to_yaml_pretty(arguments: &[Value]) -> Answer {
    Ok(Value::from(yaml::write_indented(&json(argument(arguments, 0))).trim_end_matches('\n')))
}

/// Helm's way with text that does not parse: a map with the error in it.
fn with_error(parsed: Result<serde_json::Value, String>) -> Value {
    parsed.map_or_else(
        |error| Value::Map(HashMap::from([("Error".to_owned(), Value::String(error))])),
        |value| from_json_of_text(&value),
    )
}

pub fn from_yaml(arguments: &[Value]) -> Answer {
    Ok(with_error(match yaml::parse(string(argument(arguments, 0))?) {
        Ok(value @ (serde_json::Value::Object(_) | serde_json::Value::Null)) => Ok(value),
        Ok(other) => Err(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json_kind(&other)
        )),
        Err(error) => Err(format!("error converting YAML to JSON: yaml: {error}")),
    }))
}

/// Go's word for what a JSON text holds.
fn json_kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::Bool(_) => "bool",
        serde_json::Value::Null => "null",
    }
}

pub fn from_yaml_array(arguments: &[Value]) -> Answer {
    Ok(yaml::parse(string(argument(arguments, 0))?)
        .map_or_else(|error| Value::Array(vec![Value::String(error)]), |value| from_json_of_text(&value)))
}

/// Go escapes what HTML would take for its own, in every JSON that it is not told to keep raw.
fn escaped(json: &str) -> Value {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => escaped.push(letter),
        }
    }
    Value::String(escaped)
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn to_json(arguments: &[Value]) -> Answer {
    Ok(escaped(&json(argument(arguments, 0)).to_string()))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn to_raw_json(arguments: &[Value]) -> Answer {
    Ok(Value::String(json(argument(arguments, 0)).to_string()))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn to_pretty_json(arguments: &[Value]) -> Answer {
    Ok(escaped(&format!("{:#}", json(argument(arguments, 0)))))
}

pub fn from_json_text(arguments: &[Value]) -> Answer {
    Ok(with_error(serde_json::from_str(string(argument(arguments, 0))?).map_err(|error| error.to_string())))
}

pub fn from_json_array(arguments: &[Value]) -> Answer {
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(string(argument(arguments, 0))?);
    Ok(parsed
        .map_or_else(|error| Value::Array(vec![Value::String(error.to_string())]), |value| from_json_of_text(&value)))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn dict(arguments: &[Value]) -> Answer {
    let pairs = arguments.chunks(2);
    Ok(Value::Map(
        pairs.map(|pair| (pair[0].to_string(), pair.get(1).cloned().unwrap_or_else(|| Value::from("")))).collect(),
    ))
}

pub fn get(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    Ok(map(&arguments[0])?.get(string(&arguments[1])?).cloned().unwrap_or_else(|| Value::from("")))
}

pub fn set(arguments: &[Value]) -> Answer {
    exactly(arguments, 3)?;
    let mut entries = map(&arguments[0])?.clone();
    entries.insert(string(&arguments[1])?.to_owned(), arguments[2].clone());
    Ok(Value::Map(entries))
}

pub fn unset(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    let mut entries = map(&arguments[0])?.clone();
    entries.remove(string(&arguments[1])?);
    Ok(Value::Map(entries))
}

pub fn has_key(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    Ok(Value::Bool(map(&arguments[0])?.contains_key(string(&arguments[1])?)))
}

fn sorted(entries: &HashMap<String, Value>) -> Vec<(&String, &Value)> {
    let mut pairs: Vec<_> = entries.iter().collect();
    pairs.sort_by_key(|(key, _)| *key);
    pairs
}

pub fn keys(arguments: &[Value]) -> Answer {
    let mut keys = Vec::new();
    for argument in arguments {
        keys.extend(sorted(map(argument)?).into_iter().map(|(key, _)| Value::String(key.clone())));
    }
    Ok(Value::Array(keys))
}

pub fn values(arguments: &[Value]) -> Answer {
    Ok(Value::Array(sorted(map(argument(arguments, 0))?).into_iter().map(|(_, value)| value.clone()).collect()))
}

pub fn pluck(arguments: &[Value]) -> Answer {
    let name = string(argument(arguments, 0))?;
    let mut found = Vec::new();
    for argument in arguments.iter().skip(1) {
        found.extend(map(argument)?.get(name).cloned());
    }
    Ok(Value::Array(found))
}

/// `dig "a" "b" DEFAULT MAP`.
pub fn dig(arguments: &[Value]) -> Answer {
    let [keys @ .., fallback, tree] = arguments else { return fault("dig needs at least three arguments") };
    if keys.is_empty() {
        return fault("dig needs at least three arguments");
    }
    let mut value = tree;
    for key in keys {
        match map(value)?.get(string(key)?) {
            Some(found) => value = found,
            None => return Ok(fallback.clone()),
        }
    }
    Ok(value.clone())
}

fn merged(into: &mut HashMap<String, Value>, from: &HashMap<String, Value>, overwrite: bool) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Map(inner)), Value::Map(other)) => merged(inner, other, overwrite),
            (Some(existing), _) if !overwrite && !is_empty(existing) => {}
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

fn merge_all(arguments: &[Value], overwrite: bool) -> Answer {
    let mut result = map(argument(arguments, 0))?.clone();
    for argument in arguments.iter().skip(1) {
        merged(&mut result, map(argument)?, overwrite);
    }
    Ok(Value::Map(result))
}

pub fn merge(arguments: &[Value]) -> Answer {
    merge_all(arguments, false)
}

pub fn merge_overwrite(arguments: &[Value]) -> Answer {
    merge_all(arguments, true)
}

pub fn deep_copy(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    Ok(arguments[0].clone())
}

fn items(value: &Value) -> Result<&[Value], gtmpl_ng::FuncError> {
    match value {
        Value::Array(items) => Ok(items),
        nil if is_nil(nil) => Ok(&[]),
        other => fault(format!("Cannot find first on type {}", super::type_name(other))),
    }
}

pub fn first(arguments: &[Value]) -> Answer {
    Ok(items(argument(arguments, 0))?.first().cloned().unwrap_or(Value::Nil))
}

pub fn last(arguments: &[Value]) -> Answer {
    Ok(items(argument(arguments, 0))?.last().cloned().unwrap_or(Value::Nil))
}

pub fn chunk(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    let size = usize::try_from(integer(&arguments[0])?).unwrap_or(1).max(1);
    Ok(Value::Array(items(&arguments[1])?.chunks(size).map(|part| Value::Array(part.to_vec())).collect()))
}

pub fn has(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    Ok(Value::Bool(items(&arguments[1])?.iter().any(|item| super::compare::is_deeply_equal(item, &arguments[0]))))
}

pub fn compact(arguments: &[Value]) -> Answer {
    Ok(Value::Array(items(argument(arguments, 0))?.iter().filter(|item| !is_empty(item)).cloned().collect()))
}
