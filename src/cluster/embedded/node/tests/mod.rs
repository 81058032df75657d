mod commands;
mod life;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::images::{Image, ImageStore};
use super::super::registry::{Deletion, Next, Registry, Writer};
use super::program::{self, Base, Program, Statement};
use super::{Node, Options, environment, kind, probe};

struct Cluster {
    registry: Arc<Registry>,
    node: Node,
    _directory: tempfile::TempDir,
}

/// A node over a registry in memory, a thousand times as fast as Kubernetes.
fn cluster() -> Cluster {
    cluster_with(BTreeMap::new())
}

fn cluster_with(node_ports: BTreeMap<u16, tokio::net::TcpListener>) -> Cluster {
    let directory = tempfile::tempdir().expect("a directory");
    let registry = Registry::in_memory();
    let writer = Writer::new("test");
    let account = json!({"metadata": {"name": "default", "namespace": "default"}});
    registry.create(kind("ServiceAccount"), account, &writer).expect("the account");
    let authority = json!({"metadata": {"name": "kube-root-ca.crt", "namespace": "default"}, "data": {"ca.crt": "x"}});
    registry.create(kind("ConfigMap"), authority, &writer).expect("the authority");
    let images = Arc::new(ImageStore::open(directory.path()).expect("opened"));
    let options = Options { registry_port: 1, node_ports, time_factor: 1000.0 };
    let node = Node::start(Arc::clone(&registry), images, options);
    Cluster { registry, node, _directory: directory }
}

impl Cluster {
    fn create(&self, container: &Value) {
        self.create_pod(&json!({"containers": [container]}));
    }

    fn create_pod(&self, spec: &Value) {
        let pod = json!({"metadata": {"name": "p", "namespace": "default"}, "spec": spec});
        self.registry.create(kind("Pod"), pod, &Writer::new("test")).expect("created");
    }

    fn pod(&self) -> Option<Value> {
        self.registry.get(kind("Pod"), "default", "p").map(|entry| entry.value())
    }

    async fn until(&self, what: &str, reached: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let pod = self.pod().unwrap_or_default();
            if reached(&pod) {
                return pod;
            }
            assert!(Instant::now() < deadline, "{what}: {pod:#}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until_event(&self, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.events().iter().any(|message| message.contains(wanted)) {
            assert!(Instant::now() < deadline, "{wanted:?} is not among {:?}", self.events());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The lines of a container's last run.
    fn log(&self, index: usize) -> Vec<String> {
        let pod = self.node.shared.all_pods().into_iter().next().expect("a pod on the node");
        let log = pod.log(index, false).or_else(|| pod.log(index, true)).expect("a log");
        log.from(0).0.into_iter().map(|line| line.text).collect()
    }

    fn change(&self, change: impl Fn(&mut Value)) {
        let changed = self.registry.modify(kind("Pod"), "default", "p", &Writer::new("test"), false, |live| {
            let mut pod = live.clone();
            change(&mut pod);
            Ok(pod)
        });
        changed.expect("changed");
    }

    fn events(&self) -> Vec<String> {
        let events = self.registry.list(kind("Event"), Some("default"));
        events.iter().map(|entry| entry.value()["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn ready(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["ready"] == true
}

#[tokio::test]
async fn a_pod_is_bound_runs_and_goes() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "nginx:1.29-alpine",
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}}));
    let pod = cluster.until("ready", ready).await;
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(pod["spec"]["nodeName"], "tutorial-control-plane");
    let conditions = pod["status"]["conditions"].as_array().expect("conditions");
    assert!(conditions.iter().all(|condition| condition["status"] == "True"), "{conditions:#?}");
    cluster.registry.delete(kind("Pod"), "default", "p", &Deletion::default()).expect("marked");
    cluster.until("gone", Value::is_null).await;
    assert!(cluster.events().contains(&"Stopping container web".to_owned()), "{:?}", cluster.events());
}

#[tokio::test]
async fn a_failing_probe_keeps_the_pod_unready_and_says_why() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "nginx:1.29-alpine",
        "readinessProbe": {"httpGet": {"path": "/none", "port": 80}, "periodSeconds": 1}}));
    let unhealthy = "Readiness probe failed: HTTP probe failed with statuscode: 404".to_owned();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !cluster.events().contains(&unhealthy) {
        assert!(Instant::now() < deadline, "{:?}", cluster.events());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(!ready(&cluster.pod().expect("there")));
}

#[tokio::test]
async fn a_missing_image_is_told_as_the_kubelet_tells_it() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "localhost:1/nothing:1"}));
    let pod = cluster
        .until("back-off", |pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
        })
        .await;
    assert_eq!(
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"],
        "Back-off pulling image \"localhost:1/nothing:1\": ErrImagePull: failed to pull and unpack image \"localhost:1/nothing:1\": failed to resolve reference \"localhost:1/nothing:1\": localhost:1/nothing:1: not found"
    );
    assert!(cluster.events().contains(&"Error: ErrImagePull".to_owned()));
}

#[tokio::test]
async fn a_container_that_exits_crashes_in_a_loop() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "busybox", "command": ["sh", "-c", "echo hello; exit 3"]}));
    let pod = cluster
        .until("crash loop", |pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        })
        .await;
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(status["restartCount"], 1);
}

#[tokio::test]
async fn a_missing_config_map_holds_the_container_until_it_is_there() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "nginx", "envFrom": [{"configMapRef": {"name": "settings"}}]}));
    let waiting = |pod: &Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    };
    let pod = cluster.until("config error", waiting).await;
    assert_eq!(
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"],
        "configmap \"settings\" not found"
    );
    let settings = json!({"metadata": {"name": "settings", "namespace": "default"}, "data": {"A": "1"}});
    cluster.registry.create(kind("ConfigMap"), settings, &Writer::new("test")).expect("created");
    cluster.until("ready", ready).await;
}

#[tokio::test]
async fn a_container_that_ends_at_once_is_never_shown_as_ready() {
    let cluster = cluster();
    let mut events = cluster.registry.subscribe();
    cluster.create(&json!({"name": "web", "image": "busybox", "command": ["false"]}));
    cluster.until("restarts", |pod| pod["status"]["containerStatuses"][0]["restartCount"] == 2).await;
    loop {
        let Next::Event(event) = events.next().await else { panic!("too many events") };
        let pod = event.entry.value();
        assert!(!ready(&pod), "{pod:#}");
        if pod["status"]["containerStatuses"][0]["restartCount"] == 2 {
            break;
        }
    }
}

#[tokio::test]
async fn a_node_port_is_refused_until_a_pod_is_ready() {
    let door = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = door.local_addr().expect("bound").port();
    let cluster = cluster_with([(30080, door)].into());
    let refused = || async move {
        let error = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.err();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    assert!(refused().await);
    let writer = Writer::new("test");
    let service = json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {"type": "NodePort",
        "selector": {"app": "web"}, "ports": [{"port": 80, "nodePort": 30080}]}});
    cluster.registry.create(kind("Service"), service, &writer).expect("created");
    assert!(refused().await);
    cluster.create(&json!({"name": "web", "image": "nginx"}));
    let pod = cluster.until("ready", ready).await;
    let slice = json!({"metadata": {"name": "web-1", "namespace": "default",
        "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
        "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": [pod["status"]["podIP"]], "conditions": {"ready": true}}]});
    cluster.registry.create(kind("EndpointSlice"), slice, &writer).expect("created");
    let deadline = Instant::now() + Duration::from_secs(10);
    while refused().await {
        assert!(Instant::now() < deadline, "the NodePort stays closed");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    cluster.registry.delete(kind("EndpointSlice"), "default", "web-1", &Deletion::default()).expect("deleted");
    while !refused().await {
        assert!(Instant::now() < deadline, "the NodePort stays open");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn programs_are_chosen_by_image_and_command() {
    let words = |text: &str| text.split('|').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let check = |base, command: &str, args: &str, expected: Program| {
        assert_eq!(
            program::decide(base, &Image::default(), &words(command), &words(args), &environment::Environment::new()),
            expected,
            "{command} {args}"
        );
    };
    check(Base::Web, "", "", Program::Web);
    check(Base::Web, "nginx|-g|daemon off;", "", Program::Web);
    check(Base::Server, "", "", Program::Idle);
    check(Base::Shell, "sh|-c|exit 1", "", Program::Script(vec![Statement::Exit(1)]));
    check(Base::Shell, "", "sleep|3", Program::Script(vec![Statement::Sleep(Duration::from_secs(3))]));
    check(
        Base::Shell,
        "/bin/sh|-c|echo 'a  b' && cat /x; false",
        "",
        Program::Script(vec![Statement::Print("a  b".into()), Statement::Cat("/x".into()), Statement::Exit(1)]),
    );
    let empty = environment::Environment::new();
    let refused = program::decide(Base::Shell, &Image::default(), &words("python|-m|http.server"), &[], &empty);
    assert!(matches!(&refused, Program::Unsupported(why) if why.contains("--sandbox kind")), "{refused:?}");
}

#[test]
fn known_bases() {
    for (name, version, known) in [
        ("nginx", "1.29-alpine", true),
        ("nginx", "latest", true),
        ("nginx", "stable-alpine-slim", true),
        ("nginx", "nonsense", false),
        ("redis", "7", true),
        ("mysql", "8", false),
    ] {
        assert_eq!(program::base(name, version).is_some(), known, "{name}:{version}");
    }
}

#[test]
fn thresholds_decide_a_probe() {
    use probe::Outcome::{Failing, Passing};
    let mut counter = probe::Counter::new(&json!({"successThreshold": 2, "failureThreshold": 3}));
    let outcomes: Vec<_> =
        [true, true, false, false, true, false, false, false].map(|result| counter.count(result)).into();
    assert_eq!(outcomes, [None, Some(Passing), None, None, None, None, None, Some(Failing)]);
}

#[test]
fn templates_are_filled_in_as_envsubst_does() {
    let environment = [("A".to_owned(), "1".to_owned())].into();
    for (template, expected) in
        [("x ${A} $A ${B} $hostname $", "x 1 1 ${B} $hostname $"), ("'${A}';", "'1';"), ("${A", "${A")]
    {
        assert_eq!(environment::substitute(template, &environment), expected);
    }
}
