//! The learner's repository, read with gix: branches, commits, trees, the work tree. Nothing is written, not even
//! the index's cached times.

mod content;
mod facts;
#[cfg(test)]
mod tests;
mod worktree;

use std::path::Path;

use super::finding::{Expectation, Finding, conclude};
use super::nearest::{counted, nearest, some_of};
use crate::course::check::GitProbe;
use facts::{Facts, Relation, Tip, describe};

/// Why git could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GitError(String);

impl From<gix::Error> for GitError {
    fn from(error: gix::Error) -> Self {
        Self(error.to_string())
    }
}

/// Looks at the repository in this directory.
pub fn observe(probe: &GitProbe, directory: &Path, had_repository: bool) -> Finding {
    if let Some(unset) = unset_variable(probe) {
        return Finding::broken("", format!("the variable in `{unset}` is not set"));
    }
    let facts = match Facts::open(directory) {
        Ok(Some(facts)) => facts,
        Ok(None) => return no_repository(probe, directory, had_repository),
        Err(error) => {
            return Finding::unreachable(
                "a git repository that can be read",
                error.to_string(),
                "`git status` in that folder says what git thinks of it",
            )
            .observing([format!("opened {}", directory.display())]);
        }
    };
    let mut observed = vec![format!("opened {}", directory.display())];
    match look(probe, &facts, &mut observed) {
        Ok(expectations) => conclude(&expectations).observing(observed),
        Err(error) => Finding::unreachable(
            "a git repository that can be read",
            error.to_string(),
            "`git fsck` says what is wrong with it",
        )
        .observing(observed),
    }
}

/// A `${…}` that nothing replaced, where a revision or a name should be.
fn unset_variable(probe: &GitProbe) -> Option<&str> {
    let texts = [&probe.branch, &probe.head, &probe.ahead_of, &probe.tag];
    texts.into_iter().flatten().map(String::as_str).find(|text| text.contains("${"))
}

fn no_repository(probe: &GitProbe, directory: &Path, had_repository: bool) -> Finding {
    let folder = directory
        .file_name()
        .map_or_else(|| directory.display().to_string(), |name| name.to_string_lossy().into_owned());
    let expected = match &probe.branch {
        Some(branch) if probe.exists != Some(false) => format!("a git repository with a branch {branch}"),
        _ => "a git repository".into(),
    };
    let (actual, hint) = if had_repository {
        (format!("{folder} is no git repository any more"), "`tutorial reset` brings it back".to_owned())
    } else if directory.is_dir() {
        (format!("{folder} is not a git repository"), "`git init`, in that folder, makes it one".to_owned())
    } else {
        (format!("the folder {} is not there", directory.display()), "`tutorial reset` brings it back".to_owned())
    };
    Finding::failed(expected, actual, hint).observing([format!("opened {}: no repository", directory.display())])
}

/// All expectations of the probe, each with what was found.
fn look(probe: &GitProbe, facts: &Facts, observed: &mut Vec<String>) -> Result<Vec<Expectation>, GitError> {
    let mut expectations = Vec::new();
    let tip = facts.tip(probe.branch.as_deref())?;
    observed.push(match &tip {
        Tip::Commit(commit) => format!("{} is {}", commit.label, describe(commit)),
        Tip::Unborn { head } => format!("{head} has no commit yet"),
        Tip::Missing => format!("{} is no revision", probe.branch.as_deref().unwrap_or("HEAD")),
    });
    if probe.exists == Some(false) {
        return Ok(vec![must_not_exist(probe, &tip)]);
    }
    let needs_commit = probe.exists == Some(true)
        || probe.head.is_some()
        || probe.message_matches.is_some()
        || probe.ahead_of.is_some()
        || probe.commits_min.is_some()
        || !probe.contains_file.is_empty()
        || !probe.lacks_file.is_empty()
        || !probe.file_matches.is_empty()
        || probe.current == Some(true);
    let commit = match tip {
        Tip::Commit(commit) => Some(commit),
        missing if needs_commit => return Ok(vec![no_commit(probe, facts, &missing)?]),
        _ => None,
    };
    if let Some(commit) = &commit {
        if probe.exists == Some(true) {
            expectations.push(Expectation::met(format!("a branch {}", commit.label), "it is there"));
        }
        if let Some(current) = probe.current {
            expectations.push(current_branch(facts, &commit.label, current)?);
        }
        if let Some(revision) = &probe.head {
            expectations.push(head(facts, commit, revision, observed)?);
        }
        content::expectations(probe, facts, commit, &mut expectations)?;
        if let Some(revision) = &probe.ahead_of {
            expectations.push(ahead_of(facts, commit, revision, observed)?);
        }
        if let Some(least) = probe.commits_min {
            expectations.push(commits_min(facts, commit, least, observed)?);
        }
    }
    if let Some(tag) = &probe.tag {
        let at = commit.as_ref().filter(|_| probe.branch.is_some());
        expectations.push(tag_expectation(facts, tag, at)?);
    }
    if let Some(clean) = probe.clean {
        expectations.push(worktree::expectation(facts, clean, observed)?);
    }
    Ok(expectations)
}

fn must_not_exist(probe: &GitProbe, tip: &Tip) -> Expectation {
    let branch = probe.branch.as_deref().unwrap_or("HEAD");
    let expected = format!("no branch {branch}");
    match tip {
        Tip::Commit(commit) => Expectation::unmet(
            expected,
            format!("{branch} is at {}", describe(commit)),
            format!("`git branch -d {branch}` deletes it (from another branch)"),
        ),
        _ => Expectation::met(expected, "there is none"),
    }
}

/// The branch has no commit, or is not there: which of them, and what is there instead.
fn no_commit(probe: &GitProbe, facts: &Facts, tip: &Tip) -> Result<Expectation, GitError> {
    let wanted = probe.branch.as_deref();
    let expected = match (wanted, &probe.head) {
        (Some(branch), Some(revision)) => format!("{branch} at {revision}"),
        (Some(branch), None) => format!("a commit on {branch}"),
        (None, _) => "a commit".into(),
    };
    let commit_hint = "`git add .` and `git commit -m \"…\"` make the first commit";
    if let Tip::Unborn { head } = tip {
        let actual = format!("no commit yet on {head}");
        return Ok(Expectation::unmet(expected, actual, commit_hint));
    }
    let wanted = wanted.unwrap_or("HEAD");
    let branches = facts.branches()?;
    if branches.is_empty() {
        let head = facts.head_branch()?.unwrap_or_else(|| "HEAD".into());
        let actual = format!("no commit yet, and the branch is called {head}");
        let hint = format!("`git branch -m {wanted}` renames it; then {commit_hint}");
        return Ok(Expectation::unmet(expected, actual, hint));
    }
    let actual = format!("no branch {wanted}; there is {}", some_of(&branches, 5));
    let near = nearest(wanted, branches.iter().map(String::as_str));
    let hint = match (branches.as_slice(), near) {
        (_, Some(near)) => format!("`git branch -m {near} {wanted}` renames it"),
        ([only], None) if wanted == "main" => format!("`git branch -m {only} {wanted}` renames it"),
        _ => format!("`git checkout -b {wanted}` makes it"),
    };
    Ok(Expectation::unmet(expected, actual, hint))
}

fn current_branch(facts: &Facts, branch: &str, expected_current: bool) -> Result<Expectation, GitError> {
    let head = facts.head_branch()?;
    let actual = match &head {
        Some(name) => format!("{name} is checked out"),
        None => format!("no branch is checked out (HEAD is detached at {})", facts.head_short()?),
    };
    let is_current = head.as_deref() == Some(branch);
    let expected = if expected_current { format!("{branch} checked out") } else { format!("{branch} not checked out") };
    Ok(match (is_current == expected_current, expected_current) {
        (true, _) => Expectation::met(expected, actual),
        (false, true) => Expectation::unmet(expected, actual, format!("`git checkout {branch}` goes there")),
        (false, false) => Expectation::unmet(expected, actual, "`git checkout` another branch"),
    })
}

fn head(
    facts: &Facts,
    commit: &facts::Commit,
    revision: &str,
    observed: &mut Vec<String>,
) -> Result<Expectation, GitError> {
    let branch = &commit.label;
    let Some(wanted) = facts.resolve(revision)? else {
        let hint = "`git reflog` lists every commit that HEAD has been at";
        return Ok(Expectation::unmet(
            format!("{branch} at {revision}"),
            format!("no commit {revision} in this repository; {branch} is at {}", describe(commit)),
            hint,
        ));
    };
    observed.push(format!("{revision} is {}", describe(&wanted)));
    let expected = format!("{branch} at {}", describe(&wanted));
    let actual = format!("{branch} at {}", describe(commit));
    if wanted.id == commit.id {
        return Ok(Expectation::met(expected, actual));
    }
    let short = &wanted.short;
    let uncommitted = "`git status` first: it throws uncommitted changes away";
    let (where_it_is, hint) = match facts.relation(commit, &wanted)? {
        Relation::Ahead(count) => (
            format!("{} too many", counted(count, "commit")),
            format!("on {branch}, `git reset --hard {short}` goes back to it ({uncommitted})"),
        ),
        Relation::Behind(count) => (
            format!("{} before it: too far back", counted(count, "commit")),
            format!("on {branch}, `git reset --hard {short}` goes forward again; `git reflog` lists where it was"),
        ),
        Relation::Diverged { ahead, behind } => (
            format!("{} that are not in it, {} missing", counted(ahead, "commit"), counted(behind, "commit")),
            format!("on {branch}, `git reset --hard {short}` puts it there ({uncommitted})"),
        ),
        Relation::Unrelated => {
            ("they have no history in common".to_owned(), "`git reflog` lists where HEAD was".into())
        }
        Relation::Same => (String::new(), String::new()),
    };
    Ok(Expectation::unmet(expected, format!("{actual}, {where_it_is}"), hint))
}

fn ahead_of(
    facts: &Facts,
    commit: &facts::Commit,
    revision: &str,
    observed: &mut Vec<String>,
) -> Result<Expectation, GitError> {
    let branch = &commit.label;
    let expected = format!("{branch} ahead of {revision}");
    let Some(base) = facts.resolve(revision)? else {
        let branches = some_of(&facts.branches()?, 5);
        let actual = format!("no branch or commit {revision}; branches are {branches}");
        return Ok(Expectation::unmet(expected, actual, format!("`git branch {revision}` makes it, if you lost it")));
    };
    observed.push(format!("{revision} is {}", describe(&base)));
    Ok(match facts.relation(commit, &base)? {
        Relation::Ahead(count) => Expectation::met(expected, format!("ahead by {}", counted(count, "commit"))),
        Relation::Same => Expectation::unmet(
            expected,
            format!("both are at {}", describe(commit)),
            format!("commit on {branch} (`git checkout {branch}` goes there)"),
        ),
        Relation::Behind(count) => Expectation::unmet(
            expected,
            format!("{branch} is behind {revision} by {}", counted(count, "commit")),
            format!(
                "was the commit made on {revision} instead? On {branch}, `git merge {revision}` brings it up to date"
            ),
        ),
        Relation::Diverged { ahead, behind } => Expectation::unmet(
            expected,
            format!("they have diverged: {branch} has {ahead} and {revision} has {behind} of its own"),
            format!("on {branch}, `git merge {revision}` takes the other side in"),
        ),
        Relation::Unrelated => {
            Expectation::unmet(expected, "they have no history in common", "`git log --all --graph` shows both")
        }
    })
}

fn commits_min(
    facts: &Facts,
    commit: &facts::Commit,
    least: u64,
    observed: &mut Vec<String>,
) -> Result<Expectation, GitError> {
    let count = facts.count(commit)?;
    observed.push(format!("{} reachable from {}", counted(count, "commit"), commit.label));
    let expected = match least {
        1 => format!("a commit on {}", commit.label),
        _ => format!("at least {least} commits on {}", commit.label),
    };
    let actual = format!("{}, the last is {}", counted(count, "commit"), describe(commit));
    if u64::try_from(count).unwrap_or(u64::MAX) >= least {
        return Ok(Expectation::met(expected, actual));
    }
    let elsewhere = facts.busiest_branch(&commit.label)?.filter(|(_, other)| *other > count);
    let hint = match elsewhere {
        Some((branch, other)) => {
            format!("the branch {branch} has {}: were they made there?", counted(other, "commit"))
        }
        None => "`git add .` and `git commit -m \"…\"` make another".into(),
    };
    Ok(Expectation::unmet(expected, actual, hint))
}

fn tag_expectation(facts: &Facts, tag: &str, at: Option<&facts::Commit>) -> Result<Expectation, GitError> {
    let expected = match at {
        Some(commit) => format!("a tag {tag} at {} ({})", commit.label, commit.short),
        None => format!("a tag {tag}"),
    };
    let Some(found) = facts.tag(tag)? else {
        let tags = facts.tags()?;
        let actual = if tags.is_empty() {
            "no tag at all".into()
        } else {
            format!("no such tag; there is {}", some_of(&tags, 5))
        };
        let place = at.map(|commit| format!(" {}", commit.label)).unwrap_or_default();
        return Ok(Expectation::unmet(expected, actual, format!("`git tag {tag}{place}` makes it")));
    };
    Ok(match at {
        Some(commit) if commit.id != found.id => Expectation::unmet(
            expected,
            format!("the tag is at {}", describe(&found)),
            format!("`git tag -f {tag} {}` moves it", commit.label),
        ),
        _ => Expectation::met(expected, format!("it is at {}", describe(&found))),
    })
}
