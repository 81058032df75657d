//! Files of the work tree.

use std::path::Path;

use regex::Regex;

use super::finding::{Expectation, Finding, conclude};
use super::nearest::{look_at, nearest_line, nearest_path};
use crate::course::check::FileProbe;

/// No file that a check reads is larger.
const SIZE_MAX: u64 = 8 * 1024 * 1024;
/// So many files are looked through for one that was meant.
const FILES_MAX: usize = 5000;

/// Looks at one file of the repository.
pub fn observe(probe: &FileProbe, repository: &Path) -> Finding {
    let path = repository.join(&probe.path);
    let observed = format!("read {}", path.display());
    match std::fs::metadata(&path) {
        Err(error) if is_absence(&error) => absent(probe, repository).observing([format!("{observed}: {error}")]),
        Err(error) => Finding::unreachable(format!("a file {}", probe.path), error.to_string(), "")
            .observing([format!("{observed}: {error}")]),
        Ok(_) if probe.exists == Some(false) => {
            Finding::failed(format!("no file {}", probe.path), "it is there", format!("`rm {}` removes it", probe.path))
                .observing([format!("{observed}: it is there")])
        }
        Ok(about) if about.is_dir() => Finding::failed(
            format!("a file {}", probe.path),
            "it is a directory",
            "move the directory away, and write the file",
        )
        .observing([format!("{observed}: a directory")]),
        Ok(about) if about.len() > SIZE_MAX => {
            Finding::broken(format!("a file {}", probe.path), "it is larger than 8 MiB, too large for a check")
        }
        Ok(about) => match std::fs::read(&path) {
            Ok(content) => present(probe, &String::from_utf8_lossy(&content))
                .observing([format!("{observed}: {} bytes", about.len())]),
            Err(error) => Finding::failed(
                format!("a file {} that can be read", probe.path),
                error.to_string(),
                format!("`chmod u+r {}` lets you read it", probe.path),
            )
            .observing([format!("{observed}: {error}")]),
        },
    }
}

fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn absent(probe: &FileProbe, repository: &Path) -> Finding {
    if probe.exists == Some(false) {
        return Finding::passed(format!("no file {}", probe.path), "it is not there");
    }
    let expected = expected_of(probe);
    if !repository.is_dir() {
        return Finding::failed(
            expected,
            format!("the folder {} is not there", repository.display()),
            "`tutorial reset` brings it back",
        );
    }
    let files = files_below(repository);
    match nearest_path(&probe.path, files.iter().map(String::as_str)) {
        Some(near) => Finding::failed(
            expected,
            format!("no such file, but there is {near}"),
            format!("`mv {near} {}` gives it its name", probe.path),
        ),
        None => Finding::failed(
            expected,
            no_such_file(&probe.path, repository),
            format!("write the file {}, or let `tutorial run` write it", probe.path),
        ),
    }
}

/// Says which part of the path is missing.
fn no_such_file(path: &str, repository: &Path) -> String {
    let missing = Path::new(path)
        .ancestors()
        .skip(1)
        .filter(|parent| !parent.as_os_str().is_empty() && !repository.join(parent).exists())
        .last();
    match missing {
        Some(directory) => format!("no such file; the folder {} is not there either", directory.display()),
        None => "no such file".into(),
    }
}

/// What the check says of the file, in words.
fn expected_of(probe: &FileProbe) -> String {
    let mut text = format!("a file {}", probe.path);
    if let Some(part) = &probe.contains {
        text.push_str(&format!(" that contains `{part}`"));
    } else if let Some(pattern) = &probe.matches {
        text.push_str(&format!(" that matches /{pattern}/"));
    }
    text
}

fn present(probe: &FileProbe, content: &str) -> Finding {
    let path = &probe.path;
    let mut expectations = Vec::new();
    if let Some(part) = &probe.contains {
        expectations.push(contains(&format!("{path} to contain `{part}`"), part, content));
    }
    if let Some(part) = &probe.not_contains {
        expectations.push(lacks(&format!("{path} not to contain `{part}`"), part, content));
    }
    if let Some(pattern) = &probe.matches {
        match Regex::new(pattern) {
            Ok(regex) => expectations.push(matches(&format!("{path} to match /{pattern}/"), &regex, content)),
            Err(error) => return Finding::broken(format!("{path} to match /{pattern}/"), error.to_string()),
        }
    }
    if expectations.is_empty() {
        expectations.push(Expectation::met(format!("a file {path}"), "it is there"));
    }
    conclude(&expectations)
}

/// The text is somewhere in the content; else the line that comes nearest is told.
pub fn contains(expected: &str, part: &str, content: &str) -> Expectation {
    if content.replace("\r\n", "\n").contains(part) || content.contains(part) {
        return Expectation::met(expected, format!("it contains `{part}`"));
    }
    if content.trim().is_empty() {
        return Expectation::unmet(expected, "it is empty", "put the text in, and save");
    }
    match nearest_line(part, content) {
        Some((number, line)) => Expectation::unmet(
            expected,
            format!("not there; the nearest is line {number}: `{line}`"),
            look_at(part, number, line),
        ),
        None => Expectation::unmet(
            expected,
            format!("not there, in none of its {} lines", content.lines().count()),
            "compare the file with the lesson's, and save it",
        ),
    }
}

fn lacks(expected: &str, part: &str, content: &str) -> Expectation {
    match content.lines().position(|line| line.contains(part)) {
        Some(index) => {
            let line = content.lines().nth(index).unwrap_or_default().trim();
            let actual = format!("line {}: `{line}`", index + 1);
            Expectation::unmet(expected, actual, format!("change line {}, and save", index + 1))
        }
        None if content.contains(part) => Expectation::unmet(expected, "it does", "change the file, and save"),
        None => Expectation::met(expected, "it does not"),
    }
}

/// The pattern is found in the content, whose line ends may be those of Windows.
pub fn matches(expected: &str, regex: &Regex, content: &str) -> Expectation {
    if regex.is_match(content) || regex.is_match(&content.replace("\r\n", "\n")) {
        return Expectation::met(expected, "it does");
    }
    if content.trim().is_empty() {
        return Expectation::unmet(expected, "it is empty", "put the text in, and save");
    }
    // What the pattern says literally leads to the line that was probably meant.
    let literal: String = literal_of(regex.as_str());
    match nearest_line(&literal, content).filter(|_| literal.len() >= 3) {
        Some((number, line)) => Expectation::unmet(
            expected,
            format!("it does not; the nearest is line {number}: `{line}`"),
            look_at(&literal, number, line),
        ),
        None => Expectation::unmet(
            expected,
            format!("none of its {} lines does", content.lines().count()),
            "compare the file with the lesson's, and save it",
        ),
    }
}

/// The longest run of plain text in a pattern.
fn literal_of(pattern: &str) -> String {
    let mut runs = vec![String::new()];
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped) if !escaped.is_alphanumeric() => {
                    runs.last_mut().expect("one is always there").push(escaped);
                }
                _ => runs.push(String::new()),
            },
            '(' | ')' | '[' | ']' | '{' | '}' | '.' | '*' | '+' | '?' | '|' | '^' | '$' => runs.push(String::new()),
            plain => runs.last_mut().expect("one is always there").push(plain),
        }
    }
    runs.into_iter().max_by_key(String::len).unwrap_or_default()
}

/// The files below a directory, relative to it, without what git keeps.
fn files_below(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && !matches!(entry.file_name().to_str(), Some(".git" | "node_modules")) {
                waiting.push(entry.path());
            } else if kind.is_file() {
                found.extend(entry.path().strip_prefix(directory).ok().map(|path| path.to_string_lossy().into_owned()));
            }
            if found.len() >= FILES_MAX {
                return found;
            }
        }
    }
    found.sort();
    found
}
