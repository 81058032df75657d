//! What goes wrong with any of the sandboxes.

use std::path::PathBuf;

use super::embedded::process::ProcessError;
use super::existing::ExistingError;
use super::kind::KindError;
use super::snapshot::SnapshotError;
use crate::error::{Exit, Explain};

/// The error of the sandbox that was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Embedded(#[from] ProcessError),
    #[error(transparent)]
    Kind(Box<KindError>),
    #[error(transparent)]
    Existing(#[from] ExistingError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("the sandbox has no log")]
    NoLog { path: PathBuf, source: std::io::Error },
}

impl ClusterError {
    /// Whether what is there under the name is somebody else's, so that there is nothing of ours to remove.
    pub fn is_not_ours(&self) -> bool {
        matches!(self, Self::Kind(error) if error.is_not_ours())
    }
}

impl From<KindError> for ClusterError {
    fn from(error: KindError) -> Self {
        Self::Kind(Box::new(error))
    }
}

impl Explain for ClusterError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Embedded(error) => error.hint(),
            Self::Kind(error) => error.hint(),
            Self::Existing(error) => error.hint(),
            Self::Snapshot(error) => error.hint(),
            Self::Write { path, .. } => Some(format!("check that {} belongs to you", path.display())),
            Self::NoLog { .. } => Some("`tutorial cluster start` makes it".into()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Embedded(error) => error.exit(),
            Self::Kind(error) => error.exit(),
            Self::Existing(error) => error.exit(),
            Self::Snapshot(error) => error.exit(),
            Self::Write { .. } | Self::NoLog { .. } => Exit::NotYet,
        }
    }
}
