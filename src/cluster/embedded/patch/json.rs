//! JSON patch, RFC 6902.

use serde_json::Value;

use super::super::status::Status;

/// The API server refuses longer patches.
const OPERATIONS_MAX: usize = 10_000;

/// Applies the operations in order; the first that does not fit refuses the whole patch.
///
/// # Errors
/// 400 for a patch that is none, 422 in Kubernetes' one wording for an operation that does not fit.
pub fn json_patch(document: &Value, patch: &Value) -> Result<Value, Status> {
    let operations = patch.as_array().ok_or_else(|| {
        Status::new(400, "BadRequest", "json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    })?;
    if operations.len() > OPERATIONS_MAX {
        return Err(Status::new(
            413,
            "RequestEntityTooLarge",
            format!("The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}", operations.len()),
        ));
    }
    let mut result = document.clone();
    for operation in operations {
        apply(&mut result, operation).ok_or_else(rejected)?;
    }
    Ok(result)
}

fn rejected() -> Status {
    Status::new(422, "Invalid", "the server rejected our request due to an error in our request")
        .with_details(serde_json::json!({}))
}

fn apply(document: &mut Value, operation: &Value) -> Option<()> {
    let path = operation.get("path")?.as_str()?;
    match operation.get("op")?.as_str()? {
        // What is added without a value is null.
        "add" => add(document, path, operation.get("value").cloned().unwrap_or_default()),
        "remove" => remove(document, path).map(drop),
        "replace" => replace(document, path, operation.get("value").cloned().unwrap_or_default()),
        "move" => {
            let from = operation.get("from")?.as_str()?;
            if path.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
                return None;
            }
            let value = remove(document, from)?;
            add(document, path, value)
        }
        "copy" => {
            let value = find(document, operation.get("from")?.as_str()?)?;
            add(document, path, value)
        }
        "test" => {
            let expected = operation.get("value").unwrap_or(&Value::Null);
            let found = document.pointer(path);
            (found == Some(expected) || (found.is_none() && expected.is_null())).then_some(())
        }
        _ => None,
    }
}

/// The whole document can be neither added nor replaced; a member of an object that is not there can.
fn replace(document: &mut Value, path: &str, value: Value) -> Option<()> {
    let (parent, last) = split(path)?;
    match document.pointer_mut(parent)? {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(items) => {
            let index = index(&last, items.len()).filter(|index| *index < items.len())?;
            items[index] = value;
        }
        _ => return None,
    }
    Some(())
}

/// What is at a path, null where an object has no such member.
fn find(document: &Value, path: &str) -> Option<Value> {
    let (parent, last) = split(path)?;
    match document.pointer(parent)? {
        Value::Object(map) => Some(map.get(&last).cloned().unwrap_or_default()),
        Value::Array(items) => items.get(index(&last, items.len())?).cloned(),
        _ => None,
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Option<()> {
    let (parent, last) = split(path)?;
    match document.pointer_mut(parent)? {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            // Counted from the end, -1 is after the last.
            let index = index(&last, items.len() + 1).filter(|index| *index <= items.len())?;
            items.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(document: &mut Value, path: &str) -> Option<Value> {
    let (parent, last) = split(path)?;
    match document.pointer_mut(parent)? {
        Value::Object(map) => map.remove(&last),
        Value::Array(items) => {
            let index = index(&last, items.len()).filter(|index| *index < items.len())?;
            Some(items.remove(index))
        }
        _ => None,
    }
}

/// The parent's pointer and the last token, unescaped.
fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

/// A place in a list of this length; a negative one counts from its end.
fn index(token: &str, length: usize) -> Option<usize> {
    if let Some(back) = token.strip_prefix('-') {
        let back: usize = back.parse().ok().filter(|_| !back.starts_with(['+', '-']))?;
        return length.checked_sub(back).filter(|_| back > 0);
    }
    (token == "0" || !token.starts_with(['0', '+'])).then(|| token.parse().ok())?
}
