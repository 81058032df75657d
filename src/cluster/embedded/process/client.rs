//! Starting, finding and ending the background process.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::files::Files;
use super::{ProcessError, Reported, journal};
use crate::cluster::{ClusterSpec, Connection};

/// The process that answers now; `running.json`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Running {
    pub process: u32,
    /// Of the program that serves.
    pub version: String,
    /// The program's length, which tells builds of one version apart.
    pub program_bytes: u64,
    pub spec: ClusterSpec,
    pub connection: Connection,
}

/// Whether a cluster's process runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    Running { process: u32, version: String, connection: Connection },
    Stopped,
}

/// A start takes a fraction of a second; a machine that is out of breath gets this long.
const START_TIME_MAX: Duration = Duration::from_secs(20);
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(2);

/// The version that takes part in the handshake.
pub(super) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

pub(super) fn program_bytes(program: &Path) -> u64 {
    std::fs::metadata(program).map_or(0, |metadata| metadata.len())
}

/// Starts the background process where it is not running (or is another build of this program, or was asked to be
/// another cluster) and returns when it answers. `program` is this binary.
pub async fn ensure_running(spec: &ClusterSpec, program: &Path) -> Result<Connection, ProcessError> {
    let files = Files::new(&spec.directory);
    let spec = ClusterSpec { directory: files.directory().to_owned(), ..spec.clone() };
    let fits = |running: &Running| {
        running.version == version() && running.program_bytes == program_bytes(program) && running.spec == spec
    };
    if let Some(running) = answering(&files).filter(fits) {
        return Ok(running.connection);
    }
    files.create()?;
    let deadline = Instant::now() + START_TIME_MAX;
    let _starting = lock_start(&files, deadline).await?;
    if let Some(running) = answering(&files)
        && fits(&running)
    {
        return Ok(running.connection);
    }
    end(&files).await?;
    files.remove("failure.json")?;
    files.write("spec.json", &spec)?;
    let mut child = spawn(&files, program)?;
    let outcome = wait_until_answering(&files, &mut child, deadline).await;
    // A process that ends while we still run is waited for, so that it does not stay as a zombie.
    std::thread::spawn(move || child.wait());
    outcome
}

/// Whether the process of a directory runs, and how to reach it.
pub fn status(directory: &Path) -> Status {
    answering(&Files::new(directory)).map_or(Status::Stopped, |running| Status::Running {
        process: running.process,
        version: running.version,
        connection: running.connection,
    })
}

/// Ends the background process of a directory, if it runs. Nothing that was acknowledged is lost.
pub async fn stop(directory: &Path) -> Result<(), ProcessError> {
    let files = Files::new(directory);
    if !files.path("lock").exists() {
        return Ok(());
    }
    let _starting = lock_start(&files, Instant::now() + START_TIME_MAX).await?;
    end(&files).await
}

/// The process that answers now. The lock tells that it lives, without asking it.
pub(super) fn answering(files: &Files) -> Option<Running> {
    let running: Running = files.read("running.json").ok()??;
    (files.is_locked("lock") && is_alive(running.process)).then_some(running)
}

fn is_alive(process: u32) -> bool {
    pid(process).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

fn pid(process: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process).ok()?)
}

async fn lock_start(files: &Files, deadline: Instant) -> Result<std::fs::File, ProcessError> {
    loop {
        if let Some(lock) = files.try_lock("start.lock")? {
            return Ok(lock);
        }
        if Instant::now() > deadline {
            return Err(ProcessError::Silent { seconds: START_TIME_MAX.as_secs(), log: files.path("log") });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn spawn(files: &Files, program: &Path) -> Result<Child, ProcessError> {
    let log = || journal::open(files.directory()).map_err(ProcessError::write(&files.path("log")));
    Command::new(program)
        .args(["cluster", "serve", "--directory"])
        .arg(files.directory())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log()?)
        .stderr(log()?)
        // Its allocator's: pages of 2 MiB, of which each thread uses a corner, cost a third of what it occupies.
        .env("MIMALLOC_ALLOW_THP", "0")
        .spawn()
        .map_err(|source| ProcessError::Spawn { program: program.to_owned(), source })
}

async fn wait_until_answering(files: &Files, child: &mut Child, deadline: Instant) -> Result<Connection, ProcessError> {
    loop {
        if let Some(running) = answering(files).filter(|running| running.process == child.id()) {
            return Ok(running.connection);
        }
        if let Ok(Some(ended)) = child.try_wait() {
            if let Ok(Some(reported)) = files.read::<Reported>("failure.json") {
                return Err(ProcessError::Failed(reported));
            }
            let ending = match (ended.code(), ended.signal()) {
                (Some(code), _) => format!("exit code {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => ended.to_string(),
            };
            return Err(ProcessError::Ended { ending, log: files.path("log") });
        }
        if Instant::now() > deadline {
            return Err(ProcessError::Silent { seconds: START_TIME_MAX.as_secs(), log: files.path("log") });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Ends whoever serves: asks first, then kills, which costs no data either.
async fn end(files: &Files) -> Result<(), ProcessError> {
    for signal in [Signal::TERM, Signal::KILL] {
        let deadline = Instant::now() + STOP_TIME_MAX;
        let mut told = None;
        while files.is_locked("lock") {
            let holder = holder(files);
            if holder != told {
                holder.and_then(pid).map(|pid| rustix::process::kill_process(pid, signal));
                told = holder;
            }
            if Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
    }
    if files.is_locked("lock") {
        return Err(ProcessError::Unstoppable { process: holder(files).unwrap_or(0) });
    }
    files.remove("running.json")
}

/// The process that wrote its number into the lock that it holds.
fn holder(files: &Files) -> Option<u32> {
    std::fs::read_to_string(files.path("lock")).ok()?.trim().parse().ok()
}
