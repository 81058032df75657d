//! `tutorial status`: how far the learner is.

use serde::Serialize;

use crate::args::StatusArgs;
use crate::error::{Exit, Failure};
use crate::session::state::{self, StepState};
use crate::session::{Host, Session, show};

#[derive(Serialize)]
struct Status<'s> {
    course: &'s str,
    sandbox: &'s str,
    done: usize,
    total: usize,
    /// Where the learner is, whatever the state of that step.
    current: &'s str,
    lessons: Vec<LessonStatus<'s>>,
}

#[derive(Serialize)]
struct LessonStatus<'s> {
    id: &'s str,
    title: &'s str,
    steps: Vec<StepStatus<'s>>,
}

#[derive(Serialize)]
struct StepStatus<'s> {
    id: &'s str,
    title: &'s str,
    state: StepState,
}

pub fn run(host: &Host, arguments: &StatusArgs) -> Result<Exit, Failure> {
    let session = Session::open(host, &arguments.workspace)?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&status(&session)).expect("plain data with string keys");
        host.ui.line(&text);
    } else {
        host.ui.data(&show::overview(&session));
    }
    Ok(Exit::Done)
}

fn status<'s>(session: &'s Session<'_>) -> Status<'s> {
    let (done, total) = state::counts(&session.course, &session.progress);
    let lessons = session.course.lessons.iter().map(|lesson| LessonStatus {
        id: &lesson.id,
        title: &lesson.title,
        steps: lesson
            .steps
            .iter()
            .map(|step| StepStatus {
                id: &step.id.0,
                title: &step.title,
                state: state::state_of(&session.progress, &step.id.0),
            })
            .collect(),
    });
    Status {
        course: &session.course.id,
        sandbox: &session.progress.sandbox,
        done,
        total,
        current: &session.progress.current,
        lessons: lessons.collect(),
    }
}
