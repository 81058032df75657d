//! Sessions as a learner has them: the binary in an empty home directory (with a space in its name), without a
//! terminal, without a git identity.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A home directory with a workspace in it. What runs there ends with it.
pub struct Home {
    directory: tempfile::TempDir,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl Home {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("tutorial home ").tempdir().unwrap();
        Self { directory }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn workspace(&self, course: &str) -> PathBuf {
        self.path().join("tutorial").join(course)
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("TUTORIAL_HOME", self.path().join("tutorial"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("TUTORIAL_TIME_FACTOR", "10")
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    pub fn tutorial(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(env!("CARGO_BIN_EXE_tutorial"));
        said(command.args(arguments))
    }

    /// A script in the learner's repository, in the session's environment.
    pub fn sh(&self, course: &str, repository: &str, script: &str) -> Said {
        let mut command = self.command("sh");
        command.current_dir(self.workspace(course).join(repository)).env("TUTORIAL", env!("CARGO_BIN_EXE_tutorial"));
        said(command.args(["-ec", &format!("eval \"$(\"$TUTORIAL\" env)\"\n{script}")]))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let workspaces = std::fs::read_dir(self.path().join("tutorial")).into_iter().flatten().flatten();
        for workspace in workspaces.filter(|entry| entry.path().join(".tutorial").is_dir()) {
            self.tutorial(&["stop", "--dir", &workspace.path().display().to_string()]);
        }
    }
}

pub fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

pub fn small() -> String {
    format!("{}/tests/golden/small-course", env!("CARGO_MANIFEST_DIR"))
}

/// A home in which the small course has been begun.
pub fn begun() -> Home {
    let home = Home::new();
    home.tutorial(&["start", &small()]).expect(0);
    home
}

pub fn current(home: &Home) -> String {
    let status = home.tutorial(&["status", "--json"]).expect(0).json();
    let steps =
        status["lessons"].as_array().unwrap().iter().flat_map(|lesson| lesson["steps"].as_array().unwrap().clone());
    let words: Vec<String> = steps.map(|step| format!("{}:{}", step["id"], step["state"]).replace('"', "")).collect();
    words.join(" ")
}

#[test]
fn without_a_terminal_the_step_is_printed_and_nothing_asked() {
    let home = Home::new();
    let said = home.tutorial(&["start", &small()]).expect(0);
    assert!(said.stdout.contains("Read this") && said.stdout.contains("b) No"), "{said:?}");
    assert!(said.stderr.contains("tutorial next") && !said.stdout.contains('\u{1b}'), "{said:?}");
    assert_eq!(current(&home), "read:current file:todo commit:todo second:todo back:todo");
    let again = home.tutorial(&["start", &small()]).expect(0);
    assert_eq!(again.stdout, said.stdout);
}

#[test]
fn a_course_is_walked_by_hand() {
    let home = begun();
    home.tutorial(&["next"]).expect(0);
    let early = home.tutorial(&["verify", "--json"]).expect(1).json();
    assert_eq!(early["course"], "small");
    assert_eq!((&early["step"], &early["passed"]), (&"file".into(), &false.into()));
    let states: Vec<&Value> = early["checks"].as_array().unwrap().iter().map(|check| &check["state"]).collect();
    assert_eq!(states, ["failed", "failed"]);
    let refused = home.tutorial(&["next"]).expect(1);
    assert!(refused.stderr.contains("error: the step “A file” is not done yet"), "{refused:?}");
    home.sh("small", "app", "echo wrong > notes/one.txt").expect(0);
    let half = home.tutorial(&["verify"]).expect(1);
    assert!(half.stdout.contains("✓ the file is there") && half.stdout.contains("✗ the file is right"), "{half:?}");
    home.sh("small", "app", "echo \"The project is $PROJECT.\" > notes/one.txt").expect(0);
    assert!(home.tutorial(&["verify"]).expect(0).stdout.contains("That was a file."));
    assert!(!home.path().join("left").exists());
    home.tutorial(&["next"]).expect(0);
    assert_eq!(std::fs::read_to_string(home.path().join("left")).unwrap(), "left\n");
    home.sh("small", "app", "git init; git add .; git commit -m First").expect(0);
    home.tutorial(&["next"]).expect(0);
    assert_eq!(current(&home), "read:done file:done commit:done second:current back:todo");
    home.tutorial(&["solve", "--yes"]).expect(0);
    home.tutorial(&["next"]).expect(0);
    home.tutorial(&["verify"]).expect(1);
    home.sh("small", "app", "git reset --hard \"$first_commit\"").expect(0);
    let end = home.tutorial(&["next"]).expect(0);
    assert!(end.stdout.contains("You have finished A small course."), "{end:?}");
    assert!(end.stdout.contains("  0 of 1 questions right at the first try, 1 left open\n"), "{end:?}");
    assert_eq!(home.tutorial(&["status", "--json"]).json()["done"], 5);
}

#[test]
fn going_back_to_read_changes_nothing() {
    let home = begun();
    home.tutorial(&["next"]).expect(0);
    home.sh("small", "app", "echo mine > mine").expect(0);
    home.tutorial(&["back"]).expect(0);
    assert_eq!(home.sh("small", "app", "cat mine").expect(0).stdout, "mine\n");
    home.tutorial(&["back"]).expect(1);
    let again = home.tutorial(&["next"]).expect(0);
    assert!(again.stdout.contains("A file"), "{again:?}");
    assert_eq!(home.sh("small", "app", "cat mine").expect(0).stdout, "mine\n");
}

#[test]
fn goto_solve_break_verify() {
    let home = begun();
    let breaks = [
        ("file", "rm notes/one.txt", "the file is there"),
        ("commit", "echo dirt > dirt", "main has a commit"),
        ("second", "git reset --hard HEAD~1", "there are two commits"),
        ("back", "git commit --allow-empty -m More", "main is where it was"),
    ];
    for (step, broken_by, check) in breaks {
        home.tutorial(&["goto", step]).expect(0);
        home.tutorial(&["verify", "--step", step]).expect(1);
        home.tutorial(&["solve", "--yes"]).expect(0);
        home.tutorial(&["verify", "--step", step]).expect(0);
        home.sh("small", "app", broken_by).expect(0);
        let told = home.tutorial(&["verify", "--step", step]).expect(1);
        assert!(told.stdout.contains(&format!("✗ {check}")), "{step}: {told:?}");
    }
    // Backwards, to states that are kept.
    for (step, commits) in [("second", "1"), ("commit", "0"), ("second", "1")] {
        home.tutorial(&["goto", step]).expect(0);
        let count = "git rev-list --count HEAD 2>/dev/null || echo 0";
        assert_eq!(home.sh("small", "app", count).stdout.trim(), commits, "{step}");
    }
}

#[test]
fn reset_and_undo() {
    let home = begun();
    // The step where the menu offers to take back what was done last, besides the one that it was done at.
    let leads_to = || {
        let progress = std::fs::read(home.workspace("small").join(".tutorial/progress.json")).unwrap();
        let progress: serde_json::Value = serde_json::from_slice(&progress).unwrap();
        progress["undo"].as_array().unwrap().last().unwrap()["leads_to"].as_str().unwrap().to_owned()
    };
    home.tutorial(&["goto", "second"]).expect(0);
    assert_eq!(leads_to(), "second");
    home.sh("small", "app", "echo work > work; git add work; git commit -m Work; echo more > more").expect(0);
    let refused = home.tutorial(&["reset"]).expect(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    let listing = || home.sh("small", "app", "ls; git log --format=%s; git status --short").expect(0).stdout;
    let work = listing();
    home.tutorial(&["reset", "--yes"]).expect(0);
    let start = listing();
    assert_eq!(start, "notes\nFirst\n");
    assert_eq!(leads_to(), "second");
    home.tutorial(&["undo"]).expect(0);
    assert_eq!(listing(), work);
    home.tutorial(&["undo", "--redo"]).expect(0);
    assert_eq!(listing(), start);
    home.tutorial(&["undo"]).expect(0);
    home.tutorial(&["skip"]).expect(0);
    assert_eq!(current(&home).split(' ').nth(3), Some("second:skipped"));
    assert_eq!(leads_to(), "back");
    home.tutorial(&["undo"]).expect(0);
    assert_eq!(listing(), work);
    home.tutorial(&["reset", "course", "--yes"]).expect(0);
    assert_eq!(current(&home), "read:current file:todo commit:todo second:todo back:todo");
    assert_eq!(home.sh("small", "app", "ls -A").expect(0).stdout, "");
    assert_eq!(leads_to(), "read");
    home.tutorial(&["undo"]).expect(0);
    assert_eq!(listing(), work);
    home.tutorial(&["undo"]).expect(0);
    let nothing = home.tutorial(&["undo"]).expect(1);
    assert!(nothing.stderr.contains("error: there is nothing to take back"), "{nothing:?}");
}

#[test]
fn a_shell_that_stands_in_the_repository_stays_there() {
    let home = begun();
    home.tutorial(&["goto", "second"]).expect(0);
    let script = "cd notes; echo x > x; \"$TUTORIAL\" reset --yes; ls; pwd -P; git rev-list --count HEAD";
    let said = home.sh("small", "app", script).expect(0);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!((lines[0], lines[2]), ("one.txt", "1"), "{said:?}");
}

#[test]
fn a_restore_that_was_killed_is_finished_by_the_next_command() {
    let home = begun();
    home.tutorial(&["goto", "second"]).expect(0);
    let workspace = home.workspace("small");
    let progress: Value =
        serde_json::from_slice(&std::fs::read(workspace.join(".tutorial/progress.json")).unwrap()).unwrap();
    let journal = serde_json::json!({
        "snapshot": "step-second", "progress": progress, "files_pending": true, "cluster_pending": true,
    });
    // As it looks after a kill -9 in the middle: the journal, git's lock, and half of the work.
    std::fs::write(workspace.join(".tutorial/restore.json"), journal.to_string()).unwrap();
    std::fs::write(workspace.join("app/.git/index.lock"), "").unwrap();
    std::fs::remove_file(workspace.join("app/notes/one.txt")).unwrap();
    std::fs::write(workspace.join("app/.git/HEAD"), "ref: refs/heads/elsewhere\n").unwrap();
    home.tutorial(&["verify"]).expect(1);
    let state = home.sh("small", "app", "git status --short --branch; cat notes/one.txt").expect(0).stdout;
    assert_eq!(state, "## main\nThe project is small.\n");
    assert!(!workspace.join(".tutorial/restore.json").exists());
}

#[test]
fn git_at_work_is_not_disturbed() {
    let home = begun();
    home.tutorial(&["goto", "second"]).expect(0);
    let lock = home.workspace("small").join("app/.git/index.lock");
    std::fs::write(&lock, "").unwrap();
    home.sh("small", "app", "echo work > work").expect(0);
    let told = home.tutorial(&["reset", "--yes"]).expect(1);
    assert!(told.stderr.contains("error: git is at work") && told.stderr.contains("hint:"), "{told:?}");
    assert_eq!(home.sh("small", "app", "cat work").expect(0).stdout, "work\n");
    std::fs::remove_file(lock).unwrap();
    home.tutorial(&["reset", "--yes"]).expect(0);
}

#[test]
fn a_damaged_progress_file_is_told_and_rebuilt() {
    let home = begun();
    home.tutorial(&["goto", "second"]).expect(0);
    let file = home.workspace("small").join(".tutorial/progress.json");
    std::fs::write(&file, "{\"format\": 1, \"cour").unwrap();
    let told = home.tutorial(&["status"]).expect(0);
    assert!(told.stderr.contains("progress.damaged-"), "{told:?}");
    assert!(current(&home).contains("commit:skipped second:current"), "{}", current(&home));
    let kept = std::fs::read_dir(home.workspace("small").join(".tutorial")).unwrap().flatten();
    assert_eq!(kept.filter(|entry| entry.file_name().to_string_lossy().contains("damaged")).count(), 1);
    home.tutorial(&["solve", "--yes"]).expect(0);
}

#[test]
fn a_second_writer_waits_or_is_told() {
    let home = begun();
    home.tutorial(&["next"]).expect(0);
    let lock = std::fs::File::open(home.workspace("small").join(".tutorial/lock")).unwrap();
    lock.lock().unwrap();
    let mut waiting =
        home.command(env!("CARGO_BIN_EXE_tutorial")).args(["hint"]).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(waiting.try_wait().unwrap().is_none());
    lock.unlock().unwrap();
    assert!(waiting.wait().unwrap().success());
    // Many at once: none loses what another wrote.
    let commands = [["hint"], ["verify"], ["status"], ["hint"], ["verify"], ["status"]];
    let running: Vec<_> = commands
        .iter()
        .map(|arguments| {
            let mut command = home.command(env!("CARGO_BIN_EXE_tutorial"));
            command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in running {
        assert!(child.wait().unwrap().code().is_some_and(|code| code < 2));
    }
    let file = home.workspace("small").join(".tutorial/progress.json");
    let progress: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(progress["steps"]["file"]["attempts"], 2);
}

#[test]
fn ctrl_c_ends_what_runs_and_the_next_command_goes_on() {
    let home = Home::new();
    let course = home.path().join("slow");
    std::fs::create_dir(&course).unwrap();
    std::fs::write(course.join("course.yaml"), "id: slow\ntitle: Slow\nrepository: app\nlessons: [01-slow]\n").unwrap();
    let lesson = "---\ntitle: Slow\n---\n## Slow {#slow}\n\nText.\n\n```sh solve\necho $$ > pid; sleep 60; touch done\n```\n\n\
                  ```yaml check\n- name: it is done\n  file: { path: done, exists: true }\n```\n";
    std::fs::write(course.join("01-slow.md"), lesson).unwrap();
    home.tutorial(&["start", &course.display().to_string()]).expect(0);
    let mut solving = home.command(env!("CARGO_BIN_EXE_tutorial"));
    let mut solving = solving.args(["solve", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid_file = home.workspace("slow").join("app/pid");
    wait_until("the solution runs", || std::fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n')));
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    said(home.command("kill").args(["-INT", &solving.id().to_string()])).expect(0);
    assert_eq!(solving.wait().unwrap().code(), Some(130));
    wait_until("the solution has ended", || said(home.command("kill").args(["-0", pid.trim()])).code != 0);
    home.tutorial(&["verify"]).expect(1);
    home.tutorial(&["undo"]).expect(0);
    assert!(!pid_file.exists());
}

#[test]
fn a_sandbox_that_was_killed_comes_back_as_it_was() {
    let home = begun();
    home.tutorial(&["goto", "second"]).expect(0);
    let running = home.workspace("small").join(".tutorial/cluster/running.json");
    let before: Value = serde_json::from_slice(&std::fs::read(&running).unwrap()).unwrap();
    said(home.command("kill").args(["-9", &before["process"].to_string()])).expect(0);
    home.tutorial(&["reset", "--yes"]).expect(0);
    let after: Value = serde_json::from_slice(&std::fs::read(&running).unwrap()).unwrap();
    assert_ne!(before["process"], after["process"]);
    assert_eq!(before["connection"]["registry"], after["connection"]["registry"]);
}

#[test]
fn the_environment_is_the_sessions_and_nothing_of_the_learners_is_written() {
    let home = begun();
    let bin = home.workspace("small").join(".tutorial/bin");
    let said = home.sh("small", "app", "command -v werf; echo $WERF_REPO; git var GIT_AUTHOR_IDENT; ls -A ~").expect(0);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines[0], bin.join("werf").display().to_string());
    assert!(lines[1].starts_with("localhost:") && lines[1].ends_with("/small"), "{said:?}");
    assert!(lines[2].starts_with("Tutorial Learner <learner@example.com>"), "{said:?}");
    assert_eq!(lines[3..], ["tutorial"], "{said:?}");
    let file = std::fs::read_to_string(home.workspace("small").join(".tutorial/env")).unwrap();
    assert_eq!(file, home.tutorial(&["env"]).expect(0).stdout);
}

#[test]
fn a_git_repository_around_the_workspace_is_left_alone() {
    let home = Home::new();
    said(home.command("git").args(["init", "-q"])).expect(0);
    home.tutorial(&["start", &small()]).expect(0);
    home.sh("small", "app", "git status").expect(128);
    home.tutorial(&["goto", "second"]).expect(0);
    let outer = said(home.command("git").args(["status", "--porcelain"])).expect(0).stdout;
    assert_eq!(outer, "?? left\n?? tutorial/\n");
}

#[test]
fn mistakes_are_told_with_a_way_on() {
    let home = Home::new();
    let check = |arguments: &[&str], code: i32, error: &str, hint: &str| {
        let told = home.tutorial(arguments).expect(code);
        assert!(told.stderr.contains(error) && told.stderr.contains(hint), "{arguments:?}: {told:?}");
        assert_eq!(told.stdout, "", "{arguments:?}");
    };
    check(&["verify"], 1, "error: no course has been started yet", "`tutorial start`");
    check(&["verify", "--dir", "nowhere"], 1, "error: there is no workspace in", "`tutorial start`");
    check(&["frobnicate"], 2, "unrecognized subcommand", "--help");
    check(&["start", "gitops-with-werv"], 2, "gitops-with-werv", "gitops-with-werf");
    check(&["start", "./nothing"], 2, "no directory", "course.yaml");
    check(&["start", "--sandbox", "existing"], 2, "has to be said: `--context CONTEXT`", "kubeconfig");
    check(&["start", "--sandbox", "existing", "--context", "far", "--yes"], 2, "no context `far`", "KUBECONFIG");
    check(&["start", "--sandbox", "embedded", "--image", "x"], 2, "`--image` goes with `--sandbox kind`", "");
    home.tutorial(&["start", &small()]).expect(0);
    check(&["goto", "secnd"], 2, "error: the course has no step `secnd`", "did you mean `second`?");
    check(&["run"], 1, "offers nothing to run", "`tutorial shell`");
    check(&["remove"], 2, "has to be confirmed", "--yes");
}

#[test]
fn forty_columns_are_enough() {
    let home = Home::new();
    for arguments in
        [&["start"][..], &["next"], &["status"], &["list"], &["goto", "first-commit"], &["verify"], &["hint"]]
    {
        let mut command = home.command(env!("CARGO_BIN_EXE_tutorial"));
        let said = said(command.args(arguments).env("COLUMNS", "40"));
        let text = format!("{}{}", said.stdout, said.stderr);
        for line in text.lines().filter(|line| !["──", "://", "eval "].iter().any(|long| line.contains(long))) {
            let is_picture = line.contains(['│', '┌', '└', '►', '▲', '▼']) || line.trim().contains("    ");
            let width = line.chars().count();
            assert!(width <= 40 || is_picture || !line.trim().contains(' '), "{arguments:?}: {width}: {line}");
        }
    }
}

#[test]
fn what_was_made_can_be_removed() {
    let home = begun();
    home.tutorial(&["goto", "second"]).expect(0);
    std::fs::write(home.workspace("small").join("notes.md"), "mine").unwrap();
    let said = home.tutorial(&["remove", "--yes"]).expect(0);
    assert!(said.stderr.contains("notes.md") || said.stderr.contains("other files"), "{said:?}");
    let left: Vec<_> =
        std::fs::read_dir(home.workspace("small")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["notes.md"]);
    home.tutorial(&["status"]).expect(1);
    let home = begun();
    home.tutorial(&["remove", "small", "--yes"]).expect(0);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_small_course_plays_by_itself() {
    let home = Home::new();
    let said = home.tutorial(&["start", &small(), "--autoplay", "--yes", "--sandbox", "embedded"]).expect(0);
    assert!(said.stderr.contains("5 of 5 steps passed"), "{said:?}");
    let status = home.tutorial(&["status", "--json"]).expect(0).json();
    assert_eq!(status["done"], status["total"]);
}

#[test]
fn the_course_that_it_ships_with_plays_by_itself() {
    let home = Home::new();
    let werf = home.path().join("werf");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tutorial"), &werf).unwrap();
    if said(home.command(&werf.display().to_string()).arg("version")).stderr.contains("not available yet") {
        println!("skipped: the embedded werf is not there yet");
        return;
    }
    let said = home.tutorial(&["start", "gitops-with-werf", "--autoplay", "--yes", "--sandbox", "embedded"]).expect(0);
    assert!(said.stderr.contains("steps passed in"), "{said:?}");
    let status = home.tutorial(&["status", "--json"]).expect(0).json();
    assert_eq!(status["done"], status["total"]);
    assert_eq!(status["sandbox"], "embedded");
}
