//! Field paths, and how an author's YAML value compares with what the cluster holds.

use serde_json::Value;

use super::super::finding::Expectation;
use super::super::nearest::{nearest, some_of};
use crate::course::check::{PathSegment, parse_field_path};

/// What is wrong with a path.
pub fn mistake(path: &str) -> Option<String> {
    parse_field_path(path).err()
}

/// Whether controllers write this field, so that it may yet change by itself.
pub fn is_of_status(path: &str) -> bool {
    path.trim_start_matches('.').starts_with("status")
}

/// The field at a path holds the value; `place` names the object as kubectl takes it.
pub fn expectation(label: &str, object: &Value, path: &str, wanted: &Value, place: &str) -> Expectation {
    let expected = format!("{label} with {path} {}", show(wanted));
    let segments = match parse_field_path(path) {
        Ok(segments) => segments,
        Err(why) => return Expectation::unmet(expected, format!("no path of a field: {why}"), ""),
    };
    let hint = format!("`kubectl get {place} -o yaml` shows the whole object");
    match find(object, &segments) {
        Ok(found) if equal(wanted, found) => Expectation::met(expected, format!("{path} is {}", show(found))),
        Ok(found) => Expectation::unmet(expected, format!("{path} is {}", show(found)), hint),
        Err(_) if wanted.is_null() => Expectation::met(expected, format!("{path} is not set")),
        Err(missing) => Expectation::unmet(expected, format!("{path} is not set{missing}"), hint),
    }
}

/// Follows a path; the error says where it ends, as an addition to "is not set".
fn find<'v>(object: &'v Value, segments: &[PathSegment]) -> Result<&'v Value, String> {
    let mut value = object;
    for (depth, segment) in segments.iter().enumerate() {
        let next = match segment {
            PathSegment::Key(key) => value.get(key),
            PathSegment::Index(index) => value.get(index),
            PathSegment::Match { key, value: wanted } => value.as_array().and_then(|items| {
                items.iter().find(|item| item.get(key).is_some_and(|found| plain(found).as_ref() == Some(wanted)))
            }),
        };
        match next {
            Some(next) => value = next,
            None => return Err(remark(value, segment, depth)),
        }
    }
    Ok(value)
}

/// What is there instead of the segment.
fn remark(parent: &Value, segment: &PathSegment, depth: usize) -> String {
    match (parent, segment) {
        (Value::Object(map), PathSegment::Key(key)) if depth > 0 => {
            let keys: Vec<&str> = map.keys().map(String::as_str).collect();
            match nearest(key, keys.iter().copied()) {
                Some(near) => format!(" (there is {near})"),
                None => format!(" (there is {})", some_of(&keys, 6)),
            }
        }
        (Value::Array(items), PathSegment::Index(index)) => {
            format!(" (there is no item {index}, the list has {})", items.len())
        }
        (Value::Array(items), PathSegment::Match { key, .. }) => {
            let found: Vec<String> = items.iter().filter_map(|item| item.get(key).and_then(plain)).collect();
            format!(" (by {key} there is {})", some_of(&found, 6))
        }
        _ => String::new(),
    }
}

/// Whether the cluster's value is what the author wrote: scalars by what they say, mappings by the keys that the
/// author names, lists item by item.
pub fn equal(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().all(|(key, value)| found.get(key).map_or(value.is_null(), |found| equal(value, found)))
        }
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| equal(wanted, found))
        }
        (Value::Number(wanted), Value::Number(found)) => wanted == found || wanted.as_f64() == found.as_f64(),
        (wanted, found) => wanted == found || plain(wanted).is_some_and(|wanted| plain(found) == Some(wanted)),
    }
}

/// A scalar as text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        _ => None,
    }
}

/// A value as told to people, shortened.
pub fn show(value: &Value) -> String {
    let text = plain(value).unwrap_or_else(|| value.to_string());
    let text = if text.is_empty() { "\"\"".to_owned() } else { text };
    if text.chars().count() > 120 { text.chars().take(120).collect::<String>() + "…" } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_as_an_author_means_them() {
        fn check(wanted: &Value, found: &Value, expected: bool) {
            assert_eq!(equal(wanted, found), expected, "{wanted} {found}");
        }
        check(&json!(2), &json!(2), true);
        check(&json!(2.0), &json!(2), true);
        check(&json!("2"), &json!(2), true);
        check(&json!(80), &json!("80"), true);
        check(&json!(true), &json!("true"), true);
        check(&json!(3), &json!(2), false);
        check(&json!({"app": "web"}), &json!({"app": "web", "b": "c"}), true);
        check(&json!({"app": "web", "x": null}), &json!({"app": "web"}), true);
        check(&json!({"app": "web"}), &json!({"b": "c"}), false);
        check(&json!(["a"]), &json!(["a", "b"]), false);
        check(&json!([{"name": "web"}]), &json!([{"name": "web", "image": "x"}]), true);
        check(&json!(null), &json!("x"), false);
    }

    #[test]
    fn fields_and_what_is_there_instead() {
        fn check(path: &str, wanted: &Value, expected: Result<&str, &str>) {
            let object = json!({"spec": {"replicas": 2, "containers": [{"name": "web", "image": "a"}, {"name": "log"}]},
                "metadata": {"labels": {"a.b/c": "d"}}});
            let found = expectation("Pod web", &object, path, wanted, "pod web");
            let result = if found.met { Ok(found.actual.as_str()) } else { Err(found.actual.as_str()) };
            assert_eq!(result, expected, "{path}");
        }
        check("spec.replicas", &json!(2), Ok("spec.replicas is 2"));
        check("spec.replicas", &json!(3), Err("spec.replicas is 2"));
        check("spec.replcas", &json!(2), Err("spec.replcas is not set (there is replicas)"));
        check("spec.containers[name=web].image", &json!("a"), Ok("spec.containers[name=web].image is a"));
        check(
            "spec.containers[name=x].image",
            &json!("a"),
            Err("spec.containers[name=x].image is not set (by name there is web, log)"),
        );
        check(
            "spec.containers[5].image",
            &json!("a"),
            Err("spec.containers[5].image is not set (there is no item 5, the list has 2)"),
        );
        check("metadata.labels['a.b/c']", &json!("d"), Ok("metadata.labels['a.b/c'] is d"));
        check("spec.paused", &json!(null), Ok("spec.paused is not set"));
    }
}
