//! What kubeconfigs call: prints the token, and starts the cluster where it is not running.

use std::path::Path;

use serde_json::json;

use super::client;
use super::files::Files;
use super::identity::Identity;
use super::{ProcessError, ensure_running};
use crate::cluster::ClusterSpec;

/// The `ExecCredential` for a cluster's directory. `program` is this binary.
pub fn credential(directory: &Path, read_only: bool, program: &Path) -> Result<String, ProcessError> {
    let files = Files::new(directory);
    if client::answering(&files).is_none() {
        start(&files, program)?;
    }
    let identity =
        Identity::load(&files)?.ok_or_else(|| ProcessError::Absent { directory: files.directory().to_owned() })?;
    let token = if read_only { identity.read_only_token } else { identity.admin_token };
    let credential = json!({
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1",
        "spec": {"interactive": false},
        "status": {"token": token},
    });
    Ok(credential.to_string())
}

fn start(files: &Files, program: &Path) -> Result<(), ProcessError> {
    let spec: ClusterSpec =
        files.read("spec.json")?.ok_or_else(|| ProcessError::Absent { directory: files.directory().to_owned() })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ProcessError::Runtime)?;
    runtime.block_on(ensure_running(&spec, program)).map(|_| ())
}
