//! Tables: side by side where they fit, one row below the other where they do not.

use super::lines::{Line, Piece};
use super::words::{self, widths, wrap_tightly};
use crate::markdown::{Alignment, Inline};
use crate::ui::theme::{Colour, Dress, Theme};

/// Columns between two columns.
const GAP: usize = 2;
/// A longer word than this may be broken before a table is stacked.
const WORD_MAX: usize = 18;

const HEADER: Dress = Dress::NONE.bold();

type Cell = Vec<Inline>;

/// A table in at most `width` columns.
pub fn lines(alignments: &[Alignment], header: &[Cell], rows: &[Vec<Cell>], theme: Theme, width: usize) -> Vec<Line> {
    if header.is_empty() {
        return Vec::new();
    }
    if theme.hyperlinks {
        return laid_out(alignments, header, rows, theme, width);
    }
    let mut urls = Vec::new();
    let header: Vec<Cell> = header.iter().map(|cell| with_notes(cell, &mut urls)).collect();
    let rows: Vec<Vec<Cell>> =
        rows.iter().map(|row| row.iter().map(|cell| with_notes(cell, &mut urls)).collect()).collect();
    let mut lines = laid_out(alignments, &header, &rows, theme, width);
    if !urls.is_empty() {
        lines.push(Line::blank());
    }
    for (index, url) in urls.iter().enumerate() {
        lines.push(Line::of(vec![Piece::new(format!("[{}] {url}", index + 1), Dress::NONE.dim())]));
    }
    lines
}

/// A cell whose links became numbers of notes: an address does not fit into a column.
fn with_notes(cell: &[Inline], urls: &mut Vec<String>) -> Cell {
    let mut content = Vec::new();
    for inline in cell {
        match inline {
            Inline::Link { url, content: inner } => {
                let number = urls.iter().position(|known| known == url).unwrap_or(urls.len());
                if number == urls.len() {
                    urls.push(url.clone());
                }
                if !matches!(inner.as_slice(), [Inline::Text(text)] if text == url) {
                    content.extend(inner.iter().cloned());
                    content.push(Inline::Text(" ".into()));
                }
                content.push(Inline::Text(format!("[{}]", number + 1)));
            }
            other => content.push(other.clone()),
        }
    }
    content
}

fn laid_out(alignments: &[Alignment], header: &[Cell], rows: &[Vec<Cell>], theme: Theme, width: usize) -> Vec<Line> {
    match column_widths(header, rows, theme, width) {
        Some(columns) => grid(alignments, header, rows, theme, &columns),
        None => stacked(header, rows, theme, width),
    }
}

/// How wide each column becomes, or `None` where the words do not fit side by side.
fn column_widths(header: &[Cell], rows: &[Vec<Cell>], theme: Theme, width: usize) -> Option<Vec<usize>> {
    let mut natural = vec![1; header.len()];
    let mut least = vec![1; header.len()];
    for (dress, row) in std::iter::once((HEADER, header)).chain(rows.iter().map(|row| (Dress::NONE, row.as_slice()))) {
        for (column, cell) in row.iter().enumerate().take(header.len()) {
            let (line, word) = widths(cell, theme, dress);
            natural[column] = natural[column].max(line);
            least[column] = least[column].max(word.min(WORD_MAX));
        }
    }
    let available = width.checked_sub(GAP * (header.len() - 1))?;
    if natural.iter().sum::<usize>() <= available {
        return Some(natural);
    }
    if least.iter().sum::<usize>() > available {
        return None;
    }
    Some(shared(&natural, &least, available))
}

/// Shares the columns out: those that need less than an equal share get what they need, the others the rest.
fn shared(natural: &[usize], least: &[usize], available: usize) -> Vec<usize> {
    let mut columns = vec![0; natural.len()];
    let mut open: Vec<usize> = (0..natural.len()).collect();
    let mut left = available;
    while !open.is_empty() {
        let share = left / open.len();
        let settled = open.iter().position(|&column| natural[column] <= share || least[column] > share);
        let Some(position) = settled else {
            let extra = left - share * open.len();
            for (index, &column) in open.iter().enumerate() {
                columns[column] = share + usize::from(index < extra);
            }
            break;
        };
        let column = open.remove(position);
        columns[column] = if natural[column] <= share { natural[column] } else { least[column] };
        left = left.saturating_sub(columns[column]);
    }
    columns
}

fn grid(alignments: &[Alignment], header: &[Cell], rows: &[Vec<Cell>], theme: Theme, columns: &[usize]) -> Vec<Line> {
    let mut lines = row_lines(alignments, header, theme, HEADER, columns);
    let rules: Vec<String> = columns.iter().map(|width| "─".repeat(*width)).collect();
    lines.push(Line::of(vec![Piece::new(rules.join(&" ".repeat(GAP)), Dress::colour(Colour::Grey))]));
    let rows: Vec<Vec<Line>> = rows.iter().map(|row| row_lines(alignments, row, theme, Dress::NONE, columns)).collect();
    let is_airy = rows.iter().any(|row| row.len() > 1);
    for (index, row) in rows.into_iter().enumerate() {
        if is_airy && index > 0 {
            lines.push(Line::blank());
        }
        lines.extend(row);
    }
    lines
}

fn row_lines(alignments: &[Alignment], row: &[Cell], theme: Theme, dress: Dress, columns: &[usize]) -> Vec<Line> {
    let empty = Vec::new();
    let cells: Vec<Vec<Line>> = columns
        .iter()
        .enumerate()
        .map(|(column, width)| wrap_tightly(row.get(column).unwrap_or(&empty), theme, dress, *width))
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
    (0..height)
        .map(|index| {
            let mut pieces = Vec::new();
            for (column, width) in columns.iter().enumerate() {
                if column > 0 {
                    pieces.push(Piece::plain(" ".repeat(GAP)));
                }
                let alignment = alignments.get(column).copied().unwrap_or(Alignment::None);
                pieces.extend(aligned(cells[column].get(index), alignment, *width));
            }
            Line::of(pieces)
        })
        .collect()
}

fn aligned(line: Option<&Line>, alignment: Alignment, width: usize) -> Vec<Piece> {
    let Some(line) = line else { return vec![Piece::plain(" ".repeat(width))] };
    let free = width.saturating_sub(line.width());
    let before = match alignment {
        Alignment::None | Alignment::Left => 0,
        Alignment::Center => free / 2,
        Alignment::Right => free,
    };
    let mut pieces = vec![Piece::plain(" ".repeat(before))];
    pieces.extend(line.pieces.iter().cloned());
    pieces.push(Piece::plain(" ".repeat(free - before)));
    pieces
}

/// Each row as its first cell, and below it the other cells behind their headings.
fn stacked(header: &[Cell], rows: &[Vec<Cell>], theme: Theme, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for row in rows {
        if !lines.is_empty() {
            lines.push(Line::blank());
        }
        if let Some(first) = row.first() {
            lines.extend(words::wrap(first, theme, HEADER, width));
        }
        for (name, cell) in header.iter().zip(row).skip(1).filter(|(_, cell)| !cell.is_empty()) {
            let mut content = vec![Inline::Emphasis(name.clone()), Inline::Text(": ".into())];
            if name.is_empty() {
                content.clear();
            }
            content.extend(cell.iter().cloned());
            let indentation = [Piece::plain("  ")];
            let inner = words::wrap(&content, theme, Dress::NONE, width.saturating_sub(4));
            for (index, line) in inner.into_iter().enumerate() {
                let line = if index == 0 { line } else { line.behind(&indentation) };
                lines.push(line.behind(&indentation));
            }
        }
    }
    lines
}
