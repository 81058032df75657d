//! Ctrl-C and the terminal: whatever is going on, the cursor comes back and the modes are as they were.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Exit;

/// Listens for signals for the process's whole life. While a program of the learner's runs in the foreground,
/// Ctrl-C is for that program alone.
#[derive(Debug, Clone)]
pub struct Interruptions {
    foreground: Arc<AtomicUsize>,
    /// The process groups that end with this process.
    groups: Groups,
}

type Groups = Arc<Mutex<BTreeSet<i32>>>;

impl Interruptions {
    /// Starts to listen on the runtime.
    pub fn listen(runtime: &tokio::runtime::Handle) -> Self {
        let interruptions = Self { foreground: Arc::default(), groups: Arc::default() };
        let (foreground, groups) = (Arc::clone(&interruptions.foreground), Arc::clone(&interruptions.groups));
        let modes = rustix::termios::tcgetattr(std::io::stdin()).ok();
        runtime.spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
            else {
                return;
            };
            let exit = loop {
                tokio::select! {
                    _ = interrupt.recv() => if foreground.load(Ordering::SeqCst) == 0 { break Exit::Interrupted as i32 },
                    _ = terminate.recv() => break 128 + 15,
                    _ = hangup.recv() => break 128 + 1,
                }
            };
            for group in groups.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                end_group(*group);
            }
            restore_terminal(modes.as_ref());
            std::process::exit(exit);
        });
        interruptions
    }

    /// Until the guard is dropped, the process group of this leader ends when this process is interrupted.
    pub fn owns(&self, leader: u32) -> GroupGuard {
        let group = i32::try_from(leader).ok();
        if let Some(group) = group {
            self.groups.lock().unwrap_or_else(PoisonError::into_inner).insert(group);
        }
        GroupGuard { group, groups: Arc::clone(&self.groups) }
    }

    /// Until the guard is dropped, Ctrl-C does not end this process.
    pub fn foreground(&self) -> ForegroundGuard {
        self.foreground.fetch_add(1, Ordering::SeqCst);
        ForegroundGuard { foreground: Arc::clone(&self.foreground) }
    }
}

/// See [`Interruptions::owns`].
#[derive(Debug)]
pub struct GroupGuard {
    group: Option<i32>,
    groups: Groups,
}

impl Drop for GroupGuard {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            self.groups.lock().unwrap_or_else(PoisonError::into_inner).remove(&group);
        }
    }
}

/// Ends every process of a group.
pub fn end_group(group: i32) {
    if let Some(group) = rustix::process::Pid::from_raw(group) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// See [`Interruptions::foreground`].
#[derive(Debug)]
pub struct ForegroundGuard {
    foreground: Arc<AtomicUsize>,
}

impl Drop for ForegroundGuard {
    fn drop(&mut self) {
        self.foreground.fetch_sub(1, Ordering::SeqCst);
    }
}

fn restore_terminal(modes: Option<&rustix::termios::Termios>) {
    if let Some(modes) = modes {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Drain, modes);
    }
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // Shows the cursor, ends any colour, clears what a progress line left.
        let _ = stderr.write_all(b"\x1b[0m\x1b[?25h\r\x1b[K\n");
    }
}
