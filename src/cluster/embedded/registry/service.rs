//! A Service's addresses and node ports: unique in the cluster, chosen where the client leaves them open, kept
//! over updates that do not mention them.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::super::schema::{self, Kind};
use super::super::status::Cause;
use super::super::store::Store;
use super::{errors, metadata};

/// The first address of the range is the API server's own.
pub(super) const API_SERVER_ADDRESS: &str = "10.96.0.1";
const NETWORK: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 0);
const NETWORK_BITS: u32 = 16;
const PORT_FIRST: u16 = 30_000;
const PORT_LAST: u16 = 32_767;

pub(super) fn concerns(kind: &Kind) -> bool {
    kind.name == "Service" && kind.group.is_empty()
}

impl super::Registry {
    /// Services are written one at a time.
    pub(super) fn service_guard(&self, kind: &Kind) -> Option<std::sync::MutexGuard<'_, ()>> {
        concerns(kind).then(|| self.services.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

fn member<'a>(service: &'a Value, key: &str) -> Option<&'a Value> {
    service.get("spec")?.get(key)
}

fn kind_of(service: &Value) -> &str {
    member(service, "type").and_then(Value::as_str).unwrap_or("ClusterIP")
}

fn wants_address(service: &Value) -> bool {
    matches!(kind_of(service), "ClusterIP" | "NodePort" | "LoadBalancer")
}

fn wants_node_ports(service: &Value) -> bool {
    matches!(kind_of(service), "NodePort" | "LoadBalancer")
}

fn cluster_ip(service: &Value) -> &str {
    member(service, "clusterIP").and_then(Value::as_str).unwrap_or_default()
}

fn ports(service: &Value) -> &[Value] {
    member(service, "ports").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn node_port(port: &Value) -> i64 {
    port.get("nodePort").and_then(Value::as_i64).unwrap_or(0)
}

/// Before validation of an update: what was allocated and is not mentioned stays; what the new type does not have
/// goes.
pub(super) fn carry_over(new: &mut Value, live: &Value) {
    let changed_type = kind_of(new) != kind_of(live);
    if changed_type && !wants_node_ports(new) {
        drop_node_ports(new, live);
    }
    if changed_type && !wants_address(new) {
        drop_address(new, live);
    }
    let address_stays = wants_address(new) && wants_address(live);
    let ports_stay = wants_node_ports(new) && wants_node_ports(live);
    let ip_before = cluster_ip(live).to_owned();
    let ip_now = cluster_ip(new).to_owned();
    let spec = metadata::member_mut(new, "spec");
    if address_stays {
        if ip_now.is_empty() && !ip_before.is_empty() {
            spec.insert("clusterIP".into(), ip_before.clone().into());
            spec.remove("clusterIPs");
        }
        for key in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if let (false, Some(value)) = (spec.contains_key(key), member(live, key)) {
                spec.insert(key.into(), value.clone());
            }
        }
        let same_list = spec.get("clusterIPs") == member(live, "clusterIPs");
        if !ip_now.is_empty() && ip_now != ip_before && same_list {
            spec.insert("clusterIPs".into(), json!([ip_now]));
        }
    }
    if ports_stay {
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            let before = ports(live)
                .iter()
                .find(|old| old.get("port") == port.get("port") && old.get("protocol") == port.get("protocol"));
            if let (0, Some(before)) = (node_port(port), before.filter(|old| node_port(old) > 0)) {
                port["nodePort"] = before["nodePort"].clone();
            }
        }
    }
}

/// Node ports that the client did not set itself vanish with the type that had them.
fn drop_node_ports(new: &mut Value, live: &Value) {
    let before: HashSet<i64> = ports(live).iter().map(node_port).collect();
    let spec = metadata::member_mut(new, "spec");
    spec.remove("externalTrafficPolicy");
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if before.contains(&node_port(port))
            && let Some(port) = port.as_object_mut()
        {
            port.remove("nodePort");
        }
    }
}

fn drop_address(new: &mut Value, live: &Value) {
    let same = cluster_ip(new) == cluster_ip(live);
    let spec = metadata::member_mut(new, "spec");
    if same {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    for key in ["ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
        spec.remove(key);
    }
}

/// Checks what the client chose and chooses the rest. `live` is the service before an update.
///
/// A dry run meets the node ports of others, but neither their range nor taken addresses, as with Kubernetes.
pub(super) fn allocate(
    store: &Store,
    service: &mut Value,
    live: Option<&Value>,
    dry_run: bool,
) -> Result<(), Vec<Cause>> {
    let others = others(store, service, live);
    if wants_address(service) {
        let before = live.map(cluster_ip).unwrap_or_default();
        allocate_address(&others, service, before, dry_run)?;
    }
    if wants_node_ports(service) {
        let before: HashSet<i64> = live.map(ports).unwrap_or_default().iter().map(node_port).collect();
        allocate_ports(&others, service, &before, dry_run)?;
        let local = member(service, "externalTrafficPolicy").is_some_and(|policy| policy == "Local");
        let checked = member(service, "healthCheckNodePort").and_then(Value::as_i64).unwrap_or(0);
        if local && kind_of(service) == "LoadBalancer" && checked == 0 {
            let taken: HashSet<i64> = ports(service).iter().map(node_port).collect();
            if let Some(port) = free_port(&taken) {
                metadata::member_mut(service, "spec").insert("healthCheckNodePort".into(), port.into());
            }
        }
    }
    Ok(())
}

/// Every service but the one that is updated; a new one meets even a namesake, before it is told that it has one.
fn others(store: &Store, service: &Value, live: Option<&Value>) -> Vec<Value> {
    let Some(kind) = schema::by_kind("v1", "Service") else { return Vec::new() };
    let (namespace, name) = (metadata::text(service, "namespace"), metadata::text(service, "name"));
    let (_, entries) = store.list(kind, None);
    entries
        .iter()
        .filter(|entry| live.is_none() || &*entry.namespace != namespace || &*entry.name != name)
        .map(|entry| entry.value())
        .collect()
}

fn allocate_address(others: &[Value], service: &mut Value, before: &str, dry_run: bool) -> Result<(), Vec<Cause>> {
    let wanted = cluster_ip(service).to_owned();
    let first = member(service, "clusterIPs").and_then(|list| list.get(0)).and_then(Value::as_str).unwrap_or_default();
    let wanted = if wanted.is_empty() { first.to_owned() } else { wanted };
    if !before.is_empty() && wanted != before {
        let value = json!([wanted]);
        return Err(vec![errors::invalid_value("spec.clusterIPs[0]", &value, "may not change once set")]);
    }
    let chosen = if wanted == "None" || (!before.is_empty() && wanted == before) {
        wanted
    } else {
        let others = if dry_run { &[] } else { others };
        let taken: HashSet<String> = others.iter().map(|other| cluster_ip(other).to_owned()).collect();
        choose_address(&wanted, &taken, dry_run)
            .map_err(|detail| vec![errors::invalid_value("spec.clusterIPs", &json!([wanted]), &detail)])?
    };
    let policy = member(service, "ipFamilyPolicy").and_then(Value::as_str).unwrap_or_default();
    if policy == "RequireDualStack" {
        let detail = "this cluster is not configured for dual-stack services";
        return Err(vec![errors::invalid_value("spec.ipFamilyPolicy", &policy.into(), detail)]);
    }
    let spec = metadata::member_mut(service, "spec");
    spec.insert("clusterIPs".into(), json!([chosen]));
    spec.insert("clusterIP".into(), chosen.into());
    spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4"]));
    spec.entry("ipFamilyPolicy").or_insert_with(|| "SingleStack".into());
    spec.entry("internalTrafficPolicy").or_insert_with(|| "Cluster".into());
    Ok(())
}

fn choose_address(wanted: &str, taken: &HashSet<String>, dry_run: bool) -> Result<String, String> {
    if wanted.is_empty() {
        let hosts = 1 << (32 - NETWORK_BITS);
        // The lowest 256 addresses are left to those who choose their own, as Kubernetes does.
        return (0..64)
            .map(|_| Ipv4Addr::from(u32::from(NETWORK) + fastrand::u32(257..hosts - 1)).to_string())
            .find(|address| !taken.contains(address))
            .ok_or_else(|| "failed to allocate IP: range is full".into());
    }
    let inside = wanted
        .parse::<Ipv4Addr>()
        .is_ok_and(|address| u32::from(address) >> (32 - NETWORK_BITS) == u32::from(NETWORK) >> (32 - NETWORK_BITS));
    if !inside {
        let why = if dry_run {
            let range = format!("{NETWORK}/{NETWORK_BITS}");
            format!("the provided IP ({wanted}) is not in the valid range. The range of valid IPs is {range}")
        } else {
            "the provided network does not match the current range".to_owned()
        };
        return Err(format!("failed to allocate IP {wanted}: {why}"));
    }
    if taken.contains(wanted) {
        return Err(format!("failed to allocate IP {wanted}: provided IP is already allocated"));
    }
    Ok(wanted.into())
}

fn allocate_ports(
    others: &[Value],
    service: &mut Value,
    before: &HashSet<i64>,
    dry_run: bool,
) -> Result<(), Vec<Cause>> {
    let mut taken: HashSet<i64> =
        others.iter().flat_map(|other| ports(other).iter().map(node_port).collect::<Vec<_>>()).collect();
    let spec = metadata::member_mut(service, "spec");
    spec.entry("externalTrafficPolicy").or_insert_with(|| "Cluster".into());
    let Some(ports) = spec.get_mut("ports").and_then(Value::as_array_mut) else { return Ok(()) };
    for (at, port) in ports.iter().enumerate() {
        let wanted = node_port(port);
        if wanted == 0 || before.contains(&wanted) {
            continue;
        }
        let repeated = ports[..at].iter().any(|before| node_port(before) == wanted);
        let inside = (i64::from(PORT_FIRST)..=i64::from(PORT_LAST)).contains(&wanted);
        let detail = if !inside && !dry_run {
            format!("provided port is not in the valid range. The range of valid ports is {PORT_FIRST}-{PORT_LAST}")
        } else if taken.contains(&wanted) || (repeated && !shares(&ports[..at], port)) {
            "provided port is already allocated".into()
        } else {
            continue;
        };
        return Err(vec![errors::invalid_value(&format!("spec.ports[{at}].nodePort"), &wanted.into(), &detail)]);
    }
    taken.extend(ports.iter().map(node_port));
    for (at, port) in ports.iter_mut().enumerate() {
        if node_port(port) > 0 || !port.is_object() {
            continue;
        }
        let free = free_port(&taken).ok_or_else(|| {
            let message = "failed to allocate a nodePort: range is full".to_owned();
            vec![Cause { reason: "InternalError", message, field: format!("spec.ports[{at}].nodePort") }]
        })?;
        taken.insert(free);
        port["nodePort"] = free.into();
    }
    Ok(())
}

/// One node port may serve two protocols.
fn shares(before: &[Value], port: &Value) -> bool {
    before.iter().all(|other| node_port(other) != node_port(port) || other.get("protocol") != port.get("protocol"))
}

/// A random free port; the lowest 86 are left to those who choose their own, as Kubernetes does.
fn free_port(taken: &HashSet<i64>) -> Option<i64> {
    let first = PORT_FIRST + 86;
    (0..64)
        .map(|_| fastrand::u16(first..=PORT_LAST))
        .chain(first..=PORT_LAST)
        .map(i64::from)
        .find(|port| !taken.contains(port))
}
