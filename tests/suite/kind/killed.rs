//! Runs that are killed at every point, and the next one.

use std::time::Duration;

use super::child::Run;
use super::*;

/// Runs until a phase has begun, and a little longer, then kills: what is there is then nothing, or half of it.
#[track_caller]
fn kill_at(scene: &Scene, runtime: &tokio::runtime::Runtime, phase: Phase, later: u64) {
    let mut run = Run::ensure(scene, &[]);
    run.until(&format!("begun {phase:?}"));
    std::thread::sleep(Duration::from_millis(later));
    run.kill();
    let status = runtime.block_on(kind::status(&scene.spec));
    assert!(matches!(status, Status::Unfinished | Status::Absent), "{phase:?}: {status:?}");
    println!("killed {later} ms after {phase:?} had begun");
}

/// What the next run makes of it is whole.
fn it_is_finished(scene: &Scene, runtime: &tokio::runtime::Runtime) {
    let connection = scene.ensure(runtime);
    let nodes = kubectl(&connection.kubeconfig, &["get", "nodes", "-o", "name"]).expect("it answers");
    let worker = format!("node/{}-worker", scene.spec.name);
    assert_eq!(nodes.lines().collect::<Vec<_>>(), [format!("node/{}", scene.control_plane()), worker]);
    assert_eq!(scene.containers().len(), 2);
    assert_eq!(runtime.block_on(kind::status(&scene.spec)), Status::Running(connection));
}

/// Kills a deletion as soon as it has begun to take something away, be it the keys or a node.
fn kill_the_deletion(scene: &Scene) {
    let kubeconfig = scene.spec.directory.join("kubeconfig");
    let label = format!("label=tutorial.cluster={}", scene.spec.name);
    let running = || says("docker", &["ps", "-q", "--filter", &label]).lines().count();
    assert!(kubeconfig.exists() && running() == 2);
    let run = Run::delete(scene);
    until("the deletion's first step", || (!kubeconfig.exists() || running() < 2).then_some(()));
    run.kill();
    println!("killed in the middle of the deletion; left: {:?}", scene.containers());
}

#[test]
fn docker_killed_at_every_phase() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let (scene, runtime) = (Scene::new("killed", 1), runtime());
    let kill = |phase, later| kill_at(&scene, &runtime, phase, later);

    // Before the nodes are of any use. Afterwards a deletion is killed, and the next one ends it.
    kill(Phase::Image, 0);
    kill(Phase::Network, 0);
    kill(Phase::Nodes, 50);
    kill(Phase::Nodes, 1500);
    it_is_finished(&scene, &runtime);
    kill_the_deletion(&scene);
    runtime.block_on(kind::delete(&scene.spec)).expect("what is left of it goes");
    assert_eq!(scene.containers(), Vec::<String>::new());
    assert_eq!(runtime.block_on(kind::status(&scene.spec)), Status::Absent);

    // While kubeadm is at work. Afterwards a deletion is killed, and the cluster is wanted again.
    kill(Phase::Boot, 0);
    kill(Phase::Registry, 100);
    kill(Phase::Init, 3000);
    it_is_finished(&scene, &runtime);
    kill_the_deletion(&scene);
    it_is_finished(&scene, &runtime);
    runtime.block_on(kind::delete(&scene.spec)).expect("it goes");

    // After it.
    kill(Phase::Cni, 0);
    kill(Phase::Storage, 0);
    kill(Phase::Join, 1500);
    kill(Phase::Start, 200);
    kill(Phase::Access, 100);
    kill(Phase::Ready, 500);
    it_is_finished(&scene, &runtime);

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
