//! Starting nodes that were stopped: by `stop`, by a reboot, by an engine's restart.
//!
//! A container may get another address than it had, when another cluster or the registry was started first. Kubernetes
//! wrote the old one into its own configuration; there it is replaced, and the certificates that name it are made
//! anew, as `kubeadm` itself makes them.

use futures_util::future::try_join_all;

use super::error::KindError;
use super::node::Role;
use super::nodes::{self, in_node};
use super::seen::Seen;
use super::site::Site;

/// Starts what is stopped and returns once all nodes have booted and know their addresses.
pub async fn start(site: &Site<'_>, nodes: &[Seen], network_name: &str) -> Result<(), KindError> {
    // One after the other in their old order, so that most get their old addresses.
    for node in nodes.iter().filter(|node| !node.is_running) {
        let doing = format!("start the node {}", node.name);
        site.engine.docker.start_container(&node.id, None).await.map_err(KindError::docker(doing))?;
    }
    let mut starts = Vec::new();
    for node in nodes {
        starts.push(settle(site, node, network_name));
    }
    try_join_all(starts).await.map(drop)
}

async fn settle(site: &Site<'_>, node: &Seen, network_name: &str) -> Result<(), KindError> {
    if !node.is_running {
        nodes::await_boot(site, node).await?;
    }
    let address = nodes::address(site, node, network_name).await?;
    let certificates = match node.role {
        Role::ControlPlane => CERTIFICATES,
        Role::Worker => "",
    };
    let environment = vec![format!("TUTORIAL_ADDRESS={address}")];
    let script = format!("{REPLACE}{certificates}{AGAIN}");
    in_node(site, node).script("give the node its new address", &script, environment, Some(&site.log)).await.map(drop)
}

/// Ends at once where the address is the one that kubeadm was told.
const REPLACE: &str = r#"set -e
old=$(sed -n 's/^ *advertiseAddress: *//p' /kind/kubeadm.conf | head -n 1)
if [ -z "$old" ] || [ "$old" = "$TUTORIAL_ADDRESS" ]; then exit 0; fi
echo "the address was $old and is $TUTORIAL_ADDRESS"
# systemd may still be on its way, if the console said no more than that a cgroup was found.
for _ in $(seq 200); do systemctl stop kubelet 2>/dev/null && break; sleep 0.1; done
pattern=$(printf %s "$old" | sed 's/\./\\./g')
for file in /etc/kubernetes/manifests/*.yaml /etc/kubernetes/*.conf /var/lib/kubelet/kubeadm-flags.env /var/lib/kubelet/*.yaml; do
  if [ -f "$file" ]; then sed -i "s/\b$pattern\b/$TUTORIAL_ADDRESS/g" "$file"; fi
done
"#;

const CERTIFICATES: &str = r#"sed "s/\b$pattern\b/$TUTORIAL_ADDRESS/g" /kind/kubeadm.conf >/tmp/tutorial-kubeadm.conf
cd /etc/kubernetes/pki
rm -f apiserver.crt apiserver.key etcd/server.crt etcd/server.key etcd/peer.crt etcd/peer.key
for part in apiserver etcd-server etcd-peer; do
  kubeadm init phase certs $part --config /tmp/tutorial-kubeadm.conf
done
# Where the engine had started the node before us, these run already, with the address that they read at their start.
for program in kube-scheduler kube-controller-manager; do
  for process in $(pidof "$program" || true); do kill "$process" || true; done
done
"#;

/// The configuration last: a run that is killed before is done again.
const AGAIN: &str = r#"sed -i "s/\b$pattern\b/$TUTORIAL_ADDRESS/g" /kind/kubeadm.conf
systemctl start kubelet
"#;
