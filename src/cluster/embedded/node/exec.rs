//! Commands in a container: what the built-in server can answer for, and a plain word about what it cannot.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::super::api::{ExecRequest, ExecStreams};
use super::archive::{self, Tar};
use super::pod::Pod;
use super::program::split_words;
use super::web::{Query, Site};
use super::{container, kind, proxy};

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
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let Some((first, rest)) = words.split_first() else { return Output::default() };
    match (first.rsplit('/').next().unwrap_or(first), rest) {
        ("sh" | "bash" | "ash", [flag, text, ..]) if flag.starts_with('-') && flag.ends_with('c') => {
            shell(pod, index, text)
        }
        ("true" | ":", _) | ("exit", []) => Output::default(),
        ("false", _) => Output { code: 1, ..Output::default() },
        ("exit", [code]) => Output { code: code.parse().unwrap_or(2), ..Output::default() },
        ("echo", ["-n", words @ ..]) => Output::out(words.join(" ")),
        ("echo", words) => Output::out(format!("{}\n", words.join(" "))),
        ("hostname", []) => Output::out(format!("{}\n", pod.name)),
        ("date", []) => Output::out(Timestamp::now().strftime("%a %b %e %H:%M:%S UTC %Y\n").to_string()),
        ("whoami", []) => Output::out("root\n"),
        ("pwd", []) => Output::out("/\n"),
        ("env" | "printenv", []) => {
            Output::out(lines(live.environment.iter().map(|(name, value)| format!("{name}={value}"))))
        }
        ("printenv", [name]) => match live.environment.get(*name) {
            Some(value) => Output::out(format!("{value}\n")),
            None => Output { code: 1, ..Output::default() },
        },
        ("test", [flag, path]) => test(flag, path, &live.files),
        ("cat", paths) if !paths.is_empty() => cat(paths, &live.files),
        ("ls", paths) => ls(paths, &live.files),
        ("nginx", flags) => nginx(pod, flags, &live),
        ("curl", arguments) => fetch(pod, arguments, true),
        ("wget", arguments) => fetch(pod, arguments, false),
        (name, _) => Output::failed(
            127,
            format!(
                "the embedded sandbox cannot run {name:?} in a container: it answers for cat, ls, env, echo, hostname, date, test, tar, nginx -t, curl and wget. A real container runs it: tutorial start --sandbox kind\n"
            ),
        ),
    }
}

fn shell(pod: &Arc<Pod>, index: usize, text: &str) -> Output {
    if text.contains(['|', '`', '>', '<', '(']) {
        let why = format!("the embedded sandbox's shell has no pipes, redirections or substitutions: {text}\n");
        return Output::failed(2, why);
    }
    let mut all = Output::default();
    for part in text.split([';', '\n']) {
        for command in part.split("&&") {
            let expanded = expand(command, pod, index);
            let words = split_words(&expanded);
            if words.is_empty() {
                continue;
            }
            let ends = words[0] == "exit";
            let output = run(pod, index, &words);
            all.stdout.push_str(&output.stdout);
            all.stderr.push_str(&output.stderr);
            all.code = output.code;
            if ends {
                return all;
            }
            if output.code != 0 {
                break;
            }
        }
    }
    all
}

fn expand(command: &str, pod: &Arc<Pod>, index: usize) -> String {
    match pod.live(index) {
        Some(live) if command.contains('$') => super::environment::substitute(command, &live.environment),
        _ => command.into(),
    }
}

/// Lines of text, each with its end.
fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |all, line| all + &line + "\n")
}

type Files = super::super::images::FileTree;

fn cat(paths: &[&str], files: &Files) -> Output {
    let mut output = Output::default();
    for path in paths {
        if let Some(content) = files.get(*path) {
            output.stdout.push_str(&String::from_utf8_lossy(content));
        } else {
            output.stderr.push_str(&format!("cat: {path}: No such file or directory\n"));
            output.code = 1;
        }
    }
    output
}

/// Folders that every image has, with files in them or not.
const FOLDERS: &[&str] =
    &["", "/dev", "/etc", "/home", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/var"];

fn test(flag: &str, path: &str, files: &Files) -> Output {
    let path = path.trim_end_matches('/');
    let is_file = files.contains_key(path);
    let below = format!("{path}/");
    let is_folder = FOLDERS.contains(&path)
        || files.range(below.clone()..).next().is_some_and(|(file, _)| file.starts_with(&below));
    let holds = match flag {
        "-d" => is_folder,
        "-f" => is_file,
        "-e" | "-r" => is_file || is_folder,
        _ => return Output::failed(2, format!("sh: {flag}: unknown operand\n")),
    };
    Output { code: i32::from(!holds), ..Output::default() }
}

fn ls(arguments: &[&str], files: &Files) -> Output {
    let paths: Vec<&&str> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let path = paths.first().map_or("/", |path| path.trim_end_matches('/'));
    if files.contains_key(path) {
        return Output::out(format!("{path}\n"));
    }
    let prefix = format!("{path}/").replace("//", "/");
    let mut names: Vec<&str> = files
        .range(prefix.clone()..)
        .take_while(|(file, _)| file.starts_with(&prefix))
        .filter_map(|(file, _)| file[prefix.len()..].split('/').next())
        .collect();
    names.dedup();
    if names.is_empty() && !FOLDERS.contains(&path) {
        return Output::failed(2, format!("ls: cannot access '{path}': No such file or directory\n"));
    }
    Output::out(lines(names.iter().map(ToString::to_string)))
}

fn nginx(pod: &Arc<Pod>, flags: &[&str], live: &super::container::Live) -> Output {
    match flags {
        ["-t" | "-T"] => match Site::start(Arc::clone(&live.files), &pod.name, Timestamp::now()) {
            Ok(_) => Output {
                stderr: "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\nnginx: configuration file /etc/nginx/nginx.conf test is successful\n".into(),
                ..Output::default()
            },
            Err(error) => Output::failed(1, format!("nginx: {error}\nnginx: configuration file /etc/nginx/nginx.conf test failed\n")),
        },
        ["-v"] => Output { stderr: "nginx version: nginx/1.29.3\n".into(), ..Output::default() },
        ["-s", "reload"] => Output::default(),
        _ => Output::failed(1, "the embedded sandbox's nginx knows -t, -v and -s reload\n"),
    }
}

fn fetch(pod: &Arc<Pod>, arguments: &[&str], curl: bool) -> Output {
    let Some(url) = arguments.iter().find(|argument| !argument.starts_with('-') && **argument != "-") else {
        return Output::failed(2, "no URL\n");
    };
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    let port = port.parse().unwrap_or(80);
    let target = format!("/{path}");
    let query = Query {
        target: &target,
        host: authority,
        port,
        remote: "127.0.0.1",
        user_agent: if curl { "curl/8.14" } else { "Wget" },
        ..Query::default()
    };
    let answer = match host {
        "localhost" | "127.0.0.1" => pod.answer(&query, Timestamp::now()),
        host => peer(pod, host, port).and_then(|(peer, port)| peer.answer(&Query { port, ..query }, Timestamp::now())),
    };
    match answer {
        None => Output::failed(
            7,
            format!("curl: (7) Failed to connect to {host} port {port}: Could not connect to server\n"),
        ),
        Some(answer)
            if answer.status >= 400
                && (!curl || arguments.iter().any(|flag| flag.contains('f') && flag.starts_with('-'))) =>
        {
            Output::failed(if curl { 22 } else { 1 }, format!("The requested URL returned error: {}\n", answer.status))
        }
        Some(answer) => Output::out(String::from_utf8_lossy(&answer.body)),
    }
}

/// A pod by its address, or one behind a Service's name or address.
fn peer(pod: &Arc<Pod>, host: &str, port: u16) -> Option<(Arc<Pod>, u16)> {
    let shared = &pod.shared;
    let by_address = |address: &str| shared.all_pods().into_iter().find(|pod| pod.address() == address);
    if let Some(found) = by_address(host) {
        return Some((found, port));
    }
    let mut parts = host.split('.');
    let (name, namespace) = (parts.next()?, parts.next().unwrap_or(&pod.namespace));
    let services = shared.registry.list(kind("Service"), None);
    let service = services.iter().find(|service| {
        (*service.name == *name && *service.namespace == *namespace) || service.value()["spec"]["clusterIP"] == host
    })?;
    let object = service.value();
    let ports = object["spec"]["ports"].as_array()?.clone();
    let found = ports.iter().find(|candidate| candidate["port"].as_u64() == Some(port.into()))?;
    let backends =
        proxy::backends(shared, &service.namespace, &service.name, found["name"].as_str().unwrap_or_default());
    let backend = backends.first()?;
    by_address(&backend.address).map(|pod| (pod, backend.port))
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
