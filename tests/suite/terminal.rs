//! Sessions at a terminal: a pseudo-terminal of `script`(1), keys as a learner presses them, and what is then on the
//! screen.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::session::Home;

const PATIENCE: Duration = Duration::from_secs(30);
const ENTER: &str = "\r";
const DOWN: &str = "\u{1b}[B";
const UP: &str = "\u{1b}[A";

pub struct Terminal {
    child: Child,
    keys: ChildStdin,
    printed: Arc<Mutex<Vec<u8>>>,
    /// How much of it has been waited for.
    seen: usize,
}

impl Terminal {
    /// None where the system has no `script` of util-linux.
    pub fn open(home: &Home, command_line: &str) -> Option<Self> {
        let version = Command::new("script").arg("--version").output();
        if !version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux")) {
            println!("skipped: there is no `script` of util-linux to make a terminal");
            return None;
        }
        let mut command = home.command("script");
        command.args(["-qfec", &format!("stty cols 100 rows 50; {command_line}"), "/dev/null"]);
        command.env("TERM", "xterm-256color").env("SHELL", "/bin/bash").env("LANG", "C.UTF-8");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let printed = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&printed);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Some(Self { child, keys, printed, seen: 0 })
    }

    /// A hand takes a moment: a key that arrives while the terminal changes its mode is lost.
    pub fn press(&mut self, keys: &str) {
        std::thread::sleep(Duration::from_millis(200));
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until a text is printed behind what was waited for before; answers what came behind it so far.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let printed = String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned();
            let new = printed.get(self.seen..).unwrap_or_default();
            if let Some(at) = new.find(text) {
                self.seen += at + text.len();
                return printed[self.seen..].to_owned();
            }
            assert!(Instant::now() < deadline, "in vain: {text:?} in\n{new}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn end(mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        panic!("it does not end: {}", String::from_utf8_lossy(&self.printed.lock().unwrap()));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_step_is_played_by_the_menu_and_in_the_shell() {
    let home = Home::new();
    let course = format!("{}/tests/golden/small-course", env!("CARGO_MANIFEST_DIR"));
    let line = format!("'{}' start '{course}' --sandbox embedded", env!("CARGO_BIN_EXE_tutorial"));
    let Some(mut terminal) = Terminal::open(&home, &line) else { return };
    // The quiz: the wrong answer first.
    terminal.wait_for("Answer the question");
    terminal.press(ENTER);
    terminal.wait_for("Your answer");
    terminal.press(ENTER);
    terminal.wait_for("Have another go");
    terminal.wait_for("Your answer");
    terminal.press(DOWN);
    terminal.press(ENTER);
    terminal.wait_for("It says so.");
    terminal.wait_for("Go on");
    terminal.press(ENTER);
    // The shell: it opens by itself as the likeliest choice, and its prompt comes back after each command.
    terminal.wait_for("Open a shell here");
    terminal.press(ENTER);
    terminal.wait_for("(tutorial 2/5)");
    terminal.press("echo \"The project is $PROJECT.\" > notes/one.txt; echo do\"\"ne\r");
    terminal.wait_for("done\r\n");
    // The first prompt behind it, or where the machine is slow the one after it, says that the step passes.
    let prompt = home.workspace("small").join(".tutorial/shell/prompt");
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&prompt).unwrap().contains('✓') {
        assert!(Instant::now() < deadline, "the prompt is never told that the checks pass");
        std::thread::sleep(Duration::from_millis(20));
    }
    // The checks are looked at behind it; nothing of that may wipe the prompt out.
    let behind = String::from_utf8_lossy(&terminal.printed.lock().unwrap()).into_owned()[terminal.seen..].to_owned();
    assert!(!behind.contains("\u{1b}[2K") && !behind.contains("\u{1b}[K"), "{behind:?}");
    terminal.press(ENTER);
    terminal.wait_for("✓ This step passes: the file is there; the file is right.");
    terminal.wait_for("(tutorial 2/5 ✓)");
    terminal.press("exit\r");
    // Back in the session the step is checked.
    terminal.wait_for("That was a file.");
    terminal.wait_for("Well done");
    terminal.wait_for("Quit");
    terminal.press(UP);
    terminal.press(ENTER);
    terminal.wait_for("Your progress is kept");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_step_that_was_gone_on_to_and_done_in_the_shell_is_done_in_the_menu() {
    let home = Home::new();
    let course = format!("{}/tests/golden/small-course", env!("CARGO_MANIFEST_DIR"));
    let line = format!("'{}' start '{course}' --sandbox embedded", env!("CARGO_BIN_EXE_tutorial"));
    home.tutorial(&["start", &course]).expect(0);
    home.tutorial(&["next"]).expect(0);
    home.tutorial(&["run"]).expect(0);
    let Some(mut terminal) = Terminal::open(&home, &line) else { return };
    terminal.wait_for("Open a shell here");
    terminal.press(ENTER);
    terminal.wait_for("(tutorial 2/5");
    let program = env!("CARGO_BIN_EXE_tutorial");
    terminal.press(&format!("'{program}' next > /dev/null 2>&1; echo mo\"\"ved\r"));
    terminal.wait_for("moved\r\n");
    terminal.wait_for("(tutorial 3/5)");
    // What another shell left to be said of the step before is not said of this one.
    let directory = home.workspace("small").join(".tutorial/shell");
    std::fs::write(directory.join("told"), "file").unwrap();
    std::fs::write(directory.join("notice"), "left over\n").unwrap();
    let left_at = terminal.seen;
    terminal.press("git init -q; git add .; git commit -qm First; echo do\"\"ne\r");
    terminal.wait_for("done\r\n");
    // The prompt may come before the verdict does; the one behind it knows it.
    let prompt = directory.join("prompt");
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&prompt).unwrap().contains('✓') {
        assert!(Instant::now() < deadline, "the prompt is never told that the checks pass");
        std::thread::sleep(Duration::from_millis(20));
    }
    terminal.press(ENTER);
    terminal.wait_for("(tutorial 3/5 ✓)");
    let said = String::from_utf8_lossy(&terminal.printed.lock().unwrap()).into_owned()[left_at..].to_owned();
    assert!(!said.contains("left over"), "{said}");
    terminal.press("exit\r");
    // Back in the session it is shown, and that it is done.
    terminal.wait_for("step 3/5");
    terminal.wait_for(" main has a commit");
    terminal.wait_for("Well done. What next?");
    terminal.wait_for("Go on");
    terminal.press(ENTER);
    terminal.wait_for("step 4/5");
    terminal.wait_for("Quit");
    terminal.press(UP);
    terminal.press(ENTER);
    terminal.wait_for("Your progress is kept");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn an_interrupt_leaves_the_terminal_as_it_was() {
    let home = Home::new();
    let course = format!("{}/tests/golden/small-course", env!("CARGO_MANIFEST_DIR"));
    let line = format!(
        "before=$(stty -g); '{}' start '{course}' --sandbox embedded; echo \"code $?\"; [ \"$before\" = \"$(stty -g)\" ] && echo same",
        env!("CARGO_BIN_EXE_tutorial")
    );
    let Some(mut terminal) = Terminal::open(&home, &line) else { return };
    terminal.wait_for("Quit");
    terminal.press("\u{3}");
    terminal.wait_for("code 130");
    terminal.wait_for("same");
    // The cursor was hidden by the menu and is shown again.
    let printed = String::from_utf8_lossy(&terminal.printed.lock().unwrap()).into_owned();
    assert!(printed.rfind("\u{1b}[?25h") > printed.rfind("\u{1b}[?25l"), "the cursor stays hidden");
    assert_eq!(terminal.end(), 0);
}

/// On a terminal where Docker answers, the learner is asked which sandbox it shall be; Enter takes the quick one.
#[test]
fn where_docker_answers_the_sandbox_is_asked_for() {
    if !Command::new("docker").arg("info").output().is_ok_and(|output| output.status.success()) {
        return println!("skipped: no Docker engine answers");
    }
    let home = Home::new();
    let course = format!("{}/tests/golden/small-course", env!("CARGO_MANIFEST_DIR"));
    let line = format!("'{}' start '{course}'", env!("CARGO_BIN_EXE_tutorial"));
    let Some(mut terminal) = Terminal::open(&home, &line) else { return };
    terminal.wait_for("Where shall the course run?");
    terminal.wait_for("(kind)");
    terminal.press(ENTER);
    terminal.wait_for("Read this");
    terminal.wait_for("Quit");
    terminal.press(UP);
    terminal.press(ENTER);
    terminal.wait_for("Your progress is kept");
    assert_eq!(terminal.end(), 0);
    let status = home.tutorial(&["status", "--json"]).expect(0).json();
    assert_eq!(status["sandbox"], "embedded");
}

#[test]
fn a_menu_acts_on_the_step_that_it_shows() {
    let home = Home::new();
    let course = format!("{}/tests/golden/small-course", env!("CARGO_MANIFEST_DIR"));
    let line = format!("'{}' start '{course}' --sandbox embedded", env!("CARGO_BIN_EXE_tutorial"));
    home.tutorial(&["start", &course]).expect(0);
    home.tutorial(&["next"]).expect(0);
    let Some(mut terminal) = Terminal::open(&home, &line) else { return };
    terminal.wait_for("Quit");
    // Another terminal moves on; the menu that is left there still offers what the step before had.
    home.tutorial(&["goto", "second"]).expect(0);
    terminal.press(DOWN);
    terminal.press(ENTER);
    terminal.wait_for("You moved on in another terminal.");
    terminal.wait_for("Another commit");
    terminal.wait_for("Quit");
    assert!(!home.workspace("small").join("app/notes/two.txt").exists(), "the step that is not shown was run");
    // `tutorial next` in the shell: the new step is shown once, and not checked.
    terminal.press(ENTER);
    terminal.wait_for("(tutorial 4/5)");
    let program = env!("CARGO_BIN_EXE_tutorial");
    terminal.press(&format!("'{program}' skip > /dev/null 2>&1; echo mo\"\"ved\r"));
    terminal.wait_for("moved\r\n");
    terminal.press("exit\r");
    terminal.wait_for("exit\r\n");
    let left_at = terminal.seen;
    terminal.wait_for("step 5/5");
    terminal.wait_for("Quit");
    let shown = String::from_utf8_lossy(&terminal.printed.lock().unwrap()).into_owned()[left_at..].to_owned();
    assert!(!shown.contains("✗") && !shown.contains("another terminal"), "{shown}");
    assert_eq!(shown.matches("Back again").count(), 1, "the step is not shown once: {shown}");
    // Ctrl-C at a question goes back to the menu.
    terminal.press(DOWN);
    terminal.press(DOWN);
    terminal.press(ENTER);
    terminal.wait_for("Apply it?");
    terminal.press("\u{3}");
    terminal.wait_for("\nInterrupted at step");
    terminal.wait_for("Quit");
    terminal.press(UP);
    terminal.press(ENTER);
    terminal.wait_for("Your progress is kept");
    assert_eq!(terminal.end(), 0);
}
