//! `tutorial completions`: a completion script for the learner's shell.

use clap::CommandFactory;

use crate::args::{Args, CompletionsArgs};
use crate::error::Exit;
use crate::session::Host;

pub fn run(host: &Host, arguments: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Args::command(), "tutorial", &mut script);
    host.ui.data(&String::from_utf8_lossy(&script));
    Exit::Done
}
