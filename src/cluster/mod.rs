//! The sandbox cluster: embedded, kind or one that exists. The rest of the program gets a connection,
//! the environments' URLs and a registry, and cannot tell the clusters apart.

mod access;
pub mod embedded;
mod error;
pub mod existing;
pub mod export;
pub mod kind;
pub mod reader;
mod request;
pub mod snapshot;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use embedded::process;
pub use error::ClusterError;
use existing::ExistingSpec;
use kind::KindSpec;

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
    /// Where NodePorts are reached: this machine, but for a cluster that exists elsewhere.
    #[serde(default = "this_machine")]
    pub host: String,
    /// NodePort to the port that listens on `host` for it.
    pub node_ports: BTreeMap<u16, u16>,
    /// `embedded`, `kind` or `existing`.
    pub kind: String,
    /// The version that the cluster says it is, `v1.34.2+tutorial`.
    pub version: String,
}

/// The usual [`Connection::host`].
pub fn this_machine() -> String {
    "localhost".to_owned()
}

/// One of the sandboxes, whether it is there or not.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Cluster {
    Embedded(ClusterSpec),
    Kind(KindSpec),
    Existing(ExistingSpec),
}

/// Who is told what goes on while a sandbox is brought up.
pub type Told<'a> = &'a (dyn Fn(String) + Send + Sync);

/// How a sandbox is.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// It answers; says by whom it is served.
    Running { connection: Connection, served: String },
    /// It does not; says what is known of it.
    NotRunning(String),
}

/// How `tutorial cluster` is told of a cluster: by its workspace, or by its name.
pub fn argument(name: &str, directory: &Path) -> String {
    let of_workspace = directory.ends_with(".tutorial/cluster").then(|| directory.ancestors().nth(2)).flatten();
    match of_workspace {
        Some(root) => {
            let root = root.display().to_string();
            let is_plain = |character: char| character.is_alphanumeric() || "/._-+@".contains(character);
            if root.chars().all(is_plain) {
                format!("--dir {root}")
            } else {
                format!("--dir '{}'", root.replace('\'', r"'\''"))
            }
        }
        None => format!("--name {name}"),
    }
}

/// Clusters that were begun in a directory, given up for another one, and could not be reached then.
const LEFT_FILE: &str = "left.json";
/// Says in a cluster's directory what it is, where it is not an embedded one.
const CLUSTER_FILE: &str = "cluster.json";

impl Cluster {
    /// The cluster that a directory belongs to: what was noted there, else the embedded one of this name.
    pub fn found_in(directory: &Path, name: &str, time_factor: f64) -> Self {
        Self::noted_in(directory).unwrap_or_else(|| {
            let (name, directory) = (name.to_owned(), directory.to_owned());
            Self::Embedded(ClusterSpec { name, directory, node_ports: Vec::new(), time_factor })
        })
    }

    /// What a directory says was begun in it, where it is not an embedded one.
    fn noted_in(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(directory.join(CLUSTER_FILE)).ok()?).ok()
    }

    /// Whether a directory says that one that is not embedded has been begun in it.
    pub fn is_noted(directory: &Path) -> bool {
        [CLUSTER_FILE, LEFT_FILE].iter().any(|file| directory.join(file).is_file())
    }

    /// Whether the cluster of a directory could be worked with once, so that a learner's work may be in it. Until then
    /// another may be made in its place.
    pub fn was_finished(directory: &Path) -> bool {
        directory.join("connection.json").is_file() || directory.join("data").is_dir()
    }

    /// Gives up what was begun in a directory and never finished. What cannot be reached now is noted there, and goes
    /// with the next [`Cluster::delete`].
    ///
    /// # Panics
    /// Never: plain data can be written.
    pub async fn abandon(directory: &Path) -> Result<(), ClusterError> {
        let Some(noted) = Self::noted_in(directory) else { return Ok(()) };
        if noted.delete_this().await.is_err_and(|error| !error.is_not_ours()) {
            let mut left = left_in(directory);
            if !left.contains(&noted) {
                left.push(noted);
            }
            let text = serde_json::to_string_pretty(&left).expect("plain data with string keys");
            write(&directory.join(LEFT_FILE), &text)?;
        }
        let path = directory.join(CLUSTER_FILE);
        std::fs::remove_file(&path).map_err(|source| ClusterError::Write { path, source })
    }

    /// Whether it may be made as it is asked for. Before anything is noted.
    pub fn check(&self) -> Result<(), ClusterError> {
        match self {
            Self::Kind(spec) => Ok(kind::check_name(spec)?),
            Self::Embedded(_) | Self::Existing(_) => Ok(()),
        }
    }

    /// What stays where it cannot be reached, and how to remove it by hand.
    fn left_behind(&self) -> Option<String> {
        match self {
            Self::Embedded(_) => None,
            Self::Kind(spec) => Some(format!(
                "in Docker, the nodes of the kind cluster `{0}` and their volumes: `docker ps -aq --filter \
                 label=tutorial.cluster={0} | xargs docker rm -fv`",
                spec.name
            )),
            Self::Existing(spec) => Some(format!(
                "on the cluster of `{}`, the namespaces {} and the user for checks in `tutorial-system`: `kubectl \
                 --context {} delete namespace …`",
                spec.context,
                spec.namespaces.join(", "),
                spec.context
            )),
        }
    }

    /// All that stays of what was begun in its directory.
    pub fn all_left_behind(&self) -> Vec<String> {
        let left = left_in(self.directory());
        std::iter::once(self).chain(&left).filter_map(Self::left_behind).collect()
    }

    /// `embedded`, `kind` or `existing`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Kind(_) => "kind",
            Self::Existing(_) => "existing",
        }
    }

    /// Where what belongs to it lies.
    pub fn directory(&self) -> &Path {
        match self {
            Self::Embedded(spec) => &spec.directory,
            Self::Kind(spec) => &spec.directory,
            Self::Existing(spec) => &spec.directory,
        }
    }

    /// Makes or starts it, and returns when it answers; at once where it does. What a run that was interrupted left is
    /// finished. `program` is this binary.
    pub async fn ensure_running(&self, program: &Path, told: Told<'_>) -> Result<Connection, ClusterError> {
        self.check()?;
        if !matches!(self, Self::Embedded(_)) {
            self.note()?;
        }
        Ok(match self {
            Self::Embedded(spec) => process::ensure_running(spec, program).await?,
            Self::Kind(spec) => kind::ensure_running(spec, &|progress| told(progress.to_string())).await?,
            Self::Existing(spec) => existing::ensure(spec).await?,
        })
    }

    /// Before anything is made: whoever removes the directory has to know what belongs to it.
    fn note(&self) -> Result<(), ClusterError> {
        let path = self.directory().join(CLUSTER_FILE);
        let text = serde_json::to_string_pretty(self).expect("plain data with string keys");
        if std::fs::read_to_string(&path).is_ok_and(|noted| noted == text) {
            return Ok(());
        }
        write(&path, &text)
    }

    /// What is known of it without asking it, from this or an earlier run.
    pub fn known(&self) -> Option<Connection> {
        let file = self.directory().join("connection.json");
        serde_json::from_slice(&std::fs::read(file).ok()?).ok()
    }

    /// Whether it answers now.
    pub async fn status(&self) -> Status {
        match self {
            Self::Embedded(spec) => match process::status(&spec.directory) {
                process::Status::Running { process, version, connection } => {
                    Status::Running { connection, served: format!("served by tutorial {version}, process {process}") }
                }
                process::Status::Stopped => Status::NotRunning("not running".into()),
            },
            Self::Kind(spec) => match kind::status(spec).await {
                kind::Status::Running(connection) => {
                    Status::Running { connection, served: format!("the kind cluster `{}`", spec.name) }
                }
                kind::Status::Silent => Status::NotRunning("its nodes run, and it does not answer".into()),
                kind::Status::Stopped => Status::NotRunning("not running".into()),
                kind::Status::Unfinished => Status::NotRunning("not finished".into()),
                kind::Status::Absent => Status::NotRunning("not there".into()),
                kind::Status::Unknown(why) => Status::NotRunning(why),
            },
            Self::Existing(spec) => match existing::look(spec).await {
                Ok(connection) => Status::Running { connection, served: format!("by the context `{}`", spec.context) },
                Err(error) => Status::NotRunning(error.to_string()),
            },
        }
    }

    /// Ends it; what is in it stays. A cluster that was there before goes on.
    pub async fn stop(&self) -> Result<(), ClusterError> {
        match self {
            Self::Embedded(spec) => Ok(process::stop(&spec.directory).await?),
            Self::Kind(spec) => Ok(kind::stop(spec).await?),
            Self::Existing(_) => Ok(()),
        }
    }

    /// Removes all of it that is ours, outside of its directory; also what was begun there before it.
    pub async fn delete(&self) -> Result<(), ClusterError> {
        self.delete_this().await?;
        for left in left_in(self.directory()) {
            match left.delete_this().await {
                Err(error) if !error.is_not_ours() => return Err(error),
                _ => {}
            }
        }
        let path = self.directory().join(LEFT_FILE);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(ClusterError::Write { path, source }),
            _ => Ok(()),
        }
    }

    async fn delete_this(&self) -> Result<(), ClusterError> {
        match self {
            Self::Embedded(spec) => Ok(process::stop(&spec.directory).await?),
            Self::Kind(spec) => Ok(kind::delete(spec).await?),
            Self::Existing(spec) => Ok(existing::remove(spec).await?),
        }
    }

    /// What was done to make it, and what it says now.
    pub async fn logs(&self) -> Result<String, ClusterError> {
        match self {
            Self::Kind(spec) => Ok(kind::logs(spec).await?),
            Self::Embedded(_) | Self::Existing(_) => {
                let path = self.directory().join("log");
                std::fs::read_to_string(&path).map_err(|source| ClusterError::NoLog { path, source })
            }
        }
    }

    /// Keeps its state under a name; one that has the name already is replaced. It has to run.
    pub async fn keep(&self, name: &str) -> Result<(), ClusterError> {
        match self {
            Self::Embedded(spec) => Ok(process::snapshot(&spec.directory, name).await?),
            Self::Kind(_) | Self::Existing(_) => Ok(snapshot::keep(self.directory(), &self.scope(), name).await?),
        }
    }

    /// Brings it to a state that was kept, in place. It has to run.
    pub async fn restore(&self, name: &str) -> Result<(), ClusterError> {
        match self {
            Self::Embedded(spec) => Ok(process::restore(&spec.directory, name).await?),
            Self::Kind(_) | Self::Existing(_) => Ok(snapshot::restore(self.directory(), &self.scope(), name).await?),
        }
    }

    /// The namespaces whose objects are the course's.
    fn scope(&self) -> snapshot::Scope {
        match self {
            Self::Existing(spec) => snapshot::Scope::Only(spec.namespaces.clone()),
            Self::Embedded(_) | Self::Kind(_) => snapshot::Scope::AllButSystem,
        }
    }
}

fn left_in(directory: &Path) -> Vec<Cluster> {
    let text = std::fs::read(directory.join(LEFT_FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn write(path: &Path, text: &str) -> Result<(), ClusterError> {
    let failed = |source| ClusterError::Write { path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    reader::write(path, text).map_err(|error| failed(std::io::Error::other(error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_cluster_is_called_on_the_command_line() {
        assert_eq!(argument("t", Path::new("/h/.clusters/t")), "--name t");
        assert_eq!(argument("tutorial-c", Path::new("/h/c/.tutorial/cluster")), "--dir /h/c");
        assert_eq!(argument("t", Path::new("/my work/.tutorial/cluster")), "--dir '/my work'");
    }
}
