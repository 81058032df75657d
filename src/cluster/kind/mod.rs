//! A kind cluster, made through the Docker engine's API: one that kind's own commands list, load images into and
//! delete. No kind program is needed.
//!
//! Place: [`provision`] does the work by what [`seen`] finds; [`node`], [`kubeadm`], [`manifests`] and [`diagnose`]
//! decide and are pure. Invariants: nothing is touched that does not bear our label; a run that was killed at any
//! point is finished, or taken back, by the next one; the learner's own kubeconfig and Docker contexts are only read.

mod diagnose;
mod error;
mod exec;
mod files;
mod image;
pub mod kubeadm;
mod kubeconfig;
mod load;
mod manifests;
mod network;
pub mod node;
mod nodes;
mod owner;
mod ports;
mod progress;
mod provision;
mod proxy;
mod ready;
mod registry;
mod restart;
mod seen;
mod site;
mod version;

use std::path::PathBuf;
use std::time::Duration;

use bollard::models::SystemInfo;
use bollard::query_parameters::StopContainerOptionsBuilder;
use futures_util::future::try_join_all;

pub use diagnose::Diagnosis;
pub use error::KindError;
pub use load::ImageSource;
pub use progress::{Phase, Progress, Step};
pub use version::KubernetesVersion;

use crate::cluster::Connection;
use crate::engine::{self, Engine};
use exec::Node;
use files::{Files, KUBECONFIG, MADE, Made};
use node::EngineFacts;
use progress::Told;
use seen::Seen;
use site::Site;

/// What a kind cluster is asked to be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KindSpec {
    /// The cluster's name, by which kind's own commands know it.
    pub name: String,
    /// Where kubeconfigs, log and state lie (`<workspace>/.tutorial/cluster`).
    pub directory: PathBuf,
    /// NodePorts that the lessons use; each is published on 127.0.0.1, by the same number where that is free.
    pub node_ports: Vec<u16>,
    /// Nodes beside the control plane.
    pub workers: u8,
    /// The node image; ours by digest where it is `None`.
    pub image: Option<String>,
}

/// How a cluster is.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// It answers.
    Running(Connection),
    /// Its nodes run, and the API server does not answer.
    Silent,
    /// All that it needs is there; it is not started.
    Stopped,
    /// A run that made it was interrupted; the next one finishes it.
    Unfinished,
    Absent,
    /// There is something of that name that we did not make, or no engine; says what.
    Unknown(String),
}

/// How long to wait for another run of ours on the same cluster.
const LOCK_TIME_MAX: Duration = Duration::from_secs(600);
/// How long a node may take to show its journal.
const JOURNAL_TIME_MAX: Duration = Duration::from_secs(20);
/// A look at a cluster that should answer.
const PROBE_TIME_MAX: Duration = Duration::from_secs(3);
/// After this, what has not ended is killed: etcd has written all by then, and pods' own processes may take minutes.
const STOP_SECONDS_MAX: i32 = 10;

/// Makes the cluster, starts it or finishes it, and returns when it can be worked with; at once where it answers.
pub async fn ensure_running(spec: &KindSpec, told: Told<'_>) -> Result<Connection, KindError> {
    check_name(spec)?;
    let files = Files::new(&spec.directory);
    let _working = files.lock(&spec.name, LOCK_TIME_MAX).await?;
    let mut site = site(spec, told).await?;
    let nodes = nodes::nodes_now(&site).await?;
    if let Some(connection) = answering(&site.files, &nodes).await {
        return Ok(connection);
    }
    site.learn().await?;
    let note = site.engine.is_podman().then(|| "this is Podman, with which nobody has tried it yet".to_owned());
    site.tell(Phase::Engine, Step::Finished, note);
    // Not known is as finished: nothing is removed then.
    let was_finished = provision::past(&site, &nodes).await? == seen::Past::Finished;
    let (phase, error) = match Box::pin(provision::provision(&site)).await {
        Ok(connection) => return Ok(connection),
        Err(fault) => fault,
    };
    if !error.wants_diagnosis() {
        take_back(&site, was_finished).await;
        return Err(error);
    }
    let nodes = nodes::ours_now(&site).await.unwrap_or_default();
    let diagnosis = diagnose::diagnose(&site, phase, &error, &nodes).await;
    take_back(&site, was_finished).await;
    Err(KindError::Failed(Box::new(diagnosis)))
}

/// Removes what a run that failed has made. A cluster that was once finished stays: a learner's work is in it.
async fn take_back(site: &Site<'_>, was_finished: bool) {
    if was_finished {
        return;
    }
    let removed = async {
        let nodes = nodes::ours_now(site).await?;
        nodes::remove(site, &nodes).await?;
        registry::remove_if_unused(&site.engine.docker).await?;
        site.files.forget()
    };
    if let Err(error) = removed.await {
        site.log.line(&format!("what was made could not be removed: {error}"));
    }
}

/// Ends the nodes; what is in them stays. The registry serves other clusters too, and goes on.
pub async fn stop(spec: &KindSpec) -> Result<(), KindError> {
    check_name(spec)?;
    let files = Files::new(&spec.directory);
    let _working = files.lock(&spec.name, LOCK_TIME_MAX).await?;
    let site = site(spec, &|_| {}).await?;
    let nodes = nodes::nodes_now(&site).await?;
    let mut stops = Vec::new();
    for node in nodes.iter().filter(|node| node.is_running) {
        stops.push(stop_node(&site, node));
    }
    try_join_all(stops).await.map(drop)
}

async fn stop_node(site: &Site<'_>, node: &Seen) -> Result<(), KindError> {
    let options = StopContainerOptionsBuilder::new().t(STOP_SECONDS_MAX).build();
    let doing = format!("stop the node {}", node.name);
    site.engine.docker.stop_container(&node.id, Some(options)).await.map_err(KindError::docker(doing))
}

/// How the cluster is now. Waits for nobody.
pub async fn status(spec: &KindSpec) -> Status {
    let look = async {
        check_name(spec)?;
        Files::new(&spec.directory).create()?;
        let site = site(spec, &|_| {}).await?;
        let nodes = nodes::nodes_now(&site).await?;
        if nodes.is_empty() {
            return Ok(Status::Absent);
        }
        if let Some(connection) = answering(&site.files, &nodes).await {
            return Ok(Status::Running(connection));
        }
        let is_finished = provision::past(&site, &nodes).await? == seen::Past::Finished;
        Ok::<_, KindError>(match (is_finished, nodes.iter().all(|node| node.is_running)) {
            (false, _) => Status::Unfinished,
            (true, true) => Status::Silent,
            (true, false) => Status::Stopped,
        })
    };
    look.await.unwrap_or_else(|error| Status::Unknown(error.to_string()))
}

/// What was done to make the cluster, and what its nodes say now.
pub async fn logs(spec: &KindSpec) -> Result<String, KindError> {
    check_name(spec)?;
    let files = Files::new(&spec.directory);
    let mut text = files.log_text();
    let look = async {
        files.create()?;
        let site = site(spec, &|_| {}).await?;
        let nodes = nodes::nodes_now(&site).await?;
        Ok::<_, KindError>((site, nodes))
    };
    let (site, nodes) = match look.await {
        Ok(found) => found,
        // What was noted is here, whether Docker answers or not.
        Err(error) if !text.is_empty() => {
            text.push_str(&format!("\n==> the nodes cannot be asked: {} <==\n", diagnose::chain(&error)));
            return Ok(text);
        }
        Err(error) => return Err(error),
    };
    for node in nodes {
        text.push_str(&format!("\n==> the console of {} <==\n", node.name));
        text.push_str(&diagnose::console(&site, &node.id).await.join("\n"));
        if node.is_running {
            let run = Node { docker: &site.engine.docker, container: &node.id };
            let script = "journalctl --no-pager -n 200 -u kubelet -u containerd";
            text.push_str(&format!("\n==> the journal of {} <==\n", node.name));
            let read = tokio::time::timeout(JOURNAL_TIME_MAX, run.script("read the journal", script, Vec::new(), None));
            text.push_str(&match read.await {
                Ok(journal) => journal.unwrap_or_else(|error| error.to_string()),
                Err(_) => format!("it did not answer within {} seconds", JOURNAL_TIME_MAX.as_secs()),
            });
        }
    }
    Ok(text)
}

/// Removes the cluster: containers, volumes, kubeconfigs, and the registry if it is ours and no cluster is left. The
/// network stays, as kind leaves it. What somebody else has made is not in the way: it is an error only where there is
/// nothing of ours.
pub async fn delete(spec: &KindSpec) -> Result<(), KindError> {
    let files = Files::new(&spec.directory);
    // Nothing can have been made under a name that is none.
    if check_name(spec).is_err() {
        return files.forget();
    }
    let _working = files.lock(&spec.name, LOCK_TIME_MAX).await?;
    let was_begun = files.is_begun();
    let site = match site(spec, &|_| {}).await {
        Err(KindError::Engine(_)) if !was_begun => return Ok(()),
        other => other?,
    };
    let ours = nodes::ours_now(&site).await?;
    if !ours.is_empty() {
        let containers = ours.iter().map(|node| node.id.clone()).collect();
        site.files.write(MADE, &Made { containers, is_finished: false, is_going: true })?;
    }
    nodes::remove(&site, &ours).await?;
    registry::remove_if_unused(&site.engine.docker).await?;
    // Last: a removal that was killed is done again.
    site.files.forget()?;
    if ours.is_empty() && !was_begun { nodes::nodes_now(&site).await.map(drop) } else { Ok(()) }
}

/// Makes an image available to pods without a pull.
pub async fn load_image(spec: &KindSpec, source: &ImageSource) -> Result<(), KindError> {
    check_name(spec)?;
    Files::new(&spec.directory).create()?;
    let site = site(spec, &|_| {}).await?;
    let nodes = nodes::nodes_now(&site).await?;
    if nodes.is_empty() {
        return Err(KindError::Absent { name: spec.name.clone() });
    }
    let docker = &site.engine.docker;
    let mut loads = Vec::new();
    for node in &nodes {
        loads.push(load::into_node(docker, Node { docker, container: &node.id }, source));
    }
    try_join_all(loads).await.map(drop)
}

/// Whether a cluster may be called as it shall be. To be asked before anything is noted.
pub fn check_name(spec: &KindSpec) -> Result<(), KindError> {
    if node::is_name(&spec.name) { Ok(()) } else { Err(KindError::Name { name: spec.name.clone() }) }
}

async fn site<'a>(spec: &'a KindSpec, told: Told<'a>) -> Result<Site<'a>, KindError> {
    let environment = engine::environment();
    let files = Files::new(&spec.directory);
    let log = files.log()?;
    let engine: Engine = engine::connect(&environment).await?;
    let (info, facts) = (SystemInfo::default(), EngineFacts::default());
    let owner = owner::of_this_process();
    Ok(Site { engine, info, facts, spec, files, log, told, environment, owner })
}

/// The connection of a finished cluster that answers now.
async fn answering(files: &Files, nodes: &[Seen]) -> Option<Connection> {
    let connection = files.connection()?;
    let made: Made = files.read(MADE)?;
    let ids: Vec<&String> = nodes.iter().map(|node| &node.id).collect();
    if !made.is_finished || made.containers.iter().ne(ids) || !nodes.iter().all(|node| node.is_running) {
        return None;
    }
    let text = std::fs::read_to_string(files.path(KUBECONFIG)).ok()?;
    let client = kubeconfig::client(&text, Some(PROBE_TIME_MAX)).await.ok()?;
    let registry = connection.registry.replace("localhost", "127.0.0.1");
    let (answers, registry) = tokio::join!(ready::answers(&client), tokio::net::TcpStream::connect(registry));
    (answers && registry.is_ok() && connection.kubeconfig_readonly.is_file()).then_some(connection)
}
