//! A file of a course and the way from byte offsets back to lines and columns.

use std::ops::Range;

use super::diagnostics::Place;

/// The text of one file; every offset that the parsers hand around is a byte offset into it.
#[derive(Debug)]
pub struct SourceFile {
    /// The path as a user would write it, relative to where the course was named.
    pub path: String,
    pub text: String,
    line_starts: Vec<usize>,
}

impl SourceFile {
    /// A file's text; a byte order mark before it is dropped.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let line_starts = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1))
            .collect();
        Self { path: path.into(), text, line_starts }
    }

    /// The line of an offset, from 0.
    fn line_index(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The line of an offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.line_index(offset) + 1
    }

    /// `file:line` of an offset.
    pub fn location(&self, offset: usize) -> String {
        format!("{}:{}", self.path, self.line(offset))
    }

    /// The range of a line, from 0, without its line break.
    fn line_range(&self, index: usize) -> Range<usize> {
        let start = self.line_starts[index];
        let end = self.line_starts.get(index + 1).copied().unwrap_or(self.text.len());
        let line = &self.text[start..end];
        start..start + line.trim_end_matches(['\n', '\r']).len()
    }

    /// The lines that begin in `range`, without their breaks, with their ranges.
    pub fn lines(&self, range: Range<usize>) -> impl Iterator<Item = (&str, Range<usize>)> {
        let first = self.line_index(range.start);
        (first..self.line_starts.len())
            .map(|index| self.line_range(index))
            .take_while(move |line| line.start < range.end)
            .map(|line| (&self.text[line.clone()], line))
    }

    /// Where a diagnostic points: the line of the range's start, and what of the range lies on that line.
    pub fn place(&self, range: Range<usize>) -> Place {
        let offset = self.boundary(range.start.min(self.text.len()));
        let index = self.line_index(offset);
        let line = self.line_range(index);
        let text = &self.text[line.clone()];
        let start = (offset - line.start).min(text.len());
        let end = self.boundary(range.end.clamp(offset, self.text.len()).min(line.end).max(offset));
        let end = end.saturating_sub(line.start).clamp(start, text.len());
        Place {
            path: self.path.clone(),
            line: index + 1,
            column: text[..start].chars().count() + 1,
            text: text.to_owned(),
            span: start..end,
        }
    }

    /// The nearest character boundary at or before an offset.
    fn boundary(&self, offset: usize) -> usize {
        (0..=offset).rev().find(|offset| self.text.is_char_boundary(*offset)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::SourceFile;

    #[test]
    fn offsets_become_lines_and_columns() {
        fn check(text: &str, range: std::ops::Range<usize>, expected: (usize, usize, &str, &str)) {
            let place = SourceFile::new("a.md", text).place(range);
            assert_eq!((place.line, place.column, place.text.as_str(), &place.text[place.span.clone()]), expected);
        }
        check("one\ntwo\n", 0..3, (1, 1, "one", "one"));
        check("one\ntwo\n", 5..8, (2, 2, "two", "wo"));
        check("one\r\ntwo", 1..7, (1, 2, "one", "ne"));
        check("", 0..0, (1, 1, "", ""));
        check("é\n", 1..9, (1, 1, "é", "é"));
        check("a\n", 90..99, (2, 1, "", ""));
    }
}
