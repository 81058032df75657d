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
    /// Whether Docker itself failed, or does not answer any more.
    pub is_engine_gone: bool,
    /// How to see all that was said.
    pub logs: String,
}

/// What one node left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeEvidence {
    pub name: String,
    /// It was ended with force since the run began.
    pub is_killed: bool,
    /// It ended since the run began, and Docker started it again.
    pub is_restarted: bool,
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
        is_engine_gone: matches!(error, KindError::Docker { .. }) || !answers(site).await,
        logs: format!("tutorial cluster logs {}", crate::cluster::argument(&site.spec.name, site.files.directory())),
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

async fn answers(site: &Site<'_>) -> bool {
    matches!(tokio::time::timeout(STATE_TIME_MAX, site.engine.docker.ping()).await, Ok(Ok(_)))
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
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
    let Some((state, restarts)) = settled_state(site, seen).await else { return evidence };
    let began = jiff::Timestamp::now() - jiff::SignedDuration::try_from(site.log.elapsed()).unwrap_or_default();
    (evidence.is_killed, evidence.is_restarted) = fate(&state, restarts, began);
    evidence.console = console(site, &seen.id).await;
    if state.running != Some(true) {
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

/// Whether a container was killed, and whether it ended and was started again, since the run began. One that was
/// stopped before may bear a killed one's exit code, from that end.
fn fate(state: &ContainerState, restarts: i64, began: jiff::Timestamp) -> (bool, bool) {
    let since = |time: &Option<String>| time.as_deref().and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let is_down = state.running != Some(true);
    let is_fresh = since(&state.finished_at).is_some_and(|finished| finished >= began);
    let is_killed = is_fresh && is_down && (state.oom_killed == Some(true) || state.exit_code == Some(137));
    let is_restarted = restarts > 0 && since(&state.started_at).is_some_and(|started| started >= began);
    (is_killed, is_restarted)
}

/// A container's state, and how often Docker started it again by itself. Docker calls one that was just killed running for a moment longer, while nothing can be run in
/// it any more; that moment is waited for.
async fn settled_state(site: &Site<'_>, seen: &Seen) -> Option<(ContainerState, i64)> {
    let docker = &site.engine.docker;
    let deadline = Instant::now() + STATE_TIME_MAX;
    loop {
        let about = docker.inspect_container(&seen.id, None).await.ok()?;
        let (state, restarts) = (about.state?, about.restart_count.unwrap_or(0));
        if state.running != Some(true) || Instant::now() > deadline {
            return Some((state, restarts));
        }
        let run = Node { docker, container: &seen.id };
        let look = run.script("look whether it runs", "true", Vec::new(), None);
        if let Ok(Ok(_)) = tokio::time::timeout(STATE_TIME_MAX, look).await {
            return Some((state, restarts));
        }
        tokio::time::sleep(STATE_PAUSE).await;
    }
}

/// The last lines of a container's own output.
pub async fn console(site: &Site<'_>, container: &str) -> Vec<String> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&LINES_KEPT_MAX.to_string()).build();
    let mut stream = std::pin::pin!(site.engine.docker.logs(container, Some(options)));
    let mut text = String::new();
    while let Ok(Some(Ok(chunk))) = tokio::time::timeout(STATE_TIME_MAX, stream.next()).await {
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
    /// Where the words tell it: in logs many programs speak of ports and broken pipes that are none of the reason.
    place: Place,
    cause: &'static str,
    remedy: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Anywhere,
    /// In the error itself.
    Error,
    /// In the error itself, where it is Docker's, or Docker does not answer.
    EnginesError,
}

/// The ones that are recognised by a text, the more telling first.
const TROUBLES: &[Trouble] = &[
    Trouble {
        shows: &["too many open files", "inotify_init", "inotify instances"],
        place: Place::Anywhere,
        cause: "the machine lets too few files be watched",
        remedy: "`sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`, then run the \
                 command again",
    },
    Trouble {
        shows: &["no space left on device", "disk quota exceeded"],
        place: Place::Anywhere,
        cause: "Docker's disk is full",
        remedy: "`docker system prune` makes room; then run the command again",
    },
    Trouble {
        shows: &[
            "configured to not run on a host using cgroup v1",
            "cgroup v1 support is unsupported",
            "cgroup v1 is not supported",
        ],
        place: Place::Anywhere,
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
        place: Place::Error,
        cause: "a port that the cluster needs is taken by another program",
        remedy: "end that program (`ss -ltnp` shows who listens), then run the command again",
    },
    Trouble {
        shows: &["non-overlapping IPv4 address pool", "predefined address pools"],
        place: Place::Anywhere,
        cause: "Docker has no addresses left for a network",
        remedy: "`docker network prune` removes networks that nobody uses; a VPN may hold addresses too",
    },
    Trouble {
        shows: &["exec format error", "no matching manifest", "does not match the specified platform"],
        place: Place::Anywhere,
        cause: "the node image is for another kind of processor",
        remedy: "`unset DOCKER_DEFAULT_PLATFORM`, remove the image (`docker rmi`), then run the command again",
    },
    Trouble {
        shows: &["failed to get rootfs info", "could not find device with major", "failed to get device for dir"],
        place: Place::Anywhere,
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
        place: Place::EnginesError,
        cause: "Docker stopped while it was at work",
        remedy: "start Docker, then run the command again: it goes on from what is there",
    },
];

/// What the evidence means: the error's own words first, then what became of the nodes, then what the logs say.
pub fn judge(phase: Phase, evidence: &Evidence) -> Diagnosis {
    let log = telling_log(phase, evidence);
    let finding = |cause: String, remedy: &str| Diagnosis { phase, cause, log: log.clone(), remedy: remedy.to_owned() };
    let shows = |trouble: &&Trouble, text: &str| trouble.shows.iter().any(|part| text.contains(part));
    let told = |of_engine: bool| {
        let of_kind = |trouble: &&Trouble| (trouble.place == Place::EnginesError) == of_engine;
        TROUBLES.iter().filter(of_kind).find(|trouble| shows(trouble, &evidence.error))
    };
    let told_of_engine = || told(true).filter(|_| evidence.is_engine_gone);
    let told = told(false);
    if told.is_none()
        && let Some(cause) = what_became_of_the_nodes(phase, evidence)
    {
        let remedy = "give Docker more memory (4 GB do), or make fewer nodes, then run the command again";
        return finding(cause, remedy);
    }
    let of_node =
        |node: &'_ NodeEvidence| [node.console.clone(), node.kubelet.clone(), node.containerd.clone()].concat();
    let logged: Vec<String> = evidence.command.iter().cloned().chain(evidence.nodes.iter().flat_map(of_node)).collect();
    let anywhere = || TROUBLES.iter().filter(|trouble| trouble.place == Place::Anywhere);
    let logged = || anywhere().find(|trouble| logged.iter().any(|line| shows(trouble, line)));
    // The one that lies about what is wrong: without watches, systemd speaks of a full disk.
    let watches_are_few = evidence.inotify.is_some_and(|(watches, instances)| watches <= 8192 || instances <= 128);
    if let Some(trouble) = told.or_else(told_of_engine).or_else(logged) {
        let is_disk = trouble.cause.contains("disk");
        let trouble = if is_disk && watches_are_few && phase == Phase::Boot { &TROUBLES[0] } else { trouble };
        return finding(trouble.cause.to_owned(), trouble.remedy);
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
    let again = format!(
        "run the command again; `{}` has all that was said, and `--sandbox embedded` does without Docker",
        evidence.logs
    );
    finding(evidence.error.clone(), &again)
}

fn what_became_of_the_nodes(phase: Phase, evidence: &Evidence) -> Option<String> {
    let memory = evidence.memory_bytes.map_or(String::new(), |bytes| format!(" (Docker has {} MB)", bytes / 1_000_000));
    if let Some(node) = evidence.nodes.iter().find(|node| node.is_killed) {
        return Some(format!("the node {} was killed, as it happens where memory runs out{memory}", node.name));
    }
    // One that never booted ends by itself, time and again, and its console says why.
    let node = evidence.nodes.iter().find(|node| node.is_restarted && phase != Phase::Boot)?;
    let name = &node.name;
    Some(format!("the node {name} ended and Docker started it again, as it happens where memory runs out{memory}"))
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
        check(Phase::Init, &|found| found.nodes[0].is_killed = true, "killed", "more memory");
        check(Phase::Init, &|found| found.nodes[0].is_restarted = true, "started it again", "more memory");
        check(Phase::Boot, &|found| found.nodes[0].is_restarted = true, "`kubeadm init` failed", "--sandbox embedded");
        // What the error says counts for more.
        let killed_and_full = |found: &mut Evidence| {
            found.nodes[0].is_killed = true;
            found.error = "mkdir /var/lib/docker/x: no space left on device".into();
        };
        check(Phase::Init, &killed_and_full, "disk is full", "docker system prune");
        check(Phase::Init, &|found| found.logs = "tutorial cluster logs --name x".into(), "", "cluster logs --name x");
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
    fn each_trouble_by_the_words_of_those_who_met_it() {
        const ANYWHERE: &[(&str, usize)] = &[
            ("Failed to create control group inotify object: Too many open files: too many open files", 0),
            ("inotify_init: cannot make it", 0),
            ("Failed to allocate manager object: inotify instances are used up", 0),
            ("write /var/lib/containerd/x: no space left on device", 1),
            ("disk quota exceeded", 1),
            ("kubelet is configured to not run on a host using cgroup v1", 2),
            ("cgroup v1 support is unsupported and will be removed in a future release", 2),
            ("cgroup v1 is not supported", 2),
            ("could not find an available, non-overlapping IPv4 address pool among the defaults", 4),
            ("all predefined address pools have been fully subnetted", 4),
            ("exec /usr/local/bin/entrypoint: exec format error", 5),
            ("no matching manifest for linux/arm64/v8 in the manifest list entries", 5),
            ("image with reference x was found but does not match the specified platform", 5),
            ("failed to get rootfs info: failed to get device for dir", 6),
            ("could not find device with major: 0, minor: 25 in cached partitions map", 6),
            ("failed to get device for dir \"/var/lib/kubelet\"", 6),
        ];
        const ERRORS: &[(&str, usize)] = &[
            ("Bind for 127.0.0.1:30080 failed: port is already allocated", 3),
            ("listen tcp4 127.0.0.1:30080: bind: address already in use", 3),
            ("ports are not available: exposing port TCP", 3),
            ("Ports are not available: exposing port TCP", 3),
            ("error trying to connect: no such file", 7),
            ("client error (Connect)", 7),
            ("connection closed before message completed", 7),
            ("read: Connection reset by peer", 7),
            ("write: broken pipe", 7),
        ];
        fn judged(change: impl FnOnce(&mut Evidence)) -> String {
            let nodes = vec![NodeEvidence::default()];
            let mut evidence = Evidence { error: "x".into(), is_engine_gone: true, nodes, ..Evidence::default() };
            change(&mut evidence);
            judge(Phase::Init, &evidence).cause
        }
        for (words, trouble) in ANYWHERE.iter().chain(ERRORS) {
            assert_eq!(judged(|found| found.error = (*words).into()), TROUBLES[*trouble].cause, "{words}");
        }
        for (words, trouble) in ANYWHERE {
            assert_eq!(
                judged(|found| found.nodes[0].kubelet = vec![(*words).into()]),
                TROUBLES[*trouble].cause,
                "{words}"
            );
        }
        // In logs these are everyday words.
        let everyday = "cgroup v1 support is in maintenance mode, please migrate to cgroup v2";
        for words in ERRORS.iter().map(|(words, _)| *words).chain([everyday]) {
            assert_eq!(judged(|found| found.nodes[0].kubelet = vec![words.into()]), "x", "{words}");
        }
        // A cluster that does not answer is not Docker.
        let clusters = judged(|found| {
            found.error = "client error (Connect)".into();
            found.is_engine_gone = false;
        });
        assert_eq!(clusters, "client error (Connect)");
        let known: usize = TROUBLES.iter().map(|trouble| trouble.shows.len()).sum();
        assert_eq!(ANYWHERE.len() + ERRORS.len(), known, "a case for each of the words");
    }

    #[test]
    fn what_became_of_a_node() {
        fn check(running: bool, exit_code: i64, finished: &str, restarts: i64, expected: (bool, bool)) {
            let state = ContainerState {
                running: Some(running),
                exit_code: Some(exit_code),
                finished_at: Some(finished.into()),
                started_at: Some("2026-01-01T10:00:02Z".into()),
                ..ContainerState::default()
            };
            let began = "2026-01-01T10:00:00Z".parse().expect("a time");
            assert_eq!(fate(&state, restarts, began), expected, "{running} {exit_code} {finished} {restarts}");
        }
        check(false, 137, "2026-01-01T10:00:05Z", 0, (true, false));
        check(false, 1, "2026-01-01T10:00:05Z", 0, (false, false));
        // It was stopped by us, with force, before this run began.
        check(false, 137, "2026-01-01T09:59:00Z", 0, (false, false));
        check(true, 0, "0001-01-01T00:00:00Z", 0, (false, false));
        check(true, 0, "2026-01-01T10:00:01Z", 1, (false, true));
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
