//! Mistakes in a course, told the way compilers tell them: all at once, each at its place in the text, with
//! what to write instead.

use std::fmt::{self, Write};
use std::ops::Range;

use serde_json::{Value, json};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::source::SourceFile;
use crate::error::{Exit, Explain};

/// How bad a mistake is. A course with an error is not played; one with warnings is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A range of one line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line.
    pub text: String,
    /// The bytes of the line that are meant.
    pub span: Range<usize>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub message: String,
    pub place: Option<Place>,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Adds what to write instead.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean", if one of the candidates is near the word that was written; else the list of them.
    pub fn suggest<'c>(&mut self, word: &str, candidates: impl IntoIterator<Item = &'c str>) -> &mut Self {
        let candidates: Vec<&str> = candidates.into_iter().collect();
        if let Some(near) = nearest(word, candidates.iter().copied()) {
            self.help(format!("did you mean `{near}`?"))
        } else if candidates.is_empty() {
            self
        } else {
            let list: Vec<String> = candidates.iter().map(|candidate| format!("`{candidate}`")).collect();
            self.help(format!("one of {}", list.join(", ")))
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "severity": self.severity.word(),
            "message": self.message,
            "file": self.place.as_ref().map(|place| &place.path),
            "line": self.place.as_ref().map(|place| place.line),
            "column": self.place.as_ref().map(|place| place.column),
            "help": self.help,
        })
    }
}

/// The candidate that was probably meant, by edit distance; none when all are far away.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let distance_max = match word.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        6..=12 => 3,
        _ => 5,
    };
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let all_of_it = candidate.chars().count().min(word.chars().count());
            *distance <= distance_max && *distance < all_of_it
                || (lower.len() > 2 && candidate.to_lowercase().starts_with(&lower))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// All mistakes of a course.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// What was read: a directory or the name of a built-in course.
    pub course: String,
    pub items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// How many there are of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.items.iter().filter(|item| item.severity == severity).count()
    }

    /// Whether the course cannot be played.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Whether the course could not be found at all, which is a mistake of whoever named it.
    pub fn is_about_what_is_missing(&self) -> bool {
        self.has_errors() && self.items.iter().all(|item| item.place.is_none())
    }

    /// All of it as text, with a summary at the end.
    pub fn render(&self, colour: bool) -> String {
        let paint = Paint { colour };
        let mut text = String::new();
        for item in &self.items {
            text.push_str(&paint.diagnostic(item));
            text.push('\n');
        }
        text.push_str(&self.summary());
        text.push('\n');
        text
    }

    /// A list of objects with `severity`, `message`, `file`, `line`, `column` and `help`.
    pub fn to_json(&self) -> Value {
        Value::Array(self.items.iter().map(Diagnostic::to_json).collect())
    }

    /// One line: how many mistakes there are.
    pub fn summary(&self) -> String {
        let counted = |severity: Severity| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {}", severity.word())),
            count => Some(format!("{count} {}s", severity.word())),
        };
        let parts: Vec<String> = [Severity::Error, Severity::Warning].into_iter().filter_map(counted).collect();
        if parts.is_empty() {
            format!("no mistakes in `{}`", self.course)
        } else {
            format!("{} in `{}`", parts.join(" and "), self.course)
        }
    }
}

/// The whole text, plain: what a failure shows wherever it ends up.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        for item in &self.items {
            write!(f, "\n\n{}", (Paint { colour: false }).diagnostic(item).trim_end())?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl Explain for Diagnostics {
    fn exit(&self) -> Exit {
        if self.is_about_what_is_missing() { Exit::Usage } else { Exit::Broken }
    }
}

/// Draws diagnostics, with ANSI colours or without.
struct Paint {
    colour: bool,
}

impl Paint {
    fn style(&self, codes: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{codes}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn diagnostic(&self, item: &Diagnostic) -> String {
        let codes = match item.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
        };
        let word = self.style(codes, item.severity.word());
        let mut text = format!("{word}{}\n", self.style("1", &format!(": {}", item.message)));
        let indent = item.place.as_ref().map_or(1, |place| place.line.to_string().len());
        if let Some(place) = &item.place {
            text.push_str(&self.place(place, indent, codes));
        }
        if let Some(help) = &item.help {
            let equals = self.style("1;34", "=");
            let _ = writeln!(text, "{:indent$} {equals} help: {help}", "");
        }
        text
    }

    fn place(&self, place: &Place, indent: usize, codes: &str) -> String {
        let bar = self.style("1;34", "|");
        let arrow = self.style("1;34", "-->");
        let (line, before, width) = expand(&place.text, &place.span);
        let carets = self.style(codes, &"^".repeat(width.max(1)));
        let number = self.style("1;34", &format!("{:>indent$}", place.line));
        format!(
            "{:indent$}{arrow} {}:{}:{}\n{:indent$} {bar}\n{number} {bar} {line}\n{:indent$} {bar} {:before$}{carets}\n",
            "", place.path, place.line, place.column, "", "", ""
        )
    }
}

/// The line with its tabs as spaces and its control characters gone, the columns before the span, and the
/// span's own columns.
fn expand(line: &str, span: &Range<usize>) -> (String, usize, usize) {
    let show = |text: &str| -> String {
        text.chars()
            .map(|character| match character {
                '\t' => "    ".to_owned(),
                other if other.width().is_none() => "�".to_owned(),
                other => other.to_string(),
            })
            .collect()
    };
    let before = show(&line[..span.start]);
    let meant = show(&line[span.clone()]);
    let after = show(&line[span.end..]);
    let visible = if meant.trim_end().is_empty() { meant.as_str() } else { meant.trim_end() };
    let (before_width, meant_width) = (before.width(), visible.width());
    (format!("{before}{meant}{after}").trim_end().to_owned(), before_width, meant_width)
}

/// Collects mistakes while a course is read.
#[derive(Debug, Default)]
pub struct Report {
    items: Vec<Diagnostic>,
}

impl Report {
    /// Adds a mistake that keeps the course from being played.
    pub fn error(&mut self, file: &SourceFile, range: Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Severity::Error, Some(file.place(range)), message.into())
    }

    /// Adds a mistake with which the course can still be played.
    pub fn warning(&mut self, file: &SourceFile, range: Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Severity::Warning, Some(file.place(range)), message.into())
    }

    /// A mistake that has no place in a file: the file is not there.
    pub fn fatal(&mut self, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Severity::Error, None, message.into())
    }

    /// How many mistakes there are so far.
    pub fn count(&self) -> usize {
        self.items.len()
    }

    fn add(&mut self, severity: Severity, place: Option<Place>, message: String) -> &mut Diagnostic {
        self.items.push(Diagnostic { severity, message, place, help: None });
        self.items.last_mut().expect("an item was pushed just now")
    }

    /// The mistakes by file, in the order in which the files were read, then by line; each told once.
    pub fn finish(self, course: &str) -> Diagnostics {
        let mut files: Vec<String> = Vec::new();
        for path in self.items.iter().filter_map(|item| item.place.as_ref()).map(|place| &place.path) {
            if !files.contains(path) {
                files.push(path.clone());
            }
        }
        let mut items = self.items;
        items.sort_by_key(|item| {
            item.place.as_ref().map(|place| {
                (files.iter().position(|path| *path == place.path), place.line, place.column, item.severity)
            })
        });
        items.dedup();
        Diagnostics { course: course.to_owned(), items }
    }
}
