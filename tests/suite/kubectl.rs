//! kubectl itself against the API, where it is installed.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;

use super::embedded::{ADMIN, Server};

/// kubectl of a minor version, beside the one on the PATH as the Cloud SDK keeps them (`kubectl.1.32`). Where there is
/// none, the test that asks is skipped, unless `TUTORIAL_REQUIRE_KUBECTL` is set: then it fails.
pub fn kubectl(minor: u32) -> Option<PathBuf> {
    let found = find_kubectl(minor);
    let required = std::env::var("TUTORIAL_REQUIRE_KUBECTL").is_ok_and(|value| value == "1");
    assert!(found.is_some() || !required, "kubectl 1.{minor} is required, and is not beside the kubectl on the PATH");
    if found.is_none() {
        println!("skipped: kubectl 1.{minor} is not installed");
    }
    found
}

fn find_kubectl(minor: u32) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path);
    let found = folders.map(|folder| folder.join("kubectl")).filter(|file| file.is_file());
    found
        .filter_map(|file| Some(std::fs::canonicalize(file).ok()?.parent()?.join(format!("kubectl.1.{minor}"))))
        .find(|versioned| versioned.is_file())
}

/// A kubeconfig for the server, in a directory.
pub fn write_kubeconfig(server: &Server, directory: &Path) -> PathBuf {
    let authority = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &server.authority_pem);
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "tutorial",
        "clusters": [{"name": "tutorial", "cluster": {
            "server": format!("https://127.0.0.1:{}", server.port), "certificate-authority-data": authority,
        }}],
        "contexts": [{"name": "tutorial", "context": {"cluster": "tutorial", "user": "admin"}}],
        "users": [{"name": "admin", "user": {"token": ADMIN}}],
    });
    let path = directory.join("kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

/// What a command printed.
pub struct Output {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub async fn run(program: &Path, kubeconfig: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", kubeconfig.parent().unwrap())
        .current_dir(kubeconfig.parent().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    tokio::spawn(async move {
        let _ = stdin.write_all(input.as_bytes()).await;
    });
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("kubectl {arguments:?} did not end")).unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_minor_creates_applies_reads_and_deletes() {
    for minor in [29, 30, 31, 32, 33] {
        let Some(program) = kubectl(minor) else { return };
        let server = Server::start().await;
        let directory = tempfile::tempdir().unwrap();
        let config = write_kubeconfig(&server, directory.path());
        let check = async |arguments: &str, input: &str, expected: &str| {
            let arguments: Vec<&str> = arguments.split(' ').collect();
            let output = run(&program, &config, &arguments, input).await;
            let said = format!("{}{}", output.out, output.err);
            assert!(said.starts_with(expected), "kubectl 1.{minor} {arguments:?} ({}):\n{said}", output.code);
        };
        let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n";
        check("create configmap c --from-literal=a=b", "", "configmap/c created\n").await;
        check("apply -f -", manifest, "configmap/a created\n").await;
        check("apply -f -", manifest, "configmap/a unchanged\n").await;
        check("apply -f -", &manifest.replace("v}", "w}"), "configmap/a configured\n").await;
        check("apply --server-side -f -", manifest, "").await;
        check("get configmap c -o jsonpath={.data}", "", "{\"a\":\"b\"}").await;
        check("get configmaps", "", "NAME   DATA   AGE\na      1      ").await;
        check("get namespaces", "", "NAME              STATUS   AGE\ndefault           Active   ").await;
        check("create namespace n", "", "namespace/n created\n").await;
        check("create deployment d --image=nginx", "", "deployment.apps/d created\n").await;
        check("scale deployment d --replicas=3", "", "deployment.apps/d scaled\n").await;
        check("label configmap c x=y", "", "configmap/c labeled\n").await;
        check("get cm -l x=y -o name", "", "configmap/c\n").await;
        check("auth can-i create pods", "", "yes\n").await;
        check("delete configmap c a", "", "configmap \"c\" deleted").await;
        check("get configmap c", "", "Error from server (NotFound): configmaps \"c\" not found\n").await;
    }
}
