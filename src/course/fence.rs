//! The info string of a fence: `LANG VERB key=value`, read from the source so that quotes work.

use std::ops::Range;

use super::yaml::Reader;

/// What a fence is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Run,
    Type,
    Copy,
    File,
    Setup,
    Cleanup,
    Check,
    Save,
    Solve,
    Wrong,
    Quiz,
    Expect,
}

impl Verb {
    /// The verbs, their words, and the keys that each takes.
    const ALL: [(Self, &'static str, &'static [&'static str]); 12] = [
        (Self::Run, "run", &[]),
        (Self::Type, "type", &[]),
        (Self::Copy, "copy", &[]),
        (Self::File, "file", &["path", "mode"]),
        (Self::Setup, "setup", &[]),
        (Self::Cleanup, "cleanup", &[]),
        (Self::Check, "check", &["name", "within", "else"]),
        (Self::Save, "save", &[]),
        (Self::Solve, "solve", &["alt"]),
        (Self::Wrong, "wrong", &["name"]),
        (Self::Quiz, "quiz", &[]),
        (Self::Expect, "expect", &[]),
    ];

    /// The verb that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name, _)| *name == word).map(|(verb, ..)| *verb)
    }

    /// The word in the info string.
    pub fn word(self) -> &'static str {
        self.row().1
    }

    fn keys(self) -> &'static [&'static str] {
        self.row().2
    }

    fn row(self) -> &'static (Self, &'static str, &'static [&'static str]) {
        Self::ALL.iter().find(|(verb, ..)| *verb == self).expect("the table has a row for each verb")
    }

    /// The languages that the verb can be written in; empty means any.
    fn languages(self) -> &'static [&'static str] {
        match self {
            Self::Run | Self::Type | Self::Setup | Self::Cleanup | Self::Solve | Self::Wrong => {
                &["sh", "bash", "shell"]
            }
            Self::Check => &["yaml", "sh", "yml", "bash", "shell"],
            Self::Save | Self::Quiz => &["yaml", "yml"],
            Self::Copy | Self::File | Self::Expect => &[],
        }
    }

    /// All verbs, in the order in which they are listed to authors.
    pub fn words() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|(_, word, _)| *word)
    }
}

/// A word or a value with its place in the file.
pub type Spanned = (String, Range<usize>);

/// A parsed info string.
#[derive(Debug, Default, PartialEq)]
pub struct Info {
    pub language: String,
    /// `None` for a fence that is only shown.
    pub verb: Option<Verb>,
    attributes: Vec<(String, Spanned)>,
}

impl Info {
    /// The value of a key and where it stands.
    pub fn get(&self, key: &str) -> Option<&Spanned> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether the fence holds a shell script.
    pub fn is_shell(&self) -> bool {
        matches!(self.language.as_str(), "sh" | "bash" | "shell")
    }
}

enum Token {
    Word(Spanned),
    Pair { key: Spanned, value: Spanned },
}

/// Reads the info string that starts at `offset` of the file; mistakes are reported, and what can be understood
/// is returned.
pub fn parse_info(text: &str, offset: usize, reader: &mut Reader) -> Info {
    let mut words = Vec::new();
    let mut info = Info::default();
    let mut keys = Vec::new();
    for token in tokens(text, offset, reader) {
        match token {
            Token::Word(word) => words.push(word),
            Token::Pair { key, value } => keys.push((key, value)),
        }
    }
    let mut words = words.into_iter();
    let Some((language, at)) = words.next() else {
        if let Some(((key, at), _)) = keys.first() {
            reader.error(at, format!("`{key}=` without a language and a verb before it"));
        }
        return info;
    };
    match (words.next(), Verb::parse(&language)) {
        (Some((word, at)), _) => {
            info.verb = Verb::parse(&word);
            if info.verb.is_none() {
                reader.error(&at, format!("unknown verb `{word}`")).suggest(&word, Verb::words());
            }
        }
        (None, Some(verb)) => {
            info.verb = Some(verb);
            if let Some(first) = verb.languages().first() {
                reader
                    .error(&at, format!("the language is missing before `{language}`"))
                    .help(format!("write `{first} {language}`"));
            } else {
                keep_attributes(&mut info, keys, reader);
                return info;
            }
        }
        (None, None) => {}
    }
    info.language = language;
    for (word, at) in words {
        reader.error(&at, format!("`{word}` is one word too many")).help("after the verb come only `key=value`");
    }
    check_language(&info, &at, reader);
    keep_attributes(&mut info, keys, reader);
    info
}

fn check_language(info: &Info, at: &Range<usize>, reader: &mut Reader) {
    let Some(verb) = info.verb else { return };
    let languages = verb.languages();
    if !languages.is_empty()
        && !languages.contains(&info.language.as_str())
        && Verb::parse(&info.language) != Some(verb)
    {
        let known = languages.iter().filter(|language| matches!(**language, "sh" | "yaml"));
        let list: Vec<String> = known.map(|language| format!("`{language} {}`", verb.word())).collect();
        let message = format!("`{}` cannot be written in `{}`", verb.word(), info.language);
        reader.error(at, message).help(format!("write {}", list.join(" or ")));
    }
}

fn keep_attributes(info: &mut Info, keys: Vec<(Spanned, Spanned)>, reader: &mut Reader) {
    let Some(verb) = info.verb else {
        if let Some(((key, at), _)) = keys.first() {
            reader.error(at, format!("`{key}=` without a verb before it")).help("a fence with no verb is only shown");
        }
        return;
    };
    for ((key, at), value) in keys {
        if !verb.keys().contains(&key.as_str()) {
            let message = format!("`{}` does not know the key `{key}`", verb.word());
            reader.error(&at, message).suggest(&key, verb.keys().iter().copied());
        } else if info.get(&key).is_some() {
            reader.error(&at, format!("the key `{key}` stands twice"));
        } else {
            info.attributes.push((key, value));
        }
    }
}

/// Splits at white space outside of quotes; a backslash escapes inside of double quotes.
pub fn attributes(text: &str, offset: usize, reader: &mut Reader) -> Vec<(Spanned, Spanned)> {
    tokens(text, offset, reader)
        .into_iter()
        .filter_map(|token| match token {
            Token::Pair { key, value } => Some((key, value)),
            Token::Word((word, at)) => {
                reader.error(&at, format!("`{word}` is no `key=value`"));
                None
            }
        })
        .collect()
}

fn tokens(text: &str, offset: usize, reader: &mut Reader) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = 0;
    while let Some(start) = text[rest..].find(|c: char| !c.is_whitespace()).map(|at| at + rest) {
        let word_end = text[start..].find(|c: char| c.is_whitespace() || c == '=').map_or(text.len(), |at| at + start);
        let word = (text[start..word_end].to_owned(), offset + start..offset + word_end);
        if !text[word_end..].starts_with('=') || word.0.is_empty() {
            rest = if word.0.is_empty() { word_end + 1 } else { word_end };
            tokens.push(Token::Word(if word.0.is_empty() {
                ("=".into(), offset + start..offset + start + 1)
            } else {
                word
            }));
            continue;
        }
        let (value, end, closed) = value(&text[word_end + 1..]);
        let end = word_end + 1 + end;
        if !closed {
            reader.error(&(offset + word_end + 1..offset + end), "a quote is not closed");
        }
        tokens.push(Token::Pair { key: word, value: (value, offset + word_end + 1..offset + end) });
        rest = end;
    }
    tokens
}

/// The value at the start of a text, how long it is there, and whether its quote is closed.
fn value(text: &str) -> (String, usize, bool) {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return (text[..end].to_owned(), end, true);
    };
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if quote == '"' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ if character == quote => return (value, at + 1, true),
            _ => value.push(character),
        }
    }
    (value, text.len(), false)
}
