//! The embedded cluster's figures: writes a second over TLS, a list of 5,000 pods, the delay to 100 watchers, memory with
//! 10,000 objects, readiness after a kill -9 with them, and that each acknowledged one is there then. What is measured is
//! the background process that a learner runs, with controllers and node; client and server share the machine. Exits
//! with 1 where a bound is missed. Run with `cargo bench --bench api`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tutorial::cluster::ClusterSpec;
use tutorial::cluster::embedded::process::{self, Status};

const CONNECTIONS: usize = 16;
const OBJECTS: usize = 5_000;
const WATCHERS: usize = 100;
/// So many for each median of the watchers' delay.
const WRITES: usize = 100;
/// After it the processors of a virtual machine sleep.
const IDLE: Duration = Duration::from_millis(20);
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // On the workers, beside the connections: a thread of its own would be woken for each request.
    runtime.block_on(async { tokio::spawn(measure()).await }).unwrap()
}

/// The background process, and how to speak to it.
struct Process {
    spec: ClusterSpec,
    id: u32,
    port: u16,
    token: String,
    client: Arc<rustls::ClientConfig>,
}

impl Process {
    async fn start(directory: &Path) -> Self {
        let spec = ClusterSpec {
            name: "bench".into(),
            directory: directory.join("cluster"),
            node_ports: Vec::new(),
            time_factor: 1.0,
        };
        process::ensure_running(&spec, Path::new(env!("CARGO_BIN_EXE_tutorial"))).await.unwrap();
        let Status::Running { process: id, .. } = process::status(&spec.directory) else { panic!("it runs") };
        let kubeconfig = kube::config::Kubeconfig::read_from(spec.directory.join("kubeconfig-direct")).unwrap();
        let token =
            serde_json::to_value(&kubeconfig).unwrap()["users"][0]["user"]["token"].as_str().unwrap().to_owned();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        let mut roots = rustls::RootCertStore::empty();
        for certificate in config.root_cert.iter().flatten() {
            roots.add(certificate.clone().into()).unwrap();
        }
        let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { spec, id, port: config.cluster_url.port_u16().unwrap(), token, client: Arc::new(client) }
    }

    /// Kills it without a warning.
    fn kill(&self) {
        let id = rustix::process::Pid::from_raw(self.id.cast_signed()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
        while process::status(&self.spec.directory) != Status::Stopped {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let (sender, connection) = http1::handshake(TokioIo::new(self.connect_raw().await)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn connect_raw(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::clone(&self.client)).connect(name, stream).await.unwrap()
    }

    fn resident_mebibytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("VmRSS: 0");
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

fn request(process: &Process, method: &str, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {}", process.token))
        .header("content-type", "application/json")
        .body(Full::new(body))
        .unwrap()
}

async fn create_all(process: &Process, path: &'static str, object: fn(usize) -> Value) -> f64 {
    let mut senders = Vec::new();
    for first in 0..CONNECTIONS {
        let bodies = (first..OBJECTS).step_by(CONNECTIONS).map(|number| object(number).to_string());
        let requests: Vec<_> = bodies.map(|body| request(process, "POST", path, body.into())).collect();
        senders.push((process.connect().await, requests));
    }
    let began = Instant::now();
    let tasks = senders.into_iter().map(|(mut sender, requests)| {
        tokio::spawn(async move {
            for request in requests {
                let response = sender.send_request(request).await.unwrap();
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

async fn get(process: &Process, sender: &mut SendRequest<Full<Bytes>>, path: &str) -> (Duration, Bytes) {
    sender.ready().await.unwrap();
    let began = Instant::now();
    let response = sender.send_request(request(process, "GET", path, Bytes::new())).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (began.elapsed(), body)
}

/// How many of the objects that were acknowledged are there, with their content.
async fn survivors(process: &Process) -> usize {
    let mut sender = process.connect().await;
    let mut survivors = 0;
    for (path, object) in [(CONFIG_MAPS, config_map as fn(usize) -> Value), (PODS, pod)] {
        let (_, body) = get(process, &mut sender, path).await;
        let list: Value = serde_json::from_slice(&body).unwrap();
        let there: BTreeMap<&str, &Value> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| (item["metadata"]["name"].as_str().unwrap(), item))
            .collect();
        survivors += (0..OBJECTS)
            .map(object)
            .filter(|object| {
                let found = there.get(object["metadata"]["name"].as_str().unwrap());
                found.is_some_and(|found| {
                    found["data"] == object["data"] && found["metadata"]["labels"] == object["metadata"]["labels"]
                })
            })
            .count();
    }
    survivors
}

/// The median delay from sending a write to each of the watchers' seeing it, in milliseconds: of writes that are sent
/// once all have seen the one before, and of writes that find an idle machine. The client has one thread of its own.
fn watch_delays(process: &Process) -> [f64; 2] {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let seen = Arc::new(Seen { arrivals: Mutex::new(Vec::with_capacity(WATCHERS)), all: Notify::new() });
        for _ in 0..WATCHERS {
            let mut stream = process.connect_raw().await;
            let head = head(process, "GET", "/api/v1/namespaces/default/secrets?watch=1&timeoutSeconds=60");
            stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            tokio::spawn(watch(stream, Arc::clone(&seen)));
        }
        let mut writer = process.connect_raw().await;
        let mut medians = [0.0; 2];
        for (pause, median) in [Duration::ZERO, IDLE].into_iter().zip(&mut medians) {
            let mut delays = Vec::new();
            for number in 0..WRITES {
                tokio::time::sleep(pause).await;
                let body = json!({
                    "metadata": {"name": format!("s-{number}-{}", pause.as_millis())}, "stringData": {"a": "b"},
                });
                let (head, body) = (head(process, "POST", "/api/v1/namespaces/default/secrets"), body.to_string());
                let length = body.len();
                let write = format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
                let began = Instant::now();
                writer.write_all(write.as_bytes()).await.unwrap();
                writer.flush().await.unwrap();
                let mut answer = [0; 4096];
                let length = writer.read(&mut answer).await.unwrap();
                assert!(answer[..length].starts_with(b"HTTP/1.1 201 "), "{:?}", std::str::from_utf8(&answer[..length]));
                let all = tokio::time::timeout(Duration::from_secs(10), seen.all.notified());
                all.await.expect("every watcher sees every write");
                delays.extend(seen.arrivals.lock().unwrap().drain(..).map(|arrival| arrival - began));
            }
            delays.sort();
            *median = delays[delays.len() / 2].as_secs_f64() * 1000.0;
        }
        medians
    })
}

/// As raw as they are: what a client's own layers cost is not the cluster's delay.
fn head(process: &Process, method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n", process.token)
}

/// When the watchers saw the last write. Who waits for all of them is woken once.
struct Seen {
    arrivals: Mutex<Vec<Instant>>,
    all: Notify,
}

async fn watch(mut stream: TlsStream<TcpStream>, seen: Arc<Seen>) {
    let mut buffer = vec![0; 16 << 10];
    // Each event ends in the only line break that is not the protocol's own.
    let mut last = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        for byte in &buffer[..read] {
            if (last, *byte) == (b'}', b'\n') {
                let mut arrivals = seen.arrivals.lock().unwrap();
                arrivals.push(Instant::now());
                if arrivals.len() == WATCHERS {
                    seen.all.notify_one();
                }
            }
            last = *byte;
        }
    }
}

/// What is measured: its name, its bound, whether it is to be at least or at most that, its unit, and what
/// kube-apiserver 1.34.2 with etcd does on such a machine.
struct Figure(&'static str, f64, Aim, &'static str, &'static str);

#[derive(Clone, Copy, PartialEq)]
enum Aim {
    AtLeast,
    AtMost,
    None,
}

const FIGURES: [Figure; 9] = [
    Figure("ConfigMaps created, 16 connections", 8_000.0, Aim::AtLeast, "/s", "1,910 /s"),
    Figure("pods created, 16 connections", 8_000.0, Aim::AtLeast, "/s", "1,615 /s"),
    Figure("a list of 5,000 pods", 20.0, Aim::AtMost, "ms", "89 ms"),
    Figure("from a write to 100 watchers, median", 1.0, Aim::AtMost, "ms", "3.6 ms"),
    Figure("the same on a machine that was idle for 20 ms", 1.0, Aim::None, "ms", ""),
    Figure("resident memory, idle", 0.0, Aim::None, "MiB", "253 + 42 MiB"),
    Figure("with 10,000 objects", 100.0, Aim::AtMost, "MiB", "454 + 67 MiB"),
    Figure("ready after kill -9 with them", 300.0, Aim::AtMost, "ms", ""),
    Figure("acknowledged objects there after kill -9", 10_000.0, Aim::AtLeast, "", ""),
];

/// As many rounds as `BENCH_ROUNDS` says; of each figure the median counts, of the objects the fewest.
async fn measure() -> ExitCode {
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let mut measured: [Vec<f64>; 9] = Default::default();
    for _ in 0..rounds {
        let figures = round().await;
        eprintln!("{figures:.2?}");
        for (values, figure) in measured.iter_mut().zip(figures) {
            values.push(figure);
        }
    }
    println!("| | here | aim | kube-apiserver with etcd |\n|---|---|---|---|");
    let mut missed = Vec::new();
    for (Figure(name, bound, aim, unit, peer), values) in FIGURES.iter().zip(&mut measured) {
        values.sort_by(f64::total_cmp);
        let value = if unit.is_empty() { values[0] } else { values[(values.len() - 1) / 2] };
        let (sign, is_met) = match aim {
            Aim::AtLeast => ("≥ ", value >= *bound),
            Aim::AtMost => ("≤ ", value <= *bound),
            Aim::None => ("", true),
        };
        let places = if value < 10.0 && *unit == "ms" { 2 } else { 0 };
        let aim = if *aim == Aim::None { String::new() } else { format!("{sign}{bound} {unit}") };
        println!("| {name} | {value:.places$} {unit} | {aim} | {peer} |");
        if !is_met {
            missed.push(format!("{name}: {value:.2} {unit}, the aim is {aim}"));
        }
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!("\nMedian of {rounds}, {processors} processors, load {}", load.split(' ').next().unwrap_or("unknown"));
    for line in &missed {
        eprintln!("missed: {line}");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn round() -> [f64; 9] {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path()).await;
    let idle_mebibytes = process.resident_mebibytes();
    let config_maps_per_second = create_all(&process, CONFIG_MAPS, config_map).await;
    let pods_per_second = create_all(&process, PODS, pod).await;
    let full_mebibytes = process.resident_mebibytes();
    let mut sender = process.connect().await;
    let mut times = Vec::new();
    for _ in 0..11 {
        times.push(get(&process, &mut sender, PODS).await.0);
    }
    times.sort();
    let [delay_ms, delay_ms_when_idle] = tokio::task::block_in_place(|| watch_delays(&process));
    let full_mebibytes = full_mebibytes.max(process.resident_mebibytes());
    process.kill();
    let began = Instant::now();
    let process = Process::start(directory.path()).await;
    let mut sender = process.connect().await;
    get(&process, &mut sender, "/readyz").await;
    let ready_ms = began.elapsed().as_secs_f64() * 1000.0;
    let survivors = survivors(&process).await;
    let full_mebibytes = full_mebibytes.max(process.resident_mebibytes());
    process::stop(&process.spec.directory).await.unwrap();
    [
        config_maps_per_second,
        pods_per_second,
        times[times.len() / 2].as_secs_f64() * 1000.0,
        delay_ms,
        delay_ms_when_idle,
        idle_mebibytes,
        full_mebibytes,
        ready_ms,
        f64::from(u32::try_from(survivors).expect("a few thousand")),
    ]
}
