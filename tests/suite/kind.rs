//! Kind clusters: what is pure against golden files; the rest on a real engine, beside the real kind.
//!
//! The engine's tests are slow, so they run where TUTORIAL_DOCKER_TESTS=1 or TUTORIAL_REQUIRE_DOCKER=1 is set; with
//! the latter, that no engine answers is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tutorial::cluster::Connection;
use tutorial::cluster::kind::kubeadm::{NodeFacts, configuration};
use tutorial::cluster::kind::{
    self, ImageSource, KindError, KindSpec, KubernetesVersion, Phase, Progress, Status, Step,
};

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

pub fn alone() -> MutexGuard<'static, ()> {
    ENGINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the engine's tests are to run here.
pub fn has_engine() -> bool {
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

fn spec(name: &str, workers: u8, directory: PathBuf) -> KindSpec {
    KindSpec {
        name: format!("tutorial-test-{name}"),
        directory,
        node_ports: vec![30080, 30081],
        workers,
        image: Some(IMAGE.into()),
    }
}

/// A cluster of a test's, removed in the end however the test ends.
struct Scene {
    spec: KindSpec,
    _directory: tempfile::TempDir,
}

impl Scene {
    fn new(name: &str, workers: u8) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let spec = spec(name, workers, directory.path().join("cluster"));
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

    /// The names of what there is of it.
    fn containers(&self) -> Vec<String> {
        let label = format!("label=tutorial.cluster={}", self.spec.name);
        let names = says("docker", &["ps", "-a", "--filter", &label, "--format", "{{.Names}}"]);
        names.lines().map(str::to_owned).collect()
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
    let _alone = alone();
    let (scene, runtime) = (Scene::new("one", 0), runtime());
    assert_eq!(runtime.block_on(kind::status(&scene.spec)), Status::Absent);
    let connection = scene.ensure(&runtime);
    assert_eq!(connection.kind, "kind");
    assert_eq!(connection.version, "v1.34.2");
    assert_eq!(connection.node_ports.keys().copied().collect::<Vec<_>>(), scene.spec.node_ports);
    assert_eq!(runtime.block_on(kind::status(&scene.spec)), Status::Running(connection.clone()));
    let began = Instant::now();
    assert_eq!(scene.ensure(&runtime), connection);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    let stage = |name: &str| println!("{:6.2} {name}", began.elapsed().as_secs_f64());
    kubeconfigs_are_for_their_owner(&connection);
    the_reader_changes_nothing(&connection);
    stage("the reader changed nothing");
    a_pod_serves_from_the_registry(&connection);
    stage("a pod served");
    kind_takes_it_for_its_own(&scene);
    stage("kind took it for its own");
    images_are_loaded(&scene, &runtime);
    stage("images were loaded");
    it_comes_back(&scene, &runtime, &connection);
    stage("it came back");
    it_comes_back_at_another_address(&scene, &runtime);
    stage("it came back at another address");
    nothing_is_left(&scene, &runtime);
    stage("nothing was left");
}

fn kubeconfigs_are_for_their_owner(connection: &Connection) {
    use std::os::unix::fs::PermissionsExt;
    for path in [&connection.kubeconfig, &connection.kubeconfig_readonly] {
        let mode = std::fs::metadata(path).expect("a kubeconfig").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

fn kubectl(kubeconfig: &Path, arguments: &[&str]) -> Result<String, String> {
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let output = run("kubectl", &[&[kubeconfig.as_str()], arguments].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn the_reader_changes_nothing(connection: &Connection) {
    let reader = |arguments: &[&str]| kubectl(&connection.kubeconfig_readonly, arguments);
    for arguments in [
        &["get", "nodes"][..],
        &["get", "secrets", "-A"],
        &["get", "validatingadmissionpolicies"],
        &["create", "configmap", "look", "--dry-run=server"],
        &["create", "namespace", "look", "--dry-run=server"],
        &["delete", "configmap", "kube-root-ca.crt", "--dry-run=server"],
    ] {
        reader(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    }
    for arguments in [
        &["create", "configmap", "look"][..],
        &["create", "namespace", "look"],
        &["delete", "configmap", "kube-root-ca.crt"],
        &["label", "namespace", "default", "looked=1"],
        &["scale", "deployment", "coredns", "-n", "kube-system", "--replicas=0"],
        &["exec", "-n", "kube-system", "deployment/coredns", "--", "true"],
        &["delete", "validatingadmissionpolicy", "tutorial-reader"],
        &["delete", "validatingadmissionpolicybinding", "tutorial-reader"],
        &["create", "token", "-n", "kube-system", "default"],
        &["create", "clusterrolebinding", "more", "--clusterrole=cluster-admin", "--user=me"],
        &["label", "nodes", "--all", "looked=1"],
    ] {
        let refused = reader(arguments).expect_err(&format!("{arguments:?}"));
        let is_denied = ["orbidden", "may not change anything"].iter().any(|part| refused.contains(part));
        assert!(is_denied, "{arguments:?}: {refused}");
    }
}

/// What the lessons live by: an image is pushed, a pod made of it serves on the node port that was asked for.
fn a_pod_serves_from_the_registry(connection: &Connection) {
    let image = format!("{}/demo:1", connection.registry);
    says("docker", &["tag", "nginx:1.29-alpine", &image]);
    says("docker", &["push", "-q", &image]);
    says("docker", &["rmi", &image]);
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, labels: {{app: web}}}}\nspec: {{containers: [{{name: web, image: \
         '{image}'}}]}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{type: NodePort, selector: {{app: \
         web}}, ports: [{{port: 80, nodePort: 30080}}]}}\n"
    );
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), manifest).expect("a file");
    let admin =
        |arguments: &[&str]| kubectl(&connection.kubeconfig, arguments).unwrap_or_else(|error| panic!("{error}"));
    admin(&["apply", "-f", &file.path().display().to_string()]);
    admin(&["wait", "--for=condition=Ready", "pod/web", "--timeout=120s"]);
    let port = connection.node_ports[&30080];
    until("the page", || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        page.contains("nginx").then_some(())
    });
    let hosting = admin(&["get", "configmap", "-n", "kube-public", "local-registry-hosting", "-o", "jsonpath={.data}"]);
    assert!(hosting.contains(&connection.registry), "{hosting}");
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn kind_takes_it_for_its_own(scene: &Scene) {
    let name = &scene.spec.name;
    assert!(says("kind", &["get", "clusters"]).lines().any(|cluster| cluster == name));
    assert_eq!(says("kind", &["get", "nodes", "--name", name]), scene.control_plane());
    let file = tempfile::NamedTempFile::new().expect("a file");
    says("kind", &["export", "kubeconfig", "--name", name, "--kubeconfig", &file.path().display().to_string()]);
    let context = format!("kind-{name}");
    let nodes = kubectl(file.path(), &["--context", &context, "get", "nodes", "-o", "name"]).expect("it answers");
    assert_eq!(nodes, format!("node/{}", scene.control_plane()));
    says("docker", &["tag", "registry.k8s.io/pause:3.10.1", "loaded-by-kind:1"]);
    says("kind", &["load", "docker-image", "--name", name, "loaded-by-kind:1"]);
    says("docker", &["rmi", "loaded-by-kind:1"]);
    assert!(images_in(scene).contains("loaded-by-kind:1"));
}

fn images_in(scene: &Scene) -> String {
    says("docker", &["exec", &scene.control_plane(), "ctr", "-n", "k8s.io", "images", "ls", "-q"])
}

fn images_are_loaded(scene: &Scene, runtime: &tokio::runtime::Runtime) {
    let load = |source| runtime.block_on(kind::load_image(&scene.spec, &source));
    for name in ["loaded-by-name:1", "loaded-by-archive:1"] {
        says("docker", &["tag", "registry.k8s.io/pause:3.10.1", name]);
    }
    load(ImageSource::Docker("loaded-by-name:1".into())).expect("it is loaded");
    let archive = tempfile::NamedTempFile::new().expect("a file");
    says("docker", &["save", "-o", &archive.path().display().to_string(), "loaded-by-archive:1"]);
    load(ImageSource::Archive(archive.path().into())).expect("it is loaded");
    says("docker", &["rmi", "loaded-by-name:1", "loaded-by-archive:1"]);
    let images = images_in(scene);
    assert!(images.contains("loaded-by-name:1") && images.contains("loaded-by-archive:1"), "{images}");
    let error = load(ImageSource::Docker("no-such-image:1".into())).expect_err("there is no such image");
    assert!(error.to_string().contains("export the image no-such-image:1"), "{error}");
    std::fs::write(archive.path(), "no archive").expect("a file");
    load(ImageSource::Archive(archive.path().into())).expect_err("that is no archive");
}

/// After `stop`, and after a node has been killed, with all that was in it.
fn it_comes_back(scene: &Scene, runtime: &tokio::runtime::Runtime, connection: &Connection) {
    runtime.block_on(kind::stop(&scene.spec)).expect("it stops");
    assert_eq!(runtime.block_on(kind::status(&scene.spec)), Status::Stopped);
    assert_eq!(&scene.ensure(runtime), connection);
    let pod = kubectl(&connection.kubeconfig, &["get", "pod", "web", "-o", "name"]).expect("it answers");
    assert_eq!(pod, "pod/web");
    says("docker", &["kill", &scene.control_plane()]);
    assert_eq!(&scene.ensure(runtime), connection);
}

/// Another container was faster and has the node's address.
fn it_comes_back_at_another_address(scene: &Scene, runtime: &tokio::runtime::Runtime) {
    let address = || {
        let format = "{{(index .NetworkSettings.Networks \"kind\").IPAddress}}";
        says("docker", &["inspect", "-f", format, &scene.control_plane()])
    };
    let before = address();
    says("docker", &["stop", "-t", "5", &scene.control_plane()]);
    let others: Vec<String> = (0..3)
        .map(|_| {
            says(
                "docker",
                &["run", "-d", "--rm", "--network", "kind", "--entrypoint", "sleep", "nginx:1.29-alpine", "600"],
            )
        })
        .collect();
    let connection = scene.ensure(runtime);
    let after = address();
    let arguments: Vec<&str> = ["rm", "-f"].into_iter().chain(others.iter().map(String::as_str)).collect();
    says("docker", &arguments);
    assert_ne!(before, after);
    let node =
        kubectl(&connection.kubeconfig, &["get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}"]);
    assert_eq!(node.expect("it answers"), after);
}

fn nothing_is_left(scene: &Scene, runtime: &tokio::runtime::Runtime) {
    let volumes = |container: &str| {
        let format = "{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}} {{end}}{{end}}";
        let names = says("docker", &["inspect", "-f", format, container]);
        names.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let volumes = volumes(&scene.control_plane());
    assert!(!volumes.is_empty());
    runtime.block_on(kind::delete(&scene.spec)).expect("it goes");
    let all = says("docker", &["volume", "ls", "-q"]);
    assert!(volumes.iter().all(|volume| !all.contains(volume.as_str())));
    assert!(!says("docker", &["ps", "-aq", "--format", "{{.Names}}"]).contains(&scene.spec.name));
    assert!(!scene.spec.directory.join("kubeconfig").exists());
    // The registry serves other clusters, if there are any.
    if says("docker", &["ps", "-aq", "--filter", "label=io.x-k8s.kind.cluster"]).is_empty() {
        assert_eq!(says("docker", &["ps", "-aq", "--filter", "label=tutorial.registry"]), "");
    }
    assert_eq!(runtime.block_on(kind::status(&scene.spec)), Status::Absent);
    runtime.block_on(kind::delete(&scene.spec)).expect("once more is as well");
}

#[path = "kind/child.rs"]
mod child;
#[path = "kind/commands.rs"]
mod commands;
#[path = "kind/faults.rs"]
mod faults;
#[path = "kind/killed.rs"]
mod killed;
#[path = "kind/oracle.rs"]
mod oracle;
#[path = "kind/proxy.rs"]
mod proxy;
#[path = "kind/registry.rs"]
mod registry;
