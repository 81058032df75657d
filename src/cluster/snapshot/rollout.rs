//! Waits until workloads are as they were, and puts a Deployment's history back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::objects::{Site, refused};
use super::{SnapshotError, State, plan, request, text};

const TIME_MAX: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(150);

/// Brings each Deployment's pods to where they were: through what served beside a rollout that hung, to the end that
/// it had. Then its history.
pub async fn settle(site: &Site<'_>, wanted: &State) -> Result<(), SnapshotError> {
    for deployment in wanted.objects.iter().filter(|object| object["kind"] == "Deployment") {
        let Some(path) = site.kinds.path(deployment) else { continue };
        if let Some(before) = plan::carrier(deployment, &wanted.objects) {
            let live = request::get(site.client, &path).await.map_err(refused(deployment))?;
            if !is_as_it_was(deployment, &live) {
                request::replace(site.client, &path, &plan::update(&before, &live))
                    .await
                    .map_err(refused(deployment))?;
                await_deployment(site, &path, deployment, is_complete).await?;
                let live = request::get(site.client, &path).await.map_err(refused(deployment))?;
                let again = plan::update(deployment, &live);
                request::replace(site.client, &path, &again).await.map_err(refused(deployment))?;
                site.give_fields_back(deployment, &path).await?;
            }
        }
        await_deployment(site, &path, deployment, |live| is_as_it_was(deployment, live)).await?;
    }
    for other in wanted.objects.iter().filter(|object| object["kind"] == "StatefulSet") {
        if let Some(path) = site.kinds.path(other) {
            await_deployment(site, &path, other, |live| is_as_it_was(other, live)).await?;
        }
    }
    history(site, wanted).await
}

async fn await_deployment(
    site: &Site<'_>,
    path: &str,
    object: &Value,
    holds: impl Fn(&Value) -> bool,
) -> Result<(), SnapshotError> {
    let deadline = Instant::now() + TIME_MAX;
    loop {
        let live = request::get(site.client, path).await.map_err(refused(object))?;
        if is_observed(&live) && holds(&live) {
            return Ok(());
        }
        // What was on its way somewhere may never be there again: then it is as near as it comes.
        if Instant::now() > deadline {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

fn is_observed(live: &Value) -> bool {
    live["status"]["observedGeneration"].as_i64() >= live["metadata"]["generation"].as_i64()
}

fn number(object: &Value, name: &str) -> i64 {
    object["status"][name].as_i64().unwrap_or(0)
}

fn is_complete(live: &Value) -> bool {
    let replicas = live["spec"]["replicas"].as_i64().unwrap_or(1);
    ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|name| number(live, name) == replicas)
}

/// The same numbers of pods; or all that are asked for, since a snapshot may have caught a scaling half-way.
fn is_as_it_was(then: &Value, live: &Value) -> bool {
    let counts = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
    counts.iter().all(|name| number(then, name) == number(live, name)) || is_complete(live)
}

/// ReplicaSets that were not there go; the others count their revisions as they did.
async fn history(site: &Site<'_>, wanted: &State) -> Result<(), SnapshotError> {
    let sets = |object: &&Value| object["kind"] == "ReplicaSet";
    for namespace in wanted.namespaces.keys() {
        let collection = format!("/apis/apps/v1/namespaces/{namespace}/replicasets");
        let found =
            request::get(site.client, &collection).await.map_err(SnapshotError::api("a list of ReplicaSets"))?;
        let names: Vec<&str> = wanted.objects.iter().filter(sets).map(|set| text(&set["metadata"]["name"])).collect();
        for set in found["items"].as_array().into_iter().flatten() {
            let name = text(&set["metadata"]["name"]);
            if !names.contains(&name) {
                let path = format!("{collection}/{name}?propagationPolicy=Background");
                request::delete(site.client, &path).await.map_err(SnapshotError::api(format!("the end of {name}")))?;
            }
        }
    }
    for object in wanted.objects.iter().filter(|object| matches!(text(&object["kind"]), "ReplicaSet" | "Deployment")) {
        let Some(path) = site.kinds.path(object) else { continue };
        let live = match request::get(site.client, &path).await {
            Err(error) if request::code(&error) == Some(404) => continue,
            other => other.map_err(refused(object))?,
        };
        let then = plan::annotations(object);
        let mut changed = then.clone();
        changed.retain(|name, value| plan::annotations(&live).get(name) != Some(value));
        let gone = plan::annotations(&live).into_iter().filter(|(name, _)| !then.contains_key(name));
        changed.extend(gone.map(|(name, _)| (name, Value::Null)));
        if !changed.is_empty() {
            let patch = json!({"metadata": {"annotations": changed}});
            request::merge(site.client, &path, &patch).await.map_err(refused(object))?;
            site.give_fields_back(object, &path).await?;
        }
    }
    Ok(())
}
