//! Reads the fences of a step into its parts.

use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use super::check::{Check, Probe};
use super::checks;
use super::fence::{Info, Spanned, Verb, parse_info};
use super::lesson::{StepMarks, Use, UsePlace};
use super::model::{FileMode, FilePart, NamedScript, Part, Quiz, QuizOption, Save, Script, Step, StepId};
use super::variables::{is_name, references};
use super::yaml::{Fields, Kind, Node, Reader, Region};
use crate::markdown::Block;

/// What a usual terminal shows side by side.
const DIAGRAM_COLUMNS_MAX: usize = 80;

/// A fence as it stands in the file.
pub struct Fence {
    pub info: Info,
    /// The opening line.
    pub opening: Range<usize>,
    /// The lines between.
    pub body: Range<usize>,
    /// How far the fence is indented.
    indent: usize,
    /// The lines between, joined, with a line break after each.
    pub text: String,
}

impl Fence {
    /// The fence as it is shown where it has no meaning of its own. A diagram must fit into a usual terminal, for
    /// it cannot be wrapped.
    pub fn display(&self, reader: &mut Reader) -> Block {
        if matches!(self.info.language.as_str(), "" | "text") {
            let file = reader.file;
            if let Some((line, at)) = file.lines(self.body.clone()).find(|(line, _)| line.width() > DIAGRAM_COLUMNS_MAX)
            {
                let message = format!("this line is {} columns wide, a usual terminal has 80", line.width());
                reader.warning(&at, message);
            }
        }
        let text = self.text.trim_end_matches('\n').to_owned();
        Block::Code { language: self.info.language.clone(), text, label: None }
    }
}

/// Reads the fence at `span`; `None` after one that is never closed was reported.
pub fn fence(span: &Range<usize>, reader: &mut Reader) -> Option<Fence> {
    let file = reader.file;
    let mut lines: Vec<(&str, Range<usize>)> = file.lines(span.clone()).collect();
    let (first, opening) = lines.first().cloned()?;
    lines.remove(0);
    let indent = first.find(['`', '~'])?;
    let character = if first[indent..].starts_with('~') { '~' } else { '`' };
    let length = first[indent..].chars().take_while(|c| *c == character).count();
    let info_start = indent + length;
    let info = parse_info(&first[info_start..], opening.start + info_start, reader);
    let closes = |line: &str| line.trim().chars().all(|c| c == character) && line.trim().chars().count() >= length;
    let Some((_, closing)) = lines.pop_if(|(line, _)| closes(line)) else {
        let end = character.to_string().repeat(length);
        reader.error(&opening, "this fence is never closed").help(format!("end it with a line {end}"));
        return None;
    };
    let body = lines.first().map_or(closing.start, |(_, first)| first.start)..closing.start;
    let text = Region::new(file, body.clone(), indent).text;
    Some(Fence { info, opening, body, indent, text })
}

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Original,
    /// Prose alone; everything else is the original's.
    Translation,
}

/// A step while its elements are read.
pub struct StepReader {
    pub step: Step,
    pub marks: StepMarks,
    /// The `when` of each hint that has one.
    pub whens: Vec<Spanned>,
    check_names: Vec<Spanned>,
    wrongs: Vec<Range<usize>>,
    role: Role,
    /// A fence could not be understood, so that the step may seem to lack what it has.
    is_incomplete: bool,
}

impl StepReader {
    /// A step that has only its heading.
    pub fn new(role: Role, id: StepId, title: String, location: String, id_span: Range<usize>) -> Self {
        let step = Step {
            id,
            title,
            body: Vec::new(),
            setup: Vec::new(),
            cleanup: Vec::new(),
            checks: Vec::new(),
            saves: Vec::new(),
            solution: None,
            alternatives: Vec::new(),
            wrongs: Vec::new(),
            hints: Vec::new(),
            debrief: Vec::new(),
            location,
        };
        let marks = StepMarks { id: id_span, ..StepMarks::default() };
        Self { step, marks, whens: Vec::new(), check_names: Vec::new(), wrongs: Vec::new(), role, is_incomplete: false }
    }

    /// Reads the fence at `span` into the step.
    pub fn add_fence(&mut self, span: &Range<usize>, reader: &mut Reader) {
        let mistakes = reader.report.count();
        self.read_fence(span, reader);
        self.is_incomplete |= reader.report.count() > mistakes;
    }

    fn read_fence(&mut self, span: &Range<usize>, reader: &mut Reader) {
        let Some(fence) = fence(span, reader) else { return };
        let Some(verb) = fence.info.verb else {
            self.note_uses(&fence, UsePlace::Shown, reader);
            self.step.body.push(Part::Prose(fence.display(reader)));
            return;
        };
        if self.role == Role::Translation {
            let message = format!("a `{}` fence in a translation, which holds prose alone", verb.word());
            reader.error(&fence.opening, message).help("leave it out: the original's is taken");
            return;
        }
        if fence.text.trim().is_empty() && verb != Verb::File {
            reader.error(&fence.opening, format!("this `{}` fence is empty", verb.word()));
            return;
        }
        let place = match verb {
            Verb::Check if fence.info.is_shell() => Some(UsePlace::Script),
            Verb::Check | Verb::Save => None,
            _ => Some(UsePlace::Shown),
        };
        if let Some(place) = place {
            self.note_uses(&fence, place, reader);
        }
        self.keep(verb, fence, reader);
    }

    fn keep(&mut self, verb: Verb, fence: Fence, reader: &mut Reader) {
        let script = Script { text: fence.text.clone(), location: reader.file.location(fence.opening.start) };
        match verb {
            Verb::Run => self.step.body.push(Part::Run(script)),
            Verb::Type => self.step.body.push(Part::Type(script)),
            Verb::Copy => self.step.body.push(Part::Copy(script)),
            Verb::Expect => {
                let text = fence.text.trim_end_matches('\n').to_owned();
                self.step.body.push(Part::Expect { language: fence.info.language, text });
            }
            Verb::File => self.step.body.extend(file(fence, script.location, reader).map(Part::File)),
            Verb::Setup => self.step.setup.push(script),
            Verb::Cleanup => self.step.cleanup.push(script),
            Verb::Check if fence.info.is_shell() => self.shell_check(&fence, script, reader),
            Verb::Check => self.yaml_checks(&fence, reader),
            Verb::Save => self.saves(&fence, reader),
            Verb::Solve => self.solution(&fence, script, reader),
            Verb::Wrong => self.wrong(&fence, script, reader),
            Verb::Quiz => self.quiz(&fence, reader),
        }
    }

    fn yaml_checks(&mut self, fence: &Fence, reader: &mut Reader) {
        let Some(node) = yaml(fence, reader) else { return };
        note_node_uses(&node, UsePlace::Check, &mut self.marks, reader);
        for (check, at) in checks::read(&node, reader) {
            self.add_check(check, at, reader);
        }
    }

    fn shell_check(&mut self, fence: &Fence, script: Script, reader: &mut Reader) {
        let within = fence.info.get("within").and_then(|(text, at)| checks::duration_of(text, at, reader));
        let otherwise = fence.info.get("else").map(|(text, _)| text.clone());
        let Some((name, at)) = required(fence, "name", "a `sh check`", reader) else { return };
        let probe = Probe::Shell { script: script.text };
        self.add_check(Check { name, within, otherwise, probe, location: script.location }, at, reader);
    }

    fn add_check(&mut self, check: Check, at: Range<usize>, reader: &mut Reader) {
        if self.check_names.iter().any(|(name, _)| *name == check.name) {
            reader
                .error(&at, format!("this step has two checks named `{}`", check.name))
                .help("hints and reports tell checks by their names");
        }
        self.check_names.push((check.name.clone(), at));
        self.step.checks.push(check);
    }

    fn saves(&mut self, fence: &Fence, reader: &mut Reader) {
        let Some(node) = yaml(fence, reader) else { return };
        note_node_uses(&node, UsePlace::Script, &mut self.marks, reader);
        let Some(fields) = Fields::any(&node, "a `save` fence", reader) else { return };
        for (name, at, value) in fields.entries() {
            if !is_name(name) {
                reader.error(at, format!("`{name}` cannot name a variable")).help("use letters, digits and `_`");
            }
            if let Some(command) = reader.text(&format!("the command of `{name}`"), value) {
                self.marks.saves.push(((*name).to_owned(), at.clone()));
                let location = reader.file.location(at.start);
                self.step.saves.push(Save { name: (*name).to_owned(), command, location });
            }
        }
    }

    fn solution(&mut self, fence: &Fence, script: Script, reader: &mut Reader) {
        if let Some((name, at)) = fence.info.get("alt") {
            if self.step.alternatives.iter().any(|alternative| alternative.name == *name) {
                reader.error(at, format!("this step has two solutions named `{name}`"));
            }
            self.step.alternatives.push(NamedScript { name: name.clone(), script });
        } else if self.step.solution.is_some() {
            reader
                .error(&fence.opening, "this step has two solutions")
                .help("name the second one: `sh solve alt=\"…\"`");
        } else {
            self.step.solution = Some(script);
        }
    }

    fn wrong(&mut self, fence: &Fence, script: Script, reader: &mut Reader) {
        let Some((name, at)) = required(fence, "name", "a `sh wrong`", reader) else { return };
        if self.step.wrongs.iter().any(|wrong| wrong.name == name) {
            reader.error(&at, format!("this step has two wrong answers named `{name}`"));
        }
        self.step.wrongs.push(NamedScript { name, script });
        self.wrongs.push(fence.opening.clone());
    }

    fn quiz(&mut self, fence: &Fence, reader: &mut Reader) {
        let Some(node) = yaml(fence, reader) else { return };
        let quizzes = match &node.kind {
            Kind::Sequence(items) => items.iter().filter_map(|item| quiz(item, reader)).collect(),
            _ => quiz(&node, reader).into_iter().collect::<Vec<_>>(),
        };
        self.step.body.extend(quizzes.into_iter().map(Part::Quiz));
    }

    fn note_uses(&mut self, fence: &Fence, place: UsePlace, reader: &Reader) {
        note_text_uses(&fence.body, place, &mut self.marks, reader);
    }

    /// Judges the step as a whole.
    pub fn finish(self, reader: &mut Reader) -> (Step, StepMarks) {
        if self.is_incomplete || self.role == Role::Translation {
            return (self.step, self.marks);
        }
        for (when, at) in &self.whens {
            let names: Vec<&str> = self.check_names.iter().map(|(name, _)| name.as_str()).collect();
            if !names.contains(&when.as_str()) {
                reader.error(at, format!("this step has no check named `{when}`")).suggest(when, names);
            }
        }
        if self.step.checks.is_empty() {
            for at in &self.wrongs {
                reader.error(at, "a wrong answer in a step that has no check");
            }
            if self.step.asks_for_action() && self.step.quizzes().next().is_none() {
                reader
                    .warning(&self.marks.id, "this step asks for an action, and no check looks at what came of it")
                    .help("add a `yaml check` fence");
            }
        }
        if self.step.solution.is_none() && !self.step.checks.is_empty() && !self.step.has_implied_solution() {
            reader
                .error(&self.marks.id, "this step has checks, and nothing that a solution could be made of")
                .help("add a `sh solve` fence");
        }
        (self.step, self.marks)
    }
}

/// The tree of a YAML fence; `None` after what is wrong with it was reported.
fn yaml(fence: &Fence, reader: &mut Reader) -> Option<Node> {
    let region = Region::new(reader.file, fence.body.clone(), fence.indent);
    let mistakes = reader.report.count();
    let node = region.parse(reader.report);
    if node.is_none() && reader.report.count() == mistakes {
        reader.error(&fence.opening, "this fence is empty");
    }
    node
}

fn file(fence: Fence, location: String, reader: &mut Reader) -> Option<FilePart> {
    let path = required(&fence, "path", "a `file`", reader);
    if let Some((path, at)) = &path {
        checks::relative_path(path, at, reader);
    }
    let mode = match fence.info.get("mode") {
        None => FileMode::Write,
        Some((mode, at)) => match mode.as_str() {
            "write" => FileMode::Write,
            "append" => FileMode::Append,
            "patch" => FileMode::Patch,
            other => {
                reader.error(at, format!("unknown mode `{other}`")).suggest(other, ["append", "patch", "write"]);
                return None;
            }
        },
    };
    if mode == FileMode::Patch && !fence.text.lines().any(|line| line.starts_with("@@")) {
        reader
            .error(&fence.opening, "a patch needs a unified diff")
            .help("its changes begin with a line `@@ -1,3 +1,3 @@`");
    }
    Some(FilePart { path: path?.0, language: fence.info.language, text: fence.text, mode, location })
}

fn required(fence: &Fence, key: &str, what: &str, reader: &mut Reader) -> Option<Spanned> {
    match fence.info.get(key) {
        Some((value, at)) if value.trim().is_empty() => {
            reader.error(at, format!("`{key}` is empty"));
            None
        }
        Some(found) => Some(found.clone()),
        None => {
            reader.error(&fence.opening, format!("{what} fence needs `{key}=`"));
            None
        }
    }
}

fn quiz(node: &Node, reader: &mut Reader) -> Option<Quiz> {
    let fields = Fields::open(node, "a quiz", &["question", "options"], reader)?;
    let question = fields.required_text("question", reader);
    let list = fields.require("options", reader)?;
    let Kind::Sequence(items) = &list.kind else {
        return reader.mistyped("`options`", "a list", list);
    };
    let mistakes = reader.report.count();
    let options: Vec<QuizOption> = items.iter().filter_map(|item| option(item, reader)).collect();
    if reader.report.count() == mistakes {
        if options.len() < 2 {
            reader.error(&list.span, "a quiz needs two options at least");
        } else if !options.iter().any(|option| option.right) {
            reader.error(&list.span, "this quiz has no right answer").help("mark an option with `right: true`");
        } else if options.iter().all(|option| option.right) {
            reader.warning(&list.span, "every option of this quiz is right");
        }
    }
    Some(Quiz { question: question?, options })
}

fn option(node: &Node, reader: &mut Reader) -> Option<QuizOption> {
    let fields = Fields::open(node, "an option", &["text", "right", "explanation"], reader)?;
    let text = fields.required_text("text", reader);
    let right = fields.boolean("right", reader).unwrap_or(false);
    let explanation = fields.required_text("explanation", reader);
    Some(QuizOption { text: text?, right, explanation: explanation? })
}

/// Notes the variables in the texts of a YAML tree; the texts of `run` are shell.
fn note_node_uses(node: &Node, place: UsePlace, marks: &mut StepMarks, reader: &Reader) {
    match &node.kind {
        Kind::Scalar { .. } => note_text_uses(&node.span, place, marks, reader),
        Kind::Sequence(items) => items.iter().for_each(|item| note_node_uses(item, place, marks, reader)),
        Kind::Mapping(entries) => {
            for (key, value) in entries {
                let place = if key.text() == Some("run") { UsePlace::Script } else { place };
                note_node_uses(key, place, marks, reader);
                note_node_uses(value, place, marks, reader);
            }
        }
    }
}

fn note_text_uses(span: &Range<usize>, place: UsePlace, marks: &mut StepMarks, reader: &Reader) {
    let text = reader.file.text.get(span.clone()).unwrap_or_default();
    for reference in references(text) {
        let Some(name) = reference.name else { continue };
        if place == UsePlace::Script && assigns(text, name) {
            continue;
        }
        let at = reference.span.start + span.start..reference.span.end + span.start;
        marks.uses.push(Use { name: name.to_owned(), span: at, place });
    }
}

/// Whether a script gives a variable its value by itself.
fn assigns(script: &str, name: &str) -> bool {
    let words: Vec<&str> = script.split(|c: char| c.is_whitespace() || matches!(c, ';' | '(' | '|' | '&')).collect();
    words.iter().any(|word| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
        || words.windows(2).any(|pair| matches!(pair[0], "for" | "read" | "-r") && pair[1] == name)
}
