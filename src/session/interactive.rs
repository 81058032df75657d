//! The session at a terminal: shows the step, offers what can be done, does it, until the learner leaves.

use std::time::Duration;

use super::autoplay::Transcript;
use super::menu::{self, Action, Situation};
use super::moves::Advance;
use super::solution::Deed;
use super::state;
use super::verify::{Patience, Report};
use super::{MOVED_ON, Session, history, show, solution};
use crate::course::model::{FilePart, Hint, Part, Script};
use crate::error::{Exit, Failure};
use crate::ui::Choice;
use crate::workspace::lock::SessionLock;
use crate::workspace::progress::UndoPoint;

/// How long the signal of a Ctrl-C that a prompt has seen may take to arrive.
const SIGNAL_TIME_MAX: Duration = Duration::from_millis(500);

/// Whether the learner stays.
enum Then {
    /// The same step, menu again.
    Stay,
    /// Another step: it is shown.
    Show,
    /// The same; it may have been done already, in the shell where the learner went on to it.
    ShowAndLook,
    Leave,
}

impl Session<'_> {
    /// Plays the course with the learner.
    pub fn play(&mut self, is_new: bool) -> Result<(), Failure> {
        let _session = self.announce(is_new);
        let mut may_be_done = false;
        'steps: loop {
            if self.text_needs_sandbox() {
                self.ready()?;
            }
            self.host.ui.data(&self.step_text());
            if let Err(failure) = self.prepare() {
                // There is still something to read; what needs the sandbox tries again.
                self.host.ui.failure(&failure);
            }
            self.write_prompt();
            if std::mem::take(&mut may_be_done) {
                self.tell_if_done()?;
            }
            let shown = self.progress.current.clone();
            loop {
                let then = self.choose()?;
                self.refresh();
                match then {
                    Then::Leave => return Ok(()),
                    Then::Show => continue 'steps,
                    Then::ShowAndLook => {
                        may_be_done = true;
                        continue 'steps;
                    }
                    Then::Stay if self.progress.current != shown => {
                        self.tell_moved_on();
                        continue 'steps;
                    }
                    Then::Stay => {}
                }
            }
        }
    }

    /// Welcomes the learner; a second session at the same time is told of the first.
    fn announce(&self, is_new: bool) -> Option<SessionLock> {
        let ui = &self.host.ui;
        let style = ui.conversation_style();
        let (done, total) = state::counts(&self.course, &self.progress);
        if is_new {
            let mut text = format!("{}\n{}\n", style.bold(&self.course.title), self.course.description.trim());
            let minutes: u32 = self.course.lessons.iter().filter_map(|lesson| lesson.minutes).sum();
            if minutes > 0 {
                let lessons = self.course.lessons.len();
                let size = format!("{lessons} lessons, {total} steps, about {minutes} minutes");
                text.push_str(&style.dim(&size));
            }
            ui.say(text.trim_end());
        } else if done == total {
            ui.say(&format!("Welcome back. You have finished {}.", style.bold(&self.course.title)));
        } else {
            ui.say(&format!("Welcome back. {done} of {total} steps are done."));
        }
        let lock = SessionLock::acquire(&self.workspace).ok();
        if lock.is_none() {
            ui.say(&style.dim("This course is open in another terminal too; both show the same progress."));
        }
        lock
    }

    fn situation(&self) -> Result<Situation, Failure> {
        let place = self.place()?;
        let record = self.progress.step(place.id());
        let step = place.step;
        let files = || {
            step.body.iter().filter_map(|part| match part {
                Part::File(file) => Some(file),
                _ => None,
            })
        };
        Ok(Situation {
            passed: record.settled,
            has_checks: !step.checks.is_empty(),
            open_quizzes: self.open_questions(place.id()),
            commands: step.body.iter().filter(|part| matches!(part, Part::Run(_))).count(),
            ran: self.ran.as_deref() == Some(place.id()),
            files: files().count(),
            only_changes: files().all(FilePart::is_change),
            copies: step.body.iter().any(|part| matches!(part, Part::Copy(_))),
            hints_shown: record.hints.len(),
            hints: step.hints.len(),
            has_solution: !solution::deeds(step).is_empty(),
            can_undo: self.undo_belongs_here(),
            is_first: place.number == 1,
            is_last: place.number == place.steps,
        })
    }

    fn choose(&mut self) -> Result<Then, Failure> {
        let situation = self.situation()?;
        let choices: Vec<Choice<Action>> = menu::menu(situation)
            .into_iter()
            .map(|action| Choice { label: menu::label(action, situation), value: action })
            .collect();
        let Some(action) = self.host.ui.choose(menu::prompt(situation), &choices)? else { return Ok(Then::Stay) };
        let shown = self.progress.current.clone();
        let undone = self.progress.undo.last().cloned();
        // What is chosen is meant for the step that is shown, which another terminal may have left since.
        let outcome = self.lock_at(&shown, "the menu").map(drop);
        let catching = self.host.interruptions.catch();
        let outcome = match action {
            Action::Quit => self.act(action),
            _ => outcome.and_then(|()| self.act(action)),
        };
        match outcome {
            Ok(then) => Ok(then),
            Err(failure) if failure.exit == Exit::Interrupted => {
                // The signal is on its way; it must find us still willing to go on.
                let interrupted =
                    async { tokio::time::timeout(SIGNAL_TIME_MAX, self.host.interruptions.caught()).await };
                let _ = self.host.block_on(interrupted);
                drop(catching);
                self.refresh();
                self.tell_interrupted(undone.as_ref());
                Ok(if self.progress.current == shown { Then::Stay } else { Then::Show })
            }
            Err(failure) if failure.message == MOVED_ON => {
                self.tell_moved_on();
                Ok(Then::Show)
            }
            // What went wrong is told; the session goes on.
            Err(failure) => {
                self.host.ui.failure(&failure);
                Ok(Then::Stay)
            }
        }
    }

    fn tell_moved_on(&self) {
        self.host.ui.say("You moved on in another terminal.");
    }

    /// Says where an action was interrupted, and what takes back what it did; `before` is what could be taken back
    /// before it.
    fn tell_interrupted(&self, before: Option<&UndoPoint>) {
        let ui = &self.host.ui;
        // Behind a question the line is still open.
        ui.say_as_is("");
        let mut text = format!("Interrupted at step `{}`.", self.progress.current);
        if self.progress.undo.last() != before {
            text.push_str(" `tutorial undo` takes it back.");
        }
        ui.say(&ui.conversation_style().commands(&text));
    }

    fn act(&mut self, action: Action) -> Result<Then, Failure> {
        match action {
            Action::GoOn => return self.go_on(),
            Action::AnswerQuiz => self.ask_quizzes()?,
            Action::Shell => {
                let is_checked = !self.place()?.step.checks.is_empty();
                let then = if is_checked { "; the step is checked then" } else { "" };
                let ui = &self.host.ui;
                ui.say(&ui.conversation_style().commands(&format!("Type `exit` to come back here{then}.")));
                let shown = self.progress.current.clone();
                self.shell()?;
                self.refresh();
                if self.progress.current != shown {
                    // `tutorial next` in the shell: that the new step is not done yet is no news.
                    return Ok(Then::ShowAndLook);
                }
                self.check(Patience::Once)?;
            }
            Action::Run => {
                self.run_offered()?;
                self.check(Patience::AsWritten)?;
            }
            Action::Copy => self.copy()?,
            Action::Check => self.check(Patience::AsWritten)?,
            Action::Hint if self.situation()?.has_shown_hints() => self.hints_again()?,
            Action::Hint => self.hint()?,
            Action::Reset => {
                let id = self.progress.current.clone();
                let question = format!("Put git and the sandbox back to the start of “{}”?", self.place()?.step.title);
                if self.host.ui.confirm(&question, false)? {
                    self.reset_to(&id, &format!("the reset of step {id}"), &id)?;
                    return Ok(Then::Show);
                }
            }
            Action::Undo => {
                let point = self.undo()?;
                self.host.ui.say(&format!("Taken back: {}.", point.what));
                return Ok(Then::Show);
            }
            Action::Solve => {
                self.show_solution()?;
                if self.host.ui.confirm("Apply it?", true)? {
                    self.solve(&mut Transcript::new(&self.host.ui))?;
                    self.check(Patience::AsWritten)?;
                }
            }
            Action::Skip => {
                let advance = self.skip(&mut Transcript::new(&self.host.ui))?;
                return Ok(self.arrive(&advance));
            }
            Action::Back => {
                self.back()?;
                return Ok(Then::Show);
            }
            Action::ShowAgain => return Ok(Then::Show),
            Action::Quit => {
                let style = self.host.ui.conversation_style();
                self.host.ui.say(&style.commands("Your progress is kept. Go on with `tutorial start`."));
                return Ok(Then::Leave);
            }
        }
        Ok(Then::Stay)
    }

    fn go_on(&mut self) -> Result<Then, Failure> {
        let advance = self.advance()?;
        Ok(self.arrive(&advance))
    }

    fn arrive(&self, advance: &Advance) -> Then {
        match advance {
            Advance::Entered => Then::Show,
            Advance::NotYet(report) => {
                self.tell(report, false);
                Then::Stay
            }
            Advance::Finished => {
                self.host.ui.data(&self.summary());
                Then::Leave
            }
        }
    }

    /// Checks the step, tells what came of it, and why it was right.
    pub fn check(&mut self, patience: Patience) -> Result<(), Failure> {
        if self.place()?.step.checks.is_empty() {
            return Ok(());
        }
        let report = self.verify(None, patience)?;
        self.tell(&report, false);
        if report.passed() {
            self.tell_debrief();
        }
        Ok(())
    }

    /// Says so where the step passes; a step that does not has hardly been read.
    fn tell_if_done(&mut self) -> Result<(), Failure> {
        if self.place()?.step.checks.is_empty() || self.progress.step(&self.progress.current).settled {
            return Ok(());
        }
        let id = self.progress.current.clone();
        let report = self.observe(&id, Patience::Once)?;
        if report.passed() {
            self.record(&report)?;
            self.tell(&report, false);
            self.tell_debrief();
        }
        Ok(())
    }

    /// Prints the verdicts.
    pub fn tell(&self, report: &Report, explain: bool) {
        let ui = &self.host.ui;
        ui.data(&format!("\n{}", report.render(ui.style(), ui.width(), explain)));
    }

    /// What the step's author says once it is done.
    pub fn tell_debrief(&self) {
        self.tell_debrief_of(&self.progress.current);
    }

    /// The same of any step.
    pub fn tell_debrief_of(&self, step: &str) {
        let Some(place) = state::place(&self.course, step) else { return };
        if !place.step.debrief.is_empty() {
            self.host.ui.data(&format!("\n{}", self.render(&place.step.debrief)));
        }
    }

    /// Does what the step offers, on the learner's terminal: writes its files, runs its commands.
    pub fn run_offered(&mut self) -> Result<bool, Failure> {
        let environment = self.ready_environment()?;
        let deeds = solution::offered(self.place()?.step);
        if self.would_overwrite(&deeds) {
            let id = self.progress.current.clone();
            let _lock = self.lock("run")?;
            self.keep_for_undo(&format!("what step {id} offers"), &id)?;
        }
        let mut all_well = true;
        for (index, deed) in deeds.into_iter().enumerate() {
            if index > 0 && matches!(deed, Deed::Run(_)) {
                self.host.ui.say("");
            }
            match deed {
                Deed::Run(script) => all_well &= self.run_on_terminal(&script, &environment)?,
                Deed::Write(file) => {
                    let file = self.variables().substitute_file(&file);
                    self.write_file(&file)?;
                    self.note(history::Deed::Wrote, &file.path);
                    let did = if file.is_change() { "changed" } else { "wrote" };
                    self.host.ui.say(&format!("{did} {}", file.path));
                }
            }
        }
        self.ran = Some(self.progress.current.clone());
        Ok(all_well)
    }

    fn run_on_terminal(&self, script: &Script, environment: &[(String, String)]) -> Result<bool, Failure> {
        let style = self.host.ui.conversation_style();
        for line in self.variables().substitute(&script.text).trim_end().lines() {
            self.host.ui.say_as_is(&format!("{} {line}", style.accent("$")));
        }
        self.note(history::Deed::Ran, &self.variables().substitute(&script.text));
        let repository = self.workspace.repository();
        let scene = self.host.scene(&repository, environment);
        let _foreground = self.host.interruptions.foreground();
        let status = scene.run(&script.text).map_err(solution::no_shell)?;
        if !status.success() {
            let ending = super::scripts::ending(Some(status));
            self.host.ui.say_as_is(&style.dim(&format!("({ending})")));
        }
        Ok(status.success())
    }

    /// Hands the step's texts for the clipboard to the terminal.
    fn copy(&self) -> Result<(), Failure> {
        let variables = self.variables();
        let texts = self.place()?.step.body.iter().filter_map(|part| match part {
            Part::Copy(script) => Some(variables.substitute(&script.text)),
            _ => None,
        });
        let text = texts.collect::<Vec<_>>().join("\n");
        self.host.ui.copy(text.trim_end());
        self.host.ui.say("Copied, if your terminal allows it.");
        Ok(())
    }

    /// Shows the next hint that applies, and keeps that it was shown.
    pub fn hint(&mut self) -> Result<(), Failure> {
        let place = self.place()?;
        let (id, hints) = (place.id().to_owned(), place.step.hints.clone());
        let conditional = hints.iter().any(|hint| hint.when.is_some());
        let failing: Vec<String> = if conditional {
            let report = self.observe(&id, Patience::Once)?;
            let failing = report.verdicts.iter().filter(|verdict| verdict.state != crate::checks::State::Passed);
            failing.map(|verdict| verdict.name.clone()).collect()
        } else {
            Vec::new()
        };
        let _lock = self.lock("hint")?;
        let ui = &self.host.ui;
        let solution = if self.place()?.step.checks.is_empty() { "" } else { " `tutorial solve` shows the solution." };
        let shown = self.progress.step(&id).hints;
        let tell_none = |text: &str| {
            let withheld = show::withheld(&hints, &failing, &shown).map(|text| format!(" {text}")).unwrap_or_default();
            ui.say(&ui.conversation_style().commands(&format!("{text}{withheld}{solution}")));
        };
        let Some(number) = show::next_hint(&hints, &failing, &shown) else {
            tell_none("This step has no hint for where you are.");
            return Ok(());
        };
        self.tell_hint(&hints, number);
        if shown.contains(&number) {
            tell_none("There are no more hints for where you are.");
        }
        self.progress.step_mut(&id).hints.insert(number);
        self.save()
    }

    /// Shows the hints that were shown before.
    fn hints_again(&self) -> Result<(), Failure> {
        let place = self.place()?;
        let shown = self.progress.step(place.id()).hints;
        shown.into_iter().filter(|number| *number < place.step.hints.len()).for_each(|number| {
            self.tell_hint(&place.step.hints, number);
        });
        Ok(())
    }

    fn tell_hint(&self, hints: &[Hint], number: usize) {
        let ui = &self.host.ui;
        ui.data(&format!("\n{}\n", ui.style().accent(&format!("Hint {} of {}", number + 1, hints.len()))));
        ui.data(&self.render(&hints[number].content));
    }

    /// Shows the step's solution.
    pub fn show_solution(&self) -> Result<(), Failure> {
        let variables = self.variables();
        let deeds = solution::deeds(self.place()?.step);
        if deeds.is_empty() {
            return Err(Failure::new("this step asks for nothing that could be solved").hint("`tutorial next` goes on"));
        }
        let blocks: Vec<_> = deeds.iter().map(|deed| show::deed_block(deed, &variables)).collect();
        self.host.ui.data(&format!("\n{}", self.host.ui.render(&blocks)));
        Ok(())
    }
}
