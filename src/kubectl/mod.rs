//! The built-in kubectl, for machines that have none.

/// Runs as `kubectl`; answers the exit code.
pub fn main(_arguments: &[String]) -> u8 {
    eprintln!("error: the built-in kubectl is not available yet");
    1
}
