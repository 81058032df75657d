//! Where the NodePorts of a cluster that exists are reached from here: at ports that Docker publishes for a node,
//! at a node's own address, or else at this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
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

pub async fn find(client: &kube::Client, node_ports: &[u16]) -> Reach {
    let same: BTreeMap<u16, u16> = node_ports.iter().map(|port| (*port, *port)).collect();
    let nodes = request::get(client, "/api/v1/nodes").await.unwrap_or_default();
    let nodes = nodes["items"].as_array().cloned().unwrap_or_default();
    for node in &nodes {
        let published = published(node["metadata"]["name"].as_str().unwrap_or_default()).await;
        let found: BTreeMap<u16, u16> =
            node_ports.iter().filter_map(|port| Some((*port, *published.get(port)?))).collect();
        if !node_ports.is_empty() && found.len() == node_ports.len() {
            return Reach { host: this_machine(), node_ports: found };
        }
    }
    for address in nodes.iter().flat_map(addresses) {
        let attempt = tokio::net::TcpStream::connect((address.as_str(), KUBELET));
        if matches!(tokio::time::timeout(TIME_MAX, attempt).await, Ok(Ok(_))) {
            return Reach { host: address, node_ports: same };
        }
    }
    Reach { host: this_machine(), node_ports: same }
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

/// The ports of this machine that Docker publishes for the container of a node's name, by the container's own ports.
async fn published(node: &str) -> BTreeMap<u16, u16> {
    let environment = std::env::vars().collect();
    let Ok(engine) = engine::connect(&environment).await else { return BTreeMap::new() };
    let filters = [("name".to_owned(), vec![format!("^/{node}$")])].into();
    let options = ListContainersOptionsBuilder::new().filters(&filters).build();
    let containers = engine.docker.list_containers(Some(options)).await.unwrap_or_default();
    let ports = containers.into_iter().flat_map(|container| container.ports.unwrap_or_default());
    ports.filter_map(|port| Some((port.private_port, port.public_port?))).collect()
}
