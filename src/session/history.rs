//! What was run in a workspace, a line for each deed: for the learner to read again, never read by the session itself.

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::{Host, Session};

/// A file that grew beyond this begins anew; the one before it is kept beside it.
const BYTES_MAX: u64 = 1 << 20;

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since 1970.
    pub at: i64,
    pub step: String,
    pub what: Deed,
    /// The commands, or the file's path.
    pub text: String,
}

/// How it came to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    /// The learner had the step's commands run.
    Ran,
    /// A solution ran.
    Solved,
    /// A file was written.
    Wrote,
    /// Git and cluster were put back.
    Restored,
}

impl Session<'_> {
    /// Keeps that something was done. That this fails keeps nobody from going on.
    pub(super) fn note(&self, what: Deed, text: &str) {
        let file = self.history_file();
        if std::fs::metadata(&file).is_ok_and(|about| about.len() > BYTES_MAX) {
            let _ = std::fs::rename(&file, file.with_extension("jsonl.1"));
        }
        let step = self.progress.current.clone();
        let entry = Entry { at: Host::now(), step, what, text: text.trim_end().to_owned() };
        let Ok(line) = serde_json::to_string(&entry) else { return };
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(file);
        let _ = opened.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    }

    /// What was done, in order. A line that a kill cut short is left out.
    pub fn history(&self) -> Vec<Entry> {
        let text = std::fs::read_to_string(self.history_file()).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn history_file(&self) -> std::path::PathBuf {
        self.workspace.directory().join("history.jsonl")
    }
}
