//! Broken courses and what is said of them: whole outputs. And what the course that is shipped promises in each step.

use std::path::Path;

use tutorial::course::check::Probe;
use tutorial::course::model::{Course, Part};
use tutorial::course::{CourseReference, examine};
use tutorial::markdown::Block;

#[test]
fn every_mistake_is_told_at_its_place() {
    let directory = Path::new("tests/golden/courses");
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .expect("the broken courses are there")
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    assert!(names.len() > 8, "{names:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden/courses");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in names {
            let examination = examine(&CourseReference::Directory(directory.join(&name)));
            assert!(examination.course.is_none(), "{name} is broken");
            insta::assert_snapshot!(name, examination.diagnostics.render(false));
        }
    });
}

fn shipped() -> Course {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/lessons/gitops-with-werf");
    examine(&CourseReference::Directory(directory.into())).course.expect("the built-in course is sound")
}

#[test]
fn every_step_to_do_helps_explains_and_can_tell_a_wrong_answer() {
    let course = shipped();
    let mut missing = Vec::new();
    for (_, step) in course.steps().filter(|(_, step)| !step.checks.is_empty()) {
        let mut expect = |what: &str, is_there: bool| {
            if !is_there {
                missing.push(format!("{}: {what}", step.id));
            }
        };
        expect("two hints", step.hints.len() >= 2);
        expect("a hint without a condition", step.hints.iter().any(|hint| hint.when.is_none()));
        expect("a debrief", !step.debrief.is_empty());
        expect("a wrong answer", !step.wrongs.is_empty());
        for check in &step.checks {
            // The others say by themselves what to try next; of a script only its author can say it.
            let is_script = matches!(check.probe, Probe::Command(_) | Probe::Shell { .. });
            expect(&format!("an `else` for \"{}\"", check.name), !is_script || check.otherwise.is_some());
            let repeats = check
                .otherwise
                .as_ref()
                .is_some_and(|words| words.contains("{expected}") || words.contains("{actual}"));
            expect(&format!("a remedy, not a repetition, for \"{}\"", check.name), !repeats);
        }
    }
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
    assert!(course.steps().filter(|(_, step)| step.asks_for_action()).all(|(_, step)| !step.checks.is_empty()));
}

#[test]
fn diagrams_and_sample_outputs_hold_at_80_columns() {
    let course = shipped();
    for (lesson, step) in course.steps() {
        for part in &step.body {
            let text = match part {
                Part::Expect { text, .. } => text,
                Part::Prose(Block::Code { language, text, .. }) if language == "text" => text,
                _ => continue,
            };
            for line in text.lines() {
                let width = unicode_width::UnicodeWidthStr::width(line);
                assert!(width <= 80, "{}, {}: {width} columns:\n{line}", lesson.id, step.id);
            }
        }
    }
}
