//! One lock for whoever writes. It is held for the length of a change, never while someone is asked.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Workspace, WorkspaceError};

const POLL: Duration = Duration::from_millis(20);

/// Held while the workspace is written to; the kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock, waiting up to `patience` for another holder; `purpose` is what others are told.
    pub fn acquire(workspace: &Workspace, purpose: &str, patience: Duration) -> Result<Self, WorkspaceError> {
        let file = acquire(&workspace.directory().join("lock"), purpose, patience)?;
        Ok(Self { _file: file })
    }
}

/// Held by an interactive session for its whole life, so that a second one can say that there is a first.
#[derive(Debug)]
pub struct SessionLock {
    _file: File,
}

impl SessionLock {
    pub fn acquire(workspace: &Workspace) -> Result<Self, WorkspaceError> {
        let file = acquire(&workspace.directory().join("session.lock"), "session", Duration::ZERO)?;
        Ok(Self { _file: file })
    }
}

fn acquire(path: &Path, purpose: &str, patience: Duration) -> Result<File, WorkspaceError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(WorkspaceError::write(path))?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(POLL),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                return Err(WorkspaceError::Busy { holder: (!holder.is_empty()).then(|| holder.to_owned()) });
            }
            Err(TryLockError::Error(source)) => return Err(WorkspaceError::Write { path: path.to_owned(), source }),
        }
    }
    let note = format!("{purpose}, process {}\n", std::process::id());
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes()));
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_holder_is_told_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::new(directory.path().join("a b"), "app");
        workspace.create().unwrap();
        let first = WriterLock::acquire(&workspace, "reset", Duration::ZERO).unwrap();
        let second = WriterLock::acquire(&workspace, "verify", Duration::from_millis(30)).unwrap_err();
        let expected = format!("another tutorial command is at work here (reset, process {})", std::process::id());
        assert_eq!(second.to_string(), expected);
        drop(first);
        WriterLock::acquire(&workspace, "verify", Duration::ZERO).unwrap();
    }
}
