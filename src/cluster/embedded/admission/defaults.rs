//! Defaults.

use serde_json::{Map, Value, json};

use super::super::schema::{Kind, Quantity};
use super::{items, text};

pub fn set(kind: &Kind, object: &mut Value) {
    owners(object);
    match (kind.group, kind.name) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("", "Pod") => {
            if let Some(spec) = member(object, "spec") {
                pod_spec(spec);
                spec.entry("enableServiceLinks").or_insert(true.into());
                for key in ["initContainers", "containers"] {
                    for container in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                        if let Some(resources) = member(container, "resources") {
                            requests_from_limits(resources);
                        }
                    }
                }
            }
        }
        ("", "Service") => service(object),
        ("", "Secret") => secret(object),
        ("", "Namespace") => namespace(object),
        ("", "Node") => node(object),
        ("", "Endpoints") => endpoints(object),
        ("discovery.k8s.io", "EndpointSlice") => endpoint_slice(object),
        _ => {}
    }
}

/// An owner that is named twice counts once.
fn owners(object: &mut Value) {
    let Some(metadata) = member(object, "metadata") else { return };
    let Some(owners) = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) else { return };
    let mut seen = Vec::new();
    owners.retain(|owner| {
        let uid = text(owner, "uid").to_owned();
        let first = uid.is_empty() || !seen.contains(&uid);
        seen.push(uid);
        first
    });
}

fn member<'a>(object: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    object.get_mut(key).and_then(Value::as_object_mut)
}

/// Sets what is absent or null.
fn default(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let entry = map.entry(key).or_insert(Value::Null);
    if entry.is_null() {
        *entry = value.into();
    }
}

/// Sets what is absent, null or an empty text.
fn default_text(map: &mut Map<String, Value>, key: &str, value: &str) {
    let entry = map.entry(key).or_insert(Value::Null);
    if entry.is_null() || entry.as_str() == Some("") {
        *entry = value.into();
    }
}

fn deployment(object: &mut Value) {
    let Some(spec) = member(object, "spec") else { return };
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "progressDeadlineSeconds", 600);
    let strategy = spec.entry("strategy").or_insert_with(|| json!({}));
    if let Some(strategy) = strategy.as_object_mut() {
        default_text(strategy, "type", "RollingUpdate");
        if strategy["type"] == "RollingUpdate" {
            let rolling = strategy.entry("rollingUpdate").or_insert_with(|| json!({}));
            if let Some(rolling) = rolling.as_object_mut() {
                default(rolling, "maxUnavailable", "25%");
                default(rolling, "maxSurge", "25%");
            }
        }
    }
    template(spec);
}

fn replica_set(object: &mut Value) {
    let Some(spec) = member(object, "spec") else { return };
    default(spec, "replicas", 1);
    template(spec);
}

fn template(spec: &mut Map<String, Value>) {
    if let Some(template) = spec.get_mut("template")
        && let Some(spec) = member(template, "spec")
    {
        pod_spec(spec);
    }
}

fn pod_spec(spec: &mut Map<String, Value>) {
    drop_disabled(spec);
    // Two names of one field.
    let text =
        |spec: &Map<String, Value>, key: &str| spec.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, former) = (text(spec, "serviceAccountName"), text(spec, "serviceAccount"));
    let account = if name.is_empty() { former } else { name };
    if !account.is_empty() {
        spec.insert("serviceAccountName".into(), account.clone().into());
        spec.insert("serviceAccount".into(), account.into());
    }
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds < 0) {
        spec.insert("terminationGracePeriodSeconds".into(), 1.into());
    }
    default_text(spec, "restartPolicy", "Always");
    default(spec, "terminationGracePeriodSeconds", 30);
    default_text(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "securityContext", json!({}));
    default_text(spec, "schedulerName", "default-scheduler");
    for key in ["initContainers", "containers"] {
        for container in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(container) = container.as_object_mut() {
                self::container(container);
            }
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        self::volume(volume);
    }
}

/// What Kubernetes 1.34 drops as long as its feature is not switched on.
fn drop_disabled(spec: &mut Map<String, Value>) {
    for (key, kept) in [("containers", ""), ("initContainers", "Always")] {
        for container in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(container) = container.as_object_mut() else { continue };
            if container.get("restartPolicy").is_some_and(|policy| *policy != kept) {
                container.remove("restartPolicy");
            }
        }
    }
    if let Some(volumes) = spec.get_mut("volumes").and_then(Value::as_array_mut) {
        volumes.retain(|volume| volume.get("image").is_none());
        if volumes.is_empty() {
            spec.remove("volumes");
        }
    }
}

fn container(container: &mut Map<String, Value>) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if pulls_always(image) { "Always" } else { "IfNotPresent" };
    default_text(container, "imagePullPolicy", policy);
    default_text(container, "terminationMessagePath", "/dev/termination-log");
    default_text(container, "terminationMessagePolicy", "File");
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            default_text(port, "protocol", "TCP");
        }
    }
    for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef").and_then(Value::as_object_mut) {
            default_text(field, "apiVersion", "v1");
        }
    }
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(key).and_then(Value::as_object_mut) {
            self::probe(probe);
        }
        if let Some(probe) = container.get_mut(key) {
            http_get(probe);
        }
    }
    if let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut) {
        for handler in lifecycle.values_mut() {
            http_get(handler);
        }
    }
    if let Some(resources) = container.get_mut("resources") {
        for side in ["limits", "requests"] {
            for amount in member(resources, side).into_iter().flat_map(|amounts| amounts.values_mut()) {
                let rounded = amount.as_str().and_then(Quantity::parse).map(Quantity::rounded_to_milli);
                if let Some(rounded) =
                    rounded.filter(|rounded| Some(*rounded) != amount.as_str().and_then(Quantity::parse))
                {
                    *amount = rounded.to_string().into();
                }
            }
        }
    }
}

fn http_get(handler: &mut Value) {
    if let Some(http) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
        default_text(http, "path", "/");
        default_text(http, "scheme", "HTTP");
    }
}

fn requests_from_limits(resources: &mut Map<String, Value>) {
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else { return };
    let requests = resources.entry("requests").or_insert_with(|| json!({}));
    if let Some(requests) = requests.as_object_mut() {
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    }
}

fn probe(probe: &mut Map<String, Value>) {
    for (key, value) in [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        let entry = probe.entry(key).or_insert(Value::Null);
        if entry.is_null() || *entry == 0 {
            *entry = value.into();
        }
    }
    if let Some(grpc) = probe.get_mut("grpc").and_then(Value::as_object_mut) {
        default(grpc, "service", "");
    }
}

/// Without a tag, or with `latest`, an image is pulled each time.
fn pulls_always(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    // What is no image's name has no tag.
    if image
        .split(':')
        .next()
        .is_some_and(|name| name.rsplit('/').next().unwrap_or(name).contains(|c: char| c.is_ascii_uppercase()))
    {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn volume(volume: &mut Value) {
    let Some(volume) = volume.as_object_mut() else { return };
    let has_source = volume.keys().any(|key| key != "name");
    if !has_source {
        volume.insert("emptyDir".into(), json!({}));
    }
    for key in ["configMap", "secret", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(key).and_then(Value::as_object_mut) {
            default(source, "defaultMode", 0o644);
        }
    }
    if let Some(host_path) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
        default(host_path, "type", "");
    }
    let projected = volume.get_mut("projected").and_then(|projected| projected.get_mut("sources"));
    for source in projected.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(token) = source.get_mut("serviceAccountToken").and_then(Value::as_object_mut) {
            default(token, "expirationSeconds", 3600);
        }
        downward_items(source.get_mut("downwardAPI"));
    }
    downward_items(volume.get_mut("downwardAPI"));
}

fn downward_items(source: Option<&mut Value>) {
    let Some(source) = source else { return };
    for item in source.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(field) = item.get_mut("fieldRef").and_then(Value::as_object_mut) {
            default_text(field, "apiVersion", "v1");
        }
    }
}

fn service(object: &mut Value) {
    let Some(spec) = member(object, "spec") else { return };
    default_text(spec, "sessionAffinity", "None");
    default_text(spec, "type", "ClusterIP");
    if spec["sessionAffinity"] == "ClientIP" {
        default(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10800}}));
    } else {
        spec.remove("sessionAffinityConfig");
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(port) = port.as_object_mut() else { continue };
        default_text(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or(Value::Null);
        let target = port.entry("targetPort").or_insert(Value::Null);
        if target.is_null() || *target == 0 || target.as_str() == Some("") {
            *target = number;
        }
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    let external = spec.get("externalIPs").and_then(Value::as_array).is_some_and(|addresses| !addresses.is_empty());
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") || (kind == "ClusterIP" && external) {
        default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind != "ExternalName" {
        default_text(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// `stringData` is for writing only: it is merged into `data`.
fn secret(object: &mut Value) {
    use base64::Engine as _;
    let Some(secret) = object.as_object_mut() else { return };
    default_text(secret, "type", "Opaque");
    if let Some(Value::Object(plain)) = secret.remove("stringData") {
        let data = secret.entry("data").or_insert_with(|| json!({}));
        if data.is_null() {
            *data = json!({});
        }
        if let Some(data) = data.as_object_mut() {
            for (name, text) in plain {
                let text = text.as_str().unwrap_or_default();
                data.insert(name, base64::engine::general_purpose::STANDARD.encode(text).into());
            }
        }
    }
}

fn namespace(object: &mut Value) {
    let name = object.get("metadata").map(|metadata| text(metadata, "name").to_owned()).unwrap_or_default();
    if let Some(metadata) = member(object, "metadata")
        && !name.is_empty()
    {
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if labels.is_null() {
            *labels = json!({});
        }
        if let Some(labels) = labels.as_object_mut() {
            labels.entry("kubernetes.io/metadata.name").or_insert(name.into());
        }
    }
}

fn endpoints(object: &mut Value) {
    for subset in object.get_mut("subsets").and_then(Value::as_array_mut).into_iter().flatten() {
        for port in subset.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(port) = port.as_object_mut() {
                default_text(port, "protocol", "TCP");
            }
        }
    }
}

/// A node's ranges hold its first one; what it can give is what it has where nothing else is said.
fn node(object: &mut Value) {
    if let Some(spec) = member(object, "spec")
        && let Some(range) =
            spec.get("podCIDR").filter(|range| range.as_str().is_some_and(|range| !range.is_empty())).cloned()
    {
        default(spec, "podCIDRs", json!([range]));
    }
    if let Some(status) = member(object, "status")
        && let Some(capacity) = status.get("capacity").cloned()
    {
        default(status, "allocatable", capacity);
    }
}

fn endpoint_slice(object: &mut Value) {
    for endpoint in object.get_mut("endpoints").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(endpoint) = endpoint.as_object_mut() {
            endpoint.remove("deprecatedTopology");
        }
    }
    if items(object, "ports").is_empty() {
        return;
    }
    for port in object.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            default(port, "name", "");
            default_text(port, "protocol", "TCP");
        }
    }
}
