//! What the agent prints, in werf's forms: frames of `┌ │ └` around what belongs together. Colours are on where a
//! person reads.

use std::io::{self, IsTerminal, Write};

use console::Style;

/// The agent's standard output. A reader that went away is no fault of the deployment.
#[derive(Debug, Clone)]
pub struct Output {
    coloured: bool,
    quiet: bool,
    /// The terminal's columns, where it is one.
    width: Option<usize>,
}

/// What a text is, and so how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A title.
    Title,
    /// It went well.
    Good,
    /// It is under way.
    Waiting,
    /// It went wrong.
    Bad,
}

impl Output {
    /// The output of this process; `mode` is werf's `--log-color-mode`.
    pub fn of_this_process(mode: Option<&str>) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let coloured = match mode {
            Some("on") => true,
            Some("off") => false,
            _ => io::stdout().is_terminal() && !plain,
        };
        let width = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        Self { coloured, quiet: false, width }
    }

    /// The same output on a terminal of so many columns.
    #[cfg(test)]
    pub fn as_wide_as(&self, columns: usize) -> Self {
        Self { width: Some(columns), ..self.clone() }
    }

    /// How many columns there are: a terminal's own, and none that matter elsewhere.
    pub const fn width(&self) -> Option<usize> {
        self.width
    }

    /// The same output without the progress: for commands whose output is data.
    #[must_use]
    pub fn quiet(&self) -> Self {
        Self { quiet: true, ..self.clone() }
    }

    /// One line of progress.
    pub fn line(&self, text: &str) {
        if !self.quiet {
            print_text(&format!("{text}\n"));
        }
    }

    /// Data, whatever the output is set to.
    #[allow(clippy::unused_self, reason = "all that is printed passes through the output")]
    pub fn data(&self, text: &str) {
        print_text(text);
    }

    /// A frame around lines, and an empty line after it.
    pub fn frame(&self, title: &str, lines: &[String]) {
        let title = self.paint(title, Tone::Title);
        let body: String = lines.iter().map(|line| format!("│ {line}\n")).collect();
        if !self.quiet {
            print_text(&format!("┌ {title}\n{body}└ {title}\n\n"));
        }
    }

    /// The text in a tone, where there are colours.
    pub fn paint(&self, text: &str, tone: Tone) -> String {
        let style = match tone {
            Tone::Title => Style::new().blue().bold(),
            Tone::Good => Style::new().green(),
            Tone::Waiting => Style::new().yellow(),
            Tone::Bad => Style::new().red(),
        };
        if self.coloured { style.force_styling(true).apply_to(text).to_string() } else { text.to_owned() }
    }
}

fn print_text(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
