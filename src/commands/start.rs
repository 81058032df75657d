//! `tutorial start`: begins a course or goes on where the learner was.

use crate::args::StartArgs;
use crate::course::CourseReference;
use crate::error::{Exit, Failure};
use crate::session::{Beginning, Host, Session, sandbox, state};

/// The course of those who name none.
const DEFAULT_COURSE: &str = "gitops-with-werf";

pub fn run(host: &Host, arguments: &StartArgs) -> Result<Exit, Failure> {
    let sandbox = arguments.sandbox.map(|sandbox| sandbox.name().to_owned());
    if let Some(kind) = &sandbox {
        sandbox::refuse_unready(kind)?;
    }
    let beginning = Beginning {
        reference: CourseReference::parse(arguments.course.as_deref().unwrap_or(DEFAULT_COURSE)),
        directory: arguments.dir.clone(),
        sandbox,
    };
    let (mut session, is_new) = Session::begin(host, &beginning)?;
    session.sandbox.provision(host);
    if arguments.autoplay {
        session.autoplay()?;
    } else if host.ui.is_interactive() && !arguments.yes {
        session.play(is_new)?;
    } else {
        print(&mut session)?;
    }
    Ok(Exit::Done)
}

/// Where nobody can be asked: the step, and what to call next.
fn print(session: &mut Session<'_>) -> Result<(), Failure> {
    let ui = &session.host.ui;
    if state::is_complete(&session.course, &session.progress) {
        ui.data(&session.summary());
        return Ok(());
    }
    if session.text_needs_sandbox() {
        session.ready()?;
    }
    ui.data(&format!("{}{}", session.step_text(), session.quiz_text()));
    session.prepare()?;
    ui.say_as_is(&format!("\n{}", session.next_calls()));
    Ok(())
}
