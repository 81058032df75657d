//! Whether this machine's Docker can carry a kind cluster: what people who use kind meet, each as a row of its own.
//! The probes collect facts; what they mean is pure.

use std::time::Duration;

use bollard::Docker;
use bollard::models::{SystemInfo, SystemInfoCgroupVersionEnum};
use futures_util::StreamExt;

use super::{Finding, State, Surroundings};
use crate::engine::{self, EngineError};
use crate::error::Explain;

/// How long the engine may take to answer all that it is asked.
const TIME_MAX: Duration = Duration::from_secs(3);
const GIGABYTE: u64 = 1_000_000_000;
/// A kubeadm configuration is a few kilobytes.
const ARCHIVE_BYTES_MAX: usize = 1024 * 1024;
const NODE_IMAGES: &str = "kindest/node";

/// What is known of an engine that answers.
#[derive(Debug, Clone, Default)]
struct Facts {
    /// `28.2.2`, and where it was found.
    engine: String,
    is_podman: bool,
    /// The engine's first number, 28.
    major: Option<u64>,
    info: SystemInfo,
    /// Why it does not say what it is like.
    no_info: Option<String>,
    /// The networks' subnets.
    subnets: Vec<String>,
    has_network: bool,
    /// Nodes of ours whose address is not the one that Kubernetes was told.
    moved: Vec<String>,
    /// The node images that are here.
    images: Vec<String>,
    /// `max_user_watches` and `max_user_instances`.
    inotify: Option<(u64, u64)>,
    /// Free space where Docker's data lies.
    disk_free_bytes: Option<u64>,
    has_ipv6: bool,
    /// `DOCKER_DEFAULT_PLATFORM`.
    platform: Option<String>,
    proxy: Option<String>,
}

/// All rows on Docker; one alone where no engine answers.
pub async fn examine(surroundings: &Surroundings) -> Vec<Finding> {
    match tokio::time::timeout(TIME_MAX, facts(surroundings)).await {
        Ok(Ok(facts)) => judge(&facts),
        Ok(Err(error)) => vec![unusable(&error)],
        Err(_) => {
            vec![row(
                "docker",
                State::Warning,
                "its engine did not answer in time",
                ENGINE,
                "`docker version` says how it is",
            )]
        }
    }
}

const ENGINE: &str = "20.10 or later for `--sandbox kind`; the embedded sandbox does without";

fn row(name: &str, state: State, found: impl Into<String>, needed: &str, remedy: impl Into<String>) -> Finding {
    Finding::new(name, state, found, needed, remedy)
}

fn unusable(error: &EngineError) -> Finding {
    let found = match error {
        EngineError::Absent => "not installed, or its engine does not run; which is fine".to_owned(),
        other => other.to_string(),
    };
    row("docker", State::Warning, found, ENGINE, error.hint().unwrap_or_default())
}

async fn facts(surroundings: &Surroundings) -> Result<Facts, EngineError> {
    let engine = engine::connect(&surroundings.environment).await?;
    let filters = std::collections::HashMap::from([("reference", vec![NODE_IMAGES])]);
    let images = bollard::query_parameters::ListImagesOptionsBuilder::new().filters(&filters).build();
    let (info, images, networks, moved) = tokio::join!(
        engine.docker.info(),
        engine.docker.list_images(Some(images)),
        engine.docker.list_networks(None),
        moved(&engine.docker),
    );
    let no_info = info.as_ref().err().map(ToString::to_string);
    let info = info.unwrap_or_default();
    let networks = networks.unwrap_or_default();
    let configurations = networks.iter().filter_map(|network| network.ipam.as_ref()?.config.as_ref()).flatten();
    let images = images.unwrap_or_default().into_iter().flat_map(|image| image.repo_tags).collect();
    let podman = if engine.is_podman() { "Podman " } else { "" };
    let number = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
    };
    let root = info.docker_root_dir.clone().unwrap_or_default();
    let disk = rustix::fs::statvfs(root.as_str()).ok().filter(|_| !root.is_empty());
    // The nodes get the environment's proxy, else the one that the docker command gives to containers.
    let proxy = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
    let proxy = proxy.into_iter().find_map(|name| surroundings.variable(name)).map(str::to_owned);
    let configuration = engine::docker_configuration(&surroundings.environment);
    let of_containers = &configuration["proxies"]["default"];
    let configured = ["httpsProxy", "httpProxy"].iter().find_map(|key| of_containers[*key].as_str());
    Ok(Facts {
        is_podman: engine.is_podman(),
        major: engine.version().split('.').next().and_then(|major| major.parse().ok()),
        no_info,
        subnets: configurations.filter_map(|configuration| configuration.subnet.clone()).collect(),
        has_network: networks.iter().any(|network| network.name.as_deref() == Some("kind")),
        moved,
        engine: format!("{podman}{} at {}", engine.version(), engine.place.address),
        images,
        inotify: number("max_user_watches").zip(number("max_user_instances")),
        disk_free_bytes: disk.map(|about| about.f_bavail.saturating_mul(about.f_frsize)),
        // Where this cannot be read, as on macOS, the engine has a Linux of its own.
        has_ipv6: !std::path::Path::new("/proc/sys/net").exists()
            || std::path::Path::new("/proc/sys/net/ipv6").exists(),
        platform: surroundings.variable("DOCKER_DEFAULT_PLATFORM").map(str::to_owned),
        proxy: proxy.or_else(|| configured.map(str::to_owned)),
        info,
    })
}

/// What the facts mean. A row for each thing that was looked at, so that nobody wonders whether it was.
fn judge(facts: &Facts) -> Vec<Finding> {
    let mut rows = vec![match &facts.no_info {
        None => row("docker", State::Ok, facts.engine.clone(), ENGINE, ""),
        Some(cause) => {
            let found = format!("{}, which does not say what it is like: {cause}", facts.engine);
            row("docker", State::Warning, found, ENGINE, "`docker info` says how it is")
        }
    }];
    rows.extend(podman(facts));
    rows.push(image(facts));
    rows.extend(watches(facts));
    rows.extend(nodes(facts));
    if facts.no_info.is_some() {
        rows.extend([proxy(facts), ipv6(facts)]);
        return rows;
    }
    rows.push(image_store(facts));
    rows.push(addresses(facts));
    rows.push(cgroups(facts));
    rows.extend(rootless(facts));
    rows.extend(wsl(facts));
    rows.push(storage(facts));
    rows.extend(disk(facts));
    rows.extend(memory(facts));
    rows.push(platform(facts));
    rows.push(proxy(facts));
    rows.push(ipv6(facts));
    rows
}

/// Nobody has played a course on Podman yet.
fn podman(facts: &Facts) -> Option<Finding> {
    let needed = "Docker; a kind cluster on Podman is untried";
    let remedy = "if it does not work, use Docker, or the sandbox that is built in: `--sandbox embedded`";
    facts.is_podman.then(|| row("podman", State::Warning, "it stands in for Docker", needed, remedy))
}

/// A node's address may change when it is started again. Kubernetes was told the old one.
fn nodes(facts: &Facts) -> Option<Finding> {
    let needed = "the addresses that Kubernetes was told";
    let remedy = "`tutorial stop`, then `tutorial start`, tells it the new ones";
    let found = || format!("{} got another address in a restart", facts.moved.join(", "));
    (!facts.moved.is_empty()).then(|| row("nodes", State::Warning, found(), needed, remedy))
}

/// Our nodes that run at another address than `kubeadm` was told.
async fn moved(docker: &Docker) -> Vec<String> {
    // The label of the nodes that we make.
    let filters = std::collections::HashMap::from([("label", vec!["tutorial.cluster"])]);
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new().filters(&filters).build();
    let containers = docker.list_containers(Some(options)).await.unwrap_or_default();
    let looks = containers.into_iter().map(async |container| {
        let name = container.names?.first()?.trim_start_matches('/').to_owned();
        let networks = container.network_settings?.networks?;
        let now = networks.into_values().find_map(|network| network.ip_address.filter(|found| !found.is_empty()))?;
        let told = told_address(docker, &container.id?).await?;
        (told != now).then_some(name)
    });
    futures_util::future::join_all(looks).await.into_iter().flatten().collect()
}

/// The address in a node's `kubeadm.conf`, read without running anything in it.
async fn told_address(docker: &Docker, container: &str) -> Option<String> {
    let options = bollard::query_parameters::DownloadFromContainerOptionsBuilder::new();
    let options = options.path("/kind/kubeadm.conf").build();
    let mut archive = Vec::new();
    let mut chunks = std::pin::pin!(docker.download_from_container(container, Some(options)));
    while let Some(Ok(chunk)) = chunks.next().await {
        archive.extend_from_slice(&chunk);
        if archive.len() > ARCHIVE_BYTES_MAX {
            return None;
        }
    }
    advertised(&String::from_utf8_lossy(&archive))
}

fn advertised(configuration: &str) -> Option<String> {
    let line = configuration.lines().find_map(|line| line.trim().strip_prefix("advertiseAddress:"))?;
    Some(line.trim().trim_matches(['"', '\'']).to_owned())
}

/// Since Docker 29 images lie in containerd's store, which exports the list of all platforms and the content of one.
fn image_store(facts: &Facts) -> Finding {
    let status = facts.info.driver_status.iter().flatten();
    let is_containerds = status.into_iter().flatten().any(|text| text.starts_with("io.containerd.snapshotter"));
    let needed = "images of one platform, where they are loaded into nodes";
    if !is_containerds {
        return row("image store", State::Ok, "Docker's own", needed, "");
    }
    if facts.major.is_none_or(|major| major < 29) {
        return row("image store", State::Ok, "containerd's", needed, "");
    }
    let remedy = "tutorial loads one platform by itself; where kind's command says `content digest … not found`: \
                  `docker save --platform linux/amd64 IMAGE -o FILE`, then `kind load image-archive FILE`";
    row("image store", State::Warning, "containerd's, of Docker 29 or later", needed, remedy)
}

/// Docker makes each network of a pool of addresses, and has few: 31 where nobody set others.
fn addresses(facts: &Facts) -> Finding {
    let needed = "room for the network of the nodes";
    let pools = facts.info.default_address_pools.iter().flatten();
    let sizes: Vec<u64> = pools.filter_map(|pool| pool_size(pool.base.as_deref()?, pool.size?)).collect();
    let room = if sizes.is_empty() { 31 } else { sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size)) };
    let used = facts.subnets.iter().filter(|subnet| !subnet.contains(':')).count() as u64;
    let found = format!("{used} of Docker's {room} networks are made");
    if used < room || facts.has_network {
        return row("addresses", State::Ok, found, needed, "");
    }
    let remedy = "`docker network prune` removes networks that nobody uses; a VPN may hold addresses too";
    row("addresses", State::Warning, found, needed, remedy)
}

/// How many networks of a size a pool such as `172.17.0.0/12` has.
fn pool_size(base: &str, size: i64) -> Option<u64> {
    let prefix: i64 = base.rsplit('/').next()?.parse().ok()?;
    let bits = u32::try_from(size.checked_sub(prefix)?).ok()?;
    Some(1_u64.checked_shl(bits).unwrap_or(u64::MAX))
}

fn image(facts: &Facts) -> Finding {
    let needed = "a node image for `--sandbox kind`; about 400 MB where it is not here";
    match facts.images.as_slice() {
        [] => row(
            "node image",
            State::Warning,
            "not here yet; it will be fetched",
            needed,
            "`tutorial cluster start --sandbox kind` fetches it",
        ),
        images => row("node image", State::Ok, images.join(", "), needed, ""),
    }
}

/// Each node needs many; without them it does not boot, and says that the disk is full.
fn watches(facts: &Facts) -> Option<Finding> {
    let (watches, instances) = facts.inotify?;
    let needed = "524288 watches and 512 instances for several nodes";
    let found = format!("{watches} watches, {instances} instances");
    if watches > 8192 && instances > 128 {
        return Some(row("watches", State::Ok, found, needed, ""));
    }
    let remedy = "`sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`";
    Some(row("watches", State::Warning, format!("{found}, which a second cluster may use up"), needed, remedy))
}

fn cgroups(facts: &Facts) -> Finding {
    let needed = "version 2 for Kubernetes 1.35 and later";
    match facts.info.cgroup_version {
        Some(SystemInfoCgroupVersionEnum::_1) => row(
            "cgroups",
            State::Warning,
            "version 1, so Kubernetes 1.34 is taken",
            needed,
            "boot with `systemd.unified_cgroup_hierarchy=1` for a later one",
        ),
        Some(SystemInfoCgroupVersionEnum::_2) => row("cgroups", State::Ok, "version 2", needed, ""),
        _ => row("cgroups", State::Ok, "not known", needed, ""),
    }
}

fn has_security(facts: &Facts, name: &str) -> bool {
    let options = facts.info.security_options.iter().flatten();
    options.into_iter().any(|option| option.split(',').any(|part| part == format!("name={name}")))
}

fn rootless(facts: &Facts) -> Option<Finding> {
    if !has_security(facts, "rootless") {
        return None;
    }
    let needed = "leave to limit memory, processes and CPU";
    let limits = [facts.info.memory_limit, facts.info.pids_limit, facts.info.cpu_shares];
    if limits.iter().all(|limit| *limit != Some(false)) {
        return Some(row("rootless", State::Ok, "Docker runs without root, and may set limits", needed, ""));
    }
    Some(row(
        "rootless",
        State::Warning,
        "Docker runs without root, and may not set limits",
        needed,
        "write `[Service]` and `Delegate=yes` to `/etc/systemd/system/user@.service.d/delegate.conf`, then `sudo \
         systemctl daemon-reload` and log in again",
    ))
}

fn wsl(facts: &Facts) -> Option<Finding> {
    let kernel = facts.info.kernel_version.as_deref().unwrap_or_default();
    if !kernel.to_lowercase().contains("microsoft") {
        return None;
    }
    let is_mixed = facts.info.cgroup_version == Some(SystemInfoCgroupVersionEnum::_1);
    let needed = "cgroup version 2 alone";
    let remedy = "add `kernelCommandLine = cgroup_no_v1=all` below `[wsl2]` in `.wslconfig`, then `wsl --shutdown`";
    Some(if is_mixed {
        row("wsl", State::Warning, format!("{kernel}, with cgroup version 1"), needed, remedy)
    } else {
        row("wsl", State::Ok, kernel, needed, "")
    })
}

fn storage(facts: &Facts) -> Finding {
    let driver = facts.info.driver.as_deref().unwrap_or("not known");
    let needed = "overlay2 on ext4 or xfs";
    if matches!(driver, "btrfs" | "zfs") {
        let remedy =
            "let Docker's data lie on ext4 or xfs (`data-root` in /etc/docker/daemon.json) if nodes do not start";
        return row(
            "storage",
            State::Warning,
            format!("{driver}, on which some kubelets do not start"),
            needed,
            remedy,
        );
    }
    row("storage", State::Ok, driver, needed, "")
}

fn disk(facts: &Facts) -> Option<Finding> {
    let free = facts.disk_free_bytes?;
    let needed = "3 GB free in Docker's directory";
    let found = format!("{:.1} GB free", giga(free));
    Some(if free >= 3 * GIGABYTE {
        row("docker disk", State::Ok, found, needed, "")
    } else {
        row("docker disk", State::Warning, found, needed, "`docker system prune` makes room")
    })
}

#[allow(clippy::cast_precision_loss, reason = "one digit is shown")]
fn giga(bytes: u64) -> f64 {
    bytes as f64 / GIGABYTE as f64
}

fn memory(facts: &Facts) -> Option<Finding> {
    let total = u64::try_from(facts.info.mem_total?).ok()?;
    let needed = "2 GB for one node, 1 GB more for each further one";
    let found = format!("{:.1} GB", giga(total));
    Some(if total >= 2 * GIGABYTE {
        row("memory", State::Ok, found, needed, "")
    } else {
        row("memory", State::Warning, found, needed, "give Docker's virtual machine more memory in its settings")
    })
}

/// Docker names processors otherwise than the platform's name does.
fn platform(facts: &Facts) -> Finding {
    let needed = "images for the engine's own processor";
    let own = match facts.info.architecture.as_deref() {
        Some("x86_64") => "linux/amd64".to_owned(),
        Some("aarch64" | "arm64") => "linux/arm64".to_owned(),
        other => other.unwrap_or("not known").to_owned(),
    };
    match &facts.platform {
        Some(platform) if !platform.starts_with(&own) => row(
            "platform",
            State::Warning,
            format!("DOCKER_DEFAULT_PLATFORM is {platform}, the engine is {own}"),
            needed,
            "`unset DOCKER_DEFAULT_PLATFORM`",
        ),
        _ => row("platform", State::Ok, own, needed, ""),
    }
}

fn proxy(facts: &Facts) -> Finding {
    let needed = "none, or one that containers can reach";
    let Some(proxy) = &facts.proxy else { return row("proxy", State::Ok, "none", needed, "") };
    let host = proxy.split("://").last().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    if ["127.", "localhost", "[::1]"].iter().any(|start| host.starts_with(start)) {
        let remedy = "name it by the machine's address on Docker's network, not by 127.0.0.1";
        return row("proxy", State::Warning, format!("{host} is reached by no container"), needed, remedy);
    }
    row("proxy", State::Ok, host, needed, "")
}

fn ipv6(facts: &Facts) -> Finding {
    let needed = "optional: the nodes' network does with IPv4 alone";
    let found = if facts.has_ipv6 { "there" } else { "not there; IPv4 alone is used" };
    row("ipv6", State::Ok, found, needed, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            engine: "28.2.2 at unix:///var/run/docker.sock".into(),
            major: Some(28),
            subnets: vec!["172.17.0.0/16".into(), "fc00:f853:ccd:e793::/64".into()],
            info: SystemInfo {
                cgroup_version: Some(SystemInfoCgroupVersionEnum::_2),
                driver: Some("overlay2".into()),
                architecture: Some("x86_64".into()),
                mem_total: Some(16_000_000_000),
                ..SystemInfo::default()
            },
            images: vec!["kindest/node:v1.34.2".into()],
            inotify: Some((524_288, 512)),
            disk_free_bytes: Some(100 * GIGABYTE),
            has_ipv6: true,
            platform: None,
            proxy: None,
            ..Facts::default()
        }
    }

    #[test]
    fn a_machine_that_is_fit() {
        let rows = judge(&facts());
        assert!(rows.iter().all(|row| row.state == State::Ok), "{rows:#?}");
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let expected = [
            "docker",
            "node image",
            "watches",
            "image store",
            "addresses",
            "cgroups",
            "storage",
            "docker disk",
            "memory",
            "platform",
            "proxy",
            "ipv6",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn each_trouble_has_a_row_and_a_remedy() {
        fn check(name: &str, change: impl Fn(&mut Facts), found: &str, remedy: &str) {
            let mut facts = facts();
            change(&mut facts);
            let rows = judge(&facts);
            let row = rows.iter().find(|row| row.state == State::Warning).expect("a warning");
            assert_eq!(row.name, name);
            assert!(row.found.contains(found), "{row:?}");
            assert!(row.remedy.contains(remedy), "{row:?}");
        }
        check("node image", |facts| facts.images.clear(), "will be fetched", "cluster start --sandbox kind");
        check("watches", |facts| facts.inotify = Some((8192, 128)), "8192 watches", "max_user_instances=512");
        let version_1 = |facts: &mut Facts| facts.info.cgroup_version = Some(SystemInfoCgroupVersionEnum::_1);
        check("cgroups", version_1, "1.34 is taken", "unified_cgroup_hierarchy=1");
        let rootless = |facts: &mut Facts| {
            facts.info.security_options = Some(vec!["name=rootless".into()]);
            facts.info.pids_limit = Some(false);
        };
        check("rootless", rootless, "may not set limits", "Delegate=yes");
        check("storage", |facts| facts.info.driver = Some("zfs".into()), "zfs", "data-root");
        check("docker disk", |facts| facts.disk_free_bytes = Some(GIGABYTE), "1.0 GB free", "docker system prune");
        check("memory", |facts| facts.info.mem_total = Some(1_000_000_000), "1.0 GB", "more memory");
        check("platform", |facts| facts.platform = Some("linux/arm64".into()), "linux/arm64", "unset");
        check("proxy", |facts| facts.proxy = Some("http://me:x@127.0.0.1:3128".into()), "127.0.0.1:3128", "address");
        check("podman", |facts| facts.is_podman = true, "stands in for Docker", "--sandbox embedded");
        check("nodes", |facts| facts.moved = vec!["t-worker".into()], "t-worker got another", "tutorial stop");
        let containerds = |facts: &mut Facts| {
            facts.major = Some(29);
            facts.info.driver_status = Some(vec![vec!["driver-type".into(), "io.containerd.snapshotter.v1".into()]]);
        };
        check("image store", containerds, "Docker 29", "--platform");
        let used_up = |facts: &mut Facts| {
            facts.subnets = (0..31).map(|number| format!("172.{number}.0.0/16")).collect();
        };
        check("addresses", used_up, "31 of Docker's 31", "docker network prune");
        let mut used_by_us = facts();
        used_up(&mut used_by_us);
        used_by_us.has_network = true;
        assert!(judge(&used_by_us).iter().all(|row| row.state == State::Ok), "the nodes' network is there");
        let mut silent = facts();
        silent.no_info = Some("500".into());
        let rows = judge(&silent);
        assert!(rows[0].state == State::Warning && rows[0].found.ends_with("500"), "{rows:?}");
        assert!(rows.iter().all(|row| row.name != "cgroups" && row.name != "memory"), "what is not known is not told");
        let on_wsl = |facts: &mut Facts| {
            facts.info.kernel_version = Some("5.15.90.1-microsoft-standard-WSL2".into());
        };
        let mut wsl = facts();
        on_wsl(&mut wsl);
        assert!(judge(&wsl).iter().any(|row| row.name == "wsl" && row.state == State::Ok));
        version_1(&mut wsl);
        let rows = judge(&wsl);
        let row = rows.iter().find(|row| row.name == "wsl").expect("a row");
        assert!(row.state == State::Warning && row.remedy.contains(".wslconfig"), "{row:?}");
    }

    #[test]
    fn pools_and_addresses() {
        assert_eq!(pool_size("172.17.0.0/12", 16), Some(16));
        assert_eq!(pool_size("10.0.0.0/8", 24), Some(65536));
        assert_eq!(pool_size("10.0.0.0/24", 16), None);
        assert_eq!(pool_size("nonsense", 16), None);
        let configuration = "localAPIEndpoint:\n  advertiseAddress: \"172.18.0.2\"\n  bindPort: 6443\n";
        assert_eq!(advertised(configuration).as_deref(), Some("172.18.0.2"));
        assert_eq!(advertised("nothing"), None);
    }

    #[test]
    fn a_secret_in_the_proxys_address_is_not_shown() {
        let mut facts = facts();
        facts.proxy = Some("http://me:secret@proxy.example:3128".into());
        assert!(judge(&facts).iter().all(|row| !row.found.contains("secret")));
    }

    #[test]
    fn no_engine_is_fine() {
        let row = unusable(&EngineError::Absent);
        assert!(row.state == State::Warning && row.remedy.contains("--sandbox embedded"), "{row:?}");
    }
}
