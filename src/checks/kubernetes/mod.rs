//! Objects of the cluster, any kind: there or not, how many, ready, with which fields.

mod fields;
mod missing;
pub mod pods;
pub mod ready;

use std::path::Path;

use serde_json::Value;

use super::await_state::{Patience, retry};
use super::cluster::{Cluster, ClusterError};
use super::finding::{Expectation, Finding, conclude};
use super::nearest::{counted, nearest};
use crate::course::check::KubernetesProbe;
use crate::discovery::Resource;
use ready::Readiness;

/// Looks at the cluster until it is as expected, or cannot become so any more.
pub async fn observe(probe: &KubernetesProbe, patience: Patience<'_>, kubeconfig: Option<&Path>) -> Finding {
    let expected = expected_of(probe);
    if let Some(why) = mistake(probe) {
        return Finding::broken(expected, why);
    }
    let cluster = match Cluster::connect(kubeconfig).await {
        Ok(cluster) => cluster,
        Err(error) => return error.finding(expected),
    };
    retry(patience, async || match look(probe, &cluster).await {
        Ok(finding) => finding,
        Err(error) => error.finding(&expected),
    })
    .await
}

/// What makes the check itself wrong.
fn mistake(probe: &KubernetesProbe) -> Option<String> {
    let names_nothing = probe.name.is_none() && probe.selector.is_none() && probe.count.is_none();
    let unset = [&probe.name, &probe.namespace, &probe.selector].into_iter().flatten().find(|text| text.contains("${"));
    if let Some(text) = unset {
        return Some(format!("the variable in `{text}` is not set"));
    }
    if names_nothing && probe.absent.is_none() {
        return Some("the check does not say which object it means".into());
    }
    probe
        .fields
        .keys()
        .find_map(|path| fields::mistake(path).map(|why| format!("`{path}` is no path of a field: {why}")))
}

/// Everything that the check expects, in words.
fn expected_of(probe: &KubernetesProbe) -> String {
    let object = match (&probe.name, &probe.selector) {
        (Some(name), _) => format!("{} {name}", probe.kind),
        (None, Some(selector)) => format!("{} with {selector}", probe.kind),
        (None, None) => probe.kind.clone(),
    };
    let place = probe.namespace.as_ref().map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default();
    if probe.absent == Some(true) {
        return format!("no {object}{place}");
    }
    let mut text = match probe.count {
        Some(count) => format!("{count} × {object}{place}"),
        None => format!("a {object}{place}"),
    };
    if probe.ready == Some(true) {
        text.push_str(", ready");
    }
    for (path, value) in &probe.fields {
        text.push_str(&format!(" with {path} {}", fields::show(value)));
    }
    text
}

/// One look.
async fn look(probe: &KubernetesProbe, cluster: &Cluster) -> Result<Finding, ClusterError> {
    let expected = expected_of(probe);
    let Some(resource) = cluster.resource(&probe.kind, probe.api_version.as_deref()).await? else {
        let near = nearest(&probe.kind, cluster.kinds()).map(|kind| format!("; is {kind} meant?")).unwrap_or_default();
        return Ok(Finding::broken(expected, format!("the cluster has no kind {}{near}", probe.kind)));
    };
    let namespace = probe.namespace.as_deref().unwrap_or("default");
    match &probe.name {
        Some(name) => one(probe, cluster, &resource, namespace, name).await,
        None => several(probe, cluster, &resource, namespace).await,
    }
}

async fn one(
    probe: &KubernetesProbe,
    cluster: &Cluster,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<Finding, ClusterError> {
    let path = resource.object(namespace, name);
    let object = cluster.get(&path).await?;
    let observed = format!("GET {path}: {}", if object.is_some() { "found" } else { "not found" });
    let expected = expected_of(probe);
    let finding = match (object, probe.absent == Some(true)) {
        (None, true) => Finding::passed(expected, "there is none"),
        (None, false) => missing::object(cluster, resource, namespace, name, expected).await?,
        (Some(object), true) => still_there(&object, resource, namespace, expected),
        (Some(object), false) => present(probe, cluster, resource, &object).await?,
    };
    Ok(finding.observing([observed]))
}

fn still_there(object: &Value, resource: &Resource, namespace: &str, expected: String) -> Finding {
    let name = name_of(object);
    let is_leaving = !object["metadata"]["deletionTimestamp"].is_null();
    let actual = if is_leaving { "it is being deleted".to_owned() } else { "it is still there".to_owned() };
    let release = object["metadata"]["annotations"]["meta.helm.sh/release-name"].as_str();
    let hint = match (is_leaving, release) {
        (true, _) => format!("wait; `kubectl describe {} {name} -n {namespace}` says what holds it", resource.singular),
        (false, Some(release)) => {
            format!("the release {release} made it: a converge without its template, or `werf dismiss`, removes it")
        }
        (false, None) => format!("`kubectl delete {} {name} -n {namespace}` removes it", resource.singular),
    };
    Finding::failed(expected, actual, hint).in_progress(is_leaving)
}

/// What is expected of an object that is there.
async fn present(
    probe: &KubernetesProbe,
    cluster: &Cluster,
    resource: &Resource,
    object: &Value,
) -> Result<Finding, ClusterError> {
    let mut expectations = Vec::new();
    let mut observed = Vec::new();
    let mut in_progress = false;
    let label = label(object, resource);
    if let Some(wanted) = probe.ready {
        let readiness = ready::of(cluster, resource, object).await?;
        observed.push(format!("{label}: {readiness}"));
        let (expectation, moves) = readiness_expectation(&label, &readiness, wanted, object, resource);
        in_progress |= moves;
        expectations.push(expectation);
    }
    for (path, wanted) in &probe.fields {
        let expectation = fields::expectation(&label, object, path, wanted, &place(object, resource));
        observed.push(format!("{label} {path}: {}", expectation.actual));
        in_progress |= !expectation.met && (fields::is_of_status(path) || ready::is_unobserved(object));
        expectations.push(expectation);
    }
    if expectations.is_empty() {
        expectations.push(Expectation::met(expected_of(probe), "it is there"));
    }
    Ok(conclude(&expectations).observing(observed).in_progress(in_progress))
}

fn readiness_expectation(
    label: &str,
    readiness: &Readiness,
    wanted: bool,
    object: &Value,
    resource: &Resource,
) -> (Expectation, bool) {
    let expected = format!("{label} {}", if wanted { ready::word(&resource.kind) } else { "not ready" });
    let moves = matches!(readiness, Readiness::Progressing { .. });
    let expectation = match (readiness, wanted) {
        (Readiness::Ready { .. }, true) | (Readiness::Progressing { .. } | Readiness::Stuck { .. }, false) => {
            Expectation::met(expected, readiness.to_string())
        }
        (Readiness::Ready { .. }, false) => Expectation::unmet(expected, readiness.to_string(), ""),
        (Readiness::Progressing { hint, .. } | Readiness::Stuck { hint, .. }, true) => {
            let hint = if hint.is_empty() {
                format!("`kubectl describe {}` says what it waits for", place(object, resource))
            } else {
                hint.clone()
            };
            Expectation::unmet(expected, readiness.to_string(), hint)
        }
    };
    (expectation, moves || matches!((readiness, wanted), (Readiness::Ready { .. }, false)))
}

async fn several(
    probe: &KubernetesProbe,
    cluster: &Cluster,
    resource: &Resource,
    namespace: &str,
) -> Result<Finding, ClusterError> {
    let collection = resource.collection(Some(namespace));
    let objects = cluster.list(&collection, probe.selector.as_deref()).await?;
    let names: Vec<&str> = objects.iter().map(name_of).collect();
    let selector = probe.selector.as_ref().map(|selector| format!(" with {selector}")).unwrap_or_default();
    let observed = format!("GET {collection}{selector}: {}", found(&names));
    let expected = expected_of(probe);
    let is_leaving = objects.iter().any(|object| !object["metadata"]["deletionTimestamp"].is_null());
    let count_is_right = match (probe.absent, probe.count) {
        (Some(true), _) => objects.is_empty(),
        (_, Some(count)) => u64::try_from(objects.len()).is_ok_and(|found| found == count),
        _ => !objects.is_empty(),
    };
    if !count_is_right {
        let finding = if objects.is_empty() {
            missing::objects(cluster, resource, namespace, probe.selector.as_deref(), expected).await?
        } else {
            let hint = format!("`kubectl get {} -n {namespace}` lists them", resource.plural);
            Finding::failed(expected, found(&names), hint)
        };
        return Ok(finding.in_progress(is_leaving || resource.kind == "Pod").observing([observed]));
    }
    let mut worst = Finding::passed(expected, found(&names)).in_progress(false);
    for object in &objects {
        let finding = present(
            &KubernetesProbe { name: Some(name_of(object).into()), ..probe.clone() },
            cluster,
            resource,
            object,
        )
        .await?;
        if finding.state != super::State::Passed {
            worst = finding;
            break;
        }
    }
    Ok(worst.observing([observed]))
}

/// `found 2: a, b`.
fn found(names: &[&str]) -> String {
    if names.is_empty() {
        "found none".into()
    } else {
        format!("found {}: {}", names.len(), super::nearest::some_of(names, 5))
    }
}

pub(super) fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// `Deployment demo-app in demo-app-production`.
fn label(object: &Value, resource: &Resource) -> String {
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{} {} in {namespace}", resource.kind, name_of(object)),
        None => format!("{} {}", resource.kind, name_of(object)),
    }
}

/// `deployment demo-app -n demo-app-production`, as kubectl takes it.
fn place(object: &Value, resource: &Resource) -> String {
    let word = if resource.singular.is_empty() { resource.kind.to_lowercase() } else { resource.singular.clone() };
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{word} {} -n {namespace}", name_of(object)),
        None => format!("{word} {}", name_of(object)),
    }
}

/// `1 of 2 pods`.
pub(super) fn of_pods(part: u64, whole: u64) -> String {
    format!("{part} of {}", counted(usize::try_from(whole).unwrap_or(usize::MAX), "pod"))
}
