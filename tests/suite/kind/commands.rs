//! The commands on kind clusters, as a learner types them.

use serde_json::Value;

use super::super::session::Home;
use super::super::terminal::Terminal;
use super::*;

/// Ends the Docker engine and starts it again; a shell's command, given by whoever started the engine.
const RESTART: &str = "TUTORIAL_DOCKER_RESTART";
const NAMES: [&str; 2] = ["tutorial-test-a", "tutorial-test-b"];

/// What is left of clusters of these names goes, however the test ends.
struct Cleaning(&'static [&'static str]);

impl Drop for Cleaning {
    fn drop(&mut self) {
        for name in self.0 {
            let found = run("docker", &["ps", "-aq", "--filter", &format!("label=tutorial.cluster={name}")]);
            for id in String::from_utf8_lossy(&found.stdout).split_whitespace() {
                let _ = run("docker", &["rm", "-f", "-v", id]);
            }
        }
    }
}

fn start<'a>(name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["cluster", "start", "--sandbox", "kind", "--image", IMAGE, "--name", name], more].concat()
}

#[track_caller]
fn status(home: &Home, name: &str) -> Value {
    home.tutorial(&["cluster", "status", "--name", name, "--json"]).json()
}

#[track_caller]
fn connection(home: &Home, name: &str) -> Connection {
    let status = status(home, name);
    assert_eq!((&status["kind"], &status["running"]), (&"kind".into(), &true.into()), "{status}");
    serde_json::from_value(status["connection"].clone()).expect("a connection")
}

fn nodes(name: &str) -> Vec<String> {
    let label = format!("label=tutorial.cluster={name}");
    let names = says("docker", &["ps", "-a", "--filter", &label, "--format", "{{.Names}}"]);
    let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
    names.sort();
    names
}

fn volumes() -> Vec<String> {
    let mut all: Vec<String> = says("docker", &["volume", "ls", "-q"]).lines().map(str::to_owned).collect();
    all.sort();
    all
}

#[test]
fn docker_two_clusters_side_by_side() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let _cleaning = Cleaning(&NAMES);
    let has_others = registry::is_in_use();
    let (home, volumes_before, [a, b]) = (Home::new(), volumes(), NAMES);
    let began = Instant::now();
    let stage = |name: &str| println!("{:6.2} {name}", began.elapsed().as_secs_f64());
    let cluster = |command: &str, name: &str| home.tutorial(&["cluster", command, "--name", name]);

    an_interrupt_ends_the_start(&home, a);
    stage("the first start was interrupted");
    home.tutorial(&start(a, &["--workers", "1"])).expect(0);
    assert_eq!(nodes(a), [format!("{a}-control-plane"), format!("{a}-worker")]);
    home.tutorial(&start(b, &[])).expect(0);
    assert_eq!(nodes(b), [format!("{b}-control-plane")]);
    stage("both were started");
    let (of_a, of_b) = (connection(&home, a), connection(&home, b));
    assert_eq!(of_a.registry, of_b.registry, "there is one registry for all");
    for (name, connection) in [(a, &of_a), (b, &of_b)] {
        assert!(cluster("status", name).expect(0).stdout.contains(&format!("{name}: running")));
        let kubeconfig = cluster("kubeconfig", name).expect(0).stdout;
        assert!(kubeconfig.contains(&format!("kind-{name}")), "{kubeconfig}");
        let logs = cluster("logs", name).expect(0).stdout;
        for part in ["begun: making the nodes", &format!("the console of {name}-control-plane"), "the journal of"] {
            assert!(logs.contains(part), "{part} is not in the logs of {name}");
        }
        a_pod_runs(connection);
    }
    stage("each ran a pod");
    the_engine_is_restarted(&home, &[(a, &of_a), (b, &of_b)]);
    stage("the engine was restarted");

    cluster("stop", a).expect(0);
    let stopped = cluster("status", a).expect(1).stdout;
    assert_eq!(stopped, format!("{a}: not running\n"));
    assert_eq!(status(&home, a)["running"], false);
    assert_eq!(connection(&home, b), of_b);
    kubectl(&of_b.kubeconfig, &["get", "pod", "quiet"]).expect("the other goes on");
    home.tutorial(&["cluster", "start", "--name", a]).expect(0);
    assert_eq!(connection(&home, a), of_a);
    stage("one was stopped and started again");

    home.tutorial(&["cluster", "delete", "--name", a]).expect(2);
    home.tutorial(&["cluster", "delete", "--name", a, "--yes"]).expect(0);
    assert_eq!(nodes(a), Vec::<String>::new());
    assert_eq!(connection(&home, b), of_b);
    a_pod_is_pulled(&of_b);
    stage("one was deleted, and the other still had the registry");
    home.tutorial(&["cluster", "delete", "--name", b, "--yes"]).expect(0);
    assert_eq!(nodes(b), Vec::<String>::new());
    assert!(!says("docker", &["network", "ls", "--format", "{{.Name}}"]).lines().all(|name| name != "kind"));
    if !has_others {
        assert_eq!(says("docker", &["ps", "-aq", "--filter", "label=tutorial.registry"]), "");
        assert_eq!(volumes(), volumes_before);
    }
    let left: Vec<_> = walk(home.path());
    assert!(left.iter().all(|path| !path.contains("tutorial-test-")), "{left:?}");
    assert!(!home.path().join(".kube").exists());
    stage("nothing was left");
}

fn walk(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        found.push(entry.path().display().to_string());
        found.extend(walk(&entry.path()));
    }
    found
}

/// At a terminal, while the nodes boot. What is there is known, and belongs to it.
fn an_interrupt_ends_the_start(home: &Home, name: &str) {
    let line = format!(
        "before=$(stty -g); '{}' {}; echo \"code $?\"; [ \"$before\" = \"$(stty -g)\" ] && echo same",
        env!("CARGO_BIN_EXE_tutorial"),
        start(name, &["--workers", "1"]).join(" ")
    );
    let Some(mut terminal) = Terminal::open(home, &line) else { return };
    terminal.wait_for("waiting for the nodes to boot");
    terminal.press("\u{3}");
    terminal.wait_for("code 130");
    terminal.wait_for("same");
    assert_eq!(terminal.end(), 0);
    assert_eq!(nodes(name), [format!("{name}-control-plane"), format!("{name}-worker")]);
    let said = home.tutorial(&["cluster", "status", "--name", name]).expect(1).stdout;
    assert_eq!(said, format!("{name}: not finished\n"));
}

#[track_caller]
fn pod(connection: &Connection, name: &str, image: &str) {
    let admin = |arguments: &[&str]| kubectl(&connection.kubeconfig, arguments);
    admin(&["run", name, &format!("--image={image}")]).unwrap_or_else(|error| panic!("{error}"));
    if let Err(error) = admin(&["wait", "--for=condition=Ready", &format!("pod/{name}"), "--timeout=120s"]) {
        panic!("{error}\n{}", admin(&["describe", "pod", name]).unwrap_or_default());
    }
}

/// A small image, which every machine with the tests' images and every node has.
const PAUSE: &str = "registry.k8s.io/pause:3.10.1";

fn a_pod_runs(connection: &Connection) {
    pod(connection, "quiet", PAUSE);
}

fn a_pod_is_pulled(connection: &Connection) {
    let image = format!("{}/pulled:1", connection.registry);
    says("docker", &["tag", PAUSE, &image]);
    says("docker", &["push", "-q", &image]);
    says("docker", &["rmi", &image]);
    pod(connection, "pulled", &image);
}

/// After it, each is reached as before and has what it had.
fn the_engine_is_restarted(home: &Home, clusters: &[(&str, &Connection)]) {
    let Ok(command) = std::env::var(RESTART) else {
        return println!("skipped: {RESTART} does not say how the Docker engine is restarted");
    };
    says("sh", &["-c", &command]);
    until("the engine's answer", || run("docker", &["info"]).status.success().then_some(()));
    for (name, connection_before) in clusters {
        home.tutorial(&["cluster", "start", "--name", name]).expect(0);
        assert_eq!(&connection(home, name), *connection_before);
        let kubeconfig = &connection_before.kubeconfig;
        let wait = ["wait", "--for=condition=Ready", "pod/quiet", "--timeout=120s"];
        kubectl(kubeconfig, &wait).unwrap_or_else(|error| panic!("the pod of {name}: {error}"));
        let restarts = ["get", "pod", "quiet", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"];
        let restarts = kubectl(kubeconfig, &restarts).expect("it answers");
        assert_ne!(restarts, "0", "the engine did not end the pod of {name}");
    }
}

#[test]
fn docker_is_examined() {
    if !has_engine() {
        return;
    }
    let home = Home::new();
    // An engine that is out of breath does not answer in the doctor's time, which is a row of its own.
    let said = until("an answer of the engine's in time", || {
        let said = home.tutorial(&["doctor", "--json"]).json();
        let rows = said["checks"].as_array().expect("rows");
        let is_late = |row: &Value| row["found"].as_str().is_some_and(|found| found.contains("did not answer in time"));
        (!rows.iter().any(is_late)).then_some(said)
    });
    let rows = said["checks"].as_array().expect("rows");
    let row = |name: &str| rows.iter().find(|row| row["name"] == name);
    for name in
        ["docker", "node image", "watches", "cgroups", "storage", "docker disk", "memory", "platform", "proxy", "ipv6"]
    {
        assert!(row(name).is_some(), "there is no row `{name}` in {said:#}");
    }
    for row in rows {
        let has = |key: &str| row[key].as_str().is_some_and(|text| !text.trim().is_empty());
        assert!(has("name") && has("found") && has("needed"), "{row}");
        assert!(row["state"] == "ok" || has("remedy"), "{row}");
    }
    let found = |name: &str| row(name).and_then(|row| row["found"].as_str()).unwrap_or_default().to_owned();
    let version = says("docker", &["version", "-f", "{{.Server.Version}}"]);
    assert!(found("docker").contains(&version), "{version} is not in {}", found("docker"));
    assert!(found("node image").contains(IMAGE), "{}", found("node image"));
    assert_eq!(found("storage"), says("docker", &["info", "-f", "{{.Driver}}"]));
    let cgroups = format!("version {}", says("docker", &["info", "-f", "{{.CgroupVersion}}"]));
    assert!(found("cgroups").contains(&cgroups), "{cgroups} is not in {}", found("cgroups"));
}

/// The learner's own kubeconfig is written where they ask for it, and given back as it was.
#[test]
fn docker_context_in_the_learners_kubeconfig() {
    const NAME: &str = "tutorial-small";
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let _cleaning = Cleaning(&[NAME]);
    let home = Home::new();
    let course = format!("{}/tests/golden/small-course", env!("CARGO_MANIFEST_DIR"));
    let begin = ["start", &course, "--sandbox", "kind", "--image", IMAGE, "--yes"];
    home.tutorial(&begin).expect(0);
    assert!(!home.path().join(".kube").exists(), "nobody asked for it");

    let own = home.path().join(".kube/config");
    std::fs::create_dir_all(home.path().join(".kube")).expect("a directory");
    let foreign = "apiVersion: v1\nkind: Config\nclusters:\n- name: work\n  cluster: {server: 'https://work.example'}\n\
                   users:\n- name: me\n  user: {token: secret}\ncontexts:\n- name: work\n  context: {cluster: work, user: \
                   me}\ncurrent-context: work\n";
    std::fs::write(&own, foreign).expect("a file");
    let read =
        |of: &Path| -> Value { serde_yaml::from_str(&std::fs::read_to_string(of).expect("a file")).expect("YAML") };
    let before = read(&own);
    let said = home.tutorial(&[&begin[..], &["--export-kubeconfig"]].concat()).expect(0);
    let context = format!("kind-{NAME}");
    let words: Vec<&str> = said.stderr.split_whitespace().collect();
    assert!(words.join(" ").contains(&format!("has the context `{context}` now")), "{said:?}");
    let with_ours = read(&own);
    for list in ["clusters", "users", "contexts"] {
        let entries = with_ours[list].as_array().expect("entries");
        assert_eq!((entries.len(), &entries[0]), (2, &before[list][0]), "{list}");
    }
    let node = kubectl(&own, &["--context", &context, "get", "nodes", "-o", "name"]).expect("it answers");
    assert_eq!(node, format!("node/{NAME}-control-plane"));

    home.tutorial(&["remove", "--yes"]).expect(0);
    let mut after = read(&own);
    let current = after["current-context"].take();
    assert_ne!(current, context, "a context that is gone cannot be the current one");
    let mut expected = before.clone();
    expected["current-context"].take();
    assert_eq!(after, expected);
    assert_eq!(nodes(NAME), Vec::<String>::new());
}
