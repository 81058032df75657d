//! The image registry beside the clusters: one container for all of them, at `localhost:5001` or where there is room.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HostConfig, NetworkConnectRequest, PortBinding, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::KindError;
use super::exec::Node;
use super::files::Log;
use super::{image, ports, seen};
use crate::cluster::request;

/// The name that kind's own documentation gives it, and ours where that one is somebody else's.
const NAMES: [&str; 2] = ["kind-registry", "tutorial-registry"];
const IMAGES: [&str; 2] = ["registry:3", "registry:2"];
const LABEL: &str = "tutorial.registry";
const PORT: u16 = 5001;
const PORT_INSIDE: &str = "5000/tcp";
const ATTEMPTS_MAX: usize = 4;
const PAUSE: Duration = Duration::from_millis(200);
/// As long as a fetch of its image may take.
const LOCK_TIME_MAX: Duration = Duration::from_secs(600);
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// A registry that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    pub container: String,
    pub port: u16,
}

impl Registry {
    /// Where images are pushed to and named by: `localhost:5001`.
    pub fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }
}

/// Makes sure that it runs, is on the nodes' network, and answers.
pub async fn ensure(docker: &Docker, network: &str, log: &Log) -> Result<Registry, KindError> {
    // Nobody removes it between the look and the start.
    let working = alone().await?;
    let registry = started(docker, network, log).await?;
    drop(working);
    await_answer(registry.port).await?;
    Ok(registry)
}

async fn started(docker: &Docker, network: &str, log: &Log) -> Result<Registry, KindError> {
    let failed = || KindError::docker("start the image registry");
    let mut refused_ports = BTreeSet::new();
    let (mut attempts, deadline) = (0, Instant::now() + ANSWER_TIME_MAX);
    loop {
        let (name, existing) = find(docker).await?;
        let port = match existing.as_ref().and_then(published_port) {
            Some(port) => Some(port),
            None => create(docker, name, network, &refused_ports, log).await?,
        };
        let Some(port) = port else {
            // Another user's run was faster, and its container is found in the next round; or an old one is going.
            if Instant::now() > deadline {
                let what = format!("the way for the container {name}");
                return Err(KindError::Slow { what, seconds: ANSWER_TIME_MAX.as_secs() });
            }
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Err(error) = docker.start_container(name, None).await else {
            connect(docker, name, network, existing.as_ref()).await.map_err(failed())?;
            return Ok(Registry { container: name.to_owned(), port });
        };
        log.line(&format!("the registry does not start: {error}"));
        let is_taken = is_port_taken(&error);
        // What was pushed to one that was there goes with it, so only where it can never start again.
        if existing.is_none() || is_taken || is_network_missing(&error) {
            remove(docker, name).await;
        }
        refused_ports.insert(port);
        let is_worth_a_retry = is_taken || (existing.is_some() && is_network_missing(&error));
        attempts += 1;
        if !is_worth_a_retry || attempts >= ATTEMPTS_MAX {
            return Err(failed()(error));
        }
    }
}

/// Waits until no other run of this user's makes or removes the registry. The kernel gives the lock back when a process
/// ends. Where there can be no such file, it goes without.
async fn alone() -> Result<Option<std::fs::File>, KindError> {
    let user = rustix::process::getuid().as_raw();
    let own = std::path::PathBuf::from(format!("/run/user/{user}"));
    let directory = if own.is_dir() { own } else { std::env::temp_dir() };
    let path = directory.join(format!("tutorial-registry-{user}.lock"));
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // In a directory of everybody's a link may lead anywhere.
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    let Ok(file) = options.open(&path) else { return Ok(None) };
    let deadline = Instant::now() + LOCK_TIME_MAX;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(std::fs::TryLockError::Error(_)) => return Ok(None),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() > deadline => {
                let what = "another run's work on the image registry".to_owned();
                return Err(KindError::Slow { what, seconds: LOCK_TIME_MAX.as_secs() });
            }
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Makes the container; `None` where there is one by now.
async fn create(
    docker: &Docker,
    name: &str,
    network: &str,
    refused_ports: &BTreeSet<u16>,
    log: &Log,
) -> Result<Option<u16>, KindError> {
    let port = ports::choose(Some(PORT), refused_ports)?;
    let image = image::ensure(docker, &IMAGES, log).await?;
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    match docker.create_container(Some(options), body(name, &image, network, port)).await {
        Ok(_) => Ok(Some(port)),
        Err(error) if is_status(&error, 409) => Ok(None),
        Err(error) => Err(KindError::docker("make the image registry")(error)),
    }
}

/// The name to use, and the container of it if it is there and ours.
async fn find(docker: &Docker) -> Result<(&'static str, Option<ContainerInspectResponse>), KindError> {
    for name in NAMES {
        match docker.inspect_container(name, None).await {
            Ok(container) if is_ours(&container) => return Ok((name, Some(container))),
            Ok(_) => {}
            Err(error) if is_status(&error, 404) => return Ok((name, None)),
            Err(error) => return Err(KindError::docker("look for the image registry")(error)),
        }
    }
    Err(KindError::Foreign { container: NAMES[1].to_owned() })
}

fn is_ours(container: &ContainerInspectResponse) -> bool {
    let labels = container.config.as_ref().and_then(|config| config.labels.as_ref());
    labels.is_some_and(|labels| labels.contains_key(LABEL))
}

pub fn is_status(error: &bollard::errors::Error, code: u16) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code, .. } if *status_code == code)
}

/// Whether a container could not be started because somebody else has its port.
pub fn is_port_taken(error: &bollard::errors::Error) -> bool {
    let text = error.to_string();
    ["port is already allocated", "address already in use", "ports are not available", "Ports are not available"]
        .iter()
        .any(|part| text.contains(part))
}

/// Whether a container cannot be started because a network of its is no more.
fn is_network_missing(error: &bollard::errors::Error) -> bool {
    let text = error.to_string();
    text.contains("network") && text.contains("not found")
}

fn published_port(container: &ContainerInspectResponse) -> Option<u16> {
    let bindings = container.host_config.as_ref()?.port_bindings.as_ref()?.get(PORT_INSIDE)?.as_ref()?;
    bindings.first()?.host_port.as_ref()?.parse().ok()
}

fn body(name: &str, image: &str, network: &str, port: u16) -> ContainerCreateBody {
    let binding = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(port.to_string()) };
    ContainerCreateBody {
        hostname: Some(name.to_owned()),
        image: Some(image.to_owned()),
        labels: Some(HashMap::from([(LABEL.to_owned(), "true".to_owned())])),
        exposed_ports: Some(vec![PORT_INSIDE.into()]),
        // So that `werf cleanup`, and whoever tidies up, can remove what was pushed.
        env: Some(vec!["REGISTRY_STORAGE_DELETE_ENABLED=true".into()]),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            port_bindings: Some(HashMap::from([(PORT_INSIDE.to_owned(), Some(vec![binding]))])),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::ALWAYS),
                maximum_retry_count: None,
            }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

async fn connect(
    docker: &Docker,
    name: &str,
    network: &str,
    existing: Option<&ContainerInspectResponse>,
) -> Result<(), bollard::errors::Error> {
    let Some(container) = existing else { return Ok(()) };
    let networks = container.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    if networks.is_some_and(|networks| networks.contains_key(network)) {
        return Ok(());
    }
    let request = NetworkConnectRequest { container: name.to_owned(), ..NetworkConnectRequest::default() };
    match docker.connect_network(network, request).await {
        Err(error) if !error.to_string().contains("already exists") => Err(error),
        _ => Ok(()),
    }
}

/// Waits until it serves its API; that the port is open says nothing, since the engine opens it.
async fn await_answer(port: u16) -> Result<(), KindError> {
    let deadline = Instant::now() + ANSWER_TIME_MAX;
    loop {
        let answer = tokio::time::timeout(Duration::from_secs(2), ask(port)).await;
        if matches!(answer, Ok(Ok(true))) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(KindError::Slow { what: "the image registry".into(), seconds: ANSWER_TIME_MAX.as_secs() });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn ask(port: u16) -> std::io::Result<bool> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /v2/ HTTP/1.0\r\nhost: localhost\r\n\r\n").await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    Ok(&answer[9..] == b"200")
}

/// Tells a node's containerd where the registry's images really are. It reads this anew at each pull.
pub async fn wire(node: Node<'_>, registry: &Registry, log: &Log) -> Result<(), KindError> {
    let script = r#"set -e
directory=/etc/containerd/certs.d/$TUTORIAL_REGISTRY
mkdir -p "$directory"
printf '[host."http://%s"]\n' "$TUTORIAL_REGISTRY_INSIDE" >"$directory/hosts.toml""#;
    let environment = vec![
        format!("TUTORIAL_REGISTRY={}", registry.address()),
        format!("TUTORIAL_REGISTRY_INSIDE={}:5000", registry.container),
    ];
    node.script("name the registry to containerd", script, environment, Some(log)).await.map(drop)
}

/// Says in the cluster where the registry is, as kind's documentation has it.
pub async fn publish(client: &kube::Client, registry: &Registry) -> Result<(), kube::Error> {
    let hosting =
        format!("host: \"{}\"\nhelp: \"https://kind.sigs.k8s.io/docs/user/local-registry/\"\n", registry.address());
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "local-registry-hosting", "namespace": "kube-public"},
        "data": {"localRegistryHosting.v1": hosting},
    });
    request::ensure(client, "/api/v1/namespaces/kube-public/configmaps", &map).await
}

/// Removes the registry, with what was pushed to it, if it is ours and no kind cluster is left.
pub async fn remove_if_unused(docker: &Docker) -> Result<(), KindError> {
    let _working = alone().await?;
    let containers = seen::containers(docker).await?;
    let has_label = |container: &bollard::models::ContainerSummary, name: &str| {
        container.labels.as_ref().is_some_and(|labels| labels.contains_key(name))
    };
    if containers.iter().any(|container| has_label(container, super::node::LABEL_CLUSTER)) {
        return Ok(());
    }
    for container in containers.iter().filter(|container| has_label(container, LABEL)) {
        remove(docker, container.id.as_deref().unwrap_or_default()).await;
    }
    Ok(())
}

async fn remove(docker: &Docker, container: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    // One that cannot be removed is found by the next run.
    let _ = docker.remove_container(container, Some(options)).await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::cluster::kind::files::Files;
    use crate::engine::played::Played;

    /// A registry that was there does not start: whether it is removed, with all that was pushed to it.
    #[tokio::test]
    async fn images_go_only_with_a_registry_that_can_never_start_again() {
        async fn check(refusal: &'static str, is_removed: bool) {
            let gone = AtomicBool::new(false);
            let played = Played::start(move |request| match request {
                "GET /containers/kind-registry/json" if !gone.load(Ordering::Relaxed) => {
                    let ports = r#"{"PortBindings":{"5000/tcp":[{"HostPort":"5001"}]}}"#;
                    let config = r#"{"Labels":{"tutorial.registry":"true"}}"#;
                    (200, format!(r#"{{"Id":"r","Config":{config},"HostConfig":{ports}}}"#))
                }
                "GET /containers/kind-registry/json" => (404, r#"{"message":"none"}"#.into()),
                "POST /containers/kind-registry/start" => (500, format!(r#"{{"message":"{refusal}"}}"#)),
                "DELETE /containers/kind-registry" => {
                    gone.store(true, Ordering::Relaxed);
                    (204, String::new())
                }
                "GET /images/registry:3/json" => (200, "{}".into()),
                _ => (500, r#"{"message":"not played"}"#.into()),
            });
            let directory = tempfile::tempdir().expect("a directory");
            let log = Files::new(directory.path()).log().expect("a log");
            let engine = played.engine().await;
            started(&engine.docker, "kind", &log).await.expect_err("it does not start");
            let asked = played.asked();
            assert_eq!(
                asked.contains(&"DELETE /containers/kind-registry".to_owned()),
                is_removed,
                "{refusal}: {asked:?}"
            );
        }
        check("error while mounting volume: input/output error", false).await;
        check("Bind for 127.0.0.1:5001 failed: port is already allocated", true).await;
        check("network 0123 not found", true).await;
    }
}
