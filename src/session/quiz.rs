//! The questions of a step: asked until the answer is right, kept whether it was at once. Their options stand in an
//! order of their own, so that the right one is not where the author happened to write it.

use super::{Session, show, state};
use crate::course::model::Quiz;
use crate::error::{Exit, Failure};
use crate::ui::{Choice, Style, Ui};

/// A question with its options in the order in which a learner sees them: another for each step and question, the same
/// whenever and wherever it is asked.
fn shuffled(mut quiz: Quiz, step: &str, number: usize) -> Quiz {
    let mut options: Vec<_> = std::mem::take(&mut quiz.options).into_iter().enumerate().collect();
    options.sort_by_key(|(index, _)| hash(&format!("{step}/{number}/{index}")));
    quiz.options = options.into_iter().map(|(_, option)| option).collect();
    quiz
}

/// FNV-1a with a last stir: the same on every machine and in every version.
fn hash(text: &str) -> u64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let stirred = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    stirred ^ (stirred >> 33)
}

impl Session<'_> {
    /// The current step's questions as the learner sees them.
    pub fn quizzes(&self) -> Vec<Quiz> {
        let Ok(place) = self.place() else { return Vec::new() };
        let variables = self.variables();
        let quizzes = place.step.quizzes().enumerate();
        quizzes.map(|(number, quiz)| shuffled(variables.substitute_quiz(quiz), place.id(), number)).collect()
    }

    /// How many of a step's questions have not been answered rightly yet.
    pub fn open_questions(&self, step: &str) -> usize {
        let asked = state::place(&self.course, step).map_or(0, |place| place.step.quizzes().count());
        asked.saturating_sub(self.progress.step(step).quizzes.len())
    }

    /// The first of the current step's questions that is open, by its place.
    fn first_open(&self) -> Option<usize> {
        let answered = self.progress.step(&self.progress.current).quizzes;
        (0..self.quizzes().len()).find(|number| !answered.contains_key(number))
    }

    /// The first question that is open as the learner reads it, with its letters.
    pub fn open_question_text(&self) -> Option<String> {
        let (number, quizzes) = (self.first_open()?, self.quizzes());
        let ui = &self.host.ui;
        let which = show::which_question(number, quizzes.len(), ui.style());
        let quiz = quizzes.get(number)?;
        Some(format!("\n{which}{}\n{}", show::question(quiz, ui), show::lettered(quiz, ui)))
    }

    /// Asks the step's questions that have not been answered yet.
    pub fn ask_quizzes(&mut self) -> Result<(), Failure> {
        let id = self.progress.current.clone();
        for (number, quiz) in self.quizzes().iter().enumerate() {
            if self.progress.step(&id).quizzes.contains_key(&number) {
                continue;
            }
            let Some(at_first) = self.ask_quiz(quiz)? else { return Ok(()) };
            let _lock = self.lock("quiz")?;
            self.keep_answer(&id, number, true, at_first);
            self.save()?;
        }
        Ok(())
    }

    /// Keeps an answer. A question stays open until it is answered rightly, and what counts is the first try.
    fn keep_answer(&mut self, step: &str, number: usize, is_right: bool, at_first: bool) {
        let record = self.progress.step_mut(step);
        if !is_right {
            record.mistaken.insert(number);
            return;
        }
        let was_mistaken = record.mistaken.remove(&number);
        record.quizzes.entry(number).or_insert(at_first && !was_mistaken);
    }

    /// Takes the letters of an answer, tells what is right and why; answers whether it is. Kept is the first try.
    pub fn answer_quiz(&mut self, question: Option<usize>, letters: &[char]) -> Result<bool, Failure> {
        let id = self.progress.current.clone();
        let quizzes = self.quizzes();
        let open = self.first_open();
        if question.is_none() && open.is_none() && !quizzes.is_empty() {
            let text =
                if quizzes.len() == 1 { "the question of this step is" } else { "all questions of this step are" };
            return Err(Failure::new(format!("{text} answered"))
                .hint("`tutorial answer --question 1 a`, say, answers it again"));
        }
        let number = question.or(open).unwrap_or(0);
        let Some(quiz) = quizzes.get(number) else {
            return Err(match quizzes.len() {
                0 => Failure::new("this step asks no question").hint("`tutorial start` shows the step"),
                count => Failure::new(format!("this step asks only {count}")).exit(Exit::Usage),
            });
        };
        let chosen = chosen(quiz, letters)?;
        let style = self.host.ui.style();
        self.host.ui.data(&show::which_question(number, quizzes.len(), style));
        tell(&self.host.ui, quiz, &chosen);
        let is_right = chosen == right(quiz);
        let ui = &self.host.ui;
        if !is_right {
            ui.say(&ui.conversation_style().commands(&not_yet(quiz, &chosen)));
        }
        let _lock = self.lock("answer")?;
        self.keep_answer(&id, number, is_right, is_right);
        self.save()?;
        if let Some(next) = self.open_question_text().filter(|_| is_right) {
            self.host.ui.data(&next);
        }
        Ok(is_right)
    }

    /// Asks until the answer is right; answers whether it was at once, `None` where the learner turned away.
    fn ask_quiz(&self, quiz: &Quiz) -> Result<Option<bool>, Failure> {
        let ui = &self.host.ui;
        let style = ui.style();
        let right = right(quiz);
        ui.data(&format!("\n{}", show::question(quiz, ui)));
        // An option that does not fit on a line of the menu is printed above it, under a letter.
        let fits = quiz.options.iter().all(|option| option.text.chars().count() + 6 <= ui.width());
        let labels: Vec<String> = if fits {
            quiz.options.iter().map(|option| option.text.replace('`', "")).collect()
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
            tell(ui, quiz, &chosen);
            if chosen == right {
                return Ok(Some(at_first));
            }
            at_first = false;
            ui.line(&style.dim(&not_yet(quiz, &chosen)));
        }
    }
}

/// The right options, by their places.
fn right(quiz: &Quiz) -> Vec<usize> {
    quiz.options.iter().enumerate().filter(|(_, option)| option.right).map(|(index, _)| index).collect()
}

/// The options that letters name, by their places.
fn chosen(quiz: &Quiz, letters: &[char]) -> Result<Vec<usize>, Failure> {
    let places: Vec<(char, usize)> = ('a'..).zip(0..quiz.options.len()).collect();
    let mut chosen = Vec::new();
    for letter in letters {
        let place = places.iter().find(|(of, _)| *of == letter.to_ascii_lowercase());
        let Some((_, place)) = place else {
            let last = places.last().map_or('a', |(of, _)| *of);
            return Err(Failure::new(format!("there is no answer `{letter}`"))
                .hint(format!("they are `a` to `{last}`"))
                .exit(Exit::Usage));
        };
        chosen.push(*place);
    }
    if chosen.is_empty() {
        return Err(Failure::new("an answer is a letter").hint("`tutorial answer a`, say").exit(Exit::Usage));
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

/// Tells of each chosen option whether it is right, and why.
fn tell(ui: &Ui, quiz: &Quiz, chosen: &[usize]) {
    let style: Style = ui.style();
    for option in chosen.iter().filter_map(|index| quiz.options.get(*index)) {
        let sign = if option.right { style.good("✓") } else { style.bad("✗") };
        ui.line(&ui.wrapped(&format!("{sign} {}", style.commands(&option.text))));
        if !option.explanation.trim().is_empty() {
            ui.data(&show::paragraph(&option.explanation, ui));
        }
    }
}

fn not_yet(quiz: &Quiz, chosen: &[usize]) -> String {
    let right = right(quiz);
    let all_right = chosen.iter().all(|index| right.contains(index));
    if all_right { "Right so far, but there is more.".into() } else { "Have another go.".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::model::QuizOption;

    fn quiz() -> Quiz {
        let option = |text: &str| QuizOption { text: text.into(), right: text == "0", explanation: String::new() };
        Quiz { question: "?".into(), options: ["0", "1", "2"].map(option).to_vec() }
    }

    #[test]
    fn the_first_option_written_is_anywhere_and_always_at_the_same_place() {
        let place = |step: &str| right(&shuffled(quiz(), step, 0))[0];
        let steps: Vec<String> = (0..60).map(|number| format!("step-{number}")).collect();
        for wanted in 0..3 {
            let count = steps.iter().filter(|step| place(step) == wanted).count();
            assert!((10..=30).contains(&count), "{count} of 60 at place {wanted}");
        }
        assert!(steps.iter().all(|step| shuffled(quiz(), step, 1) == shuffled(quiz(), step, 1)));
    }

    #[test]
    fn letters_name_options() {
        let check = |letters: &str, expected: Option<&[usize]>| {
            let letters: Vec<char> = letters.chars().collect();
            assert_eq!(chosen(&quiz(), &letters).ok().as_deref(), expected, "{letters:?}");
        };
        check("b", Some(&[1]));
        check("Ca", Some(&[0, 2]));
        check("aa", Some(&[0]));
        check("d", None);
        check("", None);
    }
}
