//! The nodes' containers: made, started, waited for, asked and removed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, ContainerInspectResponse};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, CreateContainerOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use futures_util::StreamExt;
use futures_util::future::join_all;
use regex::Regex;

use super::error::KindError;
use super::exec::Node;
use super::files::{MADE, Made};
use super::node::{self, API_PORT, NodePlan, Role};
use super::seen::{self, Meant, Seen};
use super::site::Site;
use super::{ports, proxy, registry};

const BOOT_TIME_MAX: Duration = Duration::from_secs(30);
const PORT_ATTEMPTS_MAX: usize = 3;
/// A container takes as long to go, where its processes end slowly.
const GONE_TIME_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// The cluster's containers as they are now; an error where one is not ours.
pub async fn nodes_now(site: &Site<'_>) -> Result<Vec<Seen>, KindError> {
    let containers = seen::containers(&site.engine.docker).await?;
    seen::nodes(&containers, meant(site), site.spec.workers)
}

/// Those of them that are ours, even where something else is in the way.
pub async fn ours_now(site: &Site<'_>) -> Result<Vec<Seen>, KindError> {
    let containers = seen::containers(&site.engine.docker).await?;
    Ok(seen::ours(&containers, meant(site)))
}

fn meant<'a>(site: &'a Site<'_>) -> Meant<'a> {
    Meant { name: &site.spec.name, directory: site.files.directory(), owner: &site.owner }
}

/// Removes containers with their volumes, and waits until they are gone: their names are free then.
pub async fn remove(site: &Site<'_>, nodes: &[Seen]) -> Result<(), KindError> {
    let mut removals = Vec::new();
    for node in nodes {
        removals.push(remove_one(site, node));
    }
    // All of them, also where one cannot be removed.
    join_all(removals).await.into_iter().collect()
}

async fn remove_one(site: &Site<'_>, node: &Seen) -> Result<(), KindError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match site.engine.docker.remove_container(&node.id, Some(options)).await {
        Err(error) if registry::is_status(&error, 404) => return Ok(()),
        // 409: it is being removed already.
        Err(error) if !registry::is_status(&error, 409) => {
            return Err(KindError::docker(format!("remove the container {}", node.name))(error));
        }
        _ => {}
    }
    let deadline = Instant::now() + GONE_TIME_MAX;
    loop {
        match site.engine.docker.inspect_container(&node.id, None).await {
            Err(error) if registry::is_status(&error, 404) => return Ok(()),
            Err(error) => return Err(KindError::docker(format!("inspect the container {}", node.name))(error)),
            Ok(_) if Instant::now() > deadline => return Err(slow_removal(&node.name)),
            Ok(_) => tokio::time::sleep(POLL).await,
        }
    }
}

fn slow_removal(name: &str) -> KindError {
    KindError::Slow { what: format!("the removal of the container {name}"), seconds: GONE_TIME_MAX.as_secs() }
}

/// Creates and starts all nodes; where a port turns out to be taken, with others.
pub async fn make_nodes(site: &Site<'_>, image: &str, network_name: &str) -> Result<Vec<Seen>, KindError> {
    // Before the first container: whoever finds no note may take it that nothing was made.
    site.files.write(MADE, &Made::default())?;
    let mut refused = BTreeSet::new();
    let wanted = node::names(&site.spec.name, site.spec.workers);
    let names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    let proxy = proxy_variables(site, network_name, &names).await;
    let directory = site.files.directory().display().to_string();
    let plan = |node: &'_ str, role: Role, ports: BTreeMap<u16, u16>| {
        node::body(&NodePlan {
            cluster: &site.spec.name,
            directory: &directory,
            owner: &site.owner,
            node,
            role,
            image,
            network: network_name,
            ports,
            proxy: &proxy,
            engine: site.facts.clone(),
        })
    };
    for attempt in 1.. {
        let ports = ports::mappings(&site.spec.node_ports, &refused)?;
        let mut made = Vec::new();
        for (name, role) in &wanted {
            let own_ports = if *role == Role::ControlPlane { ports.clone() } else { BTreeMap::new() };
            made.push(make_node(site, name, plan(name, *role, own_ports)));
        }
        // All of them to the end: one that is given up half-way may come to be after all else was removed.
        let mut errors: Vec<KindError> = join_all(made).await.into_iter().filter_map(Result::err).collect();
        if errors.is_empty() {
            break;
        }
        let taken =
            |error: &KindError| matches!(error, KindError::Docker { source, .. } if registry::is_port_taken(source));
        let error = errors.remove(errors.iter().position(taken).unwrap_or(0));
        match &error {
            KindError::Docker { source, .. } if taken(&error) && attempt < PORT_ATTEMPTS_MAX => {
                site.log.line(&format!("a port is taken, others are tried: {source}"));
                refused.extend(ports::named(&source.to_string(), &ports));
                remove(site, &ours_now(site).await?).await?;
            }
            _ => return Err(error),
        }
    }
    let nodes = nodes_now(site).await?;
    let containers = nodes.iter().map(|node| node.id.clone()).collect();
    site.files.write(MADE, &Made { containers, ..Made::default() })?;
    Ok(nodes)
}

async fn make_node(site: &Site<'_>, name: &str, body: ContainerCreateBody) -> Result<(), KindError> {
    let docker = &site.engine.docker;
    let deadline = Instant::now() + GONE_TIME_MAX;
    loop {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        match docker.create_container(Some(options), body.clone()).await {
            Err(error) if registry::is_status(&error, 409) && Instant::now() < deadline => {
                clear_the_way(site, name).await?;
                tokio::time::sleep(POLL).await;
            }
            Err(error) if registry::is_status(&error, 409) => return Err(slow_removal(name)),
            Err(error) => return Err(KindError::docker(format!("make the node {name}"))(error)),
            Ok(_) => break,
        }
    }
    docker.start_container(name, None).await.map_err(KindError::docker(format!("start the node {name}")))
}

/// The name is in use. What a run of ours that was given up has left is removed; of what is just going, only the name
/// is still there; anything else is somebody's.
async fn clear_the_way(site: &Site<'_>, name: &str) -> Result<(), KindError> {
    let containers = seen::containers(&site.engine.docker).await?;
    match seen::ours(&containers, meant(site)).into_iter().find(|node| node.name == name) {
        Some(left) => remove_one(site, &left).await,
        None if seen::is_there(&containers, name) => Err(KindError::Foreign { container: name.to_owned() }),
        None => Ok(()),
    }
}

async fn proxy_variables(site: &Site<'_>, network_name: &str, nodes: &[String]) -> Vec<String> {
    let config = crate::engine::docker_configuration(&site.environment);
    let network = site.engine.docker.inspect_network(network_name, None).await.ok();
    let subnets = network.and_then(|network| network.ipam?.config).unwrap_or_default();
    let subnets: Vec<String> = subnets.into_iter().filter_map(|config| config.subnet).collect();
    let found = proxy::variables(&|name| site.variable(name), &config, &subnets, nodes);
    if let Some(proxy) = proxy::on_loopback(&found) {
        site.log.line(&format!("the proxy {proxy} listens on the loopback, where no node reaches it"));
    }
    found
}

/// Follows the console until systemd is up: a command that is run before would put cgroup v2 out of order.
pub async fn await_boot(site: &Site<'_>, node: &Seen) -> Result<(), KindError> {
    let booted = Regex::new("Reached target .*Multi-User System.*|detected cgroup v1").expect("a pattern");
    // A node that was started again has booted before.
    let started = started(site, node).await?.map_or(0, jiff::Timestamp::as_second);
    let since = i32::try_from(started).unwrap_or(0).max(0);
    let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).since(since).build();
    let follow = async {
        let mut stream = std::pin::pin!(site.engine.docker.logs(&node.id, Some(options)));
        let mut line = String::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(KindError::docker(format!("read the console of {}", node.name)))?;
            line.push_str(&String::from_utf8_lossy(chunk.as_ref()));
            if booted.is_match(&console::strip_ansi_codes(&line)) {
                return Ok(());
            }
            line = line.rsplit('\n').next().unwrap_or_default().to_owned();
        }
        Err(KindError::Ended { container: node.name.clone() })
    };
    let seconds = BOOT_TIME_MAX.as_secs();
    let slow = |_| KindError::Slow { what: format!("the boot of {}", node.name), seconds };
    tokio::time::timeout(BOOT_TIME_MAX, follow).await.map_err(slow)?
}

/// A node to run commands in.
pub fn in_node<'a>(site: &'a Site<'_>, node: &'a Seen) -> Node<'a> {
    Node { docker: &site.engine.docker, container: &node.name }
}

/// Unpacks the images that the first pods need. Node images bring them packed, and containerd would unpack each only
/// when its pod starts, one after the other and with everything waiting; here it is done while Kubernetes' own
/// controllers take their time to start. In the order of need: what a node waits for to be ready is the pods' network.
pub async fn unpack_images(site: &Site<'_>, nodes: &[Seen]) {
    let script = r#"snapshotter=$(sed -n 's/^ *snapshotter *= *"\([^"]*\)".*//p' /etc/containerd/config.toml | head -n 1)
images=$(ctr -n k8s.io images ls -q | grep -vE '^sha256:|/(etcd|pause|kube-apiserver|kube-controller-manager|kube-scheduler)[-:@]')
pick() { echo "$images" | grep "$@"; }
for image in $(pick -vE 'registry.k8s.io/|local-path') $(pick kube-proxy) $(pick -E 'coredns|local-path'); do
  directory=$(mktemp -d)
  ctr -n k8s.io images mount --snapshotter "${snapshotter:-overlayfs}" "$image" "$directory"
  ctr -n k8s.io images unmount --rm --snapshotter "${snapshotter:-overlayfs}" "$directory"
  rmdir "$directory"
done"#;
    for node in nodes {
        // It only saves time.
        if let Err(error) = in_node(site, node).detach("unpack the images", script).await {
            site.log.line(&error.to_string());
        }
    }
}

/// Whether a node has a file, running or not.
pub async fn has_file(site: &Site<'_>, node: &Seen, path: &str) -> Result<bool, KindError> {
    let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
    match site.engine.docker.get_container_archive_info(&node.name, Some(options)).await {
        Ok(_) => Ok(true),
        Err(error) if registry::is_status(&error, 404) => Ok(false),
        Err(error) => Err(KindError::docker(format!("look into the node {}", node.name))(error)),
    }
}

/// The node's addresses on the network: the first version of the protocol is what Kubernetes is told.
pub async fn address(site: &Site<'_>, node: &Seen, network_name: &str) -> Result<String, KindError> {
    let about = inspect(site, node).await?;
    let networks = about.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let endpoint = networks.get(network_name).or_else(|| networks.values().next());
    let address = endpoint.and_then(|endpoint| endpoint.ip_address.clone()).filter(|address| !address.is_empty());
    let is_address = |address: &String| address.parse::<IpAddr>().is_ok();
    address.filter(is_address).ok_or_else(|| KindError::Ended { container: node.name.clone() })
}

/// When a node's container was started last, by the clock that the node has too.
pub async fn started(site: &Site<'_>, node: &Seen) -> Result<Option<jiff::Timestamp>, KindError> {
    let state = inspect(site, node).await?.state;
    Ok(state.and_then(|state| state.started_at?.parse().ok()))
}

/// All that the engine knows of a node.
pub async fn inspect(site: &Site<'_>, node: &Seen) -> Result<ContainerInspectResponse, KindError> {
    let doing = format!("inspect the node {}", node.name);
    site.engine.docker.inspect_container(&node.name, None).await.map_err(KindError::docker(doing))
}

/// Where the API server's port is published. Docker Desktop says it in a label.
pub fn api_address(container: &ContainerInspectResponse) -> Result<String, KindError> {
    let labels = container.config.as_ref().and_then(|config| config.labels.as_ref());
    if let Some(address) = labels.and_then(|labels| labels.get("desktop.docker.io/ports/6443/tcp")) {
        return Ok(address.clone());
    }
    let port = published(container).remove(&API_PORT);
    port.map(|port| format!("127.0.0.1:{port}")).ok_or(KindError::NodeImage { what: "port" })
}

/// The node's published ports, as they were asked for.
pub fn published(container: &ContainerInspectResponse) -> BTreeMap<u16, u16> {
    let bindings = container.host_config.as_ref().and_then(|config| config.port_bindings.as_ref());
    let pairs = bindings.into_iter().flatten().filter_map(|(inside, outside)| {
        let outside = outside.as_ref()?.first()?.host_port.as_ref()?;
        Some((inside.split('/').next()?.parse().ok()?, outside.parse().ok()?))
    });
    pairs.collect()
}
