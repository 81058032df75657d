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

/// Of a cluster without quotas and limits, nothing is said of them.
pub fn namespace(text: &mut Text, object: &Value, has_quotas: bool, has_limits: bool) {
    header(text, object);
    text.field(0, "Status", text_of(&object["status"]["phase"]));
    if has_quotas {
        text.line(0, "");
        text.line(0, "No resource quota.");
    }
    if has_limits {
        text.line(0, "");
        text.line(0, "No LimitRange resource.");
    }
}

pub fn service_account(text: &mut Text, object: &Value) {
    header(text, object);
    let names = |field: &str| {
        let names = object[field].as_array().into_iter().flatten();
        names.map(|reference| text_of(&reference["name"]).to_owned()).collect::<Vec<_>>()
    };
    text.values(0, "Image pull secrets", &names("imagePullSecrets"));
    text.values(0, "Mountable secrets", &names("secrets"));
    text.values(0, "Tokens", &[]);
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
    if lease.is_none() {
        let missing = "the server could not find the requested resource";
        text.field(
            0,
            "Lease",
            &format!("Failed to get lease: {missing} (get leases.coordination.k8s.io {})", name(object)),
        );
    }
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
    node_pods(text, object, pods);
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

fn node_pods(text: &mut Text, node: &Value, pods: &[Value]) {
    let ended = |pod: &Value| matches!(text_of(&pod["status"]["phase"]), "Succeeded" | "Failed");
    let is_here = |pod: &&Value| pod["spec"]["nodeName"] == name(node) && !ended(pod);
    let here: Vec<&Value> = pods.iter().filter(is_here).collect();
    let allocatable = &node["status"]["allocatable"];
    let now = Timestamp::now();
    text.field(0, "Non-terminated Pods", &format!("({} in total)", here.len()));
    text.line(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
    text.line(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
    for pod in &here {
        let share = |field: &str, resource: &str| amount(sum(&[pod], field, resource), resource, allocatable);
        let created = age::since(text_of(&pod["metadata"]["creationTimestamp"]), now);
        let cells = [
            text_of(&pod["metadata"]["namespace"]).to_owned(),
            name(pod).to_owned(),
            String::new(),
            share("requests", "cpu"),
            share("limits", "cpu"),
            share("requests", "memory"),
            share("limits", "memory"),
            created,
        ];
        text.line(1, &cells.join("\t"));
    }
    text.line(0, "Allocated resources:");
    text.line(1, "(Total limits may be over 100 percent, i.e., overcommitted.)");
    text.line(1, "Resource\tRequests\tLimits");
    text.line(1, "--------\t--------\t------");
    let others = allocatable.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    let huge = others.filter(|key| key.starts_with("hugepages-"));
    for resource in ["cpu", "memory", "ephemeral-storage"].into_iter().chain(huge) {
        let share = |field: &str| amount(sum(&here, field, resource), resource, allocatable);
        text.line(1, &format!("{resource}\t{}\t{}", share("requests"), share("limits")));
    }
}

/// What the containers ask for or are limited to, in thousandths.
fn sum(pods: &[&Value], field: &str, resource: &str) -> i128 {
    let containers = pods.iter().filter_map(|pod| pod["spec"]["containers"].as_array()).flatten();
    containers.map(|container| thousandths(&plain(&container["resources"][field][resource]))).sum()
}

/// `500m (25%)`.
fn amount(thousandths_of: i128, resource: &str, allocatable: &Value) -> String {
    let all = thousandths(&plain(&allocatable[resource]));
    let share = if all > 0 { thousandths_of * 100 / all } else { 0 };
    let text = match (thousandths_of % 1000, resource) {
        (0, _) => (thousandths_of / 1000).to_string(),
        (_, "cpu") => format!("{thousandths_of}m"),
        _ => ((thousandths_of + 999) / 1000).to_string(),
    };
    format!("{text} ({share}%)")
}

/// A quantity, `500m`, `2`, `64Mi`; 0 where it is none.
fn thousandths(quantity: &str) -> i128 {
    let end =
        quantity.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(quantity.len());
    let (digits, suffix) = quantity.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    let number = whole.parse::<i128>().unwrap_or(0) * 1000 + fraction.parse::<i128>().unwrap_or(0);
    match suffix {
        "m" => number / 1000,
        "k" => number * 1000,
        "M" => number * 1_000_000,
        "G" => number * 1_000_000_000,
        "Ki" => number << 10,
        "Mi" => number << 20,
        "Gi" => number << 30,
        "Ti" => number << 40,
        _ => number,
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
