//! kubeadm's configuration of one node: pure. Each node gets all five documents, as kind's nodes do.

use serde_json::{Map, Value, json};

use super::version::KubernetesVersion;

/// The token that nodes join by. It is the same in every kind cluster: whoever reaches the API server's port on
/// Docker's own network could join, and nobody else can.
const TOKEN: &str = "abcdef.0123456789abcdef";
pub const POD_SUBNET: &str = "10.244.0.0/16";
pub const SERVICE_SUBNET: &str = "10.96.0.0/16";
const API_PORT: u16 = 6443;

/// What kubeadm has to know of a node.
#[derive(Debug, Clone)]
pub struct NodeFacts<'a> {
    pub cluster: &'a str,
    /// The container's name.
    pub node: &'a str,
    /// The first control plane's name.
    pub control_plane: &'a str,
    /// The container's address on the network `kind`.
    pub address: &'a str,
    pub is_rootless: bool,
}

/// `/kind/kubeadm.conf`.
///
/// # Panics
/// Never: plain data can be written.
pub fn configuration(version: &KubernetesVersion, facts: &NodeFacts<'_>) -> String {
    let documents =
        [cluster(version, facts), init(version, facts), join(version, facts), kubelet(version, facts), proxy(facts)];
    let text = |document| serde_yaml::to_string(document).expect("plain data with string keys");
    documents.iter().map(text).collect::<Vec<String>>().join("---\n")
}

/// Arguments of `kubeadm init` and `kubeadm join` alike; the configuration can say this from v1beta3 on.
pub fn more_arguments(version: &KubernetesVersion) -> &'static str {
    if version.is_at_least(23) { "" } else { " --skip-phases=preflight" }
}

fn endpoint(facts: &NodeFacts<'_>) -> String {
    format!("{}:{API_PORT}", facts.control_plane)
}

/// Extra arguments: a map up to v1beta3, a list from v1beta4 on.
fn arguments(version: &KubernetesVersion, arguments: &[(&str, &str)]) -> Value {
    if arguments.is_empty() {
        Value::Null
    } else if version.kubeadm_api().ends_with("v1beta4") {
        arguments.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
    } else {
        Value::Object(arguments.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect())
    }
}

const USER_NAMESPACE_GATE: (&str, &str) = ("feature-gates", "KubeletInUserNamespace=true");

fn cluster(version: &KubernetesVersion, facts: &NodeFacts<'_>) -> Value {
    let gate = facts.is_rootless.then_some(USER_NAMESPACE_GATE);
    let of = |own: &[(&'static str, &'static str)]| {
        let all: Vec<_> = own.iter().copied().chain(gate).collect();
        arguments(version, &all)
    };
    json!({
        "apiVersion": version.kubeadm_api(),
        "kind": "ClusterConfiguration",
        "kubernetesVersion": version.text,
        "clusterName": facts.cluster,
        "controlPlaneEndpoint": endpoint(facts),
        "apiServer": {
            "certSANs": ["localhost", "127.0.0.1"],
            "extraArgs": of(&[("runtime-config", "")]),
        },
        "controllerManager": {"extraArgs": of(&[("enable-hostpath-provisioner", "true")])},
        "scheduler": {"extraArgs": of(&[])},
        "networking": {"podSubnet": POD_SUBNET, "serviceSubnet": SERVICE_SUBNET},
    })
}

fn registration(version: &KubernetesVersion, facts: &NodeFacts<'_>) -> Value {
    let provider = format!("kind://docker/{}/{}", facts.cluster, facts.node);
    json!({
        "criSocket": "unix:///run/containerd/containerd.sock",
        "kubeletExtraArgs": arguments(
            version,
            &[("node-ip", facts.address), ("provider-id", &provider), ("node-labels", "")],
        ),
    })
}

/// Leaves kubeadm's own look at the machine out: much of what it warns of is as it should be in a container.
fn without_preflight(version: &KubernetesVersion, mut document: Value) -> Value {
    if version.is_at_least(23) {
        document["skipPhases"] = json!(["preflight"]);
    }
    document
}

fn init(version: &KubernetesVersion, facts: &NodeFacts<'_>) -> Value {
    let document = json!({
        "apiVersion": version.kubeadm_api(),
        "kind": "InitConfiguration",
        "bootstrapTokens": [{"token": TOKEN}],
        "localAPIEndpoint": {"advertiseAddress": facts.address, "bindPort": API_PORT},
        "nodeRegistration": registration(version, facts),
    });
    without_preflight(version, document)
}

fn join(version: &KubernetesVersion, facts: &NodeFacts<'_>) -> Value {
    let mut document = json!({
        "apiVersion": version.kubeadm_api(),
        "kind": "JoinConfiguration",
        "nodeRegistration": registration(version, facts),
        "discovery": {"bootstrapToken": {
            "apiServerEndpoint": endpoint(facts),
            "token": TOKEN,
            "unsafeSkipCAVerification": true,
        }},
    });
    if facts.node == facts.control_plane {
        document["controlPlane"] =
            json!({"localAPIEndpoint": {"advertiseAddress": facts.address, "bindPort": API_PORT}});
    }
    without_preflight(version, document)
}

fn kubelet(version: &KubernetesVersion, facts: &NodeFacts<'_>) -> Value {
    let mut document = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": if version.is_at_least(24) { "systemd" } else { "cgroupfs" },
        "cgroupRoot": "/kubelet",
        "failSwapOn": false,
        // The disk is the machine's: that it is full is no reason to evict the lesson's pods or to remove images.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
    });
    add_user_namespace_gate(&mut document, facts);
    document
}

fn proxy(facts: &NodeFacts<'_>) -> Value {
    let mut conntrack = Map::from_iter([("maxPerCore".to_owned(), json!(0))]);
    if facts.is_rootless {
        // Without root these cannot be set, and zero leaves them as they are.
        conntrack.insert("tcpEstablishedTimeout".into(), json!("0s"));
        conntrack.insert("tcpCloseWaitTimeout".into(), json!("0s"));
    }
    let mut document = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "iptables": {"minSyncPeriod": "1s"},
        "conntrack": conntrack,
    });
    add_user_namespace_gate(&mut document, facts);
    document
}

fn add_user_namespace_gate(document: &mut Value, facts: &NodeFacts<'_>) {
    if facts.is_rootless {
        document["featureGates"] = json!({"KubeletInUserNamespace": true});
    }
}
