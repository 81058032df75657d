//! exec, attach, port-forward and proxy through kubectl of several minors, against a pod that the test plays.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tutorial::cluster::embedded::api::{Duplex, ExecRequest, ExecStreams, LogOptions, PodAccess};
use tutorial::cluster::embedded::registry::{Entry, Registry, Writer};
use tutorial::cluster::embedded::schema;
use tutorial::cluster::embedded::status::Status;

use super::embedded::Server;
use super::kubectl::{kubectl, run, write_kubeconfig};

/// Runs `cat`, `echo` and `exit`; port 80 answers one page.
struct Played;

impl PodAccess for Played {
    fn logs(&self, _pod: Arc<Entry>, options: LogOptions) -> BoxFuture<'_, Result<BoxStream<'static, Bytes>, Status>> {
        Box::pin(async move {
            let lines = vec![Bytes::from(format!("{} one\n", options.container)), Bytes::from("two\n")];
            Ok(stream::iter(lines).boxed())
        })
    }

    fn exec(
        &self,
        _pod: Arc<Entry>,
        request: ExecRequest,
        mut streams: ExecStreams,
    ) -> BoxFuture<'_, Result<i32, Status>> {
        Box::pin(async move {
            match &request.command.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["cat"] => {
                    while let Some(bytes) = streams.stdin.recv().await {
                        let _ = streams.stdout.send(bytes).await;
                    }
                    Ok(0)
                }
                ["echo", words @ ..] => {
                    let _ = streams.stdout.send(format!("{}\n", words.join(" ")).into()).await;
                    let _ = streams.stderr.send("aside\n".into()).await;
                    Ok(0)
                }
                ["exit", code] => Ok(code.parse().unwrap_or(1)),
                _ => Err(Status::new(500, "InternalError", "no such command")),
            }
        })
    }

    fn attach(
        &self,
        _pod: Arc<Entry>,
        _request: ExecRequest,
        streams: ExecStreams,
    ) -> BoxFuture<'_, Result<i32, Status>> {
        Box::pin(async move {
            let _ = streams.stdout.send("attached\n".into()).await;
            Ok(0)
        })
    }

    fn connect(&self, _pod: Arc<Entry>, port: u16) -> BoxFuture<'_, Result<Box<dyn Duplex>, Status>> {
        Box::pin(async move {
            if port != 80 {
                return Err(Status::new(500, "InternalError", "connection refused"));
            }
            let (ours, mut theirs) = tokio::io::duplex(64 << 10);
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                let _ = theirs.read(&mut buffer).await;
                let page = "x".repeat(100_000);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", page.len());
                let _ = theirs.write_all(head.as_bytes()).await;
                let _ = theirs.write_all(page.as_bytes()).await;
                let _ = theirs.shutdown().await;
            });
            Ok(Box::new(ours) as Box<dyn Duplex>)
        })
    }
}

fn with_a_pod() -> Arc<Registry> {
    let registry = Registry::in_memory();
    let kind = schema::by_kind("v1", "Pod").unwrap();
    let pod = json!({
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"nodeName": "n", "containers": [{"name": "a", "image": "i", "ports": [{"containerPort": 80}]}]},
    });
    let mut pod = registry.create(kind, pod, &Writer::new("test")).unwrap().value();
    pod["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    registry.update(kind, pod, &Writer::new("test").status()).unwrap();
    registry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_run_through_every_kubectl() {
    for minor in [32, 33, 29, 31] {
        let Some(program) = kubectl(minor) else {
            println!("skipped: kubectl is not installed");
            return;
        };
        let server = Server::over(with_a_pod(), Arc::new(Played)).await;
        let directory = tempfile::tempdir().unwrap();
        let config = write_kubeconfig(&server, directory.path());
        let check = async |arguments: &str, input: &str, expected: (i32, &str, &str)| {
            let arguments: Vec<&str> = arguments.split(' ').collect();
            let output = run(&program, &config, &arguments, input).await;
            assert_eq!((output.code, &*output.out, &*output.err), expected, "kubectl 1.{minor} {arguments:?}");
        };
        check("logs p", "", (0, "a one\ntwo\n", "")).await;
        check("exec p -- echo a b", "", (0, "a b\n", "aside\n")).await;
        check("exec p -- exit 3", "", (3, "", "command terminated with exit code 3\n")).await;
        let long = "typed\n".repeat(100_000);
        check("exec -i p -- cat", &long, (0, &long, "")).await;
        check(
            "attach p --stdin=false",
            "",
            (0, "attached\n", "If you don't see a command prompt, try pressing enter.\n"),
        )
        .await;
        let page = "x".repeat(100_000);
        check("get --raw /api/v1/namespaces/default/pods/p/proxy/index.html", "", (0, &page, "")).await;
        check("logs p -c nothing", "", (1, "", "error: container nothing is not valid for pod p\n")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_are_forwarded_through_every_kubectl() {
    for minor in [29, 30, 31, 32, 33] {
        let Some(program) = kubectl(minor) else {
            println!("skipped: kubectl is not installed");
            return;
        };
        let server = Server::over(with_a_pod(), Arc::new(Played)).await;
        let directory = tempfile::tempdir().unwrap();
        let config = write_kubeconfig(&server, directory.path());
        let mut child = tokio::process::Command::new(&program)
            .args(["port-forward", "pod/p", ":80"])
            .env("KUBECONFIG", &config)
            .env("HOME", directory.path())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = tokio::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let read = tokio::io::AsyncBufReadExt::read_line(&mut said, &mut line);
        tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("kubectl says its port").unwrap();
        let port: u16 = line.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        for _ in 0..3 {
            let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            let read = tokio::time::timeout(std::time::Duration::from_secs(5), stream.read_to_end(&mut answer));
            read.await
                .unwrap_or_else(|_| panic!("kubectl 1.{minor}: the page does not end: {}", answer.len()))
                .unwrap();
            let text = String::from_utf8(answer).unwrap();
            assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with(&"x".repeat(1000)), "kubectl 1.{minor}");
        }
        child.kill().await.unwrap();
    }
}
