//! The rules of a pod's spec, in a pod or in a template.

use serde_json::Value;

use super::super::status::Cause;
use super::{duplicate, forbidden, invalid, items, metadata, not_found, required, text, unsupported};

pub fn validate_spec(spec: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let volumes = volumes(spec, path, &mut causes);
    let containers = items(spec, "containers");
    if containers.is_empty() {
        causes.push(required(format!("{path}.containers"), ""));
    }
    let mut names = Vec::new();
    for key in ["containers", "initContainers"] {
        for (index, container) in items(spec, key).iter().enumerate() {
            validate_container(container, &format!("{path}.{key}[{index}]"), &volumes, &mut names, &mut causes);
        }
    }
    one_of(spec, "restartPolicy", path, &["Always", "OnFailure", "Never"], &mut causes);
    one_of(spec, "dnsPolicy", path, &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"], &mut causes);
    if let Some(grace) = spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64)
        && grace < 0
    {
        causes.push(negative(format!("{path}.terminationGracePeriodSeconds"), grace));
    }
    causes.extend(metadata::labels(spec.get("nodeSelector"), &format!("{path}.nodeSelector")));
    causes
}

pub fn negative(field: String, value: i64) -> Cause {
    invalid(field, &value.into(), "must be greater than or equal to 0")
}

fn one_of(object: &Value, key: &str, path: &str, supported: &[&str], causes: &mut Vec<Cause>) {
    let Some(value) = object.get(key).filter(|value| !value.is_null()) else { return };
    if !supported.iter().any(|supported| value == supported) {
        causes.push(unsupported(format!("{path}.{key}"), value, supported));
    }
}

fn volumes<'a>(spec: &'a Value, path: &str, causes: &mut Vec<Cause>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (index, volume) in items(spec, "volumes").iter().enumerate() {
        let field = format!("{path}.volumes[{index}]");
        let name = text(volume, "name");
        if name.is_empty() {
            causes.push(required(format!("{field}.name"), ""));
        } else if let Some(rule) = metadata::dns_label(name) {
            causes.push(invalid(format!("{field}.name"), &name.into(), &rule));
        } else if names.contains(&name) {
            causes.push(duplicate(format!("{field}.name"), &name.into()));
        }
        let sources = volume.as_object().map_or(0, |volume| volume.keys().filter(|key| *key != "name").count());
        if sources > 1 {
            let second = volume.as_object().into_iter().flatten().filter(|(key, _)| *key != "name").nth(1);
            let key = second.map(|(key, _)| key.as_str()).unwrap_or_default();
            causes.push(forbidden(format!("{field}.{key}"), "may not specify more than 1 volume type"));
        }
        if volume.get("configMap").is_some_and(|source| text(source, "name").is_empty()) {
            causes.push(required(format!("{field}.configMap.name"), ""));
        }
        if volume.get("secret").is_some_and(|source| text(source, "secretName").is_empty()) {
            causes.push(required(format!("{field}.secret.secretName"), ""));
        }
        names.push(name);
    }
    names
}

fn validate_container<'a>(
    container: &'a Value,
    path: &str,
    volumes: &[&str],
    names: &mut Vec<&'a str>,
    causes: &mut Vec<Cause>,
) {
    let name = text(container, "name");
    if name.is_empty() {
        causes.push(required(format!("{path}.name"), ""));
    } else if let Some(rule) = metadata::dns_label(name) {
        causes.push(invalid(format!("{path}.name"), &name.into(), &rule));
    }
    if !name.is_empty() && names.contains(&name) {
        causes.push(duplicate(format!("{path}.name"), &name.into()));
    }
    names.push(name);
    let image = text(container, "image");
    if image.is_empty() {
        causes.push(required(format!("{path}.image"), ""));
    } else if image.trim() != image {
        causes.push(invalid(format!("{path}.image"), &image.into(), "must not have leading or trailing whitespace"));
    }
    validate_ports(container, path, causes);
    validate_environment(container, path, causes);
    validate_mounts(container, path, volumes, causes);
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get(key).filter(|probe| probe.is_object()) {
            validate_probe(probe, &format!("{path}.{key}"), key, causes);
        }
    }
    one_of(container, "imagePullPolicy", path, &["Always", "IfNotPresent", "Never"], causes);
    validate_resources(container, path, causes);
}

fn validate_ports(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut names = Vec::new();
    for (index, port) in items(container, "ports").iter().enumerate() {
        let field = format!("{path}.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            if let Some(rule) = port_name(name) {
                causes.push(invalid(format!("{field}.name"), &name.into(), rule));
            } else if names.contains(&name) {
                causes.push(duplicate(format!("{field}.name"), &name.into()));
            }
            names.push(name);
        }
        match port.get("containerPort").and_then(Value::as_i64).unwrap_or(0) {
            0 => causes.push(required(format!("{field}.containerPort"), "")),
            number => causes.extend(port_number(format!("{field}.containerPort"), number)),
        }
        one_of(port, "protocol", &field, &["SCTP", "TCP", "UDP"], causes);
    }
}

/// A port between 1 and 65535.
pub fn port_number(field: String, number: i64) -> Option<Cause> {
    (!(1..=65535).contains(&number)).then(|| invalid(field, &number.into(), "must be between 1 and 65535, inclusive"))
}

/// An IANA service name.
pub fn port_name(name: &str) -> Option<&'static str> {
    if name.len() > 15 {
        return Some("must be no more than 15 characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Some("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Some("must contain at least one letter (a-z)");
    }
    if name.contains("--") {
        return Some("must not contain consecutive hyphens");
    }
    (name.starts_with('-') || name.ends_with('-')).then_some("must not begin or end with a hyphen")
}

fn validate_environment(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (index, variable) in items(container, "env").iter().enumerate() {
        let field = format!("{path}.env[{index}]");
        if text(variable, "name").is_empty() {
            causes.push(required(format!("{field}.name"), ""));
        }
        let from = variable.get("valueFrom").filter(|from| from.is_object());
        if from.is_some() && !text(variable, "value").is_empty() {
            causes.push(invalid(
                format!("{field}.valueFrom"),
                &"".into(),
                "may not be specified when `value` is not empty",
            ));
        }
    }
}

fn validate_mounts(container: &Value, path: &str, volumes: &[&str], causes: &mut Vec<Cause>) {
    let mut paths = Vec::new();
    for (index, mount) in items(container, "volumeMounts").iter().enumerate() {
        let field = format!("{path}.volumeMounts[{index}]");
        let name = text(mount, "name");
        if name.is_empty() {
            causes.push(required(format!("{field}.name"), ""));
        } else if !volumes.contains(&name) {
            causes.push(not_found(format!("{field}.name"), &name.into()));
        }
        let mount_path = text(mount, "mountPath");
        if mount_path.is_empty() {
            causes.push(required(format!("{field}.mountPath"), ""));
        } else if paths.contains(&mount_path) {
            causes.push(invalid(format!("{field}.mountPath"), &mount_path.into(), "must be unique"));
        }
        paths.push(mount_path);
    }
}

fn validate_probe(probe: &Value, path: &str, kind: &str, causes: &mut Vec<Cause>) {
    let handlers: Vec<&str> = ["exec", "httpGet", "tcpSocket", "grpc"]
        .into_iter()
        .filter(|key| probe.get(*key).is_some_and(Value::is_object))
        .collect();
    if handlers.is_empty() {
        causes.push(required(path, "must specify a handler type"));
    }
    for handler in handlers.iter().skip(1) {
        causes.push(forbidden(format!("{path}.{handler}"), "may not specify more than 1 handler type"));
    }
    if let Some(http) = probe.get("httpGet").filter(|http| http.is_object()) {
        validate_target(http, &format!("{path}.httpGet"), causes);
        one_of(http, "scheme", &format!("{path}.httpGet"), &["HTTP", "HTTPS"], causes);
    }
    if let Some(tcp) = probe.get("tcpSocket").filter(|tcp| tcp.is_object()) {
        validate_target(tcp, &format!("{path}.tcpSocket"), causes);
    }
    for key in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        if let Some(value) = probe.get(key).and_then(Value::as_i64)
            && value < 0
        {
            causes.push(negative(format!("{path}.{key}"), value));
        }
    }
    let threshold = probe.get("successThreshold").and_then(Value::as_i64).unwrap_or(1);
    if kind != "readinessProbe" && threshold != 1 {
        causes.push(invalid(format!("{path}.successThreshold"), &threshold.into(), "must be 1"));
    }
}

fn validate_target(handler: &Value, path: &str, causes: &mut Vec<Cause>) {
    match handler.get("port") {
        Some(Value::Number(number)) => {
            causes.extend(port_number(format!("{path}.port"), number.as_i64().unwrap_or(0)));
        }
        Some(Value::String(name)) => {
            causes.extend(port_name(name).map(|rule| invalid(format!("{path}.port"), &name.clone().into(), rule)));
        }
        _ => causes.push(invalid(format!("{path}.port"), &0.into(), "must be between 1 and 65535, inclusive")),
    }
}

fn validate_resources(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(resources) = container.get("resources") else { return };
    let limits = resources.get("limits");
    for (name, request) in resources.get("requests").and_then(Value::as_object).into_iter().flatten() {
        let Some(limit) = limits.and_then(|limits| limits.get(name)) else { continue };
        if let (Some(wanted), Some(most)) = (quantity(request), quantity(limit))
            && wanted > most
        {
            let shown = limit.as_str().map_or_else(|| limit.to_string(), str::to_owned);
            causes.push(invalid(
                format!("{path}.resources.requests"),
                request,
                &format!("must be less than or equal to {name} limit of {shown}"),
            ));
        }
    }
}

/// A quantity as a number, for comparisons.
pub fn quantity(value: &Value) -> Option<f64> {
    let text = match value {
        Value::Number(number) => return number.as_f64(),
        Value::String(text) => text,
        _ => return None,
    };
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        _ => return text.parse().ok(),
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}
