//! A container's environment variables.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::registry::Registry;
use super::{kind, network, volumes};

/// Variables by name.
pub type Environment = BTreeMap<String, String>;

/// What the container sees: the image's variables, `envFrom`, `env`, and what the kubelet adds.
///
/// # Errors
/// The kubelet's text for `CreateContainerConfigError`, where something referred to is not there.
pub fn resolve(
    registry: &Registry,
    pod: &Value,
    container: &Value,
    image: &[(String, String)],
    address: &str,
) -> Result<Environment, String> {
    let mut environment = Environment::new();
    environment.insert("PATH".into(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    environment.insert("HOSTNAME".into(), network::hostname(pod));
    environment.insert("HOME".into(), "/root".into());
    environment.extend(network::service_variables(registry, pod));
    environment.extend(image.iter().cloned());
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    for source in container.get("envFrom").and_then(Value::as_array).into_iter().flatten() {
        let prefix = source["prefix"].as_str().unwrap_or_default();
        for (kind_name, key) in [("ConfigMap", "configMapRef"), ("Secret", "secretRef")] {
            let Some(reference) = source.get(key) else { continue };
            let name = reference["name"].as_str().unwrap_or_default();
            for (variable, text) in data(registry, namespace, kind_name, name, reference)?.unwrap_or_default() {
                environment.insert(format!("{prefix}{variable}"), text);
            }
        }
    }
    for variable in container.get("env").and_then(Value::as_array).into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default().to_owned();
        let value = match variable.get("valueFrom").filter(|from| from.is_object()) {
            None => Some(expand(variable["value"].as_str().unwrap_or_default(), &environment)),
            Some(from) => from_source(registry, namespace, pod, container, from, address)?,
        };
        if let Some(value) = value {
            environment.insert(name, value);
        }
    }
    Ok(environment)
}

fn from_source(
    registry: &Registry,
    namespace: &str,
    pod: &Value,
    container: &Value,
    from: &Value,
    address: &str,
) -> Result<Option<String>, String> {
    for (kind_name, key) in [("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")] {
        let Some(reference) = from.get(key) else { continue };
        let (name, wanted) =
            (reference["name"].as_str().unwrap_or_default(), reference["key"].as_str().unwrap_or_default());
        let Some(data) = data(registry, namespace, kind_name, name, reference)? else { return Ok(None) };
        return match data.get(wanted) {
            Some(text) => Ok(Some(text.clone())),
            None if reference["optional"] == true => Ok(None),
            None => Err(format!("couldn't find key {wanted} in {kind_name} {namespace}/{name}")),
        };
    }
    if let Some(field) = from.pointer("/fieldRef/fieldPath").and_then(Value::as_str) {
        return Ok(match field {
            "status.podIP" | "status.podIPs" => Some(address.into()),
            "status.hostIP" | "status.hostIPs" => Some(super::NODE_ADDRESS.into()),
            field => volumes::field_text(pod, field),
        });
    }
    if let Some(resource) = from.pointer("/resourceFieldRef/resource").and_then(Value::as_str) {
        let (part, name) = resource.split_once('.').unwrap_or(("limits", resource));
        let value = &container["resources"][part][name];
        return Ok(Some(value.as_str().map_or_else(|| "0".into(), str::to_owned)));
    }
    Ok(None)
}

/// The texts of a ConfigMap or Secret; `None` where it is optional and not there.
fn data(
    registry: &Registry,
    namespace: &str,
    kind_name: &str,
    name: &str,
    reference: &Value,
) -> Result<Option<Environment>, String> {
    let Some(entry) = registry.get(kind(kind_name), namespace, name) else {
        if reference["optional"] == true {
            return Ok(None);
        }
        return Err(format!("{} \"{name}\" not found", kind_name.to_lowercase()));
    };
    let object = entry.value();
    let files =
        if kind_name == "Secret" { volumes::decoded(&object["data"]) } else { volumes::config_map_data(&object) };
    Ok(Some(files.into_iter().map(|(key, text)| (key, String::from_utf8_lossy(&text).into_owned())).collect()))
}

/// Replaces `$(NAME)`; `$$(NAME)` is left as `$(NAME)`, and so is a name that is not known.
pub fn expand(text: &str, environment: &Environment) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("$(") {
        if rest[..at].ends_with('$') {
            result.push_str(&rest[..at]);
            result.push('(');
            rest = &rest[at + 2..];
            continue;
        }
        let Some(end) = rest[at..].find(')') else { break };
        let name = &rest[at + 2..at + end];
        result.push_str(&rest[..at]);
        match environment.get(name) {
            Some(value) => result.push_str(value),
            None => result.push_str(&rest[at..=at + end]),
        }
        rest = &rest[at + end + 1..];
    }
    result.push_str(rest);
    result
}

/// What `envsubst` makes of a template: `$NAME` and `${NAME}` of variables that are set.
pub fn substitute(template: &str, environment: &Environment) -> String {
    let mut result = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, length) = if let Some((name, _)) = after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            (name, name.len() + 2)
        } else {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            (&after[..end], end)
        };
        match environment.get(name) {
            Some(value) => result.push_str(value),
            None => result.push_str(&rest[at..=at + length]),
        }
        rest = &after[length..];
    }
    result.push_str(rest);
    result
}
