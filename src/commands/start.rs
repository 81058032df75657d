//! `tutorial start`: begins a course or goes on where the learner was.

use std::path::PathBuf;

use crate::args::{StartArgs, WorkspaceArgs};
use crate::course::CourseReference;
use crate::error::{Exit, Failure};
use crate::session::{Beginning, Host, Session, find_workspace, reference_of, sandbox, state};
use crate::workspace::{environment, progress};

/// The course of those who name none.
const DEFAULT_COURSE: &str = "gitops-with-werf";

pub fn run(host: &Host, arguments: &StartArgs) -> Result<Exit, Failure> {
    let sandbox = arguments.sandbox.map(|sandbox| sandbox.name().to_owned());
    if let Some(kind) = &sandbox {
        sandbox::refuse_unready(kind)?;
    }
    let (reference, directory) = which(host, arguments);
    let (mut session, is_new) = Session::begin(host, &Beginning { reference, directory, sandbox })?;
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

/// The course that is meant: the one that is named; else that of the workspace that is meant; else the one for
/// those who begin.
fn which(host: &Host, arguments: &StartArgs) -> (CourseReference, Option<PathBuf>) {
    if let Some(course) = &arguments.course {
        return (CourseReference::parse(course), arguments.dir.clone());
    }
    match find_workspace(host, &WorkspaceArgs { dir: arguments.dir.clone() }) {
        Ok(workspace) => match progress::peek(workspace.root()) {
            Some(progress) => (reference_of(&progress), Some(workspace.root().to_owned())),
            None => (CourseReference::parse(DEFAULT_COURSE), Some(workspace.root().to_owned())),
        },
        Err(_) => (CourseReference::parse(DEFAULT_COURSE), arguments.dir.clone()),
    }
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
    let path = session.host.environment.get("PATH").map_or("", String::as_str);
    if !environment::is_installed("tutorial", path, std::path::Path::new("")) {
        let program = environment::quote(&session.host.program.display().to_string());
        let style = ui.conversation_style();
        ui.say(&style.dim("`tutorial` is not in your PATH. This adds it, and the sandbox's tools:"));
        ui.say_as_is(&format!("  eval \"$({program} env)\""));
    }
    Ok(())
}
