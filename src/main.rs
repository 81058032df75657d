//! The binary: `tutorial`, and under the names `werf` and `kubectl` the embedded tools.

use std::process::ExitCode;

/// The background process makes and drops many small objects on all its threads, where the C library's allocator waits
/// for itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tutorial::commands::main()
}
