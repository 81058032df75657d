//! The two hidden commands of `tutorial cluster`, which programs call and people do not: `serve`, the background
//! process itself, and `credential`, which kubeconfigs name. They are told apart before the command line is parsed:
//! kubectl waits for the credential at each of its own starts.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::cluster::embedded::process::{self, ProcessError};
use crate::error::{Exit, Failure};

/// Carries out one of the two commands; `None` where the arguments are something else.
pub fn dispatch(arguments: &[OsString]) -> Option<ExitCode> {
    let words: Vec<&str> = arguments.iter().map_while(|word| word.to_str()).collect();
    let done = match (words.get(..3)?, arguments.get(3)?, &words[4.min(words.len())..]) {
        (["cluster", "serve", "--directory"], directory, []) => process::serve(Path::new(directory)),
        (["cluster", "credential", "--directory"], directory, []) => credential(Path::new(directory), false),
        (["cluster", "credential", "--directory"], directory, ["--read-only"]) => {
            credential(Path::new(directory), true)
        }
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::from(Exit::Done),
        Err(error) => {
            let failure = Failure::from(error);
            let _ = std::io::stderr().write_all(failure.render().as_bytes());
            ExitCode::from(failure.exit)
        }
    })
}

fn credential(directory: &Path, read_only: bool) -> Result<(), ProcessError> {
    let program = std::env::current_exe().map_err(ProcessError::Runtime)?;
    let mut credential = process::credential(directory, read_only, &program)?;
    credential.push('\n');
    std::io::stdout().write_all(credential.as_bytes()).map_err(ProcessError::Runtime)
}
