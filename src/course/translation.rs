//! Translations: `NN-name.<language>.md` holds the prose of `NN-name.md`, step by step, element by element. What is
//! done and checked stays the original's, so that a translation can never teach something else.

use super::diagnostics::{Report, nearest};
use super::lesson::{self, ParsedLesson, StepMarks};
use super::model::{Hint, Lesson, Part, Step};
use super::source::SourceFile;
use crate::markdown::Block;

/// The name of a file in its parts: `01-first.de.md` is (`01-first`, `de`).
pub fn parts_of_name(name: &str) -> Option<(&str, &str)> {
    name.strip_suffix(".md")?.split_once('.')
}

/// Whether the word can name a language (`de`, `pt-BR`).
pub fn is_language(word: &str) -> bool {
    let mut tags = word.split('-');
    let primary = tags.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.chars().all(|c| c.is_ascii_lowercase())
        && tags.all(|tag| (1..=8).contains(&tag.len()) && tag.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// The available language that serves someone who asks for `wanted`: the same one, else one of the same family.
pub fn choose<'l>(wanted: &str, available: impl IntoIterator<Item = &'l str>) -> Option<&'l str> {
    let family = |language: &str| language.split('-').next().unwrap_or_default().to_lowercase();
    let available: Vec<&str> = available.into_iter().collect();
    let same = available.iter().find(|language| language.eq_ignore_ascii_case(wanted));
    same.or_else(|| available.iter().find(|language| family(language) == family(wanted))).copied()
}

/// Reads a translation and lays it over its lesson.
pub fn read(file: &SourceFile, original: &Lesson, report: &mut Report) -> Lesson {
    let ParsedLesson { lesson: translation, marks } = lesson::read_translation(file, &original.id, report);
    for (step, marks) in translation.steps.iter().zip(&marks) {
        if !original.steps.iter().any(|known| known.id == step.id) {
            let message = format!("the lesson `{}` has no step `{}`", original.id, step.id);
            let diagnostic = report.error(file, marks.id.clone(), message);
            if let Some(near) = nearest(&step.id.0, original.steps.iter().map(|step| step.id.0.as_str())) {
                diagnostic.help(format!("did you mean `{near}`?"));
            }
        }
    }
    let mut result = original.clone();
    if !translation.title.is_empty() {
        result.title.clone_from(&translation.title);
    }
    if !translation.introduction.is_empty() {
        result.introduction.clone_from(&translation.introduction);
    }
    for step in &mut result.steps {
        match translation.steps.iter().zip(&marks).find(|(translated, _)| translated.id == step.id) {
            Some((translated, marks)) => lay_over(step, translated, file, marks, report),
            None => {
                report.warning(file, 0..0, format!("the step `{}` is not translated", step.id));
            }
        }
    }
    result
}

fn lay_over(step: &mut Step, translated: &Step, file: &SourceFile, marks: &StepMarks, report: &mut Report) {
    step.title.clone_from(&translated.title);
    let mut blocks = translated.body.iter().filter_map(prose);
    let wanted = step.body.iter().filter_map(prose).count();
    let found = blocks.clone().count();
    if wanted == found {
        for part in &mut step.body {
            if let Part::Prose(block) = part {
                blocks.next().into_iter().for_each(|translated| block.clone_from(translated));
            }
        }
    } else {
        let message =
            format!("this step has {found} paragraphs and other elements of prose, its original has {wanted}");
        report.error(file, marks.id.clone(), message).help("each element of the original is translated by one element");
    }
    if step.hints.len() == translated.hints.len() {
        let pairs = step.hints.iter().zip(&translated.hints);
        step.hints =
            pairs.map(|(hint, other)| Hint { when: hint.when.clone(), content: other.content.clone() }).collect();
    } else {
        let (found, wanted) = (translated.hints.len(), step.hints.len());
        report.error(file, marks.id.clone(), format!("this step has {found} hints, its original has {wanted}"));
    }
    if step.debrief.is_empty() == translated.debrief.is_empty() {
        step.debrief.clone_from(&translated.debrief);
    } else {
        let message =
            if step.debrief.is_empty() { "the original has no debrief here" } else { "the debrief is not translated" };
        report.warning(file, marks.id.clone(), message);
    }
}

fn prose(part: &Part) -> Option<&Block> {
    match part {
        Part::Prose(block) => Some(block),
        _ => None,
    }
}
