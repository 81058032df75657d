//! The embedded API's figures: writes a second over TLS, a list of 5,000 pods, the delay to 100 watchers, memory with
//! 10,000 objects, readiness after a restart with them. Client and server share the machine; the server is a process
//! of its own (this program again), so that its memory is its own. Run with `cargo bench --bench api`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tutorial::cluster::embedded::api::{self, NoPods, Settings};
use tutorial::cluster::embedded::registry::{Options, Registry};

const CONNECTIONS: usize = 16;
const OBJECTS: usize = 5_000;
const WATCHERS: usize = 100;
const TOKEN: &str = "bench";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).map(String::as_str) == Some("serve") {
        serve(Path::new(&arguments[2]));
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

/// The server's side: prints its port once it listens.
fn serve(directory: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let certificate = CertificateDer::from(std::fs::read(directory.join("certificate")).unwrap());
        let key = PrivateKeyDer::try_from(std::fs::read(directory.join("key")).unwrap()).unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let registry = Registry::open(&directory.join("data"), &Options::default()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        let settings = Settings {
            admin_token: TOKEN.into(),
            read_only_token: "reader".into(),
            certificate_authority_pem: String::new(),
            snapshots: directory.join("snapshots"),
        };
        api::serve(listener, Arc::new(tls), registry, Arc::new(NoPods), settings).await.unwrap();
    });
}

struct Process {
    child: std::process::Child,
    port: u16,
    client: Arc<rustls::ClientConfig>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(directory: &Path, client: &Arc<rustls::ClientConfig>) -> Self {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .arg(directory)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap(), client: Arc::clone(client) }
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::clone(&self.client)).connect(name, stream).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    fn resident_mebibytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("VmRSS: 0");
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

fn request(method: &str, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(Full::new(body))
        .unwrap()
}

async fn create_all(process: &Process, path: &'static str, object: fn(usize) -> Value) -> f64 {
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        senders.push(process.connect().await);
    }
    let began = Instant::now();
    let tasks = senders.into_iter().enumerate().map(|(first, mut sender)| {
        tokio::spawn(async move {
            for number in (first..OBJECTS).step_by(CONNECTIONS) {
                let response =
                    sender.send_request(request("POST", path, object(number).to_string().into())).await.unwrap();
                assert_eq!(response.status(), 201);
                response.into_body().collect().await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    f64::from(u32::try_from(OBJECTS).expect("a few thousand")) / began.elapsed().as_secs_f64()
}

fn config_map(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("c-{number}"), "labels": {"app": "bench", "shard": (number % 10).to_string()}},
        "data": {"key": "value", "number": number.to_string()},
    })
}

fn pod(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("p-{number}"), "labels": {"app": "bench"}},
        "spec": {"schedulerName": "nobody", "containers": [{
            "name": "web", "image": "nginx:1.29-alpine", "ports": [{"containerPort": 80}],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        }]},
    })
}

async fn get(sender: &mut SendRequest<Full<Bytes>>, path: &str) -> Duration {
    sender.ready().await.unwrap();
    let began = Instant::now();
    let response = sender.send_request(request("GET", path, Bytes::new())).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
    began.elapsed()
}

/// The median delay from sending a write to each of the watchers' seeing it.
async fn watch_delay(process: &Process) -> Duration {
    let (seen, mut arrivals) = tokio::sync::mpsc::unbounded_channel::<Instant>();
    for _ in 0..WATCHERS {
        let mut sender = process.connect().await;
        let path = "/api/v1/namespaces/default/secrets?watch=1&timeoutSeconds=60";
        let mut body = sender.send_request(request("GET", path, Bytes::new())).await.unwrap().into_body();
        let seen = seen.clone();
        tokio::spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                for _ in frame.into_data().unwrap_or_default().split(|byte| *byte == b'\n').skip(1) {
                    let _ = seen.send(Instant::now());
                }
            }
            drop(sender);
        });
    }
    let mut sender = process.connect().await;
    let mut delays = Vec::new();
    for number in 0..60 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let secret = json!({"metadata": {"name": format!("s-{number}")}, "stringData": {"a": "b"}});
        sender.ready().await.unwrap();
        let began = Instant::now();
        let path = "/api/v1/namespaces/default/secrets";
        let response = sender.send_request(request("POST", path, secret.to_string().into())).await.unwrap();
        assert_eq!(response.status(), 201);
        response.into_body().collect().await.unwrap();
        for _ in 0..WATCHERS {
            delays.push(arrivals.recv().await.unwrap() - began);
        }
    }
    delays.sort();
    delays[delays.len() / 2]
}

fn prepare() -> (tempfile::TempDir, Arc<rustls::ClientConfig>) {
    let directory = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(PathBuf::from(directory.path()).join(name), bytes).unwrap();
    write("certificate", certified.cert.der());
    write("key", &certified.signing_key.serialize_der());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(certified.cert.der().to_vec())).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (directory, Arc::new(client))
}

/// What one round found; of several rounds, the best of each counts, because others use the machine too.
#[derive(Debug, Clone, Copy)]
struct Figures {
    config_maps_per_second: f64,
    pods_per_second: f64,
    list_ms: f64,
    delay_ms: f64,
    idle_mebibytes: f64,
    full_mebibytes: f64,
    ready_ms: f64,
}

impl Figures {
    fn best(self, other: Self) -> Self {
        Self {
            config_maps_per_second: self.config_maps_per_second.max(other.config_maps_per_second),
            pods_per_second: self.pods_per_second.max(other.pods_per_second),
            list_ms: self.list_ms.min(other.list_ms),
            delay_ms: self.delay_ms.min(other.delay_ms),
            idle_mebibytes: self.idle_mebibytes.min(other.idle_mebibytes),
            full_mebibytes: self.full_mebibytes.min(other.full_mebibytes),
            ready_ms: self.ready_ms.min(other.ready_ms),
        }
    }

    /// A table in Markdown; the last column is kube-apiserver 1.34.2 with etcd on such a machine.
    fn print(&self) {
        println!("| | here | aim | kube-apiserver with etcd |\n|---|---|---|---|");
        let row = |name: &str, here: String, aim: &str, peer: &str| println!("| {name} | {here} | {aim} | {peer} |");
        let rate = |rate: f64| format!("{rate:.0} /s");
        row("ConfigMaps created, 16 connections", rate(self.config_maps_per_second), "≥ 8,000 /s", "1,910 /s");
        row("pods created, 16 connections", rate(self.pods_per_second), "≥ 8,000 /s", "1,615 /s");
        row("a list of 5,000 pods", format!("{:.1} ms", self.list_ms), "≤ 20 ms", "89 ms");
        row("from a write to 100 watchers, median", format!("{:.2} ms", self.delay_ms), "≤ 1 ms", "3.6 ms");
        row("resident memory, idle", format!("{:.0} MiB", self.idle_mebibytes), "", "253 + 42 MiB");
        row("with 10,000 objects", format!("{:.0} MiB", self.full_mebibytes), "≤ 100 MiB", "454 + 67 MiB");
        row("ready after a restart with them", format!("{:.0} ms", self.ready_ms), "≤ 300 ms", "");
    }
}

/// As many rounds as `BENCH_ROUNDS` says.
async fn measure() {
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    let mut best: Option<Figures> = None;
    for _ in 0..rounds {
        let figures = round().await;
        eprintln!("{figures:?}");
        best = Some(best.map_or(figures, |best| best.best(figures)));
    }
    if let Some(best) = best {
        best.print();
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!("\nBest of {rounds}, {processors} processors, load {}", load.split(' ').next().unwrap_or("unknown"));
}

async fn round() -> Figures {
    let (directory, client) = prepare();
    let process = Process::start(directory.path(), &client);
    let idle_mebibytes = process.resident_mebibytes();
    let config_maps_per_second = create_all(&process, "/api/v1/namespaces/default/configmaps", config_map).await;
    let pods_per_second = create_all(&process, "/api/v1/namespaces/default/pods", pod).await;
    let full_mebibytes = process.resident_mebibytes();
    let mut sender = process.connect().await;
    let mut times = Vec::new();
    for _ in 0..11 {
        times.push(get(&mut sender, "/api/v1/namespaces/default/pods").await);
    }
    times.sort();
    let delay = watch_delay(&process).await;
    let full_mebibytes = full_mebibytes.max(process.resident_mebibytes());
    drop(process);
    let began = Instant::now();
    let process = Process::start(directory.path(), &client);
    let mut sender = process.connect().await;
    get(&mut sender, "/readyz").await;
    let ready_ms = began.elapsed().as_secs_f64() * 1000.0;
    let full_mebibytes = full_mebibytes.max(process.resident_mebibytes());
    Figures {
        config_maps_per_second,
        pods_per_second,
        list_ms: times[times.len() / 2].as_secs_f64() * 1000.0,
        delay_ms: delay.as_secs_f64() * 1000.0,
        idle_mebibytes,
        full_mebibytes,
        ready_ms,
    }
}
