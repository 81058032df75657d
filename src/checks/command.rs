//! Commands and shell scripts: run in the repository, without a terminal, ended with all that they started.

use std::process::Stdio;
use std::time::Duration;

use regex::Regex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::Context;
use super::finding::{Expectation, Finding, conclude};
use crate::course::check::CommandProbe;

/// No command of a check runs longer.
const TIME_MAX: Duration = Duration::from_secs(30);
/// What is kept of an output; the rest is read and dropped.
const OUTPUT_MAX: usize = 64 * 1024;
/// How long an output may stay open after its command has ended: something in the background holds it.
const LINGER_MAX: Duration = Duration::from_millis(300);

/// What stands before a remedy in the output of a lesson's script.
const REMEDY_MARK: &str = "try: ";

/// How a command ended, and what it printed.
struct Outcome {
    ending: Ending,
    stdout: String,
    stderr: String,
}

enum Ending {
    Exit(i32),
    Signal(i32),
    TimeLimit,
}

/// Runs a command and compares its exit code and output.
pub async fn observe(probe: &CommandProbe, context: &Context) -> Finding {
    let wanted_exit = match (&probe.exit, &probe.stdout_matches, &probe.stderr_matches) {
        (None, None, None) => Some(0),
        (exit, _, _) => *exit,
    };
    let mut outcome = match run(&probe.run, context).await {
        Ok(outcome) => outcome,
        Err(error) => return no_shell(&error),
    };
    let observed = observation(&probe.run, &outcome);
    let remedy = take_remedy(&mut outcome);
    let exit = match outcome.ending {
        Ending::Exit(code) if matches!(code, 126 | 127) && wanted_exit != Some(code) => {
            return unfit(&outcome).observing(observed);
        }
        Ending::Exit(code) => code,
        Ending::Signal(_) | Ending::TimeLimit => return unfit(&outcome).observing(observed),
    };
    let mut expectations = Vec::new();
    if let Some(wanted) = wanted_exit {
        let expected = format!("`{}` to exit {wanted}", one_line(&probe.run));
        expectations.push(if exit == wanted {
            Expectation::met(expected, format!("it exits {exit}"))
        } else {
            let actual = printed(&outcome).map_or_else(|| format!("it exits {exit}"), str::to_owned);
            Expectation::unmet(expected, actual, "run it yourself, and read what it prints")
        });
    }
    let streams =
        [("prints", &probe.stdout_matches, &outcome.stdout), ("complains", &probe.stderr_matches, &outcome.stderr)];
    for (verb, pattern, text) in streams {
        let Some(pattern) = pattern else { continue };
        let expected = format!("`{}` to {} /{pattern}/", one_line(&probe.run), verb.trim_end_matches('s'));
        let Ok(regex) = Regex::new(pattern) else {
            return Finding::broken(expected, format!("/{pattern}/ is no regular expression"));
        };
        expectations.push(if regex.is_match(text.trim_end()) {
            Expectation::met(expected, "it does")
        } else {
            let actual = match last_line(text) {
                Some(line) => format!("it {verb} `{line}`"),
                None => format!("it {verb} nothing{}", said(&outcome)),
            };
            Expectation::unmet(expected, actual, "run it yourself, and read what it prints")
        });
    }
    conclude(&expectations).observing(observed).remedied_by(remedy)
}

/// Runs the author's script: exit 0 passed; 126, 127, a signal or the time limit: broken; else not yet.
pub async fn observe_script(script: &str, context: &Context) -> Finding {
    if script.trim().is_empty() {
        return Finding::broken("", "the script is empty");
    }
    let mut outcome = match run(script, context).await {
        Ok(outcome) => outcome,
        Err(error) => return no_shell(&error),
    };
    let observed = observation(script, &outcome);
    let remedy = take_remedy(&mut outcome);
    let finding = match outcome.ending {
        Ending::Exit(0) => Finding::passed("the lesson's script to succeed", "it does"),
        Ending::Exit(126 | 127) | Ending::Signal(_) | Ending::TimeLimit => unfit(&outcome),
        Ending::Exit(code) => {
            let printed = last_lines(&[outcome.stdout.as_str(), outcome.stderr.as_str()].concat(), 4);
            let actual = if printed.is_empty() { format!("it exits {code}") } else { printed };
            Finding::failed("the lesson's script to succeed", actual, "")
        }
    };
    finding.observing(observed).remedied_by(remedy)
}

/// The lines of the output that begin with `try: ` say what is to be tried; they are no part of what was found.
fn take_remedy(outcome: &mut Outcome) -> Option<String> {
    let (remedies, rest): (Vec<&str>, Vec<&str>) =
        outcome.stdout.lines().partition(|line| line.starts_with(REMEDY_MARK));
    if remedies.is_empty() {
        return None;
    }
    let remedy = remedies.iter().map(|line| line[REMEDY_MARK.len()..].trim()).collect::<Vec<_>>().join(" ");
    outcome.stdout = rest.join("\n");
    Some(remedy)
}

/// The command could not be run as meant: the author's fault.
fn unfit(outcome: &Outcome) -> Finding {
    let how = match outcome.ending {
        Ending::Exit(127) => "a command in it was not found".to_owned(),
        Ending::Exit(126) => "a command in it may not be run".to_owned(),
        Ending::Exit(code) => format!("it exits {code}"),
        Ending::Signal(number) => format!("it was ended by signal {number}"),
        Ending::TimeLimit => format!("it did not end within {} s", TIME_MAX.as_secs()),
    };
    Finding::broken("the lesson's command to run", format!("{how}{}", said(outcome)))
}

fn no_shell(error: &std::io::Error) -> Finding {
    Finding::unreachable(
        "the lesson's command to run",
        format!("sh could not be started: {error}"),
        "`tutorial doctor` says what is missing",
    )
}

fn observation(script: &str, outcome: &Outcome) -> Vec<String> {
    let ending = match outcome.ending {
        Ending::Exit(code) => format!("exit {code}"),
        Ending::Signal(number) => format!("signal {number}"),
        Ending::TimeLimit => "time limit".into(),
    };
    let mut lines: Vec<String> = script.trim().lines().map(|line| format!("$ {line}")).collect();
    for text in [&outcome.stdout, &outcome.stderr] {
        lines.extend(last_lines(text, 20).lines().map(str::to_owned));
    }
    lines.push(ending);
    lines
}

/// `: its last line`, of errors before output.
fn said(outcome: &Outcome) -> String {
    printed(outcome).map(|line| format!(": {line}")).unwrap_or_default()
}

/// The last line that was printed, of errors before output.
fn printed(outcome: &Outcome) -> Option<&str> {
    last_line(&outcome.stderr).or_else(|| last_line(&outcome.stdout))
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty())
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn one_line(script: &str) -> String {
    let mut lines = script.trim().lines();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() { format!("{first} …") } else { first.to_owned() }
}

async fn run(script: &str, context: &Context) -> std::io::Result<Outcome> {
    let mut child = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(&context.repository)
        .env_clear()
        .envs(context.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = ProcessGroup::of(&child);
    let stdout = tokio::spawn(read(child.stdout.take()));
    let stderr = tokio::spawn(read(child.stderr.take()));
    let ended = tokio::time::timeout(TIME_MAX, child.wait()).await;
    let ending = match &ended {
        Ok(status) => ending(status.as_ref().ok().copied()),
        Err(_) => Ending::TimeLimit,
    };
    // What the script left in the background may end by itself while its output is read; then it is ended.
    let outputs = async { (stdout.await.unwrap_or_default(), stderr.await.unwrap_or_default()) };
    tokio::pin!(outputs);
    let read_in_time = match ended {
        Ok(_) => tokio::time::timeout(LINGER_MAX, &mut outputs).await.ok(),
        Err(_) => None,
    };
    drop(group);
    let (stdout, stderr) = match read_in_time {
        Some(outputs) => outputs,
        None => tokio::time::timeout(LINGER_MAX, outputs).await.unwrap_or_default(),
    };
    Ok(Outcome { ending, stdout, stderr })
}

fn ending(status: Option<std::process::ExitStatus>) -> Ending {
    use std::os::unix::process::ExitStatusExt;
    match status {
        Some(status) => match (status.code(), status.signal()) {
            // A shell reports the signal of its last command in this way.
            (Some(code), _) if code > 128 && code < 128 + 65 => Ending::Signal(code - 128),
            (Some(code), _) => Ending::Exit(code),
            (None, signal) => Ending::Signal(signal.unwrap_or_default()),
        },
        None => Ending::Signal(0),
    }
}

/// Reads to the end, keeps the beginning.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut kept = Vec::new();
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(count) = stream.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        let room = OUTPUT_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Ends the whole group of a child when dropped.
struct ProcessGroup(Option<rustix::process::Pid>);

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_found_is_what_was_printed() {
        async fn check(script: &str, actual: &str, remedy: Option<&str>) {
            let directory = tempfile::tempdir().unwrap();
            let path = std::env::var("PATH").unwrap_or_default();
            let context = Context {
                repository: directory.path().to_owned(),
                had_repository: false,
                kubeconfig: None,
                environment: vec![("PATH".into(), path)],
            };
            let probe = CommandProbe { run: script.into(), exit: Some(0), ..CommandProbe::default() };
            for finding in [observe(&probe, &context).await, observe_script(script, &context).await] {
                assert_eq!(finding.state, super::super::State::Failed, "{script}: {finding:?}");
                assert_eq!(finding.actual, actual, "{script}");
                assert_eq!(finding.remedy.as_deref(), remedy, "{script}");
            }
        }
        check("test -x nothing", "it exits 1", None).await;
        check("echo nothing is there; exit 3", "nothing is there", None).await;
        check(
            "echo 'try: write it,'; echo it is empty; echo 'try: `now`'; false",
            "it is empty",
            Some("write it, `now`"),
        )
        .await;
        check("echo 'try: again'; exit 1", "it exits 1", Some("again")).await;
    }
}
