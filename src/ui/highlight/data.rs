//! Languages made of data: YAML with Go templates, JSON, diffs.

use super::Token;
use super::scanner::Scanner;

pub fn yaml(scanner: &mut Scanner) {
    while scanner.next().is_some() {
        yaml_line(scanner);
        scanner.take_one(Token::Plain);
    }
}

/// One line, and the block scalar that it may open.
fn yaml_line(scanner: &mut Scanner) {
    scanner.take_while(Token::Plain, |c| c == ' ');
    let indentation = scanner.indentation();
    while scanner.starts_with("- ") {
        scanner.take_one(Token::Operator);
        scanner.take_while(Token::Plain, |c| c == ' ');
    }
    if scanner.starts_with("---") {
        scanner.take_line(Token::Operator);
        return;
    }
    if let Some(length) = key_length(scanner.rest()) {
        scanner.take(length, Token::Key);
        scanner.take_one(Token::Operator);
    }
    scanner.take_while(Token::Plain, |c| c == ' ');
    let line = scanner.rest().lines().next().unwrap_or_default();
    let opens_block = line.starts_with(['|', '>']) && line[1..].chars().all(|c| "+-0123456789 ".contains(c));
    if opens_block {
        scanner.take_line(Token::Operator);
        block_scalar(scanner, indentation);
    } else {
        yaml_value(scanner);
    }
}

/// How long the key at the start of a line is, its quotes with it; none where there is no `key:`.
fn key_length(rest: &str) -> Option<usize> {
    let line = rest.split('\n').next()?;
    let first = line.chars().next()?;
    if matches!(first, '#' | '{' | '[' | '&' | '*' | '|' | '>' | '!') {
        return None;
    }
    let end = if matches!(first, '"' | '\'') {
        line[1..].find(first)? + 2
    } else {
        line.match_indices(':')
            .map(|(at, _)| at)
            .find(|at| line[at + 1..].is_empty() || line[at + 1..].starts_with(' '))?
    };
    let is_key = line[end..].starts_with(':') && !line[..end].contains("{{") && !line[..end].contains(" #");
    is_key.then_some(end)
}

fn block_scalar(scanner: &mut Scanner, indentation: usize) {
    loop {
        let Some(next) = scanner.rest().strip_prefix('\n') else { return };
        let line = next.lines().next().unwrap_or_default();
        let inner = line.len() - line.trim_start_matches(' ').len();
        if next.is_empty() || (!line.trim().is_empty() && inner <= indentation) {
            return;
        }
        scanner.take_one(Token::Plain);
        scanner.take_line(Token::Text);
    }
}

/// The rest of a line.
fn yaml_value(scanner: &mut Scanner) {
    while let Some(next) = scanner.next() {
        match next {
            '\n' => return,
            '#' if scanner.is_after_blank() => {
                scanner.take_line(Token::Comment);
            }
            '{' if scanner.take_template() => {}
            '"' => scanner.take_string('"', true, Token::Text),
            '\'' if scanner.is_after_blank() => scanner.take_string('\'', false, Token::Text),
            '{' | '}' | '[' | ']' | ',' => scanner.take_one(Token::Operator),
            '&' | '*' | '!' if scanner.is_after_blank() => {
                scanner.take_while(Token::Variable, |c| !c.is_whitespace());
            }
            ' ' => scanner.take_one(Token::Plain),
            _ => yaml_word(scanner),
        }
    }
}

fn yaml_word(scanner: &mut Scanner) {
    let rest = scanner.rest();
    let end = rest
        .char_indices()
        .find(|(at, c)| {
            matches!(c, '\n' | ',' | '}' | ']')
                || rest[*at..].starts_with(" #")
                || rest[*at..].starts_with("{{")
                || rest[*at..].starts_with(": ")
        })
        .map_or(rest.len(), |(at, _)| at)
        .max(rest.chars().next().map_or(0, char::len_utf8));
    let word = &rest[..end];
    let token = match word.trim() {
        _ if rest[end..].starts_with(": ") => Token::Key,
        "true" | "false" | "null" | "~" => Token::Keyword,
        word if word.parse::<f64>().is_ok() => Token::Number,
        _ => Token::Plain,
    };
    scanner.take(end, token);
    if token == Token::Key {
        scanner.take_one(Token::Operator);
    }
}

pub fn json(scanner: &mut Scanner) {
    while let Some(next) = scanner.next() {
        match next {
            '"' => {
                let rest = scanner.rest();
                let mut probe = Scanner::new(rest);
                probe.take_string('"', true, Token::Text);
                let token = if probe.rest().trim_start().starts_with(':') { Token::Key } else { Token::Text };
                scanner.take_string('"', true, token);
            }
            '{' | '}' | '[' | ']' | ',' | ':' => scanner.take_one(Token::Operator),
            '-' | '0'..='9' => {
                scanner.take_while(Token::Number, |c| c.is_ascii_digit() || "+-.eE".contains(c));
            }
            _ if next.is_alphabetic() => {
                scanner.take_while(Token::Keyword, char::is_alphabetic);
            }
            _ => scanner.take_one(Token::Plain),
        }
    }
}

pub fn diff(scanner: &mut Scanner) {
    while scanner.next().is_some() {
        let rest = scanner.rest();
        let token = match rest.chars().next() {
            _ if ["+++", "---", "diff ", "index "].iter().any(|start| rest.starts_with(start)) => Token::Heading,
            Some('+') => Token::Added,
            Some('-') => Token::Removed,
            Some('@') => Token::Hunk,
            _ => Token::Plain,
        };
        scanner.take_line(token);
        scanner.take_one(Token::Plain);
    }
}
