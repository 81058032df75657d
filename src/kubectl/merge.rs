//! The three-way merge of `kubectl apply`: what the file has, what it had when it was applied last, what is live.

use serde_json::{Map, Value};

pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The lists of objects that are merged by a key, by the field's name and the key. These are the keys that
/// Kubernetes' own types state for the kinds that people write.
const MERGE_KEYS: &[(&str, &str)] = &[
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("env", "name"),
    ("volumes", "name"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
    ("ownerReferences", "uid"),
    ("secrets", "name"),
    ("conditions", "type"),
];

/// Whether the server knows this kind well enough for a strategic merge.
pub fn is_strategic(group: &str) -> bool {
    group.is_empty() || matches!(group, "apps" | "batch" | "autoscaling" | "policy") || group.ends_with(".k8s.io")
}

/// The annotation's text: the file's object without that annotation, on one line, as Go writes it.
pub fn last_applied(object: &Value) -> String {
    let mut object = object.clone();
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = Value::Object(Map::new());
    }
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove(LAST_APPLIED);
    }
    super::output::json::compact(&object) + "\n"
}

/// The object with the annotation.
pub fn annotated(object: &Value) -> Value {
    let text = last_applied(object);
    let mut object = object.clone();
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = Value::Object(Map::new());
    }
    object["metadata"]["annotations"][LAST_APPLIED] = text.into();
    object
}

/// The patch that makes the live object what the file says: values that differ, and `null` for what the file had
/// and has no more. Lists of objects are patched by their keys where `strategic`, else replaced.
pub fn three_way(original: &Value, modified: &Value, live: &Value, strategic: bool) -> Value {
    let mut patch = Map::new();
    object_patch(original, modified, live, strategic, &mut patch);
    Value::Object(patch)
}

fn object_patch(original: &Value, modified: &Value, live: &Value, strategic: bool, patch: &mut Map<String, Value>) {
    for (key, wanted) in modified.as_object().into_iter().flatten() {
        if let Some(difference) = difference(key, &original[key], wanted, &live[key], strategic) {
            patch.insert(key.clone(), difference);
        }
    }
    for (key, _) in original.as_object().into_iter().flatten() {
        if modified.get(key).is_none() && live.get(key).is_some() {
            patch.insert(key.clone(), Value::Null);
        }
    }
}

/// What a field has to be patched with, if anything.
fn difference(key: &str, original: &Value, wanted: &Value, live: &Value, strategic: bool) -> Option<Value> {
    match (wanted, live) {
        (Value::Object(_), Value::Object(_)) => {
            let mut inner = Map::new();
            object_patch(original, wanted, live, strategic, &mut inner);
            (!inner.is_empty()).then_some(Value::Object(inner))
        }
        (Value::Array(items), Value::Array(live_items)) if strategic => {
            match merge_key(key, items.iter().chain(live_items)) {
                Some(merge_key) => list_patch(merge_key, original, items, live_items),
                None => (!same_list(items, live_items)).then(|| wanted.clone()),
            }
        }
        (Value::Array(items), Value::Array(live_items)) => (!same_list(items, live_items)).then(|| wanted.clone()),
        (Value::Null, _) if live.is_null() => None,
        (wanted, live) => (!same_scalar(wanted, live)).then(|| wanted.clone()),
    }
}

/// The key that a list of objects is merged by. Ports have two names for it, in containers and in Services.
fn merge_key<'i>(field: &str, items: impl Iterator<Item = &'i Value>) -> Option<&'static str> {
    let items: Vec<&Value> = items.collect();
    let fits = |key: &&'static str| !items.is_empty() && items.iter().all(|item| item.get(*key).is_some());
    if field == "ports" {
        return ["containerPort", "port"].into_iter().find(fits);
    }
    let (_, key) = MERGE_KEYS.iter().find(|(name, _)| *name == field)?;
    Some(*key).filter(fits)
}

fn list_patch(key: &str, original: &Value, items: &[Value], live: &[Value]) -> Option<Value> {
    let of = |list: &[Value], wanted: &Value| list.iter().find(|item| item[key] == wanted[key]).cloned();
    let originals = original.as_array().map_or(&[] as &[Value], Vec::as_slice);
    let mut patches = Vec::new();
    for item in items {
        match of(live, item) {
            None => patches.push(item.clone()),
            Some(live_item) => {
                let mut inner = Map::new();
                object_patch(&of(originals, item).unwrap_or_default(), item, &live_item, true, &mut inner);
                if !inner.is_empty() {
                    inner.insert(key.to_owned(), item[key].clone());
                    patches.push(Value::Object(inner));
                }
            }
        }
    }
    for gone in originals.iter().filter(|before| of(items, before).is_none() && of(live, before).is_some()) {
        let mut deletion = Map::new();
        deletion.insert("$patch".into(), "delete".into());
        deletion.insert(key.to_owned(), gone[key].clone());
        patches.push(Value::Object(deletion));
    }
    (!patches.is_empty()).then_some(Value::Array(patches))
}

/// A live list holds defaults that the file does not say; they are no difference.
fn same_list(wanted: &[Value], live: &[Value]) -> bool {
    wanted.len() == live.len() && wanted.iter().zip(live).all(|(wanted, live)| is_contained(wanted, live))
}

fn is_contained(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            wanted.iter().all(|(key, value)| live.get(key).is_some_and(|live| is_contained(value, live)))
        }
        (Value::Array(wanted), Value::Array(live)) => same_list(wanted, live),
        (wanted, live) => same_scalar(wanted, live),
    }
}

fn same_scalar(wanted: &Value, live: &Value) -> bool {
    wanted == live || wanted.as_f64().is_some_and(|number| live.as_f64() == Some(number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches() {
        fn check(original: &Value, modified: &Value, live: &Value, expected: &Value) {
            assert_eq!(three_way(original, modified, live, true), *expected);
        }
        let container = |image: &str| json!({"name": "web", "image": image});
        let live = json!({"spec": {"replicas": 2, "paused": false, "containers":
            [{"name": "web", "image": "a", "imagePullPolicy": "Always"}, {"name": "log", "image": "l"}]}});
        let before = json!({"spec": {"replicas": 2, "containers": [container("a"), {"name": "log", "image": "l"}]}});
        check(&before, &before, &live, &json!({}));
        check(
            &before,
            &json!({"spec": {"replicas": 3, "containers": [container("b"), {"name": "log", "image": "l"}]}}),
            &live,
            &json!({"spec": {"replicas": 3, "containers": [{"name": "web", "image": "b"}]}}),
        );
        check(
            &before,
            &json!({"spec": {"containers": [container("a")]}}),
            &live,
            &json!({"spec": {"replicas": null, "containers": [{"$patch": "delete", "name": "log"}]}}),
        );
        // Somebody else changed it: the file's value comes back.
        check(
            &before,
            &before,
            &json!({"spec": {"replicas": 5, "containers": [container("a"), {"name": "log", "image": "l"}]}}),
            &json!({"spec": {"replicas": 2}}),
        );
    }

    #[test]
    fn the_annotation_is_as_go_writes_it() {
        let object = json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "<b>"}});
        let expected = "{\"data\":{\"x\":\"\\u003cb\\u003e\"},\"kind\":\"ConfigMap\",\"metadata\":{\"annotations\":{},\"name\":\"a\"}}\n";
        assert_eq!(last_applied(&object), expected);
    }
}
