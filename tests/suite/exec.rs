//! What a pod answers to `kubectl exec`, asked over the API by a real kubectl and by the built-in one: both print the
//! same, and what cannot be run is said plainly.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::kubectl::kubectl;
use super::werf::Scene;

const MANIFEST: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: web
    image: nginx:1.29-alpine
    env: [{name: PLACE, value: here}]
    ports: [{containerPort: 80}]
    volumeMounts: [{name: settings, mountPath: /etc/settings}]
  volumes: [{name: settings, configMap: {name: settings}}]
";

/// The words behind `exec web --`; the exit code; what is printed, and what is said beside it.
const COMMANDS: &[(&[&str], i32, &str, &str)] = &[
    (&["ls", "/usr/share/nginx/html"], 0, "50x.html\nindex.html\n", ""),
    (&["ls", "/nope"], 1, "", "ls: /nope: No such file or directory\n"),
    (&["cat", "/etc/settings/colour"], 0, "blue", ""),
    (&["cat", "/nope"], 1, "", "cat: can't open '/nope': No such file or directory\n"),
    (&["echo", "a", "b"], 0, "a b\n", ""),
    (&["sh", "-c", "echo $PLACE"], 0, "here\n", ""),
    (&["sh", "-c", "exit 3"], 3, "", ""),
    (&["sh", "-c", "cat /etc/settings/colour"], 0, "blue", ""),
    (
        &["nginx", "-t"],
        0,
        "",
        "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n\
         nginx: configuration file /etc/nginx/nginx.conf test is successful\n",
    ),
    (&["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://localhost/"], 0, "200", ""),
    (&["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://localhost/nope"], 0, "404", ""),
    (&["curl", "-s", "http://localhost:81/"], 7, "", ""),
];

fn exec(program: &Path, scene: &Scene, words: &[&str]) -> (i32, String, String) {
    let mut command: Command = scene.command(&program.display().to_string());
    let output = command.args(["exec", "web", "--"]).args(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_pod_answers_what_its_server_can() {
    let scene = Scene::new();
    scene.write("web.yaml", MANIFEST);
    for words in [&["apply", "-f", "web.yaml"][..], &["wait", "--for=condition=Ready", "pod/web", "--timeout=30s"]] {
        let made = scene.kubectl().args(words).output().unwrap();
        assert!(made.status.success(), "{words:?}: {}", String::from_utf8_lossy(&made.stderr));
    }
    let built_in = PathBuf::from(scene.kubectl().get_program());
    let programs = [Some(built_in), kubectl(32)];
    let mut wrong = Vec::new();
    for program in programs.iter().flatten() {
        for (words, code, out, err) in COMMANDS {
            let ended = if *code == 0 { String::new() } else { format!("command terminated with exit code {code}\n") };
            let expected = (*code, (*out).to_owned(), format!("{err}{ended}"));
            let found = exec(program, &scene, words);
            if found != expected {
                wrong.push(format!("{} {words:?}\n  expected {expected:?}\n  found    {found:?}", program.display()));
            }
        }
        let (code, out, _) = exec(program, &scene, &["env"]);
        for line in ["PLACE=here", "HOSTNAME=web", "KUBERNETES_SERVICE_PORT=443"] {
            assert!(code == 0 && out.lines().any(|found| found == line), "{line}: {code} {out}");
        }
        let (code, page, _) = exec(program, &scene, &["wget", "-qO-", "http://127.0.0.1/"]);
        assert!(code == 0 && page.contains("<h1>Welcome to nginx!</h1>"), "{code} {page}");
        let (code, out, err) = exec(program, &scene, &["python3", "-c", "1"]);
        assert!(code != 0 && out.is_empty(), "{code} {out}");
        assert!(err.contains("cannot run \"python3\" in a container") && err.contains("--sandbox kind"), "{err}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
