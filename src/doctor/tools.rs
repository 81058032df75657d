//! The programs that a course may use, and their versions.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{Finding, State, Surroundings};

/// How long a tool may take to say its version.
const TIME_MAX: Duration = Duration::from_millis(900);
/// What is told of a tool that does not answer in time.
const SLOW: &str = "installed, but it did not say its version in time";

/// A version as numbers, of whatever text holds one: `git version 2.39.2 (Apple Git-143)`, `v1.34.2+k3s1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u64, u64, u64);

impl Version {
    pub fn find(text: &str) -> Option<Self> {
        let starts = text.char_indices().filter(|(index, character)| {
            character.is_ascii_digit()
                && !text[..*index].ends_with(|before: char| before.is_ascii_digit() || before == '.')
        });
        starts.map(|(index, _)| &text[index..]).find_map(Self::read)
    }

    fn read(text: &str) -> Option<Self> {
        let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
        let mut numbers = text[..end].split('.').map(str::parse);
        let major = numbers.next()?.ok()?;
        let minor = numbers.next()?.ok()?;
        Some(Self(major, minor, numbers.next().and_then(Result::ok).unwrap_or(0)))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What a tool says of its version.
enum Answer {
    Absent,
    Silent(PathBuf),
    Version(Version),
}

async fn ask(program: Option<PathBuf>, arguments: &[&str], surroundings: &Surroundings) -> Answer {
    let Some(program) = program else { return Answer::Absent };
    let output = Command::new(&program)
        .args(arguments)
        .env_clear()
        .envs(&surroundings.environment)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(TIME_MAX, output).await {
        Ok(Ok(output)) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            match Version::find(&text) {
                Some(version) => Answer::Version(version),
                None => Answer::Silent(program),
            }
        }
        _ => Answer::Silent(program),
    }
}

pub async fn git(surroundings: &Surroundings) -> Finding {
    judge_git(&ask(surroundings.find("git"), &["version"], surroundings).await)
}

fn judge_git(answer: &Answer) -> Finding {
    let needed = "2.18 or later, not 2.22.0";
    let install = "install git with your system's package manager, or from https://git-scm.com/downloads";
    let finding = |state, found: String, remedy: &str| Finding::new("git", state, found, needed, remedy);
    match answer {
        Answer::Absent => finding(State::Missing, "not installed".into(), install),
        Answer::Silent(path) => {
            finding(State::Warning, format!("{SLOW} ({})", path.display()), "`git version` should say it")
        }
        Answer::Version(Version(2, 22, 0)) => {
            finding(State::Missing, "2.22.0, which has a fault that werf meets".into(), install)
        }
        Answer::Version(version) if *version < Version(2, 18, 0) => {
            finding(State::Missing, format!("{version}, which is too old"), install)
        }
        Answer::Version(version) => finding(State::Ok, version.to_string(), ""),
    }
}

pub async fn kubectl(surroundings: &Surroundings) -> Finding {
    let answer = ask(surroundings.find("kubectl"), &["version", "--client"], surroundings).await;
    optional(
        "kubectl",
        "optional: a small one is built in",
        "https://kubernetes.io/docs/tasks/tools/ has the whole one",
        &answer,
    )
}

pub async fn helm(surroundings: &Surroundings) -> Finding {
    let answer = ask(surroundings.find("helm"), &["version", "--short"], surroundings).await;
    optional(
        "helm",
        "optional: `werf helm` does what the course needs",
        "https://helm.sh/docs/intro/install/ has it",
        &answer,
    )
}

pub async fn kind(surroundings: &Surroundings) -> Finding {
    let answer = ask(surroundings.find("kind"), &["version"], surroundings).await;
    optional("kind", "optional: `--sandbox kind` does without its program", "https://kind.sigs.k8s.io has it", &answer)
}

fn optional(name: &str, needed: &str, remedy: &str, answer: &Answer) -> Finding {
    match answer {
        Answer::Absent => Finding::new(name, State::Warning, "not installed, which is fine", needed, remedy),
        Answer::Silent(_) => Finding::new(name, State::Warning, SLOW, needed, ""),
        Answer::Version(version) => Finding::new(name, State::Ok, version.to_string(), needed, ""),
    }
}

pub async fn werf(surroundings: &Surroundings) -> Finding {
    let program = surroundings.find("werf").or_else(|| trdl_werf(surroundings));
    let is_hidden = surroundings.find("werf").is_none() && program.is_some();
    let mut finding = judge_werf(&ask(program, &["version"], surroundings).await);
    if is_hidden && finding.state == State::Ok {
        finding.found.push_str(" in ~/.trdl, not on the PATH");
    }
    finding
}

/// The oldest werf that a course can be played with.
const OLDEST_WERF: Version = Version(2, 53, 0);

/// Whether the werf on the PATH is one to play with: one that says an older version is not. `None` where there is none.
pub async fn is_werf_usable(surroundings: &Surroundings) -> Option<bool> {
    match ask(surroundings.find("werf"), &["version"], surroundings).await {
        Answer::Absent => None,
        Answer::Silent(_) => Some(true),
        Answer::Version(version) => Some(version >= OLDEST_WERF),
    }
}

fn judge_werf(answer: &Answer) -> Finding {
    let needed = "2.53 or later for `--sandbox kind`; the embedded sandbox has its own";
    let install = "https://werf.io/getting_started/ has the current one";
    match answer {
        Answer::Version(version) if *version < Version(2, 0, 0) => {
            let found = format!("{version}, which works in another way than werf 2 and is not used");
            Finding::new("werf", State::Warning, found, needed, install)
        }
        Answer::Version(version) if *version < OLDEST_WERF => Finding::new(
            "werf",
            State::Warning,
            format!("{version}, which is too old and is not used"),
            needed,
            install,
        ),
        answer => optional("werf", needed, install, answer),
    }
}

/// Where werf's own installer puts it.
fn trdl_werf(surroundings: &Surroundings) -> Option<PathBuf> {
    let home = surroundings.variable("HOME")?;
    let releases = Path::new(home).join(".trdl/repositories/werf/releases");
    let mut found: Vec<(Version, PathBuf)> = std::fs::read_dir(releases)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|release| Some((Version::find(&release.file_name().to_string_lossy())?, release.path())))
        .filter_map(|(version, release)| Some((version, binary_below(&release)?)))
        .collect();
    found.sort();
    found.pop().map(|(_, program)| program)
}

/// `<release>/<os>-<arch>/bin/werf`.
fn binary_below(release: &Path) -> Option<PathBuf> {
    let platforms = std::fs::read_dir(release).ok()?.flatten();
    platforms.map(|platform| platform.path().join("bin/werf")).find(|program| super::is_program(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_texts() {
        fn check(text: &str, expected: Option<Version>) {
            assert_eq!(Version::find(text), expected, "{text}");
        }
        check("git version 2.39.2 (Apple Git-143)", Some(Version(2, 39, 2)));
        check("git version 2.22.0.windows.1", Some(Version(2, 22, 0)));
        check("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", Some(Version(1, 32, 4)));
        check("v3.14.0+g3fc9f4b", Some(Version(3, 14, 0)));
        check("kind v0.33.0 go1.23 linux/amd64", Some(Version(0, 33, 0)));
        check("v2.65.4", Some(Version(2, 65, 4)));
        check("20.10", Some(Version(20, 10, 0)));
        check("error 7: no version", None);
    }

    #[test]
    fn git_is_the_only_one_that_is_needed() {
        fn check(answer: &Answer, expected: State) {
            assert_eq!(judge_git(answer).state, expected);
        }
        let version = Answer::Version;
        check(&Answer::Absent, State::Missing);
        check(&version(Version(2, 17, 9)), State::Missing);
        check(&version(Version(2, 18, 0)), State::Ok);
        check(&version(Version(2, 22, 0)), State::Missing);
        check(&version(Version(2, 22, 1)), State::Ok);
        assert_eq!(judge_werf(&version(Version(1, 2, 300))).state, State::Warning);
        assert_eq!(judge_werf(&version(Version(2, 52, 0))).state, State::Warning);
        assert_eq!(judge_werf(&version(Version(2, 53, 0))).state, State::Ok);
        assert_eq!(judge_werf(&Answer::Absent).state, State::Warning);
    }
}
