//! What stands in a cluster's directory, and how it is written.
//!
//! | file | what it is |
//! |---|---|
//! | `spec.json` | what the cluster was asked to be |
//! | `identity.json` | ports, tokens and certificates: kept for the cluster's life, secret |
//! | `connection.json` | how to reach it |
//! | `running.json` | the process that answers now |
//! | `failure.json` | why the last one did not start |
//! | `damaged` | where the damaged log is kept, until somebody was told |
//! | `lock`, `start.lock` | who serves; who starts or stops |
//! | `kubeconfig`, `kubeconfig-readonly` | for kubectl; secret |
//! | `log`, `log.1` | what the process told |
//! | `data/`, `images/`, `snapshots/` | objects, images, kept states |

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ProcessError;

/// The directory of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    directory: PathBuf,
}

impl Files {
    pub fn new(directory: &Path) -> Self {
        // Kubeconfigs are used from anywhere, so no path in them may be relative.
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        Self { directory }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the directory, for its owner alone.
    pub fn create(&self) -> Result<(), ProcessError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(ProcessError::write(&self.directory))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Reads a JSON file; `None` where it is not there.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ProcessError> {
        let path = self.path(name);
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ProcessError::Read { path, source }),
        };
        serde_json::from_slice(&content).map(Some).map_err(|source| ProcessError::Damaged { path, source })
    }

    /// Writes a JSON file so that nobody ever sees half of one, for its owner alone.
    pub fn write<T: Serialize>(&self, name: &str, content: &T) -> Result<(), ProcessError> {
        let mut text = serde_json::to_string_pretty(content).expect("plain data with string keys");
        text.push('\n');
        self.write_text(name, &text)
    }

    /// The same for text. A file that has this content already is left alone.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), ProcessError> {
        let path = self.path(name);
        if std::fs::read(&path).is_ok_and(|content| content == text.as_bytes()) {
            return Ok(());
        }
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::Builder::new()
                .prefix(".new-")
                .permissions(std::fs::Permissions::from_mode(0o600))
                .tempfile_in(&self.directory)?;
            file.write_all(text.as_bytes())?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(ProcessError::write(&path))
    }

    /// Removes a file where it is there.
    pub fn remove(&self, name: &str) -> Result<(), ProcessError> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ProcessError::Write { path, source: error })
            }
            _ => Ok(()),
        }
    }

    /// Takes a lock where nobody holds it. The kernel releases it when the process ends, however it ends.
    pub fn try_lock(&self, name: &str) -> Result<Option<File>, ProcessError> {
        let path = self.path(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(ProcessError::write(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(ProcessError::Write { path, source }),
        }
    }

    /// Whether somebody holds a lock.
    pub fn is_locked(&self, name: &str) -> bool {
        let Ok(file) = File::open(self.path(name)) else { return false };
        // A shared lock, so that two who look at the same time do not take each other for the holder.
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}
