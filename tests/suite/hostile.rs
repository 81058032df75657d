//! Random and hostile requests: each is answered by a Status or a clean close, and the server lives on.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use tutorial::cluster::ClusterSpec;
use tutorial::cluster::embedded::process::{self, Status};

use super::embedded::{ADMIN, Answer, Server};

const COLLECTIONS: [&str; 6] = [
    "/api/v1/namespaces/default/configmaps",
    "/api/v1/namespaces/default/pods",
    "/api/v1/namespaces/default/services",
    "/apis/apps/v1/namespaces/default/deployments",
    "/api/v1/namespaces",
    "/api/v1/namespaces/default/secrets",
];

const MEDIA_TYPES: [&str; 9] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "text/plain",
    "multipart/form-data; boundary=x",
];

/// A refusal is a Status (or Go's own 404 page), and never the sign of a panic.
fn check(what: &str, answer: &Answer) {
    assert!((200..600).contains(&answer.status), "{what}: {}", answer.status);
    let body = answer.json();
    if answer.status >= 400 && body != "404 page not found\n" {
        assert_eq!(body["kind"], "Status", "{what}: {} {body}", answer.status);
        assert_eq!(body["status"], "Failure", "{what}: {body}");
        let message = body["message"].as_str().unwrap_or_default();
        assert!(!message.contains("met a mistake"), "{what}: panicked");
    }
}

/// Bodies that a parser could stumble over.
fn body(random: &mut fastrand::Rng) -> Vec<u8> {
    let pieces: [&[u8]; 18] = [
        b"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"x\"},\"data\":{\"a\":",
        b"{\"metadata\":{\"name\":null}}",
        b"{\"metadata\":[]}",
        b"{\"metadata\":{\"labels\":7,\"annotations\":[],\"finalizers\":{},\"ownerReferences\":\"x\"}}",
        b"{\"spec\":{\"containers\":[null,7,{}],\"ports\":{},\"template\":[]}}",
        b"{\"spec\":{\"replicas\":1e400}}",
        b"[{\"op\":\"remove\",\"path\":\"/metadata/name\"},{\"op\":\"move\",\"from\":\"\",\"path\":\"/a/b\"}]",
        b"[{\"op\":\"add\",\"path\":\"/metadata/labels/-\",\"value\":1},{\"op\":\"test\",\"path\":\"~2\"}]",
        b"{\"$patch\":\"replace\",\"spec\":{\"$setElementOrder/containers\":7,\"$retainKeys\":\"x\"}}",
        b"{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":{},\"managedFields\":[{\"fieldsV1\":{\"k:{\":1}}]}}",
        b"a: &a [x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]",
        b"\xff\xfe\x00\x01",
        b"k8s\x00\x0a\xff\xff\xff\xff\x0f",
        b"k8s\x00\x0a\x08\x0a\x02v1\x12\x02Po\x12\x80\x80\x80\x80\x80\x80\x01",
        b"\"text\"",
        b"null",
        b"{\"a\":\"\\ud800\"}",
        b"---\n---\n- - - -",
    ];
    let mut bytes = pieces[random.usize(..pieces.len())].to_vec();
    for _ in 0..random.usize(..6) {
        let at = random.usize(..=bytes.len());
        match random.u8(..4) {
            0 => bytes.insert(at, random.u8(..)),
            1 => bytes.truncate(at),
            2 => bytes.extend_from_slice(pieces[random.usize(..pieces.len())]),
            _ if at < bytes.len() => bytes[at] = random.u8(..),
            _ => {}
        }
    }
    bytes
}

fn query(random: &mut fastrand::Rng) -> String {
    let values = [
        "labelSelector=a+in+((((",
        "labelSelector=%00%ff!!!,,=",
        "labelSelector=a%20notin%20(b",
        "fieldSelector=metadata.name%3D%5C",
        "fieldSelector==%3D!%3D",
        "limit=-1",
        "limit=99999999999999999999",
        "continue=%F0%9F%92%A9",
        "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6OTk5OTk5OTk5OTk5OTksInN0YXJ0IjoieCJ9",
        "resourceVersion=18446744073709551616",
        "resourceVersion=18446744073709551615&resourceVersionMatch=Exact",
        "watch=1&timeoutSeconds=1&resourceVersion=18446744073709551615",
        "watch=1&timeoutSeconds=1&sendInitialEvents=true",
        "dryRun=Some",
        "fieldValidation=Loud",
        "fieldManager=%0a%0d",
        "gracePeriodSeconds=-9223372036854775808",
        "propagationPolicy=Sideways",
        "includeObject=All",
        "timeoutSeconds=9223372036854775807&limit=1",
    ];
    format!("{}&{}", values[random.usize(..values.len())], values[random.usize(..values.len())])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_hostile_requests_are_answered() {
    let server = Server::start().await;
    let mut random = fastrand::Rng::with_seed(7);
    let seeds = [
        ("configmaps", "{\"metadata\":{\"name\":\"x\"}}"),
        ("services", "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"ports\":[{\"port\":80}]}}"),
    ];
    for (plural, object) in seeds {
        let path = format!("/api/v1/namespaces/default/{plural}");
        let answer = server.call("POST", &path, &[("content-type", "application/json")], object).await;
        assert_eq!(answer.status, 201);
    }
    for number in 0..2_000 {
        let collection = COLLECTIONS[random.usize(..COLLECTIONS.len())];
        let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW", "HEAD"];
        let method = methods[random.usize(..methods.len())];
        let tails =
            ["", "/x", "/x/status", "/x/scale", "/x/log", "/x/exec", "/x/y/z", "/%2e%2e/%00", "//", "/x/proxy/a"];
        let tail = tails[random.usize(..tails.len())];
        let path = format!("{collection}{tail}?{}", query(&mut random));
        // A collection that is really deleted, or watched for long, would only slow the rest down.
        let path = if method == "DELETE" { format!("{path}&dryRun=All") } else { path };
        let media_type = MEDIA_TYPES[random.usize(..MEDIA_TYPES.len())];
        let accepts =
            ["application/json", "text/csv", "application/json;as=Table;v=v1;g=meta.k8s.io", "*/*;q=", ";;;,"];
        let headers = [("content-type", media_type), ("accept", accepts[random.usize(..accepts.len())])];
        let body = body(&mut random);
        let what = format!("{number}: {method} {path} {media_type} {:?}", String::from_utf8_lossy(&body));
        let call = server.call(method, &path, &headers, body);
        let answer = tokio::time::timeout(Duration::from_secs(20), call).await;
        let answer = answer.unwrap_or_else(|_| panic!("{what}: no answer"));
        if method != "HEAD" {
            check(&what, &answer);
        }
    }
    assert_eq!(server.call("GET", "/readyz", &[], "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_are_refused() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/default/configmaps";
    let send = async |media_type: &str, body: Vec<u8>| {
        let answer = server.call("POST", path, &[("content-type", media_type)], body).await;
        check(media_type, &answer);
        answer.status
    };
    assert_eq!(send("application/json", vec![b'['; 1 << 20]).await, 400);
    assert_eq!(send("application/json", b"{\"a\":".repeat(200_000)).await, 400);
    assert_eq!(send("application/yaml", vec![b'['; 1 << 16]).await, 400);
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(",")));
    }
    assert_eq!(send("application/yaml", bomb.into_bytes()).await, 400);
    let answer = refused_early(&server, path).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["reason"], "RequestEntityTooLarge");
}

/// The server may close while the client still sends, and then the client sees a broken pipe: it tries again.
async fn refused_early(server: &Server, path: &str) -> Answer {
    for _ in 0..20 {
        let sent = server.call("POST", path, &[("content-type", "application/json")], vec![b' '; 10 << 20]);
        if let Ok(answer) = AssertUnwindSafe(sent).catch_unwind().await {
            return answer;
        }
    }
    panic!("twenty times closed before the answer could be read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_do_no_harm() {
    let server = Server::start().await;
    let fragments: [&[u8]; 6] = [
        b"",
        b"GET / HT",
        b"POST /api/v1/namespaces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: ",
        b"\x16\x03\x01\x00\x05hello",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\xff\xff\xff",
    ];
    for fragment in fragments.iter().cycle().take(120) {
        let mut stream = server.connect().await;
        let _ = stream.write_all(fragment).await;
        let _ = stream.flush().await;
        drop(stream);
        let mut plain = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        let _ = plain.write_all(fragment).await;
        let _ = plain.shutdown().await;
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(Duration::from_millis(200), plain.read_to_end(&mut rest)).await;
    }
    // Half-closed: the client has said all that it will say, and still listens.
    for fragment in &fragments {
        let mut stream = server.connect().await;
        let _ = stream.write_all(fragment).await;
        let _ = stream.shutdown().await;
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{:?} is left hanging", String::from_utf8_lossy(fragment));
    }
    let mut stream = server.connect().await;
    let head = format!("GET /readyz HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&answer));
    let long = "x".repeat(100_000);
    let mut stream = server.connect().await;
    let head = format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&answer));
    assert_eq!(server.call("GET", "/readyz", &[], "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_watches_are_bounded() {
    let server = Server::start().await;
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..40 {
        let stream = server.connect_http_two().await;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut streams = Vec::new();
        for _ in 0..250 {
            let request = Request::builder()
                .uri("https://localhost/api/v1/configmaps?watch=1&timeoutSeconds=60&resourceVersion=1")
                .header("authorization", format!("Bearer {ADMIN}"))
                .body(Empty::<Bytes>::new())
                .unwrap();
            sender.ready().await.unwrap();
            streams.push(sender.send_request(request));
        }
        for stream in streams {
            let response = stream.await.unwrap();
            match response.status().as_u16() {
                200 => open.push(response),
                429 => refused += 1,
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!(open.len() + refused, 10_000);
    assert!(open.len() <= 4096, "{}", open.len());
    assert_eq!(server.call("GET", "/readyz", &[], "").await.status, 200);
    let body = "{\"metadata\":{\"name\":\"seen\"}}";
    let path = "/api/v1/namespaces/default/configmaps";
    assert_eq!(server.call("POST", path, &[("content-type", "application/json")], body).await.status, 201);
    let mut first = open.remove(0).into_body();
    let frame = tokio::time::timeout(Duration::from_secs(20), first.frame()).await.unwrap().unwrap().unwrap();
    assert!(frame.into_data().unwrap().starts_with(b"{\"type\":\"ADDED\""));
}

/// The background process under bodies that are too long, too deep or too many: what it has ever held stays small.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_bounded() {
    const MEBIBYTES_MAX: u64 = 200;
    let directory = tempfile::tempdir().unwrap();
    let spec = ClusterSpec {
        name: "hostile".into(),
        directory: directory.path().join("cluster"),
        node_ports: Vec::new(),
        time_factor: 1.0,
    };
    process::ensure_running(&spec, Path::new(env!("CARGO_BIN_EXE_tutorial"))).await.unwrap();
    let Status::Running { process: id, .. } = process::status(&spec.directory) else { panic!("it runs") };
    let kubeconfig = kube::config::Kubeconfig::read_from(spec.directory.join("kubeconfig-direct")).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options);
    let client = kube::Client::try_from(config.await.unwrap()).unwrap();
    let levels: Vec<String> = (1..9)
        .map(|level| format!("a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 10].join(",")))
        .collect();
    let bomb = format!("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n{}\n", levels.join("\n"));
    let bodies: [(&str, Vec<u8>); 4] = [
        ("application/json", vec![b' '; 10 << 20]),
        ("application/json", b"{\"a\":".repeat(400_000)),
        ("application/json", format!("{{\"data\":{{{}\"b\":2}}}}", "\"a\":1,".repeat(300_000)).into_bytes()),
        ("application/yaml", bomb.into_bytes()),
    ];
    let mut sent = tokio::task::JoinSet::new();
    for (media_type, body) in bodies.iter().cycle().take(64) {
        let request = http::Request::post("/api/v1/namespaces/default/configmaps").header("content-type", *media_type);
        let (client, request) = (client.clone(), request.body(body.clone()).unwrap());
        sent.spawn(async move { client.request::<serde_json::Value>(request).await.is_ok() });
        if sent.len() >= 8 {
            assert!(!sent.join_next().await.unwrap().unwrap(), "a bomb is refused");
        }
    }
    while let Some(taken) = sent.join_next().await {
        assert!(!taken.unwrap(), "a bomb is refused");
    }
    if let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) {
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let peak = peak.expect("the kernel tells the peak") / 1024;
        println!("at most {peak} MiB were in use");
        assert!(peak <= MEBIBYTES_MAX, "{peak} MiB");
    }
    process::stop(&spec.directory).await.unwrap();
}
