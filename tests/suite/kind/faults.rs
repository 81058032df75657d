//! An engine that stops half-way, is full, has no addresses or no port left: what is said, and what the next run does.

use super::child::Run;
use super::proxy::{Fault, Proxy};
use super::*;

/// A run by way of the proxy, which must fail, and what it says.
#[track_caller]
fn failure(scene: &Scene, proxy: &Proxy, environment: &[(&str, &str)]) -> String {
    let address = proxy.address();
    let environment = [&[("DOCKER_HOST", address.as_str())], environment].concat();
    let error = Run::ensure(scene, &environment).outcome().expect_err("the engine failed");
    assert!(proxy.met() > 0, "nothing was asked of the engine that it would have failed at: {error}");
    error
}

#[track_caller]
fn says_that_docker_stopped(error: &str) {
    assert!(error.contains("caused by: Docker stopped while it was at work"), "{error}");
    assert!(error.contains("hint: start Docker, then run the command again"), "{error}");
}

/// One cluster that is given up at one point after the other, and finished in the end.
#[test]
fn docker_that_stops_half_way() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let (scene, runtime) = (Scene::new("stops", 0), runtime());
    let image = ["/images/", "v1.34.2/json"];
    for (method, path) in [("GET", &image[..]), ("POST", &["/containers/create"]), ("POST", &["-control-plane/start"])]
    {
        let proxy = Proxy::that_fails(method, path, Fault::Stop);
        says_that_docker_stopped(&failure(&scene, &proxy, &[]));
        println!("stopped at {method} {path:?}");
    }

    // In the middle of a command's output: once kubeadm has begun to speak.
    let proxy = Proxy::new();
    let log = scene.spec.directory.join("log");
    let kubeadms = || std::fs::read_to_string(&log).unwrap_or_default().matches("[certs] Generating").count();
    let before = kubeadms();
    let mut run = Run::ensure(&scene, &[("DOCKER_HOST", &proxy.address())]);
    run.until("begun Init");
    until("kubeadm's first words", || (kubeadms() > before).then_some(()));
    proxy.stop();
    says_that_docker_stopped(&run.outcome().expect_err("the engine stopped"));
    println!("stopped while kubeadm was at work");

    // The last thing that the engine is asked for is when the node was started, and its keys.
    let proxy = Proxy::new();
    let mut run = Run::ensure(&scene, &[("DOCKER_HOST", &proxy.address())]);
    run.until("done Init");
    proxy.fail("GET", &["/containers/", "-control-plane/json"], Fault::Stop);
    let error = run.outcome().expect_err("the engine stopped");
    assert!(proxy.met() > 0, "{error}");
    says_that_docker_stopped(&error);
    println!("stopped while the cluster got ready");

    let connection = scene.ensure(&runtime);
    let node = kubectl(&connection.kubeconfig, &["get", "nodes", "-o", "name"]).expect("it answers");
    assert_eq!(node, format!("node/{}", scene.control_plane()));
    assert_eq!(scene.containers(), [scene.control_plane()]);
}

/// What the engine refuses is told with what to do, and nothing is left.
#[test]
fn docker_that_refuses() {
    fn check(scene: &Scene, (method, path): (&'static str, &[&str]), message: &'static str, cause: &str, hint: &str) {
        let proxy = Proxy::that_fails(method, path, Fault::Answer { status: 500, message, times: usize::MAX });
        let network = ("KIND_EXPERIMENTAL_DOCKER_NETWORK", "tutorial-test-refused");
        let environment = if path.contains(&"/networks/create") { vec![network] } else { Vec::new() };
        let error = failure(scene, &proxy, &environment);
        assert!(error.contains(&format!("caused by: {cause}")), "{error}");
        assert!(error.contains(&format!("hint: {hint}")), "{error}");
        assert_eq!(scene.containers(), Vec::<String>::new());
    }
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let scene = Scene::new("refuses", 1);
    let create = ("POST", &["/containers/create"][..]);
    let start = ("POST", &["-control-plane/start"][..]);
    let network = ("POST", &["/networks/create"][..]);
    check(
        &scene,
        create,
        "mkdir /var/lib/docker/overlay2/0a: no space left on device",
        "Docker's disk is full",
        "`docker system prune` makes room",
    );
    check(
        &scene,
        network,
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        "Docker has no addresses left for a network",
        "`docker network prune`",
    );
    check(
        &scene,
        network,
        "all predefined address pools have been fully subnetted",
        "Docker has no addresses left for a network",
        "`docker network prune`",
    );
    check(
        &scene,
        start,
        "driver failed programming external connectivity on endpoint a: Bind for 127.0.0.1:30080 failed: port is already \
         allocated",
        "a port that the cluster needs is taken by another program",
        "end that program",
    );
}

/// A port that somebody takes between the choice and the start: others are chosen.
#[test]
fn docker_whose_port_was_just_taken() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let (scene, runtime) = (Scene::new("port", 0), runtime());
    let message = "driver failed programming external connectivity on endpoint a: Bind for 127.0.0.1:30080 failed: port is \
                   already allocated";
    let fault = Fault::Answer { status: 500, message, times: 1 };
    let proxy = Proxy::that_fails("POST", &["-control-plane/start"], fault);
    let mut run = Run::ensure(&scene, &[("DOCKER_HOST", &proxy.address())]);
    run.until("done Nodes");
    run.kill();
    assert_eq!(proxy.met(), 1);
    let inspected = says("docker", &["inspect", "-f", "{{json .HostConfig.PortBindings}}", &scene.control_plane()]);
    let bindings: serde_json::Value = serde_json::from_str(&inspected).expect("JSON");
    let published = bindings["30080/tcp"][0]["HostPort"].as_str().expect("a port");
    assert_ne!(published, "30080", "the one that was refused is not tried again");
    assert_eq!(says("docker", &["inspect", "-f", "{{.State.Running}}", &scene.control_plane()]), "true");
    runtime.block_on(kind::delete(&scene.spec)).expect("it goes");
}
