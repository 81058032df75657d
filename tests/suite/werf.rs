//! The project that the real werf was recorded with (`tests/golden/werf/README.md`), on an embedded cluster of its own:
//! what the tests of the agent play in.

use std::path::{Path, PathBuf};
use std::process::Command;

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

/// The port is one line, as in the recorded project.
const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: {{ .Chart.Name }}
spec:
  type: NodePort
  selector: {app: {{ .Chart.Name }}}
  ports:
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
            node_ports: vec![30080, 30081],
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

    /// What is served at a node's port.
    pub fn page(&self, node_port: u16) -> String {
        use std::io::{Read as _, Write as _};
        let port = self.connection.node_ports.get(&node_port).copied().unwrap_or(node_port);
        let mut answer = String::new();
        let asked = std::net::TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
            stream.read_to_string(&mut answer)
        });
        match asked {
            Ok(_) => answer.split_once("\r\n\r\n").map_or(answer.clone(), |(_, body)| body.to_owned()),
            Err(error) => error.to_string(),
        }
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
