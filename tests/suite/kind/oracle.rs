//! Beside the real kind: what it makes of a control plane and a worker, and what we make.

use serde_json::{Value, json};

use super::*;

/// A cluster that the real kind makes, removed in the end.
struct Oracle {
    name: String,
    kubeconfig: tempfile::NamedTempFile,
}

impl Oracle {
    fn make(name: &str) -> Self {
        let config = tempfile::NamedTempFile::new().expect("a file");
        let text = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n  \
                    extraPortMappings:\n  - {containerPort: 30080, hostPort: 0, listenAddress: 127.0.0.1}\n  - \
                    {containerPort: 30081, hostPort: 0, listenAddress: 127.0.0.1}\n- role: worker\n";
        std::fs::write(config.path(), text).expect("a file");
        let oracle =
            Self { name: format!("tutorial-test-{name}"), kubeconfig: tempfile::NamedTempFile::new().expect("a file") };
        says(
            "kind",
            &[
                "create",
                "cluster",
                "--name",
                &oracle.name,
                "--image",
                IMAGE,
                "--config",
                &path(&config),
                "--kubeconfig",
                &path(&oracle.kubeconfig),
            ],
        );
        oracle
    }
}

fn path(file: &tempfile::NamedTempFile) -> String {
    file.path().display().to_string()
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = run("kind", &["delete", "cluster", "--name", &self.name, "--kubeconfig", &path(&self.kubeconfig)]);
    }
}

/// Where two differ, and how.
fn compare(path: &str, ours: &Value, kinds: &Value, differences: &mut Vec<String>) {
    match (ours, kinds) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                compare(&format!("{path}/{name}"), &ours[name], &kinds[name], differences);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (ours, kinds)) in one.iter().zip(other).enumerate() {
                compare(&format!("{path}/{index}"), ours, kinds, differences);
            }
        }
        _ if ours == kinds => {}
        _ => differences.push(format!("{path}: ours is {ours}, kind's is {kinds}")),
    }
}

/// What one cluster is made of, with its own name, addresses and ports taken out.
fn made(cluster: &str) -> Value {
    let nodes = ["control-plane", "worker"].map(|role| format!("{cluster}-{role}"));
    let mut containers = Vec::new();
    let mut kubeadm = Vec::new();
    for node in &nodes {
        let container = says("docker", &["inspect", node]);
        let address = serde_json::from_str::<Value>(&container).expect("JSON")[0]["NetworkSettings"]["Networks"]["kind"]
            ["IPAddress"]
            .as_str()
            .expect("an address")
            .to_owned();
        let container: Value = serde_json::from_str(&container.replace(cluster, "CLUSTER")).expect("JSON");
        containers.push(settings(&container[0]));
        let text = says("docker", &["exec", node, "cat", "/kind/kubeadm.conf"]);
        kubeadm.push(documents(&text.replace(cluster, "CLUSTER").replace(&address, "ADDRESS")));
    }
    json!({"containers": containers, "kubeadm": kubeadm, "network": network()})
}

/// All that the engine knows of the network, without what no two have in common: ids and times, who is in it now, and
/// the addresses of version 4, which the engine chooses.
fn network() -> Value {
    let mut network: Value = serde_json::from_str(&says("docker", &["network", "inspect", "kind"])).expect("JSON");
    let network = network[0].as_object_mut().expect("a network");
    network.retain(|name, _| !["Id", "Created", "Containers", "Status"].contains(&name.as_str()));
    let configured = network["IPAM"]["Config"].as_array_mut().expect("addresses");
    for config in
        configured.iter_mut().filter(|config| config["Subnet"].as_str().is_some_and(|text| text.contains('.')))
    {
        for value in config.as_object_mut().expect("addresses").values_mut() {
            *value = json!("IPV4");
        }
    }
    json!(network)
}

/// Removes the network that all kind clusters share, so that the next cluster makes it. False where somebody is in it.
fn is_without_network() -> bool {
    registry::is_cleared() && {
        let _ = run("docker", &["network", "rm", "kind"]);
        !run("docker", &["network", "inspect", "kind"]).status.success()
    }
}

/// A container's settings, without those that are empty: the docker command sends empty lists where the API asks for
/// nothing. Left out: what no two containers have in common (ids, times, ports), our own labels, and a
/// variable that kind passes on from the environment where it is set, and which is without a value where it is not.
fn settings(container: &Value) -> Value {
    let mut config = container["Config"].clone();
    let labels = config["Labels"].as_object_mut().expect("labels");
    labels.retain(|name, _| !name.starts_with("tutorial."));
    let environment = config["Env"].as_array_mut().expect("variables");
    environment.retain(|variable| variable != "KIND_EXPERIMENTAL_CONTAINERD_SNAPSHOTTER");
    let mut host = container["HostConfig"].clone();
    for bindings in host["PortBindings"].as_object_mut().into_iter().flatten() {
        for binding in bindings.1.as_array_mut().into_iter().flatten() {
            binding["HostPort"] = json!("PORT");
        }
    }
    let is_empty = |value: &Value| value.is_null() || [json!([]), json!({})].contains(value);
    host.as_object_mut().expect("settings").retain(|_, value| !is_empty(value));
    let mounts = container["Mounts"].as_array().cloned().unwrap_or_default();
    let mut mounts: Vec<Value> =
        mounts.iter().map(|mount| json!([mount["Type"], mount["Destination"], mount["Mode"], mount["RW"]])).collect();
    mounts.sort_by_key(Value::to_string);
    let networks: Vec<&String> =
        container["NetworkSettings"]["Networks"].as_object().into_iter().flat_map(|map| map.keys()).collect();
    json!({"name": container["Name"], "config": config, "host": host, "mounts": mounts, "networks": networks})
}

#[test]
fn docker_three_nodes_as_kind_makes_them() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let runtime = runtime();
    let mut is_new = is_without_network();
    let kinds = {
        let oracle = Oracle::make("oracle");
        let kinds = made(&oracle.name);
        a_cluster_of_kinds_is_left_alone(&oracle, &runtime);
        kinds
    };
    let scene = Scene::new("three", 2);
    is_new &= is_without_network();
    let connection = scene.ensure(&runtime);
    if !is_new {
        println!("the network is that of other clusters, and so it is not compared");
    }
    let ours = made(&scene.spec.name);
    let mut differences = Vec::new();
    compare("", &ours, &kinds, &mut differences);
    assert!(differences.is_empty(), "{differences:#?}");
    let workers = ["worker", "worker2"].map(|role| {
        let node = format!("{}-{role}", scene.spec.name);
        let container: Value =
            serde_json::from_str(&says("docker", &["inspect", &node]).replace(&node, "NODE")).expect("JSON");
        settings(&container[0])
    });
    assert_eq!(workers[0], workers[1]);
    let nodes = kubectl(&connection.kubeconfig, &["get", "nodes", "-o", "jsonpath={.items[*].spec.taints[*].effect}"]);
    assert_eq!(nodes.expect("it answers"), "NoSchedule", "the control plane is for itself where there are workers");
}

/// One of the same name is refused, and nothing of it is touched.
fn a_cluster_of_kinds_is_left_alone(oracle: &Oracle, runtime: &tokio::runtime::Runtime) {
    let mut scene = Scene::new("oracle", 0);
    scene.spec.name.clone_from(&oracle.name);
    let expected = format!("the kind cluster `{}` exists already, and was not made by tutorial", oracle.name);
    let error = runtime.block_on(kind::ensure_running(&scene.spec, &show)).expect_err("it is kind's");
    assert_eq!(error.to_string(), expected);
    for outcome in [runtime.block_on(kind::delete(&scene.spec)), runtime.block_on(kind::stop(&scene.spec))] {
        assert_eq!(outcome.expect_err("it is kind's").to_string(), expected);
    }
    assert_eq!(runtime.block_on(kind::status(&scene.spec)), Status::Unknown(expected));
    assert_eq!(kubectl(oracle.kubeconfig.path(), &["get", "--raw", "/readyz"]).expect("it answers"), "ok");
}

#[test]
fn docker_a_foreign_container_is_not_touched() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let (scene, runtime) = (Scene::new("foreign", 0), runtime());
    let id = says("docker", &["create", "--name", &scene.control_plane(), "nginx:1.29-alpine"]);
    let error = runtime.block_on(kind::ensure_running(&scene.spec, &show)).expect_err("it is not ours");
    assert!(matches!(&error, KindError::Foreign { container } if *container == scene.control_plane()), "{error}");
    runtime.block_on(kind::delete(&scene.spec)).expect_err("it is not ours");
    assert_eq!(
        says("docker", &["inspect", "-f", "{{.Id}} {{.State.Status}}", &scene.control_plane()]),
        format!("{id} created")
    );
    says("docker", &["rm", &scene.control_plane()]);
}

#[test]
fn docker_an_image_that_is_not_there_says_what_to_do() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let (mut scene, runtime) = (Scene::new("image", 0), runtime());
    scene.spec.image = Some("127.0.0.1:1/no/such:image".into());
    let error = runtime.block_on(kind::ensure_running(&scene.spec, &show)).expect_err("there is no such image");
    let text = tutorial::error::Failure::from(error).render();
    assert!(
        text.starts_with("error: the image 127.0.0.1:1/no/such:image is not on this machine, and cannot be fetched"),
        "{text}"
    );
    assert!(text.contains("--image") && text.contains("--sandbox embedded"), "{text}");
    assert_eq!(runtime.block_on(kind::status(&scene.spec)), Status::Absent);
}

/// Without a word on the image and without a network, the newest that is here is taken, and that is said.
#[test]
fn docker_default_image_that_cannot_be_fetched() {
    use std::net::ToSocketAddrs;
    if !has_engine() {
        return;
    }
    if ("registry-1.docker.io", 443).to_socket_addrs().is_ok() {
        println!("skipped: Docker Hub can be reached, and the default image would be fetched");
        return;
    }
    let _alone = alone();
    let (mut scene, runtime) = (Scene::new("default", 0), runtime());
    scene.spec.image = None;
    let (sender, receiver) = std::sync::mpsc::channel();
    let spec = scene.spec.clone();
    let told = move |progress: Progress| {
        let _ = progress.note.map(|note| sender.send(note));
    };
    let made = runtime.spawn(async move { kind::ensure_running(&spec, &told).await });
    let note = receiver.recv_timeout(Duration::from_secs(60)).expect("it says which image it takes");
    made.abort();
    let _ = runtime.block_on(made);
    assert!(note.starts_with("kindest/node:v1.") && note.contains("is taken, since kindest/node:v1."), "{note}");
    assert!(note.ends_with("cannot be fetched"), "{note}");
    runtime.block_on(kind::delete(&scene.spec)).expect("what was begun goes");
}
