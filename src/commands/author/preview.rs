//! `tutorial author preview`: what the learner will read, without a workspace or a sandbox.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::args::AuthorPreviewArgs;
use crate::course::model::{Course, Lesson, Part, Step};
use crate::course::{CourseReference, Variables, environment_suffix, examine};
use crate::error::{Exit, Failure};
use crate::markdown::{Block, Inline};
use crate::session::Host;

/// How often `--watch` looks whether a file has changed.
const WATCH_PERIOD: Duration = Duration::from_millis(200);

pub fn run(host: &Host, arguments: &AuthorPreviewArgs) -> Result<Exit, Failure> {
    let reference = super::reference(host, &arguments.course);
    if let (true, CourseReference::Directory(directory)) = (arguments.watch, &reference) {
        watch(host, arguments, &reference, directory);
    }
    let (text, exit) = shown(host, arguments, &reference)?;
    host.ui.data(&text);
    Ok(exit)
}

/// Shows the course anew whenever one of its files changes, until it is interrupted.
fn watch(host: &Host, arguments: &AuthorPreviewArgs, reference: &CourseReference, directory: &Path) -> ! {
    let mut seen = None;
    loop {
        let now = times(directory);
        if seen.as_ref() != Some(&now) {
            let text = match shown(host, arguments, reference) {
                Ok((text, _)) => text,
                Err(failure) => failure.render(),
            };
            let clear = if host.ui.is_interactive() { "\x1b[H\x1b[2J\x1b[3J" } else { "" };
            host.ui.data(&format!("{clear}{text}"));
            seen = Some(now);
        }
        std::thread::sleep(WATCH_PERIOD);
    }
}

/// The files of a course and when they changed.
fn times(directory: &Path) -> Vec<(PathBuf, Option<SystemTime>)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let mut times: Vec<(PathBuf, Option<SystemTime>)> =
        entries.map(|entry| (entry.path(), entry.metadata().and_then(|metadata| metadata.modified()).ok())).collect();
    times.sort();
    times
}

/// The text to show: the course's mistakes, or the steps that were asked for.
fn shown(host: &Host, arguments: &AuthorPreviewArgs, reference: &CourseReference) -> Result<(String, Exit), Failure> {
    let examination = examine(reference);
    let mistakes = if examination.diagnostics.items.is_empty() {
        String::new()
    } else {
        format!("\n{}", examination.diagnostics.render(host.ui.has_colour()))
    };
    let Some(course) = examination.course else {
        let missing = examination.diagnostics.is_about_what_is_missing();
        return Ok((mistakes, if missing { Exit::Usage } else { Exit::Broken }));
    };
    let variables = sample_variables(&course);
    let mut text = String::new();
    for (lesson, step) in course.steps() {
        let is_asked_for = |asked: &String| *asked == step.id.0 || *asked == lesson.id;
        if arguments.step.as_ref().is_none_or(is_asked_for) {
            let blocks = variables.substitute_blocks(&blocks(lesson, step, arguments.all));
            text.push_str(&host.ui.render(&blocks));
            text.push('\n');
        }
    }
    if text.is_empty() {
        let asked = arguments.step.as_deref().unwrap_or_default();
        let near = crate::course::diagnostics::nearest(asked, course.steps().map(|(_, step)| step.id.0.as_str()));
        let hint = near.map_or_else(|| "name a step or a lesson".into(), |near| format!("did you mean `{near}`?"));
        return Err(Failure::new(format!("there is no step `{asked}`")).hint(hint).exit(Exit::Usage));
    }
    Ok((text + &mistakes, Exit::Done))
}

/// A step as the learner sees it; `all` adds what stays hidden.
fn blocks(lesson: &Lesson, step: &Step, all: bool) -> Vec<Block> {
    let mut blocks = Vec::new();
    if lesson.steps.first().is_some_and(|first| first.id == step.id) {
        blocks.push(heading(1, &lesson.title));
        blocks.extend(lesson.introduction.iter().cloned());
    }
    blocks.push(heading(2, &step.title));
    for part in &step.body {
        match part {
            Part::Quiz(quiz) => {
                let options: Vec<String> = quiz.options.iter().map(|option| option.text.clone()).collect();
                let right = |index: usize| all.then(|| quiz.options[index].right);
                blocks.push(Block::Heading { level: 3, content: crate::course::inlines(&quiz.question) });
                blocks.push(list(&options, right));
            }
            part => blocks.extend(part.block()),
        }
    }
    if all {
        blocks.extend(hidden(step));
    }
    blocks
}

/// Hints, checks, solutions and what else the learner does not see at first.
fn hidden(step: &Step) -> Vec<Block> {
    let mut blocks = Vec::new();
    let script = |label: String, text: &str| Block::Code {
        language: "sh".into(),
        text: text.trim_end().to_owned(),
        label: Some(label),
    };
    blocks.extend(step.setup.iter().map(|setup| script("setup".into(), &setup.text)));
    if !step.checks.is_empty() {
        blocks.push(heading(3, "Checks"));
        let names: Vec<String> = step.checks.iter().map(|check| check.name.clone()).collect();
        blocks.push(list(&names, |_| None));
    }
    for (number, hint) in step.hints.iter().enumerate() {
        let when = hint.when.as_ref().map(|when| format!(", while “{when}” fails")).unwrap_or_default();
        blocks.push(heading(3, &format!("Hint {}{when}", number + 1)));
        blocks.extend(hint.content.iter().cloned());
    }
    blocks.extend(step.solution.iter().map(|solution| script("solution".into(), &solution.text)));
    blocks
        .extend(step.alternatives.iter().map(|other| script(format!("solution: {}", other.name), &other.script.text)));
    blocks.extend(step.wrongs.iter().map(|wrong| script(format!("wrong: {}", wrong.name), &wrong.script.text)));
    for save in &step.saves {
        blocks.push(script(format!("saved as {}", save.name), &save.command));
    }
    if !step.debrief.is_empty() {
        blocks.push(heading(3, "Afterwards"));
        blocks.extend(step.debrief.iter().cloned());
    }
    blocks.extend(step.cleanup.iter().map(|cleanup| script("cleanup".into(), &cleanup.text)));
    blocks
}

fn heading(level: u8, text: &str) -> Block {
    Block::Heading { level, content: vec![Inline::Text(text.to_owned())] }
}

fn list(texts: &[String], checked: impl Fn(usize) -> Option<bool>) -> Block {
    let item = |(index, text): (usize, &String)| crate::markdown::ListItem {
        checked: checked(index),
        content: vec![Block::Paragraph(crate::course::inlines(text))],
    };
    Block::List { start: None, items: texts.iter().enumerate().map(item).collect() }
}

/// Values as a learner would see them.
fn sample_variables(course: &Course) -> Variables {
    let mut variables: Variables = [
        ("REGISTRY", "localhost:5001"),
        ("PROJECT", course.sandbox.project.as_str()),
        ("COURSE_DIR", "~/tutorial/course/.tutorial/course"),
    ]
    .into_iter()
    .collect();
    for (environment, port) in &course.sandbox.environments {
        let suffix = environment_suffix(environment);
        variables.set(format!("URL_{suffix}"), format!("http://localhost:{port}"));
        variables.set(format!("NODE_PORT_{suffix}"), port.to_string());
    }
    for (name, value) in &course.variables {
        if let Some(value) = value {
            variables.set(name, value);
        }
    }
    variables
}
