//! YAML read as Helm and Kubernetes read it. The parser's events carry what a tree no longer knows: whether a scalar was quoted.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

use super::words::{Word, resolve};

/// How deep a document may nest.
const DEPTH_MAX: usize = 200;

/// How many values a document may have once its aliases are filled in.
const NODES_MAX: usize = 500_000;

/// Reads one YAML document as JSON, anchors and merge keys resolved; numbers without a fraction are whole.
///
/// # Errors
/// The parser's text.
pub fn parse(text: &str) -> Result<Value, String> {
    read(text, Numbers::Whole)
}

/// A document as it is read, with what a strict reader would refuse.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub value: Value,
    /// The keys that stand twice in a map, of which the last counts.
    pub repeated: Vec<Repeated>,
}

/// A key that its map has already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated {
    /// Counted from 1.
    pub line: usize,
    pub key: String,
}

/// As [`parse`], with the keys that stand twice.
///
/// # Errors
/// The parser's text.
pub fn parse_document(text: &str) -> Result<Document, String> {
    read_document(text, Numbers::Whole)
}

/// As [`parse`]; a key that stands twice in a map is a mistake.
///
/// # Errors
/// The parser's text.
pub fn parse_strict(text: &str) -> Result<Value, String> {
    serde_yaml::from_str::<serde_yaml::Value>(text).map_err(|error| error.to_string())?;
    parse(text)
}

/// Reads values: as [`parse`], but every number is a float, as it is to Helm's templates.
///
/// # Errors
/// The parser's text.
pub fn parse_values(text: &str) -> Result<Value, String> {
    read(text, Numbers::Float)
}

/// What numbers become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Whole,
    Float,
}

fn read(text: &str, numbers: Numbers) -> Result<Value, String> {
    read_document(text, numbers).map(|document| document.value)
}

fn read_document(text: &str, numbers: Numbers) -> Result<Document, String> {
    // Its messages are those that the rest of the program points into the text with. A key that stands twice is no
    // mistake to Helm: the last one counts.
    if let Err(error) = serde_yaml::from_str::<serde_yaml::Value>(text)
        && !error.to_string().contains("duplicate entry")
    {
        return Err(error.to_string());
    }
    let options =
        granit_parser::options! { emit_comments: false, block_nesting_limit: DEPTH_MAX, flow_nesting_limit: DEPTH_MAX };
    let mut tree = Tree {
        numbers,
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        nodes: 0,
        line: 0,
        repeated: Vec::new(),
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        tree.line = span.start.line();
        tree.add(event)?;
    }
    Ok(Document { value: tree.root.unwrap_or(Value::Null), repeated: tree.repeated })
}

/// Builds the value from the parser's events, without recursion.
struct Tree {
    numbers: Numbers,
    open: Vec<(Open, usize)>,
    root: Option<Value>,
    anchors: HashMap<usize, (Value, usize)>,
    nodes: usize,
    /// Of the event that is being added.
    line: usize,
    repeated: Vec<Repeated>,
}

/// How many repeated keys are told.
const REPEATED_MAX: usize = 32;

/// A collection that is not complete yet.
enum Open {
    Sequence(Vec<Value>),
    Mapping(Mapping),
}

#[derive(Default)]
struct Mapping {
    entries: Map<String, Value>,
    merged: Vec<Value>,
    key: Option<Key>,
}

/// A key whose value is still to come.
enum Key {
    Name(String),
    Merge,
}

impl Tree {
    fn add(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_ref()),
            Event::SequenceStart(_, anchor, _) => {
                self.open.push((Open::Sequence(Vec::new()), anchor));
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.open.push((Open::Mapping(Mapping::default()), anchor));
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((open, anchor)) = self.open.pop() else { return Ok(()) };
                let value = match open {
                    Open::Sequence(items) => Value::Array(items),
                    Open::Mapping(mapping) => Value::Object(mapping.complete()?),
                };
                self.close(value, anchor)
            }
            Event::Alias(anchor) => {
                let Some((value, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err("an alias inside of its own anchor".into());
                };
                self.nodes += size;
                self.close(value, 0)
            }
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Cow<'_, Tag>>,
    ) -> Result<(), String> {
        let plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| tag.suffix() != "str");
        if let Some((Open::Mapping(mapping), _)) = self.open.last_mut()
            && mapping.key.is_none()
        {
            let key = if plain && text == "<<" { Key::Merge } else { Key::Name(key_text(text, plain)?) };
            if let Key::Name(name) = &key
                && mapping.entries.contains_key(name)
                && self.repeated.len() < REPEATED_MAX
            {
                self.repeated.push(Repeated { line: self.line, key: name.clone() });
            }
            mapping.key = Some(key);
            if anchor != 0 {
                self.anchors.insert(anchor, (text.into(), 1));
            }
            return Ok(());
        }
        let value = if plain { self.word(text) } else { text.into() };
        self.close(value, anchor)
    }

    fn word(&self, text: &str) -> Value {
        let float = |number: f64| Number::from_f64(number).map_or_else(|| text.into(), Value::Number);
        #[allow(clippy::cast_precision_loss, reason = "Helm's numbers are floats")]
        match (resolve(text), self.numbers) {
            (Word::Null, _) => Value::Null,
            (Word::Truth(truth), _) => truth.into(),
            (Word::Signed(number), Numbers::Float) => float(number as f64),
            (Word::Unsigned(number), Numbers::Float) => float(number as f64),
            (Word::Signed(number), Numbers::Whole) => number.into(),
            (Word::Unsigned(number), Numbers::Whole) => number.into(),
            (Word::Float(number), Numbers::Float) => float(number),
            (Word::Float(number), Numbers::Whole) => whole(number).map_or_else(|| float(number), Value::from),
            (Word::Time | Word::Text, _) => text.into(),
        }
    }

    fn close(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err("document contains excessive aliasing".into());
        }
        if anchor != 0 {
            let size = count(&value);
            self.anchors.insert(anchor, (value.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Open::Sequence(items), _)) => items.push(value),
            Some((Open::Mapping(mapping), _)) => mapping.add(value)?,
        }
        Ok(())
    }
}

impl Mapping {
    fn add(&mut self, value: Value) -> Result<(), String> {
        match self.key.take() {
            Some(Key::Name(name)) => {
                self.entries.insert(name, value);
            }
            Some(Key::Merge) => self.merged.push(value),
            None => {
                let Value::String(name) = value else { return Err("a map's key is not a scalar".into()) };
                self.key = Some(Key::Name(name));
            }
        }
        Ok(())
    }

    /// The entries with those of the merged maps below them; of several, the first wins.
    fn complete(self) -> Result<Map<String, Value>, String> {
        let mut entries = self.entries;
        for merged in self.merged {
            let maps = match merged {
                Value::Array(items) => items,
                one => vec![one],
            };
            for map in maps {
                let Value::Object(map) = map else {
                    return Err("map merge requires map or sequence of maps as the value".into());
                };
                for (key, value) in map {
                    entries.entry(key).or_insert(value);
                }
            }
        }
        Ok(entries)
    }
}

/// A key's text: what JSON makes of a number or a truth.
fn key_text(text: &str, plain: bool) -> Result<String, String> {
    if !plain {
        return Ok(text.to_owned());
    }
    Ok(match resolve(text) {
        Word::Null => return Err("unsupported map key of type null".into()),
        Word::Truth(truth) => truth.to_string(),
        Word::Signed(number) => number.to_string(),
        Word::Unsigned(number) => number.to_string(),
        Word::Float(number) => super::write::float(number),
        Word::Time | Word::Text => text.to_owned(),
    })
}

/// The float as a whole number, where it is one that JSON would write without an exponent.
fn whole(number: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(entries) => 1 + entries.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_read_as_yaml_1_1() {
        let text = "a: yes\nb: off\nc: 0123\nd: 1_000\ne: 0x1f\nf: 1e3\ng: 12:30:45\nh: 2001-01-01\ni: ~\nj: 'yes'\nk: 1.5\nl: !!str 7\n1: x\nyes: z\n";
        let expected = json!({
            "a": true, "b": false, "c": 83, "d": 1000, "e": 31, "f": 1000, "g": "12:30:45", "h": "2001-01-01",
            "i": null, "j": "yes", "k": 1.5, "l": "7", "1": "x", "true": "z"
        });
        assert_eq!(parse(text), Ok(expected));
        assert_eq!(parse_values("a: 2\nb: 0\n"), Ok(json!({"a": 2.0, "b": 0.0})));
    }

    #[test]
    fn anchors_merges_and_repeated_keys() {
        let text = "base: &b {x: 1, w: 2}\none:\n  <<: *b\n  w: 3\ntwo: {<<: [*b, {z: 4}]}\nsame: 1\nsame: 2\n";
        let expected = json!({
            "base": {"x": 1, "w": 2}, "one": {"x": 1, "w": 3}, "two": {"x": 1, "w": 2, "z": 4}, "same": 2
        });
        assert_eq!(parse(text), Ok(expected));
        let repeated = parse_document(text).unwrap().repeated;
        assert_eq!(repeated, [Repeated { line: 7, key: "same".into() }]);
        let bomb: String = std::iter::once("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned())
            .chain((1..9).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(","))))
            .collect();
        assert!(parse(&bomb).is_err());
    }
}
