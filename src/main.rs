//! The binary: `tutorial`, and under the names `werf` and `kubectl` the embedded tools.

use std::process::ExitCode;

fn main() -> ExitCode {
    tutorial::commands::main()
}
