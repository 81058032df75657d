//! The questions of a step: asked until the answer is right, kept whether it was at once.

use super::{Session, show};
use crate::course::model::Quiz;
use crate::error::Failure;
use crate::ui::Choice;

impl Session<'_> {
    /// Asks the step's questions that have not been answered yet.
    pub fn ask_quizzes(&mut self) -> Result<(), Failure> {
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
}
