//! The registry beside the clusters where its usual place is taken, and images that come from one.

use std::net::TcpListener;

use super::*;

/// Whether the registry of ours that there may be is needed by a cluster that is no test's.
pub fn is_in_use() -> bool {
    let clusters = says("docker", &["ps", "-a", "--filter", "label=io.x-k8s.kind.cluster", "--format", "{{.Names}}"]);
    !clusters.is_empty()
}

/// Removes the registry that an earlier test has left. False where it serves somebody.
pub fn is_cleared() -> bool {
    if is_in_use() {
        println!("skipped: there are kind clusters here whose registry it is");
        return false;
    }
    for id in says("docker", &["ps", "-aq", "--filter", "label=tutorial.registry"]).lines() {
        says("docker", &["rm", "-f", "-v", id]);
    }
    true
}

/// A container that goes however the test ends.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        let _ = run("docker", &["rm", "-f", "-v", &self.0]);
    }
}

/// An image that goes with the test.
struct Image(String);

impl Drop for Image {
    fn drop(&mut self) {
        let _ = run("docker", &["rmi", "-f", &self.0]);
    }
}

/// Port 5001 is somebody's, and so is the name: both stay as they are, and the images are pulled all the same.
#[test]
fn docker_registry_whose_place_is_taken() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    if !is_cleared() {
        return;
    }
    // Where that fails, the port is somebody's already.
    let listener = TcpListener::bind("127.0.0.1:5001");
    let foreign = Container(says("docker", &["create", "--name", "kind-registry", "nginx:1.29-alpine"]));
    let about = || {
        says("docker", &["inspect", "-f", "{{.Id}} {{.State.Status}} {{json .NetworkSettings.Networks}}", &foreign.0])
    };
    let before = about();
    let (scene, runtime) = (Scene::new("taken", 0), runtime());
    let connection = scene.ensure(&runtime);
    assert_ne!(connection.registry, "localhost:5001");
    a_pod_serves_from_the_registry(&connection);
    let format = "{{(index (index .HostConfig.PortBindings \"5000/tcp\") 0).HostPort}}";
    let port = says("docker", &["inspect", "-f", format, "tutorial-registry"]);
    assert_eq!(connection.registry, format!("localhost:{port}"));
    runtime.block_on(kind::delete(&scene.spec)).expect("it goes");
    assert_eq!(says("docker", &["ps", "-aq", "--filter", "label=tutorial.registry"]), "");
    assert_eq!(about(), before);
    drop(listener);
}

/// The node image is fetched, which is told as it goes on; it is none, which its own words explain.
#[test]
fn docker_fetches_an_image_that_is_no_nodes() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let store = Container(says("docker", &["run", "-d", "-p", "127.0.0.1:0:5000", "registry:3"]));
    let address = says("docker", &["port", &store.0, "5000/tcp"]);
    let port = address.rsplit(':').next().expect("a port");
    until("the registry's answer", || std::net::TcpStream::connect(("127.0.0.1", port.parse::<u16>().ok()?)).ok());
    let image = Image(format!("localhost:{port}/no-node:1"));
    let digest = push_large_image(&image.0);
    assert!(!run("docker", &["image", "inspect", &image.0]).status.success(), "it is to be fetched");

    let (mut scene, runtime) = (Scene::new("fetched", 0), runtime());
    let reference = format!("localhost:{port}/no-node@{digest}");
    let _fetched = Image(reference.clone());
    scene.spec.image = Some(reference);
    let moved = Mutex::new(Vec::new());
    let told = |progress: Progress| {
        if let Step::Moved { bytes, of_bytes } = progress.step {
            moved.lock().expect("no panic").push((progress.phase, bytes, of_bytes));
        }
    };
    let error = runtime.block_on(kind::ensure_running(&scene.spec, &told)).expect_err("it is no node");
    let moved = moved.into_inner().expect("no panic");
    assert!(moved.iter().all(|(phase, ..)| *phase == Phase::Image), "{moved:?}");
    assert!(moved.is_sorted_by_key(|(_, bytes, _)| *bytes), "{moved:?}");
    let (_, bytes, of_bytes) = *moved.last().expect("the fetch is told");
    assert!(bytes == of_bytes && bytes >= LARGE_BYTES as u64, "{moved:?}");

    let text = tutorial::error::Failure::from(error).render();
    assert!(text.starts_with("error: waiting for the nodes to boot failed\ncaused by: "), "{text}");
    assert!(text.contains("the console in tutorial-test-fetched-control-plane:\n    I am no node."), "{text}");
    // Where the machine lets few files be watched, that is the likelier reason for a node that does not boot.
    let is_few = text.contains("the node did not boot; the machine lets few files be watched");
    let (cause, remedy) = if is_few {
        ("did not boot", "`sudo sysctl fs.inotify")
    } else {
        ("ended while it booted", "--sandbox embedded")
    };
    assert!(text.contains(cause), "{text}");
    assert!(text.split_once("\nhint: ").is_some_and(|(_, hint)| hint.contains(remedy)), "{text}");
    assert_eq!(scene.containers(), Vec::<String>::new());
}

const LARGE_BYTES: usize = 32 * 1024 * 1024;

/// An image with a layer that nobody has yet, which says something and ends. Answers its digest; nothing of it stays
/// here.
fn push_large_image(name: &str) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(LARGE_BYTES).collect();
    std::fs::write(file.path(), bytes).expect("a file");
    let made = Container(says("docker", &["create", "nginx:1.29-alpine"]));
    says("docker", &["cp", &file.path().display().to_string(), &format!("{}:/large", made.0)]);
    let entrypoint = r#"ENTRYPOINT ["sh", "-c", "echo I am no node.; exit 3"]"#;
    says("docker", &["commit", "--change", entrypoint, &made.0, name]);
    says("docker", &["push", "-q", name]);
    let digests = says("docker", &["image", "inspect", "-f", "{{index .RepoDigests 0}}", name]);
    says("docker", &["rmi", name]);
    digests.split_once('@').expect("a digest").1.to_owned()
}
