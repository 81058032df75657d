//! `tutorial author check`: every mistake of a course, at its place.

use serde_json::{Value, json};

use super::{reference, scripts};
use crate::args::AuthorCheckArgs;
use crate::course::{CourseReference, Diagnostics, Severity, examine};
use crate::error::Exit;
use crate::session::Host;

pub fn run(host: &Host, arguments: &AuthorCheckArgs) -> Exit {
    let found: Vec<Diagnostics> = arguments.courses.iter().map(|course| mistakes(&reference(host, course))).collect();
    if arguments.json {
        host.ui.line(&format!("{:#}", to_json(&found)));
    } else {
        for diagnostics in &found {
            host.ui.data(&diagnostics.render(host.ui.has_colour()));
        }
    }
    exit(&found)
}

/// What is wrong with a course; its scripts are looked at once everything else is right.
fn mistakes(reference: &CourseReference) -> Diagnostics {
    let mut examination = examine(reference);
    if let Some(course) = &examination.course {
        examination.diagnostics.items.extend(scripts::mistakes(course));
    }
    examination.diagnostics
}

/// The documented form: `{"passed","courses":[{"course","passed","errors","warnings","mistakes":[…]}]}`.
fn to_json(found: &[Diagnostics]) -> Value {
    let course = |diagnostics: &Diagnostics| {
        json!({
            "course": diagnostics.course,
            "passed": !diagnostics.has_errors(),
            "errors": diagnostics.count(Severity::Error),
            "warnings": diagnostics.count(Severity::Warning),
            "mistakes": diagnostics.to_json(),
        })
    };
    json!({
        "passed": exit(found) == Exit::Done,
        "courses": found.iter().map(course).collect::<Vec<_>>(),
    })
}

/// A course that is not there is wrong usage, one with errors is broken; warnings break nothing.
fn exit(found: &[Diagnostics]) -> Exit {
    let broken = || found.iter().filter(|diagnostics| diagnostics.has_errors());
    if broken().any(|diagnostics| !diagnostics.is_about_what_is_missing()) {
        Exit::Broken
    } else if broken().next().is_some() {
        Exit::Usage
    } else {
        Exit::Done
    }
}
