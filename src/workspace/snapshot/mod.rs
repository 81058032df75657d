//! Snapshots of the learner's directory: every file, link and mode of the work tree and of `.git`, in place.
//!
//! A snapshot is a manifest beside a store of contents shared by all snapshots. Git's objects never change, so
//! they are kept by path; everything else by its SHA-256. A snapshot exists once its manifest does, which is
//! written last. Locks of a git command that runs (`index.lock`, …) are never part of one.

mod capture;
mod restore;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use capture::{Durability, capture};
pub use restore::{git_lock, restore};

use super::{Workspace, WorkspaceError, files};

const MANIFEST: &str = "manifest.json";
const FORMAT: u32 = 1;

/// Everything in the learner's directory at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// By path relative to the directory, in the order of a walk; names that are no UTF-8 are escaped.
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Entry {
    Directory {
        mode: u32,
    },
    File {
        mode: u32,
        size: u64,
        /// SHA-256 of the content; absent for an object of git's, which its path names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
    },
    Link {
        target: String,
    },
}

/// Where a workspace's snapshots lie.
#[derive(Debug, Clone)]
pub struct SnapshotStore {
    directory: PathBuf,
}

impl SnapshotStore {
    pub fn of(workspace: &Workspace) -> Self {
        Self { directory: workspace.snapshots() }
    }

    /// The directory of one snapshot; others keep what belongs to it there too.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).join(MANIFEST).is_file()
    }

    /// Whether the learner's directory was a git repository then.
    pub fn has_repository(&self, name: &str) -> bool {
        self.manifest(name).is_ok_and(|manifest| manifest.entries.contains_key(".git"))
    }

    /// Forgets a snapshot; contents that others share stay.
    pub fn remove(&self, name: &str) -> Result<(), WorkspaceError> {
        let path = self.path(name);
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(WorkspaceError::Write { path, source: error })
            }
            _ => Ok(()),
        }
    }

    fn manifest(&self, name: &str) -> Result<Manifest, WorkspaceError> {
        let path = self.path(name).join(MANIFEST);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(WorkspaceError::NoSnapshot { name: name.to_owned() });
            }
            Err(source) => return Err(WorkspaceError::Read { path, source }),
        };
        let damaged = |reason: String| WorkspaceError::DamagedSnapshot { name: name.to_owned(), reason };
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(damaged(format!("format {}", manifest.format)));
        }
        Ok(manifest)
    }

    fn write_manifest(&self, name: &str, manifest: &Manifest) -> Result<(), WorkspaceError> {
        let bytes = serde_json::to_vec(manifest).expect("plain data with string keys");
        files::write_atomically(&self.path(name).join(MANIFEST), &bytes)
    }

    /// Where the content of an entry lies.
    fn content(&self, path: &str, hash: Option<&str>) -> PathBuf {
        match hash {
            Some(hash) => self.directory.join("contents").join(&hash[..hash.len().min(2)]).join(hash),
            None => self.directory.join("objects").join(path),
        }
    }
}

/// Whether git never changes the file at this path: loose objects and packs, also those of submodules.
fn is_immutable(path: &Path) -> bool {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let Some(git) = parts.iter().position(|part| *part == ".git") else { return false };
    let [.., objects, folder, name] = &parts[git..] else { return false };
    let hexadecimal =
        |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let loose = hexadecimal(folder, 2) && (hexadecimal(name, 38) || hexadecimal(name, 62));
    let packed = *folder == "pack" && name.starts_with("pack-") && !name.ends_with("keep");
    *objects == "objects" && (loose || packed)
}

/// Whether a file is a lock or a temporary file of a git command that runs.
fn is_transient(path: &Path) -> bool {
    let in_git = path.iter().any(|part| part == ".git");
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    in_git && (name.ends_with(".lock") || name.starts_with("tmp_obj_") || name.starts_with("tmp_pack_"))
}

/// A path as the manifest's key: names that are UTF-8 as they are, in others (and for `%`) bytes as `%XX`.
/// Name by name, so that what is in a directory begins with the directory's key.
fn encode(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let name = |name: &std::ffi::OsStr| match name.to_str() {
        Some(text) if !text.contains('%') => text.to_owned(),
        _ => percent_encoding::percent_encode(name.as_bytes(), NOT_PLAIN).to_string(),
    };
    let absolute = if path.is_absolute() { "/" } else { "" };
    let names = path.components().filter(|component| !matches!(component, std::path::Component::RootDir));
    let names: Vec<String> = names.map(|component| name(component.as_os_str())).collect();
    absolute.to_owned() + &names.join("/")
}

const NOT_PLAIN: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%');

fn decode(key: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    if !key.contains('%') {
        return PathBuf::from(key);
    }
    PathBuf::from(std::ffi::OsString::from_vec(percent_encoding::percent_decode_str(key).collect()))
}

#[cfg(test)]
mod tests;
