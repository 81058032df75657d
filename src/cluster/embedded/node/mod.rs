//! The node: scheduler, pod life cycle, probes, logs, the built-in web server, the service proxy.
//!
//! One task watches the registry. Each pod that is bound has a task of its own, which walks it through its stages and
//! is the only writer of its status. What a container runs is decided by its image and command ([`program`]); nothing
//! of it is a process of the operating system. All that the node writes goes through the registry, as `kubelet` or
//! `kube-scheduler`. Idle means idle: tasks wait for events and for timers that are due, nothing polls.

mod access;
mod archive;
mod container;
mod environment;
mod exec;
mod hooks;
mod identity;
mod log;
mod network;
mod pod;
mod probe;
mod program;
mod proxy;
mod pull;
mod scheduler;
mod security;
mod shell;
mod status;
#[cfg(test)]
mod tests;

mod versions;
mod volumes;
pub mod web;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;

use self::pod::{Pod, lock};
use self::proxy::Proxy;
use super::events::Recorder;
use super::images::ImageStore;
use super::registry::{Entry, EventKind, Next, Registry, Writer};
use super::schema::{self, Kind};

/// The one node's name, that of a kind cluster called `tutorial`.
pub const NODE_NAME: &str = "tutorial-control-plane";
/// The node's address in the cluster's pretended network.
pub const NODE_ADDRESS: &str = "172.19.0.2";
/// Where probes and the service proxy come from, as pods see it.
pub const GATEWAY_ADDRESS: &str = "10.244.0.1";

/// How the node is set up.
#[derive(Debug)]
pub struct Options {
    /// The port of the image registry; images of `localhost:PORT/…` are pulled from it.
    pub registry_port: u16,
    /// NodePort to the listener that serves it on the loopback address.
    pub node_ports: BTreeMap<u16, TcpListener>,
    /// By how much back-offs, probe periods and delays are shortened.
    pub time_factor: f64,
}

/// What every part of the node shares.
#[derive(Debug)]
struct Shared {
    registry: Arc<Registry>,
    images: Arc<ImageStore>,
    registry_port: u16,
    time_factor: f64,
    kubelet: Recorder,
    scheduler: Recorder,
    taints: Recorder,
    pods: Mutex<HashMap<String, Arc<Pod>>>,
    addresses: Mutex<u32>,
    /// Images by their full names.
    pulled: Mutex<HashMap<String, pull::Kept>>,
    /// Pods that fit nowhere yet: namespace and name.
    unschedulable: Mutex<BTreeSet<(String, String)>>,
}

/// The running node.
#[derive(Debug, Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

impl Node {
    /// Starts the node: its object is written, pods that are bound to it run, NodePorts serve.
    pub fn start(registry: Arc<Registry>, images: Arc<ImageStore>, options: Options) -> Self {
        let shared = Arc::new(Shared {
            kubelet: Recorder::new(Arc::clone(&registry), "kubelet", NODE_NAME, "kubelet"),
            scheduler: Recorder::new(Arc::clone(&registry), "default-scheduler", "", "kube-scheduler"),
            taints: Recorder::new(Arc::clone(&registry), "taint-eviction-controller", "", "kube-controller-manager"),
            registry,
            images,
            registry_port: options.registry_port,
            time_factor: options.time_factor.max(1.0),
            pods: Mutex::default(),
            addresses: Mutex::new(1),
            pulled: Mutex::default(),
            unschedulable: Mutex::default(),
        });
        let proxy = Proxy::start(Arc::clone(&shared), options.node_ports);
        tokio::spawn(drive(Arc::clone(&shared), proxy));
        Self { shared }
    }
}

impl Shared {
    /// A time of Kubernetes' as it passes here.
    fn scaled(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64((seconds / self.time_factor).clamp(0.0, 86_400.0))
    }

    fn pod(&self, uid: &str) -> Option<Arc<Pod>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }

    fn all_pods(&self) -> Vec<Arc<Pod>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The next free address of the pod network, 10.244.0.2 to 10.244.255.254.
    fn next_address(&self) -> String {
        let mut next = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let used: Vec<String> = self.all_pods().iter().map(|pod| pod.address()).collect();
        loop {
            *next = if *next >= 65_000 { 2 } else { *next + 1 };
            let address = format!("10.244.{}.{}", *next / 250, *next % 250 + 2);
            if !used.contains(&address) {
                return address;
            }
        }
    }
}

fn kind(name: &str) -> &'static Kind {
    schema::kinds().iter().find(|kind| kind.name == name).expect("the node's kinds are served")
}

/// Follows the registry for as long as the process runs.
async fn drive(shared: Arc<Shared>, proxy: Arc<Proxy>) {
    let pods = kind("Pod");
    loop {
        let mut events = shared.registry.subscribe();
        identity::write(&shared.registry, Timestamp::now());
        let there = shared.registry.list(pods, None);
        for gone in shared.all_pods().iter().filter(|pod| !there.iter().any(|entry| *entry.uid == *pod.uid)) {
            gone.abandon();
            lock(&shared.pods).remove(&gone.uid);
        }
        for entry in there {
            observe_pod(&shared, &entry, EventKind::Added);
        }
        proxy.refresh();
        while let Next::Event(event) = events.next().await {
            match event.entry.kind.name {
                "Pod" => observe_pod(&shared, &event.entry, event.kind),
                "ConfigMap" | "Secret" => {
                    for pod in shared.all_pods() {
                        pod.source_changed(&event.entry);
                    }
                }
                "Service" | "EndpointSlice" => proxy.refresh(),
                "Node" if event.kind == EventKind::Modified => {
                    scheduler::evict(&shared);
                    scheduler::retry(&shared);
                }
                "Node" if event.kind == EventKind::Deleted => identity::write(&shared.registry, Timestamp::now()),
                _ => {}
            }
        }
    }
}

fn observe_pod(shared: &Arc<Shared>, entry: &Arc<Entry>, event: EventKind) {
    if event == EventKind::Deleted {
        let gone = shared.pods.lock().unwrap_or_else(PoisonError::into_inner).remove(&*entry.uid);
        if let Some(pod) = gone {
            pod.abandon();
            scheduler::retry(shared);
        }
        return;
    }
    if let Some(pod) = shared.pod(&entry.uid) {
        pod.changed(entry);
        return;
    }
    if !scheduler::may_concern(entry) {
        return;
    }
    let value = entry.value();
    match value.pointer("/spec/nodeName").and_then(serde_json::Value::as_str).filter(|name| !name.is_empty()) {
        Some(NODE_NAME) => {
            let pod = Pod::new(Arc::clone(shared), entry, value);
            shared.pods.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.uid.to_string(), Arc::clone(&pod));
            tokio::spawn(pod::run(pod));
            scheduler::retry(shared); // some wait for another pod's company
        }
        Some(_) => {}
        None if entry.deleting => {}
        None => scheduler::schedule(shared, entry, &value),
    }
}

/// The kubelet's writer of a pod's status.
fn status_writer() -> Writer {
    Writer::new("kubelet").status()
}
