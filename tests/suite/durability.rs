//! What was acknowledged survives kill -9: the background process is killed in a loop while a client creates, updates
//! and deletes, and another watches. Every write is large, so that the log is compacted many times meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tutorial::cluster::ClusterSpec;
use tutorial::cluster::embedded::process::{self, Status};

const NAMES: &str = "/api/v1/namespaces/default/configmaps";
/// So many objects are updated and deleted in turn; besides them one is created with each turn that stays.
const TURNING: usize = 8;
/// The log is compacted at 8 MiB where no more than a quarter of it is live.
const LARGE_BYTES: usize = 48 << 10;

/// What one object is known to be: its version and its number, or gone.
#[derive(Debug, Clone, PartialEq)]
enum Known {
    Is { version: u64, number: u64 },
    Gone,
}

/// What the server has acknowledged.
#[derive(Debug, Default, Clone)]
struct Acknowledged {
    objects: BTreeMap<String, Known>,
    /// The write that was sent last, if no answer came: it may or may not have been carried out.
    uncertain: BTreeMap<String, Vec<u64>>,
    writes: BTreeMap<&'static str, u64>,
    /// Of the newest acknowledged write.
    version: u64,
}

type Shared = Arc<Mutex<Acknowledged>>;
type Watched = Arc<Mutex<Seen>>;

/// What a watcher has seen.
#[derive(Default)]
struct Seen {
    objects: BTreeMap<String, u64>,
    /// How often its version was older than all that is remembered, so that it had to list, as every client does.
    lists: u32,
}

#[test]
fn ten_kills_lose_nothing() {
    kill_loop(10);
}

#[test]
#[ignore = "takes minutes: run with `cargo test --test suite -- --ignored two_hundred`"]
fn two_hundred_kills_lose_nothing() {
    kill_loop(200);
}

fn kill_loop(rounds: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let spec = ClusterSpec {
            name: "durable".into(),
            directory: directory.path().join("cluster"),
            node_ports: Vec::new(),
            time_factor: 1.0,
        };
        let program = Path::new(env!("CARGO_BIN_EXE_tutorial"));
        process::ensure_running(&spec, program).await.unwrap();
        let client = client(&spec.directory.join("kubeconfig-direct")).await;
        let acknowledged = Shared::default();
        let first = get(&client, NAMES).await;
        let writer = tokio::spawn(write_on(client.clone(), Arc::clone(&acknowledged)));
        let watched = Watched::new(Mutex::new(Seen { objects: versions(&first), lists: 0 }));
        let watcher = tokio::spawn(watch_on(client.clone(), version(&first), Arc::clone(&watched)));
        let log = spec.directory.join("data/objects.log");
        let mut compactions = Compactions::new(&log);
        for round in 0..rounds {
            let before = writes(&acknowledged);
            await_that("writes go on", || {
                compactions.look();
                writes(&acknowledged) > before + 16
            })
            .await;
            kill(&spec.directory);
            await_that("it is gone", || process::status(&spec.directory) == Status::Stopped).await;
            let newest = acknowledged.lock().unwrap().version;
            process::ensure_running(&spec, program).await.unwrap();
            let now = version(&get(&client, NAMES).await);
            assert!(now >= newest, "round {round}: version {now} after {newest} was acknowledged");
        }
        // Most likely the log is compacted by now; until it is, the writes go on.
        await_that("the log is compacted", || compactions.look() > 0).await;
        writer.abort();
        let _ = writer.await;
        let acknowledged = acknowledged.lock().unwrap().clone();
        let list = get(&client, NAMES).await;
        check_all(&acknowledged, &list);
        let there = versions(&list);
        await_that("the watch has come to what is there", || watched.lock().unwrap().objects == there).await;
        assert!(!watcher.is_finished(), "the watch ran all along");
        watcher.abort();
        eprintln!(
            "{rounds} kills, acknowledged {:?}, {} compactions seen, nothing lost",
            acknowledged.writes, compactions.seen
        );
        process::stop(&spec.directory).await.unwrap();
    });
}

/// Every object is as it was acknowledged last, whole; one whose last write got no answer may be as that would have it.
fn check_all(acknowledged: &Acknowledged, list: &Value) {
    let there: BTreeMap<&str, &Value> =
        list["items"].as_array().unwrap().iter().map(|item| (name(item), item)).collect();
    for (name, known) in &acknowledged.objects {
        let uncertain = acknowledged.uncertain.get(name);
        match (there.get(name.as_str()), known) {
            (None, Known::Gone) => {}
            (None, Known::Is { .. }) => assert!(uncertain.is_some_and(|tried| tried.contains(&0)), "{name} is lost"),
            (Some(found), known) => {
                let number: u64 = found["data"]["number"].as_str().unwrap().parse().unwrap();
                assert_eq!(found["data"]["content"], content(name, number), "{name}: content of another write");
                let same = *known == Known::Is { version: version(found), number };
                let tried = uncertain.is_some_and(|tried| tried.contains(&number));
                assert!(same || tried, "{name}: {known:?}, there is {number} of version {}", version(found));
            }
        }
    }
    for name in there.keys().filter(|name| name.starts_with("c-")) {
        let known = acknowledged.objects.contains_key(*name) || acknowledged.uncertain.contains_key(*name);
        assert!(known, "{name} was never written");
    }
}

/// Sees the log shrink: that is a compaction.
struct Compactions<'a> {
    log: &'a Path,
    length: u64,
    seen: u32,
}

impl<'a> Compactions<'a> {
    fn new(log: &'a Path) -> Self {
        assert!(log.is_file(), "the log is there");
        Self { log, length: 0, seen: 0 }
    }

    fn look(&mut self) -> u32 {
        let length = std::fs::metadata(self.log).map_or(self.length, |metadata| metadata.len());
        self.seen += u32::from(length < self.length);
        self.length = length;
        self.seen
    }
}

fn writes(acknowledged: &Shared) -> u64 {
    acknowledged.lock().unwrap().writes.values().sum()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn versions(list: &Value) -> BTreeMap<String, u64> {
    list["items"].as_array().unwrap().iter().map(|item| (name(item).to_owned(), version(item))).collect()
}

/// Of the write with this number; what stays is small.
fn content(name: &str, number: u64) -> String {
    if name.starts_with("c-stays") {
        return String::new();
    }
    let word = format!("{number};");
    word.repeat(LARGE_BYTES / word.len())
}

async fn client(kubeconfig: &Path) -> kube::Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

/// One write after the other: each object is created, updated three times and deleted, and small ones are created that
/// stay. Where no answer comes the write is uncertain until the next of the same object is acknowledged.
async fn write_on(client: kube::Client, acknowledged: Shared) {
    for number in 1_u64.. {
        let turning = usize::try_from(number).unwrap() % (TURNING + 1);
        let name = if turning == TURNING { format!("c-stays-{number}") } else { format!("c-{turning}") };
        let known = acknowledged.lock().unwrap().objects.get(&name).cloned().unwrap_or(Known::Gone);
        let step = number / (TURNING as u64 + 1) % 5;
        let data = json!({"number": number.to_string(), "content": content(&name, number)});
        let body = json!({"metadata": {"name": name}, "data": data});
        let json = || body.to_string().into_bytes();
        let path = format!("{NAMES}/{name}");
        let (what, builder, body) = match (&known, step) {
            (Known::Is { .. }, 4) => ("deleted", http::Request::delete(path), Vec::new()),
            (Known::Is { .. }, 1) => ("patched", http::Request::patch(path), json()),
            (Known::Is { .. }, _) => ("updated", http::Request::put(path), json()),
            (Known::Gone, _) => ("created", http::Request::post(NAMES), json()),
        };
        let media_type = if what == "patched" { "application/merge-patch+json" } else { "application/json" };
        let request = builder.header("content-type", media_type).body(body).unwrap();
        // Zero stands for a deletion.
        let tried = if what == "deleted" { 0 } else { number };
        acknowledged.lock().unwrap().uncertain.entry(name.clone()).or_default().push(tried);
        let answer: Result<Value, kube::Error> = client.request(request).await;
        match answer {
            Ok(object) => acknowledged.lock().unwrap().note(&name, what, number, &object),
            // What was uncertain had been carried out: read again where it stands.
            Err(kube::Error::Api(_)) => {
                let found: Result<Value, kube::Error> =
                    client.request(http::Request::get(format!("{NAMES}/{name}")).body(Vec::new()).unwrap()).await;
                let mut acknowledged = acknowledged.lock().unwrap();
                match found {
                    Ok(object) => acknowledged.read(&name, &object),
                    Err(kube::Error::Api(status)) if status.code == 404 => acknowledged.read_gone(&name),
                    Err(_) => {}
                }
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

impl Acknowledged {
    /// The server has said yes.
    fn note(&mut self, name: &str, what: &'static str, number: u64, object: &Value) {
        *self.writes.entry(what).or_default() += 1;
        self.uncertain.remove(name);
        if what == "deleted" {
            self.objects.insert(name.into(), Known::Gone);
            return;
        }
        let version = version(object);
        assert!(version > self.version, "{name}: version {version} after {}", self.version);
        self.version = version;
        self.objects.insert(name.into(), Known::Is { version, number });
    }

    /// It is there: as it was acknowledged, or as an uncertain write would have it.
    fn read(&mut self, name: &str, object: &Value) {
        let number: u64 = object["data"]["number"].as_str().unwrap().parse().unwrap();
        let found = Known::Is { version: version(object), number };
        let tried = self.uncertain.remove(name).unwrap_or_default();
        let before = self.objects.get(name).cloned().unwrap_or(Known::Gone);
        assert!(before == found || tried.contains(&number), "{name}: {before:?}, found {found:?}, tried {tried:?}");
        self.objects.insert(name.into(), found);
    }

    fn read_gone(&mut self, name: &str) {
        let tried = self.uncertain.remove(name).unwrap_or_default();
        let before = self.objects.get(name).cloned().unwrap_or(Known::Gone);
        assert!(before == Known::Gone || tried.contains(&0), "{name}: {before:?} is lost, tried {tried:?}");
        self.objects.insert(name.into(), Known::Gone);
    }
}

/// Watches from the last version that was seen, over every interruption.
async fn watch_on(client: kube::Client, mut last: u64, watched: Watched) {
    use futures_util::io::AsyncBufReadExt;
    use futures_util::stream::StreamExt;
    loop {
        let path = format!("{NAMES}?watch=1&resourceVersion={last}");
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let Ok(stream) = client.request_stream(request).await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let mut lines = std::pin::pin!(stream.lines());
        while let Some(Ok(line)) = lines.next().await {
            let Ok(event) = serde_json::from_str::<Value>(&line) else { break };
            if event["type"] == "ERROR" {
                assert_eq!(event["object"]["code"], 410, "{event}");
                let list = get(&client, NAMES).await;
                last = version(&list);
                let mut watched = watched.lock().unwrap();
                watched.lists += 1;
                watched.objects = versions(&list);
                break;
            }
            let (name, version) = (name(&event["object"]), version(&event["object"]));
            assert!(version > last, "{version} after {last}");
            last = version;
            let objects = &mut watched.lock().unwrap().objects;
            let before = match event["type"].as_str() {
                Some("DELETED") => objects.remove(name),
                _ => objects.insert(name.into(), version),
            };
            assert_eq!(before.is_none(), event["type"] == "ADDED", "{name}: {before:?} before {}", event["type"]);
        }
    }
}

/// Reads, again while the process is away.
async fn get(client: &kube::Client, path: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match client.request(http::Request::get(path).body(Vec::new()).unwrap()).await {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < deadline, "{path}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn kill(directory: &Path) {
    let Status::Running { process, .. } = process::status(directory) else { panic!("it runs") };
    let pid = rustix::process::Pid::from_raw(process.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
