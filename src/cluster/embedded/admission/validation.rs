//! The rules of each kind, beyond its metadata.

use serde_json::{Value, json};

use super::super::schema::Kind;
use super::super::status::Cause;
use super::pod::{self, negative, port_name, port_number};
use super::{duplicate, forbidden, invalid, items, metadata, required, text, unsupported};

const DATA_BYTES_MAX: usize = 1024 * 1024;

pub fn validate(kind: &Kind, object: &Value) -> Vec<Cause> {
    let nothing = json!({});
    let spec = object.get("spec").unwrap_or(&nothing);
    match (kind.group, kind.name) {
        ("", "ConfigMap") => config_map(object),
        ("", "Secret") => secret(object),
        ("", "Service") => service(spec),
        ("", "Pod") => pod::validate_spec(spec, "spec"),
        ("apps", "Deployment") => deployment(spec),
        ("apps", "ReplicaSet") => replica_set(spec),
        _ => Vec::new(),
    }
}

pub fn validate_update(kind: &Kind, new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = validate(kind, new);
    let spec = |object: &Value, key: &str| object.pointer(&format!("/spec/{key}")).cloned().unwrap_or(Value::Null);
    match (kind.group, kind.name) {
        ("", "ConfigMap") => immutable_data(new, old, &["data", "binaryData"], &mut causes),
        ("", "Secret") => {
            if new.get("type") != old.get("type") {
                causes.insert(0, invalid("type", new.get("type").unwrap_or(&Value::Null), "field is immutable"));
            }
            immutable_data(new, old, &["data"], &mut causes);
        }
        ("apps", "Deployment" | "ReplicaSet") if spec(new, "selector") != spec(old, "selector") => {
            causes.push(invalid("spec.selector", &spec(new, "selector"), "field is immutable"));
        }
        ("", "Pod") => pod_update(new, old, &mut causes),
        ("", "Service") => service_update(new, old, &mut causes),
        _ => {}
    }
    causes
}

fn immutable_data(new: &Value, old: &Value, keys: &[&str], causes: &mut Vec<Cause>) {
    if old.get("immutable").and_then(Value::as_bool) != Some(true) {
        return;
    }
    if new.get("immutable").and_then(Value::as_bool) != Some(true) {
        causes.push(forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for key in keys {
        let empty =
            |value: Option<&Value>| value.is_none_or(|value| value.as_object().is_some_and(serde_json::Map::is_empty));
        let (now, before) = (new.get(*key), old.get(*key));
        if now != before && !(empty(now) && empty(before)) {
            causes.push(forbidden(*key, "field is immutable when `immutable` is set"));
        }
    }
}

fn data_keys(object: &Value, key: &str, size: &mut usize, causes: &mut Vec<Cause>) {
    for (name, value) in object.get(key).and_then(Value::as_object).into_iter().flatten() {
        let fits = !name.is_empty()
            && name.len() <= 253
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !fits {
            causes.push(invalid(format!("{key}[{name}]"), &name.clone().into(), "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"));
        } else if matches!(name.as_str(), "." | "..") {
            causes.push(invalid(format!("{key}[{name}]"), &name.clone().into(), &format!("must not be '{name}'")));
        }
        *size += value.as_str().map_or(0, str::len);
    }
}

fn too_long(field: &str) -> Cause {
    Cause {
        reason: "FieldValueTooLong",
        message: format!("Too long: may not be more than {DATA_BYTES_MAX} bytes"),
        field: field.into(),
    }
}

fn config_map(object: &Value) -> Vec<Cause> {
    let (mut causes, mut size) = (Vec::new(), 0);
    data_keys(object, "data", &mut size, &mut causes);
    data_keys(object, "binaryData", &mut size, &mut causes);
    if size > DATA_BYTES_MAX {
        causes.push(too_long(""));
    }
    causes
}

fn secret(object: &Value) -> Vec<Cause> {
    let (mut causes, mut size) = (Vec::new(), 0);
    data_keys(object, "data", &mut size, &mut causes);
    if size * 3 / 4 > DATA_BYTES_MAX {
        causes.push(too_long("data"));
    }
    let needed: &[&str] = match text(object, "type") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    for key in needed {
        if object.get("data").and_then(|data| data.get(*key)).is_none() {
            causes.push(required(format!("data[{key}]"), ""));
        }
    }
    causes
}

fn selector(spec: &Value, causes: &mut Vec<Cause>) -> bool {
    let Some(selector) = spec.get("selector").filter(|selector| selector.is_object()) else {
        causes.push(required("spec.selector", ""));
        return false;
    };
    let count = |key: &str| {
        selector.get(key).map_or(0, |part| {
            part.as_object().map_or_else(|| part.as_array().map_or(0, Vec::len), serde_json::Map::len)
        })
    };
    if count("matchLabels") + count("matchExpressions") == 0 {
        causes.push(invalid("spec.selector", selector, "empty selector is invalid for deployment"));
        return false;
    }
    causes.extend(metadata::labels(selector.get("matchLabels"), "spec.selector.matchLabels"));
    true
}

fn template(spec: &Value, causes: &mut Vec<Cause>) {
    let nothing = json!({});
    let template = spec.get("template").unwrap_or(&nothing);
    let labels = template.pointer("/metadata/labels").unwrap_or(&nothing);
    let wanted = spec.get("selector").unwrap_or(&nothing);
    let selects = spec.get("selector").is_some_and(Value::is_object) && matches(wanted, labels);
    if !selects {
        causes.push(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
    }
    if let Some(metadata) = template.get("metadata") {
        causes.extend(metadata::labels_and_annotations(metadata, "spec.template.metadata"));
    }
    let pod = template.get("spec").unwrap_or(&nothing);
    causes.extend(
        pod::validate_spec(pod, "spec.template.spec")
            .into_iter()
            .filter(|cause| cause.field != "spec.template.spec.restartPolicy"),
    );
    if let Some(policy) = pod.get("restartPolicy").filter(|policy| **policy != "Always") {
        causes.push(unsupported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
}

/// Whether a label selector matches labels.
fn matches(selector: &Value, labels: &Value) -> bool {
    let equal = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let mut expressions = items(selector, "matchExpressions").iter();
    equal.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && expressions.all(|expression| {
            let found = labels.get(text(expression, "key"));
            let among = found.is_some_and(|found| items(expression, "values").contains(found));
            match text(expression, "operator") {
                "In" => among,
                "NotIn" => !among,
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

fn not_negative(spec: &Value, key: &str, causes: &mut Vec<Cause>) {
    if let Some(value) = spec.get(key).and_then(Value::as_i64)
        && value < 0
    {
        causes.push(negative(format!("spec.{key}"), value));
    }
}

fn deployment(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    not_negative(spec, "replicas", &mut causes);
    selector(spec, &mut causes);
    template(spec, &mut causes);
    strategy(spec.get("strategy").unwrap_or(&Value::Null), &mut causes);
    not_negative(spec, "minReadySeconds", &mut causes);
    not_negative(spec, "revisionHistoryLimit", &mut causes);
    not_negative(spec, "progressDeadlineSeconds", &mut causes);
    let number = |key: &str| spec.get(key).and_then(Value::as_i64);
    if let Some(deadline) = number("progressDeadlineSeconds")
        && deadline <= number("minReadySeconds").unwrap_or(0)
    {
        causes.push(invalid("spec.progressDeadlineSeconds", &deadline.into(), "must be greater than minReadySeconds"));
    }
    causes
}

fn strategy(strategy: &Value, causes: &mut Vec<Cause>) {
    let rolling = strategy.get("rollingUpdate").filter(|rolling| rolling.is_object());
    match text(strategy, "type") {
        "RollingUpdate" => {
            let Some(rolling) = rolling else { return };
            let zero = |key: &str| rolling.get(key).is_some_and(|value| *value == 0 || *value == "0%");
            for key in ["maxUnavailable", "maxSurge"] {
                causes.extend(
                    rolling
                        .get(key)
                        .and_then(|value| int_or_percent(&format!("spec.strategy.rollingUpdate.{key}"), value)),
                );
            }
            if zero("maxUnavailable") && zero("maxSurge") {
                let value = rolling.get("maxUnavailable").unwrap_or(&Value::Null);
                causes.push(invalid(
                    "spec.strategy.rollingUpdate.maxUnavailable",
                    value,
                    "may not be 0 when `maxSurge` is 0",
                ));
            }
        }
        "Recreate" => {
            if rolling.is_some() {
                causes.push(forbidden(
                    "spec.strategy.rollingUpdate",
                    "may not be specified when strategy `type` is 'Recreate'",
                ));
            }
        }
        _ => causes.push(unsupported(
            "spec.strategy.type",
            strategy.get("type").unwrap_or(&Value::Null),
            &["Recreate", "RollingUpdate"],
        )),
    }
}

fn int_or_percent(field: &str, value: &Value) -> Option<Cause> {
    match value {
        Value::Number(number) => {
            number.as_i64().filter(|number| *number < 0).map(|number| negative(field.into(), number))
        }
        Value::String(text) => {
            let fits = text
                .strip_suffix('%')
                .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
            (!fits).then(|| invalid(field, value, "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"))
        }
        _ => None,
    }
}

fn replica_set(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    not_negative(spec, "replicas", &mut causes);
    not_negative(spec, "minReadySeconds", &mut causes);
    selector(spec, &mut causes);
    template(spec, &mut causes);
    causes
}

fn pod_update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let count = |object: &Value, key: &str| object.get("spec").map_or(0, |spec| items(spec, key).len());
    for key in ["containers", "initContainers"] {
        if count(new, key) != count(old, key) {
            causes.push(forbidden(format!("spec.{key}"), "pod updates may not add or remove containers"));
            return;
        }
    }
    if comparable(new) != comparable(old) {
        causes.push(forbidden("spec", "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"));
    }
}

/// A pod's spec without what an update may change, and without what the scheduler sets.
fn comparable(pod: &Value) -> Value {
    let mut spec = pod.get("spec").cloned().unwrap_or_default();
    for key in ["activeDeadlineSeconds", "tolerations", "nodeName", "schedulingGates"] {
        if let Some(spec) = spec.as_object_mut() {
            spec.remove(key);
        }
    }
    for key in ["containers", "initContainers"] {
        for container in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(container) = container.as_object_mut() {
                container.remove("image");
            }
        }
    }
    spec
}

fn service(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let kind = text(spec, "type");
    let ports = items(spec, "ports");
    let headless = text(spec, "clusterIP") == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        causes.push(required("spec.ports", ""));
    }
    let (mut names, mut numbers) = (Vec::new(), Vec::new());
    for (index, port) in ports.iter().enumerate() {
        service_port(port, index, ports.len() > 1, kind, &mut names, &mut causes);
        let number = (port.get("port"), text(port, "protocol"));
        if numbers.contains(&number) {
            let shown =
                json!({"name": "", "protocol": text(port, "protocol"), "port": port.get("port"), "targetPort": 0});
            causes.push(duplicate(format!("spec.ports[{index}]"), &shown));
        }
        numbers.push(number);
    }
    causes.extend(metadata::labels(spec.get("selector"), "spec.selector"));
    if !matches!(text(spec, "sessionAffinity"), "None" | "ClientIP") {
        causes.push(unsupported(
            "spec.sessionAffinity",
            spec.get("sessionAffinity").unwrap_or(&Value::Null),
            &["ClientIP", "None"],
        ));
    }
    if !matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName") {
        causes.push(unsupported("spec.type", &kind.into(), &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]));
    }
    if kind == "ExternalName" && text(spec, "externalName").is_empty() {
        causes.push(required("spec.externalName", ""));
    }
    causes
}

fn service_port<'a>(
    port: &'a Value,
    index: usize,
    named: bool,
    kind: &str,
    names: &mut Vec<&'a str>,
    causes: &mut Vec<Cause>,
) {
    let field = format!("spec.ports[{index}]");
    let name = text(port, "name");
    if named && name.is_empty() {
        causes.push(required(format!("{field}.name"), ""));
    } else if !name.is_empty() {
        if let Some(rule) = metadata::dns_label(name) {
            causes.push(invalid(format!("{field}.name"), &name.into(), &rule));
        } else if names.contains(&name) {
            causes.push(duplicate(format!("{field}.name"), &name.into()));
        }
        names.push(name);
    }
    causes.extend(port_number(format!("{field}.port"), port.get("port").and_then(Value::as_i64).unwrap_or(0)));
    match port.get("targetPort") {
        Some(Value::Number(number)) => {
            causes.extend(port_number(format!("{field}.targetPort"), number.as_i64().unwrap_or(0)));
        }
        Some(Value::String(name)) => {
            causes
                .extend(port_name(name).map(|rule| invalid(format!("{field}.targetPort"), &name.clone().into(), rule)));
        }
        _ => {}
    }
    let protocol = port.get("protocol").unwrap_or(&Value::Null);
    if !matches!(protocol.as_str(), Some("TCP" | "UDP" | "SCTP")) {
        causes.push(unsupported(format!("{field}.protocol"), protocol, &["SCTP", "TCP", "UDP"]));
    }
    if kind == "ClusterIP" && port.get("nodePort").and_then(Value::as_i64).unwrap_or(0) != 0 {
        causes.push(forbidden(format!("{field}.nodePort"), "may not be used when `type` is 'ClusterIP'"));
    }
}

fn service_update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let address =
        |object: &Value| object.pointer("/spec/clusterIP").and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = |object: &Value| object.pointer("/spec/type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (now, before) = (address(new), address(old));
    if kind(new) != "ExternalName" && kind(old) != "ExternalName" && !before.is_empty() && now != before {
        causes.push(invalid("spec.clusterIPs[0]", &json!([now]), "may not change once set"));
    }
}
