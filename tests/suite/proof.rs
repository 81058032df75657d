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

/// A check that is made weaker, and the wrong answer that then passes: only this one can tell the two apart.
struct Weaker {
    lesson: &'static str,
    step: &'static str,
    check: &'static str,
    probe: &'static str,
    passing: &'static str,
}

const WEAKER: [Weaker; 11] = [
    Weaker {
        lesson: "04-describe",
        step: "deployment-template",
        check: "it runs the image that werf builds",
        probe: "file: { path: .helm/templates/deployment.yaml, contains: \"image:\" }",
        passing: "an image written by hand",
    },
    Weaker {
        lesson: "06-change",
        step: "uncommitted",
        check: "the change is not committed yet",
        probe: "git: { branch: main, exists: true }",
        passing: "committed at once",
    },
    Weaker {
        lesson: "06-change",
        step: "dismiss",
        check: "the release is gone",
        probe: "release: { name: nowhere, absent: true }",
        passing: "the Deployment deleted by hand",
    },
    Weaker {
        lesson: "08-promotion",
        step: "promote",
        check: "main holds what development holds",
        probe: "git: { branch: main, exists: true }",
        passing: "deployed from development without a merge",
    },
    Weaker {
        lesson: "09-rollback",
        step: "break",
        check: "the release is recorded as failed",
        probe: "release: { name: \"${PROJECT}-production\", revision_min: 1 }",
        passing: "broken, but not deployed",
    },
    Weaker {
        lesson: "09-rollback",
        step: "reset",
        check: "the broken commit is gone from main",
        probe: "git: { branch: main, exists: true }",
        passing: "rolled back on the cluster only",
    },
    Weaker {
        lesson: "09-rollback",
        step: "revert",
        check: "it takes a change back",
        probe: "git: { branch: main, exists: true }",
        passing: "a revert of nothing",
    },
    Weaker {
        lesson: "11-drift",
        step: "drift",
        check: "git still says two",
        probe: "git: { branch: main, exists: true }",
        passing: "scaled in git instead",
    },
    Weaker {
        lesson: "11-drift",
        step: "unnoticed",
        check: "werf plans no change for it",
        probe: "git: { branch: main, exists: true }",
        passing: "scaled as well",
    },
    Weaker {
        lesson: "12-triggers",
        step: "reset-hook",
        check: "development keeps its work",
        probe: "git: { branch: main, exists: true }",
        passing: "development reset as well",
    },
    Weaker {
        lesson: "13-farewell",
        step: "clean-up",
        check: "no release is left in development",
        probe: "release: { name: nowhere, absent: true }",
        passing: "only production is dismissed",
    },
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
#[ignore = "slow: .ci/run plays it"]
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
    for Weaker { lesson, check, probe, .. } in &WEAKER {
        let file = course.join(format!("{lesson}.md"));
        let text = std::fs::read_to_string(&file).expect("the lesson is there");
        std::fs::write(&file, weakened(&text, check, probe)).expect("it can be written");
    }
    let (code, json, said) = prove(home.path(), "weak");
    assert_eq!(code, Some(3), "{said}");
    let steps = json["courses"][0]["steps"].as_array().cloned().unwrap_or_default();
    let failing: Vec<&Value> = steps.iter().filter(|step| step["passed"] == false).collect();
    let ids: Vec<&str> = failing.iter().filter_map(|step| step["id"].as_str()).collect();
    assert_eq!(ids, WEAKER.map(|weaker| weaker.step), "{said}");
    for (step, Weaker { passing, .. }) in failing.iter().zip(&WEAKER) {
        let reason = format!("the wrong answer \"{passing}\" passes");
        let failures = step["failures"].as_array().into_iter().flatten().filter_map(Value::as_str);
        assert!(failures.into_iter().any(|failure| failure.starts_with(&reason)), "{reason}: {step}");
    }
}
