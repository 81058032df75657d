//! `tutorial verify`: checks a step.

use std::time::Duration;

use crate::args::VerifyArgs;
use crate::error::{Exit, Failure};
use crate::session::verify::{Patience, Report};
use crate::session::{Host, Session, state};

/// How often `--watch` looks again.
const WATCH_PERIOD: Duration = Duration::from_millis(700);

pub fn run(host: &Host, arguments: &VerifyArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, &arguments.workspace)?;
    let id = match &arguments.step {
        Some(step) => state::find(&session.course, step)?.id().to_owned(),
        None => session.progress.current.clone(),
    };
    if arguments.watch {
        return watch(&mut session, &id, arguments.explain);
    }
    let report = session.verify(Some(&id), Patience::AsWritten)?;
    if arguments.json {
        host.ui.line(&report.to_json());
        return Ok(report.exit());
    }
    tell(&session, &report, arguments.explain);
    Ok(report.exit())
}

fn tell(session: &Session<'_>, report: &Report, explain: bool) {
    let ui = &session.host.ui;
    let style = ui.conversation_style();
    session.tell(report, explain);
    let is_current = session.progress.current == report.step;
    let is_last = state::after(&session.course, &report.step).is_none();
    let open = session.open_questions(&report.step);
    if report.passed() && !report.verdicts.is_empty() && is_current {
        session.tell_debrief();
    }
    if report.passed()
        && is_current
        && let Some(question) = session.open_question_text()
    {
        ui.data(&question);
    }
    if report.passed() && report.verdicts.is_empty() && is_current {
        let text = match open {
            0 if is_last => "There is nothing to check here: this step is for reading, and the last one.",
            0 => "There is nothing to check here: this step is for reading. `tutorial next` goes on.",
            1 => "There is nothing to check here but a question: `tutorial answer` and its letter.",
            _ => "There is nothing to check here but the questions: `tutorial answer` and a letter, for one at a time.",
        };
        ui.say(&style.commands(text));
    } else if report.passed() && report.verdicts.is_empty() {
        ui.say(&format!("There is nothing to check in step `{}`: it is for reading.", report.step));
    } else if report.passed() && is_current {
        let next = match open {
            0 if is_last => "\nAll good. That was the last step.",
            0 => "\nAll good. Go on with `tutorial next`.",
            1 => "\nAll good, but a question is still open: `tutorial answer` and its letter.",
            _ => "\nAll good, but questions are still open: `tutorial answer` and a letter, for one at a time.",
        };
        ui.say(&style.commands(next));
    } else if !report.passed() && is_current {
        ui.say(&style.commands("\nNot yet. `tutorial hint` helps, `tutorial solve` shows the solution."));
    }
}

/// Looks again and again, tells what changed, ends when everything passes.
fn watch(session: &mut Session<'_>, id: &str, explain: bool) -> Result<Exit, Failure> {
    let ui = &session.host.ui;
    let mut told: Option<String> = None;
    loop {
        let report = session.observe(id, Patience::Once)?;
        let text = report.render(ui.style(), ui.width(), explain);
        if report.passed() {
            session.record(&report)?;
            tell(session, &report, explain);
            return Ok(report.exit());
        }
        if told.as_ref() != Some(&text) {
            ui.data(&format!("\n{text}"));
            told = Some(text);
        }
        std::thread::sleep(WATCH_PERIOD);
        session.refresh();
    }
}
