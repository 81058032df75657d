//! A container's log: the last lines that it wrote, bounded.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

/// A log keeps at most this many bytes.
const BYTES_MAX: usize = 256 * 1024;

/// One line with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub time: Timestamp,
    pub text: String,
    /// Lines are numbered from 0, for readers that follow.
    pub number: u64,
}

/// A bounded log that can be followed.
#[derive(Debug)]
pub struct Log {
    lines: Mutex<Lines>,
    written: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<Line>,
    bytes: usize,
    next: u64,
    ended: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { lines: Mutex::default(), written: watch::Sender::new(0) }
    }
}

impl Log {
    pub fn write(&self, text: &str, time: Timestamp) {
        let next = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            for text in text.trim_end_matches('\n').split('\n') {
                let number = lines.next;
                lines.next += 1;
                lines.bytes += text.len();
                lines.kept.push_back(Line { time, text: text.to_owned(), number });
            }
            while lines.bytes > BYTES_MAX {
                let Some(line) = lines.kept.pop_front() else { break };
                lines.bytes -= line.text.len();
            }
            lines.next
        };
        self.written.send_replace(next);
    }

    /// The container has ended: nothing more comes.
    pub fn end(&self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.written.send_modify(|_| {});
    }

    /// The lines from `number` on, and whether more may come.
    pub fn from(&self, number: u64) -> (Vec<Line>, bool) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        (lines.kept.iter().filter(|line| line.number >= number).cloned().collect(), !lines.ended)
    }

    /// Told of each write.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }
}
