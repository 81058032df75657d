//! One file per command; this one parses and dispatches.

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;

/// Runs the program under the name it was called by.
pub fn main() -> ExitCode {
    let _ = Args::parse();
    ExitCode::SUCCESS
}
