//! A node's container: its settings are pure, and equal those that kind gives it but for one label.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, DeviceMapping, HostConfig, HostConfigCgroupnsModeEnum, PortBinding, RestartPolicy,
    RestartPolicyNameEnum, SystemInfo,
};

pub const LABEL_CLUSTER: &str = "io.x-k8s.kind.cluster";
pub const LABEL_ROLE: &str = "io.x-k8s.kind.role";
/// Ours: no container without it is ever touched.
pub const LABEL_OURS: &str = "tutorial.cluster";
/// Whose the cluster is, so that two workspaces do not take each other's.
pub const LABEL_DIRECTORY: &str = "tutorial.directory";
/// The user and the machine that made it.
pub const LABEL_OWNER: &str = "tutorial.owner";
pub const API_PORT: u16 = 6443;

/// What a node is in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    ControlPlane,
    Worker,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
        }
    }
}

/// `t-control-plane`, `t-worker`, `t-worker2`, ….
pub fn names(cluster: &str, workers: u8) -> Vec<(String, Role)> {
    let control_plane = (format!("{cluster}-control-plane"), Role::ControlPlane);
    let workers = (1..=workers).map(|number| {
        let suffix = if number == 1 { String::new() } else { number.to_string() };
        (format!("{cluster}-worker{suffix}"), Role::Worker)
    });
    std::iter::once(control_plane).chain(workers).collect()
}

/// Whether a cluster may be called so: the names of containers and hosts are made of it.
pub fn is_name(name: &str) -> bool {
    let is_plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    let edge = |character: Option<char>| character.is_some_and(|character| is_plain(character) && character != '-');
    name.len() <= 50
        && name.chars().all(|character| is_plain(character) || character == '.')
        && edge(name.chars().next())
        && edge(name.chars().last())
}

/// What the engine's own state means for a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct EngineFacts {
    pub is_rootless: bool,
    pub is_remapped: bool,
    pub needs_device_mapper: bool,
    pub is_cgroup_1: bool,
}

impl EngineFacts {
    pub fn of(info: &SystemInfo) -> Self {
        let security = info.security_options.clone().unwrap_or_default();
        let has =
            |option: &str| security.iter().any(|found| found.split(',').any(|part| part == format!("name={option}")));
        let driver = info.driver.as_deref().unwrap_or_default();
        let below = info.driver_status.iter().flatten().find_map(|pair| match pair.as_slice() {
            [name, value] if name == "Backing Filesystem" => Some(value.as_str()),
            _ => None,
        });
        let is_volume_manager = |name: &str| matches!(name, "btrfs" | "zfs" | "devicemapper");
        Self {
            is_rootless: has("rootless"),
            is_remapped: has("userns"),
            needs_device_mapper: is_volume_manager(driver)
                || below.is_some_and(|name| matches!(name, "btrfs" | "zfs" | "xfs")),
            is_cgroup_1: info.cgroup_version == Some(bollard::models::SystemInfoCgroupVersionEnum::_1),
        }
    }
}

/// A node to make.
#[derive(Debug, Clone)]
pub struct NodePlan<'a> {
    pub cluster: &'a str,
    pub directory: &'a str,
    pub owner: &'a str,
    pub node: &'a str,
    pub role: Role,
    pub image: &'a str,
    pub network: &'a str,
    /// A port of the node to one of 127.0.0.1.
    pub ports: BTreeMap<u16, u16>,
    pub proxy: &'a [String],
    pub engine: EngineFacts,
}

/// The container's settings.
pub fn body(plan: &NodePlan<'_>) -> ContainerCreateBody {
    let labels = [
        (LABEL_CLUSTER, plan.cluster),
        (LABEL_ROLE, plan.role.name()),
        (LABEL_OURS, plan.cluster),
        (LABEL_DIRECTORY, plan.directory),
        (LABEL_OWNER, plan.owner),
    ];
    let administrator = (plan.role == Role::ControlPlane).then(|| "KUBECONFIG=/etc/kubernetes/admin.conf".to_owned());
    let environment = administrator.into_iter().chain(plan.proxy.iter().cloned());
    ContainerCreateBody {
        hostname: Some(plan.node.to_owned()),
        image: Some(plan.image.to_owned()),
        tty: Some(true),
        env: Some(environment.collect()),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        volumes: Some(vec!["/var".into()]),
        exposed_ports: (!plan.ports.is_empty()).then(|| plan.ports.keys().map(|port| format!("{port}/tcp")).collect()),
        host_config: Some(host_config(plan)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(plan: &NodePlan<'_>) -> HostConfig {
    let mut binds = vec!["/lib/modules:/lib/modules:ro".to_owned()];
    if plan.engine.needs_device_mapper {
        binds.push("/dev/mapper:/dev/mapper".into());
    }
    let fuse = DeviceMapping {
        path_on_host: Some("/dev/fuse".into()),
        path_in_container: Some("/dev/fuse".into()),
        cgroup_permissions: Some("rwm".into()),
    };
    let binding = |port: &u16| PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(port.to_string()) };
    let bindings: HashMap<String, Option<Vec<PortBinding>>> =
        plan.ports.iter().map(|(inside, outside)| (format!("{inside}/tcp"), Some(vec![binding(outside)]))).collect();
    HostConfig {
        privileged: Some(true),
        security_opt: Some(vec!["seccomp=unconfined".into(), "apparmor=unconfined".into()]),
        tmpfs: Some(["/tmp", "/run"].map(|path| (path.to_owned(), String::new())).into()),
        binds: Some(binds),
        network_mode: Some(plan.network.to_owned()),
        // Once, so that a node comes back after the engine has been restarted, and a broken one does not for ever.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::ON_FAILURE),
            maximum_retry_count: Some(1),
        }),
        init: Some(false),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        port_bindings: (!bindings.is_empty()).then_some(bindings),
        userns_mode: plan.engine.is_remapped.then(|| "host".to_owned()),
        devices: plan.engine.is_rootless.then(|| vec![fuse]),
        ..HostConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes_and_clusters() {
        let found: Vec<String> = names("t", 3).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, ["t-control-plane", "t-worker", "t-worker2", "t-worker3"]);
        for name in ["tutorial", "tutorial-werf", "a.b", "1"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "a-", ".a", "A", "a_b", "a/b", "a b", &"a".repeat(51)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn what_the_engine_needs() {
        let facts = |security: &[&str], driver: &str, below: &str| {
            EngineFacts::of(&SystemInfo {
                security_options: Some(security.iter().map(|option| (*option).to_owned()).collect()),
                driver: Some(driver.into()),
                driver_status: Some(vec![vec!["Backing Filesystem".into(), below.into()]]),
                ..SystemInfo::default()
            })
        };
        assert_eq!(facts(&["name=seccomp,profile=default"], "overlay2", "extfs"), EngineFacts::default());
        assert!(facts(&["name=rootless"], "overlay2", "extfs").is_rootless);
        assert!(facts(&["name=seccomp,profile=default", "name=userns"], "overlay2", "extfs").is_remapped);
        assert!(facts(&[], "btrfs", "").needs_device_mapper);
        assert!(facts(&[], "overlay2", "xfs").needs_device_mapper);
    }

    #[test]
    fn options_that_only_some_engines_need() {
        let plan = |engine: EngineFacts| {
            let plan = NodePlan {
                cluster: "t",
                directory: "/d",
                owner: "1",
                node: "t-worker",
                role: Role::Worker,
                image: "i",
                network: "kind",
                ports: BTreeMap::new(),
                proxy: &["HTTP_PROXY=http://p".to_owned()],
                engine,
            };
            let made = body(&plan);
            (made.env.expect("set"), made.host_config.expect("set"))
        };
        let (environment, plain) = plan(EngineFacts::default());
        assert_eq!(environment, ["HTTP_PROXY=http://p"]);
        assert!(plain.devices.is_none() && plain.userns_mode.is_none() && plain.port_bindings.is_none());
        let (_, special) =
            plan(EngineFacts { is_rootless: true, is_remapped: true, needs_device_mapper: true, is_cgroup_1: false });
        assert_eq!(special.userns_mode.as_deref(), Some("host"));
        assert_eq!(special.devices.map(|devices| devices.len()), Some(1));
        assert_eq!(special.binds.map(|binds| binds.len()), Some(2));
    }
}
