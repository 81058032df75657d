//! Every step of the built-in course that asks for an action: solved it passes, and when what it made is broken the
//! check that looks at it says so, by its name.

use std::collections::BTreeSet;

use super::session::Home;

/// A step, how what it made is broken, and the check that must tell.
const BROKEN: &[(&str, &str, &str)] = &[
    ("first-commit", "git branch -m elsewhere", "there is a commit on main"),
    ("deployment-template", "rm .helm/templates/deployment.yaml", "the Deployment template is there"),
    ("service-template", "echo kind: Service > .helm/templates/service.yaml", "it asks for the node port"),
    ("werf-yaml", "git rm -q --cached werf.yaml; git commit -qm Untold", "werf.yaml and the chart are committed"),
    ("first-converge", "kubectl delete deployment demo-app -n $PROJECT-development", "the Deployment is rolled out"),
    ("uncommitted", "git checkout -q -- public", "the page in your folder says v2"),
    ("commit-change", "git reset -q --hard HEAD~1", "the change is committed"),
    ("dismiss", "werf converge --env development", "the Deployment is gone"),
    ("values", "git rm -q .helm/values.yaml; git commit -qm Valueless", "the values are committed"),
    (
        "side-by-side",
        "kubectl scale deployment demo-app -n $PROJECT-production --replicas=1",
        "production runs with two replicas",
    ),
    ("development-branch", "git checkout -q main", "the branch development is checked out"),
    ("change-in-development", "werf converge --env production", "production still says v2"),
    ("promote", "git checkout -q main; git reset -q --hard HEAD~1", "main holds what development holds"),
    ("break", "git reset -q --hard HEAD~1", "the broken commit is on main"),
    ("reset", "git reset -q --hard HEAD~1", "the broken commit is gone from main"),
    ("revert", "git reset -q --hard HEAD~1", "the last commit is a revert"),
    ("pod-to-commit", "git tag -f in-production main~1", "production runs the tagged commit"),
    (
        "drift",
        "kubectl scale deployment demo-app -n $PROJECT-production --replicas=4",
        "production has been scaled to five by hand",
    ),
    (
        "repair",
        "kubectl scale deployment demo-app -n $PROJECT-production --replicas=4",
        "werf sees no difference any more",
    ),
    ("unnoticed", "kubectl label deployment demo-app -n $PROJECT-production touched-by-", "the label is there"),
    ("prune", "kubectl create configmap notice -n $PROJECT-production", "the ConfigMap is gone"),
    ("post-commit", "chmod -x .git/hooks/post-commit", "the hook is there and may be run"),
    ("review", "git checkout -q main; git reset -q --hard HEAD~1", "development is merged into main"),
    ("reset-hook", "git branch -f development main", "development keeps its work"),
    ("clean-up", "touch left-over", "the repository is whole"),
];

#[test]
#[ignore = "slow: .ci/run plays it"]
fn what_a_step_made_can_be_broken_and_its_check_tells() {
    let course = tutorial::course::examine(&tutorial::course::CourseReference::Directory(
        concat!(env!("CARGO_MANIFEST_DIR"), "/lessons/gitops-with-werf").into(),
    ));
    let course = course.course.expect("the built-in course is sound");
    let to_do: BTreeSet<String> =
        course.steps().filter(|(_, step)| !step.checks.is_empty()).map(|(_, step)| step.id.to_string()).collect();
    let broken: BTreeSet<String> = BROKEN.iter().map(|(step, _, _)| (*step).to_owned()).collect();
    assert_eq!(to_do, broken, "each step with checks has its line");

    let home = Home::new();
    home.tutorial(&["start", "gitops-with-werf", "--yes"]).expect(0);
    for (step, deed, check) in BROKEN {
        home.tutorial(&["goto", step]).expect(0);
        home.tutorial(&["solve", "--yes"]).expect(0);
        home.tutorial(&["verify", "--step", step]).expect(0);
        home.sh("gitops-with-werf", "demo-app", deed).expect(0);
        let verdict = home.tutorial(&["verify", "--step", step, "--json"]).expect(1).json();
        let failed: Vec<&str> = verdict["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|verdict| verdict["state"] == "failed")
            .map(|verdict| verdict["name"].as_str().unwrap())
            .collect();
        assert!(failed.contains(check), "{step}: {failed:?} fail, not {check:?}");
    }
}
