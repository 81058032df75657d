//! One file per command; this one parses and dispatches.

mod answer;
mod author;
mod choose;
mod cluster;
mod cluster_serve;
mod completions;
mod doctor;
mod env;
mod help;
mod history;
mod list;
mod moves;
mod open;
mod remove;
mod report;
mod reset;
mod shell;
mod start;
mod status;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Args, AuthorCommand, Command};
use crate::error::{Exit, Failure};
use crate::session::Host;

/// Runs the program under the name it was called by.
pub fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let called = words.next().map(std::path::PathBuf::from).unwrap_or_default();
    let arguments = || std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    match called.file_name().and_then(|name| name.to_str()) {
        Some("werf") => ExitCode::from(crate::agent::main(&arguments())),
        Some("kubectl") => ExitCode::from(crate::kubectl::main(&arguments())),
        _ => {
            let arguments: Vec<std::ffi::OsString> = words.collect();
            cluster_serve::dispatch(&arguments).unwrap_or_else(tutorial)
        }
    }
}

fn tutorial() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage } else { Exit::Done });
        }
    };
    let host = match Host::of_this_process() {
        Ok(host) => host,
        Err(error) => {
            eprintln!("error: the process could not look around\ncaused by: {error}");
            return ExitCode::from(Exit::NotYet);
        }
    };
    let exit = match run(&host, args) {
        Ok(exit) => exit,
        Err(failure) => {
            host.ui.failure(&failure);
            failure.exit
        }
    };
    // Tasks that still run in the background have nothing to finish.
    host.runtime.shutdown_background();
    ExitCode::from(exit)
}

fn run(host: &Host, args: Args) -> Result<Exit, Failure> {
    let Some(command) = args.command else {
        host.ui.data(&Args::command().render_help().to_string());
        return Ok(Exit::Done);
    };
    if works_with_git(&command) {
        doctor::require_git(host)?;
    }
    match command {
        Command::Start(arguments) => start::run(host, &arguments),
        Command::Verify(arguments) => verify::run(host, &arguments),
        Command::Status(arguments) => status::run(host, &arguments),
        Command::Next(arguments) => moves::next(host, &arguments),
        Command::Back(arguments) => moves::back(host, &arguments),
        Command::Goto(arguments) => moves::goto(host, &arguments),
        Command::Skip(arguments) => moves::skip(host, &arguments),
        Command::Hint(arguments) => help::hint(host, &arguments),
        Command::Solve(arguments) => help::solve(host, &arguments),
        Command::Run(arguments) => help::run(host, &arguments),
        Command::Answer(arguments) => answer::run(host, &arguments),
        Command::Reset(arguments) => reset::reset(host, &arguments),
        Command::Undo(arguments) => reset::undo(host, &arguments),
        Command::History(arguments) => history::run(host, &arguments),
        Command::Report(arguments) => report::run(host, &arguments),
        Command::Shell(arguments) => shell::run(host, &arguments),
        Command::Env(arguments) => env::run(host, &arguments),
        Command::Open(arguments) => open::run(host, &arguments),
        Command::List(arguments) => list::run(host, &arguments),
        Command::Doctor(arguments) => doctor::run(host, &arguments),
        Command::Cluster(arguments) => cluster::run(host, &arguments),
        Command::Stop(arguments) => remove::stop(host, &arguments),
        Command::Remove(arguments) => remove::remove(host, &arguments),
        Command::Author(arguments) => author::run(host, &arguments),
        Command::Completions(arguments) => Ok(completions::run(host, &arguments)),
    }
}

/// Asks before something is done for the learner. Ctrl-C is an answer too, and what it leaves is said.
fn confirmed(host: &Host, question: &str) -> Result<bool, Failure> {
    let _words = host.interruptions.last_words("interrupted; nothing was changed");
    // The signal of a Ctrl-C arrives behind the prompt's answer and ends the process, with these words.
    host.ui.confirm(question, true).map_err(|cancelled| {
        std::thread::sleep(SIGNAL_TIME_MAX);
        cancelled.into()
    })
}

/// How long the signal of a Ctrl-C that a prompt has seen may take to arrive.
const SIGNAL_TIME_MAX: std::time::Duration = std::time::Duration::from_millis(500);

/// Whether a command acts on the learner's repository, or looks at it.
fn works_with_git(command: &Command) -> bool {
    match command {
        Command::Start(_)
        | Command::Verify(_)
        | Command::Next(_)
        | Command::Goto(_)
        | Command::Skip(_)
        | Command::Solve(_)
        | Command::Run(_) => true,
        Command::Author(arguments) => matches!(arguments.command, AuthorCommand::Test(_)),
        _ => false,
    }
}
