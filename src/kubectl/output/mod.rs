//! What is printed: tables, YAML, JSON and what people pick out of them.

pub mod age;
pub mod columns;
pub mod json;
pub mod jsonpath;
pub mod table;
pub mod yaml;

use std::io::Write;

/// To stdout. A reader that has gone away is no error.
pub fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// A line to stdout.
pub fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// A line to stderr.
pub fn complain(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{text}");
}
