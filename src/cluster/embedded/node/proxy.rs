//! The service proxy: NodePorts on the loopback address, and Services as seen from inside.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::pod::{Pod, lock};
use super::web::serve_connection;
use super::{GATEWAY_ADDRESS, Shared, kind};

/// A port of a pod that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    pub address: String,
    pub port: u16,
}

/// The node's NodePorts.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    /// NodePort to the pods behind it; a NodePort without a Service is not in it.
    table: Mutex<HashMap<u16, Vec<Backend>>>,
    listening: Mutex<Vec<u16>>,
    turn: AtomicUsize,
}

impl Proxy {
    pub fn start(shared: Arc<Shared>, listeners: BTreeMap<u16, TcpListener>) -> Arc<Self> {
        let proxy = Arc::new(Self {
            shared,
            table: Mutex::default(),
            listening: Mutex::new(listeners.keys().copied().collect()),
            turn: AtomicUsize::new(0),
        });
        for (node_port, listener) in listeners {
            tokio::spawn(accept(Arc::clone(&proxy), node_port, listener));
        }
        proxy
    }

    /// Reads Services and EndpointSlices anew; NodePorts that are new are listened on where they are free.
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
        let wanted: Vec<u16> = table.keys().copied().collect();
        *lock(&self.table) = table;
        for node_port in wanted {
            let mut listening = lock(&self.listening);
            if listening.contains(&node_port) {
                continue;
            }
            let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", node_port)) else { continue };
            if listener.set_nonblocking(true).is_err() {
                continue;
            }
            if let Ok(listener) = TcpListener::from_std(listener) {
                listening.push(node_port);
                tokio::spawn(accept(Arc::clone(self), node_port, listener));
            }
        }
    }

    fn choose(&self, node_port: u16) -> Option<(Arc<Pod>, u16)> {
        let backends = lock(&self.table).get(&node_port).cloned()?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let backend = backends.get(turn % backends.len().max(1))?;
        let pod = self.shared.all_pods().into_iter().find(|pod| pod.address() == backend.address)?;
        Some((pod, backend.port))
    }
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
    serve_connection(stream, GATEWAY_ADDRESS.into(), port, move |query, now| pod.answer(query, now)).await;
}
