//! Languages made of commands: shell, Dockerfile, nginx.

use super::Token;
use super::scanner::Scanner;

const SHELL_KEYWORDS: [&str; 18] = [
    "if", "then", "elif", "else", "fi", "for", "in", "while", "until", "do", "done", "case", "esac", "function",
    "return", "local", "!", "exit",
];

/// After these a command follows again.
const BEFORE_COMMAND: [&str; 9] = ["if", "then", "elif", "else", "while", "until", "do", "!", "sudo"];

pub fn shell(scanner: &mut Scanner) {
    let mut expects_command = true;
    let mut here_documents: Vec<String> = Vec::new();
    while let Some(next) = scanner.next() {
        match next {
            '\n' => {
                scanner.take_one(Token::Plain);
                expects_command = true;
                for end in here_documents.drain(..) {
                    here_document(scanner, &end);
                }
            }
            ' ' | '\t' => {
                scanner.take_one(Token::Plain);
                if next == ' ' && scanner.starts_with("#") {
                    scanner.take_line(Token::Comment);
                }
            }
            '#' if scanner.is_line_start() => {
                scanner.take_line(Token::Comment);
            }
            '\\' => {
                scanner.take_one(Token::Operator);
                scanner.take_one(Token::Plain);
            }
            '\'' => {
                scanner.take_through_quote();
                expects_command = false;
            }
            '"' => {
                double_quoted(scanner);
                expects_command = false;
            }
            '$' if scanner.starts_with("$(") => {
                scanner.take(2, Token::Operator);
                expects_command = true;
            }
            '$' => {
                if !scanner.take_variable() {
                    scanner.take_one(Token::Plain);
                }
                expects_command = false;
            }
            '<' if scanner.starts_with("<<") && !scanner.starts_with("<<<") => {
                here_documents.extend(here_document_start(scanner));
            }
            '|' | '&' | ';' | '(' | '{' => {
                scanner.take_one(Token::Operator);
                expects_command = true;
            }
            '[' => {
                scanner.take_one(Token::Operator);
                expects_command = false;
            }
            '<' | '>' | ')' | '}' | '`' | ']' => scanner.take_one(Token::Operator),
            _ => expects_command = word(scanner, expects_command),
        }
    }
}

/// Takes a word, and says whether a command may follow.
fn word(scanner: &mut Scanner, expects_command: bool) -> bool {
    let rest = scanner.rest();
    let is_end = |c: char| c.is_whitespace() || "|&;()<>$\"'`{}\\[]".contains(c);
    let end = rest.find(is_end).unwrap_or(rest.len()).max(rest.chars().next().map_or(0, char::len_utf8));
    let word = &rest[..end];
    if word.starts_with('-') && !expects_command {
        let name = word.find('=').unwrap_or(end);
        scanner.take(name, Token::Option);
        scanner.take(end - name, Token::Plain);
        return false;
    }
    if SHELL_KEYWORDS.contains(&word) && (expects_command || word == "in") {
        scanner.take(end, Token::Keyword);
        return BEFORE_COMMAND.contains(&word);
    }
    if !expects_command {
        scanner.take(end, Token::Plain);
        return false;
    }
    if let Some(name) = word.find('=').filter(|at| *at > 0) {
        scanner.take(name, Token::Variable);
        scanner.take(end - name, Token::Plain);
        // `NAME=value command` goes on with a command, `NAME="…"` ends the line or is followed by one.
        return true;
    }
    scanner.take(end, Token::Command);
    word == "sudo"
}

fn double_quoted(scanner: &mut Scanner) {
    scanner.take_one(Token::Text);
    while let Some(next) = scanner.next() {
        match next {
            '"' => return scanner.take_one(Token::Text),
            '\\' => {
                scanner.take_one(Token::Text);
                scanner.take_one(Token::Text);
            }
            '$' if scanner.take_variable() => {}
            '$' => scanner.take_one(Token::Text),
            _ => {
                scanner.take_while(Token::Text, |c| !matches!(c, '"' | '\\' | '$'));
            }
        }
    }
}

/// Takes `<<'EOF'` and says which line ends the document.
fn here_document_start(scanner: &mut Scanner) -> Option<String> {
    scanner.take(2, Token::Operator);
    if scanner.starts_with("-") {
        scanner.take_one(Token::Operator);
    }
    let word = scanner.take_while(Token::Operator, |c| c.is_alphanumeric() || "_'\"\\".contains(c));
    let end: String = word.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    Some(end).filter(|end| !end.is_empty())
}

fn here_document(scanner: &mut Scanner, end: &str) {
    while scanner.next().is_some() {
        let line = scanner.rest().lines().next().unwrap_or_default();
        if line.trim() == end {
            scanner.take_line(Token::Operator);
            return;
        }
        scanner.take_line(Token::Text);
        scanner.take_one(Token::Plain);
    }
}

impl Scanner<'_> {
    /// A shell's single quotes, which may span lines and know no escapes.
    fn take_through_quote(&mut self) {
        let rest = self.rest();
        self.take(rest[1..].find('\'').map_or(rest.len(), |at| at + 2), Token::Text);
    }
}

pub fn dockerfile(scanner: &mut Scanner) {
    let mut goes_on = false;
    while let Some(next) = scanner.next() {
        match next {
            '\n' => scanner.take_one(Token::Plain),
            '#' if scanner.is_line_start() => {
                scanner.take_line(Token::Comment);
            }
            _ if scanner.is_line_start() && !goes_on && !next.is_whitespace() => {
                scanner.take_while(Token::Keyword, |c| !c.is_whitespace());
            }
            '"' => scanner.take_string('"', true, Token::Text),
            '$' => {
                if !scanner.take_variable() {
                    scanner.take_one(Token::Plain);
                }
            }
            '\\' => {
                scanner.take_one(Token::Operator);
                goes_on = scanner.starts_with("\n");
                continue;
            }
            _ if next.is_whitespace() => {
                scanner.take_one(Token::Plain);
                continue;
            }
            _ => {
                let rest = scanner.rest();
                let first = next.len_utf8();
                let end = rest[first..].find(|c: char| c.is_whitespace() || c == '"' || c == '$');
                let end = end.map_or(rest.len(), |at| at + first);
                let token = match &rest[..end] {
                    "AS" | "as" => Token::Keyword,
                    word if word.starts_with("--") => Token::Option,
                    _ => Token::Plain,
                };
                scanner.take(end, token);
            }
        }
        if next != '\n' {
            goes_on = false;
        }
    }
}

pub fn nginx(scanner: &mut Scanner) {
    let mut expects_directive = true;
    while let Some(next) = scanner.next() {
        match next {
            '#' => {
                scanner.take_line(Token::Comment);
            }
            ';' | '{' | '}' => {
                scanner.take_one(Token::Operator);
                expects_directive = true;
            }
            '"' | '\'' => scanner.take_string(next, true, Token::Text),
            '$' => {
                if !scanner.take_variable() {
                    scanner.take_one(Token::Plain);
                }
            }
            _ if next.is_whitespace() => scanner.take_one(Token::Plain),
            _ => {
                let token = match next {
                    _ if expects_directive => Token::Key,
                    '0'..='9' => Token::Number,
                    _ => Token::Plain,
                };
                scanner.take_one(token);
                scanner.take_while(token, |c| !c.is_whitespace() && !";{}$\"'".contains(c));
                expects_directive = false;
            }
        }
    }
}
