//! `tutorial list`: the courses, or the steps of one.

use crate::args::ListArgs;
use crate::course::{self, CourseReference};
use crate::error::{Exit, Failure};
use crate::session::{Host, load_course, state};
use crate::ui::hang;
use crate::workspace::progress;

pub fn run(host: &Host, arguments: &ListArgs) -> Result<Exit, Failure> {
    match &arguments.course {
        Some(course) => list_steps(host, &CourseReference::parse(course))?,
        None => list_courses(host)?,
    }
    Ok(Exit::Done)
}

fn list_courses(host: &Host) -> Result<(), Failure> {
    let style = host.ui.style();
    for id in course::built_in() {
        let course = load_course(host, &CourseReference::BuiltIn(id))?;
        let minutes: u32 = course.lessons.iter().filter_map(|lesson| lesson.minutes).sum();
        let steps = state::places(&course).count();
        let size = format!("{} lessons, {steps} steps, about {minutes} minutes", course.lessons.len());
        let begun = progress::peek(&host.settings.home.join(&course.id)).map(|progress| {
            let (done, total) = state::counts(&course, &progress);
            format!(" · {done} of {total} done")
        });
        let (id, title) = (style.accent(&course.id), style.bold(&course.title));
        host.ui.line(&host.ui.wrapped(&format!("{id}  {title}")));
        host.ui.line(&host.ui.wrapped(&format!("  {}", course.description.trim())));
        host.ui.line(&host.ui.wrapped(&format!("  {}", style.dim(&format!("{size}{}", begun.unwrap_or_default())))));
    }
    let hint = "A course of your own is a directory: `tutorial start ./my-course`.";
    host.ui.say(&host.ui.conversation_style().commands(hint));
    Ok(())
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
