//! `tutorial author`: for those who write courses.

mod check;
mod import;
mod new;
mod preview;
mod scripts;
mod test;

use crate::args::{AuthorArgs, AuthorCommand};
use crate::course::{CourseReference, built_in};
use crate::error::{Exit, Failure};
use crate::session::Host;

pub fn run(host: &Host, arguments: &AuthorArgs) -> Result<Exit, Failure> {
    match &arguments.command {
        AuthorCommand::New(arguments) => new::run(host, arguments),
        AuthorCommand::Check(arguments) => Ok(check::run(host, arguments)),
        AuthorCommand::Import(arguments) => import::run(host, arguments),
        AuthorCommand::Preview(arguments) => preview::run(host, arguments),
        AuthorCommand::Test(arguments) => test::run(host, arguments),
    }
}

/// Which course an author means: a directory, else a built-in course. Authors name directories on purpose, so here
/// they need no slash.
fn reference(host: &Host, argument: &str) -> CourseReference {
    let directory = host.current_directory.join(argument);
    if !directory.is_dir() && built_in().iter().any(|id| id == argument) {
        CourseReference::BuiltIn(argument.to_owned())
    } else {
        CourseReference::Directory(argument.into())
    }
}
