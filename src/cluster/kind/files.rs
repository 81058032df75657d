//! What stands in a kind cluster's directory.
//!
//! | file | what it is |
//! |---|---|
//! | `connection.json` | how to reach the cluster |
//! | `kind.json` | the containers that were made, and whether all was finished |
//! | `kubeconfig`, `kubeconfig-readonly` | for kubectl; secret |
//! | `log` | what was done, and what kubeadm said |
//! | `kind.lock` | who works on it |

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::KindError;
use crate::cluster::Connection;

pub const CONNECTION: &str = "connection.json";
pub const MADE: &str = "kind.json";
pub const KUBECONFIG: &str = "kubeconfig";
pub const KUBECONFIG_READONLY: &str = "kubeconfig-readonly";
const LOG: &str = "log";
const LOCK: &str = "kind.lock";
const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;
const POLL: Duration = Duration::from_millis(50);

/// What was made; written before the first container is, and again in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Made {
    /// Container ids, the control plane's first.
    pub containers: Vec<String>,
    pub is_finished: bool,
    /// A deletion has begun: what is there still is of no use any more.
    #[serde(default)]
    pub is_going: bool,
}

/// The directory of one cluster.
#[derive(Debug, Clone)]
pub struct Files {
    directory: PathBuf,
}

impl Files {
    pub fn new(directory: &Path) -> Self {
        // Kubeconfigs are used from anywhere, so no path in them may be relative.
        Self { directory: std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned()) }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Makes the directory, for its owner alone.
    pub fn create(&self) -> Result<(), KindError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
        made.map_err(KindError::write(&self.directory))
    }

    /// What a JSON file holds; a damaged one is as one that is not there, since all can be found out again.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&std::fs::read(self.path(name)).ok()?).ok()
    }

    pub fn connection(&self) -> Option<Connection> {
        self.read(CONNECTION)
    }

    pub fn write<T: Serialize>(&self, name: &str, content: &T) -> Result<(), KindError> {
        let text = serde_json::to_string_pretty(content).expect("plain data with string keys");
        self.write_text(name, &format!("{text}\n"))
    }

    /// Writes a file for its owner alone, so that nobody ever sees half of one.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), KindError> {
        let path = self.path(name);
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::Builder::new()
                .prefix(".new-")
                .permissions(std::fs::Permissions::from_mode(0o600))
                .tempfile_in(&self.directory)?;
            file.write_all(text.as_bytes())?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(KindError::write(&path))
    }

    /// Whether something may have been made in Docker. A note that is damaged is one too.
    pub fn is_begun(&self) -> bool {
        [MADE, CONNECTION].iter().any(|name| self.path(name).exists())
    }

    /// Removes what tells of the cluster. The log stays, for whoever asks why.
    pub fn forget(&self) -> Result<(), KindError> {
        for name in [CONNECTION, MADE, KUBECONFIG, KUBECONFIG_READONLY] {
            let path = self.path(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(KindError::Write { path, source: error });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Waits until nobody else works on the cluster. The kernel gives the lock back when a process ends.
    pub async fn lock(&self, name: &str, time_max: Duration) -> Result<File, KindError> {
        self.create()?;
        let path = self.path(LOCK);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(KindError::write(&path))?;
        let deadline = Instant::now() + time_max;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => tokio::time::sleep(POLL).await,
                Err(TryLockError::WouldBlock) => return Err(KindError::Busy { name: name.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(KindError::Write { path, source }),
            }
        }
    }

    /// The log, begun anew where it has become long.
    pub fn log(&self) -> Result<Log, KindError> {
        let path = self.path(LOG);
        let is_long = std::fs::metadata(&path).is_ok_and(|about| about.len() > LOG_BYTES_MAX);
        let mut options = OpenOptions::new();
        options.write(true).create(true).mode(0o600);
        let file = if is_long { options.truncate(true).open(&path) } else { options.append(true).open(&path) };
        let file = file.map_err(KindError::write(&path))?;
        Ok(Log { file: Mutex::new(file), began: Instant::now() })
    }

    /// What the log holds now.
    pub fn log_text(&self) -> String {
        std::fs::read(self.path(LOG)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

/// What was done, line by line, with the seconds since the call.
#[derive(Debug)]
pub struct Log {
    file: Mutex<File>,
    began: Instant,
}

impl Log {
    /// Adds a line. That it cannot be written is no reason to stop.
    pub fn line(&self, text: &str) {
        let line = format!("{:8.3} {}\n", self.began.elapsed().as_secs_f64(), text.trim_end());
        if let Ok(mut file) = self.file.lock() {
            let _ = file.write_all(line.as_bytes());
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
