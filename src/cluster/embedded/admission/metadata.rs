//! Names, labels, annotations: what every object's metadata must be.

use serde_json::Value;

use super::super::schema::Kind;
use super::super::status::Cause;
use super::{invalid, items, text};

const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const SERVICE_RULE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const KEY_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED_RULE: &str = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY_RULE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

const MAX_LABEL: usize = 63;
const MAX_SUBDOMAIN: usize = 253;

pub fn validate(kind: &Kind, object: &Value) -> Vec<Cause> {
    let Some(metadata) = object.get("metadata") else { return Vec::new() };
    let mut causes = Vec::new();
    let prefix = text(metadata, "generateName");
    if !prefix.is_empty() {
        let masked = mask_trailing_dash(prefix);
        causes.extend(
            name_rules(kind, &masked).iter().map(|rule| invalid("metadata.generateName", &prefix.into(), rule)),
        );
    }
    let name = text(metadata, "name");
    if !name.is_empty() {
        causes.extend(name_rules(kind, name).iter().map(|rule| invalid("metadata.name", &name.into(), rule)));
    }
    accessor(metadata, &mut causes);
    finalizer_names(items(metadata, "finalizers"), "metadata.finalizers", &mut causes);
    causes
}

/// A generated name's prefix may end in a dash.
fn mask_trailing_dash(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(rest) if prefix.len() > 1 => format!("{rest}a"),
        _ => prefix.to_owned(),
    }
}

/// What holds for metadata new and changed.
fn accessor(metadata: &Value, causes: &mut Vec<Cause>) {
    if let Some(generation) = metadata.get("generation").and_then(Value::as_i64)
        && generation < 0
    {
        causes.push(invalid("metadata.generation", &generation.into(), "must be greater than or equal to 0"));
    }
    causes.extend(labels(metadata.get("labels"), "metadata.labels"));
    annotations(metadata, "metadata.annotations", causes);
    owner_references(metadata, causes);
    finalizers(items(metadata, "finalizers"), "metadata.finalizers", causes);
}

fn owner_references(metadata: &Value, causes: &mut Vec<Cause>) {
    let path = "metadata.ownerReferences";
    let owners = items(metadata, "ownerReferences");
    let mut controllers = 0;
    for owner in owners {
        let (version, kind) = (text(owner, "apiVersion"), text(owner, "kind"));
        if version.is_empty() || version.matches('/').count() > 1 || version.ends_with('/') {
            causes.push(invalid(format!("{path}.apiVersion"), &version.into(), "version must not be empty"));
        }
        for key in ["kind", "name", "uid"] {
            if text(owner, key).is_empty() {
                causes.push(invalid(format!("{path}.{key}"), &"".into(), "must not be empty"));
            }
        }
        if (version, kind) == ("v1", "Event") {
            causes.push(raw(path, &go_owner(owner), "/v1, Kind=Event is disallowed from being an owner"));
        }
        controllers += usize::from(owner.get("controller") == Some(&Value::Bool(true)));
    }
    if controllers > 1 {
        let all = format!("[{}]", owners.iter().map(go_owner).collect::<Vec<_>>().join(","));
        let names: Vec<String> = owners
            .iter()
            .filter(|owner| owner.get("controller") == Some(&Value::Bool(true)))
            .map(|owner| format!("{}/{}", text(owner, "kind"), text(owner, "name")))
            .collect();
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {}",
            names.join(" and ")
        );
        causes.push(raw(path, &all, &detail));
    }
}

/// An owner with its fields in Go's order.
fn go_owner(owner: &Value) -> String {
    let keys = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let members: Vec<String> = keys
        .iter()
        .filter_map(|key| Some(format!("{key:?}:{}", owner.get(*key).filter(|value| !value.is_null())?)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn raw(field: &str, shown: &str, detail: &str) -> Cause {
    Cause { reason: "FieldValueInvalid", message: format!("Invalid value: {shown}: {detail}"), field: field.into() }
}

const STANDARD_FINALIZERS: &[&str] = &["kubernetes", "orphan", "foregroundDeletion"];

/// The form of finalizers, and which two of them exclude each other.
fn finalizers(finalizers: &[Value], path: &str, causes: &mut Vec<Cause>) {
    for finalizer in finalizers {
        let rules = qualified_name(finalizer.as_str().unwrap_or_default());
        causes.extend(rules.iter().map(|rule| invalid(path, finalizer, rule)));
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let all = Value::Array(finalizers.to_vec());
        causes.push(invalid(path, &all, "finalizer orphan and foregroundDeletion cannot be both set"));
    }
}

/// A finalizer is one of Kubernetes' own or has a domain. A namespace's spec has them too; there the messages leave
/// the index out.
pub fn finalizer_names(finalizers: &[Value], path: &str, causes: &mut Vec<Cause>) {
    for (index, finalizer) in finalizers.iter().enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
            let place = if path.starts_with("spec") { path.to_owned() } else { format!("{path}[{index}]") };
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(invalid(place, finalizer, detail));
        }
    }
}

pub fn validate_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (Some(new_metadata), Some(old_metadata)) = (new.get("metadata"), old.get("metadata")) else { return causes };
    for field in ["name", "namespace", "uid"] {
        let (before, now) = (text(old_metadata, field), text(new_metadata, field));
        if !now.is_empty() && before != now {
            causes.push(invalid(format!("metadata.{field}"), &now.into(), "field is immutable"));
        }
    }
    accessor(new_metadata, &mut causes);
    causes
}

/// Annotations of an object or of a pod template.
pub fn annotations(metadata: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut size = 0;
    for (key, value) in metadata.get("annotations").and_then(Value::as_object).into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        let rules = qualified_name(&key.to_lowercase());
        causes.extend(rules.iter().map(|rule| invalid(path, &key.clone().into(), rule)));
    }
    if size > ANNOTATIONS_BYTES_MAX {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes"),
            field: path.into(),
        });
    }
}

pub fn labels(labels: Option<&Value>, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        causes.extend(qualified_name(key).iter().map(|rule| invalid(path, &key.clone().into(), rule)));
        let rules = label_value(value.as_str().unwrap_or_default());
        causes.extend(rules.iter().map(|rule| invalid(path, value, rule)));
    }
    causes
}

fn name_rules(kind: &Kind, name: &str) -> Vec<String> {
    match kind.name {
        "Namespace" => dns_label(name),
        "Service" => service_name(name),
        // An event's name may be anything, as a path's part.
        "Event" => Vec::new(),
        _ => dns_subdomain(name),
    }
}

fn too_long(max: usize) -> String {
    format!("must be no more than {max} characters")
}

/// The rules that a text breaks: its length, its form.
fn rules(length: usize, length_max: usize, fits: bool, rule: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if length > length_max {
        broken.push(too_long(length_max));
    }
    if !fits {
        broken.push(rule.to_owned());
    }
    broken
}

/// RFC 1123 label, at most 63 characters.
pub fn dns_label(name: &str) -> Vec<String> {
    let rule = if name.split('.').all(is_label) { "must not contain dots" } else { LABEL_RULE };
    rules(name.len(), MAX_LABEL, is_label(name), rule)
}

/// RFC 1123 subdomain, at most 253 characters.
pub fn dns_subdomain(name: &str) -> Vec<String> {
    rules(name.len(), MAX_SUBDOMAIN, name.split('.').all(is_label), SUBDOMAIN_RULE)
}

fn service_name(name: &str) -> Vec<String> {
    let fits = is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase());
    rules(name.len(), MAX_LABEL, fits, SERVICE_RULE)
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
pub fn qualified_name(key: &str) -> Vec<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if name.contains('/') {
        return vec![QUALIFIED_RULE.into()];
    }
    let mut broken = Vec::new();
    match prefix {
        Some("") => broken.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => broken.extend(dns_subdomain(prefix).iter().map(|rule| format!("prefix part {rule}"))),
        None => {}
    }
    if name.is_empty() {
        broken.push("name part must be non-empty".into());
    } else if name.len() > MAX_LABEL {
        broken.push(format!("name part {}", too_long(MAX_LABEL)));
    }
    if !is_label_text(name) {
        broken.push(KEY_RULE.into());
    }
    broken
}

/// A key of a ConfigMap or Secret, which becomes a file's name.
pub fn config_key(key: &str) -> Vec<String> {
    let fits = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let mut broken = rules(key.len(), MAX_SUBDOMAIN, fits, CONFIG_KEY_RULE);
    if matches!(key, "." | "..") {
        broken.push(format!("must not be '{key}'"));
    } else if key.starts_with("..") {
        broken.push("must not start with '..'".into());
    }
    broken
}

/// A label's value.
pub fn label_value(value: &str) -> Vec<String> {
    rules(value.len(), MAX_LABEL, value.is_empty() || is_label_text(value), VALUE_RULE)
}
