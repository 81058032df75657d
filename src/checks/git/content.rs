//! What a commit holds: files, their text, its message.

use regex::Regex;

use super::super::file;
use super::super::finding::Expectation;
use super::super::nearest::nearest_path;
use super::GitError;
use super::facts::{Commit, Facts, describe};
use crate::course::check::GitProbe;

/// Adds what the probe expects of the commit's content.
pub fn expectations(
    probe: &GitProbe,
    facts: &Facts,
    commit: &Commit,
    expectations: &mut Vec<Expectation>,
) -> Result<(), GitError> {
    if let Some(pattern) = &probe.message_matches {
        expectations.push(message(facts, commit, pattern)?);
    }
    let mut absent = Vec::new();
    for path in &probe.contains_file {
        if !facts.has_path(commit, path)? {
            absent.push(path.as_str());
        }
    }
    for path in &probe.contains_file {
        let expected = format!("{path} committed on {}", commit.label);
        expectations.push(if absent.contains(&path.as_str()) {
            missing(facts, commit, path, &absent, expected)?
        } else {
            Expectation::met(expected, format!("{path} is in {}", commit.short))
        });
    }
    for path in &probe.lacks_file {
        let expected = format!("no {path} in {}'s last commit", commit.label);
        expectations.push(if facts.has_path(commit, path)? {
            let hint = format!("`git rm {path}` and `git commit` take it out");
            Expectation::unmet(expected, format!("{path} is in {}", describe(commit)), hint)
        } else {
            Expectation::met(expected, format!("{path} is not in {}", commit.short))
        });
    }
    for (path, pattern) in &probe.file_matches {
        expectations.push(file_matches(facts, commit, path, pattern)?);
    }
    Ok(())
}

fn message(facts: &Facts, commit: &Commit, pattern: &str) -> Result<Expectation, GitError> {
    let expected = format!("{}'s last commit with a message that {}", commit.label, in_words(pattern).others);
    let Ok(regex) = Regex::new(pattern) else {
        return Err(GitError(format!("/{pattern}/ is no regular expression")));
    };
    let found = facts.repository.find_commit(commit.id)?;
    let message = found.message_raw_sloppy().to_string();
    let actual = describe(commit);
    if regex.is_match(message.trim_end()) {
        return Ok(Expectation::met(expected, actual));
    }
    // To amend is right only where the commit itself is: told alone, it would give the message to a wrong commit.
    let hint = format!(
        "`git log --oneline {}` lists the commits: is the last one the one that was asked for? Where only its message \
         is not, `git commit --amend` changes that",
        commit.label
    );
    Ok(Expectation::unmet(expected, actual, hint))
}

/// A path that the commit's tree has not: where it is instead. What is to be done is said of `all` that are missing in
/// the same way.
fn missing(
    facts: &Facts,
    commit: &Commit,
    path: &str,
    all: &[&str],
    expected: String,
) -> Result<Expectation, GitError> {
    let paths = facts.paths(commit)?;
    let is_there = |path: &str| facts.repository.workdir().is_some_and(|directory| directory.join(path).exists());
    let alike: Vec<&str> = all.iter().copied().filter(|other| is_there(other) == is_there(path)).collect();
    let to_add = alike.join(" ");
    if is_there(path) {
        let actual = format!("{path} is in your folder, but not in {}", describe(commit));
        let current = facts.head_branch()?;
        let elsewhere = current.filter(|branch| *branch != commit.label && commit.label != "HEAD");
        if let Some(branch) = elsewhere {
            let on_other = facts.resolve(&branch)?.map(|tip| facts.has_path(&tip, path)).transpose()? == Some(true);
            if on_other {
                let actual = format!("{path} is committed on {branch}, but not on {}", commit.label);
                let hint = format!("`git checkout {}` and `git merge {branch}` bring it over", commit.label);
                return Ok(Expectation::unmet(expected, actual, hint));
            }
            let hint = format!("you are on {branch}: was it committed there? `git checkout {}` first", commit.label);
            return Ok(Expectation::unmet(expected, actual, hint));
        }
        let hint = {
            let (them, they) = if alike.len() == 1 { ("it", "it is") } else { ("them", "they are") };
            format!("`git add {to_add}` and `git commit` take {them} in (`git status` says whether {they} ignored)")
        };
        return Ok(Expectation::unmet(expected, actual, hint));
    }
    Ok(match nearest_path(path, paths.iter().map(String::as_str)) {
        Some(near) => Expectation::unmet(
            expected,
            format!("there is no {path}, but {near}"),
            format!("`git mv {near} {path}` and `git commit` give it its name"),
        ),
        None => Expectation::unmet(
            expected,
            format!("{path} is neither in {} nor in your folder", describe(commit)),
            format!("write {}; then `git add {to_add}` and `git commit`", alike.join(", ")),
        ),
    })
}

fn file_matches(facts: &Facts, commit: &Commit, path: &str, pattern: &str) -> Result<Expectation, GitError> {
    let expected = format!("{path} on {} to {}", commit.label, in_words(pattern).to);
    let Ok(regex) = Regex::new(pattern) else {
        return Err(GitError(format!("/{pattern}/ is no regular expression")));
    };
    let Some(text) = facts.text(commit, path)? else { return missing(facts, commit, path, &[path], expected) };
    let found = file::matches(&expected, &regex, &text);
    if found.met {
        return Ok(Expectation { actual: format!("{path} in {} does", commit.short), ..found });
    }
    let folder_matches = facts.work_tree_text(path).is_some_and(|text| file::matches("", &regex, &text).met);
    let is_current = commit.label == "HEAD" || facts.head_branch()?.as_deref() == Some(commit.label.as_str());
    Ok(match (folder_matches, is_current) {
        (true, true) => Expectation {
            actual: format!("the committed {path} does not; the one in your folder does"),
            hint: format!("`git add {path}` and `git commit -m \"…\"` commit it"),
            ..found
        },
        (true, false) => on_another_branch(facts, commit, path, &regex, found)?,
        _ => Expectation { actual: format!("{path} in {}: {}", describe(commit), found.actual), ..found },
    })
}

/// The text is not in this commit, but in the folder, where another branch is checked out: committed there or not.
fn on_another_branch(
    facts: &Facts,
    commit: &Commit,
    path: &str,
    regex: &Regex,
    found: Expectation,
) -> Result<Expectation, GitError> {
    let label = &commit.label;
    let current = facts.head_branch()?;
    let tip = current.as_deref().map(|branch| facts.resolve(branch)).transpose()?.flatten();
    let committed = match &tip {
        Some(tip) => facts.text(tip, path)?.is_some_and(|text| file::matches("", regex, &text).met),
        None => false,
    };
    Ok(match current.filter(|_| committed) {
        Some(other) => Expectation {
            actual: format!("{path} in {} does not; the one on {other} does", describe(commit)),
            hint: format!("`git checkout {label}` and `git merge {other}` bring it over"),
            ..found
        },
        None => Expectation {
            actual: format!("{path} in {} does not; the one in your folder does", describe(commit)),
            hint: format!("you are on another branch: `git checkout {label}` first, then commit it"),
            ..found
        },
    })
}

/// What a pattern asks for, as one says it: `to contain …`, and `that contains …`.
struct Wording {
    to: String,
    others: String,
}

/// A pattern in words where it is plain text; only else as the regular expression that it is.
fn in_words(pattern: &str) -> Wording {
    let wording =
        |to: &str, others: &str, rest: &str| Wording { to: format!("{to} {rest}"), others: format!("{others} {rest}") };
    let plain = |text: &str| !text.contains(['\\', '[', ']', '(', ')', '{', '}', '*', '+', '?', '|', '^', '$']);
    if plain(pattern) {
        return wording("contain", "contains", &format!("`{pattern}`"));
    }
    if let Some(line) = pattern.strip_prefix("(?m)^").and_then(|rest| rest.strip_suffix('$')).filter(|text| plain(text))
    {
        return wording("have the line", "has the line", &format!("`{line}`"));
    }
    if let Some(start) = pattern.strip_prefix('^').filter(|text| plain(text)) {
        return wording("begin with", "begins with", &format!("`{start}`"));
    }
    wording("match", "matches", &format!("/{pattern}/"))
}
