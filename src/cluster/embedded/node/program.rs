//! What a container runs, by its image and its command: the web server, or one of the few commands that a container
//! without an operating system can answer for.

use std::time::Duration;

use super::super::images::Image;
use super::environment::Environment;
use super::shell::{self, Connector};
use super::versions;

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
    (UNPRIVILEGED, Base::Web),
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

/// nginx that runs as an ordinary user and listens on port 8080.
pub const UNPRIVILEGED: &str = "nginxinc/nginx-unprivileged";

/// What a base image does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    Web,
    Shell,
    Server,
}

/// The base of an image's name, where it is known and has this version: `nginx:1.29-alpine`, but not `nginx:1.92`.
pub fn base(name: &str, version: &str) -> Option<Base> {
    let (_, base) = KNOWN.iter().find(|(known, _)| *known == name)?;
    versions::exists(name, version).then_some(*base)
}

/// Whether the image is known, in whatever version.
pub fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == name)
}

/// Who runs in a known image that says nothing else; empty for root.
pub fn user(name: &str) -> &'static str {
    match name {
        UNPRIVILEGED => "101",
        "memcached" => "memcache",
        "pause" | "registry.k8s.io/pause" => "65535:65535",
        _ => "",
    }
}

/// The port on which a pretended server of this image can be reached.
pub fn server_port(name: &str) -> Option<u16> {
    match name {
        "redis" => Some(6379),
        "memcached" => Some(11211),
        "postgres" => Some(5432),
        _ => None,
    }
}

/// Decides what the container runs. `command` and `args` are the container's own, over the image's; a shell's script
/// is read with the container's environment.
pub fn decide(base: Base, image: &Image, command: &[String], args: &[String], environment: &Environment) -> Program {
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
        _ => match script(&words, environment) {
            Ok(statements) => Program::Script(statements),
            Err(what) => Program::Unsupported(format!(
                "the embedded sandbox cannot run {what:?}: it runs nginx and small commands (sleep, echo, cat, exit, true, false). \
                 A real container runs it: tutorial start --sandbox kind"
            )),
        },
    }
}

fn script(words: &[String], environment: &Environment) -> Result<Vec<Statement>, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [shell, flag, text, ..] if is_shell(shell) && flag.starts_with('-') && flag.ends_with('c') => {
            shell_script(text, environment)
        }
        other => single(other).map(|statement| statement.into_iter().collect()),
    }
}

fn is_shell(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("sh" | "bash" | "ash" | "dash"))
}

fn shell_script(text: &str, environment: &Environment) -> Result<Vec<Statement>, String> {
    let mut variables = environment.clone();
    let mut statements = Vec::new();
    for step in shell::parse(text).map_err(|_| text.to_owned())? {
        if step.connector == Connector::Or || step.needs_status() || step.discards() {
            return Err(text.into());
        }
        let command = step.expand(&variables, 0);
        if command.words.is_empty() {
            variables.extend(command.assignments);
            continue;
        }
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["exec", rest @ ..] => statements.extend(single(rest)?),
            words => statements.extend(single(words)?),
        }
    }
    Ok(statements)
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
