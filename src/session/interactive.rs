//! The session at a terminal: shows the step, offers what can be done, does it, until the learner leaves.

use std::fmt::Write;

use super::autoplay::Transcript;
use super::moves::Advance;
use super::solution::Deed;
use super::state;
use super::verify::{Patience, Report};
use super::{Session, show, solution};
use crate::course::model::{Part, Quiz, Script};
use crate::error::{Exit, Failure};
use crate::ui::Choice;
use crate::workspace::lock::SessionLock;

/// What a learner can choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    GoOn,
    AnswerQuiz,
    Shell,
    Run,
    Copy,
    Check,
    Hint,
    Solve,
    Skip,
    Back,
    ShowAgain,
    Quit,
}

/// What the menu depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact about the step, and all may be combined")]
pub struct Situation {
    pub passed: bool,
    pub has_checks: bool,
    pub open_quizzes: usize,
    pub commands: usize,
    /// The commands have been run in this session.
    pub ran: bool,
    pub files: usize,
    /// There is something for the clipboard.
    pub copies: bool,
    pub hints_shown: usize,
    pub hints: usize,
    pub has_solution: bool,
    pub is_first: bool,
    pub is_last: bool,
}

/// What is offered, the likeliest first.
pub fn menu(situation: Situation) -> Vec<Action> {
    let to_do = situation.has_checks && !situation.passed;
    let mut actions = Vec::new();
    let mut offer = |wanted: bool, action: Action| {
        if wanted {
            actions.push(action);
        }
    };
    offer(situation.open_quizzes > 0 && !to_do, Action::AnswerQuiz);
    let offers = situation.commands + situation.files > 0;
    let to_run = offers && !situation.ran && !situation.passed;
    offer(to_run && !situation.has_checks, Action::Run);
    offer(!to_do, Action::GoOn);
    offer(to_do, Action::Shell);
    offer(offers && (situation.has_checks || !to_run), Action::Run);
    offer(situation.copies, Action::Copy);
    offer(situation.has_checks, Action::Check);
    offer(to_do && situation.hints_shown < situation.hints, Action::Hint);
    offer(to_do && situation.has_solution, Action::Solve);
    offer(to_do, Action::Skip);
    offer(!to_do, Action::Shell);
    offer(!situation.is_first, Action::Back);
    offer(true, Action::ShowAgain);
    offer(true, Action::Quit);
    actions
}

fn label(action: Action, situation: Situation) -> String {
    let count = |number: usize, one: &str, many: &str| {
        if number == 1 { one.to_owned() } else { format!("{many} ({number})") }
    };
    match action {
        Action::GoOn if situation.is_last => "Finish".into(),
        Action::GoOn => "Go on".into(),
        Action::AnswerQuiz => count(situation.open_quizzes, "Answer the question", "Answer the questions"),
        Action::Shell => "Open a shell here".into(),
        Action::Run if situation.commands == 0 => {
            count(situation.files, "Write the file for me", "Write the files for me")
        }
        Action::Run if situation.files == 0 => count(situation.commands, "Run the command", "Run the commands"),
        Action::Run => "Write the files and run the commands".into(),
        Action::Copy => "Copy to the clipboard".into(),
        Action::Check => "Check this step".into(),
        Action::Hint => format!("Hint ({} of {})", situation.hints_shown + 1, situation.hints),
        Action::Solve => "Show the solution and apply it".into(),
        Action::Skip => "Skip this step (applies the solution)".into(),
        Action::Back => "Go back a step".into(),
        Action::ShowAgain => "Show the step again".into(),
        Action::Quit => "Quit; your progress is kept".into(),
    }
}

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
        let choices: Vec<Choice<Action>> = menu(situation)
            .into_iter()
            .map(|action| Choice { label: label(action, situation), value: action })
            .collect();
        let Some(action) = self.host.ui.choose("What next?", &choices)? else { return Ok(Then::Stay) };
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
        for deed in deeds {
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

    fn ask_quizzes(&mut self) -> Result<(), Failure> {
        let quizzes: Vec<Quiz> =
            self.place()?.step.quizzes().map(|quiz| self.variables().substitute_quiz(quiz)).collect();
        let id = self.progress.current.clone();
        for (number, quiz) in quizzes.iter().enumerate() {
            if self.progress.step(&id).quizzes.contains_key(&number) {
                continue;
            }
            let Some(at_first) = self.ask_quiz(quiz)? else { return Ok(()) };
            let _lock = self.lock("quiz")?;
            self.progress.step_mut(&id).quizzes.insert(number, at_first);
            self.save()?;
        }
        Ok(())
    }

    /// Asks until the answer is right; answers whether it was at once, `None` where the learner turned away.
    fn ask_quiz(&self, quiz: &Quiz) -> Result<Option<bool>, Failure> {
        let ui = &self.host.ui;
        let style = ui.style();
        let right: Vec<usize> =
            quiz.options.iter().enumerate().filter(|(_, option)| option.right).map(|(index, _)| index).collect();
        ui.data(&format!("\n{}", show::question(quiz, ui)));
        // An option that does not fit on a line of the menu is printed above it, under a letter.
        let fits = quiz.options.iter().all(|option| option.text.chars().count() + 6 <= ui.width());
        let labels: Vec<String> = if fits {
            quiz.options.iter().map(|option| option.text.clone()).collect()
        } else {
            ui.data(&format!("\n{}", show::lettered(quiz, ui)));
            quiz.options.iter().zip('a'..).map(|(_, letter)| format!("{letter})")).collect()
        };
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let mut at_first = true;
        loop {
            let chosen = if right.len() > 1 {
                ui.choose_several("Space marks, Enter answers; more than one is right", &labels)?
            } else {
                let choices: Vec<_> = labels
                    .iter()
                    .enumerate()
                    .map(|(index, label)| Choice { label: (*label).to_owned(), value: index })
                    .collect();
                ui.choose("Your answer", &choices)?.map(|index| vec![index])
            };
            let Some(chosen) = chosen else { return Ok(None) };
            for option in chosen.iter().filter_map(|index| quiz.options.get(*index)) {
                let sign = if option.right { style.good("✓") } else { style.bad("✗") };
                ui.line(&ui.wrapped(&format!("{sign} {}", option.text)));
                if !option.explanation.trim().is_empty() {
                    ui.data(&show::paragraph(&option.explanation, ui));
                }
            }
            if chosen == right {
                return Ok(Some(at_first));
            }
            at_first = false;
            let all_right = chosen.iter().all(|index| right.contains(index));
            ui.line(&style.dim(if all_right { "Right so far, but there is more." } else { "Have another go." }));
        }
    }

    /// What was done, at the end.
    pub fn summary(&self) -> String {
        let ui = &self.host.ui;
        let style = ui.style();
        let (done, total) = state::counts(&self.course, &self.progress);
        let records = || state::places(&self.course).map(|place| self.progress.step(place.id()));
        let solved = records().filter(|record| record.solved).count();
        let answers: Vec<bool> = records().flat_map(|record| record.quizzes.into_values()).collect();
        let mut text = format!("\n{}\n\n", style.good(&format!("You have finished {}.", self.course.title)));
        let _ = write!(text, "  {done} of {total} steps done");
        if solved > 0 {
            let _ = write!(text, ", {solved} with the solution");
        }
        text.push('\n');
        if !answers.is_empty() {
            let right = answers.iter().filter(|right| **right).count();
            let _ = writeln!(text, "  {right} of {} questions right at the first try", answers.len());
        }
        if !self.course.objectives.is_empty() {
            text.push_str("\nYou can now\n");
            for objective in &self.course.objectives {
                let _ =
                    writeln!(text, "{}", ui.wrapped(&format!("  {} {}", style.good("✓"), style.commands(objective))));
            }
        }
        let end = "The sandbox still runs: play with it in `tutorial shell`. `tutorial stop` ends it, `tutorial remove` \
                   removes everything.";
        let _ = writeln!(text, "\n{}", ui.wrapped(&style.commands(end)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_action_stands_first() {
        fn check(situation: Situation, first: &[Action]) {
            let found = menu(situation);
            assert_eq!(&found[..first.len()], first, "{situation:?}");
            assert_eq!(found.last(), Some(&Action::Quit));
        }
        let reading = Situation { is_first: true, ..Situation::default() };
        check(reading, &[Action::GoOn, Action::Shell, Action::ShowAgain]);
        check(Situation { commands: 1, ..reading }, &[Action::Run, Action::GoOn, Action::Shell]);
        check(Situation { commands: 1, ran: true, ..reading }, &[Action::GoOn, Action::Run, Action::Shell]);
        check(Situation { open_quizzes: 1, ..reading }, &[Action::AnswerQuiz, Action::GoOn]);
        let doing = Situation { has_checks: true, has_solution: true, commands: 2, hints: 3, ..Situation::default() };
        check(
            doing,
            &[Action::Shell, Action::Run, Action::Check, Action::Hint, Action::Solve, Action::Skip, Action::Back],
        );
        check(
            Situation { commands: 0, files: 1, open_quizzes: 1, ..doing },
            &[Action::Shell, Action::Run, Action::Check],
        );
        check(Situation { hints_shown: 3, ..doing }, &[Action::Shell, Action::Run, Action::Check, Action::Solve]);
        check(Situation { passed: true, ..doing }, &[Action::GoOn, Action::Run, Action::Check, Action::Shell]);
        check(Situation { passed: true, open_quizzes: 1, ..doing }, &[Action::AnswerQuiz, Action::GoOn]);
    }
}
