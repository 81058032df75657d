//! Commands in a container.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::super::pod::Pod;
use super::super::{container, exec};
use super::{Cluster, cluster, ready};

async fn running(image: &str) -> (Cluster, Arc<Pod>) {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": image, "env": [{"name": "A", "value": "x y"}]}));
    cluster.until("ready", ready).await;
    let pod = cluster.node.shared.all_pods().into_iter().next().expect("on the node");
    (cluster, pod)
}

fn run(pod: &Arc<Pod>, command: &[&str]) -> (i32, String, String) {
    let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    let output = exec::run(pod, 0, &command);
    (output.code, output.stdout, output.stderr)
}

fn check(pod: &Arc<Pod>, command: &str, expected: (i32, &str, &str)) {
    let words: Vec<&str> = match command.strip_prefix("sh -c ") {
        Some(script) => vec!["sh", "-c", script],
        None => command.split(' ').collect(),
    };
    let (code, out, errors) = run(pod, &words);
    assert_eq!((code, out.as_str(), errors.as_str()), expected, "{command}");
}

#[tokio::test]
async fn a_shell_keeps_words_together_and_knows_what_came_before() {
    let (_cluster, pod) = running("nginx:1.29-alpine").await;
    check(&pod, "sh -c echo \"a  b\"; echo 'c; d'", (0, "a  b\nc; d\n", ""));
    check(&pod, "sh -c echo $A \"$NONE\" '$A'", (0, "x y  $A\n", ""));
    check(&pod, "sh -c false; echo $?", (0, "1\n", ""));
    check(&pod, "sh -c B=1; echo $B; C=2 printenv C", (0, "1\n2\n", ""));
    check(&pod, "sh -c false || echo saved && echo on", (0, "saved\non\n", ""));
    check(&pod, "sh -c cat /nope 2>/dev/null || exit 4", (4, "", ""));
    check(&pod, "sh -c cat /nope 2>&1", (1, "cat: can't open '/nope': No such file or directory\n", ""));
    check(&pod, "sh -c [ -f /etc/hosts ] && echo there", (0, "there\n", ""));
    let (code, _, errors) = run(&pod, &["sh", "-c", "ls | wc -l"]);
    assert!(code == 2 && errors.contains("it has no pipes (|)"), "{errors}");
}

#[tokio::test]
async fn what_every_container_has() {
    let (_cluster, pod) = running("nginx:1.29-alpine").await;
    check(&pod, "cat /etc/hostname", (0, "p\n", ""));
    check(&pod, "printenv HOME", (0, "/root\n", ""));
    check(&pod, "printenv HOSTNAME", (0, "p\n", ""));
    check(&pod, "printenv KUBERNETES_PORT_443_TCP_ADDR", (0, "10.96.0.1\n", ""));
    check(
        &pod,
        "cat /etc/resolv.conf",
        (
            0,
            "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
            "",
        ),
    );
    check(&pod, "ls /nope", (1, "", "ls: /nope: No such file or directory\n"));
    let (_cluster, pod) = running("nginx:1.29").await;
    check(&pod, "ls /nope", (2, "", "ls: cannot access '/nope': No such file or directory\n"));
}

#[tokio::test]
async fn curl_and_wget_say_what_the_real_ones_say() {
    let (_cluster, pod) = running("nginx:1.29-alpine").await;
    check(&pod, "curl -s -m 2 -o /dev/null -w %{http_code} http://localhost/", (0, "200", ""));
    check(&pod, "curl -s -o /dev/null -w %{http_code} localhost/nope", (0, "404", ""));
    check(&pod, "curl -sf localhost/nope", (22, "", ""));
    check(&pod, "curl -sSf localhost/nope", (22, "", "curl: (22) The requested URL returned error: 404\n"));
    check(&pod, "curl nope", (6, "", "curl: (6) Could not resolve host: nope\n"));
    check(
        &pod,
        "curl -sS localhost:81",
        (7, "", "curl: (7) Failed to connect to localhost port 81 after 0 ms: Could not connect to server\n"),
    );
    let (code, _, errors) = run(&pod, &["curl", "https://localhost/"]);
    assert!(code == 35 && errors.contains("speak http only"), "{errors}");
    let (code, out, _) = run(&pod, &["curl", "-sI", "http://localhost/"]);
    assert!(code == 0 && out.starts_with("HTTP/1.1 200 OK\r\n") && out.ends_with("\r\n\r\n"), "{out:?}");
    assert!(out.contains("Server: nginx/"), "{out}");
    check(
        &pod,
        "wget -qO- -T 2 http://localhost/nope",
        (1, "", "wget: server returned error: HTTP/1.1 404 Not Found\n"),
    );
    check(&pod, "wget -q nope", (1, "", "wget: bad address 'nope'\n"));
    check(
        &pod,
        "wget -O- localhost:81",
        (
            1,
            "",
            "Connecting to localhost:81 (127.0.0.1:81)\nwget: can't connect to remote host (127.0.0.1): Connection refused\n",
        ),
    );
    check(&pod, "wget -q -O /tmp/page http://localhost/", (0, "", ""));
    assert!(run(&pod, &["cat", "/tmp/page"]).1.contains("Welcome to nginx!"));
}

#[tokio::test]
async fn nginx_reads_its_configuration_anew() {
    let (_cluster, pod) = running("nginx:1.29-alpine").await;
    let write = |text: &'static str| {
        let files = [("/etc/nginx/conf.d/default.conf".to_owned(), Bytes::from_static(text.as_bytes()))].into();
        container::write_files(&pod, 0, files).expect("written");
    };
    write("server { listen 80; location / { return 200 'new'; } }");
    assert!(run(&pod, &["curl", "-s", "localhost"]).1.contains("Welcome"));
    let (code, _, notice) = run(&pod, &["nginx", "-s", "reload"]);
    assert!(code == 0 && notice.ends_with("[notice] 30#30: signal process started\n"), "{notice}");
    check(&pod, "curl -s localhost", (0, "new", ""));
    write("server { listen 80; nonsense on; }");
    let (code, _, errors) = run(&pod, &["nginx", "-s", "reload"]);
    assert!(code == 1 && errors.starts_with("nginx: [emerg] unknown directive \"nonsense\""), "{errors}");
    check(&pod, "curl -s localhost", (0, "new", ""));
    let (code, _, errors) = run(&pod, &["nginx", "-T"]);
    assert!(code == 1 && errors.ends_with("test failed\n"), "{errors}");
    write("server { listen 80; }");
    let (_, out, _) = run(&pod, &["nginx", "-T"]);
    assert!(out.starts_with("# configuration file /etc/nginx/nginx.conf:\nworker_processes"), "{out}");
    assert!(out.contains("# configuration file /etc/nginx/conf.d/default.conf:\nserver { listen 80; }"), "{out}");
}
