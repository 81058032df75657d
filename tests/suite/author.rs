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
