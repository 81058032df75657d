//! `tutorial shell`: the learner's shell, with the sandbox in its environment.

use crate::args::WorkspaceArgs;
use crate::error::{Exit, Failure};
use crate::session::{Host, Session};

pub fn run(host: &Host, arguments: &WorkspaceArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, arguments)?;
    if host.session_directory.as_deref() == Some(session.workspace.root()) && host.ui.is_interactive() {
        return Err(Failure::new("this is a shell of the tutorial already").hint("`exit` leaves it"));
    }
    session.prepare()?;
    // How the learner's last command ended is theirs; only that there was no shell is a failure.
    session.shell()?;
    Ok(Exit::Done)
}
