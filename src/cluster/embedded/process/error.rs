//! Why the embedded cluster could not be reached, made or ended.

use std::path::{Path, PathBuf};

use super::super::images::ImageError;
use crate::error::{Explain, Failure};

/// What can go wrong with the background process, on either side.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{} is damaged", path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error("the embedded cluster could not be started from {}", program.display())]
    Spawn { program: PathBuf, source: std::io::Error },
    /// The process ended before it answered, and told why.
    #[error("the embedded cluster did not start")]
    Failed(#[source] Reported),
    /// The process ended before it answered, and told nothing.
    #[error("the embedded cluster ended as soon as it was started ({ending})")]
    Ended { ending: String, log: PathBuf },
    #[error("the embedded cluster did not answer within {seconds} seconds")]
    Silent { seconds: u64, log: PathBuf },
    #[error("another process serves the cluster in {}", directory.display())]
    AlreadyServed { directory: PathBuf },
    #[error("there is no embedded cluster in {}", directory.display())]
    Absent { directory: PathBuf },
    #[error("the embedded cluster does not end (process {process})")]
    Unstoppable { process: u32 },
    #[error("the cluster's certificates could not be made")]
    Certificates(#[from] rcgen::Error),
    #[error("the cluster's certificates cannot be used")]
    Tls(#[from] rustls::Error),
    #[error("no port is free on 127.0.0.1")]
    NoPort(#[source] std::io::Error),
    #[error("the cluster's data cannot be used")]
    Store(#[source] Reported),
    #[error("the image registry's directory cannot be used")]
    Images(#[source] ImageError),
    #[error("the background process could not run")]
    Runtime(#[source] std::io::Error),
    #[error("the embedded cluster refused to {action}")]
    Refused { action: String, source: Reported },
}

impl ProcessError {
    pub(super) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Write { path: path.to_owned(), source }
    }
}

impl Explain for ProcessError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { path, .. } => Some(format!("check that {} belongs to you and can be read", path.display())),
            Self::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space on the disk, then run the command again: nothing is lost".into())
            }
            Self::Write { path, .. } => Some(format!("check that {} can be written", path.display())),
            Self::Damaged { path, .. } => Some(format!("remove {} and run the command again", path.display())),
            Self::Failed(reported) | Self::Store(reported) | Self::Refused { source: reported, .. } => {
                reported.hint.clone()
            }
            Self::Ended { log, .. } | Self::Silent { log, .. } => Some(format!("its log is {}", log.display())),
            Self::Absent { .. } => Some("run `tutorial start` to make one".into()),
            Self::Unstoppable { process } => Some(format!("end it with `kill -9 {process}`: no data is lost by that")),
            Self::NoPort(_) => Some("end programs that listen on many ports, then run the command again".into()),
            Self::Spawn { .. } => Some("install `tutorial` again, or call it by its full path".into()),
            Self::AlreadyServed { .. } | Self::Certificates(_) | Self::Tls(_) | Self::Images(_) | Self::Runtime(_) => {
                None
            }
        }
    }
}

/// An error of the other process, as far as it was told: a message, what caused it, what to do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reported {
    pub message: String,
    pub cause: Option<Box<Reported>>,
    pub hint: Option<String>,
}

impl Reported {
    /// An error with its causes and its hint.
    ///
    /// # Panics
    /// Never: there is at least the error itself.
    pub fn of(error: impl Explain) -> Self {
        let failure = Failure::from(error);
        let mut messages: Vec<String> = failure.causes;
        messages.insert(0, failure.message);
        let mut reported = None;
        for message in messages.into_iter().rev() {
            reported = Some(Box::new(Self { message, cause: reported, hint: None }));
        }
        let mut reported = reported.map(|reported| *reported).expect("there is at least the message");
        reported.hint = failure.hint;
        reported
    }

    /// A message alone.
    pub fn message(message: impl Into<String>) -> Self {
        Self { message: message.into(), cause: None, hint: None }
    }
}

impl std::fmt::Display for Reported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Reported {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}
