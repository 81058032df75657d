//! Semantic versions and the constraints that charts put on Kubernetes'.

use std::cmp::Ordering;
use std::collections::HashMap;

use gtmpl_ng::Value;

use super::{Answer, exactly, fault, string};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    /// How many of the numbers were written.
    written: usize,
    before_release: String,
    build: String,
}

fn parse(text: &str) -> Option<Version> {
    let text = text.trim().trim_start_matches('v');
    let (text, build) = text.split_once('+').unwrap_or((text, ""));
    let (text, before_release) = text.split_once('-').unwrap_or((text, ""));
    let mut numbers = [0; 3];
    let mut written = 0;
    for part in text.split('.') {
        if matches!(part, "x" | "X" | "*") {
            break;
        }
        *numbers.get_mut(written)? = part.parse().ok()?;
        written += 1;
    }
    Some(Version { numbers, written, before_release: before_release.into(), build: build.into() })
}

/// A version by itself, which has no wildcard and at least one number.
fn version(text: &str) -> Option<Version> {
    let parsed = parse(text)?;
    let wild = text.split(['-', '+']).next().unwrap_or(text).split('.').any(|part| matches!(part, "x" | "X" | "*"));
    (parsed.written > 0 && !wild).then_some(parsed)
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(formatter, "{major}.{minor}.{patch}")?;
        for (sign, part) in [('-', &self.before_release), ('+', &self.build)] {
            if !part.is_empty() {
                write!(formatter, "{sign}{part}")?;
            }
        }
        Ok(())
    }
}

/// A version as text, where a template prints one; anything else as it is.
pub fn shown(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    if let Value::Map(parts) = &arguments[0]
        && parts.len() == 6
        && let Some(Value::String(original)) = parts.get("Original")
        && let Some(version) = version(original)
    {
        return Ok(Value::String(version.to_string()));
    }
    Ok(arguments[0].clone())
}

fn compare(one: &Version, other: &Version) -> Ordering {
    one.numbers.cmp(&other.numbers).then_with(|| match (one.before_release.as_str(), other.before_release.as_str()) {
        ("", "") => Ordering::Equal,
        ("", _) => Ordering::Greater,
        (_, "") => Ordering::Less,
        (one, other) => compare_identifiers(one, other),
    })
}

fn compare_identifiers(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one.split('.'), other.split('.'));
    loop {
        let ordering = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(other)) => match (one.parse::<u64>(), other.parse::<u64>()) {
                (Ok(one), Ok(other)) => one.cmp(&other),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => one.cmp(other),
            },
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// The first version that a caret, tilde or incomplete version no longer admits: its number at `at` raised.
fn raised(version: &Version, at: usize) -> Version {
    let mut next = version.clone();
    next.before_release.clear();
    next.numbers[at] += 1;
    next.numbers[at + 1..].fill(0);
    next
}

/// Whether one comparison, such as `>=1.19-0`, admits the version.
fn admits(comparison: &str, version: &Version) -> Option<bool> {
    let at = comparison.find(|letter: char| !"<>=!~^".contains(letter)).unwrap_or(comparison.len());
    let (operator, text) = comparison.split_at(at);
    let bound = parse(text)?;
    if bound.written == 0 {
        return Some(true);
    }
    // As in Masterminds' semver: pre-releases count only where the constraint names one.
    if !version.before_release.is_empty() && bound.before_release.is_empty() {
        return Some(false);
    }
    let ordering = compare(version, &bound);
    let below = |at: usize| ordering != Ordering::Less && compare(version, &raised(&bound, at)) == Ordering::Less;
    Some(match operator {
        "" | "=" | "==" if bound.written < 3 => below(bound.written - 1),
        "" | "=" | "==" => ordering == Ordering::Equal,
        "!=" => ordering != Ordering::Equal,
        ">" if bound.written < 3 => compare(version, &raised(&bound, bound.written - 1)) != Ordering::Less,
        ">" => ordering == Ordering::Greater,
        ">=" | "=>" => ordering != Ordering::Less,
        "<" => ordering == Ordering::Less,
        "<=" | "=<" if bound.written < 3 => compare(version, &raised(&bound, bound.written - 1)) == Ordering::Less,
        "<=" | "=<" => ordering != Ordering::Greater,
        "~" | "~>" => below(bound.written.clamp(1, 2) - 1),
        "^" => {
            let first = bound.numbers.iter().position(|number| *number > 0).unwrap_or(2);
            below(first.min(bound.written - 1).min(2))
        }
        _ => return None,
    })
}

fn satisfies(constraint: &str, version: &Version) -> Option<bool> {
    let mut any = false;
    for alternative in constraint.split("||") {
        // `1.2 - 1.4` is from the one to the other.
        let spaced = match alternative.split_once(" - ") {
            Some((from, to)) => format!(">={} <={}", from.trim(), to.trim()),
            None => alternative.replace(',', " "),
        };
        let mut words: Vec<String> = Vec::new();
        for word in spaced.split_whitespace() {
            match words.last_mut() {
                Some(last) if last.chars().all(|letter| "<>=!~^".contains(letter)) => last.push_str(word),
                _ => words.push(word.to_owned()),
            }
        }
        let mut all = true;
        for word in words {
            all &= admits(&word, version)?;
        }
        any |= all;
    }
    Some(any)
}

pub fn semver_compare(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    let (constraint, text) = (string(&arguments[0])?, string(&arguments[1])?);
    let Some(version) = version(text) else { return fault("invalid semantic version") };
    match satisfies(constraint, &version) {
        Some(truth) => Ok(Value::Bool(truth)),
        None => fault(format!("improper constraint: {constraint}")),
    }
}

pub fn semver(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    let text = string(&arguments[0])?;
    let Some(version) = version(text) else { return fault("invalid semantic version") };
    let [major, minor, patch] = version.numbers;
    Ok(Value::Map(HashMap::from([
        ("Major".to_owned(), Value::from(major)),
        ("Minor".to_owned(), Value::from(minor)),
        ("Patch".to_owned(), Value::from(patch)),
        ("Prerelease".to_owned(), Value::String(version.before_release)),
        ("Metadata".to_owned(), Value::String(version.build)),
        ("Original".to_owned(), Value::from(text)),
    ])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints() {
        let check = |constraint: &str, version: &str, expected: Option<bool>| {
            let version = parse(version).expect("a version");
            assert_eq!(satisfies(constraint, &version), expected, "{constraint} on {version:?}");
        };
        check(">=1.19-0", "v1.34.2+tutorial", Some(true));
        check(">=1.19.0", "v1.34.2-gke.1", Some(false));
        check("<1.14-0", "1.34.2", Some(false));
        check("^1.2.3", "1.9.0", Some(true));
        check("^0.2.3", "0.3.0", Some(false));
        check("~1.2.3", "1.2.9", Some(true));
        check("~1.2.3", "1.3.0", Some(false));
        check(">= 1.2, < 2 || 3.x", "3.4.5", Some(true));
        check("1.2", "1.2.7", Some(true));
        check("?", "1.2.7", None);
    }
}
