//! The background process: started, found, killed, replaced, ended.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tutorial::cluster::ClusterSpec;
use tutorial::cluster::embedded::process::{self, ProcessError, Status};
use tutorial::error::Explain;

/// A cluster in a directory of its own, ended with the test.
struct Sandbox {
    spec: ClusterSpec,
    _directory: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spec = ClusterSpec {
            name: "tutorial-test".into(),
            directory: directory.path().join("with a space/cluster"),
            node_ports: Vec::new(),
            time_factor: 1.0,
        };
        Self { spec, _directory: directory }
    }

    fn directory(&self) -> &Path {
        &self.spec.directory
    }

    fn start(&self) -> Result<tutorial::cluster::Connection, ProcessError> {
        block_on(process::ensure_running(&self.spec, program()))
    }

    fn process(&self) -> u32 {
        match process::status(self.directory()) {
            Status::Running { process, .. } => process,
            Status::Stopped => panic!("it runs"),
        }
    }

    fn server(&self) -> String {
        let text = std::fs::read_to_string(self.directory().join("kubeconfig")).unwrap();
        text.lines().find(|line| line.contains("server:")).unwrap().trim().to_owned()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = block_on(process::stop(self.directory()));
    }
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tutorial"))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Waits for a condition; the test fails where it does not come true.
fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(process: u32) {
    let pid = rustix::process::Pid::from_raw(process.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn it_starts_once_is_found_again_and_ends() {
    let sandbox = Sandbox::new();
    let started = Instant::now();
    let connection = sandbox.start().unwrap();
    eprintln!("from nothing to an answer: {} ms", started.elapsed().as_millis());
    let first = sandbox.process();
    let found = Instant::now();
    assert_eq!(sandbox.start().unwrap(), connection);
    eprintln!("found again: {} µs", found.elapsed().as_micros());
    assert_eq!(sandbox.process(), first);
    block_on(process::stop(sandbox.directory())).unwrap();
    assert_eq!(process::status(sandbox.directory()), Status::Stopped);
}

#[test]
fn many_callers_start_one() {
    let sandbox = Sandbox::new();
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let spec = sandbox.spec.clone();
            std::thread::spawn(move || block_on(process::ensure_running(&spec, program())).unwrap())
        })
        .collect();
    let connections: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    assert!(connections.windows(2).all(|pair| pair[0] == pair[1]));
    let log = std::fs::read_to_string(sandbox.directory().join("log")).unwrap();
    assert_eq!(log.matches("serving on").count(), 1, "{log}");
}

#[test]
fn a_killed_one_comes_back_on_its_port() {
    let sandbox = Sandbox::new();
    sandbox.start().unwrap();
    let server = sandbox.server();
    kill(sandbox.process());
    await_that("it is gone", || process::status(sandbox.directory()) == Status::Stopped);
    sandbox.start().unwrap();
    assert_eq!(sandbox.server(), server);
}

#[test]
fn the_credential_starts_it() {
    let sandbox = Sandbox::new();
    sandbox.start().unwrap();
    block_on(process::stop(sandbox.directory())).unwrap();
    let credential = |extra: &[&str]| {
        let mut command = Command::new(program());
        command.args(["cluster", "credential", "--directory"]).arg(sandbox.directory()).args(extra);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["status"]["token"].clone()
    };
    let admin = credential(&[]);
    sandbox.process();
    let started = Instant::now();
    assert_ne!(credential(&["--read-only"]), admin);
    eprintln!("credential of a running cluster: {} ms", started.elapsed().as_millis());
}

#[test]
fn another_wish_replaces_it() {
    let mut sandbox = Sandbox::new();
    sandbox.start().unwrap();
    let first = sandbox.process();
    sandbox.spec.time_factor = 10.0;
    sandbox.start().unwrap();
    assert_ne!(sandbox.process(), first);
}

#[test]
fn it_ends_when_its_directory_vanishes() {
    let sandbox = Sandbox::new();
    sandbox.start().unwrap();
    let process = sandbox.process();
    let away: PathBuf = sandbox.directory().with_extension("away");
    std::fs::rename(sandbox.directory(), &away).unwrap();
    await_that("it ends", || !Path::new(&format!("/proc/{process}/exe")).exists());
}

#[test]
fn a_taken_port_is_left_for_another() {
    let sandbox = Sandbox::new();
    sandbox.start().unwrap();
    let server = sandbox.server();
    let port: u16 = server.rsplit(':').next().unwrap().trim_matches(['"', '\'']).parse().unwrap();
    block_on(process::stop(sandbox.directory())).unwrap();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    sandbox.start().unwrap();
    assert_ne!(sandbox.server(), server);
}

#[test]
fn a_failure_is_told_with_its_cause() {
    let sandbox = Sandbox::new();
    sandbox.start().unwrap();
    block_on(process::stop(sandbox.directory())).unwrap();
    let data = sandbox.directory().join("data");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::write(&data, "a file in the way").unwrap();
    let error = sandbox.start().unwrap_err();
    assert_eq!(error.to_string(), "the embedded cluster did not start");
    let failure = tutorial::error::Failure::from(error);
    assert_eq!(failure.causes[0], "the cluster's data cannot be used");
    assert!(failure.hint.unwrap().contains(&*data.to_string_lossy()));
}

#[test]
fn two_servers_of_one_directory_are_one_too_many() {
    let sandbox = Sandbox::new();
    sandbox.start().unwrap();
    let output =
        Command::new(program()).args(["cluster", "serve", "--directory"]).arg(sandbox.directory()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: another process serves the cluster in"));
    assert_eq!(ProcessError::AlreadyServed { directory: "/x".into() }.hint(), None);
}
