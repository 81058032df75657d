//! The rules of Endpoints and `EndpointSlices`.

use serde_json::Value;

use super::super::status::Cause;
use super::pod::port_number;
use super::{duplicate, invalid, items, metadata, network, required, text, unsupported};

const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

pub fn endpoints(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, subset) in items(object, "subsets").iter().enumerate() {
        let path = format!("subsets[{index}]");
        if items(subset, "addresses").is_empty() && items(subset, "notReadyAddresses").is_empty() {
            causes.push(required(&*path, "must specify `addresses` or `notReadyAddresses`"));
        }
        for key in ["addresses", "notReadyAddresses"] {
            for (at, address) in items(subset, key).iter().enumerate() {
                endpoint(address, &format!("{path}.{key}[{at}]"), &mut causes);
            }
        }
        let ports = items(subset, "ports");
        for (at, port) in ports.iter().enumerate() {
            endpoint_port(port, ports.len() > 1, &format!("{path}.ports[{at}]"), &mut causes);
        }
    }
    causes
}

fn endpoint(address: &Value, path: &str, causes: &mut Vec<Cause>) {
    let field = format!("{path}.ip");
    let value = text(address, "ip").into();
    causes.extend(network::address(&field, &value));
    let host = text(address, "hostname");
    if !host.is_empty() {
        let rules = metadata::dns_label(host);
        causes.extend(rules.iter().map(|rule| invalid(format!("{path}.hostname"), &host.into(), rule)));
    }
    let node = text(address, "nodeName");
    let rules = if node.is_empty() { Vec::new() } else { metadata::dns_subdomain(node) };
    causes.extend(rules.iter().map(|rule| invalid(format!("{path}.nodeName"), &node.into(), rule)));
    causes.extend(network::endpoint(&field, &value));
}

fn endpoint_port(port: &Value, named: bool, path: &str, causes: &mut Vec<Cause>) {
    let name = text(port, "name");
    if named && name.is_empty() {
        causes.push(required(format!("{path}.name"), ""));
    } else if !name.is_empty() {
        let rules = metadata::dns_label(name);
        causes.extend(rules.iter().map(|rule| invalid(format!("{path}.name"), &name.into(), rule)));
    }
    causes.extend(port_number(format!("{path}.port"), port.get("port").and_then(Value::as_i64).unwrap_or(0)));
    protocols(port, path, causes);
}

fn protocols(port: &Value, path: &str, causes: &mut Vec<Cause>) {
    let protocol = text(port, "protocol");
    if protocol.is_empty() {
        causes.push(required(format!("{path}.protocol"), ""));
    } else if !PROTOCOLS.contains(&protocol) {
        causes.push(unsupported(format!("{path}.protocol"), &protocol.into(), PROTOCOLS));
    }
    if let Some(protocol) = port.get("appProtocol").and_then(Value::as_str) {
        let rules = metadata::qualified_name(protocol);
        causes.extend(rules.iter().map(|rule| invalid(format!("{path}.appProtocol"), &protocol.into(), rule)));
    }
}

pub fn slice(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let family = text(object, "addressType");
    match family {
        "" => causes.push(required("addressType", "")),
        "FQDN" | "IPv4" | "IPv6" => {}
        other => causes.push(unsupported("addressType", &other.into(), &["FQDN", "IPv4", "IPv6"])),
    }
    for (index, endpoint) in items(object, "endpoints").iter().enumerate() {
        slice_endpoint(endpoint, family, &format!("endpoints[{index}]"), &mut causes);
    }
    let mut names = Vec::new();
    for (index, port) in items(object, "ports").iter().enumerate() {
        let path = format!("ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            let rules = metadata::dns_label(name);
            causes.extend(rules.iter().map(|rule| invalid(format!("{path}.name"), &name.into(), rule)));
        }
        if names.contains(&name) {
            causes.push(duplicate(format!("{path}.name"), &name.into()));
        }
        names.push(name);
        protocols(port, &path, &mut causes);
    }
    causes
}

fn slice_endpoint(endpoint: &Value, family: &str, path: &str, causes: &mut Vec<Cause>) {
    let addresses = items(endpoint, "addresses");
    let field = format!("{path}.addresses");
    if addresses.is_empty() {
        causes.push(required(&*field, "must contain at least 1 address"));
    }
    for (index, address) in addresses.iter().enumerate() {
        let shown = address.as_str().unwrap_or_default();
        let here = format!("{field}[{index}]");
        match family {
            "FQDN" => {
                let rules = metadata::dns_subdomain(shown);
                causes.extend(rules.iter().map(|rule| invalid(here.clone(), address, rule)));
            }
            "IPv4" | "IPv6" => match network::address(&here, address) {
                Some(cause) => causes.push(cause),
                None if shown.contains(':') != (family == "IPv6") => {
                    causes.push(invalid(&*field, address, &format!("must be an {family} address")));
                }
                None => causes.extend(network::endpoint(&here, address)),
            },
            _ => {}
        }
    }
    for (key, rules) in
        [("nodeName", metadata::dns_subdomain as fn(&str) -> Vec<String>), ("hostname", metadata::dns_label)]
    {
        if let Some(name) = endpoint.get(key).and_then(Value::as_str) {
            causes.extend(rules(name).iter().map(|rule| invalid(format!("{path}.{key}"), &name.into(), rule)));
        }
    }
}
