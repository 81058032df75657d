//! One file per command; this one parses and dispatches.

use std::process::ExitCode;

/// Runs the program under the name it was called by.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
