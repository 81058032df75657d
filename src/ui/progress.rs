//! One line that moves while something goes on in the background, and leaves no trace of itself but its end.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Style;

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME: Duration = Duration::from_millis(90);

/// A line on stderr that shows something going on. Dropping it clears the line.
#[derive(Debug)]
pub struct ProgressLine {
    painter: Option<(Sender<String>, JoinHandle<()>)>,
}

impl ProgressLine {
    pub(super) fn start(drawn: bool, style: Style, width: usize, text: &str) -> Self {
        if !drawn {
            return Self { painter: None };
        }
        let (sender, receiver) = channel::<String>();
        let mut text = text.to_owned();
        let painter = std::thread::spawn(move || {
            let mut stderr = std::io::stderr();
            for frame in FRAMES.iter().cycle() {
                let shown = console::truncate_str(&text, width.saturating_sub(4), "…");
                let _ = write!(stderr, "\r\x1b[?25l\x1b[K{} {shown}", style.accent(frame));
                let _ = stderr.flush();
                match receiver.recv_timeout(FRAME) {
                    Ok(next) => text = next,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            let _ = write!(stderr, "\r\x1b[K\x1b[?25h");
            let _ = stderr.flush();
        });
        Self { painter: Some((sender, painter)) }
    }

    /// Says something else on the line.
    pub fn set(&self, text: &str) {
        if let Some((sender, _)) = &self.painter {
            let _ = sender.send(text.to_owned());
        }
    }

    /// Clears the line and returns when that is done.
    pub fn clear(self) {
        drop(self);
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if let Some((sender, painter)) = self.painter.take() {
            drop(sender);
            let _ = painter.join();
        }
    }
}
