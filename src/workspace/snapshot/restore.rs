//! Puts a snapshot back, in place: what is the same is not touched, the directory itself stays the same one.
//!
//! The difference is planned first and then carried out. Every action may be repeated, so a restore that was
//! killed in the middle is finished by running it again. Contents come before what names them: git's objects,
//! the work tree, then the index, refs and at last HEAD.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::capture::hash_file;
use super::{Entry, Manifest, SnapshotStore, decode, is_immutable, is_transient};
use crate::workspace::WorkspaceError;

/// Makes `root` what it was when the snapshot was taken.
pub fn restore(store: &SnapshotStore, root: &Path, name: &str) -> Result<(), WorkspaceError> {
    let manifest = store.manifest(name)?;
    std::fs::create_dir_all(root).map_err(WorkspaceError::write(root))?;
    let present = survey(root, &manifest)?;
    for action in plan(&manifest, &present) {
        action.carry_out(store, root, name)?;
    }
    Ok(())
}

/// The lock of a git command that runs in the repository, if one is there.
pub fn git_lock(root: &Path) -> Option<PathBuf> {
    let lock = root.join(".git/index.lock");
    std::fs::symlink_metadata(&lock).is_ok().then_some(lock)
}

/// One change to the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Mode { key: String, mode: u32 },
    Remove { key: String },
    RemoveDirectory { key: String },
    MakeDirectory { key: String },
    Write { key: String, mode: u32, size: u64, hash: Option<String> },
    Link { key: String, target: String },
}

/// What stands at a path now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Directory {
        mode: u32,
    },
    /// `same`: the content is the one that the snapshot has.
    File {
        mode: u32,
        same: bool,
    },
    Link {
        target: String,
    },
    /// A socket or a pipe.
    Other,
}

/// What is there, compared with the manifest as far as contents go.
pub(super) fn survey(root: &Path, manifest: &Manifest) -> Result<BTreeMap<String, Found>, WorkspaceError> {
    let mut present = BTreeMap::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let path = root.join(&directory);
        make_usable(&path)?;
        for found in std::fs::read_dir(&path).map_err(WorkspaceError::read(&path))? {
            let found = found.map_err(WorkspaceError::read(&path))?;
            let relative = directory.join(found.file_name());
            let Ok(metadata) = std::fs::symlink_metadata(found.path()) else { continue };
            let (key, kind) = (super::encode(&relative), metadata.file_type());
            let mode = metadata.permissions().mode() & 0o7777;
            let state = if kind.is_dir() {
                directories.push(relative);
                Found::Directory { mode: mode | 0o700 }
            } else if kind.is_symlink() {
                let target = std::fs::read_link(found.path()).map_err(WorkspaceError::read(&found.path()))?;
                Found::Link { target: super::encode(&target) }
            } else if kind.is_file() {
                let same = match manifest.entries.get(&key) {
                    Some(Entry::File { size, hash, .. }) if *size == metadata.len() => match hash {
                        Some(hash) => hash_file(&found.path()).is_ok_and(|present| present == *hash),
                        None => true,
                    },
                    _ => false,
                };
                Found::File { mode, same }
            } else {
                Found::Other
            };
            present.insert(key, state);
        }
    }
    Ok(present)
}

/// A directory that its owner may not enter could not be restored: it gets these rights until its mode is set.
fn make_usable(directory: &Path) -> Result<(), WorkspaceError> {
    let metadata = directory.metadata().map_err(WorkspaceError::read(directory))?;
    let mode = metadata.permissions().mode();
    if mode & 0o700 == 0o700 {
        return Ok(());
    }
    let usable = std::fs::Permissions::from_mode((mode & 0o7777) | 0o700);
    std::fs::set_permissions(directory, usable).map_err(WorkspaceError::write(directory))
}

/// The changes that lead from what is there to the manifest, in an order that is safe at every point.
pub(super) fn plan(manifest: &Manifest, present: &BTreeMap<String, Found>) -> Vec<Action> {
    let keeps_git = manifest.entries.contains_key(".git");
    let mut removals: Vec<Action> = Vec::new();
    let mut directories: Vec<Action> = Vec::new();
    let mut files: Vec<(u8, Action)> = Vec::new();
    let mut modes: Vec<Action> = Vec::new();
    for (key, found) in present {
        let wanted = manifest.entries.get(key);
        let is_directory = matches!(found, Found::Directory { .. });
        let stays = match (wanted, found) {
            (Some(Entry::Directory { .. }), Found::Directory { .. })
            | (Some(Entry::File { .. }), Found::File { .. })
            | (Some(Entry::Link { .. }), Found::Link { .. }) => true,
            (Some(_), _) => false,
            (None, Found::Other) => keeps_git,
            (None, _) => keeps_git && is_kept_with_git(key, is_directory),
        };
        match (stays, is_directory) {
            (true, _) => {}
            (false, true) => removals.push(Action::RemoveDirectory { key: key.clone() }),
            (false, false) => removals.push(Action::Remove { key: key.clone() }),
        }
    }
    // What is in a directory sorts behind it: from the end, directories are empty when their turn comes.
    removals.sort_by(|left, right| right.key().cmp(left.key()));
    for (key, wanted) in &manifest.entries {
        let found = present.get(key);
        match wanted {
            Entry::Directory { mode } => match found {
                Some(Found::Directory { mode: present }) if present == mode => {}
                Some(Found::Directory { .. }) => modes.push(Action::Mode { key: key.clone(), mode: *mode }),
                _ => {
                    directories.push(Action::MakeDirectory { key: key.clone() });
                    modes.push(Action::Mode { key: key.clone(), mode: *mode });
                }
            },
            Entry::File { mode, size, hash } => match found {
                Some(Found::File { mode: present, same: true }) if present == mode => {}
                Some(Found::File { same: true, .. }) => modes.push(Action::Mode { key: key.clone(), mode: *mode }),
                _ => files.push((
                    rank(key),
                    Action::Write { key: key.clone(), mode: *mode, size: *size, hash: hash.clone() },
                )),
            },
            Entry::Link { target } => match found {
                Some(Found::Link { target: present }) if present == target => {}
                _ => files.push((rank(key), Action::Link { key: key.clone(), target: target.clone() })),
            },
        }
    }
    // The innermost first, so that a directory that is closed is closed when nothing in it is left to do.
    modes.reverse();
    files.sort_by_key(|(rank, _)| *rank);
    let files = files.into_iter().map(|(_, action)| action);
    removals.into_iter().chain(directories).chain(files).chain(modes).collect()
}

/// The repository's objects that the snapshot does not know harm nobody and may hold work; locks belong to
/// whoever made them.
fn is_kept_with_git(key: &str, is_directory: bool) -> bool {
    let path = decode(key);
    let in_objects = path.starts_with(".git/objects");
    (in_objects && (is_directory || is_immutable(&path)))
        || (path.parent() == Some(Path::new(".git")) && is_transient(&path))
}

/// Contents before what names them.
fn rank(key: &str) -> u8 {
    let path = decode(key);
    match key {
        _ if is_immutable(&path) => 0,
        ".git/index" => 3,
        ".git/HEAD" => 5,
        ".git/packed-refs" => 4,
        _ if key.starts_with(".git/refs/") => 4,
        _ if key.starts_with(".git/") => 2,
        _ => 1,
    }
}

impl Action {
    fn key(&self) -> &str {
        match self {
            Self::Mode { key, .. }
            | Self::Remove { key }
            | Self::RemoveDirectory { key }
            | Self::MakeDirectory { key }
            | Self::Write { key, .. }
            | Self::Link { key, .. } => key,
        }
    }

    pub(super) fn carry_out(&self, store: &SnapshotStore, root: &Path, name: &str) -> Result<(), WorkspaceError> {
        let path = root.join(decode(self.key()));
        let done = match self {
            Self::Mode { mode, .. } => std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)),
            Self::Remove { .. } => absent_is_fine(std::fs::remove_file(&path)),
            Self::RemoveDirectory { .. } => absent_is_fine(std::fs::remove_dir(&path)),
            Self::MakeDirectory { .. } => std::fs::create_dir_all(&path),
            Self::Write { key, mode, size, hash } => {
                let content = store.content(key, hash.as_deref());
                return write(&content, &path, *mode, *size, name);
            }
            Self::Link { target, .. } => replace_link(&path, &decode(target)),
        };
        done.map_err(WorkspaceError::write(&path))
    }
}

fn absent_is_fine(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        // Something appeared in a directory that is on its way out: it is the learner's, it stays.
        Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
        other => other,
    }
}

fn write(content: &Path, path: &Path, mode: u32, size: u64, name: &str) -> Result<(), WorkspaceError> {
    let damaged = |reason: String| WorkspaceError::DamagedSnapshot { name: name.to_owned(), reason };
    let mut input = std::fs::File::open(content).map_err(|error| damaged(format!("{}: {error}", content.display())))?;
    let parent = path.parent().expect("an entry lies in the directory");
    let mut copy = || -> std::io::Result<Option<u64>> {
        let mut file = tempfile::Builder::new().prefix(".tutorial-restore-").tempfile_in(parent)?;
        let mut buffer = vec![0; 64 * 1024];
        let mut copied = 0;
        loop {
            let read = input.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read])?;
            copied += read as u64;
        }
        if copied != size {
            return Ok(Some(copied));
        }
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(None)
    };
    match copy().map_err(WorkspaceError::write(path))? {
        None => Ok(()),
        Some(copied) => Err(damaged(format!("{} has {copied} bytes instead of {size}", content.display()))),
    }
}

fn replace_link(path: &Path, target: &Path) -> std::io::Result<()> {
    absent_is_fine(std::fs::remove_file(path))?;
    std::os::unix::fs::symlink(target, path)
}
