//! Which ports the cluster listens on. Each is chosen once, below the ports that the system gives to outgoing
//! connections and to NodePorts, so that it is still free after a restart.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::ProcessError;

const FIRST: u16 = 20_000;
const LAST: u16 = 29_999;
const ATTEMPTS_MAX: usize = 64;

/// Listens on the first of `wanted` that is free, else on a port of our range, else on one of the system's choice.
pub fn listen(wanted: impl IntoIterator<Item = u16>) -> Result<(u16, TcpListener), ProcessError> {
    let ours = (0..ATTEMPTS_MAX).map(|_| fastrand::u16(FIRST..=LAST));
    let mut failure = None;
    for port in wanted.into_iter().filter(|port| *port != 0).chain(ours).chain([0]) {
        // The standard library sets SO_REUSEADDR, so that connections of an earlier process are no obstacle.
        match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
            Ok(listener) => match listener.local_addr() {
                Ok(address) => return Ok((address.port(), listener)),
                Err(error) => failure = Some(error),
            },
            Err(error) => failure = Some(error),
        }
    }
    Err(ProcessError::NoPort(failure.unwrap_or_else(|| std::io::Error::other("no port was tried"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over() {
        let (taken, _listener) = listen([]).unwrap();
        let (other, _listener) = listen([taken]).unwrap();
        assert_ne!(taken, other);
    }
}
