//! Everything that is shown or asked: one [`Ui`] for all output, the Markdown renderer, prompts.
//!
//! Data goes to stdout, conversation to stderr. Only `commands` and `session` speak to this module; it knows
//! nothing of courses or clusters. `NO_COLOR`, `CLICOLOR`, a pipe and a narrow terminal are respected here and
//! nowhere else.

mod highlight;
mod interrupt;
mod progress;
mod prompt;
pub mod render;
mod style;
pub mod theme;

use std::io::{IsTerminal, Write};

pub use interrupt::{Interruptions, end_group};
pub use progress::ProgressLine;
pub use prompt::{Cancelled, Choice};
pub use style::Style;
pub use theme::Theme;

use crate::error::Failure;
use crate::markdown::Block;

/// The widest that prose is set, in columns: longer lines tire the eye.
const READING_WIDTH_MAX: usize = 100;
/// The width where nothing tells one.
const WIDTH_DEFAULT: usize = 80;
/// Narrower than this nothing is laid out any more, only wrapped.
const WIDTH_MIN: usize = 20;

/// The one place through which the program speaks.
#[derive(Debug, Clone)]
pub struct Ui {
    stdout: Stream,
    stderr: Stream,
    interactive: bool,
    theme: Theme,
}

/// What is known of an output stream.
#[derive(Debug, Clone, Copy)]
struct Stream {
    terminal: bool,
    style: Style,
    /// Where the terminal does not tell its own.
    width: usize,
}

impl Stream {
    fn columns(self, terminal: &console::Term) -> usize {
        let size = terminal.size_checked().filter(|_| self.terminal);
        size.map_or(self.width, |(_, columns)| usize::from(columns)).clamp(WIDTH_MIN, READING_WIDTH_MAX)
    }
}

impl Ui {
    /// Looks at the streams and at the environment; `variable` is `std::env::var` outside tests.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let columns = variable("COLUMNS").and_then(|columns| columns.parse().ok());
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let stream = |terminal: bool| Stream {
            terminal,
            style: Style::new(wants_colour(terminal && !dumb, &variable)),
            width: columns.filter(|columns| *columns > 0).unwrap_or(WIDTH_DEFAULT),
        };
        let (stdout, stderr) = (stream(std::io::stdout().is_terminal()), stream(std::io::stderr().is_terminal()));
        let interactive = std::io::stdin().is_terminal() && stdout.terminal && stderr.terminal && !dumb;
        let theme = Theme::from_environment(stdout.style.is_enabled(), &variable);
        Self { stdout, stderr, interactive, theme }
    }

    /// Whether someone sits there who can be asked.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// The same streams where nobody is asked and no progress is drawn.
    #[must_use]
    pub fn unattended(&self) -> Self {
        Self { interactive: false, ..self.clone() }
    }

    /// Columns for text on stdout, as wide as the terminal is now.
    pub fn width(&self) -> usize {
        self.stdout.columns(&console::Term::stdout())
    }

    fn conversation_width(&self) -> usize {
        self.stderr.columns(&console::Term::stderr())
    }

    /// Hands a text to the terminal's clipboard (OSC 52); not every terminal takes it.
    pub fn copy(&self, text: &str) {
        use base64::Engine;
        if self.stdout.terminal {
            self.data(&format!("\x1b]52;c;{}\x07", base64::engine::general_purpose::STANDARD.encode(text)));
        }
    }

    /// Whether stdout takes colours.
    pub fn has_colour(&self) -> bool {
        self.stdout.style.is_enabled()
    }

    /// What the renderer may use on stdout.
    pub fn theme(&self) -> Theme {
        self.theme
    }

    /// How words on stdout are marked.
    pub fn style(&self) -> Style {
        self.stdout.style
    }

    /// How words on stderr are marked.
    pub fn conversation_style(&self) -> Style {
        self.stderr.style
    }

    /// Writes data to stdout, as it is. A reader who went away is no error.
    #[allow(clippy::unused_self, reason = "all output passes through a Ui")]
    pub fn data(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// Writes data to stdout, with a line break.
    pub fn line(&self, text: &str) {
        self.data(&format!("{text}\n"));
    }

    /// Markdown's elements as text for stdout.
    pub fn render(&self, blocks: &[Block]) -> String {
        render::render(blocks, self.theme, self.width())
    }

    /// A text for stdout, each line wrapped to its width.
    pub fn wrapped(&self, text: &str) -> String {
        wrap(text, self.width())
    }

    /// Says something on stderr, wrapped to the terminal's width.
    pub fn say(&self, text: &str) {
        self.say_as_is(&wrap(text, self.conversation_width()));
    }

    /// Says something on stderr that is laid out already.
    #[allow(clippy::unused_self, reason = "all output passes through a Ui")]
    pub fn say_as_is(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        let _ = writeln!(stderr, "{text}");
    }

    /// Tells a failure: what failed, why, what to do next.
    pub fn failure(&self, failure: &Failure) {
        if failure.message.is_empty() {
            return;
        }
        let style = self.stderr.style;
        let labelled = failure.render().lines().fold(String::new(), |text, line| {
            let line = match line.split_once(": ") {
                Some(("error", rest)) => format!("{} {}", style.bad("error:"), rest),
                Some(("caused by", rest)) => format!("{} {}", style.dim("caused by:"), rest),
                Some(("hint", rest)) => format!("{} {}", style.accent("hint:"), style.commands(rest)),
                _ => line.to_owned(),
            };
            text + &line + "\n"
        });
        self.say(labelled.trim_end());
    }

    /// A line that shows something going on; nothing is drawn where stderr is no terminal.
    pub fn progress(&self, text: &str) -> ProgressLine {
        ProgressLine::start(
            self.stderr.terminal && self.interactive,
            self.stderr.style,
            self.conversation_width(),
            text,
        )
    }
}

/// Whether colours are wanted: <https://no-color.org> and <https://bixense.com/clicolors>.
fn wants_colour(terminal: bool, variable: &impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    terminal && variable("CLICOLOR").is_none_or(|value| value != "0")
}

/// Wraps each line at `width`, with the line's own indentation kept; behind a sign or a label it hangs.
pub fn wrap(text: &str, width: usize) -> String {
    let lines = text.lines().map(|line| {
        let indentation = line.len() - line.trim_start_matches(' ').len();
        let first = line.trim_start().split(' ').next().unwrap_or_default();
        let hangs = textwrap::core::display_width(first) == 1 || first.contains(':');
        let below = " ".repeat(indentation + if hangs { 2 } else { 0 });
        let options = textwrap::Options::new(width)
            .subsequent_indent(&below)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .break_words(false);
        textwrap::fill(line, options)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Wraps one line and ends it; what overflows is set below at an indentation.
pub fn hang(line: &str, width: usize, indentation: usize) -> String {
    let below = " ".repeat(if width > indentation * 3 { indentation } else { 2 });
    let options = textwrap::Options::new(width)
        .subsequent_indent(&below)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(line, options) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_follows_the_environment() {
        fn check(variables: &[(&str, &str)], terminal: bool, expected: bool) {
            let variable =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(wants_colour(terminal, &variable), expected, "{variables:?} terminal={terminal}");
        }
        check(&[], true, true);
        check(&[], false, false);
        check(&[("NO_COLOR", "1")], true, false);
        check(&[("NO_COLOR", "")], true, true);
        check(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true, false);
        check(&[("CLICOLOR", "0")], true, false);
        check(&[("CLICOLOR_FORCE", "1")], false, true);
        check(&[("CLICOLOR_FORCE", "0")], false, false);
    }

    #[test]
    fn wrapping_keeps_what_is_short_and_indents_what_is_long() {
        fn check(input: &str, expected: &str) {
            assert_eq!(wrap(input, 20), expected);
        }
        check("short", "short");
        check("one two three four five", "one two three four\nfive");
        check("  indented and rather long", "  indented and\n  rather long");
        check("  - a list item that is long", "  - a list item that\n    is long");
        check("error: something rather long", "error: something\n  rather long");
        check("averyveryverylongwordindeed", "averyveryverylongwordindeed");
        check("a\n\nb", "a\n\nb");
    }
}
