//! What is allowed, and told to be a mistake nevertheless: the warnings that kubectl prints.

use serde_json::{Value, json};

use super::super::schema::Kind;
use super::{items, metadata, pod, text};

/// Warnings of a written object, in Kubernetes' order.
pub fn warnings(kind: &Kind, object: &Value) -> Vec<String> {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    let mut warnings = Vec::new();
    match (kind.group, kind.name) {
        ("", "Pod") => {
            if text(spec, "hostname").is_empty() {
                warnings.extend(label_recommended(metadata, "the Pod's hostname"));
            }
            pod_warnings(spec, metadata, "spec", "metadata", &mut warnings);
        }
        ("apps", _) => {
            warnings.extend(label_recommended(metadata, "Pod names and hostnames"));
            let template = spec.get("template").unwrap_or(&Value::Null);
            let (inner, about) = (template.get("spec"), template.get("metadata"));
            pod_warnings(
                inner.unwrap_or(&Value::Null),
                about.unwrap_or(&Value::Null),
                "spec.template.spec",
                "spec.template.metadata",
                &mut warnings,
            );
        }
        ("", "Service") if !text(spec, "externalName").is_empty() && text(spec, "type") != "ExternalName" => {
            warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".into());
        }
        ("", "Secret") => warnings.extend(certificate(object)),
        ("discovery.k8s.io", "EndpointSlice") if text(object, "addressType") == "FQDN" => {
            warnings.push("spec.addressType: FQDN endpoints are deprecated".into());
        }
        _ => {}
    }
    warnings
}

/// Owners that are named twice, of which one counts.
pub fn repeated_owners(object: &Value) -> Vec<String> {
    let owners = object.get("metadata").map_or(&[][..], |metadata| items(metadata, "ownerReferences"));
    let mut repeated: Vec<&str> = owners
        .iter()
        .enumerate()
        .filter(|(index, owner)| owners[..*index].iter().any(|before| text(before, "uid") == text(owner, "uid")))
        .map(|(_, owner)| text(owner, "uid"))
        .collect();
    repeated.dedup();
    if repeated.is_empty() {
        return Vec::new();
    }
    vec![format!(
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        repeated.join(", ")
    )]
}

fn label_recommended(metadata: &Value, used_in: &str) -> Option<String> {
    let broken = metadata::dns_label(text(metadata, "name"));
    (!broken.is_empty()).then(|| {
        format!(
            "metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS label is recommended: [{}]",
            broken.join(" ")
        )
    })
}

fn pod_warnings(spec: &Value, about: &Value, path: &str, about_path: &str, warnings: &mut Vec<String>) {
    for (index, constraint) in items(spec, "topologySpreadConstraints").iter().enumerate() {
        if !constraint.get("labelSelector").is_some_and(Value::is_object) {
            warnings.push(format!(
                "{path}.topologySpreadConstraints[{index}].labelSelector: a null labelSelector results in matching no pod"
            ));
        }
    }
    for volume in items(spec, "volumes") {
        let empty = volume.get("projected").is_some_and(|projected| {
            items(projected, "sources").iter().any(|source| source.as_object().is_some_and(serde_json::Map::is_empty))
        });
        if empty {
            warnings.push(format!("volume {:?} (Projected) has no sources provided", text(volume, "name")));
        }
    }
    for (index, secret) in items(spec, "imagePullSecrets").iter().enumerate() {
        if text(secret, "name").is_empty() {
            warnings.push(format!("{path}.imagePullSecrets[{index}].name: invalid empty name \"\""));
        }
    }
    for (key, _) in about.get("annotations").and_then(Value::as_object).into_iter().flatten() {
        if key.starts_with("container.apparmor.security.beta.kubernetes.io/") {
            warnings.push(format!(
                "{about_path}.annotations[{key}]: deprecated since v1.30; use the \"appArmorProfile\" field instead"
            ));
        }
    }
    for list in ["initContainers", "containers"] {
        for (index, container) in items(spec, list).iter().enumerate() {
            container_warnings(container, &format!("{path}.{list}[{index}]"), warnings);
        }
    }
}

fn container_warnings(container: &Value, path: &str, warnings: &mut Vec<String>) {
    for side in ["limits", "requests"] {
        let amounts = container.pointer(&format!("/resources/{side}")).and_then(Value::as_object);
        for (name, amount) in amounts.into_iter().flatten() {
            let fraction = pod::quantity(amount).is_some_and(|amount| amount.fract() != 0.0);
            if fraction && matches!(name.as_str(), "memory" | "ephemeral-storage") {
                warnings.push(format!(
                    "{path}.resources.{side}[{name}]: fractional byte value {amount} is invalid, must be an integer"
                ));
            }
        }
    }
    let variables = items(container, "env");
    for (index, variable) in variables.iter().enumerate() {
        let name = text(variable, "name");
        if variables[..index].iter().any(|before| text(before, "name") == name) {
            warnings.push(format!(
                "{path}.env[{index}]: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
    let ports = items(container, "ports");
    let number = |port: &Value, key: &str| port.get(key).and_then(Value::as_i64).unwrap_or(0);
    for (index, port) in ports.iter().enumerate() {
        let same = |other: &&Value| {
            number(other, "containerPort") == number(port, "containerPort")
                && text(other, "protocol") == text(port, "protocol")
                && number(other, "hostPort") == number(port, "hostPort")
        };
        if let Some(before) = ports[..index].iter().position(|other| same(&other)) {
            warnings.push(format!("{path}.ports[{index}]: duplicate port definition with {path}.ports[{before}]"));
        }
        if number(port, "hostPort") == 0 && !text(port, "hostIP").is_empty() {
            warnings.push(format!(
                "{path}.ports[{index}]: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{} Protocol:{} HostIP:{}}}",
                text(port, "name"),
                number(port, "containerPort"),
                text(port, "protocol"),
                text(port, "hostIP"),
            ));
        }
    }
}

/// A certificate's Secret holds one.
fn certificate(secret: &Value) -> Option<String> {
    use base64::Engine as _;
    if text(secret, "type") != "kubernetes.io/tls" {
        return None;
    }
    let nothing = json!({});
    let data = secret.get("data").unwrap_or(&nothing);
    let holds = |key: &str| {
        let content = base64::engine::general_purpose::STANDARD.decode(text(data, key)).unwrap_or_default();
        String::from_utf8_lossy(&content).contains("-----BEGIN ")
    };
    [("tls.crt", "certificate"), ("tls.key", "key")]
        .iter()
        .find(|(key, _)| !holds(key))
        .map(|(_, what)| format!("tls: failed to find any PEM data in {what} input"))
}
