//! The rules of containers.

use serde_json::Value;

use super::super::super::status::Cause;
use super::super::{duplicate, forbidden, invalid, items, metadata, not_found, required, text, unsupported};
use super::handlers::{self, port_name, port_number};
use super::{environment, named, one_of, resources, security};

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

pub(super) fn validate_all(spec: &Value, path: &str, volumes: &[&str], causes: &mut Vec<Cause>) {
    let grace = spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30);
    let claims: Vec<&str> = items(spec, "resourceClaims").iter().map(|claim| text(claim, "name")).collect();
    let containers = items(spec, "containers");
    if containers.is_empty() {
        causes.push(required(format!("{path}.containers"), ""));
    }
    let mut names: Vec<&str> = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        let path = format!("{path}.containers[{index}]");
        common(container, &path, volumes, &claims, causes);
        let name = text(container, "name");
        if names.contains(&name) {
            causes.push(duplicate(format!("{path}.name"), &name.into()));
        }
        names.push(name);
        running(container, &path, grace, causes);
    }
    host_ports(containers, &format!("{path}.containers"), causes);
    for (index, container) in items(spec, "initContainers").iter().enumerate() {
        let here = format!("{path}.initContainers[{index}]");
        common(container, &here, volumes, &claims, causes);
        let name = text(container, "name");
        if names.contains(&name) {
            causes.push(duplicate(format!("{here}.name"), &name.into()));
        } else if !name.is_empty() {
            names.push(name);
        }
        host_ports(std::slice::from_ref(container), &format!("{path}.initContainers"), causes);
        if text(container, "restartPolicy") == "Always" {
            running(container, &here, grace, causes);
        } else {
            let found =
                ["lifecycle"].iter().chain(&PROBES).filter(|key| container.get(**key).is_some_and(Value::is_object));
            causes.extend(found.map(|key| {
                forbidden(format!("{here}.{key}"), "may not be set for init containers without restartPolicy=Always")
            }));
        }
    }
}

/// What only a container has that runs beside others.
fn running(container: &Value, path: &str, grace: i64, causes: &mut Vec<Cause>) {
    if let Some(lifecycle) = container.get("lifecycle").filter(|lifecycle| lifecycle.is_object()) {
        handlers::lifecycle(lifecycle, &format!("{path}.lifecycle"), grace, causes);
    }
    for key in PROBES {
        if let Some(probe) = container.get(key).filter(|probe| probe.is_object()) {
            handlers::probe(probe, &format!("{path}.{key}"), key, causes);
        }
    }
}

fn common(container: &Value, path: &str, volumes: &[&str], claims: &[&str], causes: &mut Vec<Cause>) {
    let name = text(container, "name");
    if name.is_empty() {
        causes.push(required(format!("{path}.name"), ""));
    } else {
        named(&format!("{path}.name"), &name.into(), &metadata::dns_label(name), causes);
    }
    let image = text(container, "image");
    if image.is_empty() {
        causes.push(required(format!("{path}.image"), ""));
    }
    one_of(container, "terminationMessagePolicy", path, &["File", "FallbackToLogsOnError"], causes);
    ports(container, path, causes);
    environment::variables(container, path, causes);
    environment::sources(container, path, causes);
    mounts(container, path, volumes, causes);
    for (index, device) in items(container, "volumeDevices").iter().enumerate() {
        let name = text(device, "name");
        if !volumes.contains(&name) {
            causes.push(not_found(format!("{path}.volumeDevices[{index}].name"), &name.into()));
        }
    }
    one_of(container, "imagePullPolicy", path, &["Always", "IfNotPresent", "Never"], causes);
    resources::validate(container, path, claims, causes);
    security::container(container, path, causes);
}

fn ports(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut names = Vec::new();
    for (index, port) in items(container, "ports").iter().enumerate() {
        let field = format!("{path}.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            let rules = port_name(name);
            if rules.is_empty() && names.contains(&name) {
                causes.push(duplicate(format!("{field}.name"), &name.into()));
            }
            causes.extend(rules.iter().map(|rule| invalid(format!("{field}.name"), &name.into(), rule)));
            names.push(name);
        }
        match port.get("containerPort").and_then(Value::as_i64).unwrap_or(0) {
            0 => causes.push(required(format!("{field}.containerPort"), "")),
            number => causes.extend(port_number(format!("{field}.containerPort"), number)),
        }
        let host_port = port.get("hostPort").and_then(Value::as_i64).unwrap_or(0);
        if host_port != 0 {
            causes.extend(port_number(format!("{field}.hostPort"), host_port));
        }
        one_of(port, "protocol", &field, &["SCTP", "TCP", "UDP"], causes);
    }
}

/// Two containers cannot have the same port of the node.
fn host_ports(containers: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let mut seen = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        for (at, port) in items(container, "ports").iter().enumerate() {
            let number = port.get("hostPort").and_then(Value::as_i64).unwrap_or(0);
            if number == 0 {
                continue;
            }
            let key = format!("{}/{}/{number}", text(port, "protocol"), text(port, "hostIP"));
            if seen.contains(&key) {
                causes.push(duplicate(format!("{path}[{index}].ports[{at}].hostPort"), &key.clone().into()));
            }
            seen.push(key);
        }
    }
}

fn mounts(container: &Value, path: &str, volumes: &[&str], causes: &mut Vec<Cause>) {
    let mut paths = Vec::new();
    for (index, mount) in items(container, "volumeMounts").iter().enumerate() {
        let field = format!("{path}.volumeMounts[{index}]");
        let name = text(mount, "name");
        if name.is_empty() {
            causes.push(required(format!("{field}.name"), ""));
        }
        if !volumes.contains(&name) {
            causes.push(not_found(format!("{field}.name"), &name.into()));
        }
        let mount_path = text(mount, "mountPath");
        if mount_path.is_empty() {
            causes.push(required(format!("{field}.mountPath"), ""));
        }
        if paths.contains(&mount_path) {
            causes.push(invalid(format!("{field}.mountPath"), &mount_path.into(), "must be unique"));
        }
        paths.push(mount_path);
        // The real messages leave the index out here.
        let whole = format!("{path}.volumeMounts");
        let (sub_path, expression) = (text(mount, "subPath"), text(mount, "subPathExpr"));
        if !sub_path.is_empty() {
            causes.extend(descending_path(sub_path, format!("{whole}.subPath")));
        }
        if !expression.is_empty() {
            if sub_path.is_empty() {
                causes.extend(descending_path(expression, format!("{whole}.subPathExpr")));
            } else {
                let detail = "subPathExpr and subPath are mutually exclusive";
                causes.push(invalid(format!("{field}.subPathExpr"), &expression.into(), detail));
            }
        }
        let propagation = mount.get("mountPropagation").filter(|value| !value.is_null());
        if let Some(value) = propagation
            && !matches!(value.as_str(), Some("Bidirectional" | "HostToContainer" | "None"))
        {
            let supported = &["Bidirectional", "HostToContainer", "None"];
            causes.push(unsupported(format!("{whole}.mountPropagation"), value, supported));
        }
        if matches!(text(mount, "recursiveReadOnly"), "Enabled" | "IfPossible") {
            let field = format!("{whole}.recursiveReadOnly");
            if mount.get("readOnly") != Some(&Value::Bool(true)) {
                causes.push(forbidden(field.clone(), "may only be specified when readOnly is true"));
            }
            if propagation.is_some_and(|value| value != "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                causes.push(forbidden(field, detail));
            }
        }
    }
}

/// A path that stays below where it starts.
pub(super) fn descending_path(path: &str, field: String) -> Vec<Cause> {
    let mut causes = Vec::new();
    if path.starts_with('/') {
        causes.push(invalid(field.clone(), &path.into(), "must be a relative path"));
    }
    causes.extend(no_back_steps(path, field));
    causes
}

pub(super) fn no_back_steps(path: &str, field: String) -> Option<Cause> {
    path.split('/').any(|part| part == "..").then(|| invalid(field, &path.into(), "must not contain '..'"))
}
