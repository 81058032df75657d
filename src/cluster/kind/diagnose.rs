//! Why making a cluster failed: the evidence is collected from the nodes, the judgement is pure.

use std::fmt;
use std::time::{Duration, Instant};

use bollard::models::ContainerState;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;

use super::error::KindError;
use super::exec::Node;
use super::progress::Phase;
use super::seen::Seen;
use super::site::Site;

/// As many lines are shown with a failure; the log has more.
const LINES_SHOWN_MAX: usize = 12;
const LINES_KEPT_MAX: usize = 60;
/// As long is waited for Docker to notice that a container has ended.
const STATE_TIME_MAX: Duration = Duration::from_secs(10);
const STATE_PAUSE: Duration = Duration::from_millis(200);

/// What failed, why as far as is known, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    pub phase: Phase,
    pub cause: String,
    /// The last lines of the log that tells most, and its name.
    pub log: Option<(String, Vec<String>)>,
    pub remedy: String,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.cause)?;
        if let Some((name, lines)) = &self.log {
            write!(formatter, "\n  the last lines of {name}:")?;
            for line in lines {
                write!(formatter, "\n    {line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnosis {}

/// What was found in and around the nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// What failed said so: the error and its causes.
    pub error: String,
    /// The last lines of the command that failed.
    pub command: Vec<String>,
    pub nodes: Vec<NodeEvidence>,
    pub kernel: String,
    pub storage_driver: String,
    /// `fs.inotify.max_user_watches` and `max_user_instances` of this machine, where they are known.
    pub inotify: Option<(u64, u64)>,
    pub memory_bytes: Option<u64>,
}

/// What one node left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeEvidence {
    pub name: String,
    pub exit_code: Option<i64>,
    pub is_out_of_memory: bool,
    pub console: Vec<String>,
    pub kubelet: Vec<String>,
    pub containerd: Vec<String>,
}

/// Collects the evidence, keeps all of it in the log, and judges.
pub async fn diagnose(site: &Site<'_>, phase: Phase, error: &KindError, nodes: &[Seen]) -> Diagnosis {
    let mut evidence = Evidence {
        error: chain(error),
        command: match error {
            KindError::Command { tail, .. } => tail.clone(),
            _ => Vec::new(),
        },
        kernel: site.info.kernel_version.clone().unwrap_or_default(),
        storage_driver: site.info.driver.clone().unwrap_or_default(),
        inotify: inotify(),
        memory_bytes: site.info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()),
        nodes: Vec::new(),
    };
    for node in nodes {
        evidence.nodes.push(look_into(site, node).await);
    }
    site.log.line(&format!("{} failed: {}", phase.doing(), evidence.error));
    for node in &evidence.nodes {
        for (name, lines) in [("console", &node.console), ("kubelet", &node.kubelet), ("containerd", &node.containerd)]
        {
            for line in lines {
                site.log.line(&format!("{} {name}: {line}", node.name));
            }
        }
    }
    judge(phase, &evidence)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

async fn look_into(site: &Site<'_>, seen: &Seen) -> NodeEvidence {
    let docker = &site.engine.docker;
    let mut evidence = NodeEvidence { name: seen.name.clone(), ..NodeEvidence::default() };
    let Some(state) = settled_state(site, seen).await else { return evidence };
    evidence.is_out_of_memory = state.oom_killed == Some(true);
    evidence.console = console(site, &seen.id).await;
    if state.running != Some(true) {
        evidence.exit_code = state.exit_code;
        return evidence;
    }
    let node = Node { docker, container: &seen.id };
    let journal = async |unit: &str| {
        let script = format!("journalctl --no-pager -o cat -n {LINES_KEPT_MAX} -u {unit}");
        let read = node.script("read the journal", &script, Vec::new(), None);
        let text = tokio::time::timeout(Duration::from_secs(10), read).await;
        text.ok().and_then(Result::ok).map(|text| lines(&text)).unwrap_or_default()
    };
    evidence.kubelet = journal("kubelet").await;
    evidence.containerd = journal("containerd").await;
    evidence
}

/// A container's state. Docker calls one that was just killed running for a moment longer, while nothing can be run in
/// it any more; that moment is waited for.
async fn settled_state(site: &Site<'_>, seen: &Seen) -> Option<ContainerState> {
    let docker = &site.engine.docker;
    let deadline = Instant::now() + STATE_TIME_MAX;
    loop {
        let state = docker.inspect_container(&seen.id, None).await.ok()?.state?;
        if state.running != Some(true) || Instant::now() > deadline {
            return Some(state);
        }
        let run = Node { docker, container: &seen.id };
        let look = run.script("look whether it runs", "true", Vec::new(), None);
        if let Ok(Ok(_)) = tokio::time::timeout(STATE_TIME_MAX, look).await {
            return Some(state);
        }
        tokio::time::sleep(STATE_PAUSE).await;
    }
}

/// The last lines of a container's own output.
pub async fn console(site: &Site<'_>, container: &str) -> Vec<String> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&LINES_KEPT_MAX.to_string()).build();
    let mut stream = std::pin::pin!(site.engine.docker.logs(container, Some(options)));
    let mut text = String::new();
    while let Some(Ok(chunk)) = stream.next().await {
        text.push_str(&String::from_utf8_lossy(chunk.as_ref()));
    }
    lines(&text)
}

fn lines(text: &str) -> Vec<String> {
    let text = console::strip_ansi_codes(text);
    text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn inotify() -> Option<(u64, u64)> {
    let read = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
    };
    Some((read("max_user_watches")?, read("max_user_instances")?))
}

/// A known trouble: how it shows, what it is, what helps.
struct Trouble {
    shows: &'static [&'static str],
    cause: &'static str,
    remedy: &'static str,
}

/// The ones that are recognised by a text, the more telling first.
const TROUBLES: &[Trouble] = &[
    Trouble {
        shows: &["too many open files", "inotify_init", "inotify instances"],
        cause: "the machine lets too few files be watched",
        remedy: "`sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`, then run the \
                 command again",
    },
    Trouble {
        shows: &["no space left on device", "disk quota exceeded"],
        cause: "Docker's disk is full",
        remedy: "`docker system prune` makes room; then run the command again",
    },
    Trouble {
        shows: &[
            "configured to not run on a host using cgroup v1",
            "cgroup v1 support is",
            "cgroup v1 is not supported",
        ],
        cause: "this version of Kubernetes needs cgroup v2, and the machine has v1",
        remedy: "name an image of Kubernetes 1.34 or older with `--image kindest/node:v1.34.11`, or boot with \
                 `systemd.unified_cgroup_hierarchy=1`",
    },
    Trouble {
        shows: &[
            "port is already allocated",
            "address already in use",
            "ports are not available",
            "Ports are not available",
        ],
        cause: "a port that the cluster needs is taken by another program",
        remedy: "end that program (`ss -ltnp` shows who listens), then run the command again",
    },
    Trouble {
        shows: &["non-overlapping IPv4 address pool", "predefined address pools"],
        cause: "Docker has no addresses left for a network",
        remedy: "`docker network prune` removes networks that nobody uses; a VPN may hold addresses too",
    },
    Trouble {
        shows: &["exec format error", "no matching manifest", "does not match the specified platform"],
        cause: "the node image is for another kind of processor",
        remedy: "`unset DOCKER_DEFAULT_PLATFORM`, remove the image (`docker rmi`), then run the command again",
    },
    Trouble {
        shows: &["failed to get rootfs info", "could not find device with major", "failed to get device for dir"],
        cause: "the kubelet does not understand the file system that Docker lies on (btrfs or zfs)",
        remedy: "let Docker's data lie on ext4 or xfs (`data-root` in /etc/docker/daemon.json), or use \
                 `--sandbox embedded`",
    },
    Trouble {
        shows: &[
            "error trying to connect",
            "client error (Connect)",
            "connection closed before",
            "Connection reset",
            "broken pipe",
        ],
        cause: "Docker stopped while it was at work",
        remedy: "start Docker, then run the command again: it goes on from what is there",
    },
];

const AGAIN: &str = "run the command again; `tutorial cluster logs` has all that was said, and `--sandbox embedded` does \
                     without Docker";

/// What the evidence means.
pub fn judge(phase: Phase, evidence: &Evidence) -> Diagnosis {
    let log = telling_log(phase, evidence);
    let finding = |cause: String, remedy: &str| Diagnosis { phase, cause, log: log.clone(), remedy: remedy.to_owned() };
    let killed = |node: &&NodeEvidence| node.is_out_of_memory || node.exit_code == Some(137);
    if let Some(node) = evidence.nodes.iter().find(killed) {
        let memory =
            evidence.memory_bytes.map_or(String::new(), |bytes| format!(" (Docker has {} MB)", bytes / 1_000_000));
        let remedy = "give Docker more memory (4 GB do), or make fewer nodes, then run the command again";
        return finding(
            format!("the node {} was killed, as it happens where memory runs out{memory}", node.name),
            remedy,
        );
    }
    let texts = std::iter::once(&evidence.error)
        .chain(&evidence.command)
        .chain(evidence.nodes.iter().flat_map(|node| node.console.iter().chain(&node.kubelet).chain(&node.containerd)));
    let texts: Vec<&String> = texts.collect();
    // The one that lies about what is wrong: without watches, systemd speaks of a full disk.
    let watches_are_few = evidence.inotify.is_some_and(|(watches, instances)| watches <= 8192 || instances <= 128);
    for trouble in TROUBLES {
        if texts.iter().any(|text| trouble.shows.iter().any(|part| text.contains(part))) {
            let is_disk = trouble.cause.contains("disk");
            let trouble = if is_disk && watches_are_few && phase == Phase::Boot { &TROUBLES[0] } else { trouble };
            return finding(trouble.cause.to_owned(), trouble.remedy);
        }
    }
    let is_boot = phase == Phase::Boot;
    if is_boot && watches_are_few {
        return finding("the node did not boot; the machine lets few files be watched".into(), TROUBLES[0].remedy);
    }
    if is_boot && evidence.kernel.to_lowercase().contains("microsoft") {
        let remedy = "add `kernelCommandLine = cgroup_no_v1=all` below `[wsl2]` in `.wslconfig`, then `wsl --shutdown`";
        return finding("the node did not boot under WSL".into(), remedy);
    }
    if matches!(evidence.storage_driver.as_str(), "btrfs" | "zfs") && matches!(phase, Phase::Init | Phase::Boot) {
        return finding(evidence.error.clone(), TROUBLES[6].remedy);
    }
    finding(evidence.error.clone(), AGAIN)
}

/// The last lines of the log that tells most of a phase.
fn telling_log(phase: Phase, evidence: &Evidence) -> Option<(String, Vec<String>)> {
    let first_that_has = |name: &str, of: &dyn Fn(&NodeEvidence) -> Vec<String>| {
        let node = evidence.nodes.iter().find(|node| !of(node).is_empty())?;
        Some((format!("{name} in {}", node.name), of(node)))
    };
    let console = || first_that_has("the console", &|node| node.console.clone());
    let kubelet = || first_that_has("the kubelet's journal", &|node| node.kubelet.clone());
    let command = || (!evidence.command.is_empty()).then(|| ("the command".to_owned(), evidence.command.clone()));
    let found = match phase {
        Phase::Nodes | Phase::Boot => console(),
        Phase::Start => command().or_else(console),
        Phase::Ready => kubelet(),
        _ => command().or_else(kubelet),
    };
    found.map(|(name, lines)| {
        let skipped = lines.len().saturating_sub(LINES_SHOWN_MAX);
        (name, lines.into_iter().skip(skipped).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_evidence_means() {
        fn check(phase: Phase, change: &dyn Fn(&mut Evidence), cause: &str, remedy: &str) {
            let mut evidence = Evidence {
                error: "`kubeadm init` failed".into(),
                nodes: vec![NodeEvidence { name: "t-control-plane".into(), ..NodeEvidence::default() }],
                inotify: Some((524_288, 512)),
                ..Evidence::default()
            };
            change(&mut evidence);
            let found = judge(phase, &evidence);
            assert!(found.cause.contains(cause), "{found:?}");
            assert!(found.remedy.contains(remedy), "{found:?}");
        }
        check(Phase::Init, &|_| {}, "`kubeadm init` failed", "--sandbox embedded");
        check(
            Phase::Boot,
            &|found| found.inotify = Some((8192, 128)),
            "few files",
            "fs.inotify.max_user_instances=512",
        );
        let full = |found: &mut Evidence| found.nodes[0].console = vec!["No: no space left on device".into()];
        check(Phase::Boot, &full, "disk is full", "docker system prune");
        // The same words where watches are what is short.
        check(
            Phase::Boot,
            &|found| {
                full(found);
                found.inotify = Some((8192, 128));
            },
            "too few files",
            "sysctl",
        );
        check(Phase::Init, &|found| found.nodes[0].exit_code = Some(137), "killed", "more memory");
        check(
            Phase::Init,
            &|found| found.nodes[0].kubelet = vec!["kubelet is configured to not run on a host using cgroup v1".into()],
            "needs cgroup v2",
            "--image kindest/node:v1.34.11",
        );
        check(
            Phase::Network,
            &|found| found.error = "could not find an available, non-overlapping IPv4 address pool".into(),
            "no addresses left",
            "docker network prune",
        );
        check(Phase::Boot, &|found| found.kernel = "5.15-microsoft-standard-WSL2".into(), "WSL", ".wslconfig");
        check(
            Phase::Nodes,
            &|found| found.error = "exec /usr/local/bin/entrypoint: exec format error".into(),
            "another kind of processor",
            "DOCKER_DEFAULT_PLATFORM",
        );
        check(Phase::Init, &|found| found.storage_driver = "zfs".into(), "kubeadm init", "ext4");
    }

    #[test]
    fn a_failure_shows_the_log_that_tells_most() {
        let evidence = Evidence {
            error: "it took too long".into(),
            nodes: vec![NodeEvidence {
                name: "t-control-plane".into(),
                console: vec!["Welcome".into()],
                kubelet: (0..20).map(|number| format!("line {number}")).collect(),
                ..NodeEvidence::default()
            }],
            ..Evidence::default()
        };
        let text = judge(Phase::Ready, &evidence).to_string();
        assert!(text.starts_with(
            "it took too long\n  the last lines of the kubelet's journal in t-control-plane:\n    line 8\n"
        ));
        assert!(judge(Phase::Boot, &evidence).to_string().ends_with("the console in t-control-plane:\n    Welcome"));
    }
}
