//! The rules of environment variables and where they come from.

use serde_json::Value;

use super::super::super::status::Cause;
use super::super::{invalid, items, metadata, required, text, unsupported};
use super::named;

const VARIABLE_RULE: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
/// What a variable may be taken from.
const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// What else the API knows as a pod's field, but no variable can hold.
const OTHER_FIELDS: &[&str] = &[
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
    "status.nominatedNodeName",
    "metadata.annotations",
    "metadata.labels",
];

pub(super) fn variables(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (index, variable) in items(container, "env").iter().enumerate() {
        let field = format!("{path}.env[{index}]");
        let name = text(variable, "name");
        if name.is_empty() {
            causes.push(required(format!("{field}.name"), ""));
        } else if !is_variable(name) {
            causes.push(invalid(format!("{field}.name"), &name.into(), VARIABLE_RULE));
        }
        if let Some(from) = variable.get("valueFrom").filter(|from| from.is_object()) {
            value_from(variable, from, &format!("{field}.valueFrom"), causes);
        }
    }
}

fn is_variable(name: &str) -> bool {
    name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
}

fn value_from(variable: &Value, from: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut sources = 0;
    for key in ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"] {
        let Some(source) = from.get(key).filter(|source| source.is_object()) else { continue };
        sources += 1;
        let path = format!("{path}.{key}");
        match key {
            "fieldRef" => field_reference(source, &path, causes),
            "resourceFieldRef" => resource_reference(source, &path, causes),
            _ => key_reference(source, &path, causes),
        }
    }
    let detail = if sources == 0 {
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
    } else if !text(variable, "value").is_empty() {
        "may not be specified when `value` is not empty"
    } else if sources > 1 {
        "may not have more than one field specified at a time"
    } else {
        return;
    };
    causes.push(invalid(path, &"".into(), detail));
}

fn field_reference(source: &Value, path: &str, causes: &mut Vec<Cause>) {
    let (version, field) = (text(source, "apiVersion"), text(source, "fieldPath"));
    if version.is_empty() {
        causes.push(required(format!("{path}.apiVersion"), ""));
        return;
    }
    let place = format!("{path}.fieldPath");
    if field.is_empty() {
        causes.push(required(place, ""));
        return;
    }
    let mut refuse =
        |why: String| causes.push(invalid(place.clone(), &field.into(), &format!("error converting fieldPath: {why}")));
    if version != "v1" {
        refuse(format!("unsupported pod version: {version}"));
        return;
    }
    if let Some((base, subscript)) = field.strip_suffix(']').and_then(|field| field.split_once("['")) {
        let key = subscript.trim_end_matches('\'');
        match base {
            "metadata.annotations" => {
                let rules = metadata::qualified_name(&key.to_lowercase());
                causes.extend(rules.iter().map(|rule| invalid(path, &key.into(), rule)));
            }
            "metadata.labels" => {
                let rules = metadata::qualified_name(key);
                causes.extend(rules.iter().map(|rule| invalid(path, &key.into(), rule)));
            }
            _ => causes.push(invalid(path, &field.into(), "does not support subscript")),
        }
        return;
    }
    if FIELDS.contains(&field) {
        return;
    }
    if OTHER_FIELDS.contains(&field) {
        causes.push(unsupported(place, &field.into(), FIELDS));
    } else {
        refuse(format!("field label not supported: {field}"));
    }
}

pub(super) fn resource_reference(source: &Value, path: &str, causes: &mut Vec<Cause>) {
    let resource = text(source, "resource");
    if resource.is_empty() {
        causes.push(required(format!("{path}.resource"), ""));
    } else if !RESOURCES.contains(&resource) && !resource.contains(".hugepages-") {
        causes.push(unsupported(format!("{path}.resource"), &resource.into(), RESOURCES));
    }
}

fn key_reference(source: &Value, path: &str, causes: &mut Vec<Cause>) {
    let (name, key) = (text(source, "name"), text(source, "key"));
    named(&format!("{path}.name"), &name.into(), &metadata::dns_subdomain(name), causes);
    if key.is_empty() {
        causes.push(required(format!("{path}.key"), ""));
    } else {
        named(&format!("{path}.key"), &key.into(), &metadata::config_key(key), causes);
    }
}

pub(super) fn sources(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let path = format!("{path}.envFrom");
    for (index, source) in items(container, "envFrom").iter().enumerate() {
        let here = format!("{path}[{index}]");
        let prefix = text(source, "prefix");
        if !is_variable(prefix) {
            causes.push(invalid(format!("{here}.prefix"), &prefix.into(), VARIABLE_RULE));
        }
        let mut sources = 0;
        for key in ["configMapRef", "secretRef"] {
            let Some(reference) = source.get(key).filter(|reference| reference.is_object()) else { continue };
            sources += 1;
            let name = text(reference, "name");
            if name.is_empty() {
                causes.push(required(format!("{here}.{key}.name"), ""));
            } else {
                named(&format!("{here}.{key}.name"), &name.into(), &metadata::dns_subdomain(name), causes);
            }
        }
        match sources {
            0 => causes.push(invalid(&*path, &"".into(), "must specify one of: `configMapRef` or `secretRef`")),
            1 => {}
            _ => causes.push(invalid(&*path, &"".into(), "may not have more than one field specified at a time")),
        }
    }
}
