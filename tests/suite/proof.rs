//! The course that is shipped is proven, and checks that were weakened on purpose are caught.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Tests a course; answers the exit code, the JSON, and what was said.
fn prove(home: &Path, course: &str) -> (Option<i32>, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tutorial"))
        .args(["author", "test", course, "--json", "--sandbox", "embedded"])
        .current_dir(home)
        .env("TUTORIAL_HOME", home.join("tutorial"))
        .env("NO_COLOR", "1")
        .output()
        .expect("the program starts");
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), json, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_step_of_the_course_is_proven() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (code, json, said) = prove(home.path(), "gitops-with-werf");
    assert_eq!((code, &json["passed"]), (Some(0), &Value::Bool(true)), "{said}");
}

/// A lesson, a step, a check of it, and a weaker one in its place. Each is one that only a wrong answer can tell from
/// the right one.
const WEAKER: [(&str, &str, &str, &str); 11] = [
    (
        "04-describe",
        "deployment-template",
        "it runs the image that werf builds",
        "file: { path: .helm/templates/deployment.yaml, contains: \"image:\" }",
    ),
    ("06-change", "uncommitted", "the change is not committed yet", "git: { branch: main, exists: true }"),
    ("06-change", "dismiss", "the release is gone", "release: { name: nowhere, absent: true }"),
    ("08-promotion", "promote", "main holds what development holds", "git: { branch: main, exists: true }"),
    (
        "09-rollback",
        "break",
        "the release is recorded as failed",
        "release: { name: \"${PROJECT}-production\", revision_min: 1 }",
    ),
    ("09-rollback", "reset", "the broken commit is gone from main", "git: { branch: main, exists: true }"),
    ("09-rollback", "revert", "the last commit is a revert", "git: { branch: main, exists: true }"),
    ("11-drift", "drift", "git still says two", "git: { branch: main, exists: true }"),
    ("11-drift", "unnoticed", "the label is there", "git: { branch: main, exists: true }"),
    ("12-triggers", "reset-hook", "production says v3 again", "http: { url: \"${URL_PRODUCTION}\", status: 200 }"),
    ("13-farewell", "clean-up", "no release is left in development", "release: { name: nowhere, absent: true }"),
];

/// The lesson with the named check looking at something weaker.
fn weakened(lesson: &str, check: &str, weaker: &str) -> String {
    let opening = format!("- name: {check}\n");
    let start = lesson.find(&opening).unwrap_or_else(|| panic!("there is a check `{check}`")) + opening.len();
    let rest = &lesson[start..];
    let end = ["\n- name: ", "\n```"].iter().filter_map(|end| rest.find(end)).min().expect("the fence ends") + 1;
    format!("{}  {weaker}\n{}", &lesson[..start], &rest[end..])
}

#[test]
fn weakened_checks_are_caught() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let lessons = Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons/gitops-with-werf");
    let course = home.path().join("weak");
    std::fs::create_dir(&course).expect("it can be made");
    for entry in std::fs::read_dir(&lessons).expect("the course is there").filter_map(Result::ok) {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), course.join(entry.file_name())).expect("it can be copied");
        }
    }
    for (lesson, _, check, weaker) in WEAKER {
        let file = course.join(format!("{lesson}.md"));
        let text = std::fs::read_to_string(&file).expect("the lesson is there");
        std::fs::write(&file, weakened(&text, check, weaker)).expect("it can be written");
    }
    let (code, json, said) = prove(home.path(), "weak");
    assert_eq!(code, Some(3), "{said}");
    let steps = json["courses"][0]["steps"].as_array().cloned().unwrap_or_default();
    let failing: Vec<&str> =
        steps.iter().filter(|step| step["passed"] == false).filter_map(|step| step["id"].as_str()).collect();
    let expected: Vec<&str> = WEAKER.iter().map(|(_, step, ..)| *step).collect();
    assert_eq!(failing, expected, "{said}");
}
