//! A restore in progress, written down before anything is touched: whoever comes next finishes it.

use serde::{Deserialize, Serialize};

use super::progress::Progress;
use super::snapshot::{self, SnapshotStore};
use super::{Workspace, WorkspaceError, files};

/// What is being restored. It is removed when all of it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    /// The snapshot that git and cluster are brought to.
    pub snapshot: String,
    /// The progress that holds afterwards.
    pub progress: Progress,
    /// The learner's files are not restored yet.
    pub files_pending: bool,
    /// The cluster is not restored yet.
    pub cluster_pending: bool,
}

impl Journal {
    /// The one that was left behind, if any. One that cannot be read was not completely written, so nothing
    /// has been touched: it counts as absent.
    pub fn read(workspace: &Workspace) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(file(workspace)).ok()?).ok()
    }

    pub fn write(&self, workspace: &Workspace) -> Result<(), WorkspaceError> {
        let path = file(workspace);
        let bytes = serde_json::to_vec(self).map_err(|error| WorkspaceError::write(&path)(error.into()))?;
        files::write_atomically(&path, &bytes)
    }

    /// Restores the learner's files and the progress, where that is still to be done. Git is kept out while it
    /// lasts by the lock that it respects.
    pub fn finish_files(&mut self, workspace: &Workspace) -> Result<(), WorkspaceError> {
        if !self.files_pending {
            return Ok(());
        }
        let lock = workspace.repository().join(".git/index.lock");
        if workspace.repository().join(".git").is_dir() {
            let _ = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&lock);
        }
        let restored = snapshot::restore(&SnapshotStore::of(workspace), &workspace.repository(), &self.snapshot);
        let _ = std::fs::remove_file(&lock);
        restored?;
        self.progress.save(workspace)?;
        self.files_pending = false;
        self.write(workspace)
    }

    /// Marks the cluster as restored and, with nothing left to do, ends the journal.
    pub fn end(mut self, workspace: &Workspace) -> Result<(), WorkspaceError> {
        self.cluster_pending = false;
        let path = file(workspace);
        std::fs::remove_file(&path).map_err(WorkspaceError::write(&path))
    }
}

fn file(workspace: &Workspace) -> std::path::PathBuf {
    workspace.directory().join("restore.json")
}
