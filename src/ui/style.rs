//! How single words are marked. Long prose is the renderer's.

/// Marks words with colour, or leaves them alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    enabled: bool,
}

impl Style {
    pub fn new(enabled: bool) -> Self {
        Self { enabled }
    }

    pub fn is_enabled(self) -> bool {
        self.enabled
    }

    /// Something that is right.
    pub fn good(self, text: &str) -> String {
        self.paint("1;32", text)
    }

    /// Something that is wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// Something to take care of.
    pub fn warning(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    /// Something to look at.
    pub fn accent(self, text: &str) -> String {
        self.paint("1;36", text)
    }

    /// Something that matters less.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Something that matters less, beside a text: what colour would set apart is in brackets where there is none.
    pub fn aside(self, text: &str) -> String {
        if self.enabled { self.dim(text) } else { format!("({text})") }
    }

    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// A command to type.
    pub fn command(self, text: &str) -> String {
        if self.enabled { self.paint("36", text) } else { format!("`{text}`") }
    }

    /// A sentence with commands in backticks; these are marked.
    pub fn commands(self, sentence: &str) -> String {
        if !self.enabled {
            return sentence.to_owned();
        }
        let pieces = sentence
            .split('`')
            .enumerate()
            .map(|(position, piece)| if position % 2 == 1 { self.paint("36", piece) } else { piece.to_owned() });
        if sentence.matches('`').count().is_multiple_of(2) { pieces.collect() } else { sentence.to_owned() }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.enabled && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_in_backticks_are_marked_only_in_colour() {
        fn check(enabled: bool, input: &str, expected: &str) {
            assert_eq!(Style::new(enabled).commands(input), expected);
        }
        check(false, "run `tutorial start`", "run `tutorial start`");
        check(true, "run `tutorial start`", "run \x1b[36mtutorial start\x1b[0m");
        check(true, "a ` alone", "a ` alone");
    }
}
