//! The three patch types that rewrite an object: JSON patch (RFC 6902), merge patch (RFC 7386) and
//! Kubernetes' strategic merge patch. Pure functions over values; the caller validates what comes out.

mod json;
mod strategic;

use serde_json::Value;

pub use json::json_patch;
pub use strategic::strategic_merge_patch;

/// RFC 7386: objects merge, null removes, everything else replaces.
pub fn merge_patch(document: &Value, patch: &Value) -> Value {
    let mut result = document.clone();
    merge_into(&mut result, patch);
    result
}

fn merge_into(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let map = target.as_object_mut().expect("made an object above");
    for (name, change) in changes {
        if change.is_null() {
            map.remove(name);
        } else {
            merge_into(map.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests;
