//! The course on a cluster that the real kind made, with a registry wired to it as kind's documentation has it.

use std::path::PathBuf;

use super::{COURSE, Home, IMAGE, alone, docker, has_engine, output};
use crate::session::Said;

const CLUSTER: &str = "tutorial-test-existing";
const REGISTRY: &str = "tutorial-test-existing-registry";
const CONTEXT: &str = "kind-tutorial-test-existing";

/// A learner's home directory with a cluster in their kubeconfig; both containers go with it.
struct Learner {
    home: Home,
    registry: String,
}

impl Learner {
    fn new() -> Self {
        let home = Home::new();
        output(home.command("kind").args(["create", "cluster", "--name", CLUSTER, "--image", IMAGE, "--wait", "120s"]));
        // https://kind.sigs.k8s.io/docs/user/local-registry/
        docker(&["run", "-d", "--name", REGISTRY, "--network", "kind", "-p", "127.0.0.1::5000", "registry:3"]);
        let address = docker(&["port", REGISTRY, "5000/tcp"]);
        let registry = format!("localhost:{}", address.rsplit_once(':').expect("a port").1);
        let directory = format!("/etc/containerd/certs.d/{registry}");
        let node = format!("{CLUSTER}-control-plane");
        let hosts = format!("mkdir -p {directory} && echo '[host.\"http://{REGISTRY}:5000\"]' >{directory}/hosts.toml");
        docker(&["exec", &node, "sh", "-c", &hosts]);
        Self { home, registry }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.home.path().join(".kube/config")
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        output(self.home.command("kubectl").args(["--context", CONTEXT]).args(arguments))
    }

    /// The names of all that the course could leave behind.
    fn all(&self) -> String {
        let kinds = "namespaces,clusterroles,clusterrolebindings,validatingadmissionpolicies,\
                     validatingadmissionpolicybindings,validatingwebhookconfigurations,customresourcedefinitions,\
                     priorityclasses,persistentvolumes,serviceaccounts,secrets,configmaps,roles,rolebindings,services,\
                     deployments,replicasets";
        let format =
            r#"jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} {.metadata.labels}{"\n"}{end}"#;
        self.kubectl(&["get", kinds, "-A", "-o", format])
    }

    fn start(&self, more: &[&str]) -> Said {
        let start = ["start", COURSE, "--sandbox", "existing", "--context", CONTEXT, "--registry", &self.registry];
        self.home.tutorial(&[&start, more].concat())
    }
}

impl Drop for Learner {
    fn drop(&mut self) {
        let kind = ["delete", "cluster", "--name", CLUSTER];
        let _ = self.home.command("kind").args(kind).output();
        let _ = self.home.command("docker").args(["rm", "-f", "-v", REGISTRY]).output();
    }
}

#[test]
fn docker_the_course_on_a_cluster_that_exists() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let learner = Learner::new();
    learner.kubectl(&["create", "namespace", "somebodys"]);
    learner.kubectl(&["create", "configmap", "theirs", "-n", "somebodys"]);
    learner.kubectl(&[
        "wait",
        "-n",
        "somebodys",
        "--for=create",
        "serviceaccount/default",
        "configmap/kube-root-ca.crt",
    ]);
    let kubeconfig = std::fs::read(learner.kubeconfig()).unwrap();
    let before = learner.all();

    // Long lines are folded.
    let refused = learner.start(&[]).expect(2).stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [CONTEXT, "https://127.0.0.1:", "namespaces `demo-app-…`", "read-only user", "--yes"] {
        assert!(refused.contains(said), "{said}: {refused}");
    }
    assert_eq!(learner.all(), before);

    let played = learner.start(&["--yes", "--autoplay"]).expect(0);
    assert!(played.stderr.contains("steps passed in"), "{}", played.stderr);
    let status = learner.home.tutorial(&["status", "--json"]).expect(0).json();
    assert_eq!((&status["done"], &status["sandbox"]), (&status["total"], &"existing".into()));
    assert_ne!(learner.all(), before, "the namespaces are there still");

    learner.home.tutorial(&["remove", "--yes"]).expect(0);
    assert_eq!(learner.all(), before);
    assert_eq!(std::fs::read(learner.kubeconfig()).unwrap(), kubeconfig);
    assert!(!learner.home.workspace(COURSE).exists());
}

/// Where nobody can be asked, it says what it would do, and does nothing.
#[test]
fn a_cluster_that_exists_is_not_used_unasked() {
    let home = Home::new();
    std::fs::create_dir(home.path().join(".kube")).unwrap();
    let kubeconfig = "{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], \
                      contexts: [{name: theirs, context: {cluster: c, user: u}}], users: [{name: u, user: {}}]}";
    std::fs::write(home.path().join(".kube/config"), kubeconfig).unwrap();
    let refused = home.tutorial(&["start", COURSE, "--sandbox", "existing", "--context", "theirs"]).expect(2);
    let expected = "error: that the course may use the cluster of `theirs` has to be confirmed\n\
                    caused by: it will make the namespaces `demo-app-…` on the cluster of `theirs` \
                    (https://127.0.0.1:1), and a read-only user for its checks. `tutorial remove` takes them away \
                    again.\nhint: add `--yes`\n";
    assert_eq!(refused.stderr.split_whitespace().collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
    assert!(!home.workspace(COURSE).exists());
}
