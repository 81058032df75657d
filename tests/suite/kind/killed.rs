//! Runs that are killed at every point, and the next one.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

const CHILD: &str = "TUTORIAL_TEST_KIND_CHILD";

/// Not a test: what [`docker_killed_at_every_phase`] runs in a process of its own.
#[test]
fn docker_run_that_is_killed() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let spec = spec("killed", 1, directory.into());
    let told = |progress: Progress| {
        if progress.step == Step::Begun {
            println!("begun {:?}", progress.phase);
        }
    };
    let _ = runtime().block_on(kind::ensure_running(&spec, &told));
    println!("begun nothing");
}

/// Runs until a phase has begun, and a little longer, then kills.
fn kill_at(directory: &Path, phase: Phase, later: Duration) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "kind::killed::docker_run_that_is_killed", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program runs");
    let wanted = format!("begun {phase:?}");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let seen: Vec<String> = lines
        .take_while(|line| !line.contains(&wanted) && !line.contains("begun nothing"))
        .filter(|line| line.contains("begun"))
        .collect();
    std::thread::sleep(later);
    child.kill().expect("it is killed");
    child.wait().expect("it is gone");
    println!("killed {later:?} after {phase:?} had begun, after {seen:?}");
}

#[test]
fn docker_killed_at_every_phase() {
    if !has_engine() || std::env::var_os(CHILD).is_some() {
        return;
    }
    let _alone = alone();
    let (scene, runtime) = (Scene::new("killed", 1), runtime());
    let ms = Duration::from_millis;
    for (phase, later) in [
        (Phase::Image, ms(0)),
        (Phase::Network, ms(0)),
        (Phase::Nodes, ms(50)),
        (Phase::Nodes, ms(1500)),
        (Phase::Boot, ms(0)),
        (Phase::Registry, ms(100)),
        (Phase::Init, ms(3000)),
        (Phase::Cni, ms(0)),
        (Phase::Storage, ms(0)),
        (Phase::Join, ms(1500)),
        (Phase::Start, ms(200)),
        (Phase::Access, ms(100)),
        (Phase::Ready, ms(1000)),
    ] {
        kill_at(&scene.spec.directory, phase, later);
        let status = runtime.block_on(kind::status(&scene.spec));
        assert!(matches!(status, Status::Unfinished | Status::Absent), "{phase:?}: {status:?}");
    }
    let connection = scene.ensure(&runtime);
    let nodes = kubectl(&connection.kubeconfig, &["get", "nodes", "-o", "name"]).expect("it answers");
    let worker = format!("node/{}-worker", scene.spec.name);
    assert_eq!(nodes.lines().collect::<Vec<_>>(), [format!("node/{}", scene.control_plane()), worker]);
    let label = format!("label=tutorial.cluster={}", scene.spec.name);
    assert_eq!(says("docker", &["ps", "-aq", "--filter", &label]).lines().count(), 2);

    // kind's own command takes it away; then it is as if it had never been.
    says("kind", &["delete", "cluster", "--name", &scene.spec.name, "--kubeconfig", "/nowhere/kubeconfig"]);
    assert_eq!(runtime.block_on(kind::status(&scene.spec)), Status::Absent);
    runtime.block_on(kind::delete(&scene.spec)).expect("what is left of it goes");
}

/// A failure in the middle: it says what was being done, the likely cause and what to do, and leaves nothing.
#[test]
fn docker_node_that_is_killed_is_explained() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let (scene, runtime) = (Scene::new("explained", 0), runtime());
    let node = scene.control_plane();
    let told = move |progress: Progress| {
        if (progress.phase, progress.step) == (Phase::Init, Step::Begun) {
            let node = node.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(1));
                run("docker", &["kill", &node])
            });
        }
    };
    let error = runtime.block_on(kind::ensure_running(&scene.spec, &told)).expect_err("its node was killed");
    let text = tutorial::error::Failure::from(error).render();
    // Whichever command in the node was under way then is the one that failed.
    let doing = ["starting Kubernetes' control plane", "starting the image registry"];
    assert!(doing.iter().any(|doing| text.starts_with(&format!("error: {doing} failed\n"))), "{text}");
    let cause =
        format!("caused by: the node {} was killed, as it happens where memory runs out", scene.control_plane());
    assert!(text.contains(&cause), "{text}");
    assert!(text.contains("hint: give Docker more memory"), "{text}");
    assert_eq!(runtime.block_on(kind::status(&scene.spec)), Status::Absent);
    let log = std::fs::read_to_string(scene.spec.directory.join("log")).expect("a log");
    assert!(log.contains(&format!("{} console: ", scene.control_plane())), "{log}");
}
