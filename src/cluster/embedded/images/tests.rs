use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::store::digest_of;
use super::*;

fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, content.as_bytes()).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

async fn call(port: u16, method: &str, path: &str, body: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: r\r\nConnection: close\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(body).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("answered");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, head.to_lowercase(), body.to_owned())
}

async fn start() -> (tempfile::TempDir, Arc<ImageStore>, u16) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(ImageStore::open(directory.path()).expect("opened"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(serve(listener, Arc::clone(&store)));
    (directory, store, port)
}

async fn push_blob(port: u16, content: &[u8]) -> String {
    let digest = digest_of(content);
    let (status, head, _) = call(port, "POST", "/v2/app/blobs/uploads/", b"").await;
    assert_eq!(status, 202);
    let location = head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location").to_owned();
    let (half, rest) = content.split_at(content.len() / 2);
    assert_eq!(call(port, "PATCH", &location, half).await.0, 202);
    assert_eq!(call(port, "PUT", &format!("{location}?digest={digest}"), rest).await.0, 201);
    digest
}

#[tokio::test]
async fn what_is_pushed_can_be_pulled() {
    let (_directory, store, port) = start().await;
    let first = push_blob(port, &layer(&[("usr/a", "1"), ("usr/b", "2"), ("etc/x/y", "3")])).await;
    let second = push_blob(port, &layer(&[("./usr/a", "9"), ("usr/.wh.b", ""), ("etc/x/.wh..wh..opq", "")])).await;
    let config = json!({"config": {"Env": ["A=1=2"], "Labels": {"dev.tutorial.base": "nginx:1.29"}, "Cmd": ["x"]}});
    let config = push_blob(port, config.to_string().as_bytes()).await;
    let manifest = json!({"schemaVersion": 2, "config": {"digest": config},
        "layers": [{"digest": first}, {"digest": second}]})
    .to_string();
    let (status, head, _) = call(port, "PUT", "/v2/app/manifests/v1", manifest.as_bytes()).await;
    assert_eq!(status, 201);
    assert!(head.contains(&digest_of(manifest.as_bytes())), "{head}");
    assert_eq!(call(port, "GET", "/v2/app/manifests/v1", b"").await.2, manifest);
    assert_eq!(call(port, "GET", "/v2/app/tags/list", b"").await.2.trim(), r#"{"name":"app","tags":["v1"]}"#);
    assert_eq!(call(port, "GET", "/v2/_catalog", b"").await.2.trim(), r#"{"repositories":["app"]}"#);

    let image = store.pull("app", "v1").expect("pulled");
    assert_eq!(image.base, "nginx:1.29");
    assert_eq!(image.environment, [("A".into(), "1=2".into())]);
    let files: Vec<(&str, &[u8])> = image.files.iter().map(|(path, content)| (path.as_str(), &content[..])).collect();
    assert_eq!(files, [("/usr/a", &b"9"[..])]);
}

#[tokio::test]
async fn refusals_have_the_protocols_codes() {
    let (_directory, _store, port) = start().await;
    for (method, path, body, status, code) in [
        ("GET", "/v2/none/tags/list", "", 404, "NAME_UNKNOWN"),
        ("GET", "/v2/app/manifests/none", "", 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/app/blobs/sha256:00", "", 400, "TAG_INVALID"),
        ("PUT", "/v2/app/manifests/v1", "{", 400, "MANIFEST_INVALID"),
        ("PUT", "/v2/app/manifests/v1", r#"{"config":{"digest":"x"}}"#, 400, "MANIFEST_INVALID"),
        ("POST", "/v2/app/blobs/uploads/?digest=sha256:00", "x", 400, "DIGEST_INVALID"),
        ("PATCH", "/v2/app/blobs/uploads/..%2f..%2fx", "x", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PUT", "/v2/../x/manifests/v1", "{}", 404, "NAME_UNKNOWN"),
    ] {
        let (found, _, text) = call(port, method, path, body.as_bytes()).await;
        assert_eq!((found, text.contains(code)), (status, true), "{method} {path}: {text}");
    }
}

#[test]
fn references_are_taken_apart() {
    let check = |text: &str, expected: Option<(&str, &str, &str)>| {
        let found = Reference::parse(text);
        let found = found.as_ref().map(|r| (r.host.as_str(), r.name.as_str(), r.version.as_str()));
        assert_eq!(found, expected, "{text}");
    };
    check("nginx", Some(("", "nginx", "latest")));
    check("docker.io/library/nginx:1.29", Some(("", "nginx", "1.29")));
    check("localhost:5001/demo-app:abc-1", Some(("localhost:5001", "demo-app", "abc-1")));
    check("quay.io/a/b@sha256:00", Some(("quay.io", "a/b", "sha256:00")));
    check("Not Valid", None);
    check("", None);
}
