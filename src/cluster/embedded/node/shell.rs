//! A shell's command line, as far as one can be followed without a shell: commands joined by `;`, `&&` and `||`, with
//! quotes, variables, assignments and `/dev/null`. What it cannot follow is refused, by name. Pure.

use super::environment::Environment;

/// What a command waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connector {
    /// `;` or the end of a line.
    Always,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// One command of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub connector: Connector,
    words: Vec<Word>,
    pub discards_output: bool,
    pub discards_errors: bool,
    /// `2>&1`
    pub joins_errors: bool,
}

type Word = Vec<Piece>;

/// A part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text {
        text: String,
        quoted: bool,
    },
    /// `$NAME`, `${NAME}` or `${NAME:-default}`.
    Variable {
        name: String,
        default: Option<String>,
        quoted: bool,
    },
}

/// A command with its variables filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// `NAME=value` before the command, or instead of one.
    pub assignments: Vec<(String, String)>,
    pub words: Vec<String>,
}

const KEYWORDS: &[&str] = &["if", "for", "while", "until", "case", "select", "function", "{", "!", "[["];

/// Takes a line apart.
///
/// # Errors
/// What of it cannot be followed.
pub fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut parser = Parser { text: text.chars().collect(), at: 0 };
    let mut steps = Vec::new();
    let mut connector = Connector::Always;
    loop {
        let (step, next) = parser.step(connector)?;
        if !step.words.is_empty() {
            steps.push(step);
        } else if connector != Connector::Always || matches!(next, Some(Connector::And | Connector::Or)) {
            return Err("syntax error: a command is missing beside && or ||".into());
        }
        match next {
            Some(next) => connector = next,
            None => return Ok(steps),
        }
    }
}

impl Step {
    /// Whether it asks for the exit code of the command before, `$?`.
    pub fn needs_status(&self) -> bool {
        self.words.iter().flatten().any(|piece| matches!(piece, Piece::Variable { name, .. } if name == "?"))
    }

    pub fn discards(&self) -> bool {
        self.discards_output || self.discards_errors
    }

    /// Fills the variables in; one that is not set is empty. Unquoted values are split into words.
    pub fn expand(&self, variables: &Environment, status: i32) -> Command {
        let mut command = Command::default();
        for word in &self.words {
            let pieces: Vec<(String, bool)> = word.iter().map(|piece| filled(piece, variables, status)).collect();
            if command.words.is_empty()
                && let Some(Piece::Text { text, quoted: false }) = word.first()
                && let Some((name, _)) = text.split_once('=')
                && is_name(name)
            {
                let whole: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
                let value = whole[name.len() + 1..].to_owned();
                command.assignments.push((name.to_owned(), value));
                continue;
            }
            command.words.extend(split(&pieces));
        }
        command
    }
}

/// The text of a piece, and whether it stays in one word.
fn filled(piece: &Piece, variables: &Environment, status: i32) -> (String, bool) {
    match piece {
        Piece::Text { text, .. } => (text.clone(), true),
        Piece::Variable { name, default, quoted } => {
            let found = if name == "?" { Some(status.to_string()) } else { variables.get(name).cloned() };
            let value = match (found, default) {
                (Some(value), Some(default)) if value.is_empty() => default.clone(),
                (None, Some(default)) => default.clone(),
                (found, _) => found.unwrap_or_default(),
            };
            (value, *quoted)
        }
    }
}

fn split(pieces: &[(String, bool)]) -> Vec<String> {
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), false);
    for (text, whole) in pieces {
        if *whole {
            word.push_str(text);
            begun = true;
            continue;
        }
        for c in text.chars() {
            if !c.is_whitespace() {
                word.push(c);
                begun = true;
            } else if begun {
                words.push(std::mem::take(&mut word));
                begun = false;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

struct Parser {
    text: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let wanted: Vec<char> = wanted.chars().collect();
        let there = self.text[self.at..].starts_with(&wanted);
        if there {
            self.at += wanted.len();
        }
        there
    }

    /// A command and what follows it; `None` at the end.
    fn step(&mut self, connector: Connector) -> Result<(Step, Option<Connector>), String> {
        let mut step =
            Step { connector, words: Vec::new(), discards_output: false, discards_errors: false, joins_errors: false };
        loop {
            while self.peek().is_some_and(|c| c.is_whitespace() && c != '\n') || self.takes("\\\n") {
                self.at += usize::from(self.peek().is_some_and(|c| c.is_whitespace() && c != '\n'));
            }
            let next = match self.peek() {
                None => return Ok((step, None)),
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                    continue;
                }
                Some(';' | '\n') => {
                    self.at += 1;
                    Some(Connector::Always)
                }
                Some('&') if self.takes("&&") => Some(Connector::And),
                Some('|') if self.takes("||") => Some(Connector::Or),
                Some('&') if !self.text[self.at..].starts_with(&['&', '>']) => {
                    return Err("it has no background jobs (&)".into());
                }
                Some('|') => return Err("it has no pipes (|)".into()),
                Some('(' | ')') => return Err("it has no subshells".into()),
                _ => None,
            };
            if next.is_some() {
                return Ok((step, next));
            }
            if self.redirection(&mut step)? {
                continue;
            }
            let word = self.word()?;
            if step.words.is_empty()
                && let [Piece::Text { text, quoted: false }] = word.as_slice()
                && KEYWORDS.contains(&text.as_str())
            {
                return Err(format!("it knows no {text:?}"));
            }
            step.words.push(word);
        }
    }

    /// What goes to `/dev/null` or to the output; every other place is refused.
    fn redirection(&mut self, step: &mut Step) -> Result<bool, String> {
        if self.takes("2>&1") {
            step.joins_errors = !step.discards_output;
            step.discards_errors |= step.discards_output;
            return Ok(true);
        }
        let (output, errors) = if self.takes("&>") {
            (true, true)
        } else if self.takes("2>") {
            (false, true)
        } else if self.takes("1>") || self.takes(">") {
            (true, false)
        } else if self.peek() == Some('<') {
            return Err("it has no redirections but to /dev/null".into());
        } else {
            return Ok(false);
        };
        while self.peek() == Some(' ') {
            self.at += 1;
        }
        if !self.takes("/dev/null") {
            return Err("it has no redirections but to /dev/null".into());
        }
        step.discards_output |= output;
        step.discards_errors |= errors;
        Ok(true)
    }

    fn word(&mut self) -> Result<Word, String> {
        let mut word = Word::new();
        let mut plain = String::new();
        while let Some(c) = self.peek() {
            match c {
                c if c.is_whitespace() => break,
                ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\'' => {
                    let text = self.until_quote()?;
                    push(&mut word, &mut plain);
                    word.push(Piece::Text { text, quoted: true });
                }
                '"' => {
                    push(&mut word, &mut plain);
                    self.double_quoted(&mut word)?;
                }
                '`' => return Err("it has no substitutions (`…`)".into()),
                '*' | '?' | '[' if c != '[' || self.closes_bracket() => {
                    return Err(format!("it has no patterns for names of files ({c})"));
                }
                '$' => match self.variable(false)? {
                    Some(variable) => {
                        push(&mut word, &mut plain);
                        word.push(variable);
                    }
                    None => plain.push('$'),
                },
                '\\' => {
                    self.at += 1;
                    if let Some(escaped) = self.peek() {
                        plain.push(escaped);
                        self.at += 1;
                    }
                }
                c => {
                    plain.push(c);
                    self.at += 1;
                }
            }
        }
        push(&mut word, &mut plain);
        Ok(word)
    }

    /// A bracket that opens a pattern, and is not the command `[`.
    fn closes_bracket(&self) -> bool {
        let rest = &self.text[self.at + 1..];
        let end = rest.iter().position(|c| c.is_whitespace()).unwrap_or(rest.len());
        rest[..end].contains(&']')
    }

    fn until_quote(&mut self) -> Result<String, String> {
        self.at += 1;
        let end =
            self.text[self.at..].iter().position(|c| *c == '\'').ok_or("syntax error: unterminated quoted string")?;
        let text = self.text[self.at..self.at + end].iter().collect();
        self.at += end + 1;
        Ok(text)
    }

    fn double_quoted(&mut self, word: &mut Word) -> Result<(), String> {
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err("syntax error: unterminated quoted string".into()),
                Some('"') => break,
                Some('`') => return Err("it has no substitutions (`…`)".into()),
                Some('\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(c @ ('"' | '\\' | '$' | '`')) => text.push(c),
                        Some(c) => text.extend(['\\', c]),
                        None => {}
                    }
                    self.at += 1;
                }
                Some('$') => match self.variable(true)? {
                    Some(variable) => {
                        word.push(Piece::Text { text: std::mem::take(&mut text), quoted: true });
                        word.push(variable);
                    }
                    None => text.push('$'),
                },
                Some(c) => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        word.push(Piece::Text { text, quoted: true });
        Ok(())
    }

    /// What a dollar sign begins; `None` where it stands for itself.
    fn variable(&mut self, quoted: bool) -> Result<Option<Piece>, String> {
        self.at += 1;
        match self.peek() {
            Some('(') => Err("it has no substitutions ($(…))".into()),
            Some('?') => {
                self.at += 1;
                Ok(Some(Piece::Variable { name: "?".into(), default: None, quoted }))
            }
            Some('{') => {
                let rest: String = self.text[self.at + 1..].iter().collect();
                let (inner, _) = rest.split_once('}').ok_or("syntax error: missing '}'")?;
                self.at += inner.chars().count() + 2;
                let (name, default) =
                    inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default.to_owned())));
                if !is_name(name) || default.as_ref().is_some_and(|default| default.contains('$')) {
                    return Err(format!("it cannot expand ${{{inner}}}"));
                }
                Ok(Some(Piece::Variable { name: name.into(), default, quoted }))
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let rest = &self.text[self.at..];
                let end = rest.iter().position(|c| !c.is_ascii_alphanumeric() && *c != '_').unwrap_or(rest.len());
                let name: String = rest[..end].iter().collect();
                self.at += end;
                Ok(Some(Piece::Variable { name, default: None, quoted }))
            }
            Some(c @ ('$' | '@' | '*' | '#' | '!' | '-' | '0'..='9')) => Err(format!("it knows no ${c}")),
            _ => Ok(None),
        }
    }
}

fn push(word: &mut Word, plain: &mut String) {
    if !plain.is_empty() {
        word.push(Piece::Text { text: std::mem::take(plain), quoted: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<Vec<String>>, String> {
        let variables: Environment = [("A".to_owned(), "x y".to_owned()), ("E".to_owned(), String::new())].into();
        Ok(parse(text)?.iter().map(|step| step.expand(&variables, 3).words).collect())
    }

    #[test]
    fn quotes_variables_and_connectors() {
        let check = |text: &str, expected: &[&[&str]]| assert_eq!(words(text).unwrap(), expected, "{text}");
        check("echo 'a; b' \"c  d\"; ls", &[&["echo", "a; b", "c  d"], &["ls"]]);
        check("echo $A \"$A\" '$A' \\$A $NONE\"\"", &[&["echo", "x", "y", "x y", "$A", "$A", ""]]);
        check("echo ${A}z ${NONE:-other} ${E:-full} $?", &[&["echo", "x", "yz", "other", "full", "3"]]);
        check("false || echo a && echo b # why", &[&["false"], &["echo", "a"], &["echo", "b"]]);
        check("X=1 env", &[&["env"]]);
        check("echo a=b $", &[&["echo", "a=b", "$"]]);
        check("[ -f /x ] && true", &[&["[", "-f", "/x", "]"], &["true"]]);
        check("", &[]);
        let steps = parse("a >/dev/null 2>&1 || b 2> /dev/null").unwrap();
        assert!(steps[0].discards_output && steps[0].discards_errors && !steps[0].joins_errors);
        assert!(steps[1].discards_errors && !steps[1].discards_output && steps[1].connector == Connector::Or);
        let assigned = parse("X=\"a b\" Y=$A").unwrap()[0].expand(&[("A".into(), "z".into())].into(), 0);
        assert_eq!(assigned.assignments, [("X".into(), "a b".into()), ("Y".into(), "z".into())]);
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        for (text, what) in [
            ("cat /x | head", "pipes"),
            ("echo a > /tmp/x", "redirections"),
            ("cat < /x", "redirections"),
            ("echo $(date)", "substitutions"),
            ("echo `date`", "substitutions"),
            ("for i in 1 2; do echo; done", "\"for\""),
            ("sleep 1 &", "background"),
            ("ls /*.html", "patterns"),
            ("echo 'a", "unterminated"),
            ("&& a", "missing"),
            ("a &&", "missing"),
            ("echo $1", "$1"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(what), "{text}: {why}");
        }
    }
}
