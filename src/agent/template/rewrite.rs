//! Prepares a Go template for the engine, and finds the way back from the engine's positions.
//!
//! The engine lets a field of a missing value pass as absent, where Helm fails with `nil pointer evaluating
//! interface {}.x`; it has no methods, and values instead of references. So field chains become calls of
//! `_fields`, the few methods of Helm's objects calls of `_method`, and `$_ := set $x …` an assignment to `$x`.
//! Line breaks stay where they are, and each action remembers where it came from.

use std::ops::Range;

/// A template's text as the engine gets it.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// The text for the engine.
    pub text: String,
    actions: Vec<Action>,
    /// The field chains, by the number that the call passes.
    pub sites: Vec<Site>,
}

/// One `{{ … }}`.
#[derive(Debug)]
struct Action {
    rewritten: Range<usize>,
    original: Range<usize>,
}

/// A field chain of the original text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Where Go says that it is: at its second field, where it has one.
    pub offset: usize,
    /// The chain as written.
    pub text: String,
}

impl Rewritten {
    /// The part of the original text that the engine's position (1-based line, 1-based byte column) is in.
    pub fn original(&self, line: usize, column: usize) -> Option<Range<usize>> {
        let start: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let offset = start + column.saturating_sub(1);
        let action = self.actions.iter().find(|action| action.rewritten.end > offset)?;
        Some(action.original.clone())
    }
}

/// Rewrites a template's text. Text that is no template (an action without an end) stays as it is from there,
/// for the engine to refuse.
pub fn rewrite(text: &str) -> Rewritten {
    let mut rewritten = Rewritten::default();
    let mut rest = 0;
    while let Some(found) = text[rest..].find("{{") {
        let start = rest + found;
        rewritten.text.push_str(&text[rest..start]);
        let Some(end) = action_end(text, start) else {
            rest = start;
            break;
        };
        let from = rewritten.text.len();
        rewrite_action(text, start..end, &mut rewritten);
        rewritten.actions.push(Action { rewritten: from..rewritten.text.len(), original: start..end });
        rest = end;
    }
    rewritten.text.push_str(&text[rest..]);
    rewritten
}

/// The actions of a template that are no comments.
pub fn actions(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        loop {
            let start = rest + text[rest..].find("{{")?;
            rest = action_end(text, start)?;
            let action = &text[start..rest];
            if !action[2..].trim_start_matches('-').trim_start().starts_with("/*") {
                return Some(action);
            }
        }
    })
}

/// Where the action that starts at `start` ends, after its `}}`.
fn action_end(text: &str, start: usize) -> Option<usize> {
    let inside = text[start + 2..].trim_start_matches('-').trim_start();
    if inside.starts_with("/*") {
        let comment = text.len() - inside.len();
        let close = comment + text[comment..].find("*/")?;
        return Some(close + text[close..].find("}}")? + 2);
    }
    let bytes = text.as_bytes();
    let mut at = start + 2;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'' | b'`') => at = string_end(bytes, at, quote),
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at + 2),
            _ => at += 1,
        }
    }
    None
}

fn string_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote != b'`' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn rewrite_action(text: &str, range: Range<usize>, rewritten: &mut Rewritten) {
    let action = &text[range.clone()];
    if action[2..].trim_start_matches('-').trim_start().starts_with("/*") {
        rewritten.text.push_str(action);
        return;
    }
    let action = &shown_version(&assignment_of_set(action));
    let bytes = action.as_bytes();
    let shift = range.end - action.len();
    let mut at = 0;
    let mut after_value = false;
    // A string that does not end is the engine's to refuse.
    while at < bytes.len() {
        let end = token_end(bytes, at);
        let token = &action[at..end];
        match bytes[at] {
            b'.' | b'$' if !after_value => {
                let offset = if range.len() == action.len() { range.start + at } else { shift + at };
                push_chain(token, offset, rewritten);
            }
            quote @ (b'"' | b'`') if token.len() > 1 && token.as_bytes()[token.len() - 1] == quote => {
                push_string(token, rewritten);
            }
            _ => rewritten.text.push_str(token),
        }
        after_value = matches!(bytes[end - 1], b')') || bytes[at].is_ascii_alphanumeric();
        at = end;
    }
}

/// A version that is printed is a text, and a map to all else: `{{ semver … }}` with the function that prints it.
fn shown_version(action: &str) -> String {
    let inner = action.trim_start_matches("{{").trim_start_matches("- ").trim_start();
    let prints = inner.strip_prefix("semver ").is_some() && !inner.contains(':');
    let Some(close) = action.rfind(" -}}").or_else(|| action.rfind("}}")).filter(|_| prints) else {
        return action.to_owned();
    };
    format!("{} | _shown {}", action[..close].trim_end(), action[close..].trim_start())
}

/// `$_ := set $x …` as `$x = set $x …`: what the author means by it.
fn assignment_of_set(action: &str) -> String {
    let Some(at) = action.find("$_ := set $").or_else(|| action.find("$_ = set $")) else { return action.to_owned() };
    let after = &action[at..];
    let Some(name_at) = after.find("set $").map(|found| found + 4) else { return action.to_owned() };
    let name: String = after[name_at..]
        .chars()
        .take_while(|letter| *letter == '$' || *letter == '_' || letter.is_alphanumeric())
        .collect();
    if name.len() < 2 || after[name_at + name.len()..].starts_with('.') {
        return action.to_owned();
    }
    let call = &after[after.find("set $").unwrap_or(0)..];
    format!("{}{name} = {call}", &action[..at])
}

fn token_end(bytes: &[u8], at: usize) -> usize {
    let chain = |byte: u8| byte == b'.' || byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80;
    let mut end = at + 1;
    match bytes[at] {
        quote @ (b'"' | b'\'' | b'`') => return string_end(bytes, at, quote),
        b'.' | b'$' => {
            while end < bytes.len() && chain(bytes[end]) {
                end += 1;
            }
        }
        byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
            while end < bytes.len() && chain(bytes[end]) {
                end += 1;
            }
        }
        byte if byte >= 0x80 => {
            while end < bytes.len() && bytes[end] >= 0x80 {
                end += 1;
            }
        }
        _ => {}
    }
    end
}

/// A string as the engine reads it whole: it takes backslashes between backquotes for escapes, and loses count of
/// them before a closing quote.
fn push_string(token: &str, rewritten: &mut Rewritten) {
    let raw = token.starts_with('`');
    let inner = token.get(1..token.len() - 1).unwrap_or_default();
    let mut letters = inner.chars();
    rewritten.text.push('"');
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if !raw => match letters.next() {
                Some('\\') => rewritten.text.push_str("\\x5c"),
                Some(other) => rewritten.text.extend(['\\', other]),
                None => {}
            },
            '\\' => rewritten.text.push_str("\\x5c"),
            '"' => rewritten.text.push_str("\\\""),
            '\n' => rewritten.text.push_str("\\n"),
            '\r' => {}
            letter => rewritten.text.push(letter),
        }
    }
    rewritten.text.push('"');
}

fn push_chain(token: &str, offset: usize, rewritten: &mut Rewritten) {
    let (root, fields) = token.split_once('.').unwrap_or((token, ""));
    let fields: Vec<&str> = fields.split('.').filter(|field| !field.is_empty()).collect();
    if fields.is_empty() {
        rewritten.text.push_str(token);
        return;
    }
    let receiver = if root.is_empty() { "." } else { root };
    if let [.., object @ ("Files" | "APIVersions"), method] = fields.as_slice() {
        let path: Vec<&str> = fields[..fields.len() - 2].iter().copied().chain([*object]).collect();
        let object =
            if root.is_empty() { format!(".{}", path.join(".")) } else { format!("{root}.{}", path.join(".")) };
        rewritten.text.push_str(&format!("_method \"{method}\" {object}"));
        return;
    }
    let first = root.len();
    let second = if fields.len() > 1 { first + 1 + fields[0].len() } else { first };
    let number = rewritten.sites.len();
    rewritten.sites.push(Site { offset: offset + second, text: token.to_owned() });
    let names: String = fields.iter().map(|field| format!(" {field:?}")).collect();
    rewritten.text.push_str(&format!("(_fields {number} {receiver}{names})"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_become_calls() {
        let check = |input: &str, expected: &str| assert_eq!(rewrite(input).text, expected, "{input}");
        check("a: {{ .Values.x }}", "a: {{ (_fields 0 . \"Values\" \"x\") }}");
        check("{{- $x.y | quote -}}", "{{- (_fields 0 $x \"y\") | quote -}}");
        check("{{ . }}{{ $ }}{{ $x }}", "{{ . }}{{ $ }}{{ $x }}");
        check("{{ printf \"%s.x\" `.y\\d` 1.5 }}", "{{ printf \"%s.x\" \".y\\x5cd\" 1.5 }}");
        check("{{/* .Values.x */}}", "{{/* .Values.x */}}");
        check("{{ (index . 0).name }}", "{{ (index . 0).name }}");
        check("{{ range $k, $v := .a }}", "{{ range $k, $v := (_fields 0 . \"a\") }}");
        check("{{ $.Files.Get \"x\" }}", "{{ _method \"Get\" $.Files \"x\" }}");
        check("{{- $_ := set $d \"k\" .v }}", "{{- $d = set $d \"k\" (_fields 0 . \"v\") }}");
        check("{{ .Values.x", "{{ .Values.x");
    }

    #[test]
    fn positions_lead_back() {
        let text = "x\na: {{ .b }} {{ index .Values.a .c }}";
        let rewritten = rewrite(text);
        assert_eq!(&text[rewritten.sites[1].offset..][..2], ".a");
        let line = rewritten.text.lines().nth(1).expect("a second line");
        let column = line.find("index").expect("the function") + 1;
        assert_eq!(rewritten.original(2, column).map(|range| &text[range]), Some("{{ index .Values.a .c }}"));
    }
}
