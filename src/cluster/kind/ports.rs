//! Which ports of 127.0.0.1 lead into the cluster. They are chosen by listening for a moment, never by the engine,
//! which would choose others at every start.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::error::KindError;
use super::node::API_PORT;

/// Below those that systems give to outgoing connections, so that a port is still free after a restart.
const OURS: std::ops::RangeInclusive<u16> = 20_000..=29_999;
const ATTEMPTS_MAX: usize = 64;

/// The first of `wanted` that is free, else one of our range, else one of the system's choice. `taken` are not tried.
pub fn choose(wanted: Option<u16>, taken: &BTreeSet<u16>) -> Result<u16, KindError> {
    let ours = (0..ATTEMPTS_MAX).map(|_| fastrand::u16(OURS));
    let candidates = wanted.into_iter().chain(ours).filter(|port| !taken.contains(port)).chain([0]);
    let listen = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let mut free = candidates.filter_map(|port| listen(port).ok()?.local_addr().ok());
    free.find(|address| !taken.contains(&address.port())).map(|address| address.port()).ok_or(KindError::NoPort)
}

/// The API server's port and those of the lessons, each to one of 127.0.0.1.
pub fn mappings(node_ports: &[u16], taken: &BTreeSet<u16>) -> Result<BTreeMap<u16, u16>, KindError> {
    let mut taken = taken.clone();
    let mut mappings = BTreeMap::new();
    for (inside, wanted) in node_ports.iter().map(|port| (*port, Some(*port))).chain([(API_PORT, None)]) {
        let outside = choose(wanted, &taken)?;
        taken.insert(outside);
        mappings.insert(inside, outside);
    }
    Ok(mappings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let taken = listener.local_addr().expect("an address").port();
        let found = mappings(&[taken], &BTreeSet::new()).expect("ports");
        assert_ne!(found[&taken], taken);
        assert_ne!(found[&taken], found[&API_PORT]);
        drop(listener);
        assert_eq!(choose(Some(taken), &BTreeSet::new()).expect("a port"), taken);
        assert_ne!(choose(Some(taken), &BTreeSet::from([taken])).expect("a port"), taken);
    }
}
