//! What was acknowledged survives kill -9: the background process is killed in a loop while a client writes and
//! another watches.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tutorial::cluster::ClusterSpec;
use tutorial::cluster::embedded::process::{self, Status};

const NAMES: &str = "/api/v1/namespaces/default/configmaps";

/// The names that were acknowledged with their versions, in the order of the acknowledgements.
type Acknowledged = Arc<Mutex<Vec<(String, u64)>>>;

#[test]
fn ten_kills_lose_nothing() {
    kill_loop(10);
}

#[test]
#[ignore = "takes a minute: run with `cargo test --test suite -- --ignored two_hundred`"]
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
        let acknowledged = Acknowledged::default();
        let first = get(&client, NAMES).await["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let writer = tokio::spawn(write_on(client.clone(), Arc::clone(&acknowledged)));
        let watched = Arc::new(Mutex::new(BTreeMap::new()));
        let watcher = tokio::spawn(watch_on(client.clone(), first, Arc::clone(&watched)));
        for round in 0..rounds {
            let before = acknowledged.lock().unwrap().len();
            await_that("writes go on", || acknowledged.lock().unwrap().len() > before + 3).await;
            kill(&spec.directory);
            await_that("it is gone", || process::status(&spec.directory) == Status::Stopped).await;
            process::ensure_running(&spec, program).await.unwrap();
            let last = acknowledged.lock().unwrap().last().cloned();
            if let Some((name, version)) = last {
                let found = get(&client, &format!("{NAMES}/{name}")).await;
                assert_eq!(found["metadata"]["resourceVersion"], version.to_string(), "round {round}: {found}");
            }
        }
        writer.abort();
        let acknowledged = acknowledged.lock().unwrap().clone();
        assert!(acknowledged.windows(2).all(|pair| pair[0].1 < pair[1].1), "versions only rise");
        let list = get(&client, NAMES).await;
        let there: BTreeMap<&str, &str> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                let metadata = &item["metadata"];
                (metadata["name"].as_str().unwrap(), metadata["resourceVersion"].as_str().unwrap())
            })
            .collect();
        for (name, version) in &acknowledged {
            assert_eq!(there.get(name.as_str()), Some(&version.to_string().as_str()), "{name}");
        }
        await_that("the watch has seen every write", || {
            let watched = watched.lock().unwrap();
            acknowledged.iter().all(|(name, version)| watched.get(name) == Some(version))
        })
        .await;
        watcher.abort();
        eprintln!("{rounds} kills, {} acknowledged writes, all there", acknowledged.len());
        process::stop(&spec.directory).await.unwrap();
    });
}

async fn client(kubeconfig: &Path) -> kube::Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

/// Creates one object after the other; a write that is not acknowledged is tried again under another name.
async fn write_on(client: kube::Client, acknowledged: Acknowledged) {
    for number in 0.. {
        let name = format!("c{number}");
        let body = json!({"metadata": {"name": name}, "data": {"number": number.to_string()}}).to_string();
        let request = http::Request::post(NAMES).header("content-type", "application/json").body(body.into_bytes());
        let answer: Result<Value, _> = client.request(request.unwrap()).await;
        match answer.ok().and_then(|object| object["metadata"]["resourceVersion"].as_str()?.parse().ok()) {
            Some(version) => acknowledged.lock().unwrap().push((name, version)),
            None => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

/// Watches from the last version that was seen, over every interruption.
async fn watch_on(client: kube::Client, mut last: String, watched: Arc<Mutex<BTreeMap<String, u64>>>) {
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
            assert_ne!(event["type"], "ERROR", "the history reaches back: {event}");
            let metadata = &event["object"]["metadata"];
            let version = metadata["resourceVersion"].as_str().unwrap();
            assert!(version.parse::<u64>().unwrap() > last.parse().unwrap(), "{version} after {last}");
            last = version.into();
            if event["type"] == "ADDED" {
                let name = metadata["name"].as_str().unwrap().to_owned();
                watched.lock().unwrap().insert(name, version.parse().unwrap());
            }
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
    let deadline = Instant::now() + Duration::from_secs(20);
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
