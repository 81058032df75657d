//! Takes a snapshot: walks the directory, stores contents that are not stored yet, writes the manifest last.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Entry, FORMAT, Manifest, SnapshotStore, encode, is_immutable, is_transient};
use crate::workspace::WorkspaceError;

/// Larger objects of git's are linked instead of copied where the file system can.
const COPY_BYTES_MAX: u64 = 1024 * 1024;

/// What a snapshot must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The end of this process, however it ends.
    Process,
    /// A power cut too: for what nobody else keeps, like the learner's work before a reset.
    Power,
}

/// Keeps everything in `root` under `name`, replacing what that name stood for.
pub fn capture(store: &SnapshotStore, root: &Path, name: &str, durability: Durability) -> Result<(), WorkspaceError> {
    let directory = store.path(name);
    std::fs::create_dir_all(&directory).map_err(WorkspaceError::write(&directory))?;
    let mut walk = Walk { store, root, durability, entries: BTreeMap::new() };
    walk.directory(Path::new(""))?;
    store.write_manifest(name, &Manifest { format: FORMAT, entries: walk.entries })
}

struct Walk<'a> {
    store: &'a SnapshotStore,
    root: &'a Path,
    durability: Durability,
    entries: BTreeMap<String, Entry>,
}

impl Walk<'_> {
    fn directory(&mut self, relative: &Path) -> Result<(), WorkspaceError> {
        let path = self.root.join(relative);
        for found in std::fs::read_dir(&path).map_err(WorkspaceError::read(&path))? {
            let found = found.map_err(WorkspaceError::read(&path))?;
            let relative = relative.join(found.file_name());
            // Gone since the directory was listed: then it is not part of the snapshot.
            let Ok(metadata) = std::fs::symlink_metadata(found.path()) else { continue };
            self.entry(&relative, &metadata)?;
        }
        Ok(())
    }

    fn entry(&mut self, relative: &Path, metadata: &Metadata) -> Result<(), WorkspaceError> {
        let path = self.root.join(relative);
        let mode = metadata.permissions().mode() & 0o7777;
        let kind = metadata.file_type();
        let entry = if kind.is_dir() {
            self.directory(relative)?;
            Entry::Directory { mode }
        } else if kind.is_symlink() {
            let target = std::fs::read_link(&path).map_err(WorkspaceError::read(&path))?;
            Entry::Link { target: encode(&target) }
        } else if kind.is_file() && !is_transient(relative) {
            match self.file(relative, metadata.len(), mode) {
                Ok(entry) => entry,
                Err(WorkspaceError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        } else {
            // Sockets and pipes hold nothing that could be kept.
            return Ok(());
        };
        self.entries.insert(encode(relative), entry);
        Ok(())
    }

    fn file(&self, relative: &Path, size: u64, mode: u32) -> Result<Entry, WorkspaceError> {
        if is_immutable(relative) {
            self.store_object(relative, size)?;
            return Ok(Entry::File { mode, size, hash: None });
        }
        let (hash, size) = self.store_content(&self.root.join(relative))?;
        Ok(Entry::File { mode, size, hash: Some(hash) })
    }

    fn store_object(&self, relative: &Path, size: u64) -> Result<(), WorkspaceError> {
        let (source, target) = (self.root.join(relative), self.store.content(&encode(relative), None));
        if target.metadata().is_ok_and(|stored| stored.len() == size) {
            return Ok(());
        }
        let parent = target.parent().expect("a stored content has a directory");
        std::fs::create_dir_all(parent).map_err(WorkspaceError::write(parent))?;
        if size > COPY_BYTES_MAX && std::fs::hard_link(&source, &target).is_ok() {
            return Ok(());
        }
        self.store_content_as(&source, &target).map(|_| ())
    }

    fn store_content(&self, source: &Path) -> Result<(String, u64), WorkspaceError> {
        let hash = hash_file(source)?;
        let target = self.store.content("", Some(&hash));
        if let Ok(stored) = target.metadata()
            && let Ok(current) = source.metadata()
            && stored.len() == current.len()
        {
            return Ok((hash, stored.len()));
        }
        let parent = target.parent().expect("a stored content has a directory");
        std::fs::create_dir_all(parent).map_err(WorkspaceError::write(parent))?;
        let (copied, size) = self.store_content_as(source, &target)?;
        if copied == hash {
            return Ok((hash, size));
        }
        // The file changed between the two readings: the second one stands.
        let renamed = self.store.content("", Some(&copied));
        let parent = renamed.parent().expect("a stored content has a directory");
        std::fs::create_dir_all(parent).map_err(WorkspaceError::write(parent))?;
        std::fs::rename(&target, &renamed).map_err(WorkspaceError::write(&renamed))?;
        Ok((copied, size))
    }

    /// Copies by way of a temporary file; answers the copy's hash and size.
    fn store_content_as(&self, source: &Path, target: &Path) -> Result<(String, u64), WorkspaceError> {
        let mut input = File::open(source).map_err(WorkspaceError::read(source))?;
        let parent = target.parent().expect("a stored content has a directory");
        let mut hasher = Sha256::new();
        let mut size = 0;
        let mut write = || -> std::io::Result<()> {
            let mut copy = tempfile::NamedTempFile::new_in(parent)?;
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let read = input.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                hasher.update(&buffer[..read]);
                copy.write_all(&buffer[..read])?;
                size += read as u64;
            }
            if self.durability == Durability::Power {
                copy.as_file().sync_data()?;
            }
            copy.persist(target).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(WorkspaceError::write(target))?;
        Ok((hexadecimal(&hasher.finalize()), size))
    }
}

/// The SHA-256 of a file's content, in hexadecimal.
pub(super) fn hash_file(path: &Path) -> Result<String, WorkspaceError> {
    let mut file = File::open(path).map_err(WorkspaceError::read(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer).map_err(WorkspaceError::read(path))?;
        if read == 0 {
            return Ok(hexadecimal(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
