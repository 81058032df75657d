//! Colours for code: a small lexer for each language that lessons show. None of them needs to be exact; each
//! must be quick, keep every character, and leave what it does not know plain.

mod data;
mod markup;
mod scanner;
mod shell;

#[cfg(test)]
mod tests;

use scanner::Scanner;

/// What a piece of code is, as far as its colour goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    Plain,
    /// A program that a shell calls.
    Command,
    /// `--flag`.
    Option,
    Keyword,
    /// The name of a value: of YAML, JSON, a directive, an attribute.
    Key,
    /// The name of an element or a selector.
    Tag,
    /// A string.
    Text,
    Number,
    Variable,
    /// `{{ … }}`.
    Template,
    Comment,
    Operator,
    /// Lines of a diff.
    Added,
    Removed,
    Hunk,
    Heading,
}

/// The lines of a text, each as pieces in order; together they are the text.
pub fn highlight<'t>(language: &str, text: &'t str) -> Vec<Vec<(&'t str, Token)>> {
    let mut scanner = Scanner::new(text);
    match language {
        "sh" | "bash" | "shell" | "zsh" => shell::shell(&mut scanner),
        "dockerfile" | "Dockerfile" | "docker" => shell::dockerfile(&mut scanner),
        "nginx" => shell::nginx(&mut scanner),
        "yaml" | "yml" => data::yaml(&mut scanner),
        "json" => data::json(&mut scanner),
        "diff" | "patch" => data::diff(&mut scanner),
        "html" | "xml" | "svg" => markup::html(&mut scanner),
        "css" => markup::css(&mut scanner),
        _ => {}
    }
    scanner.lines()
}
