//! Files of patterns such as `.dockerignore` and `.helmignore`, and Docker's globs: `*`, `?`, `[…]`, `**`.

/// The patterns of one file; the last one that matches decides.
#[derive(Debug, Clone, Default)]
pub struct Patterns(Vec<Pattern>);

#[derive(Debug, Clone)]
struct Pattern {
    segments: Vec<String>,
    excludes: bool,
}

impl Patterns {
    /// Reads a file's text: one pattern a line, `#` comments, `!` takes back.
    pub fn parse(text: &str) -> Self {
        let patterns = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(patterns.filter_map(Pattern::parse).collect())
    }

    /// Whether the path, or a directory above it, is ignored.
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('/').collect();
        let mut ignored = false;
        for pattern in &self.0 {
            if (1..=path.len()).any(|length| matches_path(&pattern.segments, &path[..length])) {
                ignored = pattern.excludes;
            }
        }
        ignored
    }
}

impl Pattern {
    fn parse(line: &str) -> Option<Self> {
        let (excludes, pattern) = line.strip_prefix('!').map_or((true, line), |pattern| (false, pattern.trim()));
        let segments: Vec<String> =
            pattern.split('/').filter(|segment| !segment.is_empty() && *segment != ".").map(str::to_owned).collect();
        (!segments.is_empty()).then_some(Self { segments, excludes })
    }
}

/// Whether a pattern's segments match a path's.
pub fn matches_path<P: AsRef<str>>(pattern: &[P], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first.as_ref() == "**" => {
            (0..=path.len()).any(|skipped| matches_path(rest, &path[skipped..]))
        }
        (Some((first, rest)), Some((segment, others))) => {
            let (first, segment): (Vec<char>, Vec<char>) =
                (first.as_ref().chars().collect(), segment.chars().collect());
            matches_segment(&first, &segment) && matches_path(rest, others)
        }
        _ => false,
    }
}

/// Whether a pattern has any of the characters that make it one.
pub fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

fn matches_segment(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => (0..=text.len()).any(|skipped| matches_segment(rest, &text[skipped..])),
        (Some(('?', rest)), Some((_, others))) => matches_segment(rest, others),
        (Some(('[', rest)), Some((letter, others))) => {
            let Some(end) = rest.iter().skip(1).position(|end| *end == ']').map(|end| end + 1) else { return false };
            class_has(&rest[..end], *letter) && matches_segment(&rest[end + 1..], others)
        }
        (Some(('\\', rest)), Some((letter, others))) => {
            rest.first() == Some(letter) && matches_segment(&rest[1..], others)
        }
        (Some((one, rest)), Some((other, others))) => one == other && matches_segment(rest, others),
        _ => false,
    }
}

fn class_has(class: &[char], letter: char) -> bool {
    let (negated, class) = match class.split_first() {
        Some(('^' | '!', rest)) => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    let mut at = 0;
    while at < class.len() {
        if at + 2 < class.len() && class[at + 1] == '-' {
            found |= (class[at]..=class[at + 2]).contains(&letter);
            at += 3;
        } else {
            found |= class[at] == letter;
            at += 1;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_as_docker_reads_them() {
        let check = |patterns: &str, path: &str, expected: bool| {
            assert_eq!(Patterns::parse(patterns).matches(path), expected, "{patterns:?} {path}");
        };
        check("*.md", "README.md", true);
        check("*.md", "docs/README.md", false);
        check("**/*.md", "docs/README.md", true);
        check("docs", "docs/a/b.txt", true);
        check("/docs/", "docs/a", true);
        check("*\n!keep", "keep", false);
        check("*\n!keep", "other", true);
        check("# x\n\n.git", ".git/HEAD", true);
        check("a?[b-d]", "axc", true);
        check("a?[^b-d]", "axc", false);
        check("", "a", false);
        check("[", "[", false);
    }
}
