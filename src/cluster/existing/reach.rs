//! Where the NodePorts of a cluster that exists are reached from here: at ports that Docker publishes for a node,
//! at a node's own address, or else at this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::ContainerSummary;
use serde_json::Value;

use crate::cluster::{request, this_machine};
use crate::engine;

/// A host, and the port on it for each NodePort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    pub host: String,
    pub node_ports: BTreeMap<u16, u16>,
}

/// The kubelet's port, which every node listens on.
const KUBELET: u16 = 10250;
const TIME_MAX: Duration = Duration::from_secs(1);
/// For an engine that hangs.
const ENGINE_TIME_MAX: Duration = Duration::from_secs(10);

pub async fn find(client: &kube::Client, node_ports: &[u16]) -> Reach {
    let same: BTreeMap<u16, u16> = node_ports.iter().map(|port| (*port, *port)).collect();
    let nodes = request::get(client, "/api/v1/nodes").await.unwrap_or_default();
    let nodes = nodes["items"].as_array().cloned().unwrap_or_default();
    let containers = containers().await;
    for node in &nodes {
        let published = published(&containers, node["metadata"]["name"].as_str().unwrap_or_default());
        let found: BTreeMap<u16, u16> =
            node_ports.iter().filter_map(|port| Some((*port, *published.get(port)?))).collect();
        if !node_ports.is_empty() && found.len() == node_ports.len() {
            return Reach { host: this_machine(), node_ports: found };
        }
    }
    // All at once, since a cluster may have many nodes; the first in their order that answers.
    let attempts = nodes.iter().flat_map(addresses).map(async |address| {
        let attempt = tokio::net::TcpStream::connect((address.as_str(), KUBELET));
        matches!(tokio::time::timeout(TIME_MAX, attempt).await, Ok(Ok(_))).then_some(address)
    });
    let answered = futures_util::future::join_all(attempts).await.into_iter().flatten().next();
    Reach { host: answered.unwrap_or_else(this_machine), node_ports: same }
}

/// A node's addresses, the one for the outside first.
fn addresses(node: &Value) -> Vec<String> {
    let all = node["status"]["addresses"].as_array().cloned().unwrap_or_default();
    let of = |kind: &str| {
        let fitting = all.iter().filter(|address| address["type"] == kind);
        fitting.filter_map(|address| address["address"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    [of("ExternalIP"), of("InternalIP")].concat()
}

/// The containers of this machine's Docker, if it answers soon.
async fn containers() -> Vec<ContainerSummary> {
    let list = async {
        let engine = engine::connect(&engine::environment()).await.ok()?;
        engine.docker.list_containers(None).await.ok()
    };
    tokio::time::timeout(ENGINE_TIME_MAX, list).await.ok().flatten().unwrap_or_default()
}

/// The ports of this machine that Docker publishes for the container of a node's name, by the container's own ports.
fn published(containers: &[ContainerSummary], node: &str) -> BTreeMap<u16, u16> {
    let name = format!("/{node}");
    let of_node = containers.iter().filter(|container| container.names.iter().flatten().any(|known| *known == name));
    let ports = of_node.flat_map(|container| container.ports.iter().flatten());
    ports.filter_map(|port| Some((port.private_port, port.public_port?))).collect()
}
