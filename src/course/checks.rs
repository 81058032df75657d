//! Reads the declarative checks of a `yaml check` fence.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use regex::Regex;

use super::check::{
    Check, CommandProbe, FileProbe, GitProbe, HttpProbe, KubernetesProbe, Probe, ReleaseProbe, parse_field_path,
};
use super::diagnostics::nearest;
use super::variables::references;
use super::yaml::{Fields, Kind, Node, Reader};

/// The kinds of checks and the fields that each has.
pub(super) const KINDS: [(&str, &[&str]); 6] = [
    (
        "git",
        &[
            "branch",
            "head",
            "clean",
            "exists",
            "current",
            "contains_file",
            "lacks_file",
            "file_matches",
            "message_matches",
            "ahead_of",
            "tag",
            "commits_min",
        ],
    ),
    ("kubernetes", &["kind", "api_version", "name", "namespace", "selector", "ready", "absent", "count", "fields"]),
    ("release", &["name", "namespace", "status", "revision", "revision_min", "absent"]),
    ("http", &["url", "status", "contains", "not_contains", "unreachable"]),
    ("file", &["path", "exists", "contains", "not_contains", "matches"]),
    ("command", &["run", "exit", "stdout_matches", "stderr_matches"]),
];

const KEYS: [&str; 9] = ["name", "within", "else", "git", "kubernetes", "release", "http", "file", "command"];

/// The states of a release, as Helm names them.
const STATUSES: [&str; 9] = [
    "deployed",
    "failed",
    "superseded",
    "uninstalled",
    "uninstalling",
    "pending-install",
    "pending-upgrade",
    "pending-rollback",
    "unknown",
];

/// A check and where its name stands.
pub type Placed = (Check, Range<usize>);

/// Reads a list of checks; a single mapping is a list of one.
pub fn read(node: &Node, reader: &mut Reader) -> Vec<Placed> {
    match &node.kind {
        Kind::Sequence(items) => items.iter().filter_map(|item| check(item, reader)).collect(),
        Kind::Mapping(_) => check(node, reader).into_iter().collect(),
        Kind::Scalar { .. } => {
            reader.mistyped::<()>("a `yaml check` fence", "a list of checks", node);
            Vec::new()
        }
    }
}

fn check(node: &Node, reader: &mut Reader) -> Option<Placed> {
    let fields = Fields::any(node, "a check", reader)?;
    let has_unknown_kind = report_unknown_keys(&fields, reader);
    let name = fields.required_text("name", reader);
    let name_span = fields.get("name").map_or(fields.span.clone(), |node| node.span.clone());
    let within = fields.get("within").and_then(|node| duration(node, reader));
    let otherwise = fields.text("else", reader);
    let mut probes = fields.entries().filter(|(key, ..)| KINDS.iter().any(|(kind, _)| kind == key));
    let Some((kind, _, body)) = probes.next() else {
        if has_unknown_kind {
            return None;
        }
        let kinds: Vec<String> = KINDS.iter().map(|(kind, _)| format!("`{kind}`")).collect();
        reader.error(&fields.span, "this check looks at nothing").help(format!("add one of {}", kinds.join(", ")));
        return None;
    };
    if let Some((second, span, _)) = probes.next() {
        let message = format!("a check looks at one thing, and this one at `{kind}` and `{second}`");
        reader.error(span, message).help("make two checks of it");
    }
    let probe = probe(kind, body, reader)?;
    let location = reader.file.location(node.span.start);
    Some((Check { name: name?, within, otherwise, probe, location }, name_span))
}

/// Reports unknown keys of a check, where the field of a kind may have been written one level too high, and
/// says whether one of them was meant to be a kind.
fn report_unknown_keys(fields: &Fields, reader: &mut Reader) -> bool {
    let mut has_unknown_kind = false;
    for (key, span, _) in fields.entries().filter(|(key, ..)| !KEYS.contains(key)) {
        let is_kind = nearest(key, KINDS.iter().map(|(kind, _)| *kind)).is_some();
        has_unknown_kind |= is_kind;
        let message =
            if is_kind { format!("unknown kind of check `{key}`") } else { format!("unknown key `{key}` in a check") };
        let owner = KINDS.iter().find(|(kind, known)| known.contains(key) && fields.get(kind).is_some());
        let diagnostic = reader.error(span, message);
        match owner {
            Some((kind, _)) => diagnostic.help(format!("`{key}` belongs inside of `{kind}:`")),
            None => diagnostic.suggest(key, KEYS),
        };
    }
    has_unknown_kind
}

fn probe(kind: &str, body: &Node, reader: &mut Reader) -> Option<Probe> {
    let (_, known) = KINDS.iter().find(|(name, _)| *name == kind)?;
    let fields = Fields::open(body, &format!("a `{kind}` check"), known, reader)?;
    if fields.entries().next().is_none() {
        reader.error(&fields.span, format!("this `{kind}` check expects nothing")).suggest("", known.iter().copied());
    }
    match kind {
        "git" => Some(Probe::Git(git(&fields, reader))),
        "kubernetes" => kubernetes(&fields, reader).map(Probe::Kubernetes),
        "release" => release(&fields, reader).map(Probe::Release),
        "http" => http(&fields, reader).map(Probe::Http),
        "file" => file(&fields, reader).map(Probe::File),
        _ => command(&fields, reader).map(Probe::Command),
    }
}

fn git(fields: &Fields, reader: &mut Reader) -> GitProbe {
    let probe = GitProbe {
        branch: fields.text("branch", reader),
        head: fields.text("head", reader),
        clean: fields.boolean("clean", reader),
        exists: fields.boolean("exists", reader),
        current: fields.boolean("current", reader),
        contains_file: fields.texts("contains_file", reader),
        lacks_file: fields.texts("lacks_file", reader),
        file_matches: fields.get("file_matches").map(|node| patterns(node, reader)).unwrap_or_default(),
        message_matches: pattern(fields, "message_matches", reader),
        ahead_of: fields.text("ahead_of", reader),
        tag: fields.text("tag", reader),
        commits_min: count(fields, "commits_min", reader),
    };
    let only_names = fields.entries().all(|(key, ..)| *key == "branch");
    if only_names && probe.branch.is_some() {
        reader.error(&fields.span, "this check names a branch and expects nothing of it").help("add `exists: true`");
    }
    if probe.exists == Some(false) && fields.entries().any(|(key, ..)| !matches!(*key, "branch" | "exists")) {
        reader.error(&fields.span, "a branch that must not exist can have nothing else expected of it");
    }
    for (key, span, node) in fields.entries().filter(|(key, ..)| matches!(*key, "contains_file" | "lacks_file")) {
        if matches!(&node.kind, Kind::Sequence(items) if items.is_empty()) {
            reader.error(span, format!("`{key}` lists no file"));
        }
    }
    probe
}

fn kubernetes(fields: &Fields, reader: &mut Reader) -> Option<KubernetesProbe> {
    let kind = fields.required_text("kind", reader);
    let probe = KubernetesProbe {
        kind: String::new(),
        api_version: fields.text("api_version", reader),
        name: fields.text("name", reader),
        namespace: fields.text("namespace", reader),
        selector: fields.text("selector", reader),
        ready: fields.boolean("ready", reader),
        absent: fields.boolean("absent", reader),
        count: count(fields, "count", reader),
        fields: fields.get("fields").map(|node| object_fields(node, reader)).unwrap_or_default(),
    };
    if probe.name.is_some() && (probe.selector.is_some() || probe.count.is_some()) {
        reader
            .error(&fields.span, "`name` means one object, `selector` and `count` mean several")
            .help("keep one of them");
    }
    if probe.name.is_none() && probe.selector.is_none() && probe.count.is_none() && probe.absent.is_none() {
        reader
            .error(&fields.span, "this check does not say which object it means")
            .help("add `name`, `selector` or `count`");
    }
    let expects = probe.ready.is_some() || probe.count.is_some() || !probe.fields.is_empty();
    if probe.absent == Some(true) && expects {
        reader.error(&fields.span, "of an object that must be absent nothing else can be expected");
    }
    Some(KubernetesProbe { kind: kind?, ..probe })
}

fn object_fields(node: &Node, reader: &mut Reader) -> BTreeMap<String, serde_json::Value> {
    let Some(entries) = Fields::any(node, "`fields`", reader) else { return BTreeMap::new() };
    for (path, span, _) in entries.entries() {
        if let Err(reason) = parse_field_path(path) {
            reader
                .error(span, format!("`{path}` is no path of a field: {reason}"))
                .help("write it like `spec.replicas`, `spec.ports[0].nodePort` or `metadata.labels['a.b/c']`");
        }
    }
    entries.entries().map(|(path, _, value)| ((*path).to_owned(), value.to_value())).collect()
}

fn release(fields: &Fields, reader: &mut Reader) -> Option<ReleaseProbe> {
    let name = fields.required_text("name", reader);
    let status = fields.text("status", reader);
    if let (Some(status), Some(node)) = (&status, fields.get("status"))
        && !status.contains("${")
        && !STATUSES.contains(&status.as_str())
    {
        reader.error(&node.span, format!("a release is never `{status}`")).suggest(status, STATUSES);
    }
    let probe = ReleaseProbe {
        name: String::new(),
        namespace: fields.text("namespace", reader),
        status,
        revision: count(fields, "revision", reader),
        revision_min: count(fields, "revision_min", reader),
        absent: fields.boolean("absent", reader),
    };
    Some(ReleaseProbe { name: name?, ..probe })
}

fn http(fields: &Fields, reader: &mut Reader) -> Option<HttpProbe> {
    let url = fields.required_text("url", reader);
    if let (Some(url), Some(node)) = (&url, fields.get("url"))
        && !["http://", "https://", "${"].iter().any(|start| url.starts_with(start))
    {
        reader.error(&node.span, format!("`{url}` is no URL")).help("it begins with `http://` or with a variable");
    }
    let probe = HttpProbe {
        url: String::new(),
        status: fields.number("status", 100..=599, reader).and_then(|status| u16::try_from(status).ok()),
        contains: fields.text("contains", reader),
        not_contains: fields.text("not_contains", reader),
        unreachable: fields.boolean("unreachable", reader),
    };
    if probe.unreachable == Some(true)
        && (probe.status.is_some() || probe.contains.is_some() || probe.not_contains.is_some())
    {
        reader.error(&fields.span, "of a page that must be unreachable nothing else can be expected");
    }
    Some(HttpProbe { url: url?, ..probe })
}

fn file(fields: &Fields, reader: &mut Reader) -> Option<FileProbe> {
    let path = fields.required_text("path", reader);
    if let (Some(path), Some(node)) = (&path, fields.get("path")) {
        relative_path(path, &node.span, reader);
    }
    let probe = FileProbe {
        path: String::new(),
        exists: fields.boolean("exists", reader),
        contains: fields.text("contains", reader),
        not_contains: fields.text("not_contains", reader),
        matches: pattern(fields, "matches", reader),
    };
    let expects = probe.contains.is_some() || probe.not_contains.is_some() || probe.matches.is_some();
    if probe.exists == Some(false) && expects {
        reader.error(&fields.span, "of a file that must not exist nothing else can be expected");
    }
    Some(FileProbe { path: path?, ..probe })
}

fn command(fields: &Fields, reader: &mut Reader) -> Option<CommandProbe> {
    let run = fields.required_text("run", reader);
    let probe = CommandProbe {
        run: String::new(),
        exit: fields.number("exit", 0..=255, reader).and_then(|exit| i32::try_from(exit).ok()),
        stdout_matches: pattern(fields, "stdout_matches", reader),
        stderr_matches: pattern(fields, "stderr_matches", reader),
    };
    Some(CommandProbe { run: run?, ..probe })
}

/// A path that stays inside of the learner's repository.
pub fn relative_path(path: &str, span: &Range<usize>, reader: &mut Reader) {
    if path.is_empty() {
        reader.error(span, "the path is empty");
    } else if path.starts_with('/') || path.starts_with('~') {
        reader
            .error(span, format!("`{path}` is not inside of the learner's repository"))
            .help("write it relative to there");
    } else if path.split('/').any(|part| part == "..") {
        reader.error(span, format!("`{path}` leads out of the learner's repository"));
    }
}

fn count(fields: &Fields, key: &str, reader: &mut Reader) -> Option<u64> {
    fields.number(key, 0..=1_000_000, reader).and_then(|count| u64::try_from(count).ok())
}

fn pattern(fields: &Fields, key: &str, reader: &mut Reader) -> Option<String> {
    let text = fields.text(key, reader)?;
    let node = fields.get(key)?;
    check_pattern(&text, &node.span, reader);
    Some(text)
}

fn patterns(node: &Node, reader: &mut Reader) -> BTreeMap<String, String> {
    let Some(entries) = Fields::any(node, "`file_matches`", reader) else { return BTreeMap::new() };
    let mut patterns = BTreeMap::new();
    for (path, _, value) in entries.entries() {
        if let Some(text) = reader.text(&format!("the pattern of `{path}`"), value) {
            check_pattern(&text, &value.span, reader);
            patterns.insert((*path).to_owned(), text);
        }
    }
    patterns
}

/// Reports what is no regular expression; variables count as letters.
fn check_pattern(text: &str, span: &Range<usize>, reader: &mut Reader) {
    let mut masked = text.to_owned();
    for reference in references(text).into_iter().rev() {
        masked.replace_range(reference.span, "x");
    }
    if let Err(error) = Regex::new(&masked) {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        reader.error(span, format!("this is no regular expression: {reason}"));
    }
}

fn duration(node: &Node, reader: &mut Reader) -> Option<Duration> {
    let text = reader.text("`within`", node)?;
    duration_of(&text, &node.span, reader)
}

/// The longest time that a check may wait.
const WITHIN_MAX: Duration = Duration::from_secs(3600);

/// `30s`, `1m30s`, `500ms`.
pub fn duration_of(text: &str, span: &Range<usize>, reader: &mut Reader) -> Option<Duration> {
    let found = parse_duration(text);
    match found {
        None => {
            reader.error(span, format!("`{text}` is no duration")).help("write it like `30s`, `500ms` or `1m30s`");
            None
        }
        Some(duration) if duration > WITHIN_MAX => {
            reader.error(span, format!("`{text}` is longer than an hour"));
            None
        }
        found => found,
    }
}

/// Reads `1h`, `2m`, `30s`, `500ms` and sums of them.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let amount: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let ms = match rest[..unit_end].trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(amount.checked_mul(ms)?))?;
        rest = &rest[unit_end..];
    }
    Some(total)
}
