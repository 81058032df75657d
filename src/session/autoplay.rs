//! Plays every step by its solution, through a shell, asking nothing: the proof that a course works as written.

use std::time::Instant;

use super::moves::Narrator;
use super::solution::Deed;
use super::state::{self, Place};
use super::verify::Patience;
use super::{Host, Session};
use crate::error::{Exit, Failure};
use crate::ui::{Style, Ui};

/// Prints what is played, compactly.
#[derive(Debug)]
pub struct Transcript<'u> {
    ui: &'u Ui,
    style: Style,
}

impl<'u> Transcript<'u> {
    pub fn new(ui: &'u Ui) -> Self {
        Self { ui, style: ui.conversation_style() }
    }
}

impl Narrator for Transcript<'_> {
    fn step(&mut self, place: &Place<'_>) {
        let number = format!("[{}/{}]", place.number, place.steps);
        self.ui.say(&format!("{} {}", self.style.dim(&number), self.style.bold(&place.step.title)));
    }

    fn deed(&mut self, deed: &Deed) {
        match deed {
            Deed::Run(script) => script.text.trim_end().lines().for_each(|line| {
                self.ui.say_as_is(&format!("  {} {}", self.style.accent("$"), line));
            }),
            Deed::Write(file) => self.ui.say_as_is(&format!("  {} {}", self.style.accent("wrote"), file.path)),
        }
    }

    fn line(&mut self, line: &str) {
        self.ui.say_as_is(&format!("  {} {line}", self.style.dim("│")));
    }
}

impl Session<'_> {
    /// Plays from the current step to the end; an error at the first step that does not pass.
    pub fn autoplay(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        let mut narrator = Transcript::new(&self.host.ui);
        while !state::is_complete(&self.course, &self.progress) {
            self.autoplay_step(&mut narrator)?;
            match state::after(&self.course, &self.progress.current).map(|place| place.id().to_owned()) {
                Some(next) => self.enter(&next)?,
                None => break,
            }
        }
        let style = self.host.ui.conversation_style();
        let (done, total) = state::counts(&self.course, &self.progress);
        let seconds = started.elapsed().as_secs_f64();
        self.host.ui.say(&format!("{} {done} of {total} steps passed in {seconds:.1} s", style.good("✓")));
        Ok(())
    }

    fn autoplay_step(&mut self, narrator: &mut Transcript<'_>) -> Result<(), Failure> {
        let started = Instant::now();
        let style = self.host.ui.conversation_style();
        narrator.step(&self.place()?);
        self.prepare()?;
        let id = self.progress.current.clone();
        let step = self.place()?.step.clone();
        if !step.checks.is_empty() && self.observe(&id, Patience::Once)?.passed() {
            self.host.ui.say(&format!("  {} it passes before anything was done", style.warning("note:")));
        }
        let ui = &self.host.ui;
        let teller = std::cell::RefCell::new(Transcript::new(ui));
        self.apply_solution(&step, |deed| teller.borrow_mut().deed(deed), |line| teller.borrow_mut().line(line))?;
        let report = self.observe(&id, Patience::AsWritten)?;
        self.record(&report)?;
        let width = ui.width();
        let verdicts = report.render(style, width.saturating_sub(2), false);
        verdicts.lines().for_each(|line| ui.say_as_is(&format!("  {line}")));
        if !report.passed() {
            let failed = report.first_failed().map(|verdict| verdict.name.clone()).unwrap_or_default();
            return Err(Failure::new(format!("step `{id}` does not pass after its solution: {failed}"))
                .hint(format!("`tutorial verify --step {id} --explain` says what was observed"))
                .exit(if report.exit() == Exit::Broken { Exit::Broken } else { Exit::NotYet }));
        }
        {
            let _lock = self.lock("autoplay")?;
            self.progress.step_mut(&id).solved = true;
            self.progress.step_mut(&id).ended = Some(Host::now());
            self.save()?;
        }
        ui.say_as_is(&format!("  {}", style.dim(&format!("{:.1} s", started.elapsed().as_secs_f64()))));
        Ok(())
    }
}
