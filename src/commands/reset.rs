//! `tutorial reset`, `undo`: back to a start, and back from there.

use crate::args::{ResetArgs, ResetTo, UndoArgs};
use crate::error::{Exit, Failure};
use crate::session::{Host, Session};

pub fn reset(host: &Host, arguments: &ResetArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, &arguments.workspace)?;
    let id = session.progress.current.clone();
    let question = match arguments.what {
        ResetTo::Step => format!("Put git and the sandbox back to the start of “{}”?", session.place()?.step.title),
        ResetTo::Course => "Put git, the sandbox and your progress back to the start of the course?".into(),
    };
    if !arguments.yes {
        if !host.ui.is_interactive() {
            return Err(Failure::new("a reset has to be confirmed")
                .hint("add `--yes`; `tutorial undo` can take it back")
                .exit(Exit::Usage));
        }
        if !host.ui.confirm(&question, false)? {
            return Ok(Exit::NotYet);
        }
    }
    match arguments.what {
        ResetTo::Step => session.reset_to(&id, &format!("the reset of step {id}"), &id)?,
        ResetTo::Course => session.reset_course()?,
    }
    session.write_prompt();
    let text =
        format!("You are at the start of step `{}` again. `tutorial undo` takes this back.", session.progress.current);
    host.ui.say(&host.ui.conversation_style().commands(&text));
    Ok(Exit::Done)
}

pub fn undo(host: &Host, arguments: &UndoArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, &arguments.workspace)?;
    let (point, opposite) = if arguments.redo { (session.redo()?, "undo") } else { (session.undo()?, "undo --redo") };
    session.write_prompt();
    let what = &point.what;
    let done = if arguments.redo { "came back" } else { "was taken back" };
    let current = &session.progress.current;
    let text = format!("{what} {done}; you are at step `{current}`. `tutorial {opposite}` is the way back.");
    let mut text = text.chars();
    let text: String = text.next().into_iter().flat_map(char::to_uppercase).chain(text).collect();
    host.ui.say(&host.ui.conversation_style().commands(&text));
    Ok(Exit::Done)
}
