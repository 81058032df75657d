//! The rules of each kind, beyond its metadata.

use serde_json::{Value, json};

use super::super::schema::Kind;
use super::super::status::Cause;
use super::{
    cluster, endpoints, forbidden, invalid, items, metadata, pod, required, selector, service, text, unsupported,
};

const DATA_BYTES_MAX: usize = 1024 * 1024;

pub fn validate(kind: &Kind, object: &Value) -> Vec<Cause> {
    let nothing = json!({});
    let spec = object.get("spec").unwrap_or(&nothing);
    match (kind.group, kind.name) {
        ("", "ConfigMap") => config_map(object),
        ("", "Secret") => secret(object),
        ("", "Service") => service::validate(spec),
        ("", "Pod") => pod::validate_create(object),
        ("apps", "Deployment") => deployment(spec),
        ("apps", "ReplicaSet") => replica_set(spec),
        ("", "Endpoints") => endpoints::endpoints(object),
        ("discovery.k8s.io", "EndpointSlice") => endpoints::slice(object),
        ("", "Event") => cluster::event(object),
        ("", "Node") => cluster::node(spec),
        ("", "Namespace") => cluster::namespace(spec),
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
        ("", "Service") => service::update(new, old, &mut causes),
        ("discovery.k8s.io", "EndpointSlice") => {
            let (now, before) = (new.get("addressType"), old.get("addressType"));
            if now != before {
                causes = vec![invalid("addressType", now.unwrap_or(&Value::Null), "field is immutable")];
            }
        }
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
        let rules = metadata::config_key(name);
        causes.extend(rules.iter().map(|rule| invalid(format!("{key}[{name}]"), &name.clone().into(), rule)));
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
    let binary = object.get("binaryData");
    for name in object.get("data").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name) {
        if binary.is_some_and(|binary| binary.get(name).is_some()) {
            let field = format!("data[{name}]");
            causes.push(invalid(field, &name.clone().into(), "duplicate of key present in binaryData"));
        }
    }
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
    let value = |key: &str| object.get("data").and_then(|data| data.get(key)).and_then(Value::as_str);
    let all_of = |keys: &[&str]| -> Vec<Cause> {
        keys.iter().filter(|key| value(key).is_none()).map(|key| required(format!("data[{key}]"), "")).collect()
    };
    match text(object, "type") {
        "kubernetes.io/tls" => causes.extend(all_of(&["tls.crt", "tls.key"])),
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            causes.extend(all_of(&["username", "password"]));
        }
        "kubernetes.io/ssh-auth" => causes.extend(all_of(&["ssh-privatekey"])),
        "kubernetes.io/dockerconfigjson" => docker_config(&value, ".dockerconfigjson", &mut causes),
        "kubernetes.io/dockercfg" => docker_config(&value, ".dockercfg", &mut causes),
        "kubernetes.io/service-account-token" => {
            let annotation = "/metadata/annotations/kubernetes.io~1service-account.name";
            if object.pointer(annotation).and_then(Value::as_str).unwrap_or_default().is_empty() {
                causes.push(required("metadata.annotations[kubernetes.io/service-account.name]", ""));
            }
        }
        _ => {}
    }
    causes
}

/// A registry's credentials are JSON.
fn docker_config<'a>(value: &impl Fn(&str) -> Option<&'a str>, key: &str, causes: &mut Vec<Cause>) {
    use base64::Engine as _;
    let field = format!("data[{key}]");
    let Some(encoded) = value(key) else {
        causes.push(required(field, ""));
        return;
    };
    let content = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
    if let Err(error) = serde_json::from_slice::<serde_json::Map<String, Value>>(&content) {
        let why = super::super::schema::go_json_error(&error, &content);
        causes.push(invalid(field, &"<secret contents redacted>".into(), &why));
    }
}

/// The selector of a Deployment or `ReplicaSet`.
fn pod_selector(spec: &Value, of: &str, causes: &mut Vec<Cause>) {
    let Some(selector) = spec.get("selector").filter(|selector| selector.is_object()) else {
        causes.push(required("spec.selector", ""));
        return;
    };
    let mistakes = selector::validate(selector, "spec.selector");
    let count = |key: &str| {
        selector.get(key).map_or(0, |part| {
            part.as_object().map_or_else(|| part.as_array().map_or(0, Vec::len), serde_json::Map::len)
        })
    };
    if count("matchLabels") + count("matchExpressions") == 0 {
        causes.push(invalid("spec.selector", selector, &format!("empty selector is invalid for {of}")));
    }
    causes.extend(mistakes);
}

fn template(spec: &Value, causes: &mut Vec<Cause>) {
    let nothing = json!({});
    let template = spec.get("template").unwrap_or(&nothing);
    let labels = template.pointer("/metadata/labels").unwrap_or(&Value::Null);
    let wanted = spec.get("selector").unwrap_or(&nothing);
    if let Some(selector) = spec.get("selector").filter(|selector| selector.is_object())
        && !selector::validate(selector, "").is_empty()
    {
        causes.push(invalid("spec.selector", selector, "invalid label selector"));
        return;
    }
    let empty = spec.get("selector").is_some_and(|selector| {
        ["matchLabels", "matchExpressions"].iter().all(|part| {
            selector.get(part).is_none_or(|part| {
                part.as_object().is_none_or(serde_json::Map::is_empty) && part.as_array().is_none_or(Vec::is_empty)
            })
        })
    });
    if !empty && !selector::matches(wanted, labels) || spec.get("selector").is_none() {
        causes.push(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
    }
    if let Some(metadata) = template.get("metadata") {
        // The real messages leave "metadata" out of the path here.
        causes.extend(metadata::labels(metadata.get("labels"), "spec.template.labels"));
        metadata::annotations(metadata, "spec.template.annotations", causes);
        causes.extend(pod::apparmor_annotations(metadata, "spec.template.annotations"));
    }
    let pod = template.get("spec").unwrap_or(&nothing);
    causes.extend(pod::validate_spec(pod, "spec.template.spec"));
    if !items(pod, "ephemeralContainers").is_empty() {
        let detail = "ephemeral containers not allowed in pod template";
        causes.push(forbidden("spec.template.spec.ephemeralContainers", detail));
    }
    if let Some(policy) = pod.get("restartPolicy").filter(|policy| **policy != "Always") {
        causes.push(unsupported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
    if pod.get("activeDeadlineSeconds").is_some_and(Value::is_number) {
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        causes.push(forbidden("spec.template.spec.activeDeadlineSeconds", detail));
    }
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
    pod_selector(spec, "deployment", &mut causes);
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
            if rolling.get("maxUnavailable").is_some_and(beyond_all) {
                let field = "spec.strategy.rollingUpdate.maxUnavailable";
                causes.push(invalid(field, &rolling["maxUnavailable"], "must not be greater than 100%"));
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
        other => causes.push(Cause {
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {{\"Type\":{},\"RollingUpdate\":{}}}: supported values: \"Recreate\", \"RollingUpdate\"",
                Value::from(other),
                rolling.map_or_else(|| "null".to_owned(), ToString::to_string),
            ),
            field: "spec.strategy".into(),
        }),
    }
}

/// More than every pod.
fn beyond_all(value: &Value) -> bool {
    let percent = value.as_str().and_then(|text| text.strip_suffix('%'));
    percent.and_then(|digits| digits.parse::<u64>().ok()).is_some_and(|percent| percent > 100)
}

fn negative(field: String, value: i64) -> Cause {
    invalid(field, &value.into(), "must be greater than or equal to 0")
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
    pod_selector(spec, "deployment", &mut causes);
    template(spec, &mut causes);
    causes
}

/// A status's numbers fit each other.
pub fn validate_status(kind: &Kind, status: &Value) -> Vec<Cause> {
    let numbers: &[&str] = match (kind.group, kind.name) {
        ("apps", "Deployment") => &["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"],
        ("apps", "ReplicaSet") => &["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
        _ => return Vec::new(),
    };
    let number = |key: &str| status.get(key).and_then(Value::as_i64).unwrap_or(0);
    let mut causes = Vec::new();
    for key in numbers.iter().chain(&["unavailableReplicas", "observedGeneration", "collisionCount"]) {
        if number(key) < 0 {
            causes.push(negative(format!("status.{key}"), number(key)));
        }
    }
    for key in &numbers[1..] {
        if number(key) > number("replicas") {
            let detail = "cannot be greater than status.replicas";
            causes.push(invalid(format!("status.{key}"), &number(key).into(), detail));
        }
    }
    if number("availableReplicas") > number("readyReplicas") {
        let detail = "cannot be greater than readyReplicas";
        causes.push(invalid("status.availableReplicas", &number("availableReplicas").into(), detail));
    }
    causes
}

fn pod_update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let gates = |object: &Value| object.get("spec").map_or(Vec::new(), |spec| items(spec, "schedulingGates").to_vec());
    let gates_before = gates(old);
    for (index, gate) in gates(new).iter().enumerate().filter(|(_, gate)| !gates_before.contains(gate)) {
        let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", text(gate, "name"));
        causes.push(forbidden(format!("spec.schedulingGates[{index}].name"), &detail));
    }
    for key in ["containers", "initContainers"] {
        for (index, container) in new.get("spec").map_or(&[][..], |spec| items(spec, key)).iter().enumerate() {
            if text(container, "image").is_empty() {
                causes.push(required(format!("spec.{key}[{index}].image"), ""));
            } else if text(container, "image").trim() != text(container, "image") {
                let detail = "must not have leading or trailing whitespace";
                let image = text(container, "image").into();
                causes.push(invalid(format!("spec.{key}[{index}].image"), &image, detail));
            }
        }
    }
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

/// A pod's spec without what an update may change.
fn comparable(pod: &Value) -> Value {
    let mut spec = pod.get("spec").cloned().unwrap_or_default();
    for key in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
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
