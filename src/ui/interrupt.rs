//! Ctrl-C and the terminal: whatever is going on, the cursor comes back and the modes are as they were.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Exit;

/// Listens for signals for the process's whole life. While a program of the learner's runs in the foreground,
/// Ctrl-C is for that program alone.
#[derive(Debug, Clone)]
pub struct Interruptions {
    foreground: Arc<AtomicUsize>,
}

impl Interruptions {
    /// Starts to listen on the runtime.
    pub fn listen(runtime: &tokio::runtime::Handle) -> Self {
        let interruptions = Self { foreground: Arc::default() };
        let foreground = Arc::clone(&interruptions.foreground);
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
            restore_terminal(modes.as_ref());
            std::process::exit(exit);
        });
        interruptions
    }

    /// Until the guard is dropped, Ctrl-C does not end this process.
    pub fn foreground(&self) -> ForegroundGuard {
        self.foreground.fetch_add(1, Ordering::SeqCst);
        ForegroundGuard { foreground: Arc::clone(&self.foreground) }
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
