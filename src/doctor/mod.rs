//! Looks at the machine: what is installed, what is needed, how to get it. All probes run at the same time, each
//! with a limit, and change nothing that stays.
//!
//! Place: a leaf; `commands` shows what it finds. Only git is needed for the embedded sandbox, all else is told as
//! what it is: optional.

mod docker;
mod holder;
mod machine;
mod tools;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// Not there, or not as wished; the embedded sandbox does without it.
    Warning,
    /// Nothing goes on without it.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub name: String,
    pub state: State,
    pub found: String,
    pub needed: String,
    pub remedy: String,
}

impl Finding {
    fn new(name: &str, state: State, found: impl Into<String>, needed: &str, remedy: impl Into<String>) -> Self {
        Self { name: name.into(), state, found: found.into(), needed: needed.into(), remedy: remedy.into() }
    }
}

/// What the probes are told of the process.
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub environment: BTreeMap<String, String>,
    /// Where workspaces live, or will live.
    pub home: PathBuf,
    /// This binary, so that its own links on the PATH are not taken for the real tools.
    pub program: PathBuf,
    /// The terminal's columns and rows, where there is one.
    pub terminal: Option<(usize, usize)>,
}

impl Surroundings {
    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first program of this name on the PATH that is not this binary.
    fn find(&self, name: &str) -> Option<PathBuf> {
        let path = self.variable("PATH").unwrap_or_default();
        let candidates = std::env::split_paths(path).map(|directory| directory.join(name));
        candidates.into_iter().find(|candidate| is_program(candidate) && !self.is_ours(candidate))
    }

    fn is_ours(&self, candidate: &Path) -> bool {
        candidate.canonicalize().is_ok_and(|real| self.program.canonicalize().is_ok_and(|ours| ours == real))
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// Looks at everything.
pub async fn examine(surroundings: &Surroundings) -> Vec<Finding> {
    let (git, docker, kubectl, helm, werf, kind, ports) = tokio::join!(
        tools::git(surroundings),
        docker::examine(surroundings),
        tools::kubectl(surroundings),
        tools::helm(surroundings),
        tools::werf(surroundings),
        tools::kind(surroundings),
        machine::ports(surroundings),
    );
    let home = machine::home(surroundings);
    let disk = machine::disk(surroundings);
    let shell = machine::shell(surroundings);
    let terminal = machine::terminal(surroundings);
    let mut findings = vec![git, home, disk, ports, shell, terminal, kubectl, werf, helm, kind];
    findings.extend(docker);
    findings
}

/// Whether there is a werf on the PATH that a course can be played with, by the judgement of its row.
pub async fn is_werf_usable(environment: &BTreeMap<String, String>, program: &Path) -> bool {
    let surroundings = Surroundings {
        environment: environment.clone(),
        home: PathBuf::new(),
        program: program.to_owned(),
        terminal: None,
    };
    tools::is_werf_usable(&surroundings).await.unwrap_or(false)
}

/// Looks at git alone, the one program that nothing goes without.
pub async fn git(surroundings: &Surroundings) -> Finding {
    tools::git(surroundings).await
}

/// Whether the embedded sandbox can be used.
pub fn is_ok(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.state != State::Missing)
}
