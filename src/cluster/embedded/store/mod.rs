//! All objects of the cluster in memory: one revision, a bounded history for watches, a durable log.
//!
//! Place: below the registry, which alone writes to it; it knows nothing of what an object means.
//! Invariants: a write is in the log before it is visible or acknowledged; revisions only rise, by one a write;
//! an entry never changes once made, so readers share it; no queue is kept per watcher: each reads the one history
//! from its own position, and one that falls behind its end is told so.

mod entry;
mod history;
mod log;
mod state;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

pub use entry::{Draft, Entry};
pub use history::{Event, EventKind};
use log::Log;
use state::State;
pub use subscription::{Next, Subscription};

use super::schema::{self, Kind};
use crate::error::Explain;

/// Why the cluster's data could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot read the cluster's data in {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write the cluster's data to {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("the snapshot {} is damaged at byte {offset}", path.display())]
    Snapshot { path: PathBuf, offset: u64 },
}

impl Explain for StoreError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { path, .. } => format!("check that {} belongs to you and can be read", path.display()),
            Self::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "free some space on the disk: nothing that was acknowledged is lost".into()
            }
            Self::Write { path, .. } => format!("check that {} can be written", path.display()),
            Self::Snapshot { .. } => "run `tutorial reset course` to begin from the course's start".into(),
        })
    }
}

/// What opening the log found amiss and mended; for the background process's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A kill in the middle of a write: the unacknowledged record was cut off.
    TornTail { path: PathBuf, bytes: u64 },
    /// The file was damaged in its middle: what precedes the damage was recovered, the rest is in the copy.
    Damaged { path: PathBuf, offset: u64, bytes: u64, copy: PathBuf },
    /// Records of kinds that this version does not serve were left out.
    Unknown { path: PathBuf, records: usize },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TornTail { path, bytes } => {
                write!(f, "{}: cut off {bytes} bytes of a write that was not finished", path.display())
            }
            Self::Damaged { path, offset, bytes, copy } => write!(
                f,
                "{}: damaged at byte {offset}; recovered what precedes it, kept the whole file with the {bytes} bytes that follow as {}",
                path.display(),
                copy.display()
            ),
            Self::Unknown { path, records } => {
                write!(f, "{}: left out {records} records of unknown kinds", path.display())
            }
        }
    }
}

/// How much history is kept.
#[derive(Debug, Clone)]
pub struct Options {
    pub history_events_max: usize,
    pub history_bytes_max: usize,
    /// Where the log file is compacted: at this length or more, and four times what is live.
    pub compaction_bytes_min: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { history_events_max: 16_384, history_bytes_max: 12 << 20, compaction_bytes_min: 8 << 20 }
    }
}

/// Why a commit was not made.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The object is not as the caller saw it: read it again.
    #[error("the object has changed")]
    Changed,
    #[error("the namespace is not there")]
    NamespaceMissing,
    #[error("the namespace is being terminated")]
    NamespaceTerminating,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The objects, their history and their log.
#[derive(Debug)]
pub struct Store {
    state: RwLock<State>,
    wake: watch::Sender<u64>,
    wake_by_kind: HashMap<usize, watch::Sender<u64>>,
    notices: Vec<Notice>,
}

impl Store {
    /// Opens the log in a directory (made where it is not there) and replays it; without one, nothing is kept.
    pub fn open(directory: Option<&Path>, options: &Options) -> Result<Arc<Self>, StoreError> {
        let mut state = State::new(options);
        let mut notices = Vec::new();
        if let Some(directory) = directory {
            std::fs::create_dir_all(directory)
                .map_err(|source| StoreError::Write { path: directory.to_owned(), source })?;
            let path = directory.join("objects.log");
            let (log, records, found) = Log::open(&path)?;
            notices = found;
            let unknown = records.iter().map(|record| state.replay(record)).filter(|known| !known).count();
            if unknown > 0 {
                notices.push(Notice::Unknown { path, records: unknown });
            }
            state.attach(log);
            state.compact_if_worthwhile();
        }
        let wake_by_kind = schema::kinds().iter().map(|kind| (address(kind), watch::Sender::new(0))).collect();
        Ok(Arc::new(Self { state: RwLock::new(state), wake: watch::Sender::new(0), wake_by_kind, notices }))
    }

    /// What was amiss when the log was opened.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        self.read().revision
    }

    pub fn get(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.read().get(kind, namespace, name)
    }

    /// In order of namespace and name, with the revision that the list is of.
    pub fn list(&self, kind: &'static Kind, namespace: Option<&str>) -> (u64, Vec<Arc<Entry>>) {
        let state = self.read();
        (state.revision, state.list(kind, namespace))
    }

    /// The list as it was at an earlier revision; `None` where the history no longer reaches back to it.
    pub fn list_at(&self, kind: &'static Kind, namespace: Option<&str>, revision: u64) -> Option<Vec<Arc<Entry>>> {
        self.read().list_at(kind, namespace, revision)
    }

    /// The dependents of an owner.
    pub fn by_owner(&self, uid: &str) -> Vec<Arc<Entry>> {
        self.read().by_owner(uid)
    }

    pub fn by_uid(&self, uid: &str) -> Option<Arc<Entry>> {
        self.read().by_uid(uid)
    }

    /// Stores a draft over `live`, the object that the caller decided by (`None`: there is none).
    pub fn put(&self, draft: &Draft, live: Option<&Arc<Entry>>) -> Result<Arc<Entry>, CommitError> {
        let event = self.write().put(draft, live)?;
        self.wake(&event);
        Ok(event.entry)
    }

    /// Removes `live`; `last` is its last state where that differs.
    pub fn remove(&self, live: &Arc<Entry>, last: Option<&Draft>) -> Result<Arc<Entry>, CommitError> {
        let event = self.write().remove(live, last)?;
        self.wake(&event);
        Ok(event.entry)
    }

    /// Writes every object to a file, atomically.
    pub fn snapshot(&self, path: &Path) -> Result<(), StoreError> {
        let (revision, entries) = {
            let state = self.read();
            (state.revision, state.all())
        };
        log::write_file(path, revision, entries.iter().map(|entry| (entry.revision, &*entry.json)))?;
        Ok(())
    }

    /// Makes the objects those of a snapshot, by ordinary events under new revisions. Returns how many changed.
    pub fn restore(&self, path: &Path) -> Result<usize, StoreError> {
        let records = log::read_file(path)?;
        let events = self.write().restore(records)?;
        for event in &events {
            self.wake(event);
        }
        Ok(events.len())
    }

    /// Events of one kind, or of all, after a revision (`None`: from now).
    pub fn subscribe(self: &Arc<Self>, kind: Option<&'static Kind>, after: Option<u64>) -> Subscription {
        let wake = kind.map_or(&self.wake, |kind| self.wake_for(kind)).subscribe();
        let position = after.unwrap_or_else(|| self.revision());
        Subscription::new(Arc::clone(self), kind, position, wake)
    }

    /// Objects, bytes of their JSON, events kept, bytes in the log.
    pub fn figures(&self) -> Figures {
        self.read().figures()
    }

    fn wake(&self, event: &Event) {
        let revision = event.entry.revision;
        self.wake_for(event.entry.kind).send_replace(revision);
        self.wake.send_replace(revision);
    }

    fn wake_for(&self, kind: &'static Kind) -> &watch::Sender<u64> {
        self.wake_by_kind.get(&address(kind)).expect("every kind of the schema has one")
    }

    /// A panic elsewhere leaves the state whole, because it changes only after the log took the write.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the store holds, for the health page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    pub revision: u64,
    pub objects: usize,
    pub object_bytes: usize,
    pub history_events: usize,
    pub log_bytes: u64,
}

/// Kinds are compared by where they stand in the schema's table.
fn address(kind: &'static Kind) -> usize {
    std::ptr::from_ref(kind).addr()
}
