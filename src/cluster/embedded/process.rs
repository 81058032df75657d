//! The background process: one lock, one port kept for the workspace's life, a version handshake.

use std::path::Path;

use crate::cluster::{ClusterSpec, Connection};
use crate::error::Explain;

/// Why the embedded cluster could not be reached or made.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("the embedded cluster did not start")]
    NotStarted(#[source] std::io::Error),
}

impl Explain for ProcessError {}

/// Starts the background process where it is not running (or is of another version) and returns when it
/// answers. `program` is this binary.
pub async fn ensure_running(_spec: &ClusterSpec, _program: &std::path::Path) -> Result<Connection, ProcessError> {
    Err(ProcessError::NotStarted(std::io::Error::other("not written yet")))
}

/// Ends the background process of a directory, if it runs.
pub async fn stop(_directory: &Path) -> Result<(), ProcessError> {
    Ok(())
}

/// Keeps the cluster's state under a name.
pub async fn snapshot(_directory: &Path, _name: &str) -> Result<(), ProcessError> {
    Ok(())
}

/// Brings the cluster to a state that was kept.
pub async fn restore(_directory: &Path, _name: &str) -> Result<(), ProcessError> {
    Ok(())
}

/// The background process itself: returns when it has ended.
pub async fn serve(_directory: &Path) -> Result<(), ProcessError> {
    Err(ProcessError::NotStarted(std::io::Error::other("not written yet")))
}
