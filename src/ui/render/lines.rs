//! Lines of dressed pieces, before they are painted.

use unicode_width::UnicodeWidthStr;

use crate::ui::theme::{Dress, Theme, printable};

/// A text in one dress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    pub dress: Dress,
    pub link: Option<String>,
}

impl Piece {
    /// A text without what steers a terminal.
    pub fn new(text: impl AsRef<str>, dress: Dress) -> Self {
        Self { text: printable(text.as_ref()), dress, link: None }
    }

    /// A text without a dress.
    pub fn plain(text: impl AsRef<str>) -> Self {
        Self::new(text, Dress::NONE)
    }

    /// In columns.
    pub fn width(&self) -> usize {
        self.text.width()
    }
}

/// Neighbours in the same dress as one piece: fewer escapes.
pub fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut result: Vec<Piece> = Vec::new();
    for piece in pieces {
        match result.last_mut() {
            Some(last) if last.dress == piece.dress && last.link == piece.link => last.text.push_str(&piece.text),
            _ => result.push(piece),
        }
    }
    result
}

/// A line of output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    pub pieces: Vec<Piece>,
    /// A line of code: nothing but white space may stand before it.
    pub verbatim: bool,
}

impl Line {
    /// A line with nothing on it.
    pub fn blank() -> Self {
        Self::default()
    }

    /// A line of prose.
    pub fn of(pieces: Vec<Piece>) -> Self {
        Self { pieces, verbatim: false }
    }

    /// In columns.
    pub fn width(&self) -> usize {
        self.pieces.iter().map(Piece::width).sum()
    }

    /// The line behind a prefix; code gets white space of the prefix's width.
    pub fn behind(mut self, prefix: &[Piece]) -> Self {
        if self.verbatim {
            let width = prefix.iter().map(Piece::width).sum();
            self.pieces.insert(0, Piece::plain(" ".repeat(width)));
        } else {
            self.pieces.splice(0..0, prefix.iter().cloned());
        }
        self
    }

    /// Writes the line, with what the theme takes; blanks at its end are left out.
    pub fn paint(&self, into: &mut String, theme: Theme) {
        let mut end = self.pieces.len();
        while end > 0 && self.pieces[end - 1].text.trim_end_matches(' ').is_empty() {
            end -= 1;
        }
        for (index, piece) in self.pieces[..end].iter().enumerate() {
            let text = if index + 1 == end { piece.text.trim_end_matches(' ') } else { &piece.text };
            theme.paint(into, text, piece.dress, piece.link.as_deref());
        }
    }
}
