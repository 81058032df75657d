//! The node's own object.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::registry::{Registry, Writer};
use super::{NODE_ADDRESS, NODE_NAME, kind};

/// Writes the node's object where it is not there.
pub fn write(registry: &Registry, now: Timestamp) {
    let nodes = kind("Node");
    if registry.get(nodes, "", NODE_NAME).is_some() {
        return;
    }
    let object = json!({
        "metadata": {
            "name": NODE_NAME,
            "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
            "labels": {
                "beta.kubernetes.io/arch": architecture(),
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": architecture(),
                "kubernetes.io/hostname": NODE_NAME,
                "kubernetes.io/os": "linux",
                "node-role.kubernetes.io/control-plane": "",
            },
        },
        "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"], "providerID": format!("tutorial://{NODE_NAME}")},
    });
    // a node that is there already, or a full disk, is no reason to end
    let _ = registry.create(nodes, object, &Writer::new("kubelet"));
    let status = status(now);
    let _ = registry.modify(nodes, "", NODE_NAME, &Writer::new("kubelet").status(), false, |live| {
        let mut node = live.clone();
        node["status"] = status.clone();
        Ok(node)
    });
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn status(now: Timestamp) -> Value {
    let time = format!("{now:.0}");
    let condition = |name: &str, status: &str, reason: &str, message: &str| {
        json!({"type": name, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": time, "lastTransitionTime": time})
    };
    let resources =
        json!({"cpu": "4", "ephemeral-storage": "50Gi", "hugepages-2Mi": "0", "memory": "8Gi", "pods": "110"});
    json!({
        "capacity": resources,
        "allocatable": resources,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "addresses": [{"type": "InternalIP", "address": NODE_ADDRESS}, {"type": "Hostname", "address": NODE_NAME}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "machineID": "", "systemUUID": "", "bootID": "",
            "kernelVersion": "embedded", "osImage": "tutorial (embedded sandbox)",
            "containerRuntimeVersion": concat!("tutorial://", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": "v1.34.2", "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": architecture(),
        },
    })
}
