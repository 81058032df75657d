//! Variables of a course and their substitution: `${NAME}` of a known name is replaced, any other `${…}` is
//! left alone, `$${` stands for `${`.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::{Check, Probe};
use super::model::{FilePart, Hint, Part, Quiz, QuizOption, Script};
use crate::markdown::{Block, Inline, ListItem};

/// Names and values, in the order in which they were set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(String, String)>", into = "Vec<(String, String)>")]
pub struct Variables {
    entries: Vec<(String, String)>,
}

impl From<Vec<(String, String)>> for Variables {
    fn from(entries: Vec<(String, String)>) -> Self {
        entries.into_iter().collect()
    }
}

impl From<Variables> for Vec<(String, String)> {
    fn from(variables: Variables) -> Self {
        variables.entries
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        let mut variables = Self::default();
        for (name, value) in entries {
            variables.set(name, value);
        }
        variables
    }
}

impl Variables {
    /// No variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value; a name that is there keeps its place.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.entries.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((name, value)),
        }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Forgets a name.
    pub fn remove(&mut self, name: &str) {
        self.entries.retain(|(known, _)| known != name);
    }

    /// Names and values in order, as they go into a shell's environment.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Replaces the variables of a text.
    pub fn substitute(&self, text: &str) -> String {
        if !text.contains("${") {
            return text.to_owned();
        }
        let mut result = String::with_capacity(text.len());
        let mut copied = 0;
        for reference in references(text) {
            result.push_str(&text[copied..reference.span.start]);
            copied = reference.span.end;
            match reference.name {
                None => result.push_str("${"),
                Some(name) => match self.get(name) {
                    Some(value) => result.push_str(value),
                    None => result.push_str(&text[reference.span]),
                },
            }
        }
        result.push_str(&text[copied..]);
        result
    }

    /// Replaces the variables of prose.
    pub fn substitute_blocks(&self, blocks: &[Block]) -> Vec<Block> {
        blocks.iter().map(|block| self.substitute_block(block)).collect()
    }

    /// Replaces the variables of one element.
    pub fn substitute_block(&self, block: &Block) -> Block {
        match block {
            Block::Heading { level, content } => Block::Heading { level: *level, content: self.inlines(content) },
            Block::Paragraph(content) => Block::Paragraph(self.inlines(content)),
            Block::List { start, items } => {
                let item = |item: &ListItem| ListItem {
                    checked: item.checked,
                    content: self.substitute_blocks(&item.content),
                };
                Block::List { start: *start, items: items.iter().map(item).collect() }
            }
            Block::Code { language, text, label } => Block::Code {
                language: language.clone(),
                text: self.substitute(text),
                label: label.as_ref().map(|label| self.substitute(label)),
            },
            Block::Quote(content) => Block::Quote(self.substitute_blocks(content)),
            Block::Alert { kind, content } => Block::Alert { kind: *kind, content: self.substitute_blocks(content) },
            Block::Table { alignments, header, rows } => Block::Table {
                alignments: alignments.clone(),
                header: header.iter().map(|cell| self.inlines(cell)).collect(),
                rows: rows.iter().map(|row| row.iter().map(|cell| self.inlines(cell)).collect()).collect(),
            },
            Block::Rule => Block::Rule,
        }
    }

    fn inlines(&self, inlines: &[Inline]) -> Vec<Inline> {
        inlines.iter().map(|inline| self.inline(inline)).collect()
    }

    fn inline(&self, inline: &Inline) -> Inline {
        match inline {
            Inline::Text(text) => Inline::Text(self.substitute(text)),
            Inline::Code(text) => Inline::Code(self.substitute(text)),
            Inline::Emphasis(content) => Inline::Emphasis(self.inlines(content)),
            Inline::Strong(content) => Inline::Strong(self.inlines(content)),
            Inline::Strikethrough(content) => Inline::Strikethrough(self.inlines(content)),
            Inline::Link { url, content } => Inline::Link { url: self.substitute(url), content: self.inlines(content) },
            Inline::Image { url, alt } => Inline::Image { url: self.substitute(url), alt: self.substitute(alt) },
            Inline::SoftBreak => Inline::SoftBreak,
            Inline::HardBreak => Inline::HardBreak,
        }
    }

    /// What of a step is shown, with values.
    pub fn substitute_part(&self, part: &Part) -> Part {
        match part {
            Part::Prose(block) => Part::Prose(self.substitute_block(block)),
            Part::Run(script) => Part::Run(self.substitute_script(script)),
            Part::Type(script) => Part::Type(self.substitute_script(script)),
            Part::Copy(script) => Part::Copy(self.substitute_script(script)),
            Part::File(file) => Part::File(self.substitute_file(file)),
            Part::Expect { language, text } => Part::Expect { language: language.clone(), text: self.substitute(text) },
            Part::Quiz(quiz) => Part::Quiz(self.substitute_quiz(quiz)),
        }
    }

    /// A script as it is shown.
    pub fn substitute_script(&self, script: &Script) -> Script {
        Script { text: self.substitute(&script.text), ..script.clone() }
    }

    /// A file as it is written.
    pub fn substitute_file(&self, file: &FilePart) -> FilePart {
        FilePart { path: self.substitute(&file.path), text: self.substitute(&file.text), ..file.clone() }
    }

    /// A hint as it is shown.
    pub fn substitute_hint(&self, hint: &Hint) -> Hint {
        Hint { when: hint.when.clone(), content: self.substitute_blocks(&hint.content) }
    }

    /// A quiz as it is asked.
    pub fn substitute_quiz(&self, quiz: &Quiz) -> Quiz {
        let option = |option: &QuizOption| QuizOption {
            text: self.substitute(&option.text),
            right: option.right,
            explanation: self.substitute(&option.explanation),
        };
        Quiz { question: self.substitute(&quiz.question), options: quiz.options.iter().map(option).collect() }
    }

    /// A check as it is observed. `sh check` scripts keep their text: they get the variables as environment.
    pub fn substitute_check(&self, check: &Check) -> Check {
        Check {
            name: self.substitute(&check.name),
            otherwise: check.otherwise.as_ref().map(|text| self.substitute(text)),
            probe: self.probe(&check.probe),
            ..check.clone()
        }
    }

    fn probe(&self, probe: &Probe) -> Probe {
        let mut probe = probe.clone();
        match &mut probe {
            Probe::Git(git) => {
                for text in [&mut git.branch, &mut git.head, &mut git.message_matches, &mut git.ahead_of, &mut git.tag]
                {
                    self.replace(text);
                }
                self.replace(&mut git.contains_file);
                self.replace(&mut git.lacks_file);
                git.file_matches = self.map(&git.file_matches);
            }
            Probe::Kubernetes(kubernetes) => {
                self.replace([&mut kubernetes.kind]);
                for text in [
                    &mut kubernetes.api_version,
                    &mut kubernetes.name,
                    &mut kubernetes.namespace,
                    &mut kubernetes.selector,
                ] {
                    self.replace(text);
                }
                kubernetes.fields = kubernetes
                    .fields
                    .iter()
                    .map(|(path, value)| (self.substitute(path), self.substitute_value(value)))
                    .collect();
            }
            Probe::Release(release) => {
                self.replace([&mut release.name]);
                self.replace(&mut release.namespace);
                self.replace(&mut release.status);
            }
            Probe::Http(http) => {
                self.replace([&mut http.url]);
                self.replace(&mut http.contains);
                self.replace(&mut http.not_contains);
            }
            Probe::File(file) => {
                self.replace([&mut file.path]);
                for text in [&mut file.contains, &mut file.not_contains, &mut file.matches] {
                    self.replace(text);
                }
            }
            Probe::Command(command) => {
                self.replace([&mut command.run]);
                self.replace(&mut command.stdout_matches);
                self.replace(&mut command.stderr_matches);
            }
            Probe::Shell { .. } => {}
        }
        probe
    }

    fn replace<'t>(&self, texts: impl IntoIterator<Item = &'t mut String>) {
        for text in texts {
            *text = self.substitute(text);
        }
    }

    fn map(&self, map: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        map.iter().map(|(key, value)| (self.substitute(key), self.substitute(value))).collect()
    }

    /// Replaces the variables in every text of a value.
    pub fn substitute_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.substitute(text)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.substitute_value(item)).collect()),
            Value::Object(entries) => Value::Object(
                entries.iter().map(|(key, value)| (self.substitute(key), self.substitute_value(value))).collect(),
            ),
            other => other.clone(),
        }
    }
}

/// A `${NAME}` of a text, or with no name an escaped `$${`.
#[derive(Debug, PartialEq, Eq)]
pub struct Reference<'t> {
    pub name: Option<&'t str>,
    pub span: Range<usize>,
}

/// All `${NAME}` and `$${` of a text, in order.
pub fn references(text: &str) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| at + from) {
        from = at + 2;
        if at > 0 && text.as_bytes()[at - 1] == b'$' {
            found.push(Reference { name: None, span: at - 1..from });
            continue;
        }
        let name = &text[from..];
        let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len())];
        if is_name(name) && text[from + name.len()..].starts_with('}') {
            from += name.len() + 1;
            found.push(Reference { name: Some(name), span: at..from });
        }
    }
    found
}

/// Whether a word can name a variable.
pub fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `development` as it stands in `URL_DEVELOPMENT`.
pub fn environment_suffix(environment: &str) -> String {
    environment.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

#[cfg(test)]
mod tests {
    use super::Variables;

    #[test]
    fn known_names_are_replaced_and_all_else_is_kept() {
        fn check(text: &str, expected: &str) {
            let variables: Variables =
                [("PROJECT", "demo"), ("good_commit", "1a2b"), ("EMPTY", "")].into_iter().collect();
            assert_eq!(variables.substitute(text), expected, "{text}");
        }
        check("${PROJECT}-production", "demo-production");
        check("a ${good_commit} b ${PROJECT}", "a 1a2b b demo");
        check("${EMPTY}x", "x");
        check("${other} ${1} ${} ${a-b} ${", "${other} ${1} ${} ${a-b} ${");
        check("$${PROJECT} is ${PROJECT}", "${PROJECT} is demo");
        check("$$${PROJECT}", "$${PROJECT}");
        check("$PROJECT", "$PROJECT");
        check("${PROJECT", "${PROJECT");
        check("é${PROJECT}é", "édemoé");
        check("${${PROJECT}}", "${demo}");
    }

    #[test]
    fn the_order_of_setting_is_kept() {
        let mut variables: Variables = [("B", "1"), ("A", "2")].into_iter().collect();
        variables.set("B", "3");
        assert_eq!(variables.iter().collect::<Vec<_>>(), [("B", "3"), ("A", "2")]);
        let text = serde_json::to_string(&variables).expect("variables serialise");
        assert_eq!(serde_json::from_str::<Variables>(&text).expect("and come back"), variables);
    }
}
