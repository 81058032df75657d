//! The course on a real cluster, beside the embedded one.
//!
//! Slow, so it runs where TUTORIAL_DOCKER_TESTS=1 or TUTORIAL_REQUIRE_DOCKER=1 is set; with the latter, that no engine
//! answers is a failure.

#[path = "real_cluster/course.rs"]
mod course;
#[path = "real_cluster/differences.rs"]
mod differences;
#[path = "real_cluster/existing.rs"]
mod existing;
#[path = "real_cluster/observed.rs"]
mod observed;
#[path = "real_cluster/player.rs"]
mod player;
#[path = "real_cluster/proof.rs"]
mod proof;

use std::process::Command;

use super::kind::{alone, has_engine};
use super::session::Home;

const COURSE: &str = "gitops-with-werf";
const IMAGE: &str = "kindest/node:v1.34.2";

fn output(command: &mut Command) -> String {
    let output = command.output().expect("it can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn docker(arguments: &[&str]) -> String {
    output(Command::new("docker").args(arguments)).trim().to_owned()
}

fn containers(filter: &str) -> String {
    docker(&["ps", "-a", "--filter", filter, "--format", "{{.Names}}"])
}

/// The whole course, the way back to a rollout that hung, and the end of it all.
#[test]
fn docker_the_course_on_a_kind_cluster() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let home = Home::new();
    let start = ["start", COURSE, "--sandbox", "kind", "--image", IMAGE, "--yes"];
    home.tutorial(&[&start[..], &["--autoplay"]].concat()).expect(0);
    home.tutorial(&["goto", "damage"]).expect(0);
    let ready = "kubectl get deployment demo-app -n demo-app-production -o jsonpath='{.status.updatedReplicas}/{.status.readyReplicas}'";
    let broken = home.sh(COURSE, "demo-app", ready).expect(0).stdout;
    assert_eq!(broken, "1/2", "one new pod that does not get ready, beside two old ones");
    home.tutorial(&["remove", "--yes"]).expect(0);
    assert_eq!(containers("label=io.x-k8s.kind.cluster=tutorial-gitops-with-werf"), "");
    assert!(!home.workspace(COURSE).exists());
}
