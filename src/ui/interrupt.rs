//! Ctrl-C and the terminal: whatever is going on, the cursor comes back and the modes are as they were.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Exit;

/// Listens for signals for the process's whole life. While a program of the learner's runs in the foreground,
/// Ctrl-C is for that program alone.
#[derive(Debug, Clone)]
pub struct Interruptions {
    foreground: Arc<AtomicUsize>,
    /// The process groups that end with this process.
    groups: Groups,
    catching: Arc<Catching>,
    /// What is said when this process is interrupted.
    last_words: Arc<Mutex<Option<String>>>,
}

/// Whether somebody wants to go on after Ctrl-C, and whether it was pressed.
#[derive(Debug, Default)]
struct Catching {
    wanted: AtomicUsize,
    happened: AtomicBool,
}

type Groups = Arc<Mutex<BTreeSet<i32>>>;

impl Interruptions {
    /// Starts to listen on the runtime.
    pub fn listen(runtime: &tokio::runtime::Handle) -> Self {
        let interruptions = Self {
            foreground: Arc::default(),
            groups: Arc::default(),
            catching: Arc::default(),
            last_words: Arc::default(),
        };
        let (foreground, groups) = (Arc::clone(&interruptions.foreground), Arc::clone(&interruptions.groups));
        let (catching, last_words) = (Arc::clone(&interruptions.catching), Arc::clone(&interruptions.last_words));
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
                    _ = interrupt.recv() => {
                        if foreground.load(Ordering::SeqCst) > 0 {
                            continue;
                        }
                        if catching.wanted.load(Ordering::SeqCst) == 0 {
                            break Exit::Interrupted as i32;
                        }
                        catching.happened.store(true, Ordering::SeqCst);
                        end_groups(&groups);
                    }
                    _ = terminate.recv() => break 128 + 15,
                    _ = hangup.recv() => break 128 + 1,
                }
            };
            end_groups(&groups);
            restore_terminal(modes.as_ref());
            if exit == Exit::Interrupted as i32
                && let Some(words) = &*last_words.lock().unwrap_or_else(PoisonError::into_inner)
            {
                let _ = writeln!(std::io::stderr(), "{words}");
            }
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

    /// Until the guard is dropped, Ctrl-C ends what runs for this process, not the process itself.
    pub fn catch(&self) -> CatchGuard {
        self.catching.happened.store(false, Ordering::SeqCst);
        self.catching.wanted.fetch_add(1, Ordering::SeqCst);
        CatchGuard { catching: Arc::clone(&self.catching) }
    }

    /// Whether Ctrl-C was pressed since the catching began.
    pub fn was_caught(&self) -> bool {
        self.catching.happened.load(Ordering::SeqCst)
    }

    /// Returns once Ctrl-C was pressed while it is caught.
    pub async fn caught(&self) {
        while !self.was_caught() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Until the guard is dropped, these are the last words where Ctrl-C ends this process.
    pub fn last_words(&self, words: impl Into<String>) -> WordsGuard {
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = Some(words.into());
        WordsGuard { last_words: Arc::clone(&self.last_words) }
    }

    /// Until the guard is dropped, Ctrl-C does not end this process.
    pub fn foreground(&self) -> ForegroundGuard {
        self.foreground.fetch_add(1, Ordering::SeqCst);
        ForegroundGuard { foreground: Arc::clone(&self.foreground) }
    }
}

/// How often who is to be stopped by Ctrl-C looks for it.
const LOOK: std::time::Duration = std::time::Duration::from_millis(30);

/// See [`Interruptions::catch`].
#[derive(Debug)]
pub struct CatchGuard {
    catching: Arc<Catching>,
}

impl Drop for CatchGuard {
    fn drop(&mut self) {
        self.catching.wanted.fetch_sub(1, Ordering::SeqCst);
        self.catching.happened.store(false, Ordering::SeqCst);
    }
}

/// See [`Interruptions::last_words`].
#[derive(Debug)]
pub struct WordsGuard {
    last_words: Arc<Mutex<Option<String>>>,
}

impl Drop for WordsGuard {
    fn drop(&mut self) {
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = None;
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

fn end_groups(groups: &Groups) {
    for group in groups.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        end_group(*group);
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
