//! Why a kind cluster could not be made, reached or removed.

use std::path::{Path, PathBuf};

use super::diagnose::Diagnosis;
use crate::engine::{EngineError, Reason};
use crate::error::Explain;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("`{name}` is no name for a kind cluster")]
    Name { name: String },
    /// A container that we did not make bears a name that we need.
    #[error("the container `{container}` exists already, and is not ours")]
    Foreign { container: String },
    #[error("the kind cluster `{name}` exists already, and was not made by tutorial")]
    MadeByKind { name: String },
    #[error("the kind cluster `{name}` belongs to another workspace")]
    Elsewhere { name: String, directory: PathBuf },
    #[error("the kind cluster `{name}` was made by another user, or from another machine")]
    Another { name: String },
    #[error("there is no kind cluster `{name}`")]
    Absent { name: String },
    #[error("the image {image} is not on this machine, and cannot be fetched")]
    Image { image: String, source: Reason },
    #[error("the machine is not ready for a kind cluster: {what}")]
    Unfit { what: String, remedy: String },
    #[error("Docker could not {doing}")]
    Docker { doing: String, source: bollard::errors::Error },
    #[error("`{command}` failed in {container} (exit code {code})")]
    Command { container: String, command: String, code: i64, tail: Vec<String> },
    #[error("the node {container} ended while it booted")]
    Ended { container: String },
    #[error("{what} took more than {seconds} seconds")]
    Slow { what: String, seconds: u64 },
    #[error("the cluster did not answer to {doing}")]
    Api { doing: String, source: Box<kube::Error> },
    #[error("the node image has a {what} that cannot be read")]
    NodeImage { what: &'static str },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The user for checks could not be made.
    #[error(transparent)]
    Reader(crate::cluster::reader::ReaderError),
    #[error("no port is free on 127.0.0.1")]
    NoPort,
    #[error("another tutorial works on the kind cluster `{name}`")]
    Busy { name: String },
    /// What failed with why, once it was looked into.
    #[error("{} failed", .0.phase.doing())]
    Failed(#[source] Box<Diagnosis>),
}

impl KindError {
    pub(super) fn docker(doing: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Docker { doing, source }
    }

    pub(super) fn api(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Api { doing, source: Box::new(source) }
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Write { path: path.to_owned(), source }
    }

    /// Whether what is there under the name is somebody else's.
    pub fn is_not_ours(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::MadeByKind { .. } | Self::Elsewhere { .. } | Self::Another { .. })
    }

    /// Whether to look into the nodes can tell more than the error itself.
    pub(super) fn wants_diagnosis(&self) -> bool {
        matches!(
            self,
            Self::Docker { .. }
                | Self::Command { .. }
                | Self::Ended { .. }
                | Self::Slow { .. }
                | Self::Api { .. }
                | Self::Reader(_)
        )
    }
}

impl Explain for KindError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Engine(error) => return error.hint(),
            Self::Name { .. } => "name it with `--name`: small letters, digits, `.` and `-` make a name".into(),
            Self::Foreign { container } => {
                format!(
                    "choose another name with `--name`, or remove it if you do not need it: `docker rm -f {container}`"
                )
            }
            Self::MadeByKind { name } => format!(
                "choose another name with `--name`, or use it as it is: `--sandbox existing --context kind-{name}`"
            ),
            Self::Elsewhere { directory, .. } => {
                format!("choose another name with `--name`; this one is that of the workspace {}", directory.display())
            }
            Self::Another { name } => format!(
                "choose another name with `--name`, or remove it if you do not need it: `docker ps -aq --filter \
                 label=io.x-k8s.kind.cluster={name} | xargs docker rm -fv`"
            ),
            Self::Absent { .. } => "`tutorial cluster start --sandbox kind` makes it".into(),
            Self::Image { source: Reason(cause), .. } if cause.contains("oomanyrequests") || cause.contains("429") => {
                "Docker Hub lets nobody fetch without end: `docker login`, or try again in an hour, or use the sandbox \
                 that is built in: `--sandbox embedded`"
                    .into()
            }
            Self::Image { .. } => {
                "name an image that is on this machine (`docker images kindest/node`) with `--image`, \
                                   or use the sandbox that is built in: `--sandbox embedded`"
                    .into()
            }
            Self::Unfit { remedy, .. } => remedy.clone(),
            Self::Docker { .. } => "`docker info` says how Docker is; then run the command again".into(),
            Self::Write { path, .. } | Self::Read { path, .. } => {
                format!("check that {} belongs to you", path.display())
            }
            Self::NoPort => "end programs that listen on many ports, then run the command again".into(),
            Self::Busy { .. } => "wait until it is done, or end it, then run the command again".into(),
            Self::NodeImage { .. } => {
                "take an image that kind's own releases name: https://github.com/kubernetes-sigs/kind/releases".into()
            }
            Self::Reader(error) => return error.hint(),
            Self::Failed(diagnosis) => diagnosis.remedy.clone(),
            Self::Command { .. } | Self::Ended { .. } | Self::Slow { .. } | Self::Api { .. } => {
                "run the command again: it finishes what is there".into()
            }
        })
    }
}
