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

/// Those of the ports that an engine's refusal names; all of them where it names none.
pub fn named(refusal: &str, ports: &BTreeMap<u16, u16>) -> BTreeSet<u16> {
    let is_named = |port: &u16| {
        refusal
            .match_indices(&format!(":{port}"))
            .any(|(at, found)| !refusal[at + found.len()..].starts_with(|character: char| character.is_ascii_digit()))
    };
    let named: BTreeSet<u16> = ports.values().copied().filter(is_named).collect();
    if named.is_empty() { ports.values().copied().collect() } else { named }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_port_that_is_taken_is_given_up() {
        fn check(refusal: &str, expected: &[u16]) {
            let ports = BTreeMap::from([(30080, 30080), (30081, 30081), (API_PORT, 3008)]);
            assert_eq!(named(refusal, &ports).into_iter().collect::<Vec<_>>(), expected, "{refusal}");
        }
        check("Bind for 127.0.0.1:3008 failed: port is already allocated", &[3008]);
        check("failed to listen on TCP socket: listen tcp4 127.0.0.1:30081: bind: address already in use", &[30081]);
        check("ports are not available", &[3008, 30080, 30081]);
    }

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
