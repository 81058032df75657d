//! What a learner brings along and does beside the straight way: their own git configuration, a machine without git, a
//! second terminal, deleted files, answers without the menu.

use std::path::PathBuf;
use std::process::Command;

use super::session::{Home, Said, begun, current, said, small};

/// A home whose git is configured in a way that would break a course, with a hook and a signing program that fail.
fn with_own_configuration(home: &Home) -> PathBuf {
    let hooks = home.path().join("my hooks");
    std::fs::create_dir(&hooks).unwrap();
    std::fs::write(hooks.join("pre-commit"), "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(
        hooks.join("pre-commit"),
        <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755),
    )
    .unwrap();
    let file = home.path().join("gitconfig");
    let text = format!(
        "[init]\n\tdefaultBranch = trunk\n[commit]\n\tgpgSign = true\n[tag]\n\tgpgSign = true\n\
         [gpg]\n\tprogram = false\n[core]\n\thooksPath = {}\n[user]\n\tname = Ada\n\temail = ada@example.com\n",
        hooks.display()
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn tutorial_with(home: &Home, variables: &[(&str, &str)], arguments: &[&str]) -> Said {
    let mut command = home.command(env!("CARGO_BIN_EXE_tutorial"));
    said(command.args(arguments).envs(variables.iter().copied()))
}

#[test]
fn a_learners_own_git_configuration_does_not_break_a_course() {
    let home = Home::new();
    let file = with_own_configuration(&home);
    let global = [("GIT_CONFIG_GLOBAL", file.to_str().unwrap())];
    tutorial_with(&home, &global, &["start", &small(), "--autoplay", "--yes"]).expect(0);
    let repository = home.workspace("small").join("app");
    let script = "eval \"$(\"$TUTORIAL\" env)\"\n\
                  git tag -a -m Tag one; git log -1 --format=%an; git branch --show-current\n\
                  printf '#!/bin/sh\\necho ours\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit\n\
                  git commit -q --allow-empty -m Hooked";
    let mut shell = home.command("sh");
    shell.current_dir(repository).env("TUTORIAL", env!("CARGO_BIN_EXE_tutorial")).envs(global);
    let told = said(shell.args(["-ec", script])).expect(0);
    assert_eq!(told.stdout, "Ada\nmain\n", "{told:?}");
    assert_eq!(told.stderr, "ours\n", "the repository's own hook does not run: {told:?}");
}

/// A PATH with everything that is on this machine's but git; with another `git` in its place if there is one.
fn path_without_git(home: &Home, other: Option<&str>) -> String {
    let bin = home.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for name in ["sh", "ls", "cat", "mkdir", "rm", "echo", "sleep"] {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .map(|directory| directory.join(name))
            .find(|file| file.exists());
        if let Some(found) = found {
            let _ = std::os::unix::fs::symlink(found, bin.join(name));
        }
    }
    if let Some(script) = other {
        std::fs::write(bin.join("git"), script).unwrap();
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(bin.join("git"), mode).unwrap();
    }
    bin.display().to_string()
}

#[test]
fn a_git_that_is_missing_or_old_is_said_first_and_is_nobodys_mistake_in_the_lesson() {
    for (other, found) in [
        (None, "caused by: git: not installed"),
        (Some("#!/bin/sh\necho git version 2.11.0\n"), "caused by: git: 2.11.0, which is too old"),
    ] {
        let home = Home::new();
        let path = path_without_git(&home, other);
        let told = tutorial_with(&home, &[("PATH", &path)], &["start", &small()]).expect(1);
        assert!(told.stderr.contains(found) && told.stderr.contains("https://git-scm.com"), "{told:?}");
        assert_eq!(told.stdout, "");
        // Begun where git was there, and then it was not.
        home.tutorial(&["start", &small()]).expect(0);
        home.tutorial(&["goto", "commit"]).expect(0);
        for arguments in [&["goto", "second"][..], &["verify"], &["skip"], &["solve", "--yes"], &["next"]] {
            let told = tutorial_with(&home, &[("PATH", &path)], arguments).expect(1);
            assert!(told.stderr.contains(found) && !told.stderr.contains("git init"), "{arguments:?}: {told:?}");
        }
    }
}

#[test]
fn a_deleted_progress_file_is_rebuilt_and_the_steps_start_is_still_the_true_one() {
    let home = begun();
    home.tutorial(&["goto", "second"]).expect(0);
    home.sh("small", "app", "echo work > work; git add work; git commit -qm Work").expect(0);
    std::fs::remove_file(home.workspace("small").join(".tutorial/progress.json")).unwrap();
    let told = home.tutorial(&["start", &small()]).expect(0);
    assert!(told.stderr.contains("was gone") && told.stderr.contains("`second`"), "{told:?}");
    assert!(current(&home).contains("second:current"), "{}", current(&home));
    assert_eq!(home.sh("small", "app", "git log -1 --format=%s").expect(0).stdout, "Work\n");
    home.tutorial(&["reset", "--yes"]).expect(0);
    assert_eq!(home.sh("small", "app", "git log -1 --format=%s").expect(0).stdout, "First\n");
}

#[test]
fn a_deleted_repository_is_brought_back_by_reset_and_verify_says_so() {
    let home = begun();
    home.tutorial(&["goto", "second"]).expect(0);
    std::fs::remove_dir_all(home.workspace("small").join("app")).unwrap();
    let told = home.tutorial(&["verify"]).expect(1);
    assert!(told.stdout.contains("tutorial reset") && !told.stdout.contains("git init"), "{told:?}");
    home.tutorial(&["reset", "--yes"]).expect(0);
    assert_eq!(home.sh("small", "app", "git log -1 --format=%s").expect(0).stdout, "First\n");
}

#[test]
fn status_says_where_the_learner_is_and_what_has_to_be_done_again() {
    let home = begun();
    let status = || home.tutorial(&["status", "--json"]).expect(0).json();
    home.tutorial(&["goto", "file"]).expect(0);
    home.tutorial(&["solve", "--yes"]).expect(0);
    assert_eq!((&status()["current"], &status()["done"]), (&"file".into(), &1.into()));
    assert_eq!(current(&home), "read:skipped file:done commit:todo second:todo back:todo");
    home.tutorial(&["reset", "--yes"]).expect(0);
    assert_eq!(current(&home), "read:skipped file:current commit:todo second:todo back:todo");
    // What the learner did by hand is theirs, also where they jump on without having it checked.
    home.sh("small", "app", "echo \"The project is $PROJECT.\" > notes/one.txt").expect(0);
    home.tutorial(&["goto", "second"]).expect(0);
    assert_eq!(current(&home), "read:skipped file:done commit:skipped second:current back:todo");
    let overview = home.tutorial(&["status"]).expect(0).stdout;
    assert!(overview.contains("1 of 5 steps done, 2 skipped"), "{overview}");
}

#[test]
fn a_question_is_answered_by_its_letter() {
    let home = begun();
    let shown = home.tutorial(&["start", &small()]).expect(0);
    let letter = |text: &str| {
        let line = shown.stdout.lines().find(|line| line.ends_with(&format!(") {text}"))).unwrap();
        line.trim().chars().next().unwrap().to_string()
    };
    assert!(shown.stderr.contains("tutorial answer"), "{shown:?}");
    let open = home.tutorial(&["verify"]).expect(0);
    assert!(open.stderr.contains("nothing to check here but a question: `tutorial answer`"), "{open:?}");
    let left = home.tutorial(&["next"]).expect(0);
    assert!(left.stderr.contains("a question that is still open: `tutorial back`"), "{left:?}");
    home.tutorial(&["back"]).expect(0);
    let wrong = home.tutorial(&["answer", &letter("Yes")]).expect(1);
    assert!(wrong.stdout.contains("✗ Yes") && wrong.stdout.contains("It says otherwise."), "{wrong:?}");
    let right = home.tutorial(&["answer", &letter("No")]).expect(0);
    assert!(right.stdout.contains("✓ No") && right.stdout.contains("It says so."), "{right:?}");
    let again = home.tutorial(&["answer", &letter("Yes")]).expect(1);
    assert!(again.stderr.contains("the question of this step is answered") && again.stdout.is_empty(), "{again:?}");
    let unknown = home.tutorial(&["answer", "--question", "1", "z"]).expect(2);
    assert!(unknown.stderr.contains("no answer `z`"), "{unknown:?}");
    let file = home.workspace("small").join(".tutorial/progress.json");
    let progress: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(progress["steps"]["read"]["quizzes"]["0"], false, "the first try was wrong");
    let done = home.tutorial(&["verify"]).expect(0);
    assert!(done.stderr.contains("this step is for reading"), "{done:?}");
    let next = home.tutorial(&["next"]).expect(0);
    assert!(!next.stderr.contains("still open"), "{next:?}");
    let none = home.tutorial(&["answer", "a"]).expect(1);
    assert!(none.stderr.contains("asks no question"), "{none:?}");
}

#[test]
fn of_several_questions_it_is_said_which_one_is_meant() {
    let home = Home::new();
    let course = home.path().join("asking");
    std::fs::create_dir(&course).unwrap();
    std::fs::write(course.join("course.yaml"), "id: asking\ntitle: A\nrepository: app\nlessons: [01-asking]\n")
        .unwrap();
    let question = |text: &str| {
        format!(
            "```yaml quiz\nquestion: {text}\noptions:\n  - text: Yes of {text}\n    right: true\n    \
             explanation: So it is.\n  - text: No of {text}\n    explanation: It is not.\n```\n\n"
        )
    };
    let lesson = format!(
        "---\ntitle: A\n---\n## Ask {{#ask}}\n\nText.\n\n```sh solve\ntouch done\n```\n\n\
         ```yaml check\n- name: it is done\n  file: {{ path: done, exists: true }}\n```\n\n{}{}\
         ## Last {{#last}}\n\nText.\n",
        question("one"),
        question("two")
    );
    std::fs::write(course.join("01-asking.md"), lesson).unwrap();
    let shown = home.tutorial(&["start", course.to_str().unwrap()]).expect(0).stdout;
    assert!(shown.contains("Question 1 of 2") && shown.contains("Question 2 of 2"), "{shown}");
    let letter = |text: &str| {
        let line = shown.lines().find(|line| line.ends_with(&format!(") {text}"))).unwrap();
        line.trim().chars().next().unwrap().to_string()
    };
    home.sh("asking", "app", "touch done").expect(0);
    let passed = home.tutorial(&["verify"]).expect(0);
    assert!(passed.stdout.contains("Question 1 of 2") && passed.stdout.contains(") Yes of one"), "{passed:?}");
    assert!(passed.stderr.contains("questions are still open: `tutorial answer`"), "{passed:?}");
    let first = home.tutorial(&["answer", &letter("Yes of one")]).expect(0).stdout;
    let (told, next) = first.split_once("So it is.").unwrap();
    assert!(told.contains("Question 1 of 2") && next.contains("Question 2 of 2"), "{first}");
    assert!(next.contains(") Yes of two"), "{first}");
    home.tutorial(&["answer", &letter("No of two")]).expect(1);
    let one_left = home.tutorial(&["verify"]).expect(0);
    assert!(one_left.stderr.contains("a question is still open: `tutorial answer`"), "{one_left:?}");
    home.tutorial(&["answer", &letter("Yes of two")]).expect(0);
    let none_left = home.tutorial(&["answer", "a"]).expect(1);
    assert!(none_left.stderr.contains("all questions of this step are answered"), "{none_left:?}");
    let passed = home.tutorial(&["verify"]).expect(0);
    assert!(passed.stderr.contains("Go on with `tutorial next`") && !passed.stdout.contains("Question"), "{passed:?}");
    home.tutorial(&["next"]).expect(0);
    let last = home.tutorial(&["verify"]).expect(0);
    assert!(last.stderr.contains("the last one") && !last.stderr.contains("tutorial next"), "{last:?}");
}

#[test]
fn what_is_offered_next_is_what_the_step_has() {
    let home = Home::new();
    let reading = home.tutorial(&["start", &small()]).expect(0).stderr;
    assert!(!reading.contains("tutorial solve") && !reading.contains("tutorial run"), "{reading}");
    let file = home.tutorial(&["next"]).expect(0).stderr;
    assert!(file.contains("writes the file and runs the command above"), "{file}");
    let last = home.tutorial(&["hint"]).expect(0);
    assert!(!last.stderr.contains("no more hints"), "{last:?}");
    home.tutorial(&["hint"]).expect(0);
    let again = home.tutorial(&["hint"]).expect(0);
    assert!(again.stdout.contains("Hint 2 of 2") && again.stderr.contains("no more hints"), "{again:?}");
    home.tutorial(&["reset", "course", "--yes"]).expect(0);
    home.tutorial(&["goto", "file"]).expect(0);
    home.tutorial(&["run"]).expect(0);
    home.tutorial(&["hint"]).expect(0);
    let withheld = home.tutorial(&["hint"]).expect(0);
    let told = withheld.stderr.replace('\n', " ");
    assert!(told.contains("Hint 2 is for the check “the file is right”, which passes."), "{withheld:?}");
    let reading = home.tutorial(&["verify", "--step", "read"]).expect(0);
    assert!(reading.stderr.contains("step `read`") && !reading.stderr.contains("this step"), "{reading:?}");
}

#[test]
fn a_course_begun_elsewhere_is_listed_and_removed_by_its_name() {
    let home = Home::new();
    let elsewhere = home.path().join("else where");
    home.tutorial(&["start", &small(), "--dir", elsewhere.to_str().unwrap()]).expect(0);
    let listed = home.tutorial(&["list"]).expect(0).stdout;
    assert!(listed.contains("small  A small course") && listed.contains("else where"), "{listed}");
    home.tutorial(&["remove", "small", "--yes"]).expect(0);
    assert!(!elsewhere.exists());
    let listed = home.tutorial(&["list"]).expect(0).stdout;
    assert!(!listed.contains("small  A small course"), "{listed}");
}

#[test]
fn an_interrupted_move_says_where_and_what_takes_it_back() {
    let home = Home::new();
    let course = home.path().join("slow");
    std::fs::create_dir(&course).unwrap();
    std::fs::write(course.join("course.yaml"), "id: slow\ntitle: Slow\nrepository: app\nlessons: [01-slow]\n").unwrap();
    let lesson = "---\ntitle: Slow\n---\n## Slow {#slow}\n\nText.\n\n```sh solve\ntouch begun; sleep 60; touch done\n```\n\n\
                  ```yaml check\n- name: it is done\n  file: { path: done, exists: true }\n```\n\n## Last {#last}\n\nText.\n";
    std::fs::write(course.join("01-slow.md"), lesson).unwrap();
    home.tutorial(&["start", course.to_str().unwrap()]).expect(0);
    let mut command: Command = home.command(env!("CARGO_BIN_EXE_tutorial"));
    command.args(["goto", "last"]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let moving = command.spawn().unwrap();
    super::session::wait_until("the solution runs", || home.workspace("slow").join("app/begun").exists());
    said(home.command("kill").args(["-INT", &moving.id().to_string()])).expect(0);
    let output = moving.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("interrupted at step `slow`; `tutorial undo` takes it back, `tutorial goto last`"), "{told}");
    home.tutorial(&["undo"]).expect(0);
    assert!(!home.workspace("slow").join("app/begun").exists());
}

#[test]
fn what_was_done_is_told_to_the_learner_and_to_an_instructor() {
    let home = begun();
    home.tutorial(&["next"]).expect(0);
    home.tutorial(&["hint"]).expect(0);
    home.tutorial(&["verify"]).expect(1);
    home.tutorial(&["run"]).expect(0);
    home.tutorial(&["verify"]).expect(0);
    home.tutorial(&["next"]).expect(0);
    home.tutorial(&["skip"]).expect(0);
    home.tutorial(&["reset", "--yes"]).expect(0);
    let history = home.tutorial(&["history"]).expect(0).stdout;
    let expected = "file\n  $ ls -A\n  wrote notes/one.txt\n\ncommit\n  $ git init  (the solution)\n  $ git add .\n  \
                    $ git commit -m \"First\"\n\nsecond\n  put back: the reset of step second\n";
    assert_eq!(history, expected);
    let report = home.tutorial(&["report", "--json"]).expect(0).json();
    assert_eq!((&report["done"], &report["skipped"], &report["total"]), (&2.into(), &1.into(), &5.into()));
    let file = &report["steps"][1];
    assert_eq!((&file["id"], &file["attempts"], &file["hints"]), (&"file".into(), &3.into(), &1.into()), "{file}");
    assert!(file["ended"].as_str().is_some_and(|ended| ended.ends_with('Z')), "{file}");
    assert_eq!((&report["steps"][2]["solved"], &report["steps"][3]["state"]), (&true.into(), &"current".into()));
    let told = home.tutorial(&["report"]).expect(0).stdout;
    assert!(
        told.contains("A small course · 2 of 5 steps done, 1 skipped") && told.contains("3 checks, 1 hint"),
        "{told}"
    );
}

#[test]
fn a_converge_that_was_interrupted_is_not_waited_for() {
    let home = Home::new();
    let course = home.path().join("release");
    std::fs::create_dir(&course).unwrap();
    std::fs::write(course.join("course.yaml"), "id: release\ntitle: R\nrepository: app\nlessons: [01-release]\n")
        .unwrap();
    let lesson = "---\ntitle: R\n---\n## R {#r}\n\nText.\n\n```sh solve\ntrue\n```\n\n```yaml check\n\
                  - name: it is deployed\n  within: 10m\n  release: { name: default, status: deployed }\n```\n";
    std::fs::write(course.join("01-release.md"), lesson).unwrap();
    home.tutorial(&["start", course.to_str().unwrap()]).expect(0);
    let secret = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"sh.helm.release.v1.default.v2","namespace":"default",
        "labels":{"owner":"helm","name":"default","version":"2","status":"pending-upgrade"}}}"#;
    home.sh("release", "app", &format!("echo '{secret}' | kubectl apply -f -")).expect(0);
    let told = home.tutorial(&["verify", "--explain"]).expect(1).stdout;
    assert!(told.contains("pending-upgrade") && told.contains("nothing is in progress any more"), "{told}");
    assert!(told.contains("was interrupted: run it again"), "{told}");
}
