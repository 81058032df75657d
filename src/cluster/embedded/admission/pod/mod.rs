//! The rules of a pod's spec, in a pod or in a template, in the order of `ValidatePodSpec`.

mod container;
mod environment;
mod handlers;
mod resources;
mod scheduling;
mod security;
mod volumes;

use serde_json::Value;

use super::super::status::Cause;
use super::{forbidden, invalid, items, metadata, network, required, text, unsupported};

pub use handlers::{port_name, port_number};
pub use resources::quantity;

/// What is wrong with a pod's spec; `path` is where it stands.
pub fn validate_spec(spec: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let volumes = volumes::validate(spec, path, &mut causes);
    container::validate_all(spec, path, &volumes, &mut causes);
    host_network(spec, path, &mut causes);
    one_of(spec, "restartPolicy", path, &["Always", "OnFailure", "Never"], &mut causes);
    one_of(spec, "dnsPolicy", path, &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], &mut causes);
    causes.extend(metadata::labels(spec.get("nodeSelector"), &format!("{path}.nodeSelector")));
    security::pod(spec, path, &mut causes);
    scheduling::affinity(spec, path, &mut causes);
    dns_config(spec, path, &mut causes);
    gates(spec, path, &mut causes);
    scheduling::topology(spec, path, &mut causes);
    names(spec, path, &mut causes);
    scheduling::tolerations(spec, path, &mut causes);
    host_aliases(spec, path, &mut causes);
    operating_system(spec, path, &mut causes);
    causes
}

/// What a pod must be that is created by itself.
pub fn validate_create(pod: &Value) -> Vec<Cause> {
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    let mut causes = apparmor_annotations(pod.get("metadata").unwrap_or(&Value::Null), "metadata.annotations");
    causes.extend(validate_spec(spec, "spec"));
    for key in ["containers", "initContainers"] {
        for (index, container) in items(spec, key).iter().enumerate() {
            let image = text(container, "image");
            if image.trim() != image {
                let detail = "must not have leading or trailing whitespace";
                causes.push(invalid(format!("spec.{key}[{index}].image"), &image.into(), detail));
            }
        }
    }
    if !items(spec, "ephemeralContainers").is_empty() {
        causes.push(forbidden("spec.ephemeralContainers", "cannot be set on create"));
    }
    causes
}

/// The annotations by which AppArmor profiles were once set.
pub fn apparmor_annotations(metadata: &Value, path: &str) -> Vec<Cause> {
    let annotations = metadata.get("annotations").and_then(Value::as_object).into_iter().flatten();
    let of_apparmor = annotations.filter(|(key, _)| key.starts_with("container.apparmor.security.beta.kubernetes.io/"));
    of_apparmor
        .filter(|(_, value)| {
            let profile = value.as_str().unwrap_or_default();
            !(matches!(profile, "" | "runtime/default" | "unconfined") || profile.starts_with("localhost/"))
        })
        .map(|(key, value)| {
            invalid(format!("{path}[{key}]"), value, &format!("invalid AppArmor profile name: {value}"))
        })
        .collect()
}

fn negative(field: String, value: i64) -> Cause {
    invalid(field, &value.into(), "must be greater than or equal to 0")
}

fn one_of(object: &Value, key: &str, path: &str, supported: &[&str], causes: &mut Vec<Cause>) {
    let Some(value) = object.get(key).filter(|value| !value.is_null()) else { return };
    if !supported.iter().any(|supported| value == supported) {
        causes.push(unsupported(format!("{path}.{key}"), value, supported));
    }
}

/// Every rule that a name breaks.
fn named(field: &str, name: &Value, rules: &[String], causes: &mut Vec<Cause>) {
    causes.extend(rules.iter().map(|rule| invalid(field, name, rule)));
}

/// On the node's own network a container's ports are the node's.
fn host_network(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    if spec.get("hostNetwork") != Some(&Value::Bool(true)) {
        return;
    }
    for key in ["containers", "initContainers"] {
        for (index, container) in items(spec, key).iter().enumerate() {
            for (at, port) in items(container, "ports").iter().enumerate() {
                let number = |key: &str| port.get(key).and_then(Value::as_i64).unwrap_or(0);
                if number("hostPort") != 0 && number("hostPort") != number("containerPort") {
                    let field = format!("{path}.{key}[{index}].ports[{at}].hostPort");
                    causes.push(invalid(
                        field,
                        &number("hostPort").into(),
                        "must match `containerPort` when `hostNetwork` is true",
                    ));
                }
            }
        }
    }
}

fn dns_config(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let path = format!("{path}.dnsConfig");
    let nothing = Value::Null;
    let config = spec.get("dnsConfig").filter(|config| config.is_object()).unwrap_or(&nothing);
    if text(spec, "dnsPolicy") == "None" {
        if config.is_null() {
            causes.push(required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if items(config, "nameservers").is_empty() {
            causes.push(required(
                format!("{path}.nameservers"),
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            ));
        }
    }
    for (index, server) in items(config, "nameservers").iter().enumerate() {
        causes.extend(network::address(&format!("{path}.nameservers[{index}]"), server));
    }
    for (index, search) in items(config, "searches").iter().enumerate() {
        let domain = search.as_str().unwrap_or_default();
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        if search != "." && !network::is_search_domain(domain) {
            causes.push(invalid(format!("{path}.searches[{index}]"), &domain.into(), network::SEARCH_RULE));
        }
    }
    for (index, option) in items(config, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            causes.push(required(format!("{path}.options[{index}]"), "must not be empty"));
        }
    }
}

fn gates(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (index, gate) in items(spec, "readinessGates").iter().enumerate() {
        let name = text(gate, "conditionType");
        let field = format!("{path}.readinessGates[{index}].conditionType");
        named(&field, &name.into(), &metadata::qualified_name(name), causes);
    }
    let mut seen = Vec::new();
    for (index, gate) in items(spec, "schedulingGates").iter().enumerate() {
        let name = text(gate, "name");
        let field = format!("{path}.schedulingGates[{index}]");
        named(&field, &name.into(), &metadata::qualified_name(name), causes);
        if seen.contains(&name) {
            causes.push(super::duplicate(field, &name.into()));
        }
        seen.push(name);
    }
}

fn names(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut check = |key: &str, rules: fn(&str) -> Vec<String>| {
        let name = text(spec, key);
        if !name.is_empty() {
            named(&format!("{path}.{key}"), &name.into(), &rules(name), causes);
        }
    };
    check("serviceAccountName", metadata::dns_subdomain);
    check("nodeName", metadata::dns_subdomain);
    if let Some(seconds) = spec.get("activeDeadlineSeconds").and_then(Value::as_i64)
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let field = format!("{path}.activeDeadlineSeconds");
        causes.push(invalid(field, &seconds.into(), "must be between 1 and 2147483647, inclusive"));
    }
    for key in ["hostname", "subdomain"] {
        let name = text(spec, key);
        if !name.is_empty() {
            named(&format!("{path}.{key}"), &name.into(), &metadata::dns_label(name), causes);
        }
    }
}

fn host_aliases(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (index, alias) in items(spec, "hostAliases").iter().enumerate() {
        let path = format!("{path}.hostAliases[{index}]");
        causes.extend(network::address(&format!("{path}.ip"), &text(alias, "ip").into()));
        for (at, name) in items(alias, "hostnames").iter().enumerate() {
            let rules = metadata::dns_subdomain(name.as_str().unwrap_or_default());
            named(&format!("{path}.hostnames[{at}]"), name, &rules, causes);
        }
    }
}

fn operating_system(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(system) = spec.get("os").filter(|system| system.is_object()) else { return };
    match text(system, "name") {
        "" => causes.push(required(format!("{path}.os.name"), "cannot be empty")),
        "linux" | "windows" => {}
        other => causes.push(unsupported(format!("{path}.os"), &other.into(), &["linux", "windows"])),
    }
}
