//! Columns aligned by tabs, as Go's `text/tabwriter` does it, which all of kubectl's tables go through.

/// How columns are set.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub width_min: usize,
    pub padding: usize,
}

/// Of tables.
pub const TABLE: Setting = Setting { width_min: 6, padding: 3 };
/// Of descriptions.
pub const DESCRIPTION: Setting = Setting { width_min: 0, padding: 2 };

/// Aligns text whose cells end with tabs. A column is a block of lines below each other that have a cell there; the
/// last cell of a line belongs to no column.
pub fn align(text: &str, setting: Setting) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut aligned = String::with_capacity(text.len() * 2);
    let last = lines.len() - 1;
    block(&lines, 0, last + 1, &mut Vec::new(), setting, &mut aligned, last);
    aligned
}

fn block(
    lines: &[Vec<&str>],
    mut from: usize,
    to: usize,
    widths: &mut Vec<usize>,
    setting: Setting,
    aligned: &mut String,
    last: usize,
) {
    let column = widths.len();
    let mut this = from;
    while this < to {
        if column + 1 >= lines[this].len() {
            this += 1;
            continue;
        }
        write(&lines[from..this], from, widths, aligned, last);
        from = this;
        let mut width = setting.width_min;
        while this < to && column + 1 < lines[this].len() {
            width = width.max(lines[this][column].chars().count() + setting.padding);
            this += 1;
        }
        widths.push(width);
        block(lines, from, this, widths, setting, aligned, last);
        widths.pop();
        from = this;
    }
    write(&lines[from..to], from, widths, aligned, last);
}

fn write(lines: &[Vec<&str>], from: usize, widths: &[usize], aligned: &mut String, last: usize) {
    for (offset, line) in lines.iter().enumerate() {
        for (index, cell) in line.iter().enumerate() {
            aligned.push_str(cell);
            if let Some(width) = widths.get(index).filter(|_| index + 1 < line.len()) {
                let missing = width.saturating_sub(cell.chars().count());
                aligned.extend(std::iter::repeat_n(' ', missing));
            }
        }
        if from + offset < last {
            aligned.push('\n');
        }
    }
}

/// Rows as a table; the last column is not filled up.
pub fn rows(rows: &[Vec<String>]) -> String {
    let clean = |cell: &String| cell.replace(['\t', '\n'], " ");
    let text: String = rows.iter().map(|row| row.iter().map(clean).collect::<Vec<_>>().join("\t") + "\n").collect();
    align(&text, TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_blocks() {
        let text = "a\tb\tc\naaa\tbbbbb\tc\nx\nlonger cell\tb\n";
        assert_eq!(align(text, DESCRIPTION), "a    b      c\naaa  bbbbb  c\nx\nlonger cell  b\n");
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let table = rows(&[row(&["NAME", "READY"]), row(&["web", "1/1"])]);
        assert_eq!(table, "NAME   READY\nweb    1/1\n");
    }
}
