//! `tutorial author test`: proves every step of a course.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use serde_json::{Value, json};

use super::super::choose;
use super::reference;
use crate::args::AuthorTestArgs;
use crate::cluster::Cluster;
use crate::course::{Course, CourseReference, Severity, examine};
use crate::error::{Exit, Failure};
use crate::session::prove::{Findings, Share};
use crate::session::{Beginning, Host, Session, state};
use crate::workspace::progress::SandboxOptions;

/// More sessions at once do not make it quicker: each needs a core, and applies every solution.
const SESSIONS_MAX: usize = 4;
/// Below so many answers a second session does not pay.
const ANSWERS_PER_SESSION: usize = 8;

pub fn run(host: &Host, arguments: &AuthorTestArgs) -> Result<Exit, Failure> {
    let sandbox = arguments.sandbox.map_or("embedded", crate::args::Sandbox::name);
    let mut options = choose::options(host, &arguments.cluster, arguments.sandbox)?;
    // Not the name of the learner's own cluster.
    options.name = Some(format!("{CLUSTER}{}", std::process::id()));
    remove_leftovers(host);
    let mut outcomes = Vec::new();
    for argument in &arguments.courses {
        let reference = reference(host, argument);
        let examination = examine(&reference);
        if examination.diagnostics.count(Severity::Error) + examination.diagnostics.count(Severity::Warning) > 0 {
            host.ui.say_as_is(examination.diagnostics.render(host.ui.conversation_style().is_enabled()).trim_end());
        }
        let Some(course) = examination.course else {
            let missing = examination.diagnostics.is_about_what_is_missing();
            return Ok(if missing { Exit::Usage } else { Exit::Broken });
        };
        if arguments.sandbox == Some(crate::args::Sandbox::Existing) {
            choose::confirm_existing(host, &options, &course.sandbox.project, arguments.yes)?;
        }
        outcomes.push(test(host, arguments, &reference, &course, sandbox, &options)?);
    }
    if arguments.json {
        host.ui.line(&format!("{:#}", to_json(&outcomes, sandbox)));
    }
    Ok(if outcomes.iter().all(Outcome::passed) { Exit::Done } else { Exit::Broken })
}

/// What came of a course.
struct Outcome {
    course: String,
    /// How many steps it has.
    steps: usize,
    findings: Vec<Findings>,
    seconds: f64,
}

impl Outcome {
    fn passed(&self) -> bool {
        self.findings.len() == self.steps && self.findings.iter().all(Findings::passed)
    }
}

/// The documented form.
fn to_json(outcomes: &[Outcome], sandbox: &str) -> Value {
    let step = |findings: &Findings| {
        json!({
            "id": findings.id,
            "passed": findings.passed(),
            "failures": findings.failures,
            "seconds": (findings.seconds * 1000.0).round() / 1000.0,
        })
    };
    let course = |outcome: &Outcome| {
        json!({
            "course": outcome.course,
            "sandbox": sandbox,
            "steps": outcome.findings.iter().map(step).collect::<Vec<_>>(),
        })
    };
    json!({
        "passed": outcomes.iter().all(Outcome::passed),
        "courses": outcomes.iter().map(course).collect::<Vec<_>>(),
    })
}

/// What a session tells of its work.
enum Word {
    Found(Findings),
    Failed(Failure),
}

fn test(
    host: &Host,
    arguments: &AuthorTestArgs,
    reference: &CourseReference,
    course: &Course,
    sandbox: &str,
    options: &SandboxOptions,
) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let resets = sandbox == "embedded";
    let sessions = if resets { arguments.jobs.map_or_else(|| sessions_for(course), usize::from) } else { 1 };
    let home = scratch_directory()?;
    let style = host.ui.conversation_style();
    host.ui.say(&format!("{} on the sandbox `{sandbox}`", style.bold(&course.title)));
    let findings = std::thread::scope(|scope| {
        let (sender, words) = channel();
        for index in 0..sessions {
            let (sender, share) = (sender.clone(), Share { index, of: sessions, resets });
            let directory = home.path().join(format!("session-{index}"));
            let beginning = Beginning {
                reference: absolute(host, reference),
                directory: None,
                sandbox: Some(sandbox.to_owned()),
                options: options.clone(),
            };
            scope.spawn(move || play(host, &directory, &beginning, share, &sender));
        }
        drop(sender);
        collect(host, course, sessions, &words)
    })?;
    let outcome = Outcome {
        course: course.id.clone(),
        steps: course.steps().count(),
        findings,
        seconds: started.elapsed().as_secs_f64(),
    };
    summarise(host, course, &outcome);
    Ok(outcome)
}

/// As many sessions as there are cores, where the course has work for them.
fn sessions_for(course: &Course) -> usize {
    let answers: usize = course.steps().map(|(_, step)| step.wrongs.len() + step.alternatives.len()).sum();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.min(SESSIONS_MAX).min(1 + answers / ANSWERS_PER_SESSION)
}

fn absolute(host: &Host, reference: &CourseReference) -> CourseReference {
    match reference {
        CourseReference::Directory(path) => CourseReference::Directory(host.current_directory.join(path)),
        built_in @ CourseReference::BuiltIn(_) => built_in.clone(),
    }
}

/// One session, from its sandbox's start to its end.
fn play(host: &Host, directory: &Path, beginning: &Beginning, share: Share, words: &Sender<Word>) {
    let outcome = (|| {
        let home = directory.to_owned();
        let cannot = |error: std::io::Error| Failure::new("a session for the test cannot be made").caused_by(error);
        std::fs::create_dir_all(&home).map_err(cannot)?;
        let own = host.apart(home).map_err(cannot)?;
        let (mut session, _) = Session::begin(&own, beginning)?;
        session.sandbox.provision(&own);
        let played = session.prove(share, |findings| {
            let _ = words.send(Word::Found(findings));
        });
        let removed = own.block_on(session.sandbox.cluster().delete());
        played.and(removed.map_err(Failure::from))
    })();
    if let Err(failure) = outcome {
        let _ = words.send(Word::Failed(failure));
    }
}

/// Puts together what the sessions find, and tells each step when all of them are done with it.
fn collect(host: &Host, course: &Course, sessions: usize, words: &Receiver<Word>) -> Result<Vec<Findings>, Failure> {
    let mut open: BTreeMap<String, (usize, Findings)> = BTreeMap::new();
    let mut done: BTreeMap<String, Findings> = BTreeMap::new();
    let mut failed = None;
    let line = host.ui.progress("the sandbox is starting");
    for word in words {
        let findings = match word {
            Word::Failed(failure) => {
                failed.get_or_insert(failure);
                continue;
            }
            Word::Found(findings) => findings,
        };
        let id = findings.id.clone();
        let (told, merged) = open.entry(id.clone()).or_insert_with(|| (0, findings.clone()));
        if *told > 0 {
            merged.merge(findings);
        }
        *told += 1;
        if *told == sessions
            && let Some((_, merged)) = open.remove(&id)
        {
            done.insert(id, merged);
        }
        line.set(&format!("{} of {} steps", done.len(), course.steps().count()));
    }
    line.clear();
    // A session that failed has left steps behind that others found nothing wrong with.
    done.extend(
        open.into_iter().filter(|(_, (_, findings))| !findings.passed()).map(|(id, (_, findings))| (id, findings)),
    );
    if let (Some(failure), true) = (failed, done.values().all(Findings::passed)) {
        return Err(failure);
    }
    Ok(state::places(course).filter_map(|place| done.remove(place.id())).collect())
}

/// One line a step, and below it what is wrong.
fn summarise(host: &Host, course: &Course, outcome: &Outcome) {
    let ui = &host.ui;
    let style = ui.conversation_style();
    for findings in &outcome.findings {
        let sign = if findings.passed() { style.good("✓") } else { style.bad("✗") };
        let seconds = style.dim(&format!("{:.1} s", findings.seconds));
        let place = course.steps().find(|(_, step)| step.id.0 == findings.id && !findings.passed());
        let place = place.map(|(_, step)| style.dim(&format!(" {}", step.location))).unwrap_or_default();
        ui.say(&format!("{sign} {} {seconds}{place}", findings.id));
        for failure in &findings.failures {
            failure.lines().for_each(|line| ui.say(&format!("    {line}")));
        }
        if findings.passed() {
            for name in never_failing(course, findings) {
                ui.say(
                    &style.dim(&format!(
                        "    nothing shows that the check \"{name}\" can fail: add a wrong answer for it"
                    )),
                );
            }
        }
    }
    let passed = outcome.findings.iter().filter(|findings| findings.passed()).count();
    let sign = if outcome.passed() { style.good("✓") } else { style.bad("✗") };
    ui.say(&format!("{sign} {passed} of {} steps proven in {:.1} s", outcome.steps, outcome.seconds));
}

/// The checks of a step that passed whenever they were looked at.
fn never_failing(course: &Course, findings: &Findings) -> Vec<String> {
    let step = course.steps().map(|(_, step)| step).find(|step| step.id.0 == findings.id);
    let names = step.into_iter().flat_map(|step| &step.checks).map(|check| check.name.clone());
    names.filter(|name| !findings.seen_failing.contains(name)).collect()
}

const SCRATCH: &str = "tutorial-author-test-";
/// What a kind cluster is called that is there for a test only; the process's number follows.
const CLUSTER: &str = "tutorial-test-";

/// A directory for the sessions, which bears this process's number.
fn scratch_directory() -> Result<tempfile::TempDir, Failure> {
    let prefix = format!("{SCRATCH}{}-", std::process::id());
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir()
        .map_err(|error| Failure::new("there is no room for the test's workspaces").caused_by(error))
}

/// Removes what tests left that were killed; embedded sandboxes end when their workspaces vanish, others are deleted.
fn remove_leftovers(host: &Host) {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if owner(&name).is_some_and(|owner| !is_running(owner)) {
            for directory in clusters(&entry.path()) {
                let _ = host.block_on(Cluster::found_in(&directory, &name, 1.0).delete());
            }
            let _ = std::fs::remove_dir_all::<PathBuf>(entry.path());
        }
    }
}

/// Where a scratch directory's sandboxes lie that are not embedded: `session-0/COURSE/.tutorial/cluster`.
fn clusters(scratch: &Path) -> Vec<PathBuf> {
    let inside = |directory: &Path| {
        std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let workspaces = inside(scratch).into_iter().flat_map(|session| inside(&session));
    workspaces.map(|root| root.join(".tutorial/cluster")).filter(|directory| Cluster::is_noted(directory)).collect()
}

/// The process that a scratch directory belongs to.
fn owner(name: &str) -> Option<i32> {
    name.strip_prefix(SCRATCH)?.split('-').next()?.parse().ok()
}

fn is_running(process: i32) -> bool {
    let Some(process) = rustix::process::Pid::from_raw(process) else { return true };
    !matches!(rustix::process::test_kill_process(process), Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn scratch_directories_know_their_owner() {
        assert_eq!(owner("tutorial-author-test-123-aBc"), Some(123));
        assert_eq!(owner("tutorial-author-test-x"), None);
        assert_eq!(owner("something-else"), None);
    }
}
