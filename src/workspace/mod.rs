//! The workspace on disk: progress, the repository, snapshots, the environment of its shells.
//!
//! A workspace is a directory: the learner's repository beside `.tutorial/`, which is ours. Invariants: what is
//! the learner's is changed only by a restore that first keeps what is there; every file of ours is replaced
//! atomically; whoever writes holds the lock ([`lock::WriterLock`]).

pub mod environment;
pub mod files;
pub mod journal;
pub mod locate;
pub mod lock;
pub mod progress;
pub mod snapshot;

use std::path::{Path, PathBuf};

use crate::error::Explain;

/// The directory that is ours.
pub const TUTORIAL_DIRECTORY: &str = ".tutorial";

/// A workspace's paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    root: PathBuf,
    repository: String,
}

impl Workspace {
    /// The workspace at an absolute path; `repository` is the name of the learner's directory in it.
    pub fn new(root: PathBuf, repository: &str) -> Self {
        Self { root, repository: repository.to_owned() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The learner's repository; a plain directory until they run `git init`.
    pub fn repository(&self) -> PathBuf {
        self.root.join(&self.repository)
    }

    /// `.tutorial/`.
    pub fn directory(&self) -> PathBuf {
        self.root.join(TUTORIAL_DIRECTORY)
    }

    pub fn progress_file(&self) -> PathBuf {
        self.directory().join("progress.json")
    }

    /// Where `werf` and others stand, first in the session's PATH.
    pub fn bin(&self) -> PathBuf {
        self.directory().join("bin")
    }

    /// `COURSE_DIR`: the course's files.
    pub fn course(&self) -> PathBuf {
        self.directory().join("course")
    }

    /// The sandbox's data.
    pub fn cluster(&self) -> PathBuf {
        self.directory().join("cluster")
    }

    pub fn snapshots(&self) -> PathBuf {
        self.directory().join("snapshots")
    }

    /// The session's environment as `export` lines.
    pub fn environment_file(&self) -> PathBuf {
        self.directory().join("env")
    }

    /// Makes the directories that are always there.
    pub fn create(&self) -> Result<(), WorkspaceError> {
        for directory in [self.directory(), self.bin(), self.snapshots(), self.repository()] {
            std::fs::create_dir_all(&directory).map_err(WorkspaceError::write(&directory))?;
        }
        // Everything below `.tutorial` is of no concern to a repository around the workspace.
        let ignore = self.directory().join(".gitignore");
        if ignore.exists() { Ok(()) } else { files::write_atomically(&ignore, b"*\n") }
    }
}

/// What goes wrong with a workspace's files.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be written", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("the file path `{path}` of a lesson leads outside the repository")]
    Outside { path: String },
    #[error("{} was written by a newer version of tutorial (format {found}, this one knows {known})", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("another tutorial command is at work here{}", holder.as_ref().map(|holder| format!(" ({holder})")).unwrap_or_default())]
    Busy { holder: Option<String> },
    #[error("git is at work in {}: {} is there", repository.display(), lock.display())]
    GitBusy { repository: PathBuf, lock: PathBuf },
    #[error("there is no snapshot `{name}`")]
    NoSnapshot { name: String },
    #[error("the snapshot `{name}` is damaged: {reason}")]
    DamagedSnapshot { name: String, reason: String },
    #[error("there is no workspace in {}", path.display())]
    NotAWorkspace { path: PathBuf },
    #[error("no course has been started yet")]
    NothingStarted,
}

impl WorkspaceError {
    /// For `map_err` on a write to `path`.
    pub fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    /// For `map_err` on a read of `path`.
    pub fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}

impl Explain for WorkspaceError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => remedy(source),
            Self::Newer { .. } => Some("update tutorial, then try again".into()),
            Self::Busy { .. } => Some("wait until it is done, then try again".into()),
            Self::GitBusy { lock, .. } => {
                Some(format!("end the git command that runs there; if none does, remove `{}`", lock.display()))
            }
            Self::DamagedSnapshot { .. } | Self::NoSnapshot { .. } => {
                Some("go to another step with `tutorial goto STEP`; `tutorial status` lists them".into())
            }
            Self::NotAWorkspace { .. } | Self::NothingStarted => Some("run `tutorial start`".into()),
            Self::Outside { .. } => None,
        }
    }

    fn exit(&self) -> crate::error::Exit {
        match self {
            Self::Outside { .. } => crate::error::Exit::Broken,
            _ => crate::error::Exit::NotYet,
        }
    }
}

fn remedy(error: &std::io::Error) -> Option<String> {
    match error.kind() {
        std::io::ErrorKind::StorageFull => Some(crate::error::DISK_FULL.into()),
        std::io::ErrorKind::PermissionDenied => Some("check who owns the directory and its mode".into()),
        _ => None,
    }
}
