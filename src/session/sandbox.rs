//! The session's sandbox: provisioned in the background from the first moment, waited for only where it is needed.
//!
//! A provision that ends with its process is taken up by the next command: whatever needs the cluster waits for it and
//! shows how far it is.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Host;
use crate::cluster::existing::ExistingSpec;
use crate::cluster::kind::KindSpec;
use crate::cluster::{Cluster, ClusterSpec, Connection, Status};
use crate::course::model::Course;
use crate::error::{Exit, Failure};
use crate::workspace::Workspace;
use crate::workspace::progress::Progress;

/// A sandbox, whether it runs or not.
#[derive(Debug)]
pub struct Sandbox {
    cluster: Cluster,
    connection: Option<Connection>,
    /// When it was last known to answer.
    answered: Option<Instant>,
    provisioning: Option<JoinHandle<Result<Connection, Failure>>>,
    /// What is going on now.
    phase: Arc<Mutex<String>>,
}

/// An embedded sandbox is asked each time, which costs nothing; another one after this.
const TRUSTED_FOR: Duration = Duration::from_secs(10);
/// How often the line about what is going on is renewed.
const LOOK: Duration = Duration::from_millis(100);

impl Sandbox {
    /// Nothing is started by this.
    pub fn new(cluster: Cluster) -> Self {
        let phase = Arc::new(Mutex::new("the sandbox is starting".to_owned()));
        Self { cluster, connection: None, answered: None, provisioning: None, phase }
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Begins to bring it up; returns at once.
    pub fn provision(&mut self, host: &Host) {
        if self.connection.is_none() && self.provisioning.is_none() {
            let (cluster, program): (Cluster, PathBuf) = (self.cluster.clone(), host.program.clone());
            let phase = Arc::clone(&self.phase);
            let start = async move {
                let told = move |text: String| {
                    *phase.lock().unwrap_or_else(PoisonError::into_inner) = format!("the sandbox is starting: {text}");
                };
                cluster.ensure_running(&program, &told).await.map_err(Failure::from)
            };
            self.provisioning = Some(host.runtime.spawn(start));
        }
    }

    /// What is known of it now, without waiting: from this process, else from an earlier one.
    pub fn known(&self) -> Option<Connection> {
        self.connection.clone().or_else(|| self.cluster.known())
    }

    /// Whether it has been brought up by this process.
    pub fn is_ready(&self) -> bool {
        self.connection.is_some()
    }

    /// It did not answer: what is known of it holds no more.
    pub fn forget(&mut self) {
        (self.connection, self.provisioning, self.answered) = (None, None, None);
    }

    /// Waits until it answers.
    pub fn ready(&mut self, host: &Host) -> Result<Connection, Failure> {
        if let Some(connection) = &self.connection {
            let is_trusted = !matches!(self.cluster, Cluster::Embedded(_))
                && self.answered.is_some_and(|answered| answered.elapsed() < TRUSTED_FOR);
            if is_trusted || matches!(host.block_on(self.cluster.status()), Status::Running { .. }) {
                let connection = connection.clone();
                self.answered.get_or_insert_with(Instant::now);
                if !is_trusted {
                    self.answered = Some(Instant::now());
                }
                return Ok(connection);
            }
        }
        // It may have been ended since: by `tutorial stop` in another terminal, or by a crash.
        self.connection = None;
        self.provision(host);
        let Some(mut provisioning) = self.provisioning.take() else {
            return Err(Failure::new("the sandbox was not started"));
        };
        let line = (!provisioning.is_finished()).then(|| host.ui.progress(&self.phase_now()));
        let outcome = loop {
            let waited = host.block_on(async { tokio::time::timeout(LOOK, &mut provisioning).await });
            match (waited, &line) {
                (Ok(outcome), _) => break outcome,
                (Err(_), _) if host.interruptions.was_caught() => {
                    self.provisioning = Some(provisioning);
                    return Err(Failure::new("").exit(Exit::Interrupted));
                }
                (Err(_), Some(line)) => line.set(&self.phase_now()),
                (Err(_), None) => {}
            }
        };
        if let Some(line) = line {
            line.clear();
        }
        let connection =
            outcome.map_err(|error| Failure::new("the sandbox could not be started").caused_by(error))??;
        (self.connection, self.answered) = (Some(connection.clone()), Some(Instant::now()));
        Ok(connection)
    }

    fn phase_now(&self) -> String {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The sandbox of a course in a workspace, as the learner chose it at first.
pub fn cluster_of(host: &Host, course: &Course, workspace: &Workspace, progress: &Progress) -> Cluster {
    let options = &progress.sandbox_options;
    let name = options.name.clone().unwrap_or_else(|| format!("tutorial-{}", course.id));
    let directory = workspace.cluster();
    let needs = &course.sandbox;
    let node_ports = needs.environments.values().copied().collect();
    match progress.sandbox.as_str() {
        "kind" => Cluster::Kind(KindSpec {
            name,
            directory,
            node_ports,
            workers: options.workers,
            image: options.image.clone(),
        }),
        "existing" => {
            let of_environments = needs.environments.keys().map(|name| format!("{}-{name}", needs.project));
            Cluster::Existing(ExistingSpec {
                context: options.context.clone().unwrap_or_default(),
                kubeconfigs: options.kubeconfigs.clone(),
                directory,
                registry: options.registry.clone(),
                project: needs.project.clone(),
                namespaces: std::iter::once(needs.project.clone()).chain(of_environments).collect(),
                node_ports,
            })
        }
        _ => Cluster::Embedded(ClusterSpec { name, directory, node_ports, time_factor: host.settings.time_factor }),
    }
}
