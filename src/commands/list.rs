//! `tutorial list`: the courses, or the steps of one.

use std::path::{Path, PathBuf};

use crate::args::ListArgs;
use crate::course::model::Course;
use crate::course::{self, CourseReference};
use crate::error::{Exit, Failure};
use crate::session::{Host, load_course, reference_of, state};
use crate::ui::hang;
use crate::workspace::locate;
use crate::workspace::progress::{self, Progress};

pub fn run(host: &Host, arguments: &ListArgs) -> Result<Exit, Failure> {
    match &arguments.course {
        Some(course) => list_steps(host, &CourseReference::parse(course))?,
        None => list_courses(host)?,
    }
    Ok(Exit::Done)
}

fn list_courses(host: &Host) -> Result<(), Failure> {
    let style = host.ui.style();
    let workspaces: Vec<(PathBuf, Progress)> = locate::all(&host.settings.home)
        .into_iter()
        .filter_map(|workspace| Some((workspace.root().to_owned(), progress::peek(workspace.root())?)))
        .collect();
    for id in course::built_in() {
        let course = load_course(host, &CourseReference::BuiltIn(id))?;
        let minutes: u32 = course.lessons.iter().filter_map(|lesson| lesson.minutes).sum();
        let steps = state::places(&course).count();
        let size = format!("{} lessons, {steps} steps, about {minutes} minutes", course.lessons.len());
        let begun = workspaces
            .iter()
            .find(|(_, progress)| progress.course == course.id)
            .map(|(root, progress)| how_far(host, &course, root, progress));
        let (id, title) = (style.accent(&course.id), style.bold(&course.title));
        host.ui.line(&host.ui.wrapped(&format!("{id}  {title}")));
        host.ui.line(&host.ui.wrapped(&format!("  {}", course.description.trim())));
        host.ui.line(&host.ui.wrapped(&format!("  {}", style.dim(&format!("{size}{}", begun.unwrap_or_default())))));
    }
    let own = workspaces.iter().filter(|(_, progress)| !course::built_in().contains(&progress.course));
    for (root, progress) in own {
        let id = style.accent(&progress.course);
        let (title, far) = match course::examine(&reference_of(progress)).course {
            Some(course) => (style.bold(&course.title), how_far(host, &course, root, progress)),
            None => (style.bold("cannot be read any more"), String::new()),
        };
        host.ui.line(&host.ui.wrapped(&format!("{id}  {title}")));
        host.ui.line(&host.ui.wrapped(&format!("  {}", style.dim(&format!("from {}{far}", progress.source)))));
    }
    let hint = "A course of your own is a directory: `tutorial start ./my-course`.";
    host.ui.say(&host.ui.conversation_style().commands(hint));
    Ok(())
}

/// How far the learner is, and where the workspace is if it is not where one looks for it.
fn how_far(host: &Host, course: &Course, root: &Path, progress: &Progress) -> String {
    let (done, total) = state::counts(course, progress);
    let place =
        if root.parent() == Some(&host.settings.home) { String::new() } else { format!(" in {}", root.display()) };
    format!(" · {done} of {total} done{place}")
}

fn list_steps(host: &Host, reference: &CourseReference) -> Result<(), Failure> {
    let style = host.ui.style();
    let course = load_course(host, reference)?;
    host.ui.line(&style.bold(&course.title));
    for place in state::places(&course) {
        if place.opens_lesson() {
            host.ui.line(&format!("\n{}", style.accent(&place.lesson.title)));
        }
        let line = format!("{:>3} {}  {}", place.number, place.step.title, style.aside(place.id()));
        host.ui.data(&hang(&line, host.ui.width(), 4));
    }
    Ok(())
}
