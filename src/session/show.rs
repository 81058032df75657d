//! What a step looks like: header, prose, hints, debrief, and what can be done next.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::state::{self, Place, StepState};
use super::{Session, solution};
use crate::course::model::{Hint, Quiz, Step};
use crate::course::{self, Variables};
use crate::markdown::{Block, Inline};
use crate::ui::{Style, Ui, hang};

impl Session<'_> {
    /// The current step as the learner reads it, with its lesson's introduction where it opens one.
    pub fn step_text(&self) -> String {
        let Some(place) = state::place(&self.course, &self.progress.current) else { return String::new() };
        let ui = &self.host.ui;
        let variables = self.variables();
        let mut text = header(&place, ui.style(), ui.width());
        let mut blocks = Vec::new();
        if place.opens_lesson() {
            blocks.push(heading(1, &place.lesson.title));
            blocks.extend(variables.substitute_blocks(&place.lesson.introduction));
        }
        blocks.push(heading(2, &place.step.title));
        blocks.extend(place.step.body.iter().filter_map(|part| variables.substitute_part(part).block()));
        text.push_str(&ui.render(&blocks));
        text
    }

    /// The step's questions, for where nobody can be asked.
    pub fn quiz_text(&self) -> String {
        let ui = &self.host.ui;
        let mut text = String::new();
        let quizzes = self.quizzes();
        for (number, quiz) in quizzes.iter().enumerate() {
            let which = which_question(number, quizzes.len(), ui.style());
            let _ = write!(text, "\n{which}{}\n", question(quiz, ui));
            text.push_str(&lettered(quiz, ui));
        }
        text
    }

    /// Whether the step's text needs values that only a running sandbox knows.
    pub fn text_needs_sandbox(&self) -> bool {
        if self.sandbox.known().is_some() {
            return false;
        }
        let Some(place) = state::place(&self.course, &self.progress.current) else { return false };
        let asks = format!("{:?}{:?}", place.step.body, place.lesson.introduction);
        ["${REGISTRY}", "${URL_"].iter().any(|name| asks.contains(name))
    }

    /// Blocks of the current step, for the terminal.
    pub fn render(&self, blocks: &[Block]) -> String {
        self.host.ui.render(&self.variables().substitute_blocks(blocks))
    }

    /// What stands at the end of a step that was printed where nobody can be asked.
    pub fn next_calls(&self) -> String {
        let Some(place) = state::place(&self.course, &self.progress.current) else { return String::new() };
        let step = place.step;
        let mut calls: Vec<(&str, &str)> = Vec::new();
        if step.quizzes().next().is_some() {
            calls.push(("tutorial answer", "answers the question, by its letter"));
        }
        if let Some(does) = what_run_does(step) {
            calls.push(("tutorial run", does));
        }
        if !step.checks.is_empty() {
            calls.push(("tutorial verify", "checks this step"));
        }
        if !step.hints.is_empty() {
            calls.push(("tutorial hint", "gives a hint"));
        }
        if !step.checks.is_empty() && (step.solution.is_some() || step.has_implied_solution()) {
            calls.push(("tutorial solve", "shows the solution and applies it"));
        }
        if place.number < place.steps {
            calls.push(("tutorial next", "goes on"));
        }
        if self.host.session_directory.as_deref() != Some(self.workspace.root()) {
            calls.push(("tutorial shell", "opens a shell that knows the sandbox"));
        }
        let style = self.host.ui.conversation_style();
        let width = self.host.ui.width();
        let lines = calls.iter().map(|(call, does)| {
            let padding = " ".repeat(16_usize.saturating_sub(call.len()));
            let line = format!("  {}{padding} {}", style.accent(call), style.dim(does));
            let fits = 19 + does.len() <= width;
            if fits { line } else { format!("  {}\n    {}", style.accent(call), style.dim(does)) }
        });
        format!("{}\n{}", style.bold("What next?"), lines.collect::<Vec<_>>().join("\n"))
    }
}

/// What `tutorial run` does in a step, where it does something.
fn what_run_does(step: &Step) -> Option<&'static str> {
    let offered = solution::offered(step);
    let changes = |deed: &solution::Deed| matches!(deed, solution::Deed::Write(file) if file.is_change());
    let files = offered.iter().filter(|deed| matches!(deed, solution::Deed::Write(_))).count();
    match (files, offered.len() - files) {
        (0, 0) => None,
        (0, 1) => Some("runs the command above"),
        (0, _) => Some("runs the commands above"),
        (1, 0) if offered.iter().all(changes) => Some("makes the change above"),
        (1, 0) => Some("writes the file above"),
        (_, 0) if offered.iter().all(changes) => Some("makes the changes above"),
        (_, 0) => Some("writes the files above"),
        (1, 1) => Some("writes the file and runs the command above"),
        _ => Some("writes the files and runs the commands above"),
    }
}

/// Which of several questions it is: a line above it.
pub fn which_question(number: usize, count: usize, style: Style) -> String {
    if count < 2 { String::new() } else { format!("{}\n", style.dim(&format!("Question {} of {count}", number + 1))) }
}

/// A question's options, each under a letter.
pub fn lettered(quiz: &Quiz, ui: &Ui) -> String {
    let options = quiz.options.iter().zip('a'..);
    options
        .map(|(option, letter)| hang(&format!("  {letter}) {}", ui.style().commands(&option.text)), ui.width(), 5))
        .collect()
}

/// A quiz's question, in its dress.
pub fn question(quiz: &Quiz, ui: &Ui) -> String {
    ui.render(&[Block::Heading { level: 3, content: course::inlines(quiz.question.trim()) }])
}

/// A paragraph that is written in Markdown.
pub fn paragraph(text: &str, ui: &Ui) -> String {
    ui.render(&[Block::Paragraph(course::inlines(text.trim()))])
}

/// The next hint, by its place: the first that applies and was not shown, else the last that applies. Those that
/// name a check apply while it fails, the others always.
pub fn next_hint(hints: &[Hint], failing: &[String], shown: &BTreeSet<usize>) -> Option<usize> {
    let applies = |hint: &Hint| hint.when.as_ref().is_none_or(|name| failing.contains(name));
    let applying = || hints.iter().enumerate().filter(|(_, hint)| applies(hint)).map(|(number, _)| number);
    applying().find(|number| !shown.contains(number)).or_else(|| applying().next_back())
}

/// What is said of hints that were not shown, and are not for where the learner is.
pub fn withheld(hints: &[Hint], failing: &[String], shown: &BTreeSet<usize>) -> Option<String> {
    let left: Vec<(usize, &str)> = hints
        .iter()
        .enumerate()
        .filter(|(number, _)| !shown.contains(number))
        .filter_map(|(number, hint)| Some((number + 1, hint.when.as_deref()?)))
        .filter(|(_, name)| !failing.iter().any(|failing| failing == name))
        .collect();
    match left.as_slice() {
        [] => None,
        [(number, name)] => Some(format!("Hint {number} is for the check “{name}”, which passes.")),
        several => Some(format!("{} others are for checks that pass.", several.len())),
    }
}

/// Where the learner stands, as one line with a bar.
pub fn header(place: &Place<'_>, style: Style, width: usize) -> String {
    let long = format!(
        "Lesson {}/{} · {} · step {}/{}",
        place.lesson_number, place.lessons, place.lesson.title, place.number, place.steps
    );
    let short = format!("Lesson {}/{} · step {}/{}", place.lesson_number, place.lessons, place.number, place.steps);
    let label = if long.chars().count() + 12 <= width { long } else { short };
    let bar_width = width.saturating_sub(label.chars().count() + 1).min(24);
    let filled = (bar_width * (place.number - 1)).checked_div(place.steps).unwrap_or(0);
    let bar = format!("{}{}", style.good(&"━".repeat(filled)), style.dim(&"━".repeat(bar_width - filled)));
    format!("\n{}\n\n", format!("{} {bar}", style.dim(&label)).trim_end())
}

/// A course's steps with their states, for `status`.
pub fn overview(session: &Session<'_>) -> String {
    let (style, width) = (session.host.ui.style(), session.host.ui.width());
    let mut text = String::new();
    let (done, total) = state::counts(&session.course, &session.progress);
    let skipped = match state::skipped(&session.course, &session.progress) {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    let title = style.bold(&session.course.title);
    text.push_str(&hang(&format!("{title} · {done} of {total} steps done{skipped}"), width, 2));
    for place in state::places(&session.course) {
        if place.opens_lesson() {
            let _ = write!(text, "\n{}\n", style.accent(&place.lesson.title));
        }
        let is_here = place.id() == session.progress.current;
        let sign = match state::state_of(&session.progress, place.id()) {
            StepState::Done => style.good("✓"),
            StepState::Skipped => style.warning("»"),
            StepState::Current => style.accent("▸"),
            StepState::Todo => style.dim("·"),
        };
        let title = if is_here { style.bold(&place.step.title) } else { place.step.title.clone() };
        let here = if is_here { style.accent("  ← you are here") } else { String::new() };
        let line = format!("{:>3} {sign} {title}  {}{here}", place.number, style.aside(place.id()));
        text.push_str(&hang(&line, width, 6));
    }
    text
}

fn heading(level: u8, text: &str) -> Block {
    Block::Heading { level, content: vec![Inline::Text(text.to_owned())] }
}

/// A script or a file's content in the form in which lessons show it.
pub fn deed_block(deed: &solution::Deed, variables: &Variables) -> Block {
    match deed {
        solution::Deed::Run(script) => Block::Code {
            language: "sh".into(),
            text: variables.substitute(&script.text).trim_end().to_owned(),
            label: None,
        },
        solution::Deed::Write(file) => Block::Code {
            language: file.language.clone(),
            text: variables.substitute(&file.text).trim_end().to_owned(),
            label: Some(file.path.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::state::tests::course;

    #[test]
    fn the_header_fits_the_terminal() {
        let course = course(&[("01", &["one", "two"]), ("02", &["three", "four"])]);
        let place = state::place(&course, "three").unwrap();
        let check = |width: usize, expected: &str| {
            let text = header(&place, Style::new(false), width);
            assert_eq!(text.trim(), expected);
            assert!(text.lines().all(|line| line.chars().count() <= width));
        };
        check(80, "Lesson 2/2 · Lesson 02 · step 3/4 ━━━━━━━━━━━━━━━━━━━━━━━━");
        check(40, "Lesson 2/2 · step 3/4 ━━━━━━━━━━━━━━━━━━");
        check(21, "Lesson 2/2 · step 3/4");
    }

    #[test]
    fn hints_come_one_at_a_time_and_those_for_a_check_while_it_fails() {
        let hint = |when: Option<&str>| Hint { when: when.map(str::to_owned), content: Vec::new() };
        let hints = [hint(None), hint(Some("a")), hint(Some("b")), hint(None)];
        let check = |failing: &[&str], shown: &[usize], expected: Option<usize>| {
            let failing: Vec<String> = failing.iter().map(|name| (*name).to_owned()).collect();
            let found = next_hint(&hints, &failing, &shown.iter().copied().collect());
            assert_eq!(found, expected, "failing {failing:?}, shown {shown:?}");
        };
        check(&[], &[], Some(0));
        check(&[], &[0], Some(3));
        check(&["b"], &[0], Some(2));
        check(&["a", "b"], &[0, 3], Some(1));
        check(&["a"], &[0, 1, 3], Some(3));
        assert_eq!(next_hint(&hints[1..2], &[], &BTreeSet::new()), None);
        let told = |failing: &[&str], shown: &[usize]| {
            let failing: Vec<String> = failing.iter().map(|name| (*name).to_owned()).collect();
            withheld(&hints, &failing, &shown.iter().copied().collect())
        };
        assert_eq!(told(&["a"], &[0, 1, 3]).as_deref(), Some("Hint 3 is for the check “b”, which passes."));
        assert_eq!(told(&[], &[0, 3]).as_deref(), Some("2 others are for checks that pass."));
        assert_eq!(told(&[], &[0, 1, 2, 3]), None);
    }
}
