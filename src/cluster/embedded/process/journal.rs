//! The background process's log: a file that never grows beyond its bound.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const LENGTH_MAX: u64 = 1 << 20;

/// Opens the log to append to it; one that has grown long becomes `log.1` first.
pub fn open(directory: &Path) -> std::io::Result<File> {
    let path = directory.join("log");
    if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LENGTH_MAX / 2) {
        let _ = std::fs::rename(&path, directory.join("log.1"));
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Appends one line with the time. A log that cannot be written to stops nobody.
pub fn write(directory: &Path, message: &str) {
    let Ok(mut file) = OpenOptions::new().append(true).open(directory.join("log")) else { return };
    if file.metadata().is_ok_and(|metadata| metadata.len() > LENGTH_MAX) {
        let _ = file.set_len(0);
    }
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
    let _ = writeln!(file, "{now} {message}");
}
