//! What is done and said where Docker is down, or is not as wished: with no engine, and with one that is played here.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::session::{Home, Said};

const COURSE: &str = "gitops-with-werf";

/// Runs tutorial with the engine at an address.
fn tutorial(home: &Home, engine: &str, arguments: &[&str]) -> Said {
    let mut command = home.command(env!("CARGO_BIN_EXE_tutorial"));
    // Wide enough for messages to be in one line.
    command.env("DOCKER_HOST", engine).env("COLUMNS", "500").args(arguments);
    said(&mut command)
}

fn said(command: &mut std::process::Command) -> Said {
    let output = command.output().expect("it runs");
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

const DOWN: &str = "unix:///nowhere/docker.sock";

#[test]
fn what_a_failed_start_hints_at_works() {
    let home = Home::new();
    let failed = tutorial(&home, DOWN, &["start", COURSE, "--sandbox", "kind", "--yes"]).expect(1);
    assert!(failed.stderr.contains("--sandbox embedded"), "{}", failed.stderr);
    // The cause is told, and the text not twice.
    assert!(failed.stderr.contains("caused by: the socket is not there"), "{}", failed.stderr);
    assert_eq!(failed.stderr.matches("does not answer").count(), 1, "{}", failed.stderr);
    // Another image, and then another number of nodes, counts.
    let begun = tutorial(&home, DOWN, &["start", COURSE, "--sandbox", "kind", "--image", "other/node:1", "--yes"]);
    begun.expect(1);
    let noted = noted(&home);
    assert_eq!(noted["image"], "other/node:1", "{noted}");
    tutorial(&home, DOWN, &["start", COURSE, "--image", "another/node:2", "--workers", "1", "--yes"]).expect(1);
    let noted = self::noted(&home);
    assert_eq!((&noted["image"], &noted["workers"]), (&json!("another/node:2"), &json!(1)), "{noted}");
    tutorial(&home, DOWN, &["start", COURSE, "--sandbox", "embedded", "--yes"]).expect(0);
    let other = tutorial(&home, DOWN, &["start", COURSE, "--sandbox", "kind", "--yes"]).expect(2);
    assert!(other.stderr.contains("runs on the sandbox `embedded`, not on `kind`"), "{}", other.stderr);
    tutorial(&home, DOWN, &["remove", COURSE, "--yes"]).expect(0);
    assert!(!home.workspace(COURSE).exists());
}

fn noted(home: &Home) -> Value {
    let file = home.workspace(COURSE).join(".tutorial/cluster/cluster.json");
    serde_json::from_slice(&std::fs::read(file).expect("it is noted")).expect("JSON")
}

#[test]
fn nothing_was_made_so_nothing_is_in_the_way_of_its_removal() {
    let home = Home::new();
    tutorial(&home, DOWN, &["start", COURSE, "--sandbox", "kind", "--name", "apart", "--yes"]).expect(1);
    assert_eq!(noted(&home)["name"], "apart");
    tutorial(&home, DOWN, &["remove", COURSE, "--yes"]).expect(0);
    assert!(!home.workspace(COURSE).exists());
}

#[test]
fn a_name_is_judged_before_anything_is_noted() {
    let home = Home::new();
    for arguments in [
        &["cluster", "start", "--sandbox", "kind", "--name", "Bad_Name"][..],
        &["start", COURSE, "--sandbox", "kind", "--name", "Bad_Name", "--yes"],
    ] {
        let refused = tutorial(&home, DOWN, arguments).expect(2);
        assert!(refused.stderr.contains("`Bad_Name` is no name for a kind cluster"), "{}", refused.stderr);
    }
    assert!(!home.path().join("tutorial/.clusters/Bad_Name").exists());
    assert!(!home.workspace(COURSE).join(".tutorial/progress.json").exists());
    tutorial(&home, DOWN, &["cluster", "delete", "--name", "Bad_Name", "--yes"]).expect(0);
    let other = tutorial(&home, DOWN, &["start", COURSE, "--sandbox", "embedded", "--name", "x", "--yes"]).expect(2);
    assert!(other.stderr.contains("`--name` goes with `--sandbox kind`"), "{}", other.stderr);
}

#[test]
fn what_cannot_be_reached_is_left_behind_only_where_that_is_said() {
    let home = Home::new();
    tutorial(&home, DOWN, &["start", COURSE, "--sandbox", "kind", "--yes"]).expect(1);
    // As a run leaves it that has made nodes.
    let made = home.workspace(COURSE).join(".tutorial/cluster/kind.json");
    std::fs::write(made, r#"{"containers":[],"is_finished":false}"#).expect("written");
    let refused = tutorial(&home, DOWN, &["remove", COURSE, "--yes"]).expect(1);
    assert!(refused.stderr.contains("forget it with `--forget`"), "{}", refused.stderr);
    assert!(home.workspace(COURSE).exists());
    let gone = tutorial(&home, DOWN, &["remove", COURSE, "--yes", "--forget"]).expect(0);
    assert!(gone.stderr.contains("label=tutorial.cluster=tutorial-gitops-with-werf"), "{}", gone.stderr);
    assert!(!home.workspace(COURSE).exists());
}

#[test]
fn a_sandbox_that_is_given_up_while_docker_is_down_goes_with_the_workspace() {
    let home = Home::new();
    tutorial(&home, DOWN, &["start", COURSE, "--sandbox", "kind", "--yes"]).expect(1);
    let made = home.workspace(COURSE).join(".tutorial/cluster/kind.json");
    std::fs::write(made, r#"{"containers":[],"is_finished":false}"#).expect("written");
    tutorial(&home, DOWN, &["start", COURSE, "--sandbox", "embedded", "--yes"]).expect(0);
    // What may be in Docker is not forgotten over it.
    let refused = tutorial(&home, DOWN, &["remove", COURSE, "--yes"]).expect(1);
    assert!(refused.stderr.contains("forget it with `--forget`"), "{}", refused.stderr);
    let engine = Engine::start(Box::new(|_, _, _| (404, json!({"message": "not played"}))));
    tutorial(&home, &engine.address(), &["remove", COURSE, "--yes"]).expect(0);
    assert!(!home.workspace(COURSE).exists());
}

#[test]
fn a_variable_that_is_no_text_is_no_reason_to_panic() {
    let home = Home::new();
    let mut command = home.command(env!("CARGO_BIN_EXE_tutorial"));
    command.env("NO_TEXT", std::ffi::OsString::from_vec(vec![0xff]));
    command.env("DOCKER_HOST", DOWN).env("COLUMNS", "500").args(["cluster", "start", "--sandbox", "kind"]);
    let failed = said(&mut command).expect(1);
    assert!(failed.stderr.contains("does not answer"), "{}", failed.stderr);
}

#[test]
fn the_log_is_shown_though_the_engine_is_down() {
    let home = Home::new();
    tutorial(&home, DOWN, &["start", COURSE, "--sandbox", "kind", "--yes"]).expect(1);
    let directory = home.workspace(COURSE);
    std::fs::write(directory.join(".tutorial/cluster/log"), "begun: making the nodes\n").expect("written");
    let by_directory = ["cluster", "logs", "--dir", &directory.display().to_string()];
    let by_use = ["cluster", "logs"];
    for arguments in [&by_directory[..], &by_use] {
        let shown = tutorial(&home, DOWN, arguments).expect(0);
        assert!(shown.stdout.starts_with("begun: making the nodes\n"), "{}", shown.stdout);
        assert!(shown.stdout.contains("the nodes cannot be asked"), "{}", shown.stdout);
    }
}

/// Answers a request: method, path without the version, body.
type Play = Box<dyn Fn(&str, &str, &Value) -> (u16, Value) + Send + Sync>;

/// A Docker engine that is played: it answers what every engine answers, and else by the scene.
struct Engine {
    directory: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Engine {
    fn start(play: Play) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("docker.sock")).expect("a socket");
        let (asked, play) = (Arc::new(Mutex::new(Vec::new())), Arc::new(play));
        let all = Arc::clone(&asked);
        // It ends with the test's process.
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (asked, play) = (Arc::clone(&all), Arc::clone(&play));
                std::thread::spawn(move || serve(stream, &asked, play.as_ref()));
            }
        });
        Self { directory, asked }
    }

    fn address(&self) -> String {
        format!("unix://{}", self.directory.path().join("docker.sock").display())
    }

    /// The requests so far, `DELETE /containers/x`.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

fn serve(mut stream: UnixStream, asked: &Mutex<Vec<String>>, play: &Play) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a header");
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let mut parts = first.split(' ');
        let (method, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let path = path.strip_prefix("/v1.44").unwrap_or(path);
        let path = path.split('?').next().unwrap_or_default();
        asked.lock().expect("not poisoned").push(format!("{method} {path}"));
        let (status, answer) = match path {
            "/version" => (200, json!({"Version": "25.0.0", "ApiVersion": "1.44", "Os": "linux"})),
            "/info" => (200, json!({"CgroupVersion": "2", "Driver": "overlay2"})),
            "/_ping" => (200, json!("OK")),
            _ => match play(method, path, &body) {
                (404, _) if path == "/containers/json" => (200, json!([])),
                played => played,
            },
        };
        let text = if status == 204 { String::new() } else { answer.to_string() };
        let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}", text.len());
        if write!(stream, "{head}\r\n\r\n{text}").is_err() {
            return;
        }
    }
}

/// A container as a list has it.
fn listed(id: &str, name: &str, labels: &Value) -> Value {
    json!({"Id": id, "Names": [format!("/{name}")], "State": "running", "Labels": labels})
}

#[test]
fn a_cluster_of_somebody_elses_is_not_in_the_way_of_a_removal() {
    let engine = Engine::start(Box::new(|method, path, _| match (method, path) {
        ("GET", "/containers/json") => {
            let kinds = json!({"io.x-k8s.kind.cluster": "apart", "io.x-k8s.kind.role": "control-plane"});
            (200, json!([listed("1", "apart-control-plane", &kinds)]))
        }
        _ => (500, json!({"message": "nothing else is to be done"})),
    }));
    let home = Home::new();
    let start = ["start", COURSE, "--sandbox", "kind", "--name", "apart", "--yes"];
    let refused = tutorial(&home, &engine.address(), &start).expect(1);
    assert!(refused.stderr.contains("was not made by tutorial"), "{}", refused.stderr);
    let gone = tutorial(&home, &engine.address(), &["remove", COURSE, "--yes"]).expect(0);
    assert!(gone.stderr.contains("was not made by tutorial; it stays as it is"), "{}", gone.stderr);
    assert!(!home.workspace(COURSE).exists());
    assert!(engine.asked().iter().all(|asked| !asked.starts_with("DELETE")), "{:?}", engine.asked());
}

/// A scene up to the nodes: the image and the network are there, and what is made is kept in `there`.
fn up_to_the_nodes(
    there: &Arc<Mutex<Vec<Value>>>,
    make: impl Fn(&Mutex<Vec<Value>>, &str, &Value) -> (u16, Value) + Send + Sync + 'static,
) -> Play {
    let there = Arc::clone(there);
    Box::new(move |method, path, body| {
        let named = |path: &str| path.split('/').nth(2).unwrap_or_default().to_owned();
        let is = |container: &Value, name: &str| container["Id"] == name || container["Names"][0] == format!("/{name}");
        match (method, path) {
            ("GET", "/containers/json") => (200, json!(*there.lock().expect("not poisoned"))),
            ("GET", "/networks") => (200, json!([{"Name": "kind", "Id": "n"}])),
            ("GET", path) if path.starts_with("/networks/") => (200, json!({"Name": "kind", "Id": "n"})),
            ("GET", path) if path.starts_with("/images/") => (200, json!({"Id": "i"})),
            ("POST", "/containers/create") => make(&there, path, body),
            ("DELETE", path) if path.starts_with("/containers/") => {
                let name = named(path);
                there.lock().expect("not poisoned").retain(|container| !is(container, &name));
                (204, Value::Null)
            }
            ("GET", path) if path.starts_with("/containers/") && path.ends_with("/json") => {
                let name = named(path);
                match there.lock().expect("not poisoned").iter().find(|container| is(container, &name)) {
                    Some(found) => (200, json!({"Id": found["Id"], "Config": {"Labels": found["Labels"]}})),
                    None => (404, json!({"message": "no such container"})),
                }
            }
            _ => (500, json!({"message": "not played"})),
        }
    })
}

/// A node that a request of an earlier run has left, which Docker carried out after everything else was removed, is
/// taken away; then the same name is free. A note is there before the first node is.
#[test]
fn a_late_node_of_an_earlier_run_makes_room() {
    let home = Home::new();
    let directory = home.path().join("tutorial/.clusters/late");
    let there = Arc::new(Mutex::new(Vec::new()));
    let (note, owned) = (directory.join("kind.json"), directory.display().to_string());
    let attempts = Mutex::new(Vec::new());
    let noted: Arc<Mutex<Vec<bool>>> = Arc::default();
    let seen = Arc::clone(&noted);
    let engine = Engine::start(up_to_the_nodes(&there, move |there, _, body| {
        seen.lock().expect("not poisoned").push(note.is_file());
        let mut attempts = attempts.lock().expect("not poisoned");
        attempts.push(());
        let labels = body["Labels"].clone();
        assert_eq!(labels["tutorial.directory"], owned);
        if attempts.len() == 1 {
            // The earlier request's container appears now.
            there.lock().expect("not poisoned").push(listed("late", "late-control-plane", &labels));
            return (409, json!({"message": "Conflict. The container name is already in use"}));
        }
        let is_free = there.lock().expect("not poisoned").is_empty();
        there.lock().expect("not poisoned").push(listed("new", "late-control-plane", &labels));
        if is_free { (201, json!({"Id": "new", "Warnings": []})) } else { (409, json!({"message": "Conflict"})) }
    }));
    let failed = tutorial(&home, &engine.address(), &["cluster", "start", "--sandbox", "kind", "--name", "late"]);
    // It goes on to start the new one, which is not played.
    assert!(failed.stderr.contains("making the nodes failed"), "{}", failed.stderr);
    assert!(engine.asked().contains(&"DELETE /containers/late".to_owned()), "{:?}", engine.asked());
    assert_eq!(*noted.lock().expect("not poisoned"), [true, true], "noted before each");
    // What was made is taken back, and forgotten.
    assert!(there.lock().expect("not poisoned").is_empty());
    assert!(!directory.join("kind.json").exists());
    tutorial(&home, DOWN, &["cluster", "delete", "--name", "late", "--yes"]).expect(0);
}

/// Somebody else's container of the same name is nobody's to remove.
#[test]
fn a_name_that_somebody_else_takes_meanwhile_is_left_alone() {
    let home = Home::new();
    let there = Arc::new(Mutex::new(Vec::new()));
    let engine = Engine::start(up_to_the_nodes(&there, |there, _, _| {
        there.lock().expect("not poisoned").push(listed("theirs", "taken-control-plane", &json!({})));
        (409, json!({"message": "Conflict. The container name is already in use"}))
    }));
    let start = ["cluster", "start", "--sandbox", "kind", "--name", "taken"];
    let failed = tutorial(&home, &engine.address(), &start).expect(1);
    assert!(failed.stderr.contains("`taken-control-plane` exists already, and is not ours"), "{}", failed.stderr);
    assert_eq!(there.lock().expect("not poisoned").len(), 1);
}

fn script(path: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    path.to_owned()
}

/// The werf that is installed is used where doctor says that it can be: not an old one.
#[test]
fn an_old_werf_is_not_used() {
    for (version, is_used) in [("v2.65.4", true), ("v1.2.300", false)] {
        let home = Home::new();
        let programs = tempfile::tempdir().expect("a directory");
        script(&programs.path().join("werf"), &format!("#!/bin/sh\necho {version}\n"));
        let mut command = home.command(env!("CARGO_BIN_EXE_tutorial"));
        let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
        let path = path.map_or_else(|| std::env::var("PATH").unwrap_or_default(), |path| path.to_string_lossy().into());
        command.env("PATH", format!("{}:{path}", programs.path().display())).env("DOCKER_HOST", DOWN);
        said(command.args(["start", COURSE, "--sandbox", "kind", "--yes"])).expect(1);
        let link = home.workspace(COURSE).join(".tutorial/bin/werf");
        assert_eq!(!link.exists(), is_used, "{version}");
    }
}
