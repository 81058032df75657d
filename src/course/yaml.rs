//! YAML as a tree whose every node knows where it stands in the author's file: the base of messages that
//! point. Values are read through [`Fields`], which reports unknown, missing and mistyped ones.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::Value;

use super::diagnostics::{Diagnostic, Report};
use super::source::SourceFile;

/// More nodes than any course has: what keeps a few nested aliases from filling the memory.
const NODES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 40;

/// A value and its range in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub span: Range<usize>,
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `plain` is there for unquoted scalars, whose type depends on how they look.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Nothing was written: `key:` with no value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    fn describe(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar { .. } => match self.to_value() {
                Value::Bool(_) => "true or false",
                Value::Number(_) => "a number",
                _ => "a text",
            },
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }

    /// The value by YAML's core schema.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar { text, plain: false } => Value::String(text.clone()),
            Kind::Scalar { text, plain: true } => plain_value(text),
            Kind::Sequence(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Kind::Mapping(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.text().unwrap_or_default().to_owned(), value.to_value()))
                    .collect(),
            ),
        }
    }
}

/// A plain scalar by the core schema of YAML 1.2 (<https://yaml.org/spec/1.2.2/#103-core-schema>).
fn plain_value(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Value::String(text.to_owned());
    }
    if let Ok(number) = text.strip_prefix('+').unwrap_or(text).parse::<i64>() {
        return Value::from(number);
    }
    if let Some(hex) = digits.strip_prefix("0x").and_then(|hex| i64::from_str_radix(hex, 16).ok()) {
        return Value::from(hex);
    }
    match text.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
        Some(number) => Value::Number(number),
        None => Value::String(text.to_owned()),
    }
}

/// A part of a file that holds YAML: all of it, its front matter, or the inside of a fence.
pub struct Region<'f> {
    file: &'f SourceFile,
    pub text: String,
    /// For each line of `text`, where it starts there and in the file.
    starts: Vec<(usize, usize)>,
}

impl<'f> Region<'f> {
    /// The lines of `range`, each without up to `indent` leading spaces.
    pub fn new(file: &'f SourceFile, range: Range<usize>, indent: usize) -> Self {
        let mut text = String::new();
        let mut starts = Vec::new();
        for (line, at) in file.lines(range) {
            let spaces = line.bytes().take(indent).take_while(|byte| *byte == b' ').count();
            starts.push((text.len(), at.start + spaces));
            text.push_str(&line[spaces..]);
            text.push('\n');
        }
        Self { file, text, starts }
    }

    /// A range of `text` as a range of the file.
    fn locate(&self, range: Range<usize>) -> Range<usize> {
        let at = |offset: usize| {
            let line = self.starts.partition_point(|(start, _)| *start <= offset).saturating_sub(1);
            let offset = self.starts.get(line).map_or(0, |(start, in_file)| in_file + (offset - start));
            offset.min(self.file.text.len())
        };
        let start = at(range.start);
        start..at(range.end).max(start)
    }

    /// The tree, or `None` after a mistake of syntax was reported, or where there is nothing but comments.
    pub fn parse(&self, report: &mut Report) -> Option<Node> {
        if self.reports_tabs(report) {
            return None;
        }
        let mut tree = Tree::default();
        let options = granit_parser::options! { emit_comments: false, block_nesting_limit: DEPTH_MAX, flow_nesting_limit: DEPTH_MAX };
        for next in Parser::new_from_str_with_options(&self.text, options) {
            let added = match next {
                Ok((event, span)) => tree.add(event, self.locate(span.byte_range().unwrap_or(0..0))),
                Err(error) => {
                    let at = error.marker().byte_offset().unwrap_or(0);
                    Err((self.locate(at..at + 1), format!("this is not YAML: {}", error.info())))
                }
            };
            if let Err((span, message)) = added {
                report.error(self.file, span, message);
                return None;
            }
        }
        tree.root
    }

    fn reports_tabs(&self, report: &mut Report) -> bool {
        let mut offset = 0;
        let mut found = false;
        for line in self.text.split_inclusive('\n') {
            let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
            if line[..indentation].contains('\t') && !line.trim().is_empty() {
                let span = self.locate(offset..offset + indentation);
                report.error(self.file, span, "a tab in the indentation of YAML").help("indent with spaces");
                found = true;
            }
            offset += line.len();
        }
        found
    }
}

/// Builds the tree from the parser's events, without recursion.
#[derive(Default)]
struct Tree {
    open: Vec<(Node, usize)>,
    keys: Vec<Option<Node>>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: usize,
}

type Misplaced = (Range<usize>, String);

impl Tree {
    fn add(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), Misplaced> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err((span, "a second YAML document; only one may stand here".into()));
                }
            }
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                self.close(Node { span, kind: Kind::Scalar { text: text.into_owned(), plain } }, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Node { span, kind: Kind::Sequence(Vec::new()) }, anchor),
            Event::MappingStart(_, anchor, _) => self.begin(Node { span, kind: Kind::Mapping(Vec::new()) }, anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((mut node, anchor)) = self.open.pop() {
                    self.keys.pop();
                    node.span.end = span.end.max(node.span.end);
                    self.close(node, anchor)?;
                }
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => {
                    let node = Node { span, kind: node.kind.clone() };
                    self.close(node, 0)?;
                }
                None => return Err((span, "an alias inside of its own anchor".into())),
            },
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, node: Node, anchor: usize) {
        self.open.push((node, anchor));
        self.keys.push(None);
    }

    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Misplaced> {
        self.nodes += count(&node);
        if self.nodes > NODES_MAX {
            return Err((node.span, "too many values".into()));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some((parent, _)) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        let key = self.keys.last_mut().expect("each open node has a place for a key");
        match (&mut parent.kind, key.take()) {
            (Kind::Sequence(items), _) => items.push(node),
            (Kind::Mapping(entries), Some(key)) => entries.push((key, node)),
            (Kind::Mapping(_), None) => *key = Some(node),
            (Kind::Scalar { .. }, _) => {}
        }
        Ok(())
    }
}

fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 1,
        Kind::Sequence(items) => 1 + items.iter().map(count).sum::<usize>(),
        Kind::Mapping(entries) => 1 + entries.iter().map(|(key, value)| count(key) + count(value)).sum::<usize>(),
    }
}

/// Where mistakes go while one file is read.
pub struct Reader<'a> {
    pub file: &'a SourceFile,
    pub report: &'a mut Report,
}

impl Reader<'_> {
    /// Adds an error at a place of the file.
    pub fn error(&mut self, span: &Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        self.report.error(self.file, span.clone(), message)
    }

    /// Adds a warning at a place of the file.
    pub fn warning(&mut self, span: &Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        self.report.warning(self.file, span.clone(), message)
    }

    /// A text; numbers and the like are taken as they are written.
    pub fn text(&mut self, what: &str, node: &Node) -> Option<String> {
        match node.text() {
            Some(text) if !node.is_null() => Some(text.to_owned()),
            _ => self.mistyped(what, "a text", node),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, what: &str, node: &Node) -> Option<bool> {
        match node.to_value() {
            Value::Bool(value) => Some(value),
            _ => self.mistyped(what, "`true` or `false`", node),
        }
    }

    /// A whole number in `range`.
    pub fn number(&mut self, what: &str, node: &Node, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        match node.to_value().as_i64() {
            Some(value) if range.contains(&value) => Some(value),
            Some(value) => {
                self.error(&node.span, format!("{what} is {value}, and must be {} to {}", range.start(), range.end()));
                None
            }
            None => self.mistyped(what, "a whole number", node),
        }
    }

    /// A list of texts; a single text is a list of one.
    pub fn texts(&mut self, what: &str, node: &Node) -> Vec<String> {
        match &node.kind {
            Kind::Sequence(items) => {
                items.iter().filter_map(|item| self.text(&format!("an entry of {what}"), item)).collect()
            }
            _ => self.text(what, node).into_iter().collect(),
        }
    }

    /// Reports a value of the wrong type.
    pub fn mistyped<T>(&mut self, what: &str, wanted: &str, node: &Node) -> Option<T> {
        let found = node.describe();
        self.error(&node.span, format!("{what} must be {wanted}, and this is {found}"));
        None
    }
}

/// The entries of a mapping, after unknown and doubled keys have been reported.
pub struct Fields<'n> {
    /// What the mapping is, with its article: `a check`.
    what: String,
    /// Where a missing key is reported: the mapping's first line.
    pub span: Range<usize>,
    entries: Vec<(&'n str, Range<usize>, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// Reads a mapping of which all keys are known; `None` after a node that is no mapping was reported.
    pub fn open(node: &'n Node, what: &str, known: &[&str], reader: &mut Reader) -> Option<Self> {
        let fields = Self::any(node, what, reader)?;
        for (key, span, _) in fields.entries.iter().filter(|(key, ..)| !known.contains(key)) {
            reader.error(span, format!("unknown key `{key}` in {what}")).suggest(key, known.iter().copied());
        }
        Some(fields)
    }

    /// Reads a mapping with whatever keys it has.
    pub fn any(node: &'n Node, what: &str, reader: &mut Reader) -> Option<Self> {
        let Kind::Mapping(pairs) = &node.kind else {
            return reader.mistyped(what, "a mapping of keys to values", node);
        };
        let mut entries: Vec<(&str, Range<usize>, &Node)> = Vec::new();
        for (key, value) in pairs {
            let Some(name) = key.text() else {
                reader.error(&key.span, "a key must be a text");
                continue;
            };
            if entries.iter().any(|(known, ..)| *known == name) {
                reader.error(&key.span, format!("the key `{name}` stands twice in {what}")).help("keep one of the two");
            } else {
                entries.push((name, key.span.clone(), value));
            }
        }
        Some(Self { what: what.to_owned(), span: node.span.clone(), entries })
    }

    /// Keys, their places, and values, in order.
    pub fn entries(&self) -> impl Iterator<Item = &(&'n str, Range<usize>, &'n Node)> {
        self.entries.iter()
    }

    /// Where a key stands, or the whole mapping where it is missing.
    pub fn key_span(&self, key: &str) -> Range<usize> {
        self.entries.iter().find(|(name, ..)| *name == key).map_or(self.span.clone(), |(_, span, _)| span.clone())
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, ..)| *name == key).map(|(_, _, node)| *node)
    }

    /// The value that must be there.
    pub fn require(&self, key: &str, reader: &mut Reader) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() {
            reader.error(&self.span, format!("{} needs `{key}`", self.what));
        }
        found
    }

    pub fn text(&self, key: &str, reader: &mut Reader) -> Option<String> {
        self.get(key).and_then(|node| reader.text(&format!("`{key}`"), node))
    }

    /// The text of a key that must be there.
    pub fn required_text(&self, key: &str, reader: &mut Reader) -> Option<String> {
        self.require(key, reader).and_then(|node| reader.text(&format!("`{key}`"), node))
    }

    /// The boolean of a key that may be missing.
    pub fn boolean(&self, key: &str, reader: &mut Reader) -> Option<bool> {
        self.get(key).and_then(|node| reader.boolean(&format!("`{key}`"), node))
    }

    /// The number of a key that may be missing.
    pub fn number(&self, key: &str, range: std::ops::RangeInclusive<i64>, reader: &mut Reader) -> Option<i64> {
        self.get(key).and_then(|node| reader.number(&format!("`{key}`"), node, range))
    }

    /// The texts of a key; none where it is missing.
    pub fn texts(&self, key: &str, reader: &mut Reader) -> Vec<String> {
        self.get(key).map(|node| reader.texts(&format!("`{key}`"), node)).unwrap_or_default()
    }
}
