//! The work tree against the index and HEAD.

use gix::status::Item;
use gix::status::UntrackedFiles;
use gix::status::index_worktree::iter::Summary;

use super::super::finding::Expectation;
use super::super::nearest::some_of;
use super::GitError;
use super::facts::Facts;

/// What is not as in HEAD, by what git calls it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    staged: Vec<String>,
    changed: Vec<String>,
    deleted: Vec<String>,
    untracked: Vec<String>,
    conflicts: Vec<String>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// `changed: a; not added: b, c`.
    fn describe(&self) -> String {
        let groups = [
            ("in conflict", &self.conflicts),
            ("staged, not committed", &self.staged),
            ("changed", &self.changed),
            ("deleted", &self.deleted),
            ("not added", &self.untracked),
        ];
        let told = groups.iter().filter(|(_, paths)| !paths.is_empty());
        told.map(|(what, paths)| format!("{what}: {}", some_of(paths, 6))).collect::<Vec<_>>().join("; ")
    }

    /// The way out, by what there is: a file that git does not know cannot be checked out.
    fn hint(&self) -> &'static str {
        if !self.conflicts.is_empty() {
            "settle the conflicts, `git add` the files, then `git commit`"
        } else if self.staged.is_empty() || !self.changed.is_empty() || !self.untracked.is_empty() {
            match (self.changed.is_empty() && self.deleted.is_empty(), self.untracked.is_empty()) {
                (true, _) => "`git add .` and `git commit -m \"…\"` take it in; `rm FILE` if it is not yours to keep",
                (false, true) => {
                    "`git add .` and `git commit -m \"…\"` take it in; `git checkout -- FILE` takes a change back"
                }
                (false, false) => {
                    "`git add .` and `git commit -m \"…\"` take it in; `git checkout -- FILE` takes a change back, `rm FILE` removes a file that was not added"
                }
            }
        } else {
            "`git commit -m \"…\"` commits what is staged"
        }
    }
}

/// Index and work tree equal HEAD, untracked files counted, ignored ones not; or they must not.
pub fn expectation(facts: &Facts, clean: bool, observed: &mut Vec<String>) -> Result<Expectation, GitError> {
    let changes = changes(facts)?;
    let found = if changes.is_empty() { "nothing to commit".to_owned() } else { changes.describe() };
    observed.push(format!("compared HEAD, index and work tree: {found}"));
    Ok(match (clean, changes.is_empty()) {
        (true, true) => Expectation::met("everything committed", "everything is committed"),
        (true, false) => Expectation::unmet("everything committed", found, changes.hint()),
        (false, false) => Expectation::met("a change that is not committed", found),
        (false, true) => Expectation::unmet(
            "a change that is not committed",
            "everything is committed",
            "`git reset HEAD~1` takes back the last commit and keeps its changes in your folder",
        ),
    })
}

fn changes(facts: &Facts) -> Result<Changes, GitError> {
    let mut changes = Changes::default();
    if facts.repository.workdir().is_none() {
        return Ok(changes);
    }
    let status = facts.repository.status(gix::progress::Discard)?;
    let status = status
        .untracked_files(UntrackedFiles::Files)
        .index_worktree_rewrites(None)
        .tree_index_track_renames(gix::status::tree_index::TrackRenames::Disabled);
    for item in status.into_iter(Vec::new())? {
        let item = item?;
        let path = item.location().to_string();
        let group = match &item {
            Item::TreeIndex(_) => &mut changes.staged,
            Item::IndexWorktree(change) => match change.summary() {
                Some(Summary::Removed) => &mut changes.deleted,
                Some(Summary::Added | Summary::IntentToAdd) => &mut changes.untracked,
                Some(Summary::Conflict) => &mut changes.conflicts,
                Some(Summary::Modified | Summary::TypeChange | Summary::Renamed | Summary::Copied) => {
                    &mut changes.changed
                }
                None => continue,
            },
        };
        if !group.contains(&path) {
            group.push(path);
        }
    }
    for group in [&mut changes.staged, &mut changes.changed, &mut changes.deleted, &mut changes.untracked] {
        group.sort();
    }
    Ok(changes)
}
