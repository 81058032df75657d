//! `tutorial hint`, `solve`, `run`: help with a step.

use super::confirmed;
use crate::args::{SolveArgs, WorkspaceArgs};
use crate::error::{Exit, Failure};
use crate::session::autoplay::Transcript;
use crate::session::verify::Patience;
use crate::session::{Host, Session, solution};

pub fn hint(host: &Host, arguments: &WorkspaceArgs) -> Result<Exit, Failure> {
    Session::open(host, arguments)?.hint()?;
    Ok(Exit::Done)
}

pub fn solve(host: &Host, arguments: &SolveArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, &arguments.workspace)?;
    session.show_solution()?;
    if arguments.show {
        return Ok(Exit::Done);
    }
    if host.ui.is_interactive() && !arguments.yes && !confirmed(host, "Apply it?")? {
        return Ok(Exit::NotYet);
    }
    session.solve(&mut Transcript::new(&host.ui))?;
    let report = session.verify(None, Patience::AsWritten)?;
    session.tell(&report, false);
    if report.passed() {
        session.tell_debrief();
        host.ui.say(
            &host.ui.conversation_style().commands("\nGo on with `tutorial next`; `tutorial undo` takes it back."),
        );
    }
    Ok(report.exit())
}

pub fn run(host: &Host, arguments: &WorkspaceArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, arguments)?;
    if solution::offered(session.place()?.step).is_empty() {
        return Err(Failure::new("this step offers nothing to run")
            .hint("`tutorial start` shows the step; `tutorial shell` opens a shell to type in"));
    }
    session.prepare()?;
    let all_well = session.run_offered()?;
    Ok(if all_well { Exit::Done } else { Exit::NotYet })
}
