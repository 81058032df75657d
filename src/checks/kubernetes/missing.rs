//! Objects that are not there: where they are instead, and what is there instead of them.

use serde_json::Value;

use super::super::cluster::{Cluster, ClusterError, environment_of};
use super::super::finding::Finding;
use super::super::nearest::{nearest, some_of};
use super::name_of;
use crate::discovery::Resource;

/// An object by name.
pub async fn object(
    cluster: &Cluster,
    resource: &Resource,
    namespace: &str,
    name: &str,
    expected: String,
) -> Result<Finding, ClusterError> {
    let all = cluster.list(&resource.collection(None), None).await?;
    let kind = &resource.kind;
    if !resource.namespaced {
        let names: Vec<&str> = all.iter().map(name_of).filter(|name| !name.starts_with("kube-")).collect();
        let actual = format!("no {kind} {name}; there is {}", some_of(&names, 6));
        return Ok(Finding::failed(expected, actual, hint_to_deploy(name)).in_progress(false));
    }
    let namespaces = cluster.namespaces().await?;
    let mut actual = if namespaces.iter().any(|known| known == namespace) {
        let names: Vec<&str> = all.iter().filter(|object| namespace_of(object) == namespace).map(name_of).collect();
        match (nearest(name, names.iter().copied()), names.as_slice()) {
            (_, []) => format!("no {kind} in namespace {namespace}"),
            (Some(near), _) => format!("no {kind} {name} in namespace {namespace}, but {near}"),
            (None, names) => format!("no {kind} {name} in namespace {namespace}; there is {}", some_of(names, 6)),
        }
    } else {
        no_namespace(namespace, &namespaces)
    };
    let elsewhere: Vec<&str> = all.iter().filter(|object| name_of(object) == name).map(namespace_of).collect();
    let hint = match elsewhere.first() {
        Some(other) => {
            actual.push_str(&format!("; {kind} {name} exists in {} instead", some_of(&elsewhere, 3)));
            hint_of_other_place(namespace, other)
        }
        None => hint_to_deploy(namespace),
    };
    Ok(Finding::failed(expected, actual, hint).in_progress(false))
}

/// Which namespaces there are; those that every cluster has from its beginning are no place of a learner's.
fn no_namespace(wanted: &str, namespaces: &[String]) -> String {
    let made: Vec<&str> = namespaces.iter().map(String::as_str).filter(|name| *name != "default").collect();
    if made.is_empty() {
        format!("no namespace {wanted}, nor any beside Kubernetes' own")
    } else {
        format!("no namespace {wanted}; beside Kubernetes' own there is {}", some_of(&made, 6))
    }
}

/// Objects by a selector, of which there is none.
pub async fn objects(
    cluster: &Cluster,
    resource: &Resource,
    namespace: &str,
    selector: Option<&str>,
    expected: String,
) -> Result<Finding, ClusterError> {
    let kind = &resource.kind;
    let namespaces = cluster.namespaces().await?;
    if resource.namespaced && !namespaces.iter().any(|known| known == namespace) {
        let actual = no_namespace(namespace, &namespaces);
        return Ok(Finding::failed(expected, actual, hint_to_deploy(namespace)));
    }
    let others = cluster.list(&resource.collection(Some(namespace)), None).await?;
    let names: Vec<&str> = others.iter().map(name_of).collect();
    let actual = match (selector, names.as_slice()) {
        (_, []) => format!("no {kind} in namespace {namespace}"),
        (Some(selector), names) => format!("none with {selector}; in {namespace} there is {}", some_of(names, 5)),
        (None, _) => "found none".into(),
    };
    let hint = format!("`kubectl get {} -n {namespace} --show-labels` lists them with their labels", resource.plural);
    Ok(Finding::failed(expected, actual, hint))
}

/// The object is in another namespace than expected.
fn hint_of_other_place(wanted: &str, other: &str) -> String {
    match wanted.strip_prefix(other).and_then(|rest| rest.strip_prefix('-')) {
        Some(environment) => format!(
            "{other} is where a converge without `--env` deploys: `werf dismiss` first (it holds the port), then `werf converge --env {environment}`"
        ),
        None => hint_to_deploy(wanted),
    }
}

fn hint_to_deploy(namespace: &str) -> String {
    match environment_of(namespace) {
        Some(environment) => format!("`werf converge --env {environment}` deploys there"),
        None => "`kubectl get all -A` lists what is there".into(),
    }
}

fn namespace_of(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}
