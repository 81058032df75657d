//! Runs a lesson's scripts as the learner would: through `sh`, in the repository, with the session's environment.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::ui::{Interruptions, end_group};

/// What git tells its hooks; a script that inherited it would act on another repository.
const GIT_LOCAL: [&str; 6] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"];

/// Written into a script's pipe after its end: before it stands all that the script itself has printed.
const END: &[u8] = b"\0the script has ended\0\n";
/// How often it is looked whether a script has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Where scripts run and what they see.
#[derive(Debug, Clone)]
pub struct Scene<'a> {
    pub directory: &'a Path,
    /// The learner's environment.
    pub inherited: &'a BTreeMap<String, String>,
    /// What the session adds to it.
    pub added: &'a [(String, String)],
    /// Ends what runs here with this process.
    pub interruptions: Option<&'a Interruptions>,
}

impl Scene<'_> {
    /// A command with the scene's directory and environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.inherited).current_dir(self.directory);
        for name in GIT_LOCAL {
            command.env_remove(name);
        }
        command.envs(self.added.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a script on the learner's own terminal.
    pub fn run(&self, script: &str) -> std::io::Result<ExitStatus> {
        self.command("sh").args(["-c", script]).status()
    }

    /// Runs a script that reads nothing; every line that it prints is handed over as it comes. It is ended
    /// when its time is over: then the answer is `None`.
    pub fn stream(
        &self,
        script: &str,
        limit: Duration,
        mut line: impl FnMut(&str),
    ) -> std::io::Result<Option<ExitStatus>> {
        let mut command = self.command("sh");
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let (reader, writer) = std::io::pipe()?;
        let mut child = command
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer.try_clone()?)
            .spawn()?;
        let ours = writer;
        let _owned = self.interruptions.map(|interruptions| interruptions.owns(child.id()));
        drop(command);
        let (sender, lines) = channel();
        std::thread::spawn(move || hand_over(reader, &sender));
        let deadline = Instant::now() + limit;
        let mut ours = Some(ours);
        loop {
            match lines.recv_timeout(LOOK) {
                Ok(text) => line(&text),
                Err(RecvTimeoutError::Disconnected) => break,
                // Something that the script left in the background may hold the pipe: the script's end counts, and
                // what it printed before.
                Err(RecvTimeoutError::Timeout) if ours.is_some() && child.try_wait()?.is_some() => {
                    if let Some(mut ours) = ours.take() {
                        ours.write_all(END)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                    end(&mut child);
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        child.wait().map(Some)
    }

    /// Runs a script that reads nothing and returns what it printed, both streams together.
    pub fn capture(&self, script: &str, limit: Duration) -> std::io::Result<(Option<ExitStatus>, String)> {
        let mut output = String::new();
        let status = self.stream(script, limit, |line| {
            output.push_str(line);
            output.push('\n');
        })?;
        Ok((status, output))
    }

    /// Runs a command whose standard output is a value.
    pub fn value(&self, script: &str) -> std::io::Result<(ExitStatus, String, String)> {
        let output = self.command("sh").args(["-c", script]).stdin(Stdio::null()).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Ok((output.status, text(&output.stdout), text(&output.stderr)))
    }
}

/// Hands over every line of a pipe, until it ends or [`END`] stands in it.
fn hand_over(reader: impl Read, sender: &Sender<String>) {
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader.by_ref().take(1024 * 1024).read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
        let is_last = bytes.ends_with(END);
        let text = bytes.strip_suffix(END).unwrap_or(&bytes);
        let is_told = !(is_last && text.is_empty());
        let text = String::from_utf8_lossy(text);
        if is_told && sender.send(text.trim_end_matches(['\n', '\r']).to_owned()).is_err() || is_last {
            return;
        }
        bytes.clear();
    }
}

/// Ends a script with all that it started.
fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        end_group(group);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// How a script ended, in words.
pub fn ending(status: Option<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status {
        None => "ran out of time".into(),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("ended by signal {signal}"),
            (None, None) => "ended".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene_run(script: &str, limit_ms: u64) -> (Option<i32>, String) {
        let directory = tempfile::tempdir().unwrap();
        let inherited = BTreeMap::from([
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("GIT_INDEX_FILE".to_owned(), "/elsewhere".to_owned()),
        ]);
        let added = [("PROJECT".to_owned(), "demo app".to_owned())];
        let scene = Scene { directory: directory.path(), inherited: &inherited, added: &added, interruptions: None };
        let (status, output) = scene.capture(script, Duration::from_millis(limit_ms)).unwrap();
        (status.and_then(|status| status.code()), output)
    }

    #[test]
    fn scripts_see_the_session_and_end_in_time() {
        fn check(script: &str, limit_ms: u64, expected: (Option<i32>, &str)) {
            let found = scene_run(script, limit_ms);
            assert_eq!((found.0, found.1.as_str()), expected, "{script}");
        }
        check("echo \"$PROJECT\"; echo err >&2; exit 3", 10_000, (Some(3), "demo app\nerr\n"));
        check("echo \"[$GIT_INDEX_FILE]\"", 10_000, (Some(0), "[]\n"));
        check("cat", 10_000, (Some(0), ""));
        check("printf 'no line end'", 10_000, (Some(0), "no line end\n"));
        check("echo start; sleep 60", 300, (None, "start\n"));
        check("sleep 60 & echo done", 10_000, (Some(0), "done\n"));
        check("false; echo on", 10_000, (Some(0), "on\n"));
    }
    #[test]
    fn all_that_was_printed_before_the_end_is_handed_over_and_nothing_behind_it() {
        fn check(printed: &str, expected: &[&str]) {
            let (sender, lines) = channel();
            let pipe = [printed.as_bytes(), END, b"from the background\n"].concat();
            hand_over(pipe.as_slice(), &sender);
            drop(sender);
            assert_eq!(lines.iter().collect::<Vec<_>>(), expected, "{printed:?}");
        }
        check("one\ntwo\n", &["one", "two"]);
        check("one\nno line end", &["one", "no line end"]);
        check("", &[]);
        check("\n", &[""]);
    }
}
