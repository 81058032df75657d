//! What a container runs, by its image and its command: the web server, or one of the few commands that a container
//! without an operating system can answer for.

use std::time::Duration;

use super::super::images::Image;

/// What is run.
#[derive(Debug, Clone, PartialEq)]
pub enum Program {
    Web,
    /// Small commands, one after the other.
    Script(Vec<Statement>),
    /// Runs until it is stopped, as a server that is only pretended.
    Idle,
    /// Cannot be run here; the text says so.
    Unsupported(String),
}

/// One command of a script.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    Print(String),
    Sleep(Duration),
    Exit(i32),
    Cat(String),
}

impl Statement {
    /// Whether it keeps the container running for a while.
    pub fn takes_time(&self) -> bool {
        matches!(self, Self::Sleep(time) if !time.is_zero())
    }
}

/// Base images that are known without a registry, and what they do when nothing else is said.
const KNOWN: &[(&str, Base)] = &[
    ("nginx", Base::Web),
    ("nginxinc/nginx-unprivileged", Base::Web),
    ("busybox", Base::Shell),
    ("alpine", Base::Shell),
    ("debian", Base::Shell),
    ("ubuntu", Base::Shell),
    ("redis", Base::Server),
    ("memcached", Base::Server),
    ("postgres", Base::Server),
    ("registry.k8s.io/pause", Base::Server),
    ("pause", Base::Server),
];

/// What a base image does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    Web,
    Shell,
    Server,
}

/// The base of an image's name, where it is known: `nginx:1.29-alpine`, but not `nginx:nonsense`.
pub fn base(name: &str, version: &str) -> Option<Base> {
    let (_, base) = KNOWN.iter().find(|(known, _)| *known == name)?;
    let named = ["latest", "stable", "mainline", "alpine", "perl", "slim", "bookworm", "trixie", "jammy", "noble"];
    let plausible = version.starts_with("sha256:")
        || version.split('-').all(|part| {
            named.iter().any(|word| part.starts_with(word))
                || part == "otel"
                || part == "musl"
                || part == "glibc"
                || part.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit())
        });
    plausible.then_some(*base)
}

/// Decides what the container runs. `command` and `args` are the container's own, over the image's.
pub fn decide(base: Base, image: &Image, command: &[String], args: &[String]) -> Program {
    let words: Vec<String> = match (command, args) {
        ([], []) => {
            let own: Vec<String> = image.entrypoint.iter().chain(&image.command).cloned().collect();
            if own.is_empty() {
                return match base {
                    Base::Web => Program::Web,
                    Base::Shell => Program::Script(Vec::new()),
                    Base::Server => Program::Idle,
                };
            }
            own
        }
        ([], args) => args.to_vec(),
        (command, args) => command.iter().chain(args).cloned().collect(),
    };
    let first = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    match (base, first) {
        (Base::Web, "nginx" | "nginx-debug" | "docker-entrypoint.sh") => Program::Web,
        (Base::Server, "redis-server" | "memcached" | "postgres" | "pause" | "docker-entrypoint.sh") => Program::Idle,
        _ => match script(&words, &image.command) {
            Ok(statements) => Program::Script(statements),
            Err(what) => Program::Unsupported(format!(
                "the embedded sandbox cannot run {what:?}: it runs nginx and small commands (sleep, echo, cat, exit, true, false). \
                 A real container runs it: tutorial start --sandbox kind"
            )),
        },
    }
}

fn script(words: &[String], _image: &[String]) -> Result<Vec<Statement>, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [shell, flag, text, ..] if is_shell(shell) && flag.starts_with('-') && flag.ends_with('c') => {
            shell_script(text)
        }
        other => single(other).map(|statement| statement.into_iter().collect()),
    }
}

fn is_shell(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("sh" | "bash" | "ash" | "dash"))
}

fn shell_script(text: &str) -> Result<Vec<Statement>, String> {
    if text.contains(['|', '`', '<', '>', '(', '$']) {
        return Err(text.into());
    }
    let mut statements = Vec::new();
    for part in text.replace("&&", ";").split([';', '\n']) {
        let words: Vec<String> = split_words(part);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] => {}
            ["exec", rest @ ..] => statements.extend(single(rest)?),
            words => statements.extend(single(words)?),
        }
    }
    Ok(statements)
}

/// Words by blanks, quotes taken off.
pub fn split_words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                any = true;
            }
            (None, c) if c.is_whitespace() => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (_, c) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

fn single(words: &[&str]) -> Result<Option<Statement>, String> {
    let refuse = || Err(words.join(" "));
    let Some((first, rest)) = words.split_first() else { return Ok(None) };
    Ok(Some(match (first.rsplit('/').next().unwrap_or(first), rest) {
        ("true" | ":", _) => return Ok(None),
        ("false", _) => Statement::Exit(1),
        ("exit", []) => Statement::Exit(0),
        ("exit", [code]) => match code.parse() {
            Ok(code) => Statement::Exit(code),
            Err(_) => return refuse(),
        },
        ("sleep", [time]) => match seconds(time) {
            Some(time) => Statement::Sleep(time),
            None => return refuse(),
        },
        ("echo", ["-n", words @ ..] | words) => Statement::Print(words.join(" ")),
        ("cat", [path]) => Statement::Cat((*path).into()),
        ("tail", ["-f", "/dev/null"]) => Statement::Sleep(Duration::MAX),
        _ => return refuse(),
    }))
}

fn seconds(text: &str) -> Option<Duration> {
    if matches!(text, "infinity" | "inf") {
        return Some(Duration::MAX);
    }
    let (number, factor) = match text.char_indices().last()? {
        (at, 's') => (&text[..at], 1.0),
        (at, 'm') => (&text[..at], 60.0),
        (at, 'h') => (&text[..at], 3600.0),
        (at, 'd') => (&text[..at], 86_400.0),
        _ => (text, 1.0),
    };
    let seconds = number.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)? * factor;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
