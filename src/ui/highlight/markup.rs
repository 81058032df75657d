//! HTML and CSS.

use super::Token;
use super::scanner::Scanner;

pub fn html(scanner: &mut Scanner) {
    while let Some(next) = scanner.next() {
        match next {
            '<' if scanner.starts_with("<!--") => scanner.take_through("-->", Token::Comment),
            '<' if scanner.rest()[1..].starts_with(|c: char| c.is_alphabetic() || "/!?".contains(c)) => {
                html_tag(scanner);
            }
            '{' if scanner.take_template() => {}
            '&' => {
                let rest = scanner.rest();
                let end = rest.find(|c: char| c == ';' || c.is_whitespace()).unwrap_or(0);
                let is_entity = rest[end..].starts_with(';');
                scanner
                    .take(if is_entity { end + 1 } else { 1 }, if is_entity { Token::Variable } else { Token::Plain });
            }
            _ => scanner.take_one(Token::Plain),
        }
    }
}

fn html_tag(scanner: &mut Scanner) {
    scanner.take_one(Token::Operator);
    scanner.take_while(Token::Operator, |c| "/!?".contains(c));
    scanner.take_while(Token::Tag, |c| c.is_alphanumeric() || c == '-' || c == ':');
    while let Some(next) = scanner.next() {
        match next {
            '>' => return scanner.take_one(Token::Operator),
            '"' | '\'' => scanner.take_string(next, false, Token::Text),
            '/' | '=' | '?' => scanner.take_one(Token::Operator),
            '{' if scanner.take_template() => {}
            _ if next.is_whitespace() => scanner.take_one(Token::Plain),
            _ => {
                scanner.take_one(Token::Key);
                scanner.take_while(Token::Key, |c| !c.is_whitespace() && !"=>/\"'".contains(c));
            }
        }
    }
}

pub fn css(scanner: &mut Scanner) {
    let mut depth = 0_usize;
    while let Some(next) = scanner.next() {
        match next {
            '/' if scanner.starts_with("/*") => scanner.take_through("*/", Token::Comment),
            '{' => {
                scanner.take_one(Token::Operator);
                depth += 1;
            }
            '}' => {
                scanner.take_one(Token::Operator);
                depth = depth.saturating_sub(1);
            }
            '"' | '\'' => scanner.take_string(next, true, Token::Text),
            ';' | ',' => scanner.take_one(Token::Operator),
            '@' => {
                scanner.take_while(Token::Keyword, |c| !c.is_whitespace() && c != '{');
            }
            _ if next.is_whitespace() => scanner.take_one(Token::Plain),
            _ if is_declaration(scanner.rest()) => {
                scanner.take_while(Token::Key, |c| c != ':');
                scanner.take_one(Token::Operator);
                css_value(scanner);
            }
            _ if depth == 0 || is_selector(scanner.rest()) => {
                scanner.take_one(Token::Tag);
                scanner.take_while(Token::Tag, |c| !c.is_whitespace() && !"{,".contains(c));
            }
            _ => scanner.take_one(Token::Plain),
        }
    }
}

/// Whether `property: value;` stands here, rather than `a:hover {`.
fn is_declaration(rest: &str) -> bool {
    let name = rest.find(|c: char| !c.is_alphanumeric() && c != '-').unwrap_or(rest.len());
    let ends = rest.find([';', '{', '}']).map(|at| &rest[at..=at]);
    name > 0 && rest[name..].starts_with(':') && ends != Some("{")
}

/// Whether a rule of its own begins here, as inside of `@media`.
fn is_selector(rest: &str) -> bool {
    rest.find([';', '{', '}']).is_some_and(|at| rest[at..].starts_with('{'))
}

fn css_value(scanner: &mut Scanner) {
    while let Some(next) = scanner.next() {
        match next {
            ';' | '}' | '\n' => return,
            '"' | '\'' => scanner.take_string(next, true, Token::Text),
            '#' | '0'..='9' => {
                scanner.take_while(Token::Number, |c| c.is_alphanumeric() || "#.%".contains(c));
            }
            _ if next.is_alphabetic() => {
                scanner.take_while(Token::Plain, |c| c.is_alphanumeric() || c == '-');
            }
            _ => scanner.take_one(Token::Plain),
        }
    }
}
