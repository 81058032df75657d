//! The sample app without Kubernetes: an image by plain Docker, a container, its page.

use std::process::Command;
use std::time::{Duration, Instant};

use super::kind::{alone, has_engine};

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker runs");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The container goes when the test ends, however it ends.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.0]).output();
    }
}

#[test]
fn docker_builds_and_runs_the_sample_app() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/sample-app");
    let image = docker(&["build", "--quiet", "--tag", "tutorial-test-sample-app", app]);
    let run = |settings: &[&str]| {
        let mut words = vec!["run", "--detach", "--publish", "127.0.0.1::80"];
        words.extend(settings);
        words.push(&image);
        Container(docker(&words))
    };
    let by_itself = run(&[]);
    assert_page(&by_itself, &[r#"<p class="environment">local</p>"#, "<code>uncommitted</code>", ">v1<"]);
    let told = run(&["--env", "ENVIRONMENT=staging", "--env", "COMMIT=abc1234"]);
    assert_page(&told, &[r#"<p class="environment">staging</p>"#, "<code>abc1234</code>"]);
}

fn assert_page(container: &Container, parts: &[&str]) {
    let address = docker(&["port", &container.0, "80/tcp"]);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let output = Command::new("curl").args(["--silent", &format!("http://{address}/")]).output().expect("curl");
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        if parts.iter().all(|part| page.contains(part)) {
            return;
        }
        assert!(Instant::now() < deadline, "{parts:?} are not all in {page}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
