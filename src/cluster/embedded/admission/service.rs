//! The rules of a Service, in the order of `validateService`.

use serde_json::{Value, json};

use super::super::status::Cause;
use super::pod::{port_name, port_number};
use super::{duplicate, forbidden, invalid, items, metadata, network, required, text, unsupported};

const KINDS: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

pub fn validate(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let kind = text(spec, "type");
    let headless = cluster_ips(spec).first().is_some_and(|address| *address == "None");
    if items(spec, "ports").is_empty() && !headless && kind != "ExternalName" {
        causes.push(required("spec.ports", ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            let detail = format!("may not be set to 'None' for {kind} services");
            causes.push(invalid("spec.clusterIPs[0]", &"None".into(), &detail));
        }
        "ExternalName" => external_name(spec, &mut causes),
        _ => {}
    }
    ports(spec, &mut causes);
    causes.extend(metadata::labels(spec.get("selector"), "spec.selector"));
    affinity(spec, &mut causes);
    addresses(spec, kind, &mut causes);
    for (index, address) in items(spec, "externalIPs").iter().enumerate() {
        let field = format!("spec.externalIPs[{index}]");
        match network::address(&field, address) {
            Some(cause) => causes.push(cause),
            None => causes.extend(network::endpoint(&field, address)),
        }
    }
    if !KINDS.contains(&kind) {
        causes.push(unsupported("spec.type", &kind.into(), KINDS));
    }
    ports_among_each_other(spec, kind, &mut causes);
    load_balancer(spec, kind, &mut causes);
    traffic(spec, kind, &mut causes);
    causes
}

/// The addresses as the API server puts them together: the single one stands for the list.
fn cluster_ips(spec: &Value) -> Vec<&str> {
    let list: Vec<&str> = items(spec, "clusterIPs").iter().filter_map(Value::as_str).collect();
    let single = text(spec, "clusterIP");
    if list.is_empty() && !single.is_empty() { vec![single] } else { list }
}

fn external_name(spec: &Value, causes: &mut Vec<Cause>) {
    if !cluster_ips(spec).is_empty() {
        causes.push(forbidden("spec.clusterIPs", "may not be set for ExternalName services"));
    }
    if !items(spec, "ipFamilies").is_empty() {
        causes.push(forbidden("spec.ipFamilies", "may not be set for ExternalName services"));
    }
    if spec.get("ipFamilyPolicy").is_some_and(Value::is_string) {
        causes.push(forbidden("spec.ipFamilyPolicy", "may not be set for ExternalName services"));
    }
    let name = text(spec, "externalName");
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        causes.push(required("spec.externalName", ""));
    } else {
        let rules = metadata::dns_subdomain(name);
        causes.extend(rules.iter().map(|rule| invalid("spec.externalName", &name.into(), rule)));
    }
}

fn ports(spec: &Value, causes: &mut Vec<Cause>) {
    let ports = items(spec, "ports");
    let mut names = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        let name = text(port, "name");
        if ports.len() > 1 && name.is_empty() {
            causes.push(required(format!("{field}.name"), ""));
        } else if !name.is_empty() {
            let rules = metadata::dns_label(name);
            causes.extend(rules.iter().map(|rule| invalid(format!("{field}.name"), &name.into(), rule)));
            if names.contains(&name) {
                causes.push(duplicate(format!("{field}.name"), &name.into()));
            }
            names.push(name);
        }
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        causes.extend(port_number(format!("{field}.port"), number));
        let protocol = port.get("protocol").unwrap_or(&Value::Null);
        if !matches!(protocol.as_str(), Some("TCP" | "UDP" | "SCTP")) {
            causes.push(unsupported(format!("{field}.protocol"), protocol, &["SCTP", "TCP", "UDP"]));
        }
        let place = format!("{field}.targetPort");
        match port.get("targetPort") {
            Some(Value::Number(target)) => {
                causes.extend(port_number(place, target.as_i64().unwrap_or(0)));
            }
            Some(Value::String(name)) => {
                let rules = port_name(name);
                causes.extend(rules.iter().map(|rule| invalid(place.clone(), &name.clone().into(), rule)));
            }
            _ => {}
        }
        if let Some(protocol) = port.get("appProtocol").and_then(Value::as_str) {
            let rules = metadata::qualified_name(protocol);
            causes.extend(rules.iter().map(|rule| invalid(format!("{field}.appProtocol"), &protocol.into(), rule)));
        }
    }
}

fn ports_among_each_other(spec: &Value, kind: &str, causes: &mut Vec<Cause>) {
    let node_port = |port: &Value| port.get("nodePort").and_then(Value::as_i64).unwrap_or(0);
    let (mut node_ports, mut numbers) = (Vec::new(), Vec::new());
    for (index, port) in items(spec, "ports").iter().enumerate() {
        let chosen = node_port(port);
        let field = format!("spec.ports[{index}].nodePort");
        if chosen == 0 {
            continue;
        }
        if kind == "ClusterIP" {
            causes.push(forbidden(field.clone(), "may not be used when `type` is 'ClusterIP'"));
        }
        let key = (text(port, "protocol"), chosen);
        if node_ports.contains(&key) {
            causes.push(duplicate(field, &chosen.into()));
        }
        node_ports.push(key);
    }
    for (index, port) in items(spec, "ports").iter().enumerate() {
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        let key = (number, text(port, "protocol"));
        if numbers.contains(&key) {
            causes.push(Cause {
                reason: "FieldValueDuplicate",
                message: format!(
                    "Duplicate value: {{\"Name\":\"\",\"Protocol\":{:?},\"AppProtocol\":null,\"Port\":{number},\"TargetPort\":0,\"NodePort\":0}}",
                    key.1
                ),
                field: format!("spec.ports[{index}]"),
            });
        }
        numbers.push(key);
    }
}

fn affinity(spec: &Value, causes: &mut Vec<Cause>) {
    let affinity = text(spec, "sessionAffinity");
    if !matches!(affinity, "None" | "ClientIP") {
        causes.push(unsupported("spec.sessionAffinity", &affinity.into(), &["ClientIP", "None"]));
    }
    let seconds = spec.pointer("/sessionAffinityConfig/clientIP/timeoutSeconds").and_then(Value::as_i64);
    if affinity == "ClientIP"
        && let Some(seconds) = seconds
        && !(1..=86_400).contains(&seconds)
    {
        let field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
        causes.push(invalid(field, &seconds.into(), "must be greater than 0 and less than 86400"));
    }
}

/// The families and addresses, of which this cluster has one family.
fn addresses(spec: &Value, kind: &str, causes: &mut Vec<Cause>) {
    if kind == "ExternalName" {
        return;
    }
    let policy = text(spec, "ipFamilyPolicy");
    let policies = &["PreferDualStack", "RequireDualStack", "SingleStack"];
    if !policy.is_empty() && !policies.contains(&policy) {
        causes.push(unsupported("spec.ipFamilyPolicy", &policy.into(), policies));
    }
    let families = items(spec, "ipFamilies");
    for (index, family) in families.iter().enumerate() {
        let field = format!("spec.ipFamilies[{index}]");
        if !matches!(family.as_str(), Some("IPv4" | "IPv6")) {
            causes.push(unsupported(field, family, &["IPv4", "IPv6"]));
        } else if families[..index].contains(family) {
            causes.push(duplicate(field, family));
        }
    }
    let (single, list) = (text(spec, "clusterIP"), items(spec, "clusterIPs"));
    if list.first().is_some_and(|first| first != single) {
        causes.push(invalid("spec.clusterIPs", &json!(list), "first value must match `clusterIP`"));
    }
    for (index, address) in cluster_ips(spec).iter().enumerate() {
        let field = format!("spec.clusterIPs[{index}]");
        if *address == "None" {
            continue;
        }
        if let Some(cause) = network::address(&field, &(*address).into()) {
            causes.push(cause);
            continue;
        }
        let family = if address.contains(':') { "IPv6" } else { "IPv4" };
        let wanted = families.get(index).and_then(Value::as_str).filter(|wanted| matches!(*wanted, "IPv4" | "IPv6"));
        if let Some(wanted) = wanted.filter(|wanted| *wanted != family) {
            let detail = format!("expected an {wanted} value as indicated by `ipFamilies[{index}]`");
            causes.push(invalid(field, &(*address).into(), &detail));
        }
    }
}

fn load_balancer(spec: &Value, kind: &str, causes: &mut Vec<Cause>) {
    let is_one = kind == "LoadBalancer";
    let only = "may only be used when `type` is 'LoadBalancer'";
    let ranges = items(spec, "loadBalancerSourceRanges");
    if !ranges.is_empty() {
        if !is_one {
            causes.push(forbidden("spec.LoadBalancerSourceRanges", only));
        }
        for (index, range) in ranges.iter().enumerate() {
            let text = range.as_str().unwrap_or_default().trim();
            causes.extend(network::range(&format!("spec.LoadBalancerSourceRanges[{index}]"), text));
        }
    }
    if !is_one && spec.get("allocateLoadBalancerNodePorts").is_some_and(Value::is_boolean) {
        causes.push(forbidden("spec.allocateLoadBalancerNodePorts", only));
    }
    if let Some(class) = spec.get("loadBalancerClass").and_then(Value::as_str) {
        if is_one {
            let rules = metadata::qualified_name(class);
            causes.extend(rules.iter().map(|rule| invalid("spec.loadBalancerClass", &class.into(), rule)));
        } else {
            causes.push(forbidden("spec.loadBalancerClass", only));
        }
    }
}

fn traffic(spec: &Value, kind: &str, causes: &mut Vec<Cause>) {
    let external = text(spec, "externalTrafficPolicy");
    let accessible =
        matches!(kind, "LoadBalancer" | "NodePort") || (kind == "ClusterIP" && !items(spec, "externalIPs").is_empty());
    let field = "spec.externalTrafficPolicy";
    if !external.is_empty() && !accessible {
        causes.push(invalid(field, &external.into(), "may only be set for externally-accessible services"));
    } else if accessible && !matches!(external, "Cluster" | "Local") {
        if external.is_empty() {
            causes.push(required(field, ""));
        } else {
            causes.push(unsupported(field, &external.into(), &["Cluster", "Local"]));
        }
    }
    let check = spec.get("healthCheckNodePort").and_then(Value::as_i64).unwrap_or(0);
    if check != 0 && !(kind == "LoadBalancer" && external == "Local") {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        causes.push(invalid("spec.healthCheckNodePort", &check.into(), detail));
    }
    let internal = text(spec, "internalTrafficPolicy");
    if !internal.is_empty() && !matches!(internal, "Cluster" | "Local") {
        causes.push(unsupported("spec.internalTrafficPolicy", &internal.into(), &["Cluster", "Local"]));
    }
    let distribution = text(spec, "trafficDistribution");
    let known = &["PreferClose", "PreferSameZone", "PreferSameNode"];
    if !distribution.is_empty() && !known.contains(&distribution) {
        causes.push(unsupported("spec.trafficDistribution", &distribution.into(), known));
    }
}

/// An address stays as long as the Service has one.
pub fn update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let spec = |object: &Value, key: &str| -> String {
        object.get("spec").map(|spec| text(spec, key).to_owned()).unwrap_or_default()
    };
    let (now, before) = (spec(new, "clusterIP"), spec(old, "clusterIP"));
    let named = [spec(new, "type"), spec(old, "type")].iter().any(|kind| kind == "ExternalName");
    if !named && !before.is_empty() && now != before {
        causes.push(invalid("spec.clusterIPs[0]", &json!([now]), "may not change once set"));
    }
}
