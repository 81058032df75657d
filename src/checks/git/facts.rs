//! What checks ask a repository: its branches, tips, and how commits lie to each other.

use std::path::Path;

use gix::ObjectId;
use gix::bstr::ByteSlice;

use super::GitError;

/// No history that a check counts is longer.
const COMMITS_MAX: usize = 100_000;

/// A repository that can be asked.
pub struct Facts {
    pub repository: gix::Repository,
}

/// A commit as people name it.
#[derive(Debug, Clone)]
pub struct Commit {
    pub id: ObjectId,
    pub short: String,
    /// The first line of its message.
    pub title: String,
    /// What it was asked by: `main`, `HEAD`, `v1`.
    pub label: String,
}

/// `3f2a91c (Add the page)`.
pub fn describe(commit: &Commit) -> String {
    format!("{} ({})", commit.short, commit.title)
}

/// What a branch points at.
pub enum Tip {
    Commit(Commit),
    /// The branch is checked out and has no commit.
    Unborn {
        head: String,
    },
    Missing,
}

/// How one commit lies to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Same,
    /// So many commits more, and all of the other's.
    Ahead(usize),
    Behind(usize),
    Diverged {
        ahead: usize,
        behind: usize,
    },
    Unrelated,
}

impl Facts {
    /// Opens exactly this directory's repository, never that of a directory above it. `None` where it has none.
    pub fn open(directory: &Path) -> Result<Option<Self>, GitError> {
        let is_work_tree = directory.join(".git").exists();
        let is_bare = directory.join("HEAD").is_file() && directory.join("objects").is_dir();
        if !is_work_tree && !is_bare {
            return Ok(None);
        }
        Ok(Some(Self { repository: gix::open(directory)? }))
    }

    /// The commit that a branch (or any revision) points at; HEAD where none is named.
    pub fn tip(&self, revision: Option<&str>) -> Result<Tip, GitError> {
        let head = self.repository.head()?;
        if head.is_unborn() {
            let head_branch = head.referent_name().map(|name| name.shorten().to_string()).unwrap_or_default();
            if revision.is_none_or(|revision| revision == "HEAD" || revision == head_branch) {
                return Ok(Tip::Unborn { head: head_branch });
            }
        }
        Ok(self.resolve(revision.unwrap_or("HEAD"))?.map_or(Tip::Missing, Tip::Commit))
    }

    /// A revision's commit. A branch comes before anything else of the same name.
    pub fn resolve(&self, revision: &str) -> Result<Option<Commit>, GitError> {
        let branch = format!("refs/heads/{revision}");
        let found = match self.repository.try_find_reference(branch.as_str()) {
            Ok(Some(mut reference)) => Some(reference.peel_to_id()?.detach()),
            _ => self.repository.rev_parse_single(revision).ok().map(gix::Id::detach),
        };
        let Some(id) = found else { return Ok(None) };
        let Ok(commit) = self.repository.find_object(id).and_then(gix::Object::peel_to_commit) else {
            return Ok(None);
        };
        named(&commit, revision).map(Some)
    }

    /// The name of the branch that is checked out; `None` where HEAD is detached.
    pub fn head_branch(&self) -> Result<Option<String>, GitError> {
        Ok(self.repository.head_name()?.map(|name| name.shorten().to_string()))
    }

    pub fn head_short(&self) -> Result<String, GitError> {
        Ok(self.resolve("HEAD")?.map_or_else(|| "no commit".into(), |commit| commit.short))
    }

    /// The local branches' names.
    pub fn branches(&self) -> Result<Vec<String>, GitError> {
        let platform = self.repository.references()?;
        let names = platform.local_branches()?.flatten().map(|branch| branch.name().shorten().to_string());
        Ok(names.collect())
    }

    pub fn tags(&self) -> Result<Vec<String>, GitError> {
        let platform = self.repository.references()?;
        Ok(platform.tags()?.flatten().map(|tag| tag.name().shorten().to_string()).collect())
    }

    /// The commit of a tag, annotated or not.
    pub fn tag(&self, name: &str) -> Result<Option<Commit>, GitError> {
        match self.repository.try_find_reference(format!("refs/tags/{name}").as_str()) {
            Ok(Some(mut reference)) => {
                let commit = reference.peel_to_commit()?;
                named(&commit, name).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// How the first commit lies to the second.
    pub fn relation(&self, one: &Commit, other: &Commit) -> Result<Relation, GitError> {
        if one.id == other.id {
            return Ok(Relation::Same);
        }
        let ahead = self.count_without(one, other)?;
        let behind = self.count_without(other, one)?;
        Ok(match (ahead, behind) {
            (ahead, 0) => Relation::Ahead(ahead),
            (0, behind) => Relation::Behind(behind),
            (ahead, behind) if ahead == self.count(one)? && behind == self.count(other)? => Relation::Unrelated,
            (ahead, behind) => Relation::Diverged { ahead, behind },
        })
    }

    /// How many commits are reachable.
    pub fn count(&self, commit: &Commit) -> Result<usize, GitError> {
        let walk = self.repository.rev_walk([commit.id]).all()?;
        Ok(walk.take(COMMITS_MAX).flatten().count())
    }

    fn count_without(&self, commit: &Commit, hidden: &Commit) -> Result<usize, GitError> {
        let walk = self.repository.rev_walk([commit.id]).with_hidden([hidden.id]).all()?;
        Ok(walk.take(COMMITS_MAX).flatten().count())
    }

    /// The branch with the most commits, apart from one.
    pub fn busiest_branch(&self, apart_from: &str) -> Result<Option<(String, usize)>, GitError> {
        let mut busiest = None;
        for branch in self.branches()?.into_iter().filter(|branch| branch != apart_from) {
            let Some(commit) = self.resolve(&branch)? else { continue };
            let count = self.count(&commit)?;
            if busiest.as_ref().is_none_or(|(_, most)| count > *most) {
                busiest = Some((branch, count));
            }
        }
        Ok(busiest)
    }

    /// The text of a file in a commit's tree; `None` where the tree has no such file.
    pub fn text(&self, commit: &Commit, path: &str) -> Result<Option<String>, GitError> {
        let tree = self.repository.find_commit(commit.id)?.tree()?;
        let Some(entry) = tree.lookup_entry_by_path(path)? else { return Ok(None) };
        if !entry.mode().is_blob() {
            return Ok(None);
        }
        let object = entry.object()?;
        Ok(Some(object.data.to_str_lossy().into_owned()))
    }

    /// Whether a commit's tree has this path, as a file or a directory.
    pub fn has_path(&self, commit: &Commit, path: &str) -> Result<bool, GitError> {
        let tree = self.repository.find_commit(commit.id)?.tree()?;
        Ok(tree.lookup_entry_by_path(path.trim_end_matches('/'))?.is_some())
    }

    /// The paths of all files in a commit's tree.
    pub fn paths(&self, commit: &Commit) -> Result<Vec<String>, GitError> {
        let tree = self.repository.find_commit(commit.id)?.tree()?;
        let files = tree.traverse().breadthfirst.files()?;
        Ok(files.into_iter().filter(|file| !file.mode.is_tree()).map(|file| file.filepath.to_string()).collect())
    }

    /// A file of the work tree, as text.
    pub fn work_tree_text(&self, path: &str) -> Option<String> {
        let content = std::fs::read(self.repository.workdir()?.join(path)).ok()?;
        Some(String::from_utf8_lossy(&content).into_owned())
    }
}

fn named(commit: &gix::Commit<'_>, label: &str) -> Result<Commit, GitError> {
    let short: String = commit.id.to_string().chars().take(7).collect();
    let title = commit.message()?.title.trim().to_str_lossy().into_owned();
    Ok(Commit { id: commit.id, short, title, label: label.to_owned() })
}
