//! Commands in a node: as root, privileged, with what they say kept for whoever asks why one failed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;

use super::error::KindError;
use super::files::Log;

/// As many lines of a failed command's output go with its error.
const TAIL_LINES_MAX: usize = 30;
/// As much of a command's output is kept.
const OUTPUT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// For an engine or a node that hangs: kubeadm, the longest of what is run, gives up earlier.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(660);
/// An image that is fed to a node may be large, and the disk slow.
const FEED_TIME_MAX: Duration = Duration::from_secs(1800);
/// After its output has ended, a command's exit code may come a moment later.
const EXIT_TIME_MAX: Duration = Duration::from_secs(10);
const EXIT_PAUSE: Duration = Duration::from_millis(20);

/// A node to run commands in.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub docker: &'a Docker,
    pub container: &'a str,
}

impl Node<'_> {
    /// Runs a shell script and returns what it writes to stdout. `called` is its name in the log and in an error;
    /// `environment` is `NAME=value`.
    pub async fn script(
        &self,
        called: &str,
        script: &str,
        environment: Vec<String>,
        log: Option<&Log>,
    ) -> Result<String, KindError> {
        let command = vec!["bash".to_owned(), "-c".to_owned(), script.to_owned()];
        let run = self.run(called, command, environment, None::<futures_util::stream::Empty<_>>, log);
        self.within(called, COMMAND_TIME_MAX, run).await
    }

    /// Runs a shell script that nobody waits for.
    pub async fn detach(&self, called: &str, script: &str) -> Result<(), KindError> {
        let doing = || KindError::docker(format!("run `{called}` in {}", self.container));
        let options = CreateExecOptions {
            privileged: Some(true),
            user: Some("0".to_owned()),
            cmd: Some(vec!["bash".to_owned(), "-c".to_owned(), script.to_owned()]),
            ..CreateExecOptions::default()
        };
        let exec = self.docker.create_exec(self.container, options).await.map_err(doing())?;
        let detached = StartExecOptions { detach: true, ..StartExecOptions::default() };
        self.docker.start_exec(&exec.id, Some(detached)).await.map_err(doing()).map(drop)
    }

    /// Runs a command that reads `input`.
    pub async fn feed(
        &self,
        called: &str,
        command: Vec<String>,
        input: impl Stream<Item = Result<Bytes, KindError>> + Send,
    ) -> Result<String, KindError> {
        self.within(called, FEED_TIME_MAX, self.run(called, command, Vec::new(), Some(input), None)).await
    }

    async fn within<T>(
        &self,
        called: &str,
        time_max: Duration,
        run: impl Future<Output = Result<T, KindError>>,
    ) -> Result<T, KindError> {
        let what = || format!("`{called}` in {}", self.container);
        let slow = |_| KindError::Slow { what: what(), seconds: time_max.as_secs() };
        tokio::time::timeout(time_max, run).await.map_err(slow)?
    }

    /// The exit code of a command whose output has ended.
    async fn exit_code(&self, exec: &str, called: &str) -> Result<i64, KindError> {
        let doing = || KindError::docker(format!("say how `{called}` in {} ended", self.container));
        let deadline = Instant::now() + EXIT_TIME_MAX;
        loop {
            let about = self.docker.inspect_exec(exec).await.map_err(doing())?;
            match about.exit_code {
                Some(code) if about.running != Some(true) => return Ok(code),
                _ if Instant::now() > deadline => {
                    let what = format!("the end of `{called}` in {}", self.container);
                    return Err(KindError::Slow { what, seconds: EXIT_TIME_MAX.as_secs() });
                }
                _ => tokio::time::sleep(EXIT_PAUSE).await,
            }
        }
    }

    async fn run(
        &self,
        called: &str,
        command: Vec<String>,
        environment: Vec<String>,
        input: Option<impl Stream<Item = Result<Bytes, KindError>> + Send>,
        log: Option<&Log>,
    ) -> Result<String, KindError> {
        let doing = || KindError::docker(format!("run `{called}` in {}", self.container));
        let options = CreateExecOptions {
            attach_stdin: Some(input.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            privileged: Some(true),
            user: Some("0".to_owned()),
            env: (!environment.is_empty()).then_some(environment),
            cmd: Some(command),
            ..CreateExecOptions::default()
        };
        let exec = self.docker.create_exec(self.container, options).await.map_err(doing())?;
        let started = self.docker.start_exec(&exec.id, Some(StartExecOptions::default())).await.map_err(doing())?;
        let StartExecResults::Attached { output, input: mut stdin } = started else {
            return Err(KindError::NodeImage { what: "shell" });
        };
        let hear = async {
            let (mut output, mut heard) = (output, Heard::default());
            while let Some(chunk) = output.next().await {
                heard.add(&chunk.map_err(doing())?, log);
            }
            Ok::<Heard, KindError>(heard)
        };
        let feed = async {
            if let Some(input) = input {
                let mut input = std::pin::pin!(input);
                while let Some(chunk) = input.next().await {
                    // A command that ended reads no more; its exit code tells why.
                    if stdin.write_all(&chunk?).await.is_err() {
                        break;
                    }
                }
                let _ = stdin.shutdown().await;
            }
            Ok::<(), KindError>(())
        };
        // Both at once, since a pipe that nobody empties stops the other; and the writer ends with the output.
        let (mut hear, mut feed) = (std::pin::pin!(hear), std::pin::pin!(feed));
        let heard = tokio::select! {
            heard = &mut hear => heard?,
            fed = &mut feed => { fed?; hear.await? }
        };
        let code = self.exit_code(&exec.id, called).await?;
        if code == 0 {
            return Ok(String::from_utf8_lossy(&heard.stdout).into_owned());
        }
        Err(KindError::Command {
            container: self.container.to_owned(),
            command: called.to_owned(),
            code,
            tail: heard.tail.into(),
        })
    }
}

#[derive(Default)]
struct Heard {
    stdout: Vec<u8>,
    tail: VecDeque<String>,
}

impl Heard {
    fn add(&mut self, chunk: &LogOutput, log: Option<&Log>) {
        let bytes = chunk.as_ref();
        for line in String::from_utf8_lossy(bytes).lines().filter(|line| !line.trim().is_empty()) {
            if let Some(log) = log {
                log.line(line);
            }
            self.tail.push_back(line.to_owned());
            if self.tail.len() > TAIL_LINES_MAX {
                self.tail.pop_front();
            }
        }
        let is_stdout = matches!(chunk, LogOutput::StdOut { .. } | LogOutput::Console { .. });
        if is_stdout && self.stdout.len() < OUTPUT_BYTES_MAX {
            self.stdout.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::engine::played::Played;

    #[tokio::test]
    async fn an_exit_code_that_comes_late_is_waited_for() {
        let looks = AtomicUsize::new(0);
        let played = Played::start(move |_| {
            let body = match looks.fetch_add(1, Ordering::Relaxed) {
                0 => r#"{"Running":true,"ExitCode":null}"#,
                1 => r#"{"Running":false,"ExitCode":null}"#,
                _ => r#"{"Running":false,"ExitCode":3}"#,
            };
            (200, body.to_owned())
        });
        let engine = played.engine().await;
        let node = Node { docker: &engine.docker, container: "n" };
        assert_eq!(node.exit_code("e", "true").await.expect("it ended"), 3);
        assert_eq!(played.asked(), ["GET /exec/e/json"; 3]);
    }
}
