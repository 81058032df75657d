//! The embedded werf plays the scenes that the real one was recorded in: same lines once times, digests, addresses and
//! generated names are left out, same exit codes.
//!
//! Left out besides: the builder's own lines, pods' logs, all progress tables of a command but the last (how many there
//! are is a matter of seconds), and the pods of a workload that became ready (the real werf shows them or not, by
//! whether it looked in time).

use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use tutorial::cluster::embedded::process;
use tutorial::cluster::{ClusterSpec, Connection};

/// A project with a cluster of its own.
pub struct Scene {
    directory: tempfile::TempDir,
    spec: ClusterSpec,
    connection: Connection,
}

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Chart.Name }}
  labels: {app: {{ .Chart.Name }}}
spec:
  replicas: {{ index .Values.replicas .Values.werf.env | default 1 }}
  selector:
    matchLabels: {app: {{ .Chart.Name }}}
  template:
    metadata:
      labels: {app: {{ .Chart.Name }}}
    spec:
      containers:
      - name: web
        image: {{ .Values.werf.image.web }}
        ports:
        - containerPort: 80
        readinessProbe:
          httpGet: {path: /, port: 80}
          periodSeconds: 1
";

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: {{ .Chart.Name }}
spec:
  type: NodePort
  selector: {app: {{ .Chart.Name }}}
  ports:
  # One line, as in the recorded project.
  - {name: http, port: 80, targetPort: 80, nodePort: {{ index .Values.nodePort .Values.werf.env }}}
";

impl Scene {
    pub fn new() -> Self {
        Self::at_pace(10.0)
    }

    /// A project whose cluster's clock goes faster by a factor.
    pub fn at_pace(time_factor: f64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spec = ClusterSpec {
            name: "tutorial-werf".into(),
            directory: directory.path().join("cluster"),
            node_ports: Vec::new(),
            time_factor,
        };
        let program = Path::new(env!("CARGO_BIN_EXE_tutorial"));
        let connection = block_on(process::ensure_running(&spec, program)).unwrap();
        std::fs::create_dir_all(directory.path().join("bin")).unwrap();
        for name in ["werf", "kubectl"] {
            std::os::unix::fs::symlink(program, directory.path().join("bin").join(name)).unwrap();
        }
        let scene = Self { directory, spec, connection };
        std::fs::create_dir_all(scene.app()).unwrap();
        scene.git(&["init", "-q", "-b", "main"]);
        scene.write("Dockerfile", "FROM nginx:1.29-alpine\nCOPY public /usr/share/nginx/html\n");
        scene.write("public/index.html", "<h1>Hello v1</h1>\n");
        scene.write("werf.yaml", "project: demo-app\nconfigVersion: 1\n---\nimage: web\ndockerfile: Dockerfile\n");
        scene.write(
            ".helm/values.yaml",
            "replicas:\n  development: 1\n  production: 2\nnodePort:\n  development: 30081\n  production: 30080\n",
        );
        scene.write(".helm/templates/deployment.yaml", DEPLOYMENT);
        scene.write(".helm/templates/service.yaml", SERVICE);
        scene.commit("First commit");
        scene
    }

    pub fn app(&self) -> PathBuf {
        self.directory.path().join("app")
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.app().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn replace(&self, path: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.app().join(path)).unwrap();
        assert!(text.contains(old), "{path} has no {old}");
        self.write(path, &text.replace(old, new));
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("KUBECONFIG", &self.connection.kubeconfig)
            .env("WERF_REPO", format!("{}/demo-app", self.connection.registry))
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
            .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
            .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
            .current_dir(self.app());
        command
    }

    /// The built-in kubectl.
    pub fn kubectl(&self) -> Command {
        self.command(&self.directory.path().join("bin/kubectl").display().to_string())
    }

    pub fn git(&self, arguments: &[&str]) {
        let output = self.command("git").args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// What werf prints, with its exit code at the end as in the logs.
    pub fn werf(&self, words: &str) -> String {
        self.werf_in(&self.app(), words)
    }

    pub fn werf_in(&self, directory: &Path, words: &str) -> String {
        let program = self.directory.path().join("bin/werf");
        let mut command = self.command(&program.display().to_string());
        told(command.args(words.split(' ')).current_dir(directory))
    }

    /// Runs a command and compares it with the one that a log's scene has.
    pub fn play(&self, log: &str, marker: &str, words: &str) {
        let expected = recorded(log, marker, &format!("werf {words}"));
        let actual = self.werf(words);
        similar_lines(&format!("{log} {marker}: werf {words}"), &normalised(&expected), &normalised(&actual));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = block_on(process::stop(&self.spec.directory));
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What a command prints, with its exit code at the end as in the logs.
pub fn told(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{text}[rc {}]\n", output.status.code().unwrap_or(-1))
}

/// The output of a command in the scene that starts at a line `### MARKER…`.
pub fn recorded(log: &str, marker: &str, words: &str) -> String {
    let path = format!("{}/tests/golden/werf/{log}.log", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let start = if marker.is_empty() { 0 } else { text.find(&format!("### {marker}")).expect(marker) };
    let command = format!("$ {words}\n");
    let from =
        start + text[start..].find(&command).unwrap_or_else(|| panic!("{log} {marker}: {command}")) + command.len();
    let end = text[from..].find("[rc ").unwrap() + from;
    let line_end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
    text[from..line_end].to_owned()
}

/// The text without what differs from run to run.
pub fn normalised(text: &str) -> Vec<String> {
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
        text = Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
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

pub fn similar_lines(what: &str, expected: &[String], actual: &[String]) {
    assert!(expected == actual, "{what}\n--- recorded\n{}\n--- now\n{}\n", expected.join("\n"), actual.join("\n"));
}

#[test]
fn what_is_not_committed_is_refused() {
    const LOG: &str = "02-uncommitted";
    let scene = Scene::new();
    let first = scene.werf("converge --env development");
    assert!(first.ends_with("[rc 0]\n"), "{first}");
    let changes: [(&str, fn(&Scene)); 10] = [
        ("a. ", |scene| scene.write("public/index.html", "<h1>Hello</h1>")),
        ("b. ", |scene| scene.write("public/new.html", "new")),
        ("c. ", |scene| scene.replace(".helm/templates/service.yaml", "port: 80,", "port: 81,")),
        ("d. ", |scene| scene.write(".helm/templates/extra.yaml", "")),
        ("d2. ", |scene| {
            scene.write(".helm/templates/extra.yaml", "");
            scene.git(&["add", ".helm"]);
        }),
        ("e. ", |scene| scene.replace("Dockerfile", "1.29-alpine", "1.28-alpine")),
        ("f. ", |scene| scene.replace("werf.yaml", "web", "app")),
        ("g. ", |scene| scene.replace(".helm/values.yaml", "production: 2", "production: 3")),
        ("h. ", |scene| std::fs::remove_file(scene.app().join(".helm/templates/service.yaml")).unwrap()),
        ("i. ", |scene| {
            scene.git(&["rm", "-q", "--cached", "werf.yaml"]);
            scene.git(&["commit", "-qm", "No werf.yaml"]);
        }),
    ];
    for (marker, change) in changes {
        change(&scene);
        scene.play(LOG, marker, "converge --env development");
        if marker == "i. " {
            scene.git(&["reset", "-q", "HEAD~1"]);
        }
        scene.git(&["reset", "-q", "--hard"]);
        scene.git(&["clean", "-fdq"]);
    }
    scene.write("public/index.html", "<h1>Hello dev</h1>\n");
    scene.play(LOG, "k. ", "converge --env development --dev");
    scene.git(&["checkout", "-q", "."]);
    std::fs::rename(scene.app().join(".git"), scene.directory.path().join("aside")).unwrap();
    scene.play(LOG, "j. ", "converge --env development");
}

#[test]
fn a_release_is_made_broken_and_mended() {
    let scene = Scene::new();
    scene.play("01-first-converge", "", "converge --env development");
    scene.write("public/index.html", "<h1>Hello v2</h1>\n");
    scene.commit("Second page");
    const SECOND: &str = "03-change-plan-render-production";
    for marker in ["3. ", "3b. "] {
        scene.play(SECOND, marker, "converge --env development");
    }
    scene.commit("Nothing");
    scene.play(SECOND, "3c. ", "converge --env development");
    scene.play(SECOND, "4. ", "plan --env development");
    scene.play(SECOND, "4. ", "plan --env development --exit-code");
    scene.replace(".helm/values.yaml", "development: 1", "development: 3");
    scene.commit("Three replicas");
    scene.play(SECOND, "4b. ", "plan --env development");
    assert!(scene.werf("plan --env development --exit-code").ends_with("[rc 2]\n"));
    scene.play(SECOND, "5. ", "render --env development");
    scene.play(SECOND, "5b. ", "lint --env development");
    scene.play(SECOND, "6. ", "converge --env production");
    let without = scene.werf("converge");
    assert!(
        without.contains("template: demo-app/templates/service.yaml:10:56: executing \"demo-app/templates/service.yaml\" at <index .Values.nodePort .Values.werf.env>: error calling index: value is nil; should be of type string"),
        "{without}"
    );
    const BROKEN: &str = "04-broken-release-and-reset";
    scene.replace(".helm/templates/deployment.yaml", "path: /,", "path: /nope,");
    scene.commit("Broken");
    scene.play(BROKEN, "8. ", "converge --env production --timeout 20");
    scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    scene.play(BROKEN, "9. ", "converge --env production");
    const DRIFT: &str = "06-drift-and-prune";
    scene.write(
        ".helm/templates/settings.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n",
    );
    scene.commit("Settings");
    scene.play(DRIFT, "12. ", "converge --env production");
    scene.git(&["rm", "-q", ".helm/templates/settings.yaml"]);
    scene.commit("No settings");
    scene.play(DRIFT, "12. ", "plan --env production");
    let pruned = scene.werf("converge --env production");
    assert!(pruned.contains("RESOURCE (→ABSENT)  STATE   INFO\n│ ConfigMap/settings  ABSENT\n"), "{pruned}");
    const FAILED: &str = "07-failed-releases";
    scene.replace(".helm/templates/deployment.yaml", "path: /,", "path: /nope,");
    scene.commit("Broken again");
    scene.play(FAILED, "13. ", "converge --env production --auto-rollback");
    scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    for revision in [1, 77] {
        let refused = scene.werf(&format!("rollback --env production --revision {revision}"));
        let expected = format!(
            "Error: release install: not found revision {revision} for release \"demo-app-production\" (namespace: \"demo-app-production\")"
        );
        assert!(refused.contains(&expected), "{refused}");
    }
    const REMOVED: &str = "09-values-hooks-dismiss";
    scene.play(REMOVED, "23. ", "dismiss --env development");
    let again = scene.werf("dismiss --env development");
    assert!(
        again.contains(
            "Skipped release \"demo-app-development\" (namespace: \"demo-app-development\") uninstall: no release found"
        ),
        "{again}"
    );
    scene.play(REMOVED, "23. ", "dismiss --env production --with-namespace");
}

#[test]
fn mistakes_are_told_as_werf_tells_them() {
    const LOG: &str = "08-errors-rollback-helm";
    let scene = Scene::new();
    for environment in ["development", "production"] {
        let made = scene.werf(&format!("converge --env {environment}"));
        assert!(made.ends_with("[rc 0]\n"), "{made}");
    }
    let deployment = ".helm/templates/deployment.yaml";
    let with = |marker: &str, path: &str, old: &str, new: &str, expected: &str| {
        scene.replace(path, old, new);
        scene.commit("A mistake");
        let said = scene.werf("converge --env production");
        let recorded =
            std::fs::read_to_string(format!("{}/tests/golden/werf/{LOG}.log", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let recorded = recorded.split_once(&format!("### {marker}")).expect(marker).1;
        let expected = recorded.lines().find(|line| line.contains(expected)).unwrap_or_else(|| panic!("{expected}"));
        assert!(said.contains(expected) && said.ends_with("[rc 1]\n"), "{expected}\n--- now\n{said}");
        if marker == "17. " {
            scene.play(LOG, marker, "lint --env production");
        }
        scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    };
    with("17. ", deployment, "kind: Deployment", "kind Deployment", "Error: release install: render chart: convert");
    with(
        "17b. ",
        deployment,
        "name: {{ .Chart.Name }}\n",
        "name: {{ .Chart.Name | quotee }}\n",
        "function \"quotee\" not defined",
    );
    with("17c. ", deployment, "replicas:", "replcas:", "field not declared in schema");
    with("17d. ", deployment, "containerPort: 80", "containerPort: 800000", "must be between 1 and 65535");
    with("17e. ", ".helm/values.yaml", "production: 30080", "production: 30081", "provided port is already allocated");
    with("17f. ", deployment, "{app: {{ .Chart.Name }}}", "{app: demo-app2}", "field is immutable");
    with("17g. ", "werf.yaml", "dockerfile: Dockerfile", "dockerfile: Dockerfile\nfoo: bar", "unknown fields: `foo`!");
    scene.play(LOG, "18. ", "rollback --env production");
    scene.play(LOG, "19. ", "helm get values demo-app-production -n demo-app-production");
    helm_reads_as_recorded(&scene, LOG);
}

/// The same releases by Helm's commands. The recorded ones had seen fourteen revisions more.
fn helm_reads_as_recorded(scene: &Scene, log: &str) {
    let alike = |text: &str, now: bool| {
        let mut text = text.to_owned();
        let times = [r"\d{4}-\d\d-\d\d [\d:.]+ \+0000 UTC", r"\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}"];
        for pattern in times {
            text = Regex::new(pattern).unwrap().replace_all(&text, "TIME").into_owned();
        }
        if !now {
            for revision in (15..=20).rev() {
                let pattern = Regex::new(&format!(r"(?m)(^|\t|REVISION: ){revision}\b")).unwrap();
                text = pattern.replace_all(&text, format!("${{1}}{}", revision - 14)).into_owned();
            }
            text = text.replace("development\t3 ", "development\t1 ").replace("development: 3\n", "development: 1\n");
        }
        normalised(&text)
    };
    let release = "demo-app-production -n demo-app-production";
    for words in ["list -A".to_owned(), format!("history {release}"), format!("status {release}")] {
        let expected = recorded(log, "19. ", &format!("werf helm {words}"));
        let actual = scene.werf(&format!("helm {words}"));
        similar_lines(&format!("19. {words}"), &alike(&expected, false), &alike(&actual, true));
    }
    // The recording of this one ends in the middle of the manifest.
    let path = format!("{}/tests/golden/werf/{log}.log", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let expected = text.split_once(&format!("$ werf helm get all {release}\n")).unwrap().1;
    let expected = alike(expected.split("\n$ ").next().unwrap(), false);
    let mut actual = alike(&scene.werf(&format!("helm get all {release}")), true);
    actual.truncate(expected.len());
    similar_lines("19. get all", &expected, &actual);
}
