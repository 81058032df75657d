//! Whom a container reaches in the cluster: itself, other pods, Services.

use std::sync::Arc;

use super::super::pod::Pod;
use super::super::{kind, proxy};

/// What a connection to a host and port meets.
pub(super) enum Peer {
    /// No such name.
    Unknown,
    /// Nobody listens there.
    Refused {
        address: String,
    },
    Reached {
        pod: Arc<Pod>,
        port: u16,
        address: String,
    },
}

/// Looks a host up as the cluster's name server would, and connects.
pub(super) fn find(pod: &Arc<Pod>, host: &str, port: u16) -> Peer {
    let own = super::super::network::hostname(&pod.object());
    if host == "localhost" || host == own {
        let address = if host == own { pod.address() } else { "127.0.0.1".into() };
        return reach(Some(Arc::clone(pod)), port, address);
    }
    let by_address = |address: &str| {
        pod.shared.all_pods().into_iter().find(|other| other.address() == address && !address.is_empty())
    };
    if host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()) {
        return reach(Some(Arc::clone(pod)), port, host.into());
    }
    if let Some(found) = by_address(host) {
        return reach(Some(found), port, host.into());
    }
    let services = pod.shared.registry.list(kind("Service"), None);
    let by_number = services.iter().find(|service| service.value()["spec"]["clusterIP"] == host);
    let Some(service) = by_number.or_else(|| {
        let (name, namespace) = service_name(host, &pod.namespace)?;
        services.iter().find(|service| *service.name == *name && *service.namespace == *namespace)
    }) else {
        let is_number = host.parse::<std::net::IpAddr>().is_ok();
        return if is_number { Peer::Refused { address: host.into() } } else { Peer::Unknown };
    };
    let object = service.value();
    let address = object["spec"]["clusterIP"].as_str().unwrap_or_default().to_owned();
    let is_headless = address == "None";
    if address.is_empty() {
        return Peer::Unknown; // ExternalName: it leads out of the cluster
    }
    let ports = object["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let found = ports.iter().find(|candidate| is_headless || candidate["port"].as_u64() == Some(port.into()));
    let name = found.and_then(|found| found["name"].as_str()).unwrap_or_default();
    let backends = proxy::backends(&pod.shared, &service.namespace, &service.name, name);
    match (backends.first(), is_headless) {
        (None, true) => Peer::Unknown,
        (Some(backend), true) => reach(by_address(&backend.address), port, backend.address.clone()),
        (Some(backend), false) if found.is_some() => reach(by_address(&backend.address), backend.port, address),
        _ => Peer::Refused { address },
    }
}

fn reach(pod: Option<Arc<Pod>>, port: u16, address: String) -> Peer {
    match pod.filter(|pod| pod.listens(port)) {
        Some(pod) => Peer::Reached { pod, port, address },
        None => Peer::Refused { address },
    }
}

/// The name and namespace of the Service that a host names: `web`, `web.shop`, `web.shop.svc.cluster.local`.
fn service_name<'a>(host: &'a str, own: &'a str) -> Option<(&'a str, &'a str)> {
    let parts: Vec<&str> = host.trim_end_matches('.').split('.').collect();
    match parts[..] {
        [name] => Some((name, own)),
        [name, namespace] | [name, namespace, "svc"] | [name, namespace, "svc", "cluster", "local"] => {
            Some((name, namespace))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::service_name;

    #[test]
    fn names_of_services() {
        assert_eq!(service_name("web", "shop"), Some(("web", "shop")));
        assert_eq!(service_name("web.other", "shop"), Some(("web", "other")));
        assert_eq!(service_name("web.other.svc.cluster.local.", "shop"), Some(("web", "other")));
        assert_eq!(service_name("www.example.com", "shop"), None);
    }
}
