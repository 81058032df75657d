//! How nginx's configuration is written: words, `;`, blocks, quotes, comments, includes.

use std::sync::Arc;

use super::super::super::images::FileTree;

/// Blocks and includes nest at most this deep.
const DEPTH_MAX: usize = 16;
/// What `include` finds without a file: the built-in server knows their content.
const BUILT_IN: &[&str] = &["/etc/nginx/mime.types"];

/// A mistake, worded as nginx words it: the text after `nginx: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[emerg] {0}")]
pub struct ConfigError(pub String);

/// A statement: words, and the block that follows them.
#[derive(Debug)]
pub struct Statement {
    /// At least one.
    pub words: Vec<String>,
    pub block: Option<Vec<Statement>>,
    path: Arc<str>,
    line: usize,
}

/// Where something stands.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    path: std::borrow::Cow<'a, str>,
    line: usize,
}

impl Place<'_> {
    pub fn error(&self, what: &str) -> ConfigError {
        ConfigError(format!("{what} in {}:{}", self.path, self.line))
    }
}

impl Statement {
    pub fn place(&self) -> Place<'static> {
        Place { path: self.path.to_string().into(), line: self.line }
    }
}

/// Reads a file and what it includes.
///
/// # Errors
/// The first mistake in the way it is written.
pub fn read(files: &FileTree, path: &str) -> Result<Vec<Statement>, ConfigError> {
    read_at(files, path, 0)
}

fn read_at(files: &FileTree, path: &str, depth: usize) -> Result<Vec<Statement>, ConfigError> {
    let text = files.get(path).map(|content| String::from_utf8_lossy(content)).unwrap_or_default();
    let mut reader = Reader { rest: text.chars().peekable(), line: 1, path: path.into(), files, includes: depth };
    reader.block(0)
}

/// The files that a pattern with one `*` in its last part names, in order.
pub fn matching(files: &FileTree, pattern: &str) -> Vec<String> {
    let Some((before, after)) = pattern.split_once('*') else {
        return files.contains_key(pattern).then(|| pattern.to_owned()).into_iter().collect();
    };
    files
        .range(before.to_owned()..)
        .map(|(path, _)| path)
        .take_while(|path| path.starts_with(before))
        .filter(|path| {
            path[before.len()..].strip_suffix(after).is_some_and(|middle| !middle.contains('/') && !middle.is_empty())
        })
        .cloned()
        .collect()
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    path: Arc<str>,
    files: &'a FileTree,
    includes: usize,
}

impl Reader<'_> {
    fn error(&self, what: &str) -> ConfigError {
        Place { path: (&*self.path).into(), line: self.line }.error(what)
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn block(&mut self, depth: usize) -> Result<Vec<Statement>, ConfigError> {
        if depth > DEPTH_MAX {
            return Err(self.error("blocks nest too deeply"));
        }
        let mut statements = Vec::new();
        let mut words: Vec<String> = Vec::new();
        let mut line = self.line;
        loop {
            let Some(&next) = self.rest.peek() else {
                if depth > 0 || !words.is_empty() {
                    let missing = if words.is_empty() { "\"}\"" } else { "\";\" or \"}\"" };
                    return Err(self.error(&format!("unexpected end of file, expecting {missing}")));
                }
                return Ok(statements);
            };
            match next {
                c if c.is_whitespace() => {
                    self.next();
                }
                '#' => {
                    while self.rest.peek().is_some_and(|c| *c != '\n') {
                        self.next();
                    }
                }
                ';' => {
                    self.next();
                    if words.is_empty() {
                        return Err(self.error("unexpected \";\""));
                    }
                    let words = std::mem::take(&mut words);
                    if words[0] == "include" {
                        statements.extend(self.include(&words, line)?);
                    } else {
                        statements.push(Statement { words, block: None, path: Arc::clone(&self.path), line });
                    }
                }
                '{' => {
                    self.next();
                    if words.is_empty() {
                        return Err(self.error("unexpected \"{\""));
                    }
                    let block = if words[0] == "types" { self.skip_block()? } else { self.block(depth + 1)? };
                    let words = std::mem::take(&mut words);
                    statements.push(Statement { words, block: Some(block), path: Arc::clone(&self.path), line });
                }
                '}' => {
                    self.next();
                    if depth == 0 || !words.is_empty() {
                        return Err(self.error("unexpected \"}\""));
                    }
                    return Ok(statements);
                }
                quote @ ('"' | '\'') => {
                    if words.is_empty() {
                        line = self.line;
                    }
                    words.push(self.quoted(quote)?);
                }
                _ => {
                    if words.is_empty() {
                        line = self.line;
                    }
                    words.push(self.bare());
                }
            }
        }
    }

    fn include(&self, words: &[String], line: usize) -> Result<Vec<Statement>, ConfigError> {
        let place = Place { path: (&*self.path).into(), line };
        let [_, pattern] = words else {
            return Err(place.error("invalid number of arguments in \"include\" directive"));
        };
        let pattern = if pattern.starts_with('/') { pattern.clone() } else { format!("/etc/nginx/{pattern}") };
        if self.includes >= DEPTH_MAX {
            return Err(place.error("too many nested includes"));
        }
        let paths = matching(self.files, &pattern);
        if paths.is_empty() && !pattern.contains('*') && !BUILT_IN.contains(&pattern.as_str()) {
            return Err(place.error(&format!("open() \"{pattern}\" failed (2: No such file or directory)")));
        }
        let mut statements = Vec::new();
        for path in paths {
            statements.extend(read_at(self.files, &path, self.includes + 1)?);
        }
        Ok(statements)
    }

    fn skip_block(&mut self) -> Result<Vec<Statement>, ConfigError> {
        while let Some(c) = self.next() {
            if c == '}' {
                return Ok(Vec::new());
            }
        }
        Err(self.error("unexpected end of file, expecting \"}\""))
    }

    fn quoted(&mut self, quote: char) -> Result<String, ConfigError> {
        self.next();
        let mut word = String::new();
        while let Some(c) = self.next() {
            match c {
                '\\' => match self.next() {
                    Some('n') => word.push('\n'),
                    Some('t') => word.push('\t'),
                    Some('r') => word.push('\r'),
                    Some(escaped @ ('"' | '\'' | '\\' | '$')) => word.push(escaped),
                    Some(other) => word.extend(['\\', other]),
                    None => break,
                },
                c if c == quote => return Ok(word),
                c => word.push(c),
            }
        }
        Err(self.error("unexpected end of file, expecting \";\" or \"}\""))
    }

    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some(&c) = self.rest.peek() {
            let variable = c == '{' && word.ends_with('$');
            if c.is_whitespace() || c == ';' || (c == '{' && !variable) {
                break;
            }
            self.next();
            word.push(c);
            if variable {
                while let Some(inner) = self.next() {
                    word.push(inner);
                    if inner == '}' {
                        break;
                    }
                }
            }
        }
        word
    }
}
