//! Reads a lesson: front matter, an introduction, and steps.

use std::ops::Range;

use super::diagnostics::Report;
use super::model::{Hint, Lesson, Part, StepId};
use super::parts::{self, Role, StepReader};
use super::prose::{self, Element, ElementKind, Marker, plain_text};
use super::source::SourceFile;
use super::variables::references;
use super::yaml::{Fields, Node, Reader, Region};
use crate::course::fence::attributes;
use crate::markdown::Block;

/// A lesson and what of it can only be judged together with the other lessons.
pub struct ParsedLesson {
    pub lesson: Lesson,
    pub marks: Vec<StepMarks>,
}

/// Where the names of a step stand in the file.
#[derive(Debug, Default)]
pub struct StepMarks {
    pub id: Range<usize>,
    pub saves: Vec<(String, Range<usize>)>,
    pub uses: Vec<Use>,
}

/// A `${NAME}`.
#[derive(Debug)]
pub struct Use {
    pub name: String,
    pub span: Range<usize>,
    pub place: UsePlace,
}

/// Where a variable is used, which decides what an unknown name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsePlace {
    /// A declarative check, where every name must be declared.
    Check,
    /// Shell of a check or a save, which may have variables of its own.
    Script,
    /// Prose, files and the learner's commands, where unknown names are left alone.
    Shown,
    /// A debrief, which already knows what its step saved.
    Afterwards,
}

/// Reads a lesson's file; its id is the file's stem.
pub fn read(file: &SourceFile, id: &str, report: &mut Report) -> ParsedLesson {
    read_as(Role::Original, file, id, report)
}

/// Reads the translation of a lesson, which holds prose alone.
pub fn read_translation(file: &SourceFile, id: &str, report: &mut Report) -> ParsedLesson {
    read_as(Role::Translation, file, id, report)
}

fn read_as(role: Role, file: &SourceFile, id: &str, report: &mut Report) -> ParsedLesson {
    let mut reader = Reader { file, report };
    let (front, base) = front_matter(&mut reader);
    let mut lesson = Lesson {
        id: id.to_owned(),
        title: front.title,
        minutes: front.minutes,
        introduction: Vec::new(),
        steps: Vec::new(),
    };
    let mut marks = Vec::new();
    let mut open: Option<StepReader> = None;
    for element in prose::parse(&mut reader, base) {
        if opens_step(&element, &mut reader) {
            if let Some(done) = open.take() {
                keep(done, &mut lesson, &mut marks, &mut reader);
            }
            open = Some(begin_step(role, element, &mut reader));
        } else if let Some(step) = &mut open {
            add_to_step(step, element, &mut reader);
        } else {
            add_to_introduction(&mut lesson, element, &mut reader);
        }
    }
    if let Some(done) = open.take() {
        keep(done, &mut lesson, &mut marks, &mut reader);
    }
    if lesson.steps.is_empty() {
        let end = file.text.len();
        reader.error(&(base.min(end)..end), "this lesson has no step").help("a step begins with `## Title {#id}`");
    }
    ParsedLesson { lesson, marks }
}

fn keep(done: StepReader, lesson: &mut Lesson, marks: &mut Vec<StepMarks>, reader: &mut Reader) {
    let (step, step_marks) = done.finish(reader);
    lesson.steps.push(step);
    marks.push(step_marks);
}

#[derive(Default)]
struct FrontMatter {
    title: String,
    minutes: Option<u32>,
}

/// The front matter and the offset behind it.
fn front_matter(reader: &mut Reader) -> (FrontMatter, usize) {
    let file = reader.file;
    let mut lines = file.lines(0..file.text.len());
    let opens = lines.next().is_some_and(|(line, _)| line.trim_end() == "---");
    if !opens {
        reader
            .error(&(0..0), "the front matter is missing")
            .help("begin the lesson with `---`, `title: …`, `---`, each on its own line");
        return (FrontMatter::default(), 0);
    }
    let inside = lines.next().map_or(file.text.len(), |(_, at)| at.start);
    let closing = file.lines(inside..file.text.len()).find(|(line, _)| line.trim_end() == "---");
    let Some((_, closing)) = closing else {
        reader.error(&(0..3), "the front matter is never closed").help("end it with a line `---`");
        return (FrontMatter::default(), file.text.len());
    };
    let base = file.lines(closing.end..file.text.len()).nth(1).map_or(file.text.len(), |(_, at)| at.start);
    let region = Region::new(file, inside..closing.start, 0);
    let front = if let Some(node) = region.parse(reader.report) {
        read_front_matter(&node, reader)
    } else {
        if region.text.trim().is_empty() {
            reader.error(&(0..3), "the front matter needs `title`");
        }
        FrontMatter::default()
    };
    (front, base)
}

fn read_front_matter(node: &Node, reader: &mut Reader) -> FrontMatter {
    let Some(fields) = Fields::open(node, "the front matter", &["title", "time"], reader) else {
        return FrontMatter::default();
    };
    let minutes = fields.get("time").and_then(|node| {
        let text = reader.text("`time`", node)?;
        let minutes = parse_minutes(&text);
        if minutes.is_none() {
            reader.error(&node.span, format!("`{text}` is no time")).help("give the minutes, like `time: 10`");
        }
        minutes
    });
    FrontMatter { title: fields.required_text("title", reader).unwrap_or_default(), minutes }
}

/// `10`, `10m`, `10 min`, `10 minutes`, `1h`.
fn parse_minutes(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let amount: u32 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "" | "m" | "min" | "minute" | "minutes" => 1,
        "h" | "hour" | "hours" => 60,
        _ => return None,
    };
    amount.checked_mul(factor).filter(|minutes| (1..=6000).contains(minutes))
}

/// Whether an element is a step's heading; one in another notation is reported and taken for what was meant.
fn opens_step(element: &Element, reader: &mut Reader) -> bool {
    let ElementKind::Heading { level: 2, .. } = &element.kind else { return false };
    let is_atx = reader.file.text[element.span.clone()].trim_start().starts_with('#');
    if !is_atx {
        reader
            .error(&element.span, "an underlined heading cannot open a step")
            .help("write `## Title {#id}`; a rule `---` needs an empty line before it");
    }
    true
}

fn begin_step(role: Role, element: Element, reader: &mut Reader) -> StepReader {
    let ElementKind::Heading { content, id, .. } = element.kind else { unreachable!("only headings open steps") };
    let file = reader.file;
    let line_end = file.lines(element.span.clone()).next().map_or(element.span.end, |(_, line)| line.end);
    let heading = element.span.start..line_end;
    let title = plain_text(&content).trim().to_owned();
    if title.is_empty() {
        reader.error(&heading, "this step has no title").help("write `## Title {#id}`");
    }
    let id_span = file.text[heading.clone()].rfind("{#").map_or(heading.clone(), |at| {
        let start = heading.start + at + 2;
        let length = file.text[start..heading.end].find('}').unwrap_or(0);
        start..start + length
    });
    match &id {
        None => {
            let proposal = slug(&title);
            reader.error(&heading, "this step has no id").help(format!("write `## {title} {{#{proposal}}}`"));
        }
        Some(id) if !is_id(id) => {
            reader
                .error(&id_span, format!("`{id}` is no id"))
                .help(format!("use small letters, digits and dashes: `{{#{}}}`", slug(id)));
        }
        Some(_) => {}
    }
    let id = id.unwrap_or_else(|| slug(&title));
    StepReader::new(role, StepId(id), title, file.location(element.span.start), id_span)
}

fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// A title as an id.
fn slug(title: &str) -> String {
    let words: Vec<String> = title
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    if words.is_empty() { "step".into() } else { words.join("-") }
}

fn add_to_introduction(lesson: &mut Lesson, element: Element, reader: &mut Reader) {
    match element.kind {
        ElementKind::Block(block) => lesson.introduction.push(block),
        ElementKind::Heading { level: 1, content, .. } if plain_text(&content) == lesson.title => {}
        ElementKind::Heading { level, content, .. } => lesson.introduction.push(Block::Heading { level, content }),
        ElementKind::Fence => {
            let Some(fence) = parts::fence(&element.span, reader) else { return };
            if let Some(verb) = fence.info.verb {
                let message = format!("a `{}` fence before the first step", verb.word());
                reader.error(&fence.opening, message).help("a step begins with `## Title {#id}`");
            }
            lesson.introduction.push(fence.display(reader));
        }
        ElementKind::Marked { .. } => {
            let first_line = reader.file.lines(element.span.clone()).next().map_or(element.span, |(_, line)| line);
            reader.error(&first_line, "a hint or debrief before the first step");
        }
    }
}

fn add_to_step(step: &mut StepReader, element: Element, reader: &mut Reader) {
    let text = &reader.file.text[element.span.clone()];
    let place = match element.kind {
        ElementKind::Marked { marker: Marker::Debrief, .. } => UsePlace::Afterwards,
        _ => UsePlace::Shown,
    };
    if !matches!(element.kind, ElementKind::Fence) {
        let uses = references(text).into_iter().filter_map(|reference| {
            let span = reference.span.start + element.span.start..reference.span.end + element.span.start;
            Some(Use { name: reference.name?.to_owned(), span, place })
        });
        step.marks.uses.extend(uses);
    }
    match element.kind {
        ElementKind::Block(block) => step.step.body.push(Part::Prose(block)),
        ElementKind::Heading { level: 1, .. } => {
            reader
                .error(&element.span, "a heading of the first level inside of a lesson")
                .help("a step begins with `## Title {#id}`, a heading inside of it with `###`");
        }
        ElementKind::Heading { level, content, .. } => {
            step.step.body.push(Part::Prose(Block::Heading { level, content }));
        }
        ElementKind::Fence => step.add_fence(&element.span, reader),
        ElementKind::Marked { marker, arguments, content } => add_marked(step, marker, &arguments, content, reader),
    }
}

fn add_marked(
    step: &mut StepReader,
    marker: Marker,
    arguments: &Range<usize>,
    content: Vec<Block>,
    reader: &mut Reader,
) {
    let text = &reader.file.text[arguments.clone()];
    let mut when = None;
    for ((key, at), value) in attributes(text, arguments.start, reader) {
        if marker == Marker::Hint && key == "when" {
            when = Some(value);
        } else if marker == Marker::Hint {
            reader.error(&at, format!("a hint does not know the key `{key}`")).suggest(&key, ["when"]);
        } else {
            reader.error(&at, "a debrief takes no keys");
        }
    }
    if content.is_empty() {
        let start = reader.file.text[..arguments.start].rfind('[').unwrap_or(arguments.start);
        let what = if marker == Marker::Hint { "this hint is empty" } else { "this debrief is empty" };
        reader.error(&(start..arguments.end + 1), what);
    }
    match marker {
        Marker::Debrief => step.step.debrief.extend(content),
        Marker::Hint => {
            step.step.hints.push(Hint { when: when.as_ref().map(|(name, _)| name.clone()), content });
            step.whens.extend(when);
        }
    }
}
