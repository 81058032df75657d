//! Random and hostile requests: each is answered by a Status or a clean close, and the server lives on. Controllers and
//! a node are at work beside it.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use tutorial::cluster::ClusterSpec;
use tutorial::cluster::embedded::images::ImageStore;
use tutorial::cluster::embedded::node::{self, Node};
use tutorial::cluster::embedded::process::{self, Status};
use tutorial::cluster::embedded::registry::Registry;

use super::embedded::{ADMIN, Answer, Server};

const COLLECTIONS: [&str; 6] = [
    "/api/v1/namespaces/scratch/configmaps",
    "/api/v1/namespaces/scratch/pods",
    "/api/v1/namespaces/scratch/services",
    "/apis/apps/v1/namespaces/scratch/deployments",
    "/api/v1/namespaces",
    "/api/v1/namespaces/scratch/secrets",
];

/// The whole embedded cluster, but for the ports of the node.
async fn cluster(directory: &Path) -> Server {
    let registry = Registry::in_memory();
    let images = Arc::new(ImageStore::open(directory).unwrap());
    let options =
        node::Options { registry_port: 5001, node_ports: std::collections::BTreeMap::new(), time_factor: 1.0 };
    let node = Node::start(Arc::clone(&registry), images, options);
    let server = Server::over(registry, Arc::new(node)).await;
    server.start_controllers();
    server
}

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

/// Bodies that a parser could stumble over, and some that are right.
fn body(random: &mut fastrand::Rng) -> Vec<u8> {
    let pieces: [&[u8]; 19] = [
        b"{\"metadata\":{\"generateName\":\"g-\"}}",
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
    if random.u8(..4) == 0 {
        let name: &[u8] = if random.bool() { b"name\":\"x" } else { b"generateName\":\"g-" };
        return [b"{\"metadata\":{\"", name, b"\",\"labels\":{\"a\":\"b\"}}}"].concat();
    }
    let mut bytes = pieces[random.usize(..pieces.len())].to_vec();
    for _ in 0..random.usize(..12).saturating_sub(6) {
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

/// Queries, each with the requests that it makes invalid: those that list, that write, or none.
const QUERIES: [(&str, Spoils); 20] = [
    ("labelSelector=a+in+((((", Spoils::Lists),
    ("labelSelector=%00%ff!!!,,=", Spoils::Lists),
    ("labelSelector=a%20notin%20(b", Spoils::Lists),
    ("fieldSelector=metadata.name%3D%5C", Spoils::Lists),
    ("fieldSelector==%3D!%3D", Spoils::Lists),
    ("limit=-1", Spoils::Nothing),
    ("limit=99999999999999999999", Spoils::Lists),
    ("continue=%F0%9F%92%A9", Spoils::Pages),
    ("continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6OTk5OTk5OTk5OTk5OTksInN0YXJ0IjoieCJ9", Spoils::Pages),
    ("resourceVersion=18446744073709551616", Spoils::Lists),
    ("resourceVersion=18446744073709551615&resourceVersionMatch=Exact", Spoils::Lists),
    ("watch=1&timeoutSeconds=1&resourceVersion=18446744073709551615", Spoils::Nothing),
    ("watch=1&timeoutSeconds=1&sendInitialEvents=true", Spoils::Lists),
    ("dryRun=Some", Spoils::Writes),
    ("fieldValidation=Loud", Spoils::Writes),
    ("fieldManager=%0a%0d", Spoils::Writes),
    ("gracePeriodSeconds=-9223372036854775808", Spoils::Nothing),
    ("propagationPolicy=Sideways", Spoils::Deletions),
    ("includeObject=All", Spoils::Nothing),
    ("timeoutSeconds=9223372036854775807&limit=1", Spoils::Nothing),
];

/// Which requests a query makes invalid.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Spoils {
    Lists,
    /// Lists that do not watch.
    Pages,
    Writes,
    Deletions,
    Nothing,
}

/// Why a request may not succeed, as far as that can be told without the server's own parsers.
fn refused_for(
    method: &str,
    tail: &str,
    queries: [(&'static str, Spoils); 2],
    media_type: &str,
    body: &[u8],
) -> Option<&'static str> {
    if matches!(method, "BREW" | "OPTIONS") {
        return Some("the method");
    }
    if !matches!(tail, "" | "/x" | "/x/status" | "/x/scale" | "/x/log" | "/x/proxy/a" | "/x/exec") {
        return Some("the path");
    }
    let first = |spoils| queries.iter().any(|(_, found)| *found == spoils);
    let lists = tail.is_empty() && method == "GET";
    let watches = queries.iter().any(|(query, _)| query.starts_with("watch=1"));
    // Where a name is given twice the first counts: that is left alone.
    let names = |query: &'static str| query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0));
    let repeated = names(queries[0].0).any(|name| names(queries[1].0).any(|other| other == name));
    if lists && !repeated && (first(Spoils::Lists) || first(Spoils::Pages) && !watches) {
        return Some("the query of a list");
    }
    let writes = matches!(method, "POST" | "PUT" | "PATCH");
    if writes && !repeated && first(Spoils::Writes) {
        return Some("the query of a write");
    }
    // A deletion's options are in its body or, where it has none, in its query.
    if method == "DELETE"
        && body.is_empty()
        && !repeated
        && (first(Spoils::Deletions) || queries.iter().any(|(query, _)| *query == "dryRun=Some"))
    {
        return Some("the query of a deletion");
    }
    if (method == "POST" && tail == "/x") || (method != "POST" && writes && tail.is_empty()) {
        return Some("the method here");
    }
    if writes && !is_object(method, media_type, body) {
        return Some("the body");
    }
    None
}

/// Whether a body can be an object, or a patch of one, in what it says that it is.
fn is_object(method: &str, media_type: &str, body: &[u8]) -> bool {
    let json = || serde_json::from_slice::<serde_json::Value>(body).ok();
    let yaml = || serde_yaml::from_slice::<serde_yaml::Value>(body).is_ok_and(|value| value.is_mapping());
    match (method, media_type) {
        ("PATCH", "application/json-patch+json") => json().is_some_and(|value| value.is_array() || value.is_null()),
        ("PATCH", "application/merge-patch+json" | "application/strategic-merge-patch+json") => {
            json().is_some_and(|value| value.is_object() || value.is_null())
        }
        ("PATCH", "application/apply-patch+yaml") | ("POST" | "PUT", "application/yaml") => yaml(),
        ("POST" | "PUT", "application/json") => json().is_some_and(|value| value.is_object()),
        ("POST" | "PUT", "application/vnd.kubernetes.protobuf") => body.starts_with(b"k8s\0"),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_hostile_requests_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let server = cluster(directory.path()).await;
    let mut random = fastrand::Rng::with_seed(7);
    let json = [("content-type", "application/json")];
    let create = async |path: &str, object: &str| server.call("POST", path, &json, object.to_owned()).await.status;
    assert_eq!(create("/api/v1/namespaces", "{\"metadata\":{\"name\":\"scratch\"}}").await, 201);
    for name in ["a", "b", "c"] {
        let object = format!("{{\"metadata\":{{\"name\":\"{name}\"}}}}");
        assert_eq!(create("/api/v1/namespaces/default/configmaps", &object).await, 201);
    }
    let (mut succeeded, mut judged) = (std::collections::BTreeMap::<&str, u32>::new(), 0);
    for number in 0..2_000 {
        // What was deleted comes back, so that there is something to be hostile to.
        if number % 20 == 0 {
            create("/api/v1/namespaces/scratch/configmaps", "{\"metadata\":{\"name\":\"x\"}}").await;
            let service = "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"ports\":[{\"port\":80}]}}";
            create("/api/v1/namespaces/scratch/services", service).await;
            let pod =
                "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"nginx\"}]}}";
            create("/api/v1/namespaces/scratch/pods", pod).await;
        }
        let collection = COLLECTIONS[random.usize(..COLLECTIONS.len())];
        let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW", "HEAD"];
        let method = methods[random.usize(..methods.len())];
        let tails =
            ["", "/x", "/x/status", "/x/scale", "/x/log", "/x/exec", "/x/y/z", "/%2e%2e/%00", "//", "/x/proxy/a"];
        let tail = tails[random.usize(..tails.len())];
        let mut query =
            || if random.bool() { ("pretty=0", Spoils::Nothing) } else { QUERIES[random.usize(..QUERIES.len())] };
        let mut queries = [query(), query()];
        // A watch ends soon, whatever else is asked.
        queries.sort_by_key(|(query, _)| !query.starts_with("watch=1"));
        let path = format!("{collection}{tail}?{}&{}", queries[0].0, queries[1].0);
        let any = MEDIA_TYPES[random.usize(..MEDIA_TYPES.len())];
        let media_type = match method {
            "POST" | "PUT" if random.bool() => "application/json",
            "PATCH" if random.bool() => "application/merge-patch+json",
            _ => any,
        };
        let accepts =
            ["application/json", "text/csv", "application/json;as=Table;v=v1;g=meta.k8s.io", "*/*;q=", ";;;,"];
        let headers = [("content-type", media_type), ("accept", accepts[random.usize(..accepts.len())])];
        let body = if method == "DELETE" && random.bool() { Vec::new() } else { body(&mut random) };
        let what = format!("{number}: {method} {path} {media_type} {:?}", String::from_utf8_lossy(&body));
        let refused = refused_for(method, tail, queries, media_type, &body);
        let call = server.call(method, &path, &headers, body);
        let answer = tokio::time::timeout(Duration::from_secs(20), call).await;
        let answer = answer.unwrap_or_else(|_| panic!("{what}: no answer"));
        // What a pod answers through the proxy is its own.
        let from_pod = tail == "/x/proxy/a" && answer.headers.get("server").is_some_and(|server| !server.is_empty());
        if method != "HEAD" && !from_pod {
            check(&what, &answer);
        }
        if answer.status < 300 {
            assert_eq!(refused, None, "{what}: {} {:?}", answer.status, answer.json());
            *succeeded.entry(method).or_default() += 1;
        }
        judged += u32::from(refused.is_some());
    }
    println!("{judged} had to be refused; succeeded: {succeeded:?}");
    assert!(judged > 1_000, "{judged} are judged");
    for methods in [&["GET"][..], &["DELETE"], &["POST", "PUT", "PATCH"]] {
        let some = methods.iter().any(|method| succeeded.contains_key(method));
        assert!(some, "some of {methods:?} is valid, and done for real: {succeeded:?}");
    }
    assert_eq!(server.call("GET", "/readyz", &[], "").await.status, 200);
    let kept = server.call("GET", "/api/v1/namespaces/default/configmaps", &[], "").await.json();
    let kept: Vec<&str> =
        kept["items"].as_array().unwrap().iter().filter_map(|item| item["metadata"]["name"].as_str()).collect();
    assert_eq!(kept, ["a", "b", "c", "kube-root-ca.crt"], "what nobody asked to delete is there");
    // Controllers and node still work.
    let pod = "{\"metadata\":{\"name\":\"after\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"nginx\"}]}}";
    assert_eq!(create("/api/v1/namespaces/default/pods", pod).await, 201);
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let pod = server.call("GET", "/api/v1/namespaces/default/pods/after", &[], "").await.json();
        if pod["status"]["phase"] == "Running" {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the node takes in a pod: {}", pod["status"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = cluster(directory.path()).await;
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
    let directory = tempfile::tempdir().unwrap();
    let server = cluster(directory.path()).await;
    let fragments: [&[u8]; 6] = [
        b"",
        b"GET / HT",
        b"POST /api/v1/namespaces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: ",
        b"\x16\x03\x01\x00\x05hello",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\xff\xff\xff",
    ];
    for fragment in fragments.iter().cycle().take(120) {
        for mut stream in [server.connect().await, server.connect_http_two().await] {
            let _ = stream.write_all(fragment).await;
            let _ = stream.flush().await;
        }
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

/// A background process under attack; it ends with the value.
struct Background {
    spec: ClusterSpec,
    process: u32,
    client: kube::Client,
    port: u16,
    token: String,
    tls: Arc<rustls::ClientConfig>,
    _directory: tempfile::TempDir,
}

impl Background {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spec = ClusterSpec {
            name: "hostile".into(),
            directory: directory.path().join("cluster"),
            node_ports: Vec::new(),
            time_factor: 1.0,
        };
        process::ensure_running(&spec, Path::new(env!("CARGO_BIN_EXE_tutorial"))).await.unwrap();
        let Status::Running { process, .. } = process::status(&spec.directory) else { panic!("it runs") };
        let kubeconfig = kube::config::Kubeconfig::read_from(spec.directory.join("kubeconfig-direct")).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await.unwrap();
        let mut roots = rustls::RootCertStore::empty();
        for certificate in config.root_cert.iter().flatten() {
            roots.add(certificate.clone().into()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let user = serde_json::to_value(&kubeconfig).unwrap();
        let token = user["users"][0]["user"]["token"].as_str().expect("a token").to_owned();
        let port = config.cluster_url.port_u16().unwrap();
        let client = kube::Client::try_from(config).unwrap();
        Self { spec, process, client, port, token, tls: Arc::new(tls), _directory: directory }
    }

    async fn connect(&self) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        tokio_rustls::TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await.unwrap()
    }

    /// What it has ever held in memory; nothing where the kernel does not tell.
    fn peak_mebibytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process)).ok()?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Some(peak.expect("the kernel tells the peak") / 1024)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_watches_are_bounded() {
    /// Ten thousand requests; a watch that is open costs some 20 KiB.
    const MEBIBYTES_MAX: u64 = 150;
    let server = Background::start().await;
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..40 {
        let stream = server.connect().await;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut streams = Vec::new();
        for _ in 0..250 {
            let request = Request::builder()
                .uri("https://localhost/api/v1/configmaps?watch=1&timeoutSeconds=600&resourceVersion=1")
                .header("authorization", format!("Bearer {}", server.token))
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
    assert!((1_000..=4096).contains(&open.len()), "{}", open.len());
    let body = b"{\"metadata\":{\"name\":\"seen\"}}".to_vec();
    let request =
        http::Request::post("/api/v1/namespaces/default/configmaps").header("content-type", "application/json");
    server.client.request::<serde_json::Value>(request.body(body).unwrap()).await.unwrap();
    let watches = open.len();
    let seen = open.into_iter().map(|response| async {
        let mut body = response.into_body();
        let mut text = Vec::new();
        while !String::from_utf8_lossy(&text).contains("\"name\":\"seen\"") {
            text.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap_or_default());
        }
    });
    let all = tokio::time::timeout(Duration::from_secs(60), futures_util::future::join_all(seen)).await;
    assert!(all.is_ok(), "every open watch sees the write");
    if let Some(peak) = server.peak_mebibytes() {
        println!("{watches} watches open, {refused} refused, at most {peak} MiB were in use");
        assert!(peak <= MEBIBYTES_MAX, "{peak} MiB");
    }
    process::stop(&server.spec.directory).await.unwrap();
}

/// The background process under bodies that are too long, too deep or too many: what it has ever held stays small.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_bounded() {
    const MEBIBYTES_MAX: u64 = 200;
    let server = Background::start().await;
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
        let (client, request) = (server.client.clone(), request.body(body.clone()).unwrap());
        sent.spawn(async move { client.request::<serde_json::Value>(request).await.is_ok() });
        if sent.len() >= 8 {
            assert!(!sent.join_next().await.unwrap().unwrap(), "a bomb is refused");
        }
    }
    while let Some(taken) = sent.join_next().await {
        assert!(!taken.unwrap(), "a bomb is refused");
    }
    if let Some(peak) = server.peak_mebibytes() {
        println!("at most {peak} MiB were in use");
        assert!(peak <= MEBIBYTES_MAX, "{peak} MiB");
    }
    process::stop(&server.spec.directory).await.unwrap();
}
