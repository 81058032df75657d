//! Waiting until the cluster can be worked with: that a node says it is ready is not enough.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::error::KindError;
use crate::cluster::request;
use crate::discovery::Discovery;

const POLL: Duration = Duration::from_millis(150);
/// How long kubeadm, and then the cluster, may take on a machine that is out of breath.
pub const TIME_MAX: Duration = Duration::from_secs(300);

/// Polls until `look` finds what it looks for. Errors of the connection are none: the server may just be starting.
async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> Result<T, KindError>
where
    F: Future<Output = Result<Option<T>, kube::Error>>,
{
    let deadline = Instant::now() + TIME_MAX;
    loop {
        let outcome = look().await;
        match outcome {
            Ok(Some(found)) => return Ok(found),
            // What is wrong in itself does not get better by waiting.
            Err(error) if matches!(request::code(&error), Some(400 | 405 | 415 | 422)) => {
                return Err(KindError::api(what)(error));
            }
            Err(error) if Instant::now() > deadline => return Err(KindError::api(what)(error)),
            Ok(None) if Instant::now() > deadline => {
                return Err(KindError::Slow { what: what.to_owned(), seconds: TIME_MAX.as_secs() });
            }
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

/// The API server says that it is ready.
pub async fn server(client: &kube::Client) -> Result<(), KindError> {
    until("the API server's start", || async {
        let request = http::Request::get("/readyz").body(Vec::new()).map_err(kube::Error::HttpError)?;
        client.request_text(request).await.map(|text| (text == "ok").then_some(()))
    })
    .await
}

/// Whether it answers now.
pub async fn answers(client: &kube::Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    client.request_text(request).await.is_ok_and(|text| text == "ok")
}

/// The version that the cluster says it is.
pub async fn version(client: &kube::Client) -> Result<String, KindError> {
    let version = request::get(client, "/version").await.map_err(KindError::api("the question for its version"))?;
    Ok(version["gitVersion"].as_str().unwrap_or("unknown").to_owned())
}

/// All nodes are there and ready.
pub async fn nodes(client: &kube::Client, count: usize) -> Result<(), KindError> {
    until("the nodes' getting ready", || async {
        let nodes = request::get(client, "/api/v1/nodes").await?;
        let ready = nodes["items"].as_array().into_iter().flatten().filter(|node| has_condition(node, "Ready")).count();
        Ok((ready >= count).then_some(()))
    })
    .await
}

/// A node's kubelet has spoken since its container was started: what the cluster says of a node that was stopped stays
/// as it was for most of a minute.
pub async fn kubelet(client: &kube::Client, node: &str, started: Option<jiff::Timestamp>) -> Result<(), KindError> {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}");
    until("the kubelet's first word", || async {
        let lease = request::get(client, &path).await?;
        let renewed = lease["spec"]["renewTime"].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
        Ok((started.is_none() || renewed > started).then_some(()))
    })
    .await
}

/// A Deployment has what it asked for.
pub async fn deployment(client: &kube::Client, namespace: &str, name: &str) -> Result<(), KindError> {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
    until(&format!("the start of {name}"), || async {
        let found = request::get(client, &path).await?;
        let is_current = found["status"]["observedGeneration"] == found["metadata"]["generation"];
        Ok((is_current && has_condition(&found, "Available")).then_some(()))
    })
    .await
}

/// Pods can be made in the namespace `default`.
pub async fn service_account(client: &kube::Client) -> Result<(), KindError> {
    until("the first service account", || async {
        request::get(client, "/api/v1/namespaces/default/serviceaccounts/default").await.map(Some)
    })
    .await
    .map(drop)
}

fn has_condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// Makes objects; those that are there already stay as they are. What the server is not yet ready for is tried again.
pub async fn create(client: &kube::Client, what: &str, objects: &[Value]) -> Result<(), KindError> {
    let discovery = until(what, || async { Discovery::fetch(client).await.map(Some) }).await?;
    for object in objects {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = discovery.of(&text(&object["apiVersion"]), &text(&object["kind"]));
        let Some(kind) = kind else { return Err(KindError::NodeImage { what: "manifest of an unknown kind" }) };
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let path = kind.collection(Some(namespace));
        // Namespaces and roles of the system's come a moment after the server.
        until(what, || async {
            match request::create(client, &path, object).await {
                Err(error) if request::code(&error) != Some(409) => Err(error),
                _ => Ok(Some(())),
            }
        })
        .await?;
    }
    Ok(())
}

/// Lets pods run on a cluster's only node, and be reached through a load balancer.
pub async fn untaint(client: &kube::Client, node: &str, taint: &str) -> Result<(), KindError> {
    const LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
    let path = format!("/api/v1/nodes/{node}");
    until("freeing the control plane for pods", || async {
        let found = request::get(client, &path).await?;
        let taints = found["spec"]["taints"].as_array().cloned().unwrap_or_default();
        let kept: Vec<Value> = taints.iter().filter(|found| found["key"] != taint).cloned().collect();
        if kept.len() == taints.len() && found["metadata"]["labels"][LABEL].is_null() {
            return Ok(Some(()));
        }
        let patch = json!({
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"], "labels": {LABEL: null}},
            "spec": {"taints": if kept.is_empty() { Value::Null } else { json!(kept) }},
        });
        match request::merge(client, &path, &patch).await {
            Err(error) if request::code(&error) == Some(409) => Ok(None),
            outcome => outcome.map(|_| Some(())),
        }
    })
    .await
}
