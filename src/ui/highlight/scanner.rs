//! Goes through a text and remembers what its pieces are. It can only move forward, by whole characters, so
//! that no lexer can lose or double anything.

use std::ops::Range;

use super::Token;

/// A text, how far it has been scanned, and what was found.
pub struct Scanner<'t> {
    text: &'t str,
    at: usize,
    spans: Vec<(Range<usize>, Token)>,
}

impl<'t> Scanner<'t> {
    /// At the start of a text.
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0, spans: Vec::new() }
    }

    /// What has not been scanned yet.
    pub fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// The character that comes next.
    pub fn next(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Whether this comes next.
    pub fn starts_with(&self, start: &str) -> bool {
        self.rest().starts_with(start)
    }

    /// Nothing but blanks stand before this on its line.
    pub fn is_line_start(&self) -> bool {
        let before = &self.text[..self.at];
        before.rsplit('\n').next().is_none_or(|line| line.trim().is_empty())
    }

    /// A blank or a line break stands before this, or nothing.
    pub fn is_after_blank(&self) -> bool {
        self.text[..self.at].chars().next_back().is_none_or(char::is_whitespace)
    }

    /// Columns of blanks at the start of the current line.
    pub fn indentation(&self) -> usize {
        let line = self.text[..self.at].rfind('\n').map_or(0, |at| at + 1);
        self.text[line..].bytes().take_while(|byte| *byte == b' ').count()
    }

    /// Takes a number of bytes, which must end at a character's boundary.
    pub fn take(&mut self, bytes: usize, token: Token) {
        let end = (self.at + bytes).min(self.text.len());
        let end = (self.at..=end).rev().find(|end| self.text.is_char_boundary(*end)).unwrap_or(self.at);
        if token != Token::Plain && end > self.at {
            match self.spans.last_mut() {
                Some((last, same)) if *same == token && last.end == self.at => last.end = end,
                _ => self.spans.push((self.at..end, token)),
            }
        }
        self.at = end;
    }

    /// Takes one character.
    pub fn take_one(&mut self, token: Token) {
        self.take(self.next().map_or(0, char::len_utf8), token);
    }

    /// Takes what fulfils the condition, and says what it was.
    pub fn take_while(&mut self, token: Token, condition: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !condition(c)).unwrap_or(rest.len());
        self.take(end, token);
        &rest[..end]
    }

    /// Takes up to the end of the line.
    pub fn take_line(&mut self, token: Token) -> &'t str {
        self.take_while(token, |c| c != '\n')
    }

    /// Takes up to and with an end, or everything where the end never comes.
    pub fn take_through(&mut self, end: &str, token: Token) {
        let rest = self.rest();
        self.take(rest.find(end).map_or(rest.len(), |at| at + end.len()), token);
    }

    /// Takes a quoted string of one line; a backslash escapes where `escapes` says so.
    pub fn take_string(&mut self, quote: char, escapes: bool, token: Token) {
        let rest = self.rest();
        let mut characters = rest.char_indices().skip(1);
        let mut end = rest.len();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' if escapes => {
                    characters.next();
                }
                '\n' => {
                    end = at;
                    break;
                }
                _ if character == quote => {
                    end = at + quote.len_utf8();
                    break;
                }
                _ => {}
            }
        }
        self.take(end, token);
    }

    /// Takes a `{{ … }}` if one begins here.
    pub fn take_template(&mut self) -> bool {
        let begins = self.starts_with("{{");
        if begins {
            self.take_through("}}", Token::Template);
        }
        begins
    }

    /// Takes a `$name`, `${…}` or `$1` if one begins here.
    pub fn take_variable(&mut self) -> bool {
        let Some(inside) = self.rest().strip_prefix('$') else { return false };
        if inside.starts_with('{') {
            let line = inside.find('\n').unwrap_or(inside.len());
            let end = inside[..line].find('}').map_or(line, |at| at + 1);
            self.take(1 + end, Token::Variable);
            return true;
        }
        let length = match inside.chars().next() {
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len())
            }
            Some(c) if c.is_ascii_digit() || "?#@*!$-".contains(c) => 1,
            _ => return false,
        };
        self.take(1 + length, Token::Variable);
        true
    }

    /// The text in lines of pieces.
    pub fn lines(self) -> Vec<Vec<(&'t str, Token)>> {
        let mut lines = Vec::new();
        let mut spans = self.spans.into_iter().peekable();
        let mut start = 0;
        for line in self.text.split('\n') {
            let end = start + line.len();
            let mut pieces = Vec::new();
            let mut at = start;
            while let Some((span, token)) = spans.peek().cloned() {
                if span.start >= end {
                    break;
                }
                let from = span.start.max(at);
                let to = span.end.min(end);
                if from > at {
                    pieces.push((&self.text[at..from], Token::Plain));
                }
                if to > from {
                    pieces.push((&self.text[from..to], token));
                }
                at = to.max(at);
                if span.end > end {
                    break;
                }
                spans.next();
            }
            if at < end {
                pieces.push((&self.text[at..end], Token::Plain));
            }
            lines.push(pieces);
            start = end + 1;
        }
        lines
    }
}
