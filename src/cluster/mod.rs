//! The sandbox cluster: embedded, kind or one that exists. The rest of the program gets a connection,
//! the environments' URLs and a registry, and cannot tell the clusters apart.

pub mod embedded;
pub mod kind;
pub mod reader;
mod request;

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a sandbox is asked to be.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ClusterSpec {
    /// `tutorial` or `tutorial-<course>`.
    pub name: String,
    /// Where the cluster's data, log and kubeconfig live (`<workspace>/.tutorial/cluster`).
    pub directory: PathBuf,
    /// NodePorts that the lessons use; each is reserved on 127.0.0.1 from the start.
    pub node_ports: Vec<u16>,
    /// By how much back-offs and deadlines are shortened, 1 for a learner.
    pub time_factor: f64,
}

/// How to reach a sandbox that runs.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Connection {
    /// The administrator's kubeconfig, mode 0600.
    pub kubeconfig: PathBuf,
    /// A kubeconfig whose user may only read, for checks.
    pub kubeconfig_readonly: PathBuf,
    /// `localhost:5001`: where images are pushed to and pulled from, without TLS.
    pub registry: String,
    /// NodePort to the port that listens on 127.0.0.1 for it.
    pub node_ports: BTreeMap<u16, u16>,
    /// `embedded`, `kind` or `existing`.
    pub kind: String,
    /// The version that the cluster says it is, `v1.34.2+tutorial`.
    pub version: String,
}
