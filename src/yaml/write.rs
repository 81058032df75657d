//! YAML written as Go's library writes it: the same quotes, the same block texts, long lines folded at the same place,
//! so that what is read again, by whatever reader of YAML 1.1, is what was written.

use std::cmp::Ordering;
use std::fmt::Write as _;

use gtmpl_ng::FloatFormat;
use serde_json::{Map, Value};

use super::words::is_ambiguous;

/// Where a line is folded at the next space.
const WIDTH: usize = 80;

/// How long a key may be that stands before its colon.
const SIMPLE_KEY_MAX: usize = 128;

/// Writes JSON as YAML, ending in a line break.
pub fn write(value: &Value) -> String {
    written(value, 0)
}

/// As [`write`], with the lists of maps indented.
pub fn write_indented(value: &Value) -> String {
    written(value, 2)
}

fn written(value: &Value, list_indent: usize) -> String {
    let mut writer = Writer { out: String::new(), list_indent };
    match value {
        Value::Object(entries) if !entries.is_empty() => writer.mapping(entries, 0),
        Value::Array(items) if !items.is_empty() => writer.sequence(items, 0),
        scalar => writer.scalar(scalar, 2, false),
    }
    writer.end_line();
    writer.out
}

/// A float as Go prints it.
pub fn float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.into();
    }
    gtmpl_ng::format_float(number, FloatFormat::General, None)
}

struct Writer {
    out: String,
    /// How far a list stands in from the key that it belongs to.
    list_indent: usize,
}

impl Writer {
    fn end_line(&mut self) {
        if !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }

    fn start_line(&mut self, indent: usize) {
        if !self.out.is_empty() {
            self.end_line();
        }
        self.pad(indent);
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn column(&self) -> usize {
        let line = self.out.rfind('\n').map_or(0, |at| at + 1);
        self.out[line..].chars().count()
    }

    /// The entries, the first where the line stands.
    fn mapping(&mut self, entries: &Map<String, Value>, indent: usize) {
        for (position, (key, value)) in sorted(entries).into_iter().enumerate() {
            if position > 0 {
                self.start_line(indent);
            }
            if is_simple(key) {
                self.text(key, indent, true);
                self.out.push(':');
                self.value(value, indent);
            } else {
                self.out.push('?');
                self.out.push(' ');
                self.text(key, indent + 2, false);
                self.start_line(indent);
                self.out.push(':');
                self.value(value, indent);
            }
        }
    }

    /// What follows a key's colon.
    fn value(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(entries) if !entries.is_empty() => {
                self.start_line(indent + 2);
                self.mapping(entries, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                let indent = indent + self.list_indent;
                self.start_line(indent);
                self.sequence(items, indent);
            }
            scalar => {
                self.out.push(' ');
                self.scalar(scalar, indent + 2, false);
            }
        }
    }

    fn sequence(&mut self, items: &[Value], indent: usize) {
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                self.start_line(indent);
            }
            self.out.push_str("- ");
            match item {
                Value::Object(entries) if !entries.is_empty() => self.mapping(entries, indent + 2),
                Value::Array(items) if !items.is_empty() => self.sequence(items, indent + 2),
                scalar => self.scalar(scalar, indent + 2, false),
            }
        }
    }

    /// A scalar or an empty collection; `indent` is that of its further lines.
    fn scalar(&mut self, value: &Value, indent: usize, as_key: bool) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Number(number) => self.out.push_str(&number_text(number)),
            Value::String(text) => self.text(text, indent, as_key),
            Value::Array(_) => self.out.push_str("[]"),
            Value::Object(_) => self.out.push_str("{}"),
        }
    }

    fn text(&mut self, text: &str, indent: usize, as_key: bool) {
        match style(text, as_key) {
            Style::Plain => self.folded(text, indent, as_key, Quote::None),
            Style::Single => {
                self.out.push('\'');
                self.folded(text, indent, as_key, Quote::Single);
                self.out.push('\'');
            }
            Style::Double => {
                self.out.push('"');
                self.folded(text, indent, as_key, Quote::Double);
                self.out.push('"');
            }
            Style::Literal => self.literal(text, indent),
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.out.push('|');
        if text.starts_with([' ', '\n']) {
            self.out.push('2');
        }
        self.out.push_str(if !text.ends_with('\n') {
            "-"
        } else if text.len() == 1 || text.ends_with("\n\n") {
            "+"
        } else {
            ""
        });
        self.out.push('\n');
        for line in text.split_inclusive('\n') {
            if line != "\n" {
                self.pad(indent);
            }
            self.out.push_str(line);
        }
    }

    /// A text in one line, or in several where spaces allow it.
    fn folded(&mut self, text: &str, indent: usize, as_key: bool, quote: Quote) {
        let letters: Vec<char> = text.chars().collect();
        let (last, mut after_space) = (letters.len().saturating_sub(1), false);
        for (position, letter) in letters.iter().copied().enumerate() {
            let next = letters.get(position + 1);
            if letter == ' ' {
                let inside = match quote {
                    Quote::None => true,
                    Quote::Single | Quote::Double => position > 0 && position < last,
                };
                // Only double quotes can hold on to a second space at a line's start.
                let may = quote == Quote::Double || next != Some(&' ');
                if !as_key && !after_space && inside && may && self.column() > WIDTH {
                    self.out.push('\n');
                    self.pad(indent);
                    if quote == Quote::Double && next == Some(&' ') {
                        self.out.push('\\');
                    }
                } else {
                    self.out.push(' ');
                }
                after_space = true;
                continue;
            }
            after_space = false;
            match (quote, letter) {
                (Quote::Single, '\'') => self.out.push_str("''"),
                (Quote::Double, letter) => self.escaped(letter, text.starts_with('\u{feff}')),
                (_, letter) => self.out.push(letter),
            }
        }
    }

    /// One letter between double quotes; after a byte order mark Go's library escapes all of them.
    fn escaped(&mut self, letter: char, always: bool) {
        if !always && is_printable(letter) && !matches!(letter, '"' | '\\' | '\n') {
            self.out.push(letter);
            return;
        }
        let short = match letter {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            letter => {
                let number = u32::from(letter);
                let _ = match number {
                    0..=0xff => write!(self.out, "\\x{number:02X}"),
                    0x100..=0xffff => write!(self.out, "\\u{number:04X}"),
                    _ => write!(self.out, "\\U{number:08X}"),
                };
                return;
            }
        };
        self.out.push('\\');
        self.out.push(short);
    }
}

fn number_text(number: &serde_json::Number) -> String {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(signed), _, _) => signed.to_string(),
        (_, Some(unsigned), _) => unsigned.to_string(),
        // A float passes through JSON, which writes no fraction where there is none.
        (_, _, Some(float)) if float.fract() == 0.0 && float.abs() < 1e18 => format!("{float:.0}"),
        (_, _, float) => self::float(float.unwrap_or_default()),
    }
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

/// A key that stands before its colon.
fn is_simple(key: &str) -> bool {
    key.len() <= SIMPLE_KEY_MAX && !key.contains('\n')
}

fn style(text: &str, as_key: bool) -> Style {
    let lines = text.contains('\n');
    // Spaces before a break, and what cannot be printed, survive between double quotes only.
    let special = !text.chars().all(is_printable) || text.contains(" \n");
    if special || lines && as_key {
        return Style::Double;
    }
    if lines {
        return if text.ends_with(' ') { Style::Double } else { Style::Literal };
    }
    if is_ambiguous(text) {
        return Style::Double;
    }
    let spaced = text.starts_with(' ') || text.ends_with(' ');
    if spaced || has_indicator(text) { Style::Single } else { Style::Plain }
}

/// Whether a reader would take a part of the text for YAML's own signs.
fn has_indicator(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let letters: Vec<char> = text.chars().collect();
    let blank = |at: usize| letters.get(at).is_none_or(|letter| matches!(letter, ' ' | '\t'));
    letters.iter().enumerate().any(|(position, letter)| match letter {
        '#' => position == 0 || blank(position - 1),
        ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => position == 0,
        '?' | '-' => position == 0 && blank(1),
        ':' => blank(position + 1),
        _ => false,
    })
}

fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// The entries in the library's order: numbers inside keys by what they count.
fn sorted(entries: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut sorted: Vec<(&String, &Value)> = Vec::with_capacity(entries.len());
    // By insertion, because the order of the library is none that a sort may rely on.
    for (key, value) in entries {
        let at = sorted.partition_point(|(other, _)| natural(other, key) != Ordering::Greater);
        sorted.insert(at, (key, value));
    }
    sorted
}

fn natural(one: &str, other: &str) -> Ordering {
    let (left, right): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut after_digit = false;
    for (at, (a, b)) in left.iter().zip(&right).enumerate() {
        if a == b {
            after_digit = a.is_numeric();
            continue;
        }
        return match (a.is_alphabetic(), b.is_alphabetic()) {
            (true, true) => a.cmp(b),
            (true, false) => {
                if after_digit {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (false, true) => {
                if after_digit {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (false, false) => {
                let zero = (*a == '0' || *b == '0') && significant_digit_before(&left[..at]);
                let (first, first_end) = number_at(&left, at, zero);
                let (second, second_end) = number_at(&right, at, zero);
                first.cmp(&second).then(first_end.cmp(&second_end)).then(a.cmp(b))
            }
        };
    }
    left.len().cmp(&right.len())
}

fn significant_digit_before(letters: &[char]) -> bool {
    letters.iter().rev().take_while(|letter| letter.is_ascii_digit()).any(|letter| *letter != '0')
}

fn number_at(letters: &[char], at: usize, after_digits: bool) -> (u64, usize) {
    let mut number = u64::from(after_digits);
    let mut end = at;
    while let Some(digit) = letters.get(end).and_then(|letter| letter.to_digit(10)) {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    (number, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from `toYaml` of Helm 3.19, one JSON array `[value, text]` a line.
    const RECORDED: &str = include_str!("../../tests/golden/templates/yaml.jsonl");

    #[test]
    fn values_are_written_as_helm_writes_them() {
        let mut lines = 0;
        for line in RECORDED.lines() {
            let (value, expected): (Value, String) = serde_json::from_str(line).expect(line);
            assert_eq!(write(&value).trim_end_matches('\n'), expected.trim_end_matches('\n'), "{value}");
            let kept = |text: &str| !text.ends_with('\n');
            if value.get("k").and_then(Value::as_str).is_none_or(kept) {
                assert_eq!(super::super::parse(&write(&value)), Ok(value.clone()), "read again");
            }
            lines += 1;
        }
        assert!(lines >= 200, "{lines}");
    }
}
