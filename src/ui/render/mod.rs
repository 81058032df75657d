//! Markdown's elements as text for a terminal.
//!
//! Prose is wrapped to the width by what the terminal shows; lines of code are never broken and bear nothing but
//! white space before them, so that what is copied is what was meant. The elements become [`Line`]s of dressed
//! pieces first; only [`paint`] knows escapes. With [`Theme::PLAIN`] the text reads as well in a file.

mod blocks;
mod lines;
mod table;
mod words;

#[cfg(test)]
mod tests;

use super::theme::Theme;
use crate::markdown::{Block, Inline};
use lines::Line;

/// The least width that anything is laid out for.
const WIDTH_MIN: usize = 16;

/// The elements as text, each line ended by a line break.
pub fn render(blocks: &[Block], theme: Theme, width: usize) -> String {
    let layout = blocks::Layout { theme };
    paint(&layout.blocks(blocks, width.max(WIDTH_MIN)), theme)
}

/// One paragraph's worth of text, as for a quiz's question or a menu.
pub fn render_inlines(content: &[Inline], theme: Theme, width: usize) -> String {
    render(&[Block::Paragraph(content.to_vec())], theme, width)
}

fn paint(lines: &[Line], theme: Theme) -> String {
    let mut text = String::new();
    for line in lines {
        line.paint(&mut text, theme);
        text.push('\n');
    }
    text
}
