//! Blocks as lines.

use super::lines::{Line, Piece, joined};
use super::table;
use super::words;
use crate::markdown::{AlertKind, Block, Inline, ListItem};
use crate::ui::highlight::{Token, highlight};
use crate::ui::theme::{Colour, Dress, Theme};

/// Lays blocks out for one kind of terminal.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub theme: Theme,
}

impl Layout {
    /// The blocks with a blank line between any two.
    pub fn blocks(self, blocks: &[Block], width: usize) -> Vec<Line> {
        self.nested_blocks(blocks, width, 0)
    }

    fn nested_blocks(self, blocks: &[Block], width: usize, depth: usize) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for block in blocks {
            let next = self.block(block, width, depth);
            if !lines.is_empty() && !next.is_empty() {
                lines.push(Line::blank());
            }
            lines.extend(next);
        }
        lines
    }

    fn block(self, block: &Block, width: usize, depth: usize) -> Vec<Line> {
        match block {
            Block::Heading { level, content } => self.heading(*level, content, width),
            Block::Paragraph(content) => words::wrap(content, self.theme, Dress::NONE, width),
            Block::List { start, items } => self.list(*start, items, width, depth),
            Block::Code { language, text, label } => code(language, text, label.as_deref(), width),
            Block::Quote(content) => {
                let bar = Piece::new("│ ", Dress::colour(Colour::Grey));
                behind_bar(&bar, self.nested_blocks(content, width.saturating_sub(2), depth))
            }
            Block::Alert { kind, content } => self.alert(*kind, content, width, depth),
            Block::Table { alignments, header, rows } => table::lines(alignments, header, rows, self.theme, width),
            Block::Rule => vec![Line::of(vec![Piece::new("─".repeat(width), Dress::colour(Colour::Grey))])],
        }
    }

    fn heading(self, level: u8, content: &[Inline], width: usize) -> Vec<Line> {
        let (dress, rule) = match level {
            1 => (Dress::colour(Colour::Cyan).bold(), Some("━")),
            2 => (Dress::colour(Colour::Cyan).bold(), Some("─")),
            3 => (Dress::NONE.bold(), None),
            _ => (Dress::NONE.bold().italic(), None),
        };
        let mut lines = words::wrap(content, self.theme, dress, width.saturating_sub(2));
        match rule {
            Some(rule) => {
                let length = lines.iter().map(Line::width).max().unwrap_or(0).min(width);
                lines.push(Line::of(vec![Piece::new(rule.repeat(length), Dress::colour(Colour::Cyan).dim())]));
                lines
            }
            None => hanging(&[Piece::new("▸ ", Dress::colour(Colour::Cyan).bold())], lines),
        }
    }

    fn list(self, start: Option<u64>, items: &[ListItem], width: usize, depth: usize) -> Vec<Line> {
        let last = start.unwrap_or(0).saturating_add(items.len().saturating_sub(1) as u64);
        let number_width = last.to_string().len() + 2;
        let is_loose = items
            .iter()
            .any(|item| item.content.iter().filter(|block| !matches!(block, Block::List { .. })).count() > 1);
        let mut lines = Vec::new();
        for (position, item) in items.iter().enumerate() {
            let marker = match (item.checked, start) {
                (Some(true), _) => Piece::new("☑ ", Dress::colour(Colour::Green)),
                (Some(false), _) => Piece::new("☐ ", Dress::colour(Colour::Grey)),
                (None, Some(start)) => {
                    let number = format!("{}.", start.saturating_add(position as u64));
                    Piece::new(format!("{number:>width$} ", width = number_width - 1), Dress::colour(Colour::Cyan))
                }
                (None, None) => Piece::new(format!("{} ", BULLETS[depth % BULLETS.len()]), Dress::colour(Colour::Cyan)),
            };
            let inner = width.saturating_sub(marker.width()).max(super::WIDTH_MIN / 2);
            let content = self.item(&item.content, inner, depth + 1);
            if is_loose && position > 0 {
                lines.push(Line::blank());
            }
            lines.extend(hanging(&[marker], content));
        }
        lines
    }

    /// An item's blocks; a list below its text follows at once.
    fn item(self, content: &[Block], width: usize, depth: usize) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for block in content {
            if !lines.is_empty() && !matches!(block, Block::List { .. }) {
                lines.push(Line::blank());
            }
            lines.extend(self.block(block, width, depth));
        }
        if lines.is_empty() { vec![Line::blank()] } else { lines }
    }

    fn alert(self, kind: AlertKind, content: &[Block], width: usize, depth: usize) -> Vec<Line> {
        let (icon, word, colour) = match kind {
            AlertKind::Note => ("ℹ", "Note", Colour::Blue),
            AlertKind::Tip => ("★", "Tip", Colour::Green),
            AlertKind::Important => ("◆", "Important", Colour::Magenta),
            AlertKind::Warning => ("▲", "Warning", Colour::Yellow),
            AlertKind::Caution => ("✖", "Caution", Colour::Red),
        };
        let bar = Piece::new("▌ ", Dress::colour(colour));
        let mut lines = vec![Line::of(vec![Piece::new(format!("{icon} {word}"), Dress::colour(colour).bold())])];
        lines.extend(self.nested_blocks(content, width.saturating_sub(2), depth));
        behind_bar(&bar, lines)
    }
}

const BULLETS: [&str; 3] = ["•", "◦", "▪"];

/// Lines of which the first stands behind a marker and the others below it.
fn hanging(marker: &[Piece], lines: Vec<Line>) -> Vec<Line> {
    let width = marker.iter().map(Piece::width).sum();
    let indentation = [Piece::plain(" ".repeat(width))];
    // A fence's first line is its frame, never code, but an item can begin with a diagram.
    let begins_with_code = lines.first().is_some_and(|line| line.verbatim);
    let mut result = Vec::with_capacity(lines.len() + 1);
    if begins_with_code {
        result.push(Line::of(marker.to_vec()));
    }
    for (index, line) in lines.into_iter().enumerate() {
        let prefix = if index == 0 && !begins_with_code { marker } else { &indentation };
        result.push(line.behind(prefix));
    }
    result
}

fn behind_bar(bar: &Piece, lines: Vec<Line>) -> Vec<Line> {
    lines.into_iter().map(|line| line.behind(std::slice::from_ref(bar))).collect()
}

/// A code block between two rules. A block of plain text without a label, such as a diagram, stands alone.
fn code(language: &str, text: &str, label: Option<&str>, width: usize) -> Vec<Line> {
    let is_text = matches!(language, "" | "text" | "txt" | "plain");
    let is_bare = label.is_none() && is_text;
    let content = highlight(language, text).into_iter().map(|tokens| {
        let pieces = tokens.into_iter().map(|(text, token)| Piece::new(text, dress_of(token))).collect();
        Line { pieces, verbatim: true }
    });
    if is_bare {
        return content.collect();
    }
    let mut lines = vec![frame(label, if is_text { "" } else { language }, width)];
    lines.extend(content);
    lines.push(Line::of(vec![Piece::new("─".repeat(width), FRAME)]));
    lines
}

const FRAME: Dress = Dress::colour(Colour::Grey);

/// `── label ───────── language ──`, as much of it as there is room for.
fn frame(label: Option<&str>, language: &str, width: usize) -> Line {
    let mut pieces = vec![Piece::new("──", FRAME)];
    if let Some(label) = label {
        let shown = words::clipped(label, width.saturating_sub(6));
        pieces.push(Piece::new(format!(" {shown} "), Dress::colour(Colour::Yellow).bold()));
    }
    let used: usize = pieces.iter().map(Piece::width).sum();
    let tail = format!(" {language} ──");
    let tail_width = Piece::plain(&tail).width();
    if language.is_empty() || used + tail_width + 1 > width {
        pieces.push(Piece::new("─".repeat(width.saturating_sub(used)), FRAME));
    } else {
        pieces.push(Piece::new("─".repeat(width - used - tail_width), FRAME));
        pieces.push(Piece::new(tail, FRAME));
    }
    Line::of(joined(pieces))
}

fn dress_of(token: Token) -> Dress {
    match token {
        Token::Plain => Dress::NONE,
        Token::Command | Token::Key | Token::Tag => Dress::colour(Colour::Blue),
        Token::Keyword => Dress::colour(Colour::Magenta),
        Token::Text | Token::Added => Dress::colour(Colour::Green),
        Token::Option | Token::Hunk => Dress::colour(Colour::Cyan),
        Token::Number | Token::Variable | Token::Template => Dress::colour(Colour::Yellow),
        Token::Comment | Token::Operator => Dress::colour(Colour::Grey),
        Token::Removed => Dress::colour(Colour::Red),
        Token::Heading => Dress::NONE.bold(),
    }
}
