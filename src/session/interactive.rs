//! The session at a terminal: shows the step, offers what can be done, does it, until the learner leaves.

use super::autoplay::Transcript;
use super::menu::{self, Action, Situation};
use super::moves::Advance;
use super::solution::Deed;
use super::state;
use super::verify::{Patience, Report};
use super::{Session, show, solution};
use crate::course::model::{Part, Script};
use crate::error::{Exit, Failure};
use crate::ui::Choice;
use crate::workspace::lock::SessionLock;

/// Whether the learner stays.
enum Then {
    /// The same step, menu again.
    Stay,
    /// Another step: it is shown.
    Show,
    Leave,
}

impl Session<'_> {
    /// Plays the course with the learner.
    pub fn play(&mut self, is_new: bool) -> Result<(), Failure> {
        let _session = self.announce(is_new);
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
            let shown = self.progress.current.clone();
            loop {
                let then = self.choose()?;
                self.refresh();
                match then {
                    Then::Leave => return Ok(()),
                    Then::Show => continue 'steps,
                    Then::Stay if self.progress.current != shown => {
                        self.host.ui.say("You moved on in another terminal.");
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
        Ok(Situation {
            passed: record.settled,
            has_checks: !step.checks.is_empty(),
            open_quizzes: step.quizzes().count().saturating_sub(record.quizzes.len()),
            commands: step.body.iter().filter(|part| matches!(part, Part::Run(_))).count(),
            ran: self.ran.as_deref() == Some(place.id()),
            files: step.body.iter().filter(|part| matches!(part, Part::File(_))).count(),
            copies: step.body.iter().any(|part| matches!(part, Part::Copy(_))),
            hints_shown: record.hints.len(),
            hints: step.hints.len(),
            has_solution: !solution::deeds(step).is_empty(),
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
        match self.act(action) {
            Ok(then) => Ok(then),
            // What went wrong is told; the session goes on.
            Err(failure) if failure.exit != Exit::Interrupted => {
                self.host.ui.failure(&failure);
                Ok(Then::Stay)
            }
            Err(failure) => Err(failure),
        }
    }

    fn act(&mut self, action: Action) -> Result<Then, Failure> {
        match action {
            Action::GoOn => return self.go_on(),
            Action::AnswerQuiz => self.ask_quizzes()?,
            Action::Shell => {
                self.host.ui.say("Type `exit` to come back here; the step is checked then.");
                self.shell()?;
                self.refresh();
                self.check(Patience::Once)?;
            }
            Action::Run => {
                self.run_offered()?;
                self.check(Patience::AsWritten)?;
            }
            Action::Copy => self.copy()?,
            Action::Check => self.check(Patience::AsWritten)?,
            Action::Hint => self.hint()?,
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
        let line = self.host.ui.progress("checking");
        let report = self.verify(None, patience);
        line.clear();
        let report = report?;
        self.tell(&report, false);
        if report.passed() {
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
        let Ok(place) = self.place() else { return };
        if !place.step.debrief.is_empty() {
            self.host.ui.data(&format!("\n{}", self.render(&place.step.debrief)));
        }
    }

    /// Does what the step offers, on the learner's terminal: writes its files, runs its commands.
    pub fn run_offered(&mut self) -> Result<bool, Failure> {
        let environment = self.ready_environment()?;
        let deeds = solution::offered(self.place()?.step);
        if self.would_overwrite(&deeds) {
            let what = format!("what step {} offers", self.progress.current);
            let _lock = self.lock("run")?;
            self.keep_for_undo(&what)?;
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
                    self.host.ui.say(&format!("wrote {}", file.path));
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
        let Some(number) = show::next_hint(&hints, &failing, &self.progress.step(&id).hints) else {
            let ui = &self.host.ui;
            ui.say(
                &ui.conversation_style()
                    .commands("This step has no hint for where you are. `tutorial solve` shows the solution."),
            );
            return Ok(());
        };
        let ui = &self.host.ui;
        ui.data(&format!("\n{}\n", ui.style().accent(&format!("Hint {} of {}", number + 1, hints.len()))));
        ui.data(&self.render(&hints[number].content));
        self.progress.step_mut(&id).hints.insert(number);
        self.save()
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
