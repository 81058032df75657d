//! `tutorial next`, `back`, `goto`, `skip`: moves through the course.

use super::confirmed;
use crate::args::{GotoArgs, WorkspaceArgs};
use crate::error::{Exit, Failure};
use crate::session::autoplay::Transcript;
use crate::session::moves::Advance;
use crate::session::{Host, Session, state};

pub fn next(host: &Host, arguments: &WorkspaceArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, arguments)?;
    let advance = session.advance()?;
    arrived(&session, advance)
}

pub fn back(host: &Host, arguments: &WorkspaceArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, arguments)?;
    session.back()?;
    show(&session);
    Ok(Exit::Done)
}

pub fn goto(host: &Host, arguments: &GotoArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, &arguments.workspace)?;
    let target = state::find(&session.course, &arguments.step)?.id().to_owned();
    let question = format!("Bring git and the sandbox to the start of `{target}`? `tutorial undo` takes it back.");
    if host.ui.is_interactive() && !arguments.yes && !confirmed(host, &question)? {
        return Ok(Exit::NotYet);
    }
    session.goto(&target, &mut Transcript::new(&host.ui))?;
    show(&session);
    Ok(Exit::Done)
}

pub fn skip(host: &Host, arguments: &WorkspaceArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, arguments)?;
    let advance = session.skip(&mut Transcript::new(&host.ui))?;
    arrived(&session, advance)
}

fn arrived(session: &Session<'_>, advance: Advance) -> Result<Exit, Failure> {
    let ui = &session.host.ui;
    match advance {
        Advance::Entered => show(session),
        Advance::Finished => ui.data(&session.summary()),
        Advance::NotYet(report) => {
            session.tell(&report, false);
            let step = &report.step;
            let hint = if state::place(&session.course, step).is_some_and(|place| place.step.hints.is_empty()) {
                "`tutorial solve` shows the solution, `tutorial skip` applies it and goes on"
            } else {
                "`tutorial hint` helps; `tutorial skip` applies the solution and goes on"
            };
            return Err(Failure::new(format!("the step `{step}` is not done yet")).hint(hint).exit(report.exit()));
        }
    }
    Ok(Exit::Done)
}

fn show(session: &Session<'_>) {
    let ui = &session.host.ui;
    session.write_prompt();
    ui.data(&format!("{}{}", session.step_text(), session.quiz_text()));
    ui.say_as_is(&format!("\n{}", session.next_calls()));
}
