//! Replays 155 commands of kubectl 1.32, as recorded on a real Kubernetes 1.34.2, on the embedded cluster's own
//! process, and compares what they print line by line.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tutorial::cluster::ClusterSpec;
use tutorial::cluster::embedded::process;

use super::kubectl::kubectl;

const RECORDED: &str = include_str!("../golden/commands.jsonl");
const MANIFEST: &str = include_str!("../golden/web.yaml");

/// Differences that stay, by the command's number, with the reason.
const DIFFERENCES: &[(usize, &str)] = &[
    (0, ITSELF),
    (1, ITSELF),
    (2, OTHERS),
    (3, KINDS),
    (4, KINDS),
    (5, KINDS),
    (6, ITSELF),
    (7, ITSELF),
    (8, "the administrator has a token, not a certificate"),
    (9, "the administrator has a token, not a certificate"),
    (48, ITSELF),
    (49, KINDS),
    (92, TIMES),
    (149, TIMES),
    (95, "the message holds the whole object, in the order of Go's fields"),
    (133, KINDS),
    (134, "another build of kubectl words it otherwise"),
    (138, OTHERS),
    (154, OTHERS),
];

const ITSELF: &str = "it says that it is the embedded cluster";
const KINDS: &str = "the embedded cluster serves fewer kinds";
const OTHERS: &str = "the recorded cluster held other things besides";
/// Not so on every run, here or there.
const TIMES: &str = "how many pods of the roll-out before are still stopping is a matter of time";

/// What is random or a matter of time, by what kind of thing it is.
fn normalize(text: &str) -> Vec<String> {
    static PATTERNS: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(|| {
        [
            (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000)", "<time>"),
            (r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000", "<time>"),
            (r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]", "[<time>]"),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
            (r#"resourceVersion: "\d+""#, "resourceVersion: <revision>"),
            (r#""resourceVersion": "\d+""#, "\"resourceVersion\": <revision>"),
            (r"kube-api-access-[a-z0-9]{5}", "kube-api-access-<suffix>"),
            (r"\b(web2?|c|p|d)-[0-9a-z]{8,10}-[0-9a-z]{5}\b", "$1-<hash>-<suffix>"),
            (r"\b(web2?|c|p|d)-[0-9a-z]{8,10}\b", "$1-<hash>"),
            (r"\b(web2?|c)-[0-9a-z]{5}\b", "$1-<suffix>"),
            (r"pod-template-hash([=:] ?)[0-9a-z]{8,10}", "pod-template-hash$1<hash>"),
            (r"10\.244\.\d+\.\d+", "<pod address>"),
            (r"10\.96\.\d+\.\d+", "<address>"),
            (r"172\.\d+\.\d+\.\d+|127\.0\.0\.1\b", "<node address>"),
            (r"https://<node address>:\d+", "https://<server>"),
            (r"(containerd|tutorial)://[0-9a-f]{64}", "<container>"),
            (r"[EW]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "<log> "),
            (r"directory '/tmp/[^']*'", "directory <folder>"),
            (r"[a-z./0-9-]+@sha256:[0-9a-f]{64}", "<image>"),
            (r"/tmp/(LIVE|MERGED)(-\d+)?", "/tmp/$1"),
            (r"curl/[0-9.]+|kube-probe/[0-9.]+", "<client>"),
            (r"\b\d+[smhd](\d+[smh])?\b", "<age>"),
            (r"\(x\d+ over <age>\)", "(several)"),
            (r"[ \t]+", " "),
        ]
        .into_iter()
        .map(|(pattern, placeholder)| (Regex::new(pattern).unwrap(), placeholder))
        .collect()
    });
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = patterns.iter().fold(line.to_owned(), |line, (pattern, placeholder)| {
            pattern.replace_all(&line, *placeholder).into_owned()
        });
        // How often a roll-out is seen waiting, and how often a probe came by, is a matter of time.
        if line.starts_with("Waiting for deployment") || line.contains("version difference between client") {
            continue;
        }
        if !line.contains("<client>") || lines.last().map(String::as_str) != Some(line.trim_end()) {
            lines.push(line.trim_end().to_owned());
        }
    }
    // Names that end in hashes decide the order of lines.
    if lines.iter().any(|line| line.contains("<hash>") || line.contains("<suffix>")) {
        lines.sort();
    }
    lines
}

struct Shell<'a> {
    folder: &'a Path,
    path: String,
}

impl Shell<'_> {
    async fn run(&self, command: &str, input: &str) -> (i32, String, String) {
        let mut child = tokio::process::Command::new("bash")
            .args(["-c", command])
            .current_dir(self.folder)
            .env("PATH", &self.path)
            .env("HOME", self.folder)
            .env("KUBECONFIG", self.folder.join("kubeconfig"))
            .env("EDITOR", "sed -i s/hello/edited/")
            .env("KUBE_EDITOR", "sed -i s/hello/edited/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let ended = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
        let Ok(Ok(output)) = ended else { return (-1, String::new(), format!("{command}: no end")) };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What differs: the first lines that one has and the other lacks.
fn differences(ours: &[String], theirs: &[String]) -> Vec<String> {
    let lacking = theirs.iter().filter(|line| !ours.contains(line)).map(|line| format!("- {line}"));
    let extra = ours.iter().filter(|line| !theirs.contains(line)).map(|line| format!("+ {line}"));
    let mut found: Vec<String> = lacking.chain(extra).collect();
    if found.is_empty() && ours != theirs {
        found.push(format!("the same lines, in another order or number: {} and {}", ours.len(), theirs.len()));
    }
    found
}

/// One command of the recording, played here.
struct Played {
    number: usize,
    command: String,
    code: i64,
    recorded_code: i64,
    /// What differs from the recording in what is printed.
    differences: Vec<String>,
}

/// One kubectl plays at a time: they would wait for each other's pods to be made ready.
static PLAYING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Plays every recorded command with this kubectl, in order, on a cluster of its own. What it does not have, another
/// one plays, so that the commands after it meet the same cluster.
async fn play(program: &Path, other: &Path, of_other: &[usize]) -> Vec<Played> {
    let _alone = PLAYING.lock().await;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("w");
    let tools = home.path().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(&tools).unwrap();
    std::os::unix::fs::symlink(program, tools.join("kubectl")).unwrap();
    let other_tools = home.path().join("other");
    std::fs::create_dir_all(&other_tools).unwrap();
    std::os::unix::fs::symlink(other, other_tools.join("kubectl")).unwrap();
    std::fs::write(folder.join("web.yaml"), MANIFEST).unwrap();
    let spec = ClusterSpec {
        name: "kind-tutorial".into(),
        directory: home.path().join("cluster"),
        node_ports: vec![30080],
        time_factor: 1.0,
    };
    let connection = process::ensure_running(&spec, Path::new(env!("CARGO_BIN_EXE_tutorial"))).await.unwrap();
    let config = folder.join("kubeconfig");
    std::fs::copy(spec.directory.join("kubeconfig-direct"), &config).unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
    let shell = |tools: &Path| Shell {
        folder: &folder,
        path: format!("{}:{}", tools.display(), std::env::var("PATH").unwrap()),
    };
    let (shell, other_shell) = (shell(&tools), shell(&other_tools));
    let node_port = connection.node_ports.get(&30080).copied().unwrap_or(30080);
    let ports: Vec<(String, String)> =
        [("18080", free_port()), ("18081", free_port()), ("18001", free_port()), ("localhost:30080", node_port)]
            .into_iter()
            .map(|(recorded, ours)| {
                let ours = if recorded.contains(':') { format!("localhost:{ours}") } else { ours.to_string() };
                (recorded.to_owned(), ours)
            })
            .collect();

    let mut played = Vec::new();
    for (number, line) in RECORDED.lines().enumerate() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| recorded[key].as_str().unwrap_or_default();
        let mut command = text("command").to_owned();
        if command.starts_with("kubectl attach") {
            command = format!("timeout 3 {command}");
        }
        for (theirs, ours) in &ports {
            command = command.replace(theirs, ours);
        }
        let shell = if of_other.contains(&number) { &other_shell } else { &shell };
        let (code, mut out, mut err) = shell.run(&command, text("stdin")).await;
        for (theirs, ours) in &ports {
            out = out.replace(ours, theirs);
            err = err.replace(ours, theirs);
        }
        let mut found = differences(&normalize(&out), &normalize(text("out")));
        found.extend(differences(&normalize(&err), &normalize(text("err"))));
        played.push(Played {
            number,
            command,
            code: code.into(),
            recorded_code: recorded["rc"].as_i64().unwrap(),
            differences: found,
        });
    }
    process::stop(&spec.directory).await.unwrap();
    played
}

/// What is thought of a command's output.
enum Judgement {
    Same,
    Excused,
    Wrong(String),
}

/// Plays the commands and judges each: how many print the same, and which are wrong. Roll-outs go on while the commands
/// run, so that a busy machine may show a moment that the recording did not: what is wrong is played once more, and
/// counts where it is wrong again.
async fn judge(
    program: &Path,
    other: &Path,
    left_out: &[usize],
    judgement: impl Fn(&Played) -> Judgement,
) -> (usize, Vec<String>) {
    let mut suspects: Option<Vec<usize>> = None;
    loop {
        let (mut same, mut wrong, mut numbers) = (0, Vec::new(), Vec::new());
        for played in play(program, other, left_out).await {
            match judgement(&played) {
                Judgement::Excused => {}
                Judgement::Wrong(what) if suspects.as_ref().is_none_or(|known| known.contains(&played.number)) => {
                    numbers.push(played.number);
                    wrong.push(what);
                }
                Judgement::Same | Judgement::Wrong(_) => same += 1,
            }
        }
        if wrong.is_empty() || suspects.is_some() {
            return (same, wrong);
        }
        suspects = Some(numbers);
    }
}

fn describe(played: &Played) -> String {
    let shown: Vec<String> = played.differences.iter().take(14).map(|line| line.chars().take(260).collect()).collect();
    let Played { number, command, code, recorded_code, .. } = played;
    format!("{number} {command}: exit code {code}, recorded {recorded_code}\n    {}", shown.join("\n    "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_prints_what_it_prints_on_a_real_cluster() {
    let Some(program) = kubectl(32) else {
        println!("skipped: kubectl is not installed");
        return;
    };
    let judgement = |played: &Played| {
        let equal = played.code == played.recorded_code && played.differences.is_empty();
        let reason = DIFFERENCES.iter().find(|(at, _)| *at == played.number).map(|(_, reason)| *reason);
        match (equal, reason) {
            (true, None) => Judgement::Same,
            (true, Some(TIMES)) | (false, Some(_)) => Judgement::Excused,
            (true, Some(_)) => Judgement::Wrong(format!("{}: is listed as different, and is the same", played.number)),
            (false, None) => Judgement::Wrong(describe(played)),
        }
    };
    let (same, wrong) = judge(&program, &program, &[], judgement).await;
    println!(
        "{same} of {} commands print the same, {} differ for a stated reason",
        RECORDED.lines().count(),
        DIFFERENCES.len()
    );
    assert!(wrong.is_empty(), "{} commands differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same >= 135, "{same} commands print the same");
}

/// An older and a newer kubectl succeed at every command at which the recorded one does; what they print has words of
/// their own.
async fn fails_at_nothing_that_the_recorded_one_does(minor: u32) {
    let Some(program) = kubectl(minor).filter(|program| program.to_string_lossy().ends_with(&format!("1.{minor}")))
    else {
        println!("skipped: kubectl 1.{minor} is not installed");
        return;
    };
    let judgement = |played: &Played| {
        let excused = DIFFERENCES.iter().any(|(at, _)| *at == played.number);
        if played.code == played.recorded_code || excused {
            Judgement::Same
        } else {
            Judgement::Wrong(describe(played))
        }
    };
    let (_, wrong) = judge(&program, &program, &[], judgement).await;
    assert!(wrong.is_empty(), "kubectl 1.{minor}:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: .ci/run plays it"]
async fn an_older_kubectl_fails_at_nothing_more() {
    fails_at_nothing_that_the_recorded_one_does(29).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: .ci/run plays it"]
async fn a_newer_kubectl_fails_at_nothing_more() {
    fails_at_nothing_that_the_recorded_one_does(33).await;
}

/// The built-in kubectl plays them too: what it has prints the same, what it has not is in the table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_built_in_kubectl_prints_the_same_for_what_it_has() {
    let Some(other) = kubectl(32) else {
        println!("skipped: kubectl is not installed");
        return;
    };
    let not_had: Vec<usize> = NOT_BUILT_IN.iter().flat_map(|(_, numbers)| *numbers).copied().collect();
    let judgement = |played: &Played| {
        if DIFFERENCES.iter().any(|(at, _)| *at == played.number) || not_had.contains(&played.number) {
            Judgement::Excused
        } else if played.code == played.recorded_code && played.differences.is_empty() {
            Judgement::Same
        } else {
            Judgement::Wrong(describe(played))
        }
    };
    let (same, wrong) = judge(Path::new(env!("CARGO_BIN_EXE_tutorial")), &other, &not_had, judgement).await;
    println!("{same} commands print the same with the built-in kubectl, {} it does not have", not_had.len());
    assert!(wrong.is_empty(), "{} commands differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same >= 105, "{same} commands print the same");
}

/// What the built-in kubectl does not have, and says so; by the commands' numbers.
const NOT_BUILT_IN: &[(&str, &[usize])] = &[
    ("auth can-i", &[10, 11]),
    ("diff", &[21, 24]),
    ("-o go-template", &[36]),
    ("proxy, cp, attach", &[63, 64, 65]),
    ("set env and set resources", &[72, 73, 74]),
    ("edit", &[96, 98]),
    ("replace", &[99, 100]),
    ("expose", &[101]),
    ("create service", &[107, 108]),
    ("run", &[109, 114, 117]),
    ("explain", &[118, 119, 120]),
    ("top, cordon, uncordon", &[121, 122, 123]),
    ("a parser of YAML with go-yaml's words", &[130]),
    ("klog's lines about each attempt to reach a server", &[140]),
];
