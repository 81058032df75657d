//! `tutorial next`, `back`, `goto`, `skip`: moves through the course.

use super::confirmed;
use crate::args::{GotoArgs, WorkspaceArgs};
use crate::error::{Exit, Failure};
use crate::session::autoplay::Transcript;
use crate::session::moves::Advance;
use crate::session::{Host, Session, state};

pub fn next(host: &Host, arguments: &WorkspaceArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, arguments)?;
    let from = session.progress.current.clone();
    let was_told = session.progress.step(&from).settled;
    let advance = session.advance()?;
    let goes_on = matches!(advance, Advance::Entered);
    if goes_on && !was_told {
        // It passed unseen, or in the learner's shell.
        session.tell_debrief_of(&from);
    }
    let exit = arrived(&session, advance)?;
    let text = match session.open_questions(&from) {
        0 => return Ok(exit),
        1 => "The step before has a question that is still open: `tutorial back`, then `tutorial answer`.",
        _ => "The step before has questions that are still open: `tutorial back`, then `tutorial answer`.",
    };
    if goes_on {
        host.ui.say(&format!("\n{}", host.ui.conversation_style().commands(text)));
    }
    Ok(exit)
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
            let place = state::place(&session.course, &report.step);
            let title = place.as_ref().map_or(report.step.as_str(), |place| place.step.title.as_str());
            let hint = if place.as_ref().is_some_and(|place| place.step.hints.is_empty()) {
                "`tutorial solve` shows the solution, `tutorial skip` applies it and goes on"
            } else {
                "`tutorial hint` helps; `tutorial skip` applies the solution and goes on"
            };
            return Err(Failure::new(format!("the step “{title}” is not done yet")).hint(hint).exit(report.exit()));
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
