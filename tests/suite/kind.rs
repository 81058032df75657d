//! Kind clusters: what is pure against golden files; the rest on a real engine, beside the real kind.
//!
//! The engine's tests are slow, so they run where TUTORIAL_DOCKER_TESTS=1 or TUTORIAL_REQUIRE_DOCKER=1 is set; with
//! the latter, that no engine answers is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use tutorial::cluster::Connection;
use tutorial::cluster::kind::kubeadm::{NodeFacts, configuration};
use tutorial::cluster::kind::{self, KindSpec, KubernetesVersion, Phase, Progress, Step};

/// The documents of a YAML text.
fn documents(text: &str) -> Vec<serde_json::Value> {
    use serde::Deserialize;
    let documents = serde_yaml::Deserializer::from_str(text);
    documents.map(|document| serde_json::Value::deserialize(document).expect("YAML")).collect()
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kind").join(name)
}

fn facts<'a>(node: &'a str, address: &'a str) -> NodeFacts<'a> {
    NodeFacts { cluster: "t1", node, control_plane: "t1-control-plane", address, is_rootless: false }
}

#[test]
fn kubeadm_is_told_what_kind_tells_it() {
    let version = KubernetesVersion::read("v1.34.2").expect("a version");
    for (node, address, file) in [
        ("t1-control-plane", "172.19.0.2", "kind-0.33.0-control-plane.yaml"),
        ("t1-worker", "172.19.0.3", "kind-0.33.0-worker.yaml"),
    ] {
        let ours = documents(&configuration(&version, &facts(node, address)));
        let kinds = documents(&std::fs::read_to_string(golden(file)).expect("a golden file"));
        assert_eq!(ours, kinds, "{node}");
    }
}

/// Each version from 1.20 to 1.37: those where the form changes stand whole in golden files, one between them is as
/// the one before it.
#[test]
fn kubeadm_configurations_of_all_versions() {
    let changes = [20, 23, 24, 36];
    let mut earlier = String::new();
    for minor in 20..=37 {
        let text = format!("v1.{minor}.0");
        let version = KubernetesVersion::read(&text).expect("a version");
        let control_plane = configuration(&version, &facts("t1-control-plane", "172.19.0.2"));
        let rootless = NodeFacts { is_rootless: true, ..facts("t1-worker", "172.19.0.3") };
        let both = format!("{control_plane}# a worker, without root\n---\n{}", configuration(&version, &rootless));
        if changes.contains(&minor) {
            let path = golden(&format!("kubeadm-1.{minor}.yaml"));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&path, &both).expect("a golden file can be written");
            }
            assert_eq!(both, std::fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
        } else {
            let before = format!("v1.{}.0", minor - 1);
            assert_eq!(both, earlier.replace(&before, &text), "{text}");
        }
        earlier = both;
    }
}

const IMAGE: &str = "kindest/node:v1.34.2";
/// One cluster at a time: two cores carry no more.
static ENGINE: Mutex<()> = Mutex::new(());

/// Whether the engine's tests are to run here.
fn has_engine() -> bool {
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| value == "1");
    let is_required = is_set("TUTORIAL_REQUIRE_DOCKER");
    if !is_required && !is_set("TUTORIAL_DOCKER_TESTS") {
        println!("skipped: set TUTORIAL_DOCKER_TESTS=1 for the tests on Docker");
        return false;
    }
    let answers = Command::new("docker").arg("info").output().is_ok_and(|output| output.status.success());
    assert!(answers || !is_required, "TUTORIAL_REQUIRE_DOCKER is set, and no engine answers");
    if !answers {
        println!("skipped: no Docker engine answers");
    }
    answers
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// What a command says, which must succeed.
fn says(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A cluster of a test's, removed in the end however the test ends.
struct Scene {
    spec: KindSpec,
    _directory: tempfile::TempDir,
}

impl Scene {
    fn new(name: &str, workers: u8) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let spec = KindSpec {
            name: format!("tutorial-test-{name}"),
            directory: directory.path().join("cluster"),
            node_ports: vec![30080, 30081],
            workers,
            image: Some(IMAGE.into()),
        };
        Self { spec, _directory: directory }
    }

    fn ensure(&self, runtime: &tokio::runtime::Runtime) -> Connection {
        let spec = self.spec.clone();
        // As the session does it: beside everything else.
        let made = runtime.spawn(async move { kind::ensure_running(&spec, &show).await });
        let made = runtime.block_on(made).expect("no panic");
        made.unwrap_or_else(|error| panic!("{}", tutorial::error::Failure::from(error).render()))
    }

    fn control_plane(&self) -> String {
        format!("{}-control-plane", self.spec.name)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let label = format!("label=tutorial.cluster={}", self.spec.name);
        let found = run("docker", &["ps", "-aq", "--filter", &label]);
        for id in String::from_utf8_lossy(&found.stdout).split_whitespace() {
            let _ = run("docker", &["rm", "-f", "-v", id]);
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "as the program is told")]
fn show(progress: Progress) {
    if progress.step == Step::Finished {
        println!("{:6.2} {progress}", progress.elapsed.as_secs_f64());
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

#[test]
fn docker_one_node() {
    if !has_engine() {
        return;
    }
    let _alone = ENGINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (scene, runtime) = (Scene::new("one", 0), runtime());
    let began = std::time::Instant::now();
    let connection = scene.ensure(&runtime);
    println!("made in {:?}", began.elapsed());
    println!("{connection:?}");
    let began = std::time::Instant::now();
    assert_eq!(scene.ensure(&runtime), connection);
    println!("again in {:?}", began.elapsed());
    let _ = (Phase::ALL, scene.control_plane(), says("kind", &["get", "clusters"]));
    println!("{}", std::fs::read_to_string(scene.spec.directory.join("log")).expect("log"));
}
