//! `tutorial report`: what a learner did, step by step, for an instructor.

use serde::Serialize;

use crate::args::ReportArgs;
use crate::error::{Exit, Failure};
use crate::session::state::{self, StepState};
use crate::session::{Host, Session};
use crate::ui::hang;

/// The documented form of `report --json`. Times are RFC 3339, in UTC.
#[derive(Serialize)]
struct Report<'s> {
    course: &'s str,
    sandbox: &'s str,
    done: usize,
    skipped: usize,
    total: usize,
    steps: Vec<StepReport<'s>>,
}

#[derive(Serialize)]
struct StepReport<'s> {
    id: &'s str,
    title: &'s str,
    state: StepState,
    /// When the learner came to it first.
    begun: Option<String>,
    /// When it passed, or was skipped.
    ended: Option<String>,
    /// How often its checks were asked for.
    attempts: u32,
    hints: usize,
    /// The solution was applied for the learner.
    solved: bool,
    /// Questions that were answered, and of them those right at the first try.
    answered: usize,
    right_at_first: usize,
}

pub fn run(host: &Host, arguments: &ReportArgs) -> Result<Exit, Failure> {
    let session = Session::open(host, &arguments.workspace)?;
    let report = report(&session);
    if arguments.json {
        host.ui.line(&serde_json::to_string_pretty(&report).expect("plain data with string keys"));
    } else {
        host.ui.data(&render(host, &session.course.title, &report));
    }
    Ok(Exit::Done)
}

fn report<'s>(session: &'s Session<'_>) -> Report<'s> {
    let (done, total) = state::counts(&session.course, &session.progress);
    let steps = state::places(&session.course).map(|place| {
        let record = session.progress.step(place.id());
        StepReport {
            id: &place.step.id.0,
            title: &place.step.title,
            state: state::state_of(&session.progress, place.id()),
            begun: record.first_seen.and_then(time),
            ended: record.ended.and_then(time),
            attempts: record.attempts,
            hints: record.hints.len(),
            solved: record.solved,
            answered: record.quizzes.len(),
            right_at_first: record.quizzes.values().filter(|right| **right).count(),
        }
    });
    Report {
        course: &session.course.id,
        sandbox: &session.progress.sandbox,
        done,
        skipped: state::skipped(&session.course, &session.progress),
        total,
        steps: steps.collect(),
    }
}

fn time(seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}

fn render(host: &Host, title: &str, report: &Report<'_>) -> String {
    let (style, width) = (host.ui.style(), host.ui.width());
    let counts = format!("{} of {} steps done, {} skipped", report.done, report.total, report.skipped);
    let mut text = hang(&format!("{} · {counts}", style.bold(title)), width, 2);
    for step in &report.steps {
        let word = match step.state {
            StepState::Done => style.good("done"),
            StepState::Skipped => style.warning("skipped"),
            StepState::Current => style.accent("current"),
            StepState::Todo => style.dim("to do"),
        };
        text.push_str(&hang(&format!("\n{} {word}", step.title), width, 2));
        let details = details(step);
        if !details.is_empty() {
            text.push_str(&hang(&format!("  {}", style.dim(&details)), width, 2));
        }
    }
    text
}

fn details(step: &StepReport<'_>) -> String {
    let counted = |number: usize, one: &str, many: &str| match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{number} {many}")),
    };
    let attempts = usize::try_from(step.attempts).unwrap_or(usize::MAX);
    let questions = (step.answered > 0)
        .then(|| format!("{} of {} questions right at the first try", step.right_at_first, step.answered));
    let parts = [
        step.ended.clone(),
        counted(attempts, "check", "checks"),
        counted(step.hints, "hint", "hints"),
        step.solved.then(|| "with the solution".to_owned()),
        questions,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
