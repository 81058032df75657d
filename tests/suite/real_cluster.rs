//! The course on a real cluster.
//!
//! Slow, so it runs where TUTORIAL_DOCKER_TESTS=1 or TUTORIAL_REQUIRE_DOCKER=1 is set; with the latter, that no engine
//! answers is a failure.

use std::process::Command;

use super::kind::{alone, has_engine};
use super::session::Home;

const IMAGE: &str = "kindest/node:v1.34.2";

fn output(command: &mut Command) -> String {
    let output = command.output().expect("it can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn containers(label: &str) -> String {
    output(Command::new("docker").args(["ps", "-aq", "--filter", &format!("label={label}")]))
}

/// The whole course, the way back to a rollout that hung, and the end of it all.
#[test]
fn docker_the_course_on_a_kind_cluster() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let home = Home::new();
    let start = ["start", "gitops-with-werf", "--sandbox", "kind", "--image", IMAGE, "--yes"];
    home.tutorial(&[&start[..], &["--autoplay"]].concat()).expect(0);
    home.tutorial(&["goto", "damage"]).expect(0);
    let ready = "kubectl get deployment demo-app -n demo-app-production -o jsonpath='{.status.updatedReplicas}/{.status.readyReplicas}'";
    let broken = home.sh("gitops-with-werf", "demo-app", ready).expect(0).stdout;
    assert_eq!(broken, "1/2", "one new pod that does not get ready, beside two old ones");
    home.tutorial(&["remove", "--yes"]).expect(0);
    assert_eq!(containers("io.x-k8s.kind.cluster=tutorial-gitops-with-werf"), "");
    assert!(!home.workspace("gitops-with-werf").exists());
}
