//! A pod's life, where it does not go as wished.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::super::api::{LogOptions, PodAccess};
use super::super::super::registry::Writer;
use super::super::{NODE_NAME, kind};
use super::{Cluster, cluster, ready};

fn waiting(pod: &Value) -> &str {
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].as_str().unwrap_or_default()
}

fn message(pod: &Value) -> &str {
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"].as_str().unwrap_or_default()
}

fn restarts(pod: &Value) -> u64 {
    pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or_default()
}

#[tokio::test]
async fn another_image_restarts_the_container() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "nginx:1.29-alpine"}));
    cluster.until("ready", ready).await;
    cluster.change(|pod| pod["spec"]["containers"][0]["image"] = "nginx:1.28-alpine".into());
    let pod = cluster.until("restarted", |pod| restarts(pod) == 1 && ready(pod)).await;
    assert_eq!(pod["status"]["containerStatuses"][0]["image"], "docker.io/library/nginx:1.28-alpine");
    assert_eq!(pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 0);
    cluster.until_event("Container web definition changed, will be restarted").await;
    cluster.until_event("\"nginx:1.28-alpine\" already present on machine").await;
}

#[tokio::test]
async fn a_version_that_does_not_exist_is_not_found_and_can_be_set_right() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "nginx:1.161"}));
    let pod = cluster.until("back-off", |pod| waiting(pod) == "ImagePullBackOff").await;
    assert!(message(&pod).ends_with("docker.io/library/nginx:1.161: not found"), "{pod:#}");
    cluster.change(|pod| pod["spec"]["containers"][0]["image"] = "nginx:1.29".into());
    assert_eq!(restarts(&cluster.until("ready", ready).await), 0);
}

#[tokio::test]
async fn images_that_may_not_be_fetched_or_cannot_be_named() {
    for (image, reason, text) in [
        (
            "localhost:1/app:1",
            "ErrImageNeverPull",
            "Container image \"localhost:1/app:1\" is not present with pull policy of Never",
        ),
        ("mysql:8", "ErrImageNeverPull", "Container image \"mysql:8\" is not present with pull policy of Never"),
        (
            "Nginx:Bad:Tag",
            "InvalidImageName",
            "Failed to apply default image tag \"Nginx:Bad:Tag\": couldn't parse image name \"Nginx:Bad:Tag\": invalid reference format: repository name (library/Nginx) must be lowercase",
        ),
        (
            "nginx:a/b:c d",
            "InvalidImageName",
            "Failed to apply default image tag \"nginx:a/b:c d\": couldn't parse image name \"nginx:a/b:c d\": invalid reference format",
        ),
    ] {
        let cluster = cluster();
        cluster.create(&json!({"name": "web", "image": image, "imagePullPolicy": "Never"}));
        let pod = cluster.until(reason, |pod| waiting(pod) == reason).await;
        assert_eq!(message(&pod), text);
        cluster.until_event(&format!("Error: {reason}")).await;
    }
}

#[tokio::test]
async fn variables_in_command_and_arguments_are_filled_in() {
    let cluster = cluster();
    cluster.create_pod(&json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "busybox",
        "env": [{"name": "A", "value": "one"}],
        "command": ["echo", "$(A)"], "args": ["$$(A)", "$(NONE)", "x$(A)y"]}]}));
    cluster.until("done", |pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!(cluster.log(0), ["one $(A) $(NONE) xoney"]);
}

#[tokio::test]
async fn a_sidecar_runs_beside_and_ends_after_the_others() {
    let sidecar = json!({"name": "side", "image": "nginx", "restartPolicy": "Always",
        "startupProbe": {"httpGet": {"port": 80}}});
    let first = cluster();
    first.create_pod(&json!({"initContainers": [sidecar],
        "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "infinity"]}]}));
    let pod = first.until("ready", ready).await;
    let status = &pod["status"]["initContainerStatuses"][0];
    assert_eq!((&status["ready"], &status["started"]), (&json!(true), &json!(true)));
    let conditions = pod["status"]["conditions"].as_array().expect("conditions");
    assert!(conditions.iter().all(|condition| condition["status"] == "True"), "{conditions:#?}");

    let second = cluster();
    second.create_pod(&json!({"initContainers": [sidecar], "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "busybox", "command": ["true"]}]}));
    let pod = second.until("done", |pod| pod["status"]["phase"] == "Succeeded").await;
    assert!(pod["status"]["initContainerStatuses"][0]["state"]["terminated"].is_object(), "{pod:#}");
}

#[tokio::test]
async fn a_pod_that_is_active_for_too_long_fails() {
    let cluster = cluster();
    cluster.create_pod(&json!({"activeDeadlineSeconds": 60, "containers": [{"name": "a", "image": "nginx"}]}));
    let pod = cluster.until("failed", |pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
    assert_eq!(pod["status"]["message"], "Pod was active on the node longer than the specified deadline");
    cluster.until_event("Stopping container a").await;
}

#[tokio::test]
async fn a_hook_that_fails_restarts_the_container() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "nginx",
        "lifecycle": {"postStart": {"exec": {"command": ["cat", "/nope"]}}}}));
    cluster.until("restarted", |pod| restarts(pod) > 0).await;
    cluster.until_event("PostStartHook failed").await;
    cluster.until_event("FailedPostStartHook").await;
}

#[tokio::test]
async fn a_hook_that_passes_is_not_noticed() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "nginx",
        "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", "test -f /etc/hosts"]}}}}));
    assert_eq!(restarts(&cluster.until("ready", ready).await), 0);
}

#[tokio::test]
async fn two_servers_cannot_have_one_port() {
    let cluster = cluster();
    cluster.create_pod(&json!({"containers": [{"name": "one", "image": "nginx"}, {"name": "two", "image": "nginx"}]}));
    let restarted = |pod: &Value| pod["status"]["containerStatuses"][1]["restartCount"].as_u64().unwrap_or(0) > 0;
    let pod = cluster.until("the second restarts", restarted).await;
    assert!(ready(&pod) && restarts(&pod) == 0, "{pod:#}");
    assert_eq!(cluster.log(1)[0], "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)");
}

#[tokio::test]
async fn a_disk_that_is_read_only_stops_nginx_unless_it_has_room() {
    let container = json!({"name": "web", "image": "nginx", "securityContext": {"readOnlyRootFilesystem": true}});
    let first = cluster();
    first.create(&container);
    first.until("restarted", |pod| restarts(pod) > 0).await;
    assert_eq!(
        first.log(0),
        ["nginx: [emerg] mkdir() \"/var/cache/nginx/client_temp\" failed (30: Read-only file system)"]
    );
    let second = cluster();
    let mut roomy = container;
    roomy["volumeMounts"] =
        json!([{"name": "cache", "mountPath": "/var/cache/nginx"}, {"name": "run", "mountPath": "/var/run"}]);
    let volumes = json!([{"name": "cache", "emptyDir": {}}, {"name": "run", "emptyDir": {}}]);
    second.create_pod(&json!({"containers": [roomy], "volumes": volumes}));
    second.until("ready", ready).await;
}

#[tokio::test]
async fn probes_that_cannot_pass() {
    for (probe, told) in [
        (json!({"httpGet": {"port": 80, "scheme": "HTTPS"}}), "http: server gave HTTP response to HTTPS client"),
        (
            json!({"httpGet": {"port": 80, "host": "example.com"}}),
            "Get \"http://example.com:80/\": dial tcp: lookup example.com: no such host",
        ),
        (json!({"httpGet": {"port": 80, "host": "127.0.0.1"}}), "dial tcp 127.0.0.1:80: connect: connection refused"),
    ] {
        let cluster = cluster();
        cluster.create(&json!({"name": "web", "image": "nginx", "readinessProbe": probe}));
        cluster.until_event(told).await;
        assert!(!ready(&cluster.pod().expect("there")));
    }
}

#[tokio::test]
async fn a_pretended_server_takes_connections_on_its_port() {
    let cluster = cluster();
    cluster.create(&json!({"name": "db", "image": "redis:7", "readinessProbe": {"tcpSocket": {"port": 6379}}}));
    cluster.until("ready", ready).await;
}

#[tokio::test]
async fn a_folder_of_the_node_that_is_not_there() {
    let cluster = cluster();
    cluster.create_pod(&json!({"containers": [{"name": "a", "image": "nginx"}],
        "volumes": [{"name": "h", "hostPath": {"path": "/nope", "type": "Directory"}}]}));
    cluster
        .until_event("MountVolume.SetUp failed for volume \"h\" : hostPath type check failed: /nope is not a directory")
        .await;
    assert_eq!(waiting(&cluster.pod().expect("there")), "ContainerCreating");
}

#[tokio::test]
async fn who_runs_as_root_is_not_made_where_that_is_forbidden() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "nginx", "securityContext": {"runAsNonRoot": true}}));
    let pod = cluster.until("refused", |pod| waiting(pod) == "CreateContainerConfigError").await;
    let uid = pod["metadata"]["uid"].as_str().expect("a uid");
    assert_eq!(
        message(&pod),
        format!("container has runAsNonRoot and image will run as root (pod: \"p_default({uid})\", container: web)")
    );
}

fn scheduled(pod: &Value) -> Value {
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == "PodScheduled").unwrap_or_default()
}

#[tokio::test]
async fn a_claim_that_is_not_there_keeps_the_pod_pending() {
    let cluster = cluster();
    cluster.create_pod(&json!({"containers": [{"name": "a", "image": "nginx"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "nope"}}]}));
    cluster.until_event("0/1 nodes are available: persistentvolumeclaim \"nope\" not found. ").await;
    let pod = cluster.pod().expect("there");
    assert_eq!((&pod["status"]["phase"], &scheduled(&pod)["reason"]), (&json!("Pending"), &json!("Unschedulable")));
}

#[tokio::test]
async fn a_gate_holds_the_pod_until_it_is_taken_away() {
    let cluster = cluster();
    cluster.create_pod(
        &json!({"schedulingGates": [{"name": "example.com/wait"}], "containers": [{"name": "a", "image": "nginx"}]}),
    );
    let pod = cluster.until("gated", |pod| scheduled(pod)["reason"] == "SchedulingGated").await;
    assert_eq!(scheduled(&pod)["message"], "Scheduling is blocked due to non-empty scheduling gates");
    cluster.change(|pod| drop(pod["spec"].as_object_mut().expect("a spec").remove("schedulingGates")));
    cluster.until("ready", ready).await;
    assert!(!cluster.events().iter().any(|message| message.contains("nodes are available")));
}

#[tokio::test]
async fn a_taint_that_no_one_suffers_sends_the_pod_away() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "nginx"}));
    cluster.until("ready", ready).await;
    let tainted = cluster.registry.modify(kind("Node"), "", NODE_NAME, &Writer::new("test"), false, |live| {
        let mut node = live.clone();
        node["spec"]["taints"] = json!([{"key": "k", "effect": "NoExecute"}]);
        Ok(node)
    });
    tainted.expect("tainted");
    cluster.until("gone", Value::is_null).await;
    cluster.until_event("Marking for deletion Pod default/p").await;
}

/// What `kubectl logs` is told.
async fn refused_log(cluster: &Cluster, container: &str) -> String {
    let entry = cluster.registry.get(kind("Pod"), "default", "p").expect("there");
    let options = LogOptions { container: container.into(), ..LogOptions::default() };
    cluster.node.logs(Arc::clone(&entry), options).await.err().expect("refused").message
}

#[tokio::test]
async fn why_there_is_no_log_yet() {
    let cluster = cluster();
    cluster.create(&json!({"name": "web", "image": "nginx:9.99"}));
    cluster.until("back-off", |pod| waiting(pod) == "ImagePullBackOff").await;
    let told = refused_log(&cluster, "web").await;
    // the one or the other: it tries again and again
    let expected = ["trying and failing to pull image", "image can't be pulled"]
        .map(|why| format!("container \"web\" in pod \"p\" is waiting to start: {why}"));
    assert!(expected.contains(&told), "{told}");
}
