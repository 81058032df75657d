//! Why a cluster that exists cannot be used.

use std::path::PathBuf;

use super::ExistingSpec;
use crate::cluster::reader::ReaderError;
use crate::error::{Exit, Explain};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum ExistingError {
    #[error("there is no context `{context}` in your kubeconfig")]
    NoContext { context: String, known: Vec<String> },
    #[error("the context `{context}` cannot be used: {reason}")]
    Unusable { context: String, reason: String },
    #[error("the context `{context}` leads to another cluster than the one that the course was begun on")]
    Another { context: String },
    #[error("the course has not been begun on the cluster of `{context}`")]
    NotBegun { context: String },
    #[error("the namespace `{namespace}` exists already on the cluster of `{context}`, and is not the course's")]
    Foreign { namespace: String, context: String },
    #[error("another workspace plays a course with the project `{project}` on this cluster: {by}")]
    Claimed { project: String, by: String },
    #[error("it is not known which registry the cluster pulls images from")]
    NoRegistry,
    #[error("the cluster of `{context}` does not answer, or refuses")]
    Api { context: String, source: Box<kube::Error> },
    #[error(transparent)]
    Reader(#[from] ReaderError),
    #[error("the namespace `{namespace}` was not gone after {seconds} seconds")]
    Slow { namespace: String, seconds: u64 },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

impl ExistingError {
    pub(super) fn api(spec: &ExistingSpec, source: kube::Error) -> Self {
        Self::Api { context: spec.context.clone(), source: Box::new(source) }
    }
}

impl Explain for ExistingError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoContext { known, .. } if known.is_empty() => {
                "`KUBECONFIG` names the files that are read, else it is `~/.kube/config`".into()
            }
            Self::NoContext { known, .. } => format!("there is {}", known.join(", ")),
            Self::Unusable { context, .. } | Self::Api { context, .. } => {
                format!("try it yourself: `kubectl --context {context} get namespaces`")
            }
            Self::Another { .. } => {
                "choose another directory with `--dir`, or `tutorial remove` this workspace first".into()
            }
            Self::NotBegun { .. } => "`tutorial start` begins it".into(),
            Self::Foreign { namespace, context } => format!(
                "take another cluster; or, if you do not need it, `kubectl --context {context} delete namespace \
                 {namespace}`"
            ),
            Self::Claimed { by, .. } => {
                format!(
                    "go on there, or remove it: `tutorial remove --dir {}`",
                    by.trim_end_matches("/.tutorial/cluster")
                )
            }
            Self::NoRegistry => {
                "name one that the cluster can pull from and you can push to: `--registry localhost:5001`".into()
            }
            Self::Reader(error) => return error.hint(),
            Self::Slow { namespace, .. } => {
                format!("`kubectl get namespace {namespace} -o yaml` says what keeps it; then run the command again")
            }
            Self::Write { path, .. } => format!("check that {} belongs to you", path.display()),
        })
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoContext { .. } | Self::NoRegistry | Self::Another { .. } => Exit::Usage,
            _ => Exit::NotYet,
        }
    }
}
