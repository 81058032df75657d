//! What the terminal can show, and the dress of each kind of text. Without colour nothing here emits an escape.

use std::fmt::Write;

/// What the output takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Colours and other attributes.
    pub colour: bool,
    /// OSC 8 hyperlinks (<https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda>).
    pub hyperlinks: bool,
}

impl Theme {
    /// No escapes at all: a pipe, a file, `NO_COLOR`.
    pub const PLAIN: Self = Self { colour: false, hyperlinks: false };

    /// The theme of a stream that takes colours or not; `variable` is `std::env::var` outside tests.
    pub fn from_environment(colour: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        Self { colour, hyperlinks: colour && knows_hyperlinks(&variable) }
    }

    /// Writes a text in its dress; `link` is where it leads.
    pub fn paint(self, into: &mut String, text: &str, dress: Dress, link: Option<&str>) {
        let link = link.filter(|_| self.hyperlinks);
        if let Some(url) = link {
            let _ = write!(into, "\x1b]8;;{}\x1b\\", printable(url));
        }
        let codes = if self.colour { dress.codes() } else { String::new() };
        if codes.is_empty() {
            into.push_str(text);
        } else {
            let _ = write!(into, "\x1b[{codes}m{text}\x1b[0m");
        }
        if link.is_some() {
            into.push_str("\x1b]8;;\x1b\\");
        }
    }
}

/// Whether the terminal that the environment names is known to show OSC 8 hyperlinks.
fn knows_hyperlinks(variable: &impl Fn(&str) -> Option<String>) -> bool {
    let value = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(forced) = value("FORCE_HYPERLINK") {
        return forced != "0";
    }
    let term = value("TERM").unwrap_or_default();
    if term.starts_with("screen") || term.starts_with("tmux") || term == "dumb" || value("TMUX").is_some() {
        return false;
    }
    let program = value("TERM_PROGRAM").unwrap_or_default().to_lowercase();
    let by_program =
        ["iterm.app", "wezterm", "vscode", "ghostty", "hyper", "tabby", "rio", "zed"].contains(&program.as_str());
    let by_term = ["kitty", "alacritty", "foot", "ghostty", "wezterm"].iter().any(|name| term.contains(name));
    // VTE has them since 0.50.
    let by_vte =
        value("VTE_VERSION").and_then(|version| version.parse::<u32>().ok()).is_some_and(|version| version >= 5000);
    by_program
        || by_term
        || by_vte
        || ["WT_SESSION", "KONSOLE_VERSION", "DOMTERM"].iter().any(|name| value(name).is_some())
}

/// The text without characters that steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars().filter(|character| *character == '\t' || *character == '\n' || !character.is_control()).collect()
}

/// The sixteen-colour palette, which follows the learner's own scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
    Grey,
}

/// How a piece of text is dressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one attribute of the terminal, and all may be combined")]
pub struct Dress {
    pub colour: Option<Colour>,
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub underline: bool,
    pub struck: bool,
}

impl Dress {
    pub const NONE: Self =
        Self { colour: None, bold: false, dim: false, italic: false, underline: false, struck: false };

    pub const fn colour(colour: Colour) -> Self {
        Self { colour: Some(colour), ..Self::NONE }
    }

    #[must_use]
    pub const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    #[must_use]
    pub const fn dim(self) -> Self {
        Self { dim: true, ..self }
    }

    #[must_use]
    pub const fn italic(self) -> Self {
        Self { italic: true, ..self }
    }

    #[must_use]
    pub const fn underline(self) -> Self {
        Self { underline: true, ..self }
    }

    #[must_use]
    pub const fn struck(self) -> Self {
        Self { struck: true, ..self }
    }

    /// This dress over another one.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            colour: self.colour.or(below.colour),
            bold: self.bold || below.bold,
            dim: self.dim || below.dim,
            italic: self.italic || below.italic,
            underline: self.underline || below.underline,
            struck: self.struck || below.struck,
        }
    }

    fn codes(self) -> String {
        let colour = self.colour.map(|colour| match colour {
            Colour::Red => "31",
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Blue => "34",
            Colour::Magenta => "35",
            Colour::Cyan => "36",
            Colour::Grey => "90",
        });
        let attributes =
            [(self.bold, "1"), (self.dim, "2"), (self.italic, "3"), (self.underline, "4"), (self.struck, "9")];
        let codes: Vec<&str> = attributes.iter().filter(|(on, _)| *on).map(|(_, code)| *code).chain(colour).collect();
        codes.join(";")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyperlinks_are_for_terminals_that_are_known_to_have_them() {
        fn check(variables: &[(&str, &str)], expected: bool) {
            let variable =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(Theme::from_environment(true, variable).hyperlinks, expected, "{variables:?}");
            assert!(!Theme::from_environment(false, variable).hyperlinks, "{variables:?} without colour");
        }
        check(&[], false);
        check(&[("TERM", "xterm-256color")], false);
        check(&[("TERM", "xterm-kitty")], true);
        check(&[("VTE_VERSION", "6003")], true);
        check(&[("VTE_VERSION", "4600")], false);
        check(&[("TERM_PROGRAM", "vscode")], true);
        check(&[("TERM_PROGRAM", "Apple_Terminal")], false);
        check(&[("TERM", "tmux-256color"), ("VTE_VERSION", "6003")], false);
        check(&[("FORCE_HYPERLINK", "1")], true);
        check(&[("FORCE_HYPERLINK", "0"), ("TERM_PROGRAM", "vscode")], false);
    }
}
