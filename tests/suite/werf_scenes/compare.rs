//! What of an output is compared: all of its lines, without what is random (names, times, addresses, digests, sizes)
//! and with what is a matter of seconds in one form: the last progress table, and the lines of pods' logs once each.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use regex::Regex;

/// An output as it is compared.
#[derive(Default)]
pub struct Comparable {
    pub lines: Vec<String>,
    /// The rows of all progress tables but the last one, without numbers and errors. How many tables there are, and which
    /// moments they show, is a matter of seconds, and the embedded cluster's are shorter: so the rows are compared with
    /// those that any recording has, not table by table.
    pub passing_rows: BTreeSet<String>,
}

const TABLE: &str = "Progress status";
const LOGS: &str = "Logs for ";

/// What a frame's last column holds at most, in characters.
const INFO_WIDTH: usize = 50;

impl Comparable {
    pub fn of(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let tables = lines.iter().filter(|line| line.strip_prefix("┌ ") == Some(TABLE)).count();
        let log_lines = log_lines(&lines);
        let (mut this, mut rest, mut table, mut logs_told) = (Self::default(), lines.as_slice(), 0, false);
        while let Some((line, after)) = rest.split_first() {
            let title = line.strip_prefix("┌ ").filter(|title| *title == TABLE || title.starts_with(LOGS));
            let Some(title) = title else {
                this.lines.push(without_the_random(line));
                rest = after;
                continue;
            };
            let end = format!("└ {title}");
            let length = after.iter().position(|line| *line == end).expect("a frame ends");
            let (frame, after) = after.split_at(length);
            // An empty line follows a frame.
            rest = &after[2.min(after.len())..];
            if title == TABLE {
                table += 1;
                let rows = unwrapped(frame);
                if table < tables {
                    this.passing_rows.extend(rows.iter().skip(1).map(|row| shape(row)));
                    continue;
                }
                this.frame(TABLE, rows);
            } else if !std::mem::replace(&mut logs_told, true) {
                this.frame(title, log_lines.iter().cloned());
            }
        }
        sort_generated_rows(&mut this.lines);
        this
    }

    fn frame(&mut self, title: &str, lines: impl IntoIterator<Item = String>) {
        let title = without_the_random(title);
        self.lines.push(format!("┌ {title}"));
        self.lines.extend(lines);
        self.lines.extend([format!("└ {title}"), String::new()]);
    }

    /// Without the images' block, as in the recordings that leave it out.
    pub fn without_images(mut self) -> Self {
        let position = |start: &str| self.lines.iter().position(|line| line.starts_with(start));
        if let (Some(from), Some(to)) = (position("┌ 🛳️"), position("└ 🛳️")) {
            self.lines.drain(from..=to);
        }
        self
    }
}

/// kubectl lists by name: rows whose names are generated are in no order that two clusters share.
fn sort_generated_rows(lines: &mut [String]) {
    let generated = |line: &String| line.ends_with("<age>") && (line.contains("<hash>") || line.contains("<pod>"));
    lines.chunk_by_mut(|line, next| generated(line) && generated(next)).for_each(<[String]>::sort);
}

/// The rows of a table whose last column goes on in lines of its own.
fn unwrapped(frame: &[&str]) -> Vec<String> {
    let (mut rows, mut column, mut width) = (Vec::<String>::new(), 0, 0);
    for line in frame {
        let letters: Vec<char> = line.chars().collect();
        if line.starts_with("│ RESOURCE ") {
            column = line.chars().collect::<String>().split("INFO").next().unwrap_or_default().chars().count();
        }
        let goes_on = letters.len() > column && letters[1..column].iter().all(|letter| *letter == ' ');
        let info: String = letters.iter().skip(column).collect();
        match rows.last_mut().filter(|_| goes_on) {
            // Blanks at a part's end are cut.
            Some(row) => row.push_str(&format!("{}{info}", " ".repeat(INFO_WIDTH.saturating_sub(width)))),
            None => rows.push((*line).to_owned()),
        }
        width = info.chars().count();
    }
    rows.iter().map(|row| without_the_random(row)).collect()
}

/// The lines of all pods' logs, each once: how often a probe came by is a matter of time, and what a container writes
/// to its two outputs has no order.
fn log_lines(lines: &[&str]) -> BTreeSet<String> {
    let (mut inside, mut whole) = (false, Vec::<String>::new());
    for line in lines {
        inside = line.starts_with(&format!("┌ {LOGS}")) || (inside && !line.starts_with(&format!("└ {LOGS}")));
        match line.strip_prefix("│ ").filter(|_| inside) {
            // A long line goes on with the blank before its next word.
            Some(part) if part.starts_with(' ') => whole.last_mut().expect("it goes on").push_str(part),
            Some(part) => whole.push(format!("│ {part}")),
            None => {}
        }
    }
    whole.iter().map(|line| without_the_random(line)).collect()
}

/// A row without numbers and without what an error says.
fn shape(row: &str) -> String {
    let row = row.split("  Errors:").next().unwrap_or_default();
    Regex::new(r"\d+").unwrap().replace_all(row, "N").into_owned()
}

fn without_the_random(line: &str) -> String {
    static PATTERNS: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(|| {
        [
            (r"/\S*werf-config-render-\w+", "<tmp>"),
            (r"[0-9a-f]{56}-\d{13}", "<tag>"),
            (r"\b[0-9a-f]{64}\b", "<digest>"),
            (r"\b[0-9a-f]{56}\b", "<digest>"),
            (r"\b[0-9a-f]{40}\b", "<commit>"),
            (r"\b[0-9a-f]{7}\.\.[0-9a-f]{7}\b", "<commit>..<commit>"),
            (r"HEAD is now at [0-9a-f]{7}\b", "HEAD is now at <commit>"),
            (r"^[0-9a-f]{7} ", "<commit> "),
            (r" id: [0-9a-f]{12}$", " id: <id>"),
            (r"size: \d+\.\d \w+$", "size: <size>"),
            (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uid>"),
            // Of the letters that Kubernetes makes names of.
            (r"demo-app-[bcdf-hj-np-tv-xz2456789]{6,10}-[bcdf-hj-np-tv-xz2456789]{5}", "<pod>"),
            (r"demo-app-[bcdf-hj-np-tv-xz2456789]{6,10}\b", "demo-app-<hash>"),
            (r"localhost:\d+", "<registry>"),
            (r"10\.\d+\.\d+\.\d+(:\d+)?", "<address>"),
            (r"\d+\.\d\d seconds", "<n> seconds"),
            (r"\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?( m=\S+)?", "<time>"),
            (r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d", "<time>"),
            (r"\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}", "<time>"),
            (r"unix: \d+", "unix: <time>"),
            (r"\d+#\d+: \*\d+", "<worker>"),
            (r#"current directory "[^"]*""#, r#"current directory "DIR""#),
            (r"\(\d+[smh](\d+[sm])? ago\)", "(<age> ago)"),
            (r"( {2,}|Active +|Terminating +)\d+[smh](\d+[sm])?( |$)", "$1<age>$3"),
            // The widths of columns follow from names that are random.
            (r"([^\s│+-]) {2,}", "$1  "),
            (r" +\t", "\t"),
            (r"\s+$", ""),
        ]
        .into_iter()
        .map(|(pattern, placeholder)| (Regex::new(pattern).unwrap(), placeholder))
        .collect()
    });
    patterns
        .iter()
        .fold(line.to_owned(), |line, (pattern, placeholder)| pattern.replace_all(&line, *placeholder).into_owned())
}
