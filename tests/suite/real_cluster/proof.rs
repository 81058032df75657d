//! `author test` on a kind cluster: the verdicts are those of the embedded one, and its cluster goes with it.

use serde_json::{Value, json};

use super::{Home, IMAGE, alone, containers, has_engine};

/// What is the same wherever a course is proven.
fn verdicts(report: &Value) -> Value {
    let steps = report["courses"][0]["steps"].as_array().into_iter().flatten();
    let step = |step: &Value| json!([step["id"], step["passed"], step["failures"]]);
    json!({"passed": report["passed"], "steps": steps.map(step).collect::<Vec<_>>()})
}

#[test]
fn docker_the_course_is_proven_on_kind_as_on_embedded() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let home = Home::new();
    let course = concat!(env!("CARGO_MANIFEST_DIR"), "/lessons/gitops-with-werf");
    let on_kind = home.tutorial(&["author", "test", course, "--sandbox", "kind", "--image", IMAGE, "--json"]).expect(0);
    assert_eq!(containers("name=tutorial-test-"), "");
    let embedded = home.tutorial(&["author", "test", course, "--sandbox", "embedded", "--json"]).expect(0);
    assert_eq!(on_kind.json()["courses"][0]["sandbox"], "kind");
    assert_eq!(verdicts(&on_kind.json()), verdicts(&embedded.json()));
}
