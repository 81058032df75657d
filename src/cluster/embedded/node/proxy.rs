//! The service proxy: NodePorts on the loopback address, and Services as seen from inside.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::net;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::pod::{Pod, lock};
use super::web::serve_connection;
use super::{GATEWAY_ADDRESS, Shared, kind};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A port of a pod that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    pub address: String,
    pub port: u16,
}

/// The node's NodePorts. One without a ready pod behind it is held but not listened on, so that a connection is
/// refused, as kube-proxy refuses it, and nobody else takes the port.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    /// NodePort to the pods behind it; a NodePort without a Service is not in it.
    table: Mutex<HashMap<u16, Vec<Backend>>>,
    doors: Mutex<HashMap<u16, Door>>,
    turn: AtomicUsize,
}

/// A NodePort's place on the loopback address.
#[derive(Debug)]
struct Door {
    /// The port there; mostly the NodePort itself.
    port: u16,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Bound, not listening; `None` where the port is another program's at the moment.
    Held(Option<OwnedFd>),
    /// Listening until the sender goes.
    Open { _until_dropped: oneshot::Sender<()> },
    /// The listener has been told to go.
    Closing,
}

impl Proxy {
    pub fn start(shared: Arc<Shared>, listeners: BTreeMap<u16, TcpListener>) -> Arc<Self> {
        let doors = listeners.into_iter().filter_map(|(node_port, listener)| {
            let port = listener.local_addr().ok()?.port();
            drop(listener);
            Some((node_port, Door { port, state: State::Held(hold(port)) }))
        });
        let doors = Mutex::new(doors.collect());
        Arc::new(Self { shared, table: Mutex::default(), doors, turn: AtomicUsize::new(0) })
    }

    /// Reads Services and EndpointSlices anew; NodePorts that have ready pods are listened on where they are free.
    pub fn refresh(self: &Arc<Self>) {
        let mut table = HashMap::new();
        for service in self.shared.registry.list(kind("Service"), None) {
            let object = service.value();
            for port in object["spec"]["ports"].as_array().into_iter().flatten() {
                let Some(node_port) = port["nodePort"].as_u64().and_then(|port| u16::try_from(port).ok()) else {
                    continue;
                };
                let name = port["name"].as_str().unwrap_or_default();
                table.insert(node_port, backends(&self.shared, &service.namespace, &service.name, name));
            }
        }
        let served: Vec<u16> =
            table.iter().filter(|(_, backends)| !backends.is_empty()).map(|(port, _)| *port).collect();
        *lock(&self.table) = table;
        let mut doors = lock(&self.doors);
        for node_port in &served {
            let door = doors.entry(*node_port).or_insert_with(|| Door { port: *node_port, state: State::Held(None) });
            self.open(*node_port, door);
        }
        for (_, door) in doors.iter_mut().filter(|(node_port, _)| !served.contains(node_port)) {
            if matches!(door.state, State::Open { .. }) {
                door.state = State::Closing;
            }
        }
    }

    fn open(self: &Arc<Self>, node_port: u16, door: &mut Door) {
        let State::Held(held) = &mut door.state else { return };
        let Some(socket) = held.take().or_else(|| hold(door.port)) else { return };
        match listen(socket) {
            Ok(listener) => {
                let (open, closed) = oneshot::channel();
                door.state = State::Open { _until_dropped: open };
                let proxy = Arc::clone(self);
                tokio::spawn(async move {
                    tokio::select! {
                        () = accept(Arc::clone(&proxy), node_port, listener) => {}
                        _ = closed => {}
                    }
                    proxy.closed(node_port);
                });
            }
            Err(_) => door.state = State::Held(None), // another program was faster; the next change tries again
        }
    }

    /// The listener has gone: the port is held, or listened on again where pods have come in the meantime.
    fn closed(self: &Arc<Self>, node_port: u16) {
        let mut doors = lock(&self.doors);
        // Read under the doors' lock: a refresh writes the table before it takes that lock, so one that found this
        // door closing is seen here.
        let served = lock(&self.table).get(&node_port).is_some_and(|backends| !backends.is_empty());
        let Some(door) = doors.get_mut(&node_port) else { return };
        door.state = State::Held(hold(door.port));
        if served {
            self.open(node_port, door);
        }
    }

    fn choose(&self, node_port: u16) -> Option<(Arc<Pod>, u16)> {
        let backends = lock(&self.table).get(&node_port).cloned()?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let pods = self.shared.all_pods();
        let mut in_turn = backends.iter().cycle().skip(turn % backends.len().max(1)).take(backends.len());
        in_turn.find_map(|backend| {
            let pod = pods.iter().find(|pod| pod.address() == backend.address && pod.listens(backend.port))?;
            Some((Arc::clone(pod), backend.port))
        })
    }
}

/// Binds a port without listening on it.
fn hold(port: u16) -> Option<OwnedFd> {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    // Without SO_REUSEADDR the port is ours alone; with it, connections that linger are no obstacle.
    [false, true].into_iter().find_map(|reuse| {
        let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None).ok()?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC).ok()?;
        net::sockopt::set_socket_reuseaddr(&socket, reuse).ok()?;
        net::bind(&socket, &address).ok()?;
        // From now on it keeps out those who would bind with it too, such as another sandbox.
        net::sockopt::set_socket_reuseaddr(&socket, false).ok()?;
        Some(socket)
    })
}

fn listen(socket: OwnedFd) -> std::io::Result<TcpListener> {
    // Connections inherit this, and so do not keep the port from us while they linger after the listener has gone.
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::listen(&socket, BACKLOG)?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// The ready pods behind a Service's port.
pub fn backends(shared: &Shared, namespace: &str, service: &str, port_name: &str) -> Vec<Backend> {
    let mut backends = Vec::new();
    for slice in shared.registry.list(kind("EndpointSlice"), Some(namespace)) {
        if slice.label("kubernetes.io/service-name") != Some(service) {
            continue;
        }
        let object = slice.value();
        let ports = object["ports"].as_array().cloned().unwrap_or_default();
        let port = ports.iter().find(|port| port["name"].as_str().unwrap_or_default() == port_name);
        let Some(port) = port.and_then(|port| port["port"].as_u64()).and_then(|port| u16::try_from(port).ok()) else {
            continue;
        };
        for endpoint in object["endpoints"].as_array().into_iter().flatten() {
            if endpoint.pointer("/conditions/ready").and_then(Value::as_bool) == Some(false) {
                continue;
            }
            for address in endpoint["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                backends.push(Backend { address: address.into(), port });
            }
        }
    }
    backends
}

async fn accept(proxy: Arc<Proxy>, node_port: u16, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await; // out of file descriptors, most likely
            continue;
        };
        if let Some((pod, port)) = proxy.choose(node_port) {
            tokio::spawn(serve(pod, port, stream));
        }
        // else the connection is dropped: nothing is behind this port
    }
}

async fn serve(pod: Arc<Pod>, port: u16, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let ending = Arc::clone(&pod);
    let stopped = async move { ending.ended().await };
    serve_connection(stream, GATEWAY_ADDRESS.into(), port, stopped, move |query, now| pod.answer(query, now)).await;
}
