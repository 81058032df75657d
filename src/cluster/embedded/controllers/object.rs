//! Reading and building objects: what every plan needs of `metadata`, conditions and selectors.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::schema::{self, Kind};

/// A kind that the schema is known to serve.
pub fn kind(api_version: &str, name: &str) -> &'static Kind {
    schema::by_kind(api_version, name).expect("controllers are written for served kinds")
}

/// A text at a JSON pointer, empty where it is not there.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number at a JSON pointer.
pub fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The elements of a list, none where it is not there.
pub fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub fn is_deleting(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// A time at a JSON pointer.
pub fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    text(object, pointer).parse().ok()
}

/// When it was created; objects are compared by it in whole seconds.
pub fn created(object: &Value) -> Timestamp {
    time(object, "/metadata/creationTimestamp").unwrap_or(Timestamp::UNIX_EPOCH)
}

/// RFC 3339 in whole seconds, as `metav1.Time` is printed.
pub fn whole_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The object at a pointer, made where it is not there.
pub fn map_mut<'a>(object: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    let mut at = object;
    for key in path {
        if !at.is_object() {
            *at = json!({});
        }
        at = at.as_object_mut().expect("made an object above").entry(*key).or_insert_with(|| json!({}));
    }
    if !at.is_object() {
        *at = json!({});
    }
    at.as_object_mut().expect("made an object above")
}

/// The owner that controls an object.
pub fn controller(object: &Value) -> Option<&Value> {
    list(object, "/metadata/ownerReferences").find(|owner| owner["controller"] == true)
}

/// Whether an object is controlled by the owner of this uid.
pub fn is_controlled_by(object: &Value, owner_uid: &str) -> bool {
    controller(object).is_some_and(|owner| owner["uid"] == owner_uid)
}

/// The reference by which an object is controlled.
pub fn controller_reference(kind: &Kind, owner: &Value) -> Value {
    json!({
        "apiVersion": kind.api_version(), "kind": kind.name, "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The condition of a type.
pub fn condition<'a>(status: &'a Value, condition_type: &str) -> Option<&'a Value> {
    list(status, "/conditions").find(|condition| condition["type"] == condition_type)
}

/// Whether a pod has the condition Ready.
pub fn is_ready(pod: &Value) -> bool {
    condition(&pod["status"], "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// Whether all containers of a pod have ended for good.
pub fn is_terminal(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Whether a pod counts: it has not ended and is not being deleted.
pub fn is_active(pod: &Value) -> bool {
    !is_terminal(pod) && !is_deleting(pod)
}

/// A label selector, as Deployments and ReplicaSets have it; labels are asked for by name.
pub fn selects<'a>(selector: &Value, label: impl Fn(&str) -> Option<&'a str>) -> bool {
    let pairs = selector.get("matchLabels").and_then(Value::as_object);
    let equal = pairs.into_iter().flatten().all(|(key, value)| label(key) == value.as_str());
    equal
        && list(selector, "/matchExpressions").all(|expression| {
            let found = label(text(expression, "/key"));
            let among = || list(expression, "/values").any(|value| value.as_str() == found);
            match text(expression, "/operator") {
                "In" => found.is_some() && among(),
                "NotIn" => found.is_none() || !among(),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

/// Whether a selector asks for nothing, and so would select everything.
pub fn selects_everything(selector: &Value) -> bool {
    let empty = |key: &str| {
        selector.get(key).is_none_or(|value| {
            value.as_object().is_none_or(Map::is_empty) && value.as_array().is_none_or(Vec::is_empty)
        })
    };
    empty("matchLabels") && empty("matchExpressions")
}

/// The labels of an object, by name.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors() {
        let check = |selector: &Value, expected: bool| {
            let object = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
            assert_eq!(selects(selector, |key| label(&object, key)), expected, "{selector}");
        };
        check(&json!({"matchLabels": {"app": "web"}}), true);
        check(&json!({"matchLabels": {"app": "web", "tier": "back"}}), false);
        check(&json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}), true);
        check(&json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}), false);
        check(&json!({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}), true);
        check(&json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}), false);
        check(&json!({}), true);
        assert!(selects_everything(&json!({})));
        assert!(!selects_everything(&json!({"matchLabels": {"a": "b"}})));
    }
}
