//! The plain types of a declarative check, as lessons write them. `checks` evaluates them; nothing here
//! touches a cluster or a file.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// One check of a step: what it looks at and what it expects.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub name: String,
    /// How long to await the expected state; `None` is a single observation.
    pub within: Option<Duration>,
    /// The author's message for a failure, with `{expected}` and `{actual}`.
    pub otherwise: Option<String>,
    pub probe: Probe,
    /// Where it stands in the lesson, `file:line`.
    pub location: String,
}

/// What a check looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    Git(GitProbe),
    Kubernetes(KubernetesProbe),
    Release(ReleaseProbe),
    Http(HttpProbe),
    File(FileProbe),
    Command(CommandProbe),
    /// `sh check`: exit 0 passed; 126, 127, a signal or the time limit: broken; else not yet.
    Shell {
        script: String,
    },
}

/// The learner's repository, read with gix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GitProbe {
    /// The branch (or other revision) that the other fields speak of; HEAD where absent.
    pub branch: Option<String>,
    /// The commit that the branch must point at (any revision).
    pub head: Option<String>,
    /// Index and work tree equal HEAD, untracked files included (ignored ones apart).
    pub clean: Option<bool>,
    /// The branch exists (or must not).
    pub exists: Option<bool>,
    /// The branch is the one checked out.
    pub current: Option<bool>,
    /// Paths that the branch's tree must contain.
    pub contains_file: Vec<String>,
    /// Paths that the branch's tree must not contain.
    pub lacks_file: Vec<String>,
    /// Path to regular expression, on the content in the branch's tree.
    pub file_matches: BTreeMap<String, String>,
    /// Regular expression on the tip's message.
    pub message_matches: Option<String>,
    /// The branch has commits that this revision lacks, and contains it.
    pub ahead_of: Option<String>,
    /// A tag that must exist and, with `branch`, point at its tip.
    pub tag: Option<String>,
    /// The least number of commits reachable from the branch.
    pub commits_min: Option<u64>,
}

/// Objects of the cluster, any kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KubernetesProbe {
    pub kind: String,
    pub api_version: Option<String>,
    pub name: Option<String>,
    pub namespace: Option<String>,
    /// A label selector, where several objects are meant.
    pub selector: Option<String>,
    /// Rolled out (Deployment, …), Ready (Pod), or simply there.
    pub ready: Option<bool>,
    pub absent: Option<bool>,
    pub count: Option<u64>,
    /// Field path (`spec.replicas`, `spec.ports[0].nodePort`, `metadata.labels['a.b/c']`) to its value.
    pub fields: BTreeMap<String, Value>,
}

/// The latest record of a release, as Helm and werf keep it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReleaseProbe {
    pub name: String,
    /// The namespace; the release's name where absent.
    pub namespace: Option<String>,
    pub status: Option<String>,
    pub revision: Option<u64>,
    pub revision_min: Option<u64>,
    pub absent: Option<bool>,
}

/// A page, asked for once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpProbe {
    pub url: String,
    pub status: Option<u16>,
    pub contains: Option<String>,
    pub not_contains: Option<String>,
    /// Nothing answers there.
    pub unreachable: Option<bool>,
}

/// A file of the work tree.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileProbe {
    pub path: String,
    pub exists: Option<bool>,
    pub contains: Option<String>,
    pub not_contains: Option<String>,
    pub matches: Option<String>,
}

/// A command, run by `sh` in the repository.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommandProbe {
    pub run: String,
    pub exit: Option<i32>,
    pub stdout_matches: Option<String>,
    pub stderr_matches: Option<String>,
}

/// A step on the way to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSegment {
    Key(String),
    Index(usize),
    /// The item of a list whose `key` holds `value`: `[name=web]`.
    Match {
        key: String,
        value: String,
    },
}

/// Reads a field path: `spec.replicas`, `spec.ports[0].nodePort`, `metadata.labels['a.b/c']`; a leading dot is
/// allowed. The error says what is wrong with it.
pub fn parse_field_path(path: &str) -> Result<Vec<PathSegment>, String> {
    let mut segments = Vec::new();
    let mut rest = path.strip_prefix('.').unwrap_or(path);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (segment, after) = bracketed(inside)?;
            segments.push(segment);
            rest = after;
            match rest.strip_prefix('.') {
                Some("") => return Err("it ends with a dot".into()),
                Some(after) => rest = after,
                None if rest.is_empty() || rest.starts_with('[') => {}
                None => return Err("after `]` comes a dot".into()),
            }
            continue;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let key = &rest[..end];
        if key.is_empty() {
            return Err("a key is empty".into());
        }
        if let Some(odd) = key.chars().find(|c| matches!(c, ']' | '\'' | '"') || c.is_whitespace()) {
            return Err(format!("`{odd}` in a key"));
        }
        segments.push(PathSegment::Key(key.to_owned()));
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix('.') {
            if after.is_empty() {
                return Err("it ends with a dot".into());
            }
            rest = after;
        }
    }
    if segments.is_empty() { Err("it is empty".into()) } else { Ok(segments) }
}

/// What stands after a `[`, and what comes behind its `]`.
fn bracketed(inside: &str) -> Result<(PathSegment, &str), String> {
    if let Some(quote) = inside.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let end = inside[1..].find(quote).map(|end| end + 1).ok_or("a quote is not closed")?;
        let after = inside[end + 1..].strip_prefix(']').ok_or("a `[` is not closed")?;
        return Ok((PathSegment::Key(inside[1..end].to_owned()), after));
    }
    let end = inside.find(']').ok_or("a `[` is not closed")?;
    if let Some((key, value)) = inside[..end].split_once('=').filter(|(key, _)| !key.trim().is_empty()) {
        let value = value.trim().trim_matches(['\'', '"']).to_owned();
        return Ok((PathSegment::Match { key: key.trim().to_owned(), value }, &inside[end + 1..]));
    }
    let index = inside[..end].parse().map_err(|_| format!("`{}` is no index", &inside[..end]))?;
    Ok((PathSegment::Index(index), &inside[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::{PathSegment, parse_field_path};

    #[test]
    fn field_paths() {
        fn check(path: &str, expected: Result<&str, &str>) {
            let shown = parse_field_path(path).map(|segments| {
                let show = |segment: &PathSegment| match segment {
                    PathSegment::Key(key) => key.clone(),
                    PathSegment::Index(index) => format!("#{index}"),
                    PathSegment::Match { key, value } => format!("{key}={value}"),
                };
                segments.iter().map(show).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(shown.as_deref().map_err(String::as_str), expected, "{path}");
        }
        check("spec.replicas", Ok("spec replicas"));
        check(".spec.replicas", Ok("spec replicas"));
        check("spec.ports[0].nodePort", Ok("spec ports #0 nodePort"));
        check("metadata.labels['a.b/c']", Ok("metadata labels a.b/c"));
        check("metadata.labels[\"a.b/c\"].x", Ok("metadata labels a.b/c x"));
        check("a[1][2]", Ok("a #1 #2"));
        check("spec.containers[name=web].image", Ok("spec containers name=web image"));
        check("", Err("it is empty"));
        check("spec.", Err("it ends with a dot"));
        check("spec..x", Err("a key is empty"));
        check("spec.ports[x]", Err("`x` is no index"));
        check("spec.ports[0", Err("a `[` is not closed"));
        check("spec.ports['x]", Err("a quote is not closed"));
        check("a[0]b", Err("after `]` comes a dot"));
        check("a b", Err("` ` in a key"));
    }
}
