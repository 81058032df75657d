//! What can only be judged over all lessons: ids that are unique, variables that are there when they are used.

use std::collections::HashMap;

use super::diagnostics::Report;
use super::lesson::{ParsedLesson, StepMarks, UsePlace};
use super::manifest::Manifest;
use super::source::SourceFile;
use super::variables::is_name;

/// Variables that belong to the shell or to the session; a course cannot save them.
const RESERVED: [&str; 12] =
    ["HOME", "PATH", "PWD", "OLDPWD", "SHELL", "USER", "TERM", "IFS", "KUBECONFIG", "LANG", "TMPDIR", "TUTORIAL_HOME"];
const RESERVED_PREFIXES: [&str; 4] = ["GIT_", "WERF_", "LC_", "TUTORIAL_"];

/// A step on its way through the course.
struct Placed<'a> {
    file: &'a SourceFile,
    id: &'a str,
    marks: &'a StepMarks,
}

/// Reports the mistakes between steps.
pub fn validate(manifest: &Manifest, lessons: &[(SourceFile, ParsedLesson)], report: &mut Report) {
    let steps: Vec<Placed> = lessons
        .iter()
        .flat_map(|(file, parsed)| {
            let steps = parsed.lesson.steps.iter().zip(&parsed.marks);
            steps.map(move |(step, marks)| Placed { file, id: &step.id.0, marks })
        })
        .collect();
    unique_ids(&steps, report);
    let mut standard = manifest.standard_variables();
    standard.extend(manifest.variables.iter().map(|(name, _)| name.clone()));
    let saved = saved_names(&steps, &standard, report);
    for (index, step) in steps.iter().enumerate() {
        uses(index, step, &steps, &standard, &saved, report);
    }
}

fn unique_ids(steps: &[Placed], report: &mut Report) {
    let mut seen: HashMap<&str, &Placed> = HashMap::new();
    for step in steps {
        if let Some(first) = seen.get(step.id) {
            let place = first.file.location(first.marks.id.start);
            let message = format!("the id `{}` is taken by the step at {place}", step.id);
            report.error(step.file, step.marks.id.clone(), message).help("ids are unique in a course");
        } else {
            seen.insert(step.id, step);
        }
    }
}

/// The first step that saves each name.
fn saved_names<'a>(steps: &[Placed<'a>], standard: &[String], report: &mut Report) -> HashMap<&'a str, usize> {
    let mut saved = HashMap::new();
    for (index, step) in steps.iter().enumerate() {
        for (name, span) in &step.marks.saves {
            let reserved = is_reserved(name);
            if standard.contains(name) || reserved {
                let owner = if reserved { "the shell" } else { "the course" };
                report
                    .error(step.file, span.clone(), format!("`{name}` belongs to {owner} and cannot be saved"))
                    .help("save it under another name");
            }
            saved.entry(name.as_str()).or_insert(index);
        }
    }
    saved
}

fn uses(
    index: usize,
    step: &Placed,
    steps: &[Placed],
    standard: &[String],
    saved: &HashMap<&str, usize>,
    report: &mut Report,
) {
    for found in &step.marks.uses {
        if standard.contains(&found.name) {
            continue;
        }
        match (saved.get(found.name.as_str()), found.place) {
            (Some(by), _) if *by < index => {}
            (Some(by), UsePlace::Afterwards) if *by == index => {}
            (Some(by), _) if *by == index => {
                let message = format!("`{}` is saved only when this step passes", found.name);
                report.error(step.file, found.span.clone(), message).help("use it from the next step on");
            }
            (Some(by), _) => {
                let message = format!("`{}` is used here before the step `{}` saves it", found.name, steps[*by].id);
                report.error(step.file, found.span.clone(), message);
            }
            (None, UsePlace::Check) => {
                report
                    .error(step.file, found.span.clone(), format!("the variable `{}` is not declared", found.name))
                    .suggest(&found.name, known_names(standard, saved));
            }
            (None, UsePlace::Script) if looks_declared(&found.name) => {
                report
                    .warning(step.file, found.span.clone(), format!("nothing sets the variable `{}`", found.name))
                    .suggest(&found.name, known_names(standard, saved));
            }
            (None, _) => {}
        }
    }
}

fn known_names<'n>(standard: &'n [String], saved: &HashMap<&'n str, usize>) -> Vec<&'n str> {
    let names = standard.iter().map(String::as_str).chain(saved.keys().copied());
    let mut names: Vec<&str> = names.filter(|name| is_name(name) && !is_reserved(name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a shell variable looks like one that the course would have to declare.
fn looks_declared(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') && !is_reserved(name)
}
