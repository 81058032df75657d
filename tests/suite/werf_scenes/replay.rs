//! A log of the real werf, played from its first line to its last: each block's command is run here, and its whole
//! output and exit code are compared with the log's.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::super::commands::differences;
use super::super::requests::{Difference, Known};
use super::super::werf::{Scene, told};
use super::compare::Comparable;

pub const TABLE: &str = "werf-differ.txt";

/// What a pod's row may say besides, while a busy machine is slow to start it.
const STARTING: [&str; 2] =
    ["│  • Pod/<pod>  UNKNOWN  Status:Pending", "│  • Pod/<pod>  UNKNOWN  Status:ContainerCreating"];

/// How long a view of the cluster may take until it is as recorded.
const VIEW_TIMEOUT: Duration = Duration::from_secs(5);

pub struct Replay {
    pub scene: Scene,
    known: Known,
    log: &'static str,
    /// The log's lines that are not played yet.
    rest: Vec<String>,
    /// `17b. `
    marker: String,
    /// The last block's: a hundred times the log's number, and the block's place in it.
    number: usize,
    same: usize,
    wrong: Vec<String>,
}

/// The text of a log.
pub fn read(log: &str) -> String {
    let path = format!("{}/tests/golden/werf/{log}.log", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{log}: {error}"))
}

impl Replay {
    pub fn on(scene: Scene) -> Self {
        let known = Known::read(TABLE);
        let (rest, marker, wrong) = (Vec::new(), String::new(), Vec::new());
        Self { scene, known, log: "", rest, marker, number: 0, same: 0, wrong }
    }

    /// Takes up a log, after the one before was played to its end.
    pub fn open(&mut self, log: &'static str) {
        self.close();
        // One view has no end of line.
        self.rest = read(log).replace("]### ", "]\n### ").lines().map(str::to_owned).collect();
        self.log = log;
        self.number = log[..2].parse::<usize>().expect("a log has a number") * 100;
        self.marker.clear();
    }

    /// The next scene, by the beginning of its title.
    pub fn scene(&mut self, marker: &str) {
        let line = self.take(1).remove(0);
        assert!(line.starts_with(&format!("### {marker}. ")), "{}: {marker} is next, not {line}", self.log);
        self.marker = format!("{marker}. ");
    }

    /// A command as the log has it, with all that it prints.
    pub fn command(&mut self, words: &str) {
        let line = self.take(1).remove(0);
        assert_eq!(line, format!("$ {words}"), "{} {}", self.log, self.marker);
        let recorded = self.take_output();
        let Some(said) = run(&self.scene, words) else {
            self.number += 1;
            return;
        };
        self.judge(words, &recorded, &said, Extent::Whole);
    }

    /// Output whose end alone was recorded, of a command that the log does not name.
    pub fn end_of(&mut self, words: &str) {
        let said = run(&self.scene, words).expect("it is no peer's");
        self.end_of_what_was_said(words, &said);
    }

    pub fn end_of_what_was_said(&mut self, words: &str, said: &str) {
        let recorded = self.take_output();
        self.judge(&format!("(end) {words}"), &recorded, said, Extent::End);
    }

    /// A change to the cluster by kubectl, which says one line of it.
    pub fn change(&mut self, words: &str) {
        let recorded = self.take(1);
        let said = kubectl(&self.scene, words);
        self.judge(words, &recorded, &said, Extent::Whole);
    }

    /// So many lines of kubectl's, of the cluster as it comes to be.
    pub fn view(&mut self, lines: usize, words: &str) {
        self.look(lines, words, |scene| kubectl(scene, words));
    }

    /// Those of kubectl's lines about namespaces that are the project's.
    pub fn namespaces(&mut self, lines: usize) {
        let words = "kubectl get namespaces";
        self.look(lines, words, |scene| {
            let text = kubectl(scene, words);
            text.lines().filter(|line| line.starts_with("demo-app")).map(|line| format!("{line}\n")).collect()
        });
    }

    /// The page that an environment serves.
    pub fn page(&mut self, environment: &str) {
        let port = if environment == "production" { 30080 } else { 30081 };
        self.look(1, &format!("the page of {environment}"), |scene| scene.page(port));
    }

    pub fn look(&mut self, lines: usize, title: &str, view: impl Fn(&Scene) -> String) {
        let recorded = self.take(lines);
        self.number += 1;
        let start = Instant::now();
        loop {
            let found = compare(&recorded, &view(&self.scene), Extent::Whole);
            let wrong = self.known.judge(self.number, &format!("{}{title}", self.marker), &found);
            if wrong.is_none() || start.elapsed() > VIEW_TIMEOUT {
                self.same += usize::from(found.is_empty());
                self.wrong.extend(wrong);
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn judge(&mut self, words: &str, recorded: &[String], said: &str, extent: Extent) {
        self.number += 1;
        let found = compare(recorded, said, extent);
        self.same += usize::from(found.is_empty());
        self.wrong.extend(self.known.judge(self.number, &format!("{}{words}", self.marker), &found));
    }

    fn take(&mut self, count: usize) -> Vec<String> {
        assert!(count <= self.rest.len(), "{} has no more lines", self.log);
        self.rest.drain(..count).collect()
    }

    /// Up to the exit code, or to the next command where that was not recorded.
    fn take_output(&mut self) -> Vec<String> {
        let ends = |line: &String| line.starts_with("[rc ") || line.starts_with("$ ") || line.starts_with("### ");
        let end = self.rest.iter().position(ends).expect("a block ends");
        self.take(end + usize::from(self.rest[end].starts_with("[rc ")))
    }

    /// Leaves out the lines that `time` wrote behind a log's only command.
    pub fn leave_out_times(&mut self) {
        assert_eq!(self.rest.iter().map(|line| line.split('\t').next()).collect::<Vec<_>>(), TIMES);
        self.rest.clear();
    }

    /// The log is at its end, and its part of the table too.
    fn close(&mut self) {
        assert!(self.rest.is_empty(), "{}: nobody plays {:#?}", self.log, self.rest);
        let first = self.number / 100 * 100;
        let nobodys = self.known.numbers().find(|number| (self.number + 1..first + 100).contains(number));
        assert!(self.log.is_empty() || nobodys.is_none(), "{TABLE}: there is no block {nobodys:?}");
        if !self.log.is_empty() {
            println!("{}: {} blocks", self.log, self.number - first);
        }
    }

    pub fn finish(mut self) {
        self.close();
        println!("{} blocks are as recorded", self.same);
        assert!(self.wrong.is_empty(), "{} blocks differ:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

const TIMES: [Option<&str>; 4] = [Some(""), Some("real"), Some("user"), Some("sys")];

/// What a command prints, with its exit code; `None`, said on stdout, where there is no Helm.
fn run(scene: &Scene, words: &str) -> Option<String> {
    let (program, arguments) = words.split_once(' ').expect("a program and words");
    let mut command = match program {
        "werf" => return Some(scene.werf(arguments)),
        "kubectl" => scene.kubectl(),
        _ => scene.command(program),
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if program.starts_with("helm") && !std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        assert!(std::env::var_os("TUTORIAL_REQUIRE_HELM").is_none(), "{program} is required and not there");
        println!("skipped: there is no {program} to play {words}");
        return None;
    }
    // A commit's message is one word to git.
    let (options, message) = arguments.split_once(" -qam ").map_or((arguments, None), |(a, b)| (a, Some(b)));
    command.args(options.split(' ')).args(message.iter().flat_map(|message| ["-qam", message]));
    Some(told(&mut command))
}

/// What the built-in kubectl says.
pub fn kubectl(scene: &Scene, words: &str) -> String {
    run(scene, words).expect("it is built in").replace("[rc 0]\n", "")
}

/// How much of an output a log has.
#[derive(Clone, Copy, PartialEq)]
enum Extent {
    Whole,
    /// The beginning is not there.
    End,
}

fn compare(recorded: &[String], said: &str, extent: Extent) -> Vec<Difference> {
    let text = recorded.join("\n");
    let (theirs, mut ours) = (Comparable::of(&text), Comparable::of(said));
    if !text.contains("└ 🛳️") {
        ours = ours.without_images();
    }
    if extent == Extent::End {
        let length = theirs.lines.len();
        ours.lines.drain(..ours.lines.len().saturating_sub(length));
        // Where fewer lines follow than in the recording, these are of what was not recorded.
        let is_recorded = |line: &String| !line.is_empty() && theirs.lines.contains(line);
        let first = ours.lines.iter().position(is_recorded).unwrap_or(0);
        let blank_before = first > 0 && ours.lines[first - 1].is_empty();
        ours.lines.drain(..first - usize::from(blank_before));
    } else if !text.contains("[rc ") && said.contains("[rc ") {
        // The end is not there, nor is the exit code.
        ours.lines.truncate(theirs.lines.len());
    }
    let mut found = differences(&ours.lines, &theirs.lines);
    let strange = ours.passing_rows.difference(recorded_rows());
    let strange = strange.filter(|row| !STARTING.contains(&row.as_str()));
    found.extend(strange.map(|row| Difference { place: format!("no recording has {row}"), detail: String::new() }));
    found
}

/// The rows that any table of any recording has, without numbers.
fn recorded_rows() -> &'static BTreeSet<String> {
    static ROWS: std::sync::OnceLock<BTreeSet<String>> = std::sync::OnceLock::new();
    ROWS.get_or_init(|| {
        // The last table of a text is compared by its lines: a table without rows takes its place.
        let logs = super::LOGS.iter().map(|log| format!("{}┌ Progress status\n└ Progress status\n", read(log)));
        logs.flat_map(|text| Comparable::of(&text).passing_rows).collect()
    })
}
