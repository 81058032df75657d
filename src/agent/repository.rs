//! The project as git has it: the files of the commit that is checked out, and how work tree and index differ.
//!
//! The agent's input is the commit. The work tree is looked at for two purposes only: to refuse a deployment
//! that would leave out what the learner sees in the editor, and to be the input in development mode.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice;
use gix::status::index_worktree;

use super::fault::Fault;

/// A project inside a git work tree.
pub struct Repository {
    git: gix::Repository,
    /// The commit that is checked out.
    pub commit: Commit,
    files: BTreeMap<String, Source>,
    differences: BTreeMap<String, Difference>,
}

/// The commit that is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its full name, 40 hexadecimal digits.
    pub hash: String,
    /// When it was committed, in seconds since 1970.
    pub time_s: i64,
    /// The committer's offset from UTC, in seconds.
    pub offset_s: i32,
}

/// How a path differs from the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Git does not know the file.
    Untracked,
    /// Changed, deleted, or added to the index only.
    Changed,
}

#[derive(Debug, Clone)]
struct Source {
    executable: bool,
    symlink: bool,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Commit(gix::ObjectId),
    WorkTree(PathBuf),
}

/// What is read in place of the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The commit, and nothing but the commit.
    Commit,
    /// The work tree, as `--dev` wants it.
    WorkTree,
}

impl Repository {
    /// Opens the project in `directory`, whose files are those below it in the commit.
    ///
    /// # Errors
    /// No work tree around the directory, no commit in it, or a repository that cannot be read.
    pub fn open(directory: &Path, work_tree: Option<&Path>, reading: Reading) -> Result<Self, Fault> {
        let start = work_tree.unwrap_or(directory);
        let git = gix::discover(start).map_err(|_| Fault::NoWorkTree(start.display().to_string()))?;
        let root = git
            .workdir()
            .ok_or_else(|| Fault::NoWorkTree(start.display().to_string()))?
            .canonicalize()
            .map_err(file)?;
        let directory = directory.canonicalize().map_err(file)?;
        let prefix = directory.strip_prefix(&root).unwrap_or(Path::new("")).to_string_lossy().into_owned();
        let commit = read_commit(&git)?;
        let mut files = committed_files(&git, &prefix)?;
        let mut differences = differences(&git, &prefix)?;
        if reading == Reading::WorkTree {
            overlay(&mut files, &std::mem::take(&mut differences), &directory);
        }
        Ok(Self { git, commit, files, differences })
    }

    /// All paths of the project, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Whether the project has this file.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// There is no such file, or it cannot be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Fault> {
        let source = self.files.get(path).ok_or_else(|| Fault::Missing(path.to_owned()))?;
        match &source.place {
            Place::Commit(id) => {
                let object = self.git.find_object(*id).map_err(|error| Fault::Git(error.to_string()))?;
                Ok(object.detach().data)
            }
            Place::WorkTree(place) => {
                std::fs::read(place).map_err(|source| Fault::File { path: path.to_owned(), source })
            }
        }
    }

    /// The file's text; bytes that are no UTF-8 become replacement characters.
    ///
    /// # Errors
    /// As [`Repository::read`].
    pub fn read_text(&self, path: &str) -> Result<String, Fault> {
        Ok(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }

    /// Whether the file is executable.
    pub fn is_executable(&self, path: &str) -> bool {
        self.files.get(path).is_some_and(|source| source.executable)
    }

    /// Whether the file is a symbolic link, its content the target.
    pub fn is_symlink(&self, path: &str) -> bool {
        self.files.get(path).is_some_and(|source| source.symlink)
    }

    /// Refuses when a file that `concerns` the caller differs from the commit: changed ones first, as werf does.
    ///
    /// # Errors
    /// [`Fault::Uncommitted`] with all such files of one sort.
    pub fn require_committed(&self, concerns: impl Fn(&str) -> bool) -> Result<(), Fault> {
        for (kind, untracked) in [(Difference::Changed, false), (Difference::Untracked, true)] {
            let paths: Vec<String> = self
                .differences
                .iter()
                .filter(|(path, difference)| **difference == kind && concerns(path))
                .map(|(path, _)| path.clone())
                .collect();
            if !paths.is_empty() {
                return Err(Fault::Uncommitted { untracked, paths });
            }
        }
        Ok(())
    }
}

fn file(source: std::io::Error) -> Fault {
    Fault::File { path: ".".into(), source }
}

fn git_fault(error: impl std::fmt::Display) -> Fault {
    Fault::Git(error.to_string())
}

fn read_commit(git: &gix::Repository) -> Result<Commit, Fault> {
    let commit = git.head_commit().map_err(|_| {
        Fault::Git("unable to get HEAD commit: the repository has no commit yet: commit the project first".into())
    })?;
    let time = commit.time().map_err(git_fault)?;
    Ok(Commit { hash: commit.id.to_string(), time_s: time.seconds, offset_s: time.offset })
}

fn committed_files(git: &gix::Repository, prefix: &str) -> Result<BTreeMap<String, Source>, Fault> {
    let tree = git.head_tree().map_err(git_fault)?;
    let records = tree.traverse().breadthfirst.files().map_err(git_fault)?;
    Ok(records
        .into_iter()
        .filter(|record| !record.mode.is_tree())
        .filter_map(|record| {
            let path = below(prefix, record.filepath.to_str_lossy().as_ref())?;
            let source = Source {
                executable: record.mode.is_executable(),
                symlink: record.mode.is_link(),
                place: Place::Commit(record.oid),
            };
            Some((path, source))
        })
        .collect())
}

/// How index and work tree differ from the commit; ignored files do not count.
fn differences(git: &gix::Repository, prefix: &str) -> Result<BTreeMap<String, Difference>, Fault> {
    let changes = git
        .status(gix::progress::Discard)
        .map_err(git_fault)?
        .untracked_files(gix::status::UntrackedFiles::Files)
        .index_worktree_submodules(None)
        .tree_index_track_renames(gix::status::tree_index::TrackRenames::Disabled)
        .index_worktree_rewrites(None)
        .into_iter(None)
        .map_err(git_fault)?;
    let mut found = BTreeMap::new();
    for change in changes {
        let change = change.map_err(git_fault)?;
        let Some(path) = below(prefix, change.location().to_str_lossy().as_ref()) else { continue };
        match change {
            gix::status::Item::IndexWorktree(index_worktree::Item::DirectoryContents { entry, .. }) => {
                if entry.status == gix::dir::entry::Status::Untracked {
                    found.entry(path).or_insert(Difference::Untracked);
                }
            }
            gix::status::Item::IndexWorktree(item) => {
                if item.summary().is_some() {
                    found.insert(path, Difference::Changed);
                }
            }
            gix::status::Item::TreeIndex(_) => {
                found.insert(path, Difference::Changed);
            }
        }
    }
    Ok(found)
}

/// Puts the work tree's files in place of the commit's where they differ.
fn overlay(files: &mut BTreeMap<String, Source>, differences: &BTreeMap<String, Difference>, directory: &Path) {
    for path in differences.keys() {
        let place = directory.join(path);
        match std::fs::symlink_metadata(&place) {
            Ok(metadata) if metadata.is_file() => {
                let executable = is_executable(&metadata);
                files.insert(path.clone(), Source { executable, symlink: false, place: Place::WorkTree(place) });
            }
            _ => {
                files.remove(path);
            }
        }
    }
}

fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

/// The path relative to the project's directory, where it is below it.
fn below(prefix: &str, path: &str) -> Option<String> {
    if prefix.is_empty() {
        return Some(path.to_owned());
    }
    Some(path.strip_prefix(prefix)?.strip_prefix('/')?.to_owned())
}

#[cfg(test)]
#[path = "repository_tests.rs"]
mod tests;
