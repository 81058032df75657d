//! Names, labels, annotations: what every object's metadata must be.

use serde_json::Value;

use super::super::schema::Kind;
use super::super::status::Cause;
use super::{invalid, items, text};

const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const SERVICE_RULE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const KEY_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

pub fn validate(kind: &Kind, object: &Value) -> Vec<Cause> {
    let Some(metadata) = object.get("metadata") else { return Vec::new() };
    let mut causes = Vec::new();
    let name = text(metadata, "name");
    if !name.is_empty()
        && let Some(rule) = name_rule(kind, name)
    {
        causes.push(invalid("metadata.name", &name.into(), &rule));
    }
    causes.extend(labels_and_annotations(metadata, "metadata"));
    for (index, finalizer) in items(metadata, "finalizers").iter().enumerate() {
        causes.extend(
            finalizer
                .as_str()
                .and_then(qualified_name)
                .map(|rule| invalid(format!("metadata.finalizers[{index}]"), finalizer, &rule)),
        );
    }
    causes
}

pub fn validate_update(kind: &Kind, new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (Some(new_metadata), Some(old_metadata)) = (new.get("metadata"), old.get("metadata")) else { return causes };
    for field in ["name", "namespace", "uid"] {
        let (before, now) = (text(old_metadata, field), text(new_metadata, field));
        if !now.is_empty() && before != now {
            causes.push(invalid(format!("metadata.{field}"), &now.into(), "field is immutable"));
        }
    }
    let _ = kind;
    causes.extend(labels_and_annotations(new_metadata, "metadata"));
    causes
}

/// Labels and annotations below `path`, of an object or of a pod template.
pub fn labels_and_annotations(metadata: &Value, path: &str) -> Vec<Cause> {
    let mut causes = labels(metadata.get("labels"), &format!("{path}.labels"));
    let mut size = 0;
    for (key, value) in metadata.get("annotations").and_then(Value::as_object).into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        if let Some(rule) = qualified_name(&key.to_lowercase()) {
            causes.push(invalid(format!("{path}.annotations"), &key.clone().into(), &rule));
        }
    }
    if size > ANNOTATIONS_BYTES_MAX {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes"),
            field: format!("{path}.annotations"),
        });
    }
    causes
}

pub fn labels(labels: Option<&Value>, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        if let Some(rule) = qualified_name(key) {
            causes.push(invalid(path, &key.clone().into(), &rule));
        }
        if let Some(rule) = label_value(value.as_str().unwrap_or_default()) {
            causes.push(invalid(path, value, &rule));
        }
    }
    causes
}

fn name_rule(kind: &Kind, name: &str) -> Option<String> {
    match kind.name {
        "Namespace" => dns_label(name),
        "Service" => service_name(name),
        _ => dns_subdomain(name),
    }
}

fn too_long(max: usize) -> String {
    format!("must be no more than {max} characters")
}

/// RFC 1123 label, at most 63 characters.
pub fn dns_label(name: &str) -> Option<String> {
    if name.len() > 63 {
        return Some(too_long(63));
    }
    (!is_label(name)).then(|| LABEL_RULE.into())
}

/// RFC 1123 subdomain, at most 253 characters.
pub fn dns_subdomain(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some(too_long(253));
    }
    (!name.split('.').all(is_label)).then(|| SUBDOMAIN_RULE.into())
}

fn service_name(name: &str) -> Option<String> {
    if name.len() > 63 {
        return Some(too_long(63));
    }
    let fits = is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase());
    (!fits).then(|| SERVICE_RULE.into())
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let fits = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.first().is_some_and(fits)
        && bytes.last().is_some_and(fits)
        && bytes.iter().all(|byte| fits(byte) || *byte == b'-')
}

fn is_label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// A label's or annotation's key: an optional DNS prefix and a name.
pub fn qualified_name(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if name.contains('/') {
        return Some(
            "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
                .into(),
        );
    }
    match prefix {
        Some("") => return Some("prefix part must be non-empty".into()),
        Some(prefix) => {
            if let Some(rule) = dns_subdomain(prefix) {
                return Some(format!("prefix part {rule}"));
            }
        }
        None => {}
    }
    if name.is_empty() {
        return Some("name part must be non-empty".into());
    }
    if name.len() > 63 {
        return Some(format!("name part {}", too_long(63)));
    }
    (!is_label_text(name)).then(|| KEY_RULE.into())
}

/// A label's value.
pub fn label_value(value: &str) -> Option<String> {
    if value.len() > 63 {
        return Some(too_long(63));
    }
    (!value.is_empty() && !is_label_text(value)).then(|| VALUE_RULE.into())
}
