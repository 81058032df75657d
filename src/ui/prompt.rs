//! What is asked, by dialoguer. Every question has an answer that is taken where nobody can be asked.

use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, MultiSelect, Select};

use super::Ui;
use crate::error::{Exit, Failure};

/// What dialoguer puts around a question: the sign before it, `(y/n)` and the answer behind it.
const DECORATION_WIDTH: usize = 16;

/// The learner pressed Ctrl-C or Escape, or the terminal went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl From<Cancelled> for Failure {
    fn from(_: Cancelled) -> Self {
        Failure::new("").exit(Exit::Interrupted)
    }
}

/// One line of a menu and what it stands for.
#[derive(Debug, Clone)]
pub struct Choice<T> {
    pub label: String,
    pub value: T,
}

impl Ui {
    /// Asks which of the choices; the first is preselected. Escape is `None`.
    pub fn choose<T: Clone>(&self, prompt: &str, choices: &[Choice<T>]) -> Result<Option<T>, Cancelled> {
        let labels: Vec<&str> = choices.iter().map(|choice| choice.label.as_str()).collect();
        self.say_as_is("");
        let chosen = Select::with_theme(&*self.prompt_theme())
            .with_prompt(prompt)
            .items(&labels)
            .default(0)
            .report(false)
            .interact_opt()
            .map_err(|error| cancelled(&error))?;
        Ok(chosen.and_then(|index| choices.get(index)).map(|choice| choice.value.clone()))
    }

    /// Asks which ones of the choices. Escape is `None`.
    pub fn choose_several(&self, prompt: &str, labels: &[&str]) -> Result<Option<Vec<usize>>, Cancelled> {
        MultiSelect::with_theme(&*self.prompt_theme())
            .with_prompt(prompt)
            .items(labels)
            .report(false)
            .interact_opt()
            .map_err(|error| cancelled(&error))
    }

    /// Asks yes or no. Where nobody can be asked, the answer is no. A question that is too long for one line is said
    /// before, since a prompt that wraps is drawn over and over.
    pub fn confirm(&self, question: &str, default: bool) -> Result<bool, Cancelled> {
        if !self.is_interactive() {
            return Ok(false);
        }
        let question = self.conversation_style().commands(question);
        let fits = console::measure_text_width(&question) + DECORATION_WIDTH <= self.conversation_width();
        if !fits {
            self.say(&question);
        }
        Confirm::with_theme(&*self.prompt_theme())
            .with_prompt(if fits { question } else { "Shall I?".to_owned() })
            .default(default)
            .interact_opt()
            .map(|answer| answer.unwrap_or(false))
            .map_err(|error| cancelled(&error))
    }

    fn prompt_theme(&self) -> Box<dyn Theme> {
        if self.conversation_style().is_enabled() { Box::new(ColorfulTheme::default()) } else { Box::new(SimpleTheme) }
    }
}

fn cancelled(_: &dialoguer::Error) -> Cancelled {
    let _ = console::Term::stderr().show_cursor();
    // A raised SIGINT is on its way to the listener; both ways end with the same exit code.
    Cancelled
}
