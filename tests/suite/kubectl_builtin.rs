//! The built-in kubectl against what kubectl 1.32 printed on a real cluster, command by command, on the embedded
//! sandbox.

use std::process::Stdio;

use regex::Regex;
use serde::Deserialize;

use super::session::Home;

/// One recorded command.
#[derive(Deserialize)]
struct Recorded {
    command: String,
    #[serde(default)]
    stdin: String,
    rc: i32,
    out: String,
    err: String,
}

/// Leaves out what is random or measured: names' suffixes, addresses, times, widths.
struct Mask(Vec<(Regex, &'static str)>);

impl Mask {
    fn new() -> Self {
        let patterns = [
            (r"(?m)^Waiting for .*\n", ""),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
            (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+\d{4}", "TIME"),
            (r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d", "TIME"),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
            (r"\b(web|c)-[0-9a-z]{8,10}-[a-z0-9]{5}\b", "$1-HASH-ID"),
            (r"\b(web|c)-[0-9a-z]{8,10}\b", "$1-HASH"),
            (r"\bweb-[a-z0-9]{5}\b", "web-ID"),
            (r"pod-template-hash=\w+", "pod-template-hash=HASH"),
            (r#"resourceVersion("?): "\d+""#, "resourceVersion$1: N"),
            (r"\b10\.\d+\.\d+\.\d+\b", "IP"),
            (r"\b(\d+[smhd])+\b", "AGE"),
            (r"-{2,}", "--"),
            (r"[ \t]+", " "),
            (r" \n", "\n"),
        ];
        Self(patterns.into_iter().map(|(pattern, mask)| (Regex::new(pattern).unwrap(), mask)).collect())
    }

    fn apply(&self, text: &str) -> String {
        let masked =
            self.0.iter().fold(text.to_owned(), |text, (pattern, mask)| pattern.replace_all(&text, *mask).into_owned());
        masked.trim().to_owned()
    }
}

#[test]
fn what_kubectl_printed_on_a_real_cluster() {
    let home = Home::new();
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tutorial"), bin.join("kubectl")).unwrap();
    home.tutorial(&["cluster", "start"]).expect(0);
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::write(&kubeconfig, home.tutorial(&["cluster", "kubeconfig"]).expect(0).stdout).unwrap();
    std::fs::write(home.path().join("web.yaml"), include_str!("../golden/kubectl-web.yaml")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let run = |command: &str, input: &str| {
        let mut shell = home.command("sh");
        shell.args(["-c", command]).env("PATH", &path).env("KUBECONFIG", &kubeconfig).env("TZ", "UTC");
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let mask = Mask::new();
    let mut differences = Vec::new();
    run("kubectl config set-context --current --namespace=demo", "");
    for line in include_str!("../golden/kubectl.jsonl").lines() {
        let recorded: Recorded = serde_json::from_str(line).unwrap();
        let output = run(&recorded.command, &recorded.stdin);
        let text = |bytes: &[u8]| mask.apply(&String::from_utf8_lossy(bytes));
        let found = format!("exit {:?}\n{}\n{}", output.status.code(), text(&output.stdout), text(&output.stderr));
        let expected =
            format!("exit {:?}\n{}\n{}", Some(recorded.rc), mask.apply(&recorded.out), mask.apply(&recorded.err));
        if found != expected {
            differences.push(format!("$ {}\nrecorded: {expected}\nfound: {found}", recorded.command));
        }
    }
    home.tutorial(&["cluster", "delete"]);
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n\n"));
}
