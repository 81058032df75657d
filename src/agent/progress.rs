//! The progress table: `RESOURCE (→READY)  STATE  INFO`, with pods below their workload and long texts wrapped.

use super::output::{Output, Tone};

/// The width of the last column, in characters; on a narrow terminal it gets what the others leave, if that is enough
/// to read.
const INFO_WIDTH: usize = 50;
const INFO_WIDTH_MIN: usize = 20;
/// What stands before a line: the side of its frame.
const FRAMES: usize = 2;

/// How a resource stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As desired.
    Ready,
    /// On its way.
    Waiting,
    /// Given up.
    Failed,
    /// Gone, as desired.
    Absent,
    /// Not known yet: a pod that is not ready.
    Unknown,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Waiting => "WAITING",
            Self::Failed => "FAILED",
            Self::Absent => "ABSENT",
            Self::Unknown => "UNKNOWN",
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Self::Ready | Self::Absent => Tone::Good,
            Self::Waiting | Self::Unknown => Tone::Waiting,
            Self::Failed => Tone::Bad,
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The resource; a pod's line starts with ` • `.
    pub resource: String,
    /// How it stands.
    pub state: State,
    /// More about it.
    pub info: String,
}

/// The table's lines for one goal, `READY` or `ABSENT`.
pub fn table(goal: &str, rows: &[Row], output: &Output) -> Vec<String> {
    let title = format!("RESOURCE (→{goal})");
    let width = |text: &str| text.chars().count();
    let first = rows.iter().map(|row| width(&row.resource)).chain([width(&title)]).max().unwrap_or(0);
    let second = rows.iter().map(|row| row.state.name().len()).chain([5]).max().unwrap_or(5);
    let mut lines = vec![format!("{title:first$}  {:second$}  INFO", "STATE")];
    let left = output.width().map_or(INFO_WIDTH, |columns| columns.saturating_sub(first + second + 4 + FRAMES));
    let info_width = left.clamp(INFO_WIDTH_MIN, INFO_WIDTH);
    for row in rows {
        let mut parts = wrapped(&row.info, info_width).into_iter();
        let state = output.paint(&format!("{:second$}", row.state.name()), row.state.tone());
        let start = format!("{:first$}  {state}  {}", row.resource, parts.next().unwrap_or_default());
        lines.push(start.trim_end().to_owned());
        lines.extend(parts.map(|part| format!("{}{part}", " ".repeat(first + second + 4)).trim_end().to_owned()));
    }
    lines
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(width).map(|part| part.iter().collect()).collect()
}

/// Go's `%q` of an error's text, as the table shows it.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> Output {
        Output::of_this_process(Some("off"))
    }

    fn row(resource: &str, state: State, info: &str) -> Row {
        Row { resource: resource.into(), state, info: info.into() }
    }

    #[test]
    fn tables_as_recorded() {
        let ready = [row("Deployment/demo-app", State::Ready, ""), row("Service/demo-app", State::Ready, "")];
        assert_eq!(
            table("READY", &ready, &output()).join("\n"),
            "RESOURCE (→READY)    STATE  INFO\nDeployment/demo-app  READY\nService/demo-app     READY"
        );
        let error = quoted("Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 404");
        let failed = [
            row("Deployment/demo-app", State::Failed, "Ready:0/2"),
            row(
                " • Pod/demo-app-9c977cc66-z82m5",
                State::Unknown,
                &format!("Status:Running  Errors:3  LastError:{error}"),
            ),
        ];
        let log = include_str!("../../tests/golden/werf/04-broken-release-and-reset.log");
        let expected: Vec<&str> = log
            .split("┌ Progress status\n")
            .nth(2)
            .and_then(|rest| rest.split("└").next())
            .expect("the second table")
            .lines()
            .filter_map(|line| line.strip_prefix("│ "))
            .collect();
        assert_eq!(table("READY", &failed, &output()), expected);
        let narrow = table("READY", &failed, &output().as_wide_as(80));
        assert!(narrow.iter().all(|line| line.chars().count() <= 78), "{narrow:#?}");
        let text = |lines: &[String]| -> String { lines.concat().split_whitespace().collect() };
        assert_eq!(text(&narrow), text(&table("READY", &failed, &output())));
        let gone = [row("ConfigMap/settings", State::Absent, "")];
        assert_eq!(
            table("ABSENT", &gone, &output()).join("\n"),
            "RESOURCE (→ABSENT)  STATE   INFO\nConfigMap/settings  ABSENT"
        );
    }
}
