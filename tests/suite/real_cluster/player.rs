//! A learner who plays the course on one of the sandboxes, with commits that have the same times wherever they are
//! made, and with a `werf` installed that writes down how it is called.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::{COURSE, Home, IMAGE, containers, docker};
use crate::session::{Said, said};

pub struct Player {
    home: Home,
    pub sandbox: &'static str,
    /// What the clock of the commits says, in minutes since the beginning.
    minutes: AtomicU32,
}

/// A werf as it is installed, which answers as 2.65.4 does; what it is told to do our agent does for it.
const INSTALLED: &str = r#"#!/bin/sh
here=${0%/*}
if [ "$1" = version ]; then
  echo v2.65.4
  exit 0
fi
{
  echo "$ werf $*"
  env | grep -E '^(WERF_[A-Z_]*|KUBECONFIG)=' | sort
} >>"$here/calls"
exec "$here/../agent/werf" "$@"
"#;

/// One call of the installed werf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// As it was typed.
    pub words: String,
    /// `WERF_…` and `KUBECONFIG`, in the order of their names.
    pub environment: Vec<String>,
}

impl Player {
    pub fn new(sandbox: &'static str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let home = Home::new();
        let (installed, agent) = (home.path().join("installed"), home.path().join("agent"));
        std::fs::create_dir(&installed).unwrap();
        std::fs::create_dir(&agent).unwrap();
        std::fs::write(installed.join("werf"), INSTALLED).unwrap();
        std::fs::set_permissions(installed.join("werf"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tutorial"), agent.join("werf")).unwrap();
        Self { home, sandbox, minutes: AtomicU32::new(0) }
    }

    pub fn workspace(&self) -> PathBuf {
        self.home.workspace(COURSE)
    }

    /// From now on commits are made a minute later.
    pub fn a_minute_passes(&self) {
        self.minutes.fetch_add(1, Ordering::Relaxed);
    }

    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let date = format!("{} +0000", 1_767_225_600 + 60 * self.minutes.load(Ordering::Relaxed));
        let mut command = self.home.command(program);
        command
            .env("PATH", format!("{}:{path}", self.home.path().join("installed").display()))
            .envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)])
            // As quick as the real one.
            .env("TUTORIAL_TIME_FACTOR", "1");
        command
    }

    pub fn tutorial(&self, arguments: &[&str]) -> Said {
        said(self.command(env!("CARGO_BIN_EXE_tutorial")).args(arguments))
    }

    pub fn start(&self) {
        let image: &[&str] = if self.sandbox == "kind" { &["--image", IMAGE] } else { &[] };
        self.tutorial(&[&["start", COURSE, "--sandbox", self.sandbox, "--yes"], image].concat()).expect(0);
    }

    /// A script in the learner's repository, in the session's environment.
    pub fn sh(&self, script: &str) -> Said {
        let mut command = self.command("sh");
        command.current_dir(self.workspace().join("demo-app")).env("TUTORIAL", env!("CARGO_BIN_EXE_tutorial"));
        said(command.args(["-ec", &format!("eval \"$(\"$TUTORIAL\" env)\"\n{script}")]))
    }

    /// The step that the learner is at.
    pub fn step(&self) -> Option<String> {
        let status = self.tutorial(&["status", "--json"]).expect(0).json();
        let lessons = status["lessons"].as_array()?;
        let mut steps = lessons.iter().filter_map(|lesson| lesson["steps"].as_array()).flatten();
        steps.find(|step| step["state"] == "current").and_then(|step| step["id"].as_str().map(str::to_owned))
    }

    /// What there is of these kinds in the cluster.
    pub fn objects(&self, kinds: &str) -> Value {
        self.sh(&format!("kubectl get {kinds} -A -o json")).expect(0).json()
    }

    /// How the installed werf was called until now.
    pub fn calls(&self) -> Vec<Call> {
        let text = std::fs::read_to_string(self.home.path().join("installed/calls")).unwrap_or_default();
        let calls = text.split("$ werf ").filter(|call| !call.is_empty());
        let call = |text: &str| {
            let mut lines = text.lines().map(str::to_owned);
            Call { words: lines.next().unwrap_or_default(), environment: lines.collect() }
        };
        calls.map(call).collect()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        if self.sandbox == "kind" {
            for container in containers("label=tutorial.cluster=tutorial-gitops-with-werf").lines() {
                docker(&["rm", "-f", "-v", container]);
            }
        }
    }
}
