//! Releases: the records that Helm and werf keep in Secrets.

use std::path::Path;

use serde_json::Value;

use super::await_state::{Patience, retry};
use super::cluster::{Cluster, ClusterError, environment_of};
use super::finding::{Expectation, Finding, conclude};
use super::kubernetes::pods::{self, Trouble};
use super::kubernetes::ready;
use super::nearest::some_of;
use crate::course::check::ReleaseProbe;

/// One record of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    name: String,
    namespace: String,
    revision: u64,
    status: String,
}

/// Looks at the release's last record until it is as expected.
pub async fn observe(probe: &ReleaseProbe, patience: Patience<'_>, kubeconfig: Option<&Path>) -> Finding {
    let expected = expected_of(probe);
    if [Some(&probe.name), probe.namespace.as_ref()].into_iter().flatten().any(|text| text.contains("${")) {
        return Finding::broken(expected, format!("a variable in `{}` is not set", probe.name));
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

fn namespace_of(probe: &ReleaseProbe) -> &str {
    probe.namespace.as_deref().unwrap_or(&probe.name)
}

fn expected_of(probe: &ReleaseProbe) -> String {
    if probe.absent == Some(true) {
        return format!("no release {} in namespace {}", probe.name, namespace_of(probe));
    }
    let mut text = format!("a release {}", probe.name);
    if let Some(status) = &probe.status {
        text.push_str(&format!(", {status}"));
    }
    match (probe.revision, probe.revision_min) {
        (Some(revision), _) => text.push_str(&format!(", revision {revision}")),
        (None, Some(least)) => text.push_str(&format!(", revision {least} or later")),
        _ => {}
    }
    text
}

async fn look(probe: &ReleaseProbe, cluster: &Cluster) -> Result<Finding, ClusterError> {
    let namespace = namespace_of(probe);
    let path = format!("/api/v1/namespaces/{namespace}/secrets");
    let selector = format!("owner=helm,name={}", probe.name);
    let secrets = cluster.list(&path, Some(&selector)).await?;
    let last = secrets.iter().filter_map(record).max_by_key(|record| record.revision);
    let observed = match &last {
        Some(record) => format!("GET {path} with {selector}: revision {}, {}", record.revision, record.status),
        None => format!("GET {path} with {selector}: none"),
    };
    let finding = match last {
        None if probe.absent == Some(true) => Finding::passed(expected_of(probe), "there is none"),
        None => missing(probe, cluster).await?,
        Some(record) if probe.absent == Some(true) => {
            let actual = format!("revision {} is there, {}", record.revision, record.status);
            let hint = match environment_of(&probe.name) {
                Some(environment) => format!("`werf dismiss --env {environment}` removes it"),
                None => "`werf dismiss` removes it".into(),
            };
            let finding = Finding::failed(expected_of(probe), actual, hint).in_progress(false);
            if is_under_way(&record.status) { follow(finding, cluster, &record, &secrets).await? } else { finding }
        }
        Some(record) => {
            let trouble = match (record.status.as_str(), probe.status.as_deref()) {
                ("failed", Some(wanted)) if wanted != "failed" => trouble_in(cluster, &record.namespace).await?,
                _ => None,
            };
            let finding = decide(probe, &record, trouble.as_ref());
            if is_under_way(&record.status) { follow(finding, cluster, &record, &secrets).await? } else { finding }
        }
    };
    Ok(finding.observing([observed]))
}

/// Whether a record says that somebody is at work, or was when they were interrupted.
fn is_under_way(status: &str) -> bool {
    status.starts_with("pending") || status == "uninstalling"
}

/// A record that is under way stays so where its converge was interrupted. Whether one really runs is seen by what
/// it does: a rollout or a hook that goes on, else by what changes in the namespace.
async fn follow(
    finding: Finding,
    cluster: &Cluster,
    record: &Record,
    secrets: &[Value],
) -> Result<Finding, ClusterError> {
    let namespace = &record.namespace;
    let mut versions: Vec<String> = secrets.iter().map(version).collect();
    for (kind, path) in [
        ("Deployment", format!("/apis/apps/v1/namespaces/{namespace}/deployments")),
        ("StatefulSet", format!("/apis/apps/v1/namespaces/{namespace}/statefulsets")),
        ("DaemonSet", format!("/apis/apps/v1/namespaces/{namespace}/daemonsets")),
        ("Job", format!("/apis/batch/v1/namespaces/{namespace}/jobs")),
        ("ConfigMap", format!("/api/v1/namespaces/{namespace}/configmaps")),
    ] {
        let Some(resource) = cluster.resource(kind, None).await? else { continue };
        for object in cluster.list(&path, None).await? {
            versions.push(version(&object));
            let rolls = kind != "ConfigMap"
                && matches!(ready::of(cluster, &resource, &object).await?, ready::Readiness::Progressing { .. });
            if rolls {
                return Ok(finding.in_progress(true));
            }
        }
    }
    Ok(finding.in_progress(false).traced_by(Some(versions.join(" "))))
}

fn version(object: &Value) -> String {
    let metadata = &object["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    format!("{}@{}", text("uid"), text("resourceVersion"))
}

/// What keeps the workloads of a namespace from being ready, in their pods' own words.
async fn trouble_in(cluster: &Cluster, namespace: &str) -> Result<Option<Trouble>, ClusterError> {
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/{}s", kind.to_lowercase());
        for object in cluster.list(&path, None).await? {
            if let Some(trouble) = pods::trouble(cluster, kind, &object).await? {
                return Ok(Some(trouble));
            }
        }
    }
    Ok(None)
}

fn decide(probe: &ReleaseProbe, record: &Record, trouble: Option<&Trouble>) -> Finding {
    let mut actual = format!("revision {} is {}", record.revision, record.status);
    if let Some(trouble) = trouble {
        actual.push_str(&format!("; {}", trouble.text));
    }
    let converge = match environment_of(&probe.name) {
        Some(environment) => format!("`werf converge --env {environment}`"),
        None => "`werf converge`".into(),
    };
    let mut expectations = Vec::new();
    if let Some(status) = &probe.status {
        let expected = format!("release {} {status}", probe.name);
        expectations.push(if *status == record.status {
            Expectation::met(expected, &actual)
        } else {
            let hint = match record.status.as_str() {
                "failed" if trouble.is_some() => {
                    let seen = trouble.map(|trouble| trouble.hint.as_str()).unwrap_or_default();
                    format!("{seen}; repair it, commit, then {converge}")
                }
                "failed" => format!(
                    "the last lines of {converge} say what is wrong, `kubectl get pods -n {}` what runs: correct it, commit, and converge again",
                    record.namespace
                ),
                status if status.starts_with("pending") => {
                    "a converge is running, or was interrupted: run it again".into()
                }
                _ => format!("{converge} makes a new revision"),
            };
            Expectation::unmet(expected, &actual, hint)
        });
    }
    let hint = format!("{converge} makes the next one, where the commit or the cluster differs");
    if let Some(revision) = probe.revision {
        let expected = format!("release {} at revision {revision}", probe.name);
        expectations.push(if revision == record.revision {
            Expectation::met(expected, &actual)
        } else {
            Expectation::unmet(expected, &actual, &hint)
        });
    }
    if let Some(least) = probe.revision_min {
        let expected = format!("release {} at revision {least} or later", probe.name);
        expectations.push(if record.revision >= least {
            Expectation::met(expected, &actual)
        } else {
            Expectation::unmet(expected, &actual, &hint)
        });
    }
    if expectations.is_empty() {
        expectations.push(Expectation::met(expected_of(probe), &actual));
    }
    conclude(&expectations).in_progress(is_under_way(&record.status))
}

async fn missing(probe: &ReleaseProbe, cluster: &Cluster) -> Result<Finding, ClusterError> {
    let namespace = namespace_of(probe);
    let all = cluster.list("/api/v1/secrets", Some("owner=helm")).await?;
    let records: Vec<Record> = all.iter().filter_map(record).collect();
    let mut here: Vec<&str> = records.iter().filter(|r| r.namespace == namespace).map(|r| r.name.as_str()).collect();
    here.dedup();
    let mut elsewhere: Vec<String> = records
        .iter()
        .filter(|record| record.namespace != namespace)
        .map(|record| format!("{} (in namespace {})", record.name, record.namespace))
        .collect();
    elsewhere.sort();
    elsewhere.dedup();
    let mut actual = format!("no release {} in namespace {namespace}", probe.name);
    if !here.is_empty() {
        actual.push_str(&format!("; releases there are {}", some_of(&here, 5)));
    } else if !elsewhere.is_empty() {
        actual.push_str(&format!("; releases elsewhere are {}", some_of(&elsewhere, 5)));
    }
    let without_environment = environment_of(&probe.name).filter(|environment| {
        let project = probe.name.strip_suffix(environment).and_then(|rest| rest.strip_suffix('-'));
        records.iter().any(|record| Some(record.name.as_str()) == project)
    });
    let hint = match (without_environment, environment_of(&probe.name)) {
        // In this order: the other release may hold the port that this one wants.
        (Some(environment), _) => format!(
            "a converge without `--env` made the other: `werf dismiss` first (it holds the port), then `werf converge --env {environment}`"
        ),
        (None, Some(environment)) => format!(
            "`werf converge --env {environment}` makes it; where that fails, its last lines say what to correct and commit"
        ),
        (None, None) => {
            "`werf converge` makes it; where that fails, its last lines say what to correct and commit".into()
        }
    };
    Ok(Finding::failed(expected_of(probe), actual, hint).in_progress(false))
}

/// A record by its Secret's labels.
fn record(secret: &Value) -> Option<Record> {
    let metadata = &secret["metadata"];
    let labels = &metadata["labels"];
    Some(Record {
        name: labels["name"].as_str()?.to_owned(),
        namespace: metadata["namespace"].as_str().unwrap_or_default().to_owned(),
        revision: labels["version"].as_str()?.parse().ok()?,
        status: labels["status"].as_str()?.to_owned(),
    })
}
