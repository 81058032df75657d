//! `docs/course.md` shows what is printed: each of its commands is typed anew, and what comes is compared with the page.
//!
//! The page says by comments what is not shown: `<!-- play: built-in -->` begins with a new home directory on a computer
//! without kubectl (`kubectl`: with it), `<!-- run: … -->` does something unseen. Of each ```` ```console ```` fence the
//! lines that begin with `$ ` are typed. `UPDATE_TRANSCRIPTS=1` writes the page anew.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

use super::session::Home;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/course.md");

/// Programs that a computer with git alone has not.
const NOT_THERE: [&str; 4] = ["kubectl", "werf", "helm", "docker"];

#[test]
#[ignore = "slow: .ci/run plays it"]
fn what_the_page_shows_is_what_is_printed() {
    let page = std::fs::read_to_string(PAGE).expect("the page is there");
    let replayed = replay(&page);
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(PAGE, &replayed).expect("the page can be written");
        return;
    }
    let (shown, printed) = (fences(&page), fences(&replayed));
    for (shown, printed) in shown.iter().zip(&printed) {
        assert_eq!(
            essence(shown),
            essence(printed),
            "the page shows\n{shown}\n\nand what is printed is\n{printed}\n\n`UPDATE_TRANSCRIPTS=1 cargo test --test suite transcripts -- --ignored` writes the page anew"
        );
    }
}

/// The page with what is printed now.
fn replay(page: &str) -> String {
    let mut written = String::new();
    let mut player: Option<Player> = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        written.push_str(line);
        written.push('\n');
        let comment = |verb: &str| line.strip_prefix(&format!("<!-- {verb}: "))?.strip_suffix(" -->");
        if let Some(tools) = comment("play") {
            player = Some(Player::new(tools));
        } else if let Some(script) = comment("run") {
            player.as_ref().expect("a play has begun").printed(script);
        } else if line == "```console" {
            let player = player.as_ref().expect("a play has begun");
            let shown: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if player.is_absent {
                written.push_str(&format!("{}\n```\n", shown.join("\n")));
                continue;
            }
            let commands = shown.iter().filter_map(|line| line.strip_prefix("$ "));
            let blocks = commands.map(|command| format!("$ {command}\n{}", player.printed(command)));
            written.push_str(&blocks.collect::<Vec<_>>().join("\n"));
            written.push_str("```\n");
        }
    }
    written
}

/// Somebody at a computer.
struct Player {
    home: Home,
    /// Where programs are looked for.
    path: String,
    /// Whether there should be a kubectl and is none, so that the play cannot be shown.
    is_absent: bool,
}

impl Player {
    fn new(tools: &str) -> Self {
        let home = Home::new();
        let inherited = std::env::var("PATH").unwrap_or_default();
        let bin = home.path().join("bin");
        std::fs::create_dir(&bin).expect("it can be made");
        link(Path::new(env!("CARGO_BIN_EXE_tutorial")), &bin.join("tutorial"));
        let except = if tools == "kubectl" { &NOT_THERE[1..] } else { &NOT_THERE[..] };
        for directory in std::env::split_paths(&inherited) {
            for program in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                let name = program.file_name();
                if !except.iter().any(|gone| name == *gone) {
                    link(&program.path(), &bin.join(&name));
                }
            }
        }
        let is_absent = tools == "kubectl" && !bin.join("kubectl").exists();
        Self { path: bin.display().to_string(), home, is_absent }
    }

    /// What a command prints, with both streams in one, as on a terminal.
    fn printed(&self, script: &str) -> String {
        if self.is_absent {
            return String::new();
        }
        let workspace = self.home.workspace("gitops-with-werf");
        let repository = workspace.join("demo-app");
        let directory = if repository.is_dir() { &repository } else { self.home.path() };
        let environment = if workspace.is_dir() { "eval \"$(tutorial env)\"" } else { "" };
        let script = format!("exec 2>&1\n{environment}\n{script}");
        let output = self
            .home
            .command("sh")
            .env("PATH", &self.path)
            .env("LC_ALL", "C.UTF-8")
            // As a learner's computer has it: what waits, waits.
            .env_remove("TUTORIAL_TIME_FACTOR")
            .current_dir(directory)
            .args(["-c", &script])
            .output()
            .expect("sh starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.trim_matches('\n').lines().map(|line| format!("{}\n", line.trim_end()));
        lines.collect()
    }
}

/// The first of a name counts, as on a PATH.
fn link(program: &Path, name: &Path) {
    let _ = std::os::unix::fs::symlink(program, name);
}

fn fences(page: &str) -> Vec<String> {
    let parts = page.split("```console\n").skip(1);
    parts.map(|part| part.split("```\n").next().unwrap_or_default().to_owned()).collect()
}

/// The lines without what differs from run to run: commits, tags, names of pods, times, ports, the width of columns and
/// the order of rows; and without what a converge or a dismissal prints while it waits.
fn essence(transcript: &str) -> BTreeSet<String> {
    let masks = [
        (r"demo-app-[0-9a-z]{8,10}(-[0-9a-z]{5})?\b", "demo-app-#"),
        (r"\b[0-9a-f]{7,}(-\d{13})?\b", "#"),
        (r"\d{4}-\d\d-\d\d.*UTC", "#"),
        (r"render-[0-9a-z]+", "render-#"),
        (r"\b\d+(\.\d+)? seconds", "# seconds"),
        (r"\b\d+\.\d s\b", "# s"),
        (r"READY +Ready:\d/\d", "READY"),
        (r"\b(\d+m)?\d+s\b", "#"),
        (r":\d{4,5}\b", ":#"),
        (r"(Ready|Errors):\d+(/\d+)?", "$1:#"),
        (r"[ ─━]+", " "),
    ];
    let masks = masks.map(|(pattern, word)| (Regex::new(pattern).expect("it is one"), word));
    let passing = |line: &&str| {
        ["WAITING", "Waiting for", "Logs for", "kube-probe"].iter().any(|sign| line.contains(sign))
            || (line.contains("• Pod/") && line.contains(" READY "))
    };
    let lines = transcript.lines().filter(|line| !passing(line));
    let masked = lines.map(|line| {
        masks.iter().fold(line.to_owned(), |line, (mask, word)| mask.replace_all(&line, *word).trim().to_owned())
    });
    masked.collect()
}
