//! Inline elements as words, and words as lines.

use textwrap::core::Fragment;
use textwrap::wrap_algorithms::wrap_first_fit;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::lines::{Line, Piece, joined};
use crate::markdown::Inline;
use crate::ui::theme::{Colour, Dress, Theme};

/// What does not break over lines, and the space behind it.
#[derive(Debug, Clone, Default)]
struct Word {
    pieces: Vec<Piece>,
    /// The space behind it, dropped at the end of a line.
    space: Option<Piece>,
}

impl Word {
    fn columns(&self) -> usize {
        self.pieces.iter().map(Piece::width).sum()
    }
}

impl Fragment for Word {
    #[allow(clippy::cast_precision_loss, reason = "no line is as long as 2^52 columns")]
    fn width(&self) -> f64 {
        self.columns() as f64
    }

    fn whitespace_width(&self) -> f64 {
        if self.space.is_some() { 1.0 } else { 0.0 }
    }

    fn penalty_width(&self) -> f64 {
        0.0
    }
}

/// Code of at most so many columns stays on one line.
const UNBROKEN_CODE_MAX: usize = 28;

/// Sets inlines in lines of a width. A longer word overflows, so that it can be copied.
pub fn wrap(content: &[Inline], theme: Theme, dress: Dress, width: usize) -> Vec<Line> {
    set(Setter::paragraphs(content, theme, dress, UNBROKEN_CODE_MAX.min(width / 2)), width)
}

/// Sets inlines in lines of a width, breaking longer words: in a table's cell nothing may overflow.
pub fn wrap_tightly(content: &[Inline], theme: Theme, dress: Dress, width: usize) -> Vec<Line> {
    let paragraphs = Setter::paragraphs(content, theme, dress, 0);
    let broken = paragraphs.into_iter().map(|words| words.into_iter().flat_map(|word| broken(word, width)).collect());
    set(broken.collect(), width)
}

/// The longest line and the longest word of inlines, in columns.
pub fn widths(content: &[Inline], theme: Theme, dress: Dress) -> (usize, usize) {
    let paragraphs = Setter::paragraphs(content, theme, dress, 0);
    let word = paragraphs.iter().flatten().map(Word::columns).max().unwrap_or(0);
    let line = set(paragraphs, usize::MAX >> 16).iter().map(Line::width).max().unwrap_or(0);
    (line, word)
}

#[allow(clippy::cast_precision_loss, reason = "no line is as long as 2^52 columns")]
fn set(paragraphs: Vec<Vec<Word>>, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for words in paragraphs {
        for line in wrap_first_fit(&words, &[width as f64]) {
            let mut pieces = Vec::new();
            for (index, word) in line.iter().enumerate() {
                pieces.extend(word.pieces.iter().cloned());
                if index + 1 < line.len() {
                    pieces.extend(word.space.clone());
                }
            }
            lines.push(Line::of(joined(pieces)));
        }
    }
    lines
}

/// A word in parts of at most `width` columns.
fn broken(word: Word, width: usize) -> Vec<Word> {
    if word.columns() <= width {
        return vec![word];
    }
    let mut parts = vec![Word::default()];
    let mut columns = 0;
    for piece in word.pieces {
        for character in piece.text.chars() {
            let next = character.width().unwrap_or(0);
            if columns + next > width && columns > 0 {
                parts.push(Word::default());
                columns = 0;
            }
            columns += next;
            let part = parts.last_mut().expect("there is a part from the start");
            part.pieces.push(Piece { text: character.to_string(), ..piece.clone() });
        }
    }
    if let Some(last) = parts.last_mut() {
        last.space = word.space;
    }
    parts
}

/// Makes words of inlines; a hard break begins a new paragraph of them.
struct Setter {
    theme: Theme,
    paragraphs: Vec<Vec<Word>>,
    /// The next piece begins a new word.
    apart: bool,
    unbroken_code_max: usize,
}

impl Setter {
    fn paragraphs(content: &[Inline], theme: Theme, dress: Dress, unbroken_code_max: usize) -> Vec<Vec<Word>> {
        let mut setter = Self { theme, paragraphs: vec![Vec::new()], apart: true, unbroken_code_max };
        setter.inlines(content, dress, None);
        setter.paragraphs
    }

    fn inlines(&mut self, content: &[Inline], dress: Dress, link: Option<&str>) {
        for inline in content {
            self.inline(inline, dress, link);
        }
    }

    fn inline(&mut self, inline: &Inline, dress: Dress, link: Option<&str>) {
        match inline {
            Inline::Text(text) => self.text(text, dress, link),
            Inline::Code(text) => self.marked("`", dress, link, |setter, dress| {
                let dress = Dress::colour(Colour::Cyan).over(dress);
                if text.width() <= setter.unbroken_code_max {
                    setter.piece(text, dress, link);
                } else {
                    setter.text(text, dress, link);
                }
            }),
            Inline::Emphasis(content) => {
                self.marked("_", dress, link, |setter, dress| setter.inlines(content, dress.italic(), link));
            }
            Inline::Strong(content) => {
                self.marked("*", dress, link, |setter, dress| setter.inlines(content, dress.bold(), link));
            }
            Inline::Strikethrough(content) => {
                self.marked("~", dress, link, |setter, dress| setter.inlines(content, dress.struck(), link));
            }
            Inline::Link { url, content } => self.link(url, content, dress),
            Inline::Image { url, alt } => {
                let name = if alt.is_empty() { url } else { alt };
                self.text(&format!("[picture: {name}]"), dress.dim(), link);
            }
            Inline::SoftBreak => self.space(dress, link),
            Inline::HardBreak => {
                self.paragraphs.push(Vec::new());
                self.apart = true;
            }
        }
    }

    /// Puts marks around what colour would tell, where there is none.
    fn marked(&mut self, mark: &str, dress: Dress, link: Option<&str>, inner: impl FnOnce(&mut Self, Dress)) {
        if self.theme.colour {
            inner(self, dress);
        } else {
            self.piece(mark, dress, link);
            inner(self, dress);
            self.piece(mark, dress, link);
        }
    }

    fn link(&mut self, url: &str, content: &[Inline], dress: Dress) {
        let shown = Dress::colour(Colour::Blue).underline().over(dress);
        let is_itself = matches!(content, [Inline::Text(text)] if text == url || url == format!("mailto:{text}"));
        self.inlines(content, shown, Some(url));
        if !self.theme.hyperlinks && !is_itself {
            self.space(dress, None);
            self.text(&format!("({url})"), dress.dim(), None);
        }
    }

    fn text(&mut self, text: &str, dress: Dress, link: Option<&str>) {
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c: char| c.is_whitespace() && c != '\u{a0}').unwrap_or(rest.len());
            if end > 0 {
                self.word(&rest[..end], dress, link);
            }
            if let Some(space) = rest[end..].chars().next() {
                self.space(dress, link);
                rest = &rest[end + space.len_utf8()..];
            } else {
                rest = "";
            }
        }
    }

    /// Adds a run without spaces; between wide characters, as of Chinese, lines may break.
    fn word(&mut self, text: &str, dress: Dress, link: Option<&str>) {
        if text.width() == text.chars().count() {
            self.piece(text, dress, link);
            return;
        }
        for character in text.chars() {
            let is_wide = character.width() == Some(2);
            if is_wide {
                self.apart = true;
            }
            self.piece(character.encode_utf8(&mut [0; 4]), dress, link);
            if is_wide {
                self.apart = true;
            }
        }
    }

    fn piece(&mut self, text: &str, dress: Dress, link: Option<&str>) {
        let piece = Piece { link: link.map(str::to_owned), ..Piece::new(text, dress) };
        let words = self.paragraphs.last_mut().expect("there is a paragraph from the start");
        match words.last_mut() {
            Some(word) if !self.apart => word.pieces.push(piece),
            _ => words.push(Word { pieces: vec![piece], space: None }),
        }
        self.apart = false;
    }

    fn space(&mut self, dress: Dress, link: Option<&str>) {
        let words = self.paragraphs.last_mut().expect("there is a paragraph from the start");
        if let Some(word) = words.last_mut() {
            word.space = Some(Piece { link: link.map(str::to_owned), ..Piece::new(" ", dress) });
        }
        self.apart = true;
    }
}

/// The start of a text in at most `width` columns, with an ellipsis where something is missing.
pub fn clipped(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut result = String::new();
    let mut columns = 1;
    for character in text.chars() {
        columns += character.width().unwrap_or(0);
        if columns > width {
            break;
        }
        result.push(character);
    }
    result + "…"
}
