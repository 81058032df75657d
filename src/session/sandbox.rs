//! The session's sandbox: provisioned in the background from the first moment, waited for only where it is needed.

use std::path::PathBuf;

use tokio::task::JoinHandle;

use super::Host;
use crate::cluster::embedded::process;
use crate::cluster::{ClusterSpec, Connection};
use crate::error::{Exit, Failure};

/// A sandbox, whether it runs or not.
#[derive(Debug)]
pub struct Sandbox {
    spec: ClusterSpec,
    connection: Option<Connection>,
    provisioning: Option<JoinHandle<Result<Connection, Failure>>>,
}

impl Sandbox {
    /// Nothing is started by this.
    pub fn new(spec: ClusterSpec) -> Self {
        Self { spec, connection: None, provisioning: None }
    }

    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// Begins to bring it up; returns at once.
    pub fn provision(&mut self, host: &Host) {
        if self.connection.is_none() && self.provisioning.is_none() {
            let (spec, program): (ClusterSpec, PathBuf) = (self.spec.clone(), host.program.clone());
            let start = async move { process::ensure_running(&spec, &program).await.map_err(Failure::from) };
            self.provisioning = Some(host.runtime.spawn(start));
        }
    }

    /// What is known of it now, without waiting: from this process, else from an earlier one.
    pub fn known(&self) -> Option<Connection> {
        self.connection.clone().or_else(|| {
            let file = self.spec.directory.join("connection.json");
            serde_json::from_slice(&std::fs::read(file).ok()?).ok()
        })
    }

    /// Whether it has been brought up by this process.
    pub fn is_ready(&self) -> bool {
        self.connection.is_some()
    }

    /// It did not answer: what is known of it holds no more.
    pub fn forget(&mut self) {
        (self.connection, self.provisioning) = (None, None);
    }

    /// Waits until it answers.
    pub fn ready(&mut self, host: &Host) -> Result<Connection, Failure> {
        if let Some(connection) = &self.connection
            && process::status(&self.spec.directory) != process::Status::Stopped
        {
            return Ok(connection.clone());
        }
        // It may have been ended since: by `tutorial stop` in another terminal, or by a crash.
        self.connection = None;
        self.provision(host);
        let Some(provisioning) = self.provisioning.take() else {
            return Err(Failure::new("the sandbox was not started"));
        };
        let line = (!provisioning.is_finished()).then(|| host.ui.progress("the sandbox is starting"));
        let outcome = host.runtime.block_on(provisioning);
        if let Some(line) = line {
            line.clear();
        }
        let connection =
            outcome.map_err(|error| Failure::new("the sandbox could not be started").caused_by(error))??;
        self.connection = Some(connection.clone());
        Ok(connection)
    }
}

/// The kinds of sandboxes that this version cannot make.
pub fn refuse_unready(kind: &str) -> Result<(), Failure> {
    match kind {
        "embedded" => Ok(()),
        other => Err(Failure::new(format!("the sandbox `{other}` is not available in this version"))
            .hint("use the one that is built in: `--sandbox embedded`")
            .exit(Exit::Usage)),
    }
}
