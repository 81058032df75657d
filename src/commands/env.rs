//! `tutorial env`: the session's environment, for `eval`.

use crate::args::WorkspaceArgs;
use crate::error::{Exit, Failure};
use crate::session::{Host, Session};
use crate::workspace::environment::export_lines;

pub fn run(host: &Host, arguments: &WorkspaceArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, arguments)?;
    let environment = session.ready_environment()?;
    host.ui.data(&export_lines(&environment));
    Ok(Exit::Done)
}
