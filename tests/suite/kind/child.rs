//! Runs in a process of their own, which can be killed, or be sent to another engine.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::*;

const SPEC: &str = "TUTORIAL_TEST_KIND_SPEC";
const DOES: &str = "TUTORIAL_TEST_KIND_DOES";
/// Longer than a cluster takes on a machine that is out of breath.
const PATIENCE: Duration = Duration::from_secs(300);

/// Not a test: what [`Run`] runs. It prints a line for each thing that is begun, and how it ended.
#[test]
fn docker_run_of_another_test() {
    let Ok(spec) = std::env::var(SPEC) else { return };
    let spec: KindSpec = serde_json::from_str(&spec).expect("a specification");
    let told = |progress: Progress| match progress.step {
        Step::Begun => println!("begun {:?}", progress.phase),
        Step::Finished => println!("done {:?}", progress.phase),
        Step::Moved { .. } => {}
    };
    let outcome = match std::env::var(DOES).as_deref() {
        Ok("delete") => runtime().block_on(kind::delete(&spec)),
        _ => runtime().block_on(kind::ensure_running(&spec, &told)).map(drop),
    };
    match outcome {
        Ok(()) => println!("finished"),
        Err(error) => {
            let text = tutorial::error::Failure::from(error).render();
            println!("failed: {}", serde_json::to_string(&text).expect("a string"));
        }
    }
}

/// A run in a process of its own.
pub struct Run {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Run {
    pub fn ensure(scene: &Scene, environment: &[(&str, &str)]) -> Self {
        Self::begin(scene, "ensure", environment)
    }

    pub fn delete(scene: &Scene) -> Self {
        Self::begin(scene, "delete", &[])
    }

    fn begin(scene: &Scene, does: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "kind::child::docker_run_of_another_test", "--nocapture"])
            .env(SPEC, serde_json::to_string(&scene.spec).expect("plain data"))
            .env(DOES, does)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program runs");
        let (sender, lines) = std::sync::mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line. An end before it is a failure, whichever.
    #[track_caller]
    pub fn until(&mut self, wanted: &str) {
        while let Some(line) = self.next() {
            // The test harness begins the first line.
            let is_wanted = line.ends_with(wanted);
            let is_end = ["finished", "failed: "].iter().any(|end| line.contains(end));
            self.seen.push(line);
            if is_wanted {
                return;
            }
            assert!(!is_end, "it ended before `{wanted}`: {:#?}", self.seen);
        }
        panic!("it ended before `{wanted}`: {:#?}", self.seen);
    }

    #[track_caller]
    fn next(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing more was said after {:#?}", self.seen),
        }
    }

    pub fn kill(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }

    /// How it ends, with the error as a learner would read it.
    #[track_caller]
    pub fn outcome(mut self) -> Result<(), String> {
        while let Some(line) = self.next() {
            if line.ends_with("finished") {
                return Ok(());
            }
            if let Some((_, text)) = line.split_once("failed: ") {
                return Err(serde_json::from_str(text).expect("a string"));
            }
            self.seen.push(line);
        }
        panic!("it ended without a word: {:#?}", self.seen);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
