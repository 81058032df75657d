//! `tutorial author`: from a new course to its text.

use std::path::Path;
use std::process::{Command, Output};

fn author(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tutorial"))
        .arg("author")
        .args(arguments)
        .current_dir(home)
        .env("TUTORIAL_HOME", home.join("tutorial"))
        .env("NO_COLOR", "1")
        .output()
        .expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_new_course_passes_its_check_and_can_be_read() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let made = author(home.path(), &["new", "my-course", "--title", "A \"quoted\" title"]);
    assert_eq!(stdout(&made), "my-course/course.yaml\nmy-course/01-first-steps.md\nmy-course/README.md\n");
    assert_eq!(made.status.code(), Some(0));

    let checked = author(home.path(), &["check", "my-course"]);
    assert_eq!(stdout(&checked), "no mistakes in `my-course`\n");
    assert_eq!(checked.status.code(), Some(0));

    let preview = author(home.path(), &["preview", "my-course", "settings", "--all"]);
    let text = stdout(&preview);
    for expected in ["Something in the cluster", "  project: my-course", "wrong: another greeting", "kubectl apply -f"]
    {
        assert!(text.contains(expected), "{text}");
    }

    let again = author(home.path(), &["new", "my-course"]);
    assert_eq!(again.status.code(), Some(2));
}

#[test]
fn check_tells_scripts_what_is_wrong() {
    let home = tempfile::tempdir().expect("a temporary directory");
    author(home.path(), &["new", "broken"]);
    let lesson = home.path().join("broken/01-first-steps.md");
    let text = std::fs::read_to_string(&lesson).expect("the lesson was written");
    std::fs::write(&lesson, text.replace("```sh type", "```sh tpye")).expect("it can be changed");

    let checked = author(home.path(), &["check", "--json", "broken", "gitops-with-werf"]);
    assert_eq!(checked.status.code(), Some(3));
    let json: serde_json::Value = serde_json::from_str(&stdout(&checked)).expect("it is JSON");
    assert_eq!(json["passed"], false);
    let first = &json["courses"][0]["mistakes"][0];
    assert_eq!(first["message"], "unknown verb `tpye`");
    assert_eq!(first["help"], "did you mean `type`?");
    assert_eq!(
        (&first["file"], &first["line"], &first["column"]),
        (&"broken/01-first-steps.md".into(), &29.into(), &7.into())
    );
    assert_eq!(json["courses"][1]["passed"], true);

    let missing = author(home.path(), &["check", "nowhere"]);
    assert_eq!(missing.status.code(), Some(2));
}

const MANIFEST: &str = "id: small\ntitle: Small\nlessons: [01-a]\nrepository: playground\n";

/// A course on git alone, of which every step can be proven.
const LESSON: &str = r#"---
title: A
---
## Read {#read}

Words.

## First {#first}

```sh type
git init
echo hello > a.txt
git add .
git commit -m "First"
```

```yaml check
- name: committed
  git: { branch: main, contains_file: [a.txt], clean: true }
```

```sh wrong name="not committed"
git init; echo hello > a.txt; git add .
```

```yaml save
first: git rev-parse HEAD
```

## Second {#second}

```sh setup
mkdir notes 2>/dev/null || test -d notes
```

```sh type
git commit --allow-empty -m "Second"
```

```sh solve alt="in other words"
git commit --allow-empty -m "Second of all"
```

```sh wrong name="another message"
git commit --allow-empty -m "Third"
```

```yaml check
- name: the second commit is there
  git: { branch: main, message_matches: "^Second", ahead_of: "${first}" }
```
"#;

/// Tests the course after a change; answers the exit code and the failures as `step: failure`.
fn test(from: &str, to: &str) -> (Option<i32>, Vec<String>) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let course = home.path().join("small");
    std::fs::create_dir(&course).expect("it can be made");
    std::fs::write(course.join("course.yaml"), MANIFEST).expect("it can be written");
    assert!(LESSON.contains(from), "the change finds its place");
    std::fs::write(course.join("01-a.md"), LESSON.replace(from, to)).expect("it can be written");
    let output = author(home.path(), &["test", "small", "--json", "--sandbox", "embedded"]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap_or_default();
    let steps = json["courses"][0]["steps"].as_array().cloned().unwrap_or_default();
    let mut failures = Vec::new();
    for step in &steps {
        for failure in step["failures"].as_array().into_iter().flatten() {
            let text = failure.as_str().unwrap_or_default().lines().next().unwrap_or_default();
            failures.push(format!(
                "{}: {}",
                step["id"].as_str().unwrap_or_default(),
                text.split(" (/").next().unwrap_or_default()
            ));
        }
    }
    assert_eq!(json["passed"], failures.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), failures)
}

#[test]
fn a_course_is_proven_step_by_step() {
    assert_eq!(test("Words.", "Other words."), (Some(0), Vec::new()));
}

#[test]
fn a_check_that_proves_nothing_is_found() {
    fn check(from: &str, to: &str, expected: &str) {
        let (code, failures) = test(from, to);
        assert_eq!(code, Some(3), "{failures:?}");
        assert!(failures.first().is_some_and(|failure| failure.starts_with(expected)), "{expected}\n{failures:?}");
    }
    let second = "message_matches: \"^Second\", ahead_of: \"${first}\"";
    check(second, "exists: true", "second: its checks pass before anything was done");
    check(second, "ahead_of: \"${first}\"", "second: the wrong answer \"another message\" passes");
    check("\"^Second\"", "\"^Second$\"", "second: the other solution \"in other words\"");
    check("\"^Second\"", "\"^Fourth\"", "second: the other solution \"in other words\"");
    check(
        "mkdir notes 2>/dev/null || test -d notes",
        "mkdir notes",
        "second: its setup cannot be run twice: the setup at",
    );
    check(
        "```yaml check\n- name: the second",
        "```sh check name=\"it writes\"\necho x >> written.txt\ntest \"$(git log --oneline | wc -l)\" -ge 2\n```\n\n```yaml check\n- name: the second",
        "second: its checks change what they look at: written.txt",
    );
    check(
        "```yaml check\n- name: the second",
        "```sh check name=\"it cannot be run\"\nno-such-program\n```\n\n```yaml check\n- name: the second",
        "second: the check \"it cannot be run\" is broken before anything was done",
    );
}

#[test]
fn a_new_course_is_proven_as_it_is() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|directory| directory.join("kubectl").is_file()) {
        println!("skipped: there is no kubectl");
        return;
    }
    let home = tempfile::tempdir().expect("a temporary directory");
    author(home.path(), &["new", "my-course"]);
    let tested = author(home.path(), &["test", "my-course"]);
    assert_eq!(tested.status.code(), Some(0), "{}", String::from_utf8_lossy(&tested.stderr));
}
