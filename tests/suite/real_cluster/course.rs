//! The course, step by step, on a kind cluster and on the embedded one at the same time: what the checks read, what
//! is in the cluster, and what the agent prints is the same on both.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::differences::{is_known, not_met};
use super::observed::{self, Difference, KINDS};
use super::player::Player;
use super::{alone, containers, docker, has_engine};

/// How long two clusters may take until they show the same.
const SETTLING_TIME_MAX: Duration = Duration::from_secs(60);
/// Here the node is killed: both environments run, and a rollback is behind them.
const KILLED_AT: &str = "revert";
/// Here Helm looks at the releases, the failed one among them.
const HELM_AT: &str = "prune";
const NODE: &str = "tutorial-gitops-with-werf-control-plane";

/// The two who play.
struct Pair {
    embedded: Player,
    kind: Player,
    unexplained: Vec<String>,
}

impl Pair {
    fn both<T: Send>(&self, act: impl Fn(&Player) -> T + Sync) -> [T; 2] {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| act(&self.kind));
            let embedded = act(&self.embedded);
            [embedded, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))]
        })
    }

    /// Compares what both show until it is the same but for what is known to differ.
    fn compare(&mut self, what: &str, show: impl Fn(&Player) -> Value + Sync) {
        let deadline = Instant::now() + SETTLING_TIME_MAX;
        loop {
            let left = self.differences(what, &show);
            if left.is_empty() {
                return;
            }
            if Instant::now() > deadline {
                self.unexplained.extend(left.iter().map(Difference::to_string));
                return;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn compare_once(&mut self, what: &str, show: impl Fn(&Player) -> Value + Sync) {
        let left = self.differences(what, &show);
        self.unexplained.extend(left.iter().map(Difference::to_string));
    }

    fn differences(&self, what: &str, show: &(impl Fn(&Player) -> Value + Sync)) -> Vec<Difference> {
        let [embedded, kind] = self.both(show);
        let mut found = Vec::new();
        observed::differences(what, &embedded, &kind, &mut found);
        found.retain(|difference| !is_known(difference));
        found
    }

    fn play(&mut self, step: &str) {
        self.compare_once(&format!("{step}/printed"), |player| {
            player.a_minute_passes();
            let solved = player.tutorial(&["solve", "--yes"]);
            let is_to_be_read = solved.stderr.contains("this step asks for nothing that could be solved");
            printed(&solved.expect(i32::from(is_to_be_read)).stderr)
        });
        self.compare(&format!("{step}/after"), |player| {
            observed::verdicts(&player.tutorial(&["verify", "--json"]).expect(0).json())
        });
        self.compare(&format!("{step}/cluster"), |player| observed::objects(&player.objects(KINDS)));
    }
}

/// What the agent prints among what a solution prints.
fn printed(transcript: &str) -> Value {
    let lines = transcript.lines().filter_map(|line| line.strip_prefix("  │ "));
    let text = lines.fold(String::new(), |text, line| text + line + "\n");
    let mut text = observed::plain(&normalised(&text).join("\n"));
    for (pattern, replacement) in [
        (r"/tmp/tutorial home \w+", "HOME"),
        (r"\b10\.\d+\.\d+\.\d+\b", "ADDRESS"),
        (r"(?m)\b(\d+m)?\d+s$|\b\d+m$", "AGE"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]* \+0000 UTC", "TIME"),
        (r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", "TIME"),
    ] {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
    }
    sorted_by_hash(text.lines().collect()).into_iter().collect()
}

/// The text without what differs from run to run, the images' blocks and logs, which two clusters tell each in its own
/// way, and all progress tables but the last, for how many there are is a matter of seconds.
fn normalised(text: &str) -> Vec<String> {
    let mut text = text.to_owned();
    for (pattern, replacement) in [
        (r"(?m)^Using werf config render file: .*$", "Using werf config render file: <tmp>"),
        (r"(?s)┌ 🛳️[^\n]*\n.*?└ 🛳️[^\n]*\n", ""),
        (r"(?s)┌ Logs for[^\n]*\n.*?└ Logs for[^\n]*\n\n", ""),
        (r"\n│ {30,}", ""),
        (r"/\S*werf-config-render-\w+", "<tmp>"),
        (r"[0-9a-f]{56}-\d{13}", "TAG"),
        (r"[0-9a-f]{56}", "DIGEST"),
        (r"[0-9a-f]{40}", "COMMIT"),
        (r"Pod/demo-app-[0-9a-z]+-[0-9a-z]{5}", "POD"),
        (r"localhost:\d+", "REGISTRY"),
        (r"\d+\.\d\d seconds", "N seconds"),
        (r#"current directory "[^"]*""#, r#"current directory "DIR""#),
        (r"(?m)^│  • POD +READY.*\n", ""),
        (r"(READY) +Ready:\d+/\d+", "$1"),
        (r" {2,}", " "),
        (r"(?m) +$", ""),
        (r"\n{2,}", "\n"),
    ] {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
    }
    last_table_only(text.lines().map(str::to_owned).collect())
}

fn last_table_only(lines: Vec<String>) -> Vec<String> {
    let tables = lines.iter().filter(|line| *line == "┌ Progress status").count();
    let mut seen = 0;
    let mut inside = false;
    lines
        .into_iter()
        .filter(|line| {
            if line == "┌ Progress status" {
                seen += 1;
                inside = true;
            }
            let dropped = inside && seen < tables;
            inside &= line != "└ Progress status";
            !dropped
        })
        .collect()
}

/// What stands in the order of generated names is put in another one, which is the same for both.
fn sorted_by_hash(mut lines: Vec<&str>) -> Vec<&str> {
    let kind = |line: &str| line.split_once("/demo-app-HASH").map(|(kind, _)| kind.to_owned());
    lines.chunk_by_mut(|one, next| kind(one).is_some() && kind(one) == kind(next)).for_each(<[&str]>::sort_unstable);
    lines
}

#[test]
fn docker_the_course_is_the_same_on_kind_and_embedded() {
    if !has_engine() {
        return;
    }
    let _alone = alone();
    let began = Instant::now();
    let stage = |what: &str| println!("{:6.1} {what}", began.elapsed().as_secs_f64());
    let mut pair = Pair { embedded: Player::new("embedded"), kind: Player::new("kind"), unexplained: Vec::new() };
    pair.both(Player::start);
    stage("both have begun");
    let mut told = 0;
    while let Some(step) = pair.kind.step() {
        assert_eq!(pair.embedded.step().as_ref(), Some(&step));
        pair.play(&step);
        if step == HELM_AT {
            helm_goes_back_and_forth(&mut pair);
        }
        if step == KILLED_AT {
            the_node_is_killed(&pair.kind);
        }
        pair.both(|player| player.tutorial(&["next"]).expect(0));
        stage(&step);
        pair.unexplained.iter().skip(told).for_each(|text| println!("{text}"));
        told = pair.unexplained.len();
    }
    let [embedded, kind] = pair.both(|player| player.tutorial(&["status", "--json"]).expect(0).json());
    assert_eq!((&kind["done"], &kind["sandbox"]), (&kind["total"], &"kind".into()));
    assert_eq!(kind["lessons"], embedded["lessons"]);
    the_installed_werf_was_called_as_it_wants_it(&pair);
    pair.kind.tutorial(&["remove", "--yes"]).expect(0);
    assert_eq!(containers("label=tutorial.cluster=tutorial-gitops-with-werf"), "");
    stage("the kind cluster is gone");
    assert!(pair.unexplained.is_empty(), "{}", pair.unexplained.join("\n"));
    assert_eq!(not_met(), Vec::<String>::new(), "these differ no more");
}

/// In the middle of the course, with all pods. The next command brings it back.
fn the_node_is_killed(kind: &Player) {
    docker(&["kill", NODE]);
    let report = kind.tutorial(&["verify", "--json"]).expect(0).json();
    assert_eq!(report["passed"], true, "{report}");
}

/// Both Helms show what the agent released as the agent does, roll back, and roll forth again.
fn helm_goes_back_and_forth(pair: &mut Pair) {
    let release = "demo-app-production -n demo-app-production";
    for words in ["list -A".to_owned(), format!("status {release}"), format!("history {release}")]
        .into_iter()
        .chain(["get values", "get values --all", "get manifest"].map(|words| format!("{words} {release}")))
    {
        pair.both(|player| {
            let trimmed = |text: &str| {
                text.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect::<Vec<_>>()
            };
            let ours = player.sh(&format!("\"$HOME/agent/werf\" helm {words}")).expect(0).stdout;
            let helms = player.sh(&format!("helm3 {words}")).expect(0).stdout;
            assert_eq!(trimmed(&ours), trimmed(&helms), "{}: {words}", player.sandbox);
            let newest = player.sh(&format!("helm {words}")).expect(0).stdout;
            assert!(!newest.trim().is_empty(), "{}: {words}", player.sandbox);
        });
    }
    let newest = |player: &Player| {
        let history = player.sh(&format!("helm history {release} -o json")).expect(0).json();
        history.as_array().and_then(|all| all.last()?["revision"].as_u64()).expect("a revision")
    };
    for helm in ["helm3", "helm"] {
        pair.both(|player| {
            let target = newest(player) - 1;
            let said = player.sh(&format!("{helm} rollback {release} {target} --wait")).expect(0).stdout;
            assert!(said.contains("Rollback was a success"), "{}: {said}", player.sandbox);
        });
        pair.compare(&format!("{helm}/cluster"), |player| observed::objects(&player.objects(KINDS)));
    }
    pair.both(|player| player.tutorial(&["verify"]).expect(0));
}

/// On the real cluster it is the one that is used, with the environment and the arguments of the recorded runs; on
/// the embedded one, which builds no images, it is not.
fn the_installed_werf_was_called_as_it_wants_it(pair: &Pair) {
    assert_eq!(pair.embedded.calls(), []);
    assert!(pair.embedded.workspace().join(".tutorial/bin/werf").exists());
    assert!(!pair.kind.workspace().join(".tutorial/bin/werf").exists());
    let environment = pair.kind.sh("printf '%s\\n' \"$REGISTRY\" \"$KUBECONFIG\"").expect(0).stdout;
    let (registry, kubeconfig) = environment.trim().split_once('\n').expect("two lines");
    // As in tests/golden/werf/README.md, and one more for a registry that speaks TLS with a certificate of its own.
    let expected = [
        format!("KUBECONFIG={kubeconfig}"),
        "WERF_INSECURE_REGISTRY=1".into(),
        format!("WERF_REPO={registry}/demo-app"),
        "WERF_SKIP_TLS_VERIFY_REGISTRY=1".into(),
        "WERF_SYNCHRONIZATION=:local".into(),
        "WERF_TELEMETRY=0".into(),
    ];
    let calls = pair.kind.calls();
    // Checks have a kubeconfig that only reads.
    let reads_only = format!("KUBECONFIG={kubeconfig}-readonly");
    for call in &calls {
        let mut environment = call.environment.clone();
        if environment.first() == Some(&reads_only) {
            environment[0].clone_from(&expected[0]);
        }
        // They render without a registry, so that nothing is built or looked up for it.
        let is_checks_own = call.words.starts_with("render ") && !environment.contains(&expected[2]);
        if is_checks_own {
            environment.insert(2, expected[2].clone());
        }
        assert_eq!(environment, expected, "{}", call.words);
    }
    let recorded = recorded_words();
    for call in &calls {
        let unknown: Vec<_> = words(&call.words)
            .into_iter()
            .filter(|word| !recorded.contains(word) && !helm_knows(&pair.kind, &call.words, &word.1))
            .collect();
        assert!(unknown.is_empty(), "werf {}: the real one was never seen to take {unknown:?}", call.words);
    }
    for words in ["converge --env development", "converge --env production", "dismiss --env development"] {
        assert!(calls.iter().any(|call| call.words == words), "{words}: {calls:?}");
    }
}

/// Whether a call is of Helm's own commands, which werf has as they are, and Helm's has this flag there.
fn helm_knows(player: &Player, call: &str, flag: &str) -> bool {
    let Some(call) = call.strip_prefix("helm ").filter(|_| !flag.is_empty()) else { return false };
    let depth = if call.starts_with("get ") { 2 } else { 1 };
    let command = call.split(' ').take(depth).collect::<Vec<_>>().join(" ");
    let help = player.sh(&format!("helm3 {command} --help")).expect(0).stdout;
    help.split_whitespace().any(|word| word == flag)
}

/// A command with each of its flags.
fn words(call: &str) -> Vec<(String, String)> {
    let words: Vec<&str> = call.split(' ').collect();
    let depth = if words[0] == "helm" { 2 } else { 1 };
    let flags = words.iter().filter(|word| word.starts_with('-')).map(|flag| (words[0].to_owned(), (*flag).to_owned()));
    std::iter::once((words[..depth].join(" "), String::new())).chain(flags).collect()
}

/// What the real werf was called with when it was recorded.
fn recorded_words() -> BTreeSet<(String, String)> {
    let logs = std::fs::read_dir(format!("{}/tests/golden/werf", env!("CARGO_MANIFEST_DIR"))).unwrap().flatten();
    let texts = logs.map(|log| std::fs::read_to_string(log.path()).unwrap());
    let calls = |text: String| {
        let calls = text.lines().filter_map(|line| line.strip_prefix("$ werf ")).flat_map(words);
        calls.collect::<Vec<_>>()
    };
    texts.flat_map(calls).collect()
}
