//! Replays 155 commands of kubectl 1.32, as recorded on a real Kubernetes 1.34.2, on the embedded cluster's own
//! process, and compares what they print line by line. What stays different is in `tests/golden/commands-differ.txt`,
//! each line that differs, with the reason.

use std::collections::BTreeMap;
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
use super::requests::{Difference, Known};

const RECORDED: &str = include_str!("../golden/commands.jsonl");
const MANIFEST: &str = include_str!("../golden/web.yaml");

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
            (r"\(\d+[smhd](\d+[smh])? ago\)", "(<age> ago)"),
            // A row without its heading.
            (r"^(\S+ +\d+/\d+ +\w+ +\d+ +)\d+[smhd](\d+[smh])?$", "$1<age>"),
            (r#"(\\"resourceVersion\\":\\")\d+"#, "$1<revision>"),
            // Which build of kubectl 1.32 it is.
            (r#"v1\.32\.[^"]+|v1\.32\.\S+"#, "v1.32.<patch>"),
            (r#""minor": "32\+?""#, "\"minor\": \"32\""),
            (r#""gitCommit": "[0-9a-f]{40}""#, "\"gitCommit\": \"<commit>\""),
            (r"[ \t]+", " "),
        ]
        .into_iter()
        .map(|(pattern, placeholder)| (Regex::new(pattern).unwrap(), placeholder))
        .collect()
    });
    let mut lines: Vec<String> = Vec::new();
    for line in hide_ages(text) {
        let line = patterns
            .iter()
            .fold(line, |line, (pattern, placeholder)| pattern.replace_all(&line, *placeholder).into_owned());
        // How often a roll-out is seen waiting, and how often a probe came by, is a matter of time.
        if line.starts_with("Waiting for deployment") || line.contains("version difference between client") {
            continue;
        }
        let line = line.trim_end().to_owned();
        if !line.contains("<client>") || lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    sort_rows(&mut lines);
    lines
}

/// Ages, in the columns that are for them: `AGE` of tables, `LAST SEEN` of events, `Age` of a description's events.
fn hide_ages(text: &str) -> Vec<String> {
    static PATTERNS: OnceLock<[Regex; 2]> = OnceLock::new();
    let [headings, age] = PATTERNS.get_or_init(|| {
        [
            r"^(LAST SEEN)  |^[A-Z][A-Z ()/-]*  (AGE)( |$)|^  (?:Type|Namespace) .*  (Age)( |$)",
            r"^(\d+[smhd](\d+[smh])?( \(x\d+ over \d+[smhd](\d+[smh])?\))?|<unknown>)",
        ]
        .map(|pattern| Regex::new(pattern).unwrap())
    });
    let (mut column, mut lines) = (None, Vec::new());
    for line in text.lines() {
        let mut line = line.to_owned();
        if let Some(found) = headings.captures(&line) {
            column = found.iter().skip(1).flatten().next().map(|heading| heading.start());
        } else if line.is_empty() {
            column = None;
        }
        let cell = column.and_then(|at| Some(at..at + age.find(line.get(at..)?)?.end()));
        if let Some(cell) = cell {
            line.replace_range(cell, "<age>");
        }
        lines.push(line);
    }
    lines
}

/// Rows of a table, or names one a line, are in the order of the names: where these have generated suffixes, they are
/// sorted.
fn sort_rows(lines: &mut [String]) {
    let generated = |line: &String| line.contains("<hash>") || line.contains("<suffix>");
    let heads = |line: &str| line.starts_with("NAME ") || line.starts_with("LAST SEEN ");
    let mut begin = 0;
    while begin < lines.len() {
        let is_name = |line: &String| generated(line) && !line.contains(' ');
        let in_table = heads(&lines[begin]);
        begin += usize::from(in_table);
        let length = lines[begin..].iter().take_while(|line| if in_table { !line.is_empty() } else { is_name(line) });
        let rows = begin..begin + length.count();
        if lines[rows.clone()].iter().any(generated) {
            lines[rows.clone()].sort();
        }
        begin = rows.end + usize::from(rows.end == begin && !in_table);
    }
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

/// What differs, line by line, in their order.
pub fn differences(ours: &[String], theirs: &[String]) -> Vec<Difference> {
    let [theirs, ours]: [Vec<&str>; 2] = [theirs, ours].map(|lines| lines.iter().map(String::as_str).collect());
    let diff = similar::TextDiff::from_slices(&theirs, &ours);
    diff.iter_all_changes()
        .filter(|change| change.tag() != similar::ChangeTag::Equal)
        .map(|change| Difference {
            place: format!("{} {}", change.tag(), change.value()).trim_end().to_owned(),
            detail: String::new(),
        })
        .collect()
}

/// One command of the recording, played here.
struct Played {
    number: usize,
    command: String,
    code: i64,
    recorded_code: i64,
    /// What differs from the recording in what is printed, and the exit code.
    differences: Vec<Difference>,
    /// What this kubectl said of a command that another one had to play.
    refused: Option<(i64, String)>,
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
        let mut refused = None;
        if of_other.contains(&number) {
            let (code, _, err) = shell.run(&command, text("stdin")).await;
            refused = Some((code.into(), err));
        }
        let shell = if of_other.contains(&number) { &other_shell } else { &shell };
        let all_that_are_there = OF_ALL_PODS.contains(&number);
        if all_that_are_there {
            other_shell.run(GONE, "").await;
        }
        let (code, mut out, mut err) = shell.run(&command, text("stdin")).await;
        for (theirs, ours) in &ports {
            out = out.replace(ours, theirs);
            err = err.replace(ours, theirs);
        }
        let lines = |text: &str| {
            let mut lines = normalize(text);
            if all_that_are_there {
                lines.dedup();
            }
            lines
        };
        let mut found = differences(&lines(&out), &lines(text("out")));
        found.extend(differences(&normalize(&err), &normalize(text("err"))));
        let (code, recorded_code) = (i64::from(code), recorded["rc"].as_i64().unwrap());
        if code != recorded_code {
            let place = format!("exit {code} for {recorded_code}");
            found.insert(0, Difference { place, detail: String::new() });
        }
        let command = text("command").lines().next().unwrap_or_default().trim_end().to_owned();
        played.push(Played { number, command, code, recorded_code, differences: found, refused });
    }
    process::stop(&spec.directory).await.unwrap();
    played
}

/// Commands that list pods and then change each: one that is going may be gone before its turn, there as here, so they
/// are played when none is going, and how many there were does not count.
const OF_ALL_PODS: &[usize] = &[92];

/// Waits for the pods that are going.
const GONE: &str = "for _ in $(seq 300); do kubectl get pods -o 'jsonpath={.items[*].metadata.deletionTimestamp}' \
    | grep -q . || break; sleep 0.1; done";

/// Commands whose answer depends on how far a roll-out has come when they are run: on a busy machine one of them may
/// show a moment that the recording did not. Where one differs all are played once more, and it is wrong where it differs
/// again.
const RACES: &[usize] = &[];

/// Plays the commands and judges each: how many print the same, and which are wrong.
async fn judge(
    program: &Path,
    other: &Path,
    of_other: &[usize],
    judgement: impl Fn(&Played) -> Option<String>,
) -> (usize, Vec<String>) {
    let mut wrong = BTreeMap::new();
    for is_last in [false, true] {
        let played = play(program, other, of_other).await;
        let same = played.iter().filter(|played| played.differences.is_empty() && played.refused.is_none()).count();
        let found: BTreeMap<usize, String> =
            played.iter().filter_map(|played| Some((played.number, judgement(played)?))).collect();
        let races = found.keys().all(|number| RACES.contains(number));
        if !is_last && !found.is_empty() && races {
            wrong = found;
            continue;
        }
        let counts = |number: &usize| !is_last || !RACES.contains(number) || wrong.contains_key(number);
        return (same, found.into_iter().filter(|(number, _)| counts(number)).map(|(_, what)| what).collect());
    }
    unreachable!("the last round returns")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_prints_what_it_prints_on_a_real_cluster() {
    let Some(program) = kubectl(32) else { return };
    let known = Known::read("commands-differ.txt");
    let judgement = |played: &Played| known.judge(played.number, &played.command, &played.differences);
    let (same, wrong) = judge(&program, &program, &[], judgement).await;
    println!(
        "{same} of {} commands print the same, {} may differ for a stated reason",
        RECORDED.lines().count(),
        known.len()
    );
    assert!(wrong.is_empty(), "{} commands differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same >= 135, "{same} commands print the same");
}

/// An older and a newer kubectl end every command as the recorded one does; what they print has words of their own.
async fn fails_at_nothing_that_the_recorded_one_does(minor: u32) {
    let Some(program) = kubectl(minor) else { return };
    let known = Known::read("commands-differ.txt");
    let judgement = |played: &Played| {
        let exit = format!("exit {} for {}", played.code, played.recorded_code);
        (played.code != played.recorded_code && !known.lines(played.number).contains(&exit)).then(|| describe(played))
    };
    let (same, wrong) = judge(&program, &program, &[], judgement).await;
    println!(
        "kubectl 1.{minor} ends all {} commands as recorded, and prints the same for {same}",
        RECORDED.lines().count()
    );
    assert!(wrong.is_empty(), "kubectl 1.{minor}:\n{}", wrong.join("\n"));
}

fn describe(played: &Played) -> String {
    let lines = played.differences.iter().take(14).map(|difference| format!("\n    {}", difference.place));
    format!("{} {}{}", played.number, played.command, lines.collect::<String>())
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

/// The built-in kubectl plays them too: what it has prints the same, what it has not it refuses, by name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_built_in_kubectl_prints_the_same_for_what_it_has() {
    let Some(other) = kubectl(32) else { return };
    let known = Known::read("commands-built-in-differ.txt");
    let not_had: Vec<usize> = NOT_BUILT_IN.iter().flat_map(|(_, numbers)| *numbers).copied().collect();
    let judgement = |played: &Played| {
        if let Some((code, said)) = &played.refused {
            let expected =
                NOT_BUILT_IN.iter().find(|(_, numbers)| numbers.contains(&played.number)).map(|(text, _)| *text);
            // What is in parentheses goes on, and ends well.
            let fails = *code != 0 || played.command.starts_with('(');
            let refused = fails && said.starts_with("error: ") && expected.is_some_and(|text| said.contains(text));
            (!refused).then(|| format!("{} {}: exit code {code}, {said}", played.number, played.command))
        } else {
            known.judge(played.number, &played.command, &played.differences)
        }
    };
    let (same, wrong) = judge(Path::new(env!("CARGO_BIN_EXE_tutorial")), &other, &not_had, judgement).await;
    println!("{same} commands print the same with the built-in kubectl, {} it does not have", not_had.len());
    assert!(wrong.is_empty(), "{} commands differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same >= 105, "{same} commands print the same");
}

/// What the built-in kubectl does not have, by the commands' numbers, with what it says of that.
const NOT_BUILT_IN: &[(&str, &[usize])] = &[
    ("`kubectl auth` is not in the kubectl that is built into tutorial", &[9, 10, 11]),
    ("`kubectl diff` is not in", &[21, 24]),
    ("go-template", &[36]),
    ("`kubectl proxy` is not in", &[63]),
    ("`kubectl cp` is not in", &[64]),
    ("`kubectl attach` is not in", &[65]),
    ("`kubectl set env` is not in", &[72]),
    ("unknown flag: --list\nSee 'kubectl set --help' for usage.", &[73]),
    ("unknown flag: --requests\nSee 'kubectl set --help' for usage.", &[74]),
    ("`kubectl edit` is not in", &[96, 98]),
    ("`kubectl replace` is not in", &[99, 100]),
    ("`kubectl expose` is not in", &[101]),
    ("unknown flag: --tcp\nSee 'kubectl create --help' for usage.", &[107, 108]),
    ("`kubectl run` is not in", &[109, 114, 117]),
    ("`kubectl explain` is not in", &[118, 119, 120]),
    ("`kubectl top` is not in", &[121]),
    ("`kubectl cordon` is not in", &[122]),
    ("`kubectl uncordon` is not in", &[123]),
    // It reads YAML with a parser that has words of its own.
    ("error parsing STDIN: error converting YAML to JSON: yaml: ", &[130]),
    ("`apply --prune` is not in", &[133]),
    ("`kubectl kustomize` is not in", &[134]),
    // Without klog's lines about each attempt to reach a server.
    ("error: failed to determine current context", &[140]),
];
