//! Services, config maps, secrets, namespaces, nodes, and any other kind.

use base64::Engine;
use jiff::Timestamp;
use serde_json::Value;

use super::super::output::age;
use super::{Text, name, number, pairs, plain, text_of};

pub fn service(text: &mut Text, object: &Value, slices: &[Value]) {
    let spec = &object["spec"];
    text.field(0, "Name", name(object));
    text.field(0, "Namespace", text_of(&object["metadata"]["namespace"]));
    text.labels(0, object);
    text.annotations(0, object);
    let selector = pairs(&spec["selector"], "=").join(",");
    text.field(0, "Selector", if selector.is_empty() { "<none>" } else { &selector });
    text.field(0, "Type", text_of(&spec["type"]));
    if let Some(policy) = spec["ipFamilyPolicy"].as_str() {
        text.field(0, "IP Family Policy", policy);
    }
    let list = |field: &str| {
        let texts: Vec<&str> = spec[field].as_array().into_iter().flatten().map(text_of).collect();
        if texts.is_empty() { "<none>".to_owned() } else { texts.join(",") }
    };
    text.field(0, "IP Families", &list("ipFamilies"));
    text.field(0, "IP", text_of(&spec["clusterIP"]));
    text.field(0, "IPs", &list("clusterIPs"));
    if let Some(external) = spec["externalName"].as_str() {
        text.field(0, "External Name", external);
    }
    for port in spec["ports"].as_array().into_iter().flatten() {
        let label = port["name"].as_str().filter(|name| !name.is_empty()).unwrap_or("<unset>");
        let protocol = text_of(&port["protocol"]);
        text.line(0, &format!("Port:\t{label}\t{}/{protocol}", number(&port["port"])));
        text.field(0, "TargetPort", &format!("{}/{protocol}", plain(&port["targetPort"])));
        if let Some(node_port) = port["nodePort"].as_u64() {
            text.line(0, &format!("NodePort:\t{label}\t{node_port}/{protocol}"));
        }
        text.field(0, "Endpoints", &endpoints(slices, port));
    }
    text.field(0, "Session Affinity", text_of(&spec["sessionAffinity"]));
    for (label, field) in
        [("External Traffic Policy", "externalTrafficPolicy"), ("Internal Traffic Policy", "internalTrafficPolicy")]
    {
        if let Some(policy) = spec[field].as_str() {
            text.field(0, label, policy);
        }
    }
}

/// The ready addresses behind a port.
fn endpoints(slices: &[Value], port: &Value) -> String {
    let mut found = Vec::new();
    for slice in slices {
        let named = slice["ports"].as_array().into_iter().flatten();
        let same = |candidate: &&Value| {
            candidate["name"].as_str().unwrap_or_default() == port["name"].as_str().unwrap_or_default()
        };
        let Some(number) = named.into_iter().find(same).and_then(|port| port["port"].as_u64()) else { continue };
        let ready = slice["endpoints"].as_array().into_iter().flatten();
        for endpoint in ready.filter(|endpoint| endpoint["conditions"]["ready"] != false) {
            found.extend(
                endpoint["addresses"].as_array().into_iter().flatten().map(|ip| format!("{}:{number}", text_of(ip))),
            );
        }
    }
    found.sort();
    match found.len() {
        0 => String::new(),
        1..=3 => found.join(","),
        more => format!("{} + {} more...", found[..3].join(","), more - 3),
    }
}

pub fn config_map(text: &mut Text, object: &Value) {
    header(text, object);
    text.line(0, "");
    text.line(0, "Data");
    text.line(0, "====");
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        text.line(0, &format!("{key}:"));
        text.line(0, "----");
        text.line(0, text_of(value));
        text.line(0, "");
    }
    text.line(0, "");
    text.line(0, "BinaryData");
    text.line(0, "====");
    for (key, value) in object["binaryData"].as_object().into_iter().flatten() {
        text.line(0, &format!("{key}: {} bytes", decoded_length(value)));
    }
    text.line(0, "");
}

fn decoded_length(value: &Value) -> usize {
    base64::engine::general_purpose::STANDARD.decode(text_of(value)).map_or(0, |bytes| bytes.len())
}

pub fn secret(text: &mut Text, object: &Value) {
    header(text, object);
    text.line(0, "");
    text.field(0, "Type", &format!(" {}", text_of(&object["type"])).replacen(' ', "", 1));
    text.line(0, "");
    text.line(0, "Data");
    text.line(0, "====");
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        text.field(0, key, &format!("{} bytes", decoded_length(value)));
    }
}

fn header(text: &mut Text, object: &Value) {
    text.field(0, "Name", name(object));
    if let Some(namespace) = object["metadata"]["namespace"].as_str() {
        text.field(0, "Namespace", namespace);
    }
    text.labels(0, object);
    text.annotations(0, object);
}

pub fn namespace(text: &mut Text, object: &Value) {
    header(text, object);
    text.field(0, "Status", text_of(&object["status"]["phase"]));
    text.line(0, "");
    text.line(0, "No resource quota.");
    text.line(0, "");
    text.line(0, "No LimitRange resource.");
}

pub fn node(text: &mut Text, object: &Value, pods: &[Value], lease: Option<&Value>) {
    let (metadata, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    text.field(0, "Name", name(object));
    let prefix = "node-role.kubernetes.io/";
    let labels = metadata["labels"].as_object().into_iter().flatten();
    let roles: Vec<&str> = labels.filter_map(|(key, _)| key.strip_prefix(prefix)).collect();
    text.field(0, "Roles", if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }.as_str());
    text.labels(0, object);
    text.annotations(0, object);
    text.field(0, "CreationTimestamp", &age::long(text_of(&metadata["creationTimestamp"])));
    text.field(0, "Taints", "<none>");
    text.field(0, "Unschedulable", if spec["unschedulable"] == true { "true" } else { "false" });
    if let Some(lease) = lease {
        text.line(0, "Lease:");
        text.field(1, "HolderIdentity", lease["spec"]["holderIdentity"].as_str().unwrap_or("<unset>"));
        text.field(1, "AcquireTime", &age::long(text_of(&lease["spec"]["acquireTime"])));
        text.field(1, "RenewTime", &age::long(text_of(&lease["spec"]["renewTime"])));
    }
    node_conditions(text, status);
    text.line(0, "Addresses:");
    for address in status["addresses"].as_array().into_iter().flatten() {
        text.field(1, text_of(&address["type"]), text_of(&address["address"]));
    }
    for (label, field) in [("Capacity", "capacity"), ("Allocatable", "allocatable")] {
        text.line(0, &format!("{label}:"));
        for (key, value) in status[field].as_object().into_iter().flatten() {
            text.field(1, key, &plain(value));
        }
    }
    node_info(text, status, spec);
    node_pods(text, name(object), pods);
}

fn node_conditions(text: &mut Text, status: &Value) {
    text.line(0, "Conditions:");
    text.line(1, "Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage");
    text.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
    for condition in status["conditions"].as_array().into_iter().flatten() {
        let cells = [
            format!("{} ", text_of(&condition["type"])),
            format!("{} ", text_of(&condition["status"])),
            format!("{} ", age::long(text_of(&condition["lastHeartbeatTime"]))),
            format!("{} ", age::long(text_of(&condition["lastTransitionTime"]))),
            format!("{} ", text_of(&condition["reason"])),
            format!("{} ", text_of(&condition["message"])),
        ];
        text.line(1, cells.join("\t").trim_end());
    }
}

fn node_info(text: &mut Text, status: &Value, spec: &Value) {
    let info = &status["nodeInfo"];
    text.line(0, "System Info:");
    let fields = [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
        ("Kube-Proxy Version", "kubeProxyVersion"),
    ];
    for (label, field) in fields {
        text.field(1, label, text_of(&info[field]));
    }
    for (label, field) in [("PodCIDR", "podCIDR"), ("ProviderID", "providerID")] {
        if let Some(value) = spec[field].as_str() {
            text.field(0, label, value);
        }
        if field == "podCIDR" {
            let all: Vec<&str> = spec["podCIDRs"].as_array().into_iter().flatten().map(text_of).collect();
            text.field(0, "PodCIDRs", &all.join(","));
        }
    }
}

fn node_pods(text: &mut Text, node: &str, pods: &[Value]) {
    let ended = |pod: &Value| matches!(text_of(&pod["status"]["phase"]), "Succeeded" | "Failed");
    let here: Vec<&Value> = pods.iter().filter(|pod| pod["spec"]["nodeName"] == node && !ended(pod)).collect();
    let now = Timestamp::now();
    text.field(0, "Non-terminated Pods", &format!("({} in total)", here.len()));
    text.line(1, "Namespace\tName\tAge");
    text.line(1, "---------\t----\t---");
    for pod in here {
        let created = age::since(text_of(&pod["metadata"]["creationTimestamp"]), now);
        text.line(1, &format!("{}\t{}\t{created}", text_of(&pod["metadata"]["namespace"]), name(pod)));
    }
}

/// A kind without a description of its own: all its fields.
pub fn any(text: &mut Text, object: &Value) {
    header(text, object);
    text.field(0, "API Version", text_of(&object["apiVersion"]));
    text.field(0, "Kind", text_of(&object["kind"]));
    let shown = object.as_object().into_iter().flatten();
    for (key, value) in shown.filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind")) {
        let mut value = value.clone();
        if key == "metadata"
            && let Some(metadata) = value.as_object_mut()
        {
            metadata.retain(|key, _| {
                !matches!(key.as_str(), "managedFields" | "name" | "namespace" | "labels" | "annotations")
            });
        }
        tree(text, 0, key, &value);
    }
}

/// `creationTimestamp` as `Creation Timestamp`.
fn words(key: &str) -> String {
    let mut text = String::new();
    for (index, character) in key.chars().enumerate() {
        if index == 0 {
            text.extend(character.to_uppercase());
        } else if character.is_uppercase() && !text.ends_with(|before: char| before.is_uppercase()) {
            text.push(' ');
            text.push(character);
        } else {
            text.push(character);
        }
    }
    text
}

fn tree(text: &mut Text, level: usize, key: &str, value: &Value) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.line(level, &format!("{}:", words(key)));
            map.iter().for_each(|(key, value)| tree(text, level + 1, key, value));
        }
        Value::Array(items) if !items.is_empty() => {
            text.line(level, &format!("{}:", words(key)));
            for item in items {
                match item {
                    Value::Object(map) => map.iter().for_each(|(key, value)| tree(text, level + 1, key, value)),
                    scalar => text.line(level + 1, &plain(scalar)),
                }
            }
        }
        Value::Object(_) | Value::Array(_) => text.field(level, &words(key), ""),
        scalar => text.field(level, &words(key), &plain(scalar)),
    }
}
