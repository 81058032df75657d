//! The embedded werf agent: converge, plan, render, dismiss, rollback, lint, version, helm, from the commit.

/// Runs as `werf`; answers the exit code.
pub fn main(_arguments: &[String]) -> u8 {
    eprintln!("Error: the embedded werf is not available yet");
    1
}
