//! Making a cluster, or finishing one. Whatever does not need the other goes on at the same time: the image with the
//! network; the pods' network and storage as soon as the API server answers, while kubeadm still works; the registry
//! beside all of it.
//!
//! Invariant: at each point where the process may be killed, what is there tells how far it was. A container is ours
//! by its label from the moment it exists; a control plane has a mark once kubeadm came to its end, and a worker once
//! it has joined. Before its mark, a node is removed and made anew; after it, the rest can be done again and again.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::error::KindError;
use super::files::{CONNECTION, KUBECONFIG, KUBECONFIG_READONLY, MADE, Made};
use super::kubeadm::{self, NodeFacts};
use super::node::{API_PORT, Role};
use super::nodes::{self, in_node};
use super::progress::{Phase, Step};
use super::registry::{self, Registry};
use super::seen::{self, Past, Plan, Seen};
use super::site::{Fault, Site};
use super::version::KubernetesVersion;
use super::{image, kubeconfig, manifests, network, ready, restart};
use crate::cluster::{Connection, reader, request};

/// Kubernetes itself gives up earlier; this is for an engine that hangs.
const KUBEADM_TIME_MAX: Duration = Duration::from_secs(600);
/// Marks in a node.
const INITIALISED: &str = "/kind/.tutorial-initialised";
const JOINED: &str = "/kind/.tutorial-joined";
/// In the control plane: the cluster could be worked with once. Our own note of it may be lost.
const FINISHED: &str = "/kind/.tutorial-finished";

/// Makes the cluster, or finishes what is there of it.
pub async fn provision(site: &Site<'_>) -> Result<Connection, Fault> {
    let at = |error| (Phase::Nodes, error);
    let found = nodes::nodes_now(site).await.map_err(at)?;
    let past = past(site, &found).await.map_err(at)?;
    match seen::plan(&found, site.spec.workers, past) {
        Plan::Make => Box::pin(make(site)).await,
        Plan::Finish => Box::pin(finish(site, &found, past)).await,
        Plan::MakeAnew => {
            site.log.line("what is there of the cluster is half-made: it is removed and made anew");
            nodes::remove(site, &found).await.map_err(at)?;
            Box::pin(make(site)).await
        }
    }
}

/// How far the nodes once were, by our own notes, else by the marks in the control plane.
pub async fn past(site: &Site<'_>, nodes: &[Seen]) -> Result<Past, KindError> {
    let Some(control_plane) = nodes.first().filter(|node| node.role == Role::ControlPlane) else {
        return Ok(Past::Nothing);
    };
    let made: Made = site.files.read(MADE).unwrap_or_default();
    if made.is_going {
        return Ok(Past::Nothing);
    }
    if made.is_finished && made.containers.first() == Some(&control_plane.id) {
        return Ok(Past::Finished);
    }
    if nodes::has_file(site, control_plane, FINISHED).await? {
        return Ok(Past::Finished);
    }
    let is_initialised = nodes::has_file(site, control_plane, INITIALISED).await?;
    Ok(if is_initialised { Past::Initialised } else { Past::Nothing })
}

/// What the node image says of itself.
struct ImageFacts {
    version: KubernetesVersion,
    network: String,
    storage: String,
}

async fn make(site: &Site<'_>) -> Result<Connection, Fault> {
    let network_name = network::name(&|name| site.variable(name));
    let docker = &site.engine.docker;
    fit(site).map_err(|error| (Phase::Engine, error))?;
    let (image, ()) = tokio::try_join!(
        site.phase(Phase::Image, async {
            let told = |bytes, of_bytes| site.tell(Phase::Image, Step::Moved { bytes, of_bytes }, None);
            let wanted = site.spec.image.as_deref();
            image::ensure_node_image(docker, wanted, site.facts.is_cgroup_1, &site.log, &told).await
        }),
        site.phase(Phase::Network, network::ensure(docker, &network_name, &site.log)),
    )?;
    if let Some(note) = image.note {
        site.tell(Phase::Image, Step::Finished, Some(note));
    }
    let nodes = site.phase(Phase::Nodes, nodes::make_nodes(site, &image.reference, &network_name)).await?;
    let control_plane = &nodes[0];
    let facts = site
        .phase(Phase::Boot, async {
            let mut boots = Vec::new();
            for node in &nodes {
                boots.push(nodes::await_boot(site, node));
            }
            try_join_all(boots).await?;
            image_facts(site, control_plane).await
        })
        .await?;
    if site.facts.is_cgroup_1 && facts.version.is_at_least(image::FIRST_WITHOUT_CGROUP_1) {
        return Err((Phase::Boot, refuse_cgroup_1(&facts.version)));
    }
    let ((), client, registry) = tokio::try_join!(
        site.phase(Phase::Init, initialise(site, control_plane, &facts.version, &network_name)),
        async {
            let at = |error| (Phase::Init, error);
            let client = early_client(site, control_plane, &facts.version).await.map_err(at)?;
            ready::server(&client).await.map_err(at)?;
            nodes::unpack_images(site, &nodes).await;
            add_ons(site, &client, &facts, &control_plane.name).await?;
            Ok(client)
        },
        wired_registry(site, &nodes, &network_name),
    )?;
    Box::pin(complete(site, &nodes, Some(&facts), client, &registry, &network_name)).await
}

/// Starts what was stopped, and does what is missing.
async fn finish(site: &Site<'_>, nodes: &[Seen], past: Past) -> Result<Connection, Fault> {
    let network_name = network::name(&|name| site.variable(name));
    let control_plane = &nodes[0];
    site.phase(Phase::Network, network::ensure(&site.engine.docker, &network_name, &site.log)).await?;
    let (registry, client) = tokio::try_join!(
        site.phase(Phase::Registry, registry::ensure(&site.engine.docker, &network_name, &site.log)),
        site.phase(Phase::Start, async {
            restart::start(site, nodes, &network_name).await?;
            let client = administrator(site, control_plane).await?;
            ready::server(&client).await?;
            Ok(client)
        }),
    )?;
    wire(site, nodes, &registry).await.map_err(|error| (Phase::Registry, error))?;
    // What a learner has changed in a finished cluster is theirs.
    let facts = if past == Past::Finished {
        None
    } else {
        let facts = image_facts(site, control_plane).await.map_err(|error| (Phase::Init, error))?;
        add_ons(site, &client, &facts, &control_plane.name).await?;
        Some(facts)
    };
    Box::pin(complete(site, nodes, facts.as_ref(), client, &registry, &network_name)).await
}

/// What is left once the control plane runs. All of it may be done again.
async fn complete(
    site: &Site<'_>,
    nodes: &[Seen],
    facts: Option<&ImageFacts>,
    early: kube::Client,
    registry: &Registry,
    network_name: &str,
) -> Result<Connection, Fault> {
    let control_plane = &nodes[0];
    let workers = &nodes[1..];
    let mut awaited = vec![("kube-system".to_owned(), "coredns".to_owned())];
    if let Some(facts) = facts {
        let storage = manifests::storage(&facts.storage).unwrap_or_default();
        awaited.extend(manifests::deployments(&storage));
    }
    let join = async {
        match facts {
            Some(facts) if !workers.is_empty() => {
                let mut joins = Vec::new();
                for worker in workers {
                    joins.push(join(site, control_plane, worker, &facts.version, network_name, &early));
                }
                site.phase(Phase::Join, try_join_all(joins)).await.map(drop)
            }
            _ => Ok(()),
        }
    };
    let untaint = async {
        match facts {
            Some(facts) if workers.is_empty() => {
                let taint = facts.version.control_plane_taint();
                ready::untaint(&early, &control_plane.name, taint).await.map_err(|error| (Phase::Init, error))
            }
            _ => Ok(()),
        }
    };
    let is_ready = site.phase(Phase::Ready, async {
        for node in nodes {
            ready::kubelet(&early, &node.name, nodes::started(site, node).await?).await?;
        }
        ready::nodes(&early, nodes.len()).await?;
        site.log.line("all nodes are ready");
        let mut deployments = Vec::new();
        for (namespace, name) in &awaited {
            deployments.push(ready::deployment(&early, namespace, name));
        }
        tokio::try_join!(try_join_all(deployments), ready::service_account(&early)).map(drop)
    });
    let access = site.phase(Phase::Access, async {
        registry::publish(&early, registry).await.map_err(KindError::api("the registry's announcement"))?;
        give_access(site, control_plane, registry, &early).await
    });
    let ((), (), (), connection) = tokio::try_join!(join, untaint, is_ready, access)?;
    // That it cannot be left costs no more than that a lost note is no longer made up for.
    let mark = format!("touch {FINISHED}");
    if let Err(error) = in_node(site, control_plane).script("note the end", &mark, Vec::new(), None).await {
        site.log.line(&error.to_string());
    }
    let containers = nodes.iter().map(|node| node.id.clone()).collect();
    let made = Made { containers, is_finished: true, is_going: false };
    let keep = || {
        site.files.write(CONNECTION, &connection)?;
        site.files.write(MADE, &made)
    };
    keep().map_err(|error| (Phase::Access, error))?;
    Ok(connection)
}

/// What can be known to fail before anything is made.
fn fit(site: &Site<'_>) -> Result<(), KindError> {
    let lacks = |what: Option<bool>| what == Some(false);
    if let Some(host) = site.engine.place.far_host() {
        return Err(KindError::Unfit {
            what: format!("Docker runs on {host}, and what it publishes on 127.0.0.1 is not reached from here"),
            remedy: "use the Docker of this machine (`unset DOCKER_HOST DOCKER_CONTEXT`), or `--sandbox embedded`"
                .into(),
        });
    }
    if site.facts.is_rootless {
        if site.facts.is_cgroup_1 {
            return Err(KindError::Unfit {
                what: "Docker runs without root, and the machine has cgroup v1".into(),
                remedy: "boot with cgroup v2 (`systemd.unified_cgroup_hierarchy=1`), or use the Docker of root".into(),
            });
        }
        if lacks(site.info.memory_limit) || lacks(site.info.pids_limit) || lacks(site.info.cpu_shares) {
            return Err(KindError::Unfit {
                what: "Docker runs without root, and may not limit memory, processes and CPU".into(),
                remedy: "write `[Service]` and `Delegate=yes` to \
                         `/etc/systemd/system/user@.service.d/delegate.conf`, then `sudo systemctl daemon-reload` and \
                         log in again"
                    .into(),
            });
        }
    }
    Ok(())
}

fn refuse_cgroup_1(version: &KubernetesVersion) -> KindError {
    KindError::Unfit {
        what: format!("Kubernetes {} needs cgroup v2, and the machine has v1", version.text),
        remedy: "name an image of Kubernetes 1.34 or older with `--image`, or boot with cgroup v2 \
                 (`systemd.unified_cgroup_hierarchy=1`)"
            .into(),
    }
}

const CUT: &str = "\n--- tutorial: next file ---\n";

/// Reads version and manifests in one go: each command in a node costs a tenth of a second.
async fn image_facts(site: &Site<'_>, node: &Seen) -> Result<ImageFacts, KindError> {
    let script = format!(
        "cat /kind/version; for name in cni storage; do printf '{}'; cat /kind/manifests/default-$name.yaml || true; done",
        CUT.escape_default()
    );
    let text = in_node(site, node).script("read the image's version", &script, Vec::new(), None).await?;
    let mut parts = text.split(CUT);
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let version = KubernetesVersion::read(&next()).ok_or(KindError::NodeImage { what: "version" })?;
    Ok(ImageFacts { version, network: next(), storage: next() })
}

/// Older images do not look for registries' addresses by themselves.
const READ_CERTS_D: &str = r#"if ! grep -q config_path /etc/containerd/config.toml; then
  printf '\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n' >>/etc/containerd/config.toml
  systemctl restart containerd
fi"#;

/// Writes a node's configuration and runs kubeadm, in one command, which leaves a mark in the end.
async fn kubeadm(
    site: &Site<'_>,
    control_plane: &Seen,
    node: &Seen,
    version: &KubernetesVersion,
    network_name: &str,
) -> Result<(), KindError> {
    let address = nodes::address(site, node, network_name).await?;
    let configuration = kubeadm::configuration(
        version,
        &NodeFacts {
            cluster: &site.spec.name,
            node: &node.name,
            control_plane: &control_plane.name,
            address: &address,
            is_rootless: site.facts.is_rootless,
        },
    );
    let more = kubeadm::more_arguments(version);
    let (called, command, mark) = match node.role {
        Role::ControlPlane => {
            let arguments = "--config=/kind/kubeadm.conf --skip-token-print --v=6";
            ("kubeadm init", format!("kubeadm init {arguments}{more}"), INITIALISED)
        }
        Role::Worker => ("kubeadm join", format!("kubeadm join --config /kind/kubeadm.conf --v=6{more}"), JOINED),
    };
    let script = format!(
        "set -e\nmkdir -p /kind\nexec 9>/kind/.tutorial-lock\nflock 9\nprintf %s \"$TUTORIAL_KUBEADM\" >/kind/kubeadm.conf\nunset TUTORIAL_KUBEADM\n\
         {READ_CERTS_D}\n{command}\ntouch {mark}\n"
    );
    let environment = vec![format!("TUTORIAL_KUBEADM={configuration}")];
    let run = in_node(site, node);
    let run = run.script(called, &script, environment, Some(&site.log));
    let slow = |_| KindError::Slow { what: format!("`{called}`"), seconds: KUBEADM_TIME_MAX.as_secs() };
    tokio::time::timeout(KUBEADM_TIME_MAX, run).await.map_err(slow)?.map(drop)
}

async fn initialise(
    site: &Site<'_>,
    control_plane: &Seen,
    version: &KubernetesVersion,
    network_name: &str,
) -> Result<(), KindError> {
    kubeadm(site, control_plane, control_plane, version, network_name).await
}

/// Joins a worker that has not joined. kubeadm may still be at work from a run that was killed: it is waited for.
async fn join(
    site: &Site<'_>,
    control_plane: &Seen,
    worker: &Seen,
    version: &KubernetesVersion,
    network_name: &str,
    client: &kube::Client,
) -> Result<(), KindError> {
    let look = format!(
        "exec 9>/kind/.tutorial-lock; flock -w 300 9; if [ -e {JOINED} ]; then echo joined; \
         elif [ -e /etc/kubernetes/kubelet.conf ]; then echo half; fi"
    );
    let found = in_node(site, worker).script("look how far the worker is", &look, Vec::new(), None).await?;
    match found.trim() {
        "joined" => return Ok(()),
        "half" => {
            // A node of this name that is ready would be in kubeadm's way.
            let node = format!("/api/v1/nodes/{}", worker.name);
            request::delete(client, &node).await.map_err(KindError::api("the removal of a half-joined node"))?;
            let reset = in_node(site, worker);
            reset.script("kubeadm reset", "kubeadm reset --force", Vec::new(), Some(&site.log)).await?;
        }
        _ => {}
    }
    kubeadm(site, control_plane, worker, version, network_name).await
}

/// A client as soon as kubeadm has written an administrator's credentials, which is before the server answers. From
/// 1.29 on the usual administrator gets their rights only later; another one has them from the beginning.
async fn early_client(
    site: &Site<'_>,
    control_plane: &Seen,
    version: &KubernetesVersion,
) -> Result<kube::Client, KindError> {
    let name = if version.is_at_least(29) { "super-admin.conf" } else { "admin.conf" };
    let script = format!(
        "for _ in $(seq 1200); do [ -s /etc/kubernetes/{name} ] && break; sleep 0.1; done; cat /etc/kubernetes/{name}"
    );
    let text =
        in_node(site, control_plane).script("wait for the administrator's key", &script, Vec::new(), None).await?;
    connect(site, control_plane, &text).await
}

/// A client of the administrator's.
async fn administrator(site: &Site<'_>, control_plane: &Seen) -> Result<kube::Client, KindError> {
    let text = administrators_file(site, control_plane).await?;
    connect(site, control_plane, &text).await
}

async fn administrators_file(site: &Site<'_>, control_plane: &Seen) -> Result<String, KindError> {
    let read = in_node(site, control_plane);
    read.script("read the administrator's key", "cat /etc/kubernetes/admin.conf", Vec::new(), None).await
}

async fn connect(site: &Site<'_>, control_plane: &Seen, text: &str) -> Result<kube::Client, KindError> {
    let address = nodes::api_address(&nodes::inspect(site, control_plane).await?)?;
    kubeconfig::client(&kubeconfig::rewrite(text, &site.spec.name, &address)?, None).await
}

/// The pods' network and storage.
async fn add_ons(site: &Site<'_>, client: &kube::Client, facts: &ImageFacts, control_plane: &str) -> Result<(), Fault> {
    let unreadable = |what| move |_| KindError::NodeImage { what };
    site.phase(Phase::Cni, async {
        let objects = manifests::network(&facts.network, control_plane).map_err(unreadable("network manifest"))?;
        ready::create(client, "the pods' network", &objects).await
    })
    .await?;
    site.phase(Phase::Storage, async {
        let objects = manifests::storage(&facts.storage).map_err(unreadable("storage manifest"))?;
        ready::create(client, "the pods' storage", &objects).await
    })
    .await
}

async fn wired_registry(site: &Site<'_>, nodes: &[Seen], network_name: &str) -> Result<Registry, Fault> {
    let registry = registry::ensure(&site.engine.docker, network_name, &site.log);
    let registry = site.phase(Phase::Registry, registry).await?;
    wire(site, nodes, &registry).await.map_err(|error| (Phase::Registry, error))?;
    Ok(registry)
}

async fn wire(site: &Site<'_>, nodes: &[Seen], registry: &Registry) -> Result<(), KindError> {
    let mut wires = Vec::new();
    for node in nodes {
        wires.push(registry::wire(in_node(site, node), registry, &site.log));
    }
    try_join_all(wires).await.map(drop)
}

/// Writes the kubeconfigs and says how to reach the cluster.
async fn give_access(
    site: &Site<'_>,
    control_plane: &Seen,
    registry: &Registry,
    client: &kube::Client,
) -> Result<Connection, KindError> {
    let about = nodes::inspect(site, control_plane).await?;
    let text = administrators_file(site, control_plane).await?;
    let text = kubeconfig::rewrite(&text, &site.spec.name, &nodes::api_address(&about)?)?;
    site.files.write_text(KUBECONFIG, &text)?;
    let administrator =
        kube::config::Kubeconfig::from_yaml(&text).map_err(|_| KindError::NodeImage { what: "kubeconfig" })?;
    let (token, version) = tokio::try_join!(
        async { reader::ensure(client.clone()).await.map_err(KindError::Reader) },
        ready::version(client),
    )?;
    let reader = reader::kubeconfig(&administrator, None, &token).map_err(KindError::Reader)?;
    site.files.write_text(KUBECONFIG_READONLY, &reader)?;
    let mut node_ports = nodes::published(&about);
    node_ports.remove(&API_PORT);
    Ok(Connection {
        kubeconfig: site.files.path(KUBECONFIG),
        kubeconfig_readonly: site.files.path(KUBECONFIG_READONLY),
        registry: registry.address(),
        host: crate::cluster::this_machine(),
        node_ports,
        kind: "kind".into(),
        version,
    })
}
