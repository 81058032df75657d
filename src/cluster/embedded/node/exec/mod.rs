//! Commands in a container: what the built-in server can answer for, and a plain word about what it cannot.

mod fetch;
mod files;
mod peer;
mod server;

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::super::api::{ExecRequest, ExecStreams};
use super::archive::{self, Tar};
use super::container;
use super::environment::Environment;
use super::pod::Pod;
use super::shell::{self, Connector};

/// What a command came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    fn out(text: impl Into<String>) -> Self {
        Self { stdout: text.into(), ..Self::default() }
    }

    fn failed(code: i32, text: impl Into<String>) -> Self {
        Self { code, stderr: text.into(), ..Self::default() }
    }
}

/// What a command may be given on its standard input to keep.
const INPUT_BYTES_MAX: usize = 16 << 20;
const CHUNK_BYTES: usize = 32 * 1024;

/// Runs a command with its streams, to its end or the client's; returns its exit code.
pub async fn with_streams(pod: &Arc<Pod>, index: usize, request: &ExecRequest, mut streams: ExecStreams) -> i32 {
    let words: Vec<&str> = request.command.iter().map(String::as_str).collect();
    let output = match words.as_slice() {
        ["cat" | "/bin/cat"] | ["cat" | "/bin/cat", "-"] => {
            while let Some(bytes) = streams.stdin.recv().await {
                if streams.stdout.send(bytes).await.is_err() {
                    break;
                }
            }
            return 0;
        }
        ["tar" | "/bin/tar", rest @ ..] => match archive::parse(rest) {
            Some(Tar::Create(paths)) => pack(pod, index, &paths, &streams).await,
            Some(Tar::Extract { folder }) => unpack(pod, index, &folder, &mut streams).await,
            None => Output::failed(1, "tar: the embedded sandbox knows what kubectl cp calls: cf - PATH and xf -\n"),
        },
        _ => run(pod, index, &request.command),
    };
    for (text, to) in [(output.stdout, streams.stdout), (output.stderr, streams.stderr)] {
        if !text.is_empty() {
            let _ = to.send(text.into()).await; // a client that went away needs no answer
        }
    }
    output.code
}

async fn pack(pod: &Arc<Pod>, index: usize, paths: &[String], streams: &ExecStreams) -> Output {
    let Some(live) = pod.live(index) else { return Output::failed(1, "the container is not running\n") };
    let archive = match archive::create(paths, &live.files) {
        Ok(archive) => archive,
        Err(message) => return Output::failed(1, message),
    };
    for chunk in archive.chunks(CHUNK_BYTES) {
        if streams.stdout.send(Bytes::copy_from_slice(chunk)).await.is_err() {
            break;
        }
    }
    let absolute = paths.iter().any(|path| path.starts_with('/'));
    let notice = if absolute { "tar: removing leading '/' from member names\n" } else { "" };
    Output { stderr: notice.into(), ..Output::default() }
}

async fn unpack(pod: &Arc<Pod>, index: usize, folder: &str, streams: &mut ExecStreams) -> Output {
    let mut archive = Vec::new();
    while let Some(bytes) = streams.stdin.recv().await {
        if archive.len() + bytes.len() > INPUT_BYTES_MAX {
            return Output::failed(1, "tar: write error: No space left on device\n");
        }
        archive.extend_from_slice(&bytes);
    }
    let files = archive::extract(&archive, folder);
    match files.and_then(|files| container::write_files(pod, index, files).map_err(|why| format!("tar: {why}\n"))) {
        Ok(()) => Output::default(),
        Err(message) => Output::failed(1, message),
    }
}

/// Runs a command that reads no input in the container.
pub fn run(pod: &Arc<Pod>, index: usize, command: &[String]) -> Output {
    let Some(live) = pod.live(index) else { return Output::failed(1, "the container is not running\n") };
    call(pod, index, command, &live.environment)
}

/// Runs a command with these variables.
fn call(pod: &Arc<Pod>, index: usize, command: &[String], variables: &Environment) -> Output {
    let Some(live) = pod.live(index) else { return Output::failed(1, "the container is not running\n") };
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let Some((first, rest)) = words.split_first() else { return Output::default() };
    let is_busybox = is_busybox(&live.base);
    match (first.rsplit('/').next().unwrap_or(first), rest) {
        ("sh" | "bash" | "ash", [flag, text, ..]) if flag.starts_with('-') && flag.ends_with('c') => {
            shell(pod, index, text, variables)
        }
        ("true" | ":", _) | ("exit", []) => Output::default(),
        ("false", _) => Output { code: 1, ..Output::default() },
        ("exit", [code]) => Output { code: code.parse().unwrap_or(2), ..Output::default() },
        ("echo", ["-n", words @ ..]) => Output::out(words.join(" ")),
        ("echo", words) => Output::out(format!("{}\n", words.join(" "))),
        ("hostname", []) => Output::out(format!("{}\n", super::network::hostname(&pod.object()))),
        ("date", []) => Output::out(Timestamp::now().strftime("%a %b %e %H:%M:%S UTC %Y\n").to_string()),
        ("whoami", []) => Output::out("root\n"),
        ("pwd", []) => Output::out("/\n"),
        ("env" | "printenv", []) => Output::out(lines(variables.iter().map(|(name, value)| format!("{name}={value}")))),
        ("printenv", [name]) => match variables.get(*name) {
            Some(value) => Output::out(format!("{value}\n")),
            None => Output { code: 1, ..Output::default() },
        },
        ("test", words) | ("[", [words @ .., "]"]) => files::test(words, &live.files),
        ("cat", paths) if !paths.is_empty() => files::cat(paths, &live.files, is_busybox),
        ("ls", arguments) => files::ls(arguments, &live.files, is_busybox, started(pod, index)),
        ("nginx", flags) => server::nginx(pod, index, flags, &live),
        ("curl", arguments) => fetch::curl(pod, index, arguments),
        ("wget", arguments) => fetch::wget(pod, index, arguments),
        (name, _) => Output::failed(127, unknown(name)),
    }
}

fn unknown(name: &str) -> String {
    format!(
        "the embedded sandbox cannot run {name:?} in a container: it answers for cat, ls, env, echo, hostname, date, test, tar, sh -c, nginx -t, curl and wget. A real container runs it: tutorial start --sandbox kind\n"
    )
}

/// Whether an image's small programs are those of busybox; else they are GNU's.
fn is_busybox(base: &str) -> bool {
    base.starts_with("busybox") || base.contains("alpine")
}

fn started(pod: &Pod, index: usize) -> Timestamp {
    match pod.view(index).stage {
        super::status::Stage::Running { since } => since,
        _ => Timestamp::now(),
    }
}

fn shell(pod: &Arc<Pod>, index: usize, text: &str, variables: &Environment) -> Output {
    let steps = match shell::parse(text) {
        Ok(steps) => steps,
        Err(why) if why.starts_with("syntax error") => return Output::failed(2, format!("sh: {why}\n")),
        Err(why) => {
            return Output::failed(
                2,
                format!(
                    "the embedded sandbox's shell cannot run {text:?}: {why}. A real container runs it: tutorial start --sandbox kind\n"
                ),
            );
        }
    };
    let (mut all, mut variables) = (Output::default(), variables.clone());
    for step in steps {
        let skipped = match step.connector {
            Connector::Always => false,
            Connector::And => all.code != 0,
            Connector::Or => all.code == 0,
        };
        if skipped {
            continue;
        }
        let command = step.expand(&variables, all.code);
        let mut words = command.words;
        if words.first().is_some_and(|word| word == "exec" || word == "command") {
            words.remove(0);
        }
        match words.first().map(String::as_str) {
            None => {
                variables.extend(command.assignments);
                all.code = 0;
                continue;
            }
            Some("export") => {
                let pairs = words[1..].iter().filter_map(|word| word.split_once('='));
                variables.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
                all.code = 0;
                continue;
            }
            Some("exit") if words.len() == 1 => return all,
            _ => {}
        }
        let mut own = variables.clone();
        own.extend(command.assignments);
        let output = call(pod, index, &words, &own);
        all.code = output.code;
        if !step.discards_output {
            all.stdout.push_str(&output.stdout);
        }
        if !step.discards_errors {
            let to = if step.joins_errors { &mut all.stdout } else { &mut all.stderr };
            to.push_str(&output.stderr);
        }
        if words[0] == "exit" {
            return all;
        }
    }
    all
}

/// Lines of text, each with its end.
fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |all, line| all + &line + "\n")
}

/// The index of a container by its name; the first where none is named.
pub fn container_index(pod: &Pod, name: &str) -> Option<usize> {
    let object = pod.object();
    let list = |key: &str| -> Vec<Value> { object["spec"][key].as_array().cloned().unwrap_or_default() };
    let inits = list("initContainers");
    if name.is_empty() {
        return Some(inits.len());
    }
    inits.iter().chain(&list("containers")).position(|container| container["name"] == name)
}
