//! A cluster that exists: the learner names its context and confirms; the course lives in its own namespaces there.
//!
//! Invariants: nothing is touched but the course's namespaces, our claim on them and the reader, all of which
//! [`remove`] takes away; a namespace that was there before is never used; the learner's kubeconfig is only read, and
//! a cluster that the context did not lead to at first is refused.

mod error;
mod kubeconfigs;
mod reach;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kube::config::Kubeconfig;
use serde_json::{Value, json};

pub use error::ExistingError;
pub use kubeconfigs::{Context, contexts};

use super::{Connection, access, reader, request};

/// Which cluster, and what the course needs of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExistingSpec {
    /// The context's name in the learner's kubeconfig.
    pub context: String,
    /// The learner's kubeconfig files, in the order in which they count.
    pub kubeconfigs: Vec<PathBuf>,
    /// Where our copy of the context and the rest lie (`<workspace>/.tutorial/cluster`).
    pub directory: PathBuf,
    /// Where images are pushed to and pulled from; else what the cluster says in `kube-public`.
    pub registry: Option<String>,
    /// The course's project, by which its namespaces are called.
    pub project: String,
    /// All namespaces that the course may have.
    pub namespaces: Vec<String>,
    /// NodePorts that the lessons use.
    pub node_ports: Vec<u16>,
}

/// What was found at first; `existing.json`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Claim {
    /// Tells this workspace from others.
    id: String,
    /// The uid of `kube-system`, which tells clusters apart.
    cluster: String,
}

const CLAIM_FILE: &str = "existing.json";
const KUBECONFIG: &str = "kubeconfig";
const KUBECONFIG_READONLY: &str = "kubeconfig-readonly";
const SYSTEM: &str = "tutorial-system";
/// On the claim and on the namespaces that are ours, with the workspace's id.
const LABEL: &str = "tutorial.dev/workspace";
/// A namespace takes this long to go, where something in it ends slowly.
const GONE_TIME_MAX: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(200);

/// Claims the course's namespaces, makes the reader, and says how to reach the cluster.
///
/// # Panics
/// Never: plain data can be written.
pub async fn ensure(spec: &ExistingSpec) -> Result<Connection, ExistingError> {
    let directory = std::path::absolute(&spec.directory).unwrap_or_else(|_| spec.directory.clone());
    let kubeconfig = kubeconfigs::extract(spec, &directory.join(KUBECONFIG))?;
    let client = client(&spec.context, &kubeconfig).await?;
    let cluster = identity(spec, &client).await?;
    let claim = claim_of(&directory);
    if let Some(claim) = &claim
        && claim.cluster != cluster
    {
        return Err(ExistingError::Another { context: spec.context.clone() });
    }
    if let (Some(claim), Some(connection)) = (&claim, known(&directory))
        && connection.kubeconfig_readonly.is_file()
    {
        write(&directory, KUBECONFIG, &kubeconfigs::text(&kubeconfig))?;
        label(spec, &client, &claim.id).await?;
        return Ok(connection);
    }
    let registry = match &spec.registry {
        Some(registry) => registry.clone(),
        None => published_registry(&client).await.ok_or_else(|| ExistingError::NoRegistry)?,
    };
    let claim = claim.unwrap_or_else(|| Claim { id: new_id(), cluster });
    // First ours, then the cluster's: what is killed in between is found again.
    write(&directory, KUBECONFIG, &kubeconfigs::text(&kubeconfig))?;
    write(&directory, CLAIM_FILE, &serde_json::to_string_pretty(&claim).expect("plain data"))?;
    if let Err(error) = take(spec, &client, &claim.id).await {
        let _ = std::fs::remove_file(directory.join(CLAIM_FILE));
        return Err(error);
    }
    let token = reader::ensure(client.clone()).await?;
    write(&directory, KUBECONFIG_READONLY, &reader::kubeconfig(&kubeconfig, None, &token)?)?;
    let reach = reach::find(&client, &spec.node_ports).await;
    let version = get(spec, &client, "/version").await?;
    let connection = Connection {
        kubeconfig: directory.join(KUBECONFIG),
        kubeconfig_readonly: directory.join(KUBECONFIG_READONLY),
        registry,
        host: reach.host,
        node_ports: reach.node_ports,
        kind: "existing".into(),
        version: version["gitVersion"].as_str().unwrap_or_default().to_owned(),
    };
    write(&directory, "connection.json", &serde_json::to_string_pretty(&connection).expect("plain data"))?;
    Ok(connection)
}

/// Whether the cluster answers, and is the one that the course was begun on. Changes nothing.
pub async fn look(spec: &ExistingSpec) -> Result<Connection, ExistingError> {
    let directory = std::path::absolute(&spec.directory).unwrap_or_else(|_| spec.directory.clone());
    let begun = claim_of(&directory).zip(known(&directory));
    let (claim, connection) = begun.ok_or_else(|| ExistingError::NotBegun { context: spec.context.clone() })?;
    let kubeconfig = kubeconfigs::extract(spec, &directory.join(KUBECONFIG))?;
    let client = client(&spec.context, &kubeconfig).await?;
    if identity(spec, &client).await? != claim.cluster {
        return Err(ExistingError::Another { context: spec.context.clone() });
    }
    Ok(connection)
}

/// Removes what is ours: the namespaces, and with the last workspace the reader. Waits until they are gone.
pub async fn remove(spec: &ExistingSpec) -> Result<(), ExistingError> {
    let directory = std::path::absolute(&spec.directory).unwrap_or_else(|_| spec.directory.clone());
    let Some(claim) = claim_of(&directory) else { return Ok(()) };
    let kubeconfig = kubeconfigs::extract(spec, &directory.join(KUBECONFIG))?;
    let client = client(&spec.context, &kubeconfig).await?;
    if identity(spec, &client).await? != claim.cluster {
        return Err(ExistingError::Another { context: spec.context.clone() });
    }
    let refused = |source| ExistingError::api(spec, source);
    let path = claim_path(&spec.project);
    match request::get(&client, &path).await {
        Ok(found) if found["metadata"]["labels"][LABEL] == claim.id => {
            let mut going = Vec::new();
            for name in &spec.namespaces {
                match request::get(&client, &namespace_path(name)).await {
                    Ok(namespace) if is_ours(&namespace, &claim.id, &found) => going.push(name.clone()),
                    Ok(_) => {}
                    Err(error) if request::code(&error) == Some(404) => {}
                    Err(error) => return Err(refused(error)),
                }
            }
            for namespace in &going {
                request::delete(&client, &namespace_path(namespace)).await.map_err(refused)?;
            }
            await_gone(spec, &client, &going).await?;
            request::delete(&client, &path).await.map_err(refused)?;
            let claims = format!("/api/v1/namespaces/{SYSTEM}/configmaps?labelSelector={LABEL}");
            let others = request::get(&client, &claims).await.map_err(refused)?;
            if others["items"].as_array().is_none_or(Vec::is_empty) {
                reader::remove(client.clone()).await?;
                going = vec![SYSTEM.to_owned()];
                await_gone(spec, &client, &going).await?;
            }
        }
        // Another workspace's, or taken away by somebody: then nothing there is ours.
        Ok(_) => {}
        Err(error) if request::code(&error) == Some(404) => {}
        Err(error) => return Err(refused(error)),
    }
    let _ = std::fs::remove_file(directory.join(CLAIM_FILE));
    let _ = std::fs::remove_file(directory.join("connection.json"));
    Ok(())
}

/// Whether a namespace is ours: by our label; or, where it bears none, by its age. None of the course's names was taken
/// when they were claimed, so one that is younger is what a lesson has made since the last look.
fn is_ours(namespace: &Value, id: &str, claim: &Value) -> bool {
    let time = |object: &Value| object["metadata"]["creationTimestamp"].as_str()?.parse::<jiff::Timestamp>().ok();
    match namespace["metadata"]["labels"][LABEL].as_str() {
        Some(label) => label == id,
        None => time(namespace).zip(time(claim)).is_some_and(|(namespace, claim)| namespace >= claim),
    }
}

fn known(directory: &Path) -> Option<Connection> {
    serde_json::from_slice(&std::fs::read(directory.join("connection.json")).ok()?).ok()
}

fn claim_of(directory: &Path) -> Option<Claim> {
    serde_json::from_slice(&std::fs::read(directory.join(CLAIM_FILE)).ok()?).ok()
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), ExistingError> {
    let path = directory.join(name);
    std::fs::create_dir_all(directory).map_err(|source| ExistingError::Write { path: path.clone(), source })?;
    Ok(reader::write(&path, text)?)
}

fn new_id() -> String {
    format!("{:016x}", fastrand::u64(..))
}

async fn client(context: &str, kubeconfig: &Kubeconfig) -> Result<kube::Client, ExistingError> {
    let unusable = |error: Box<dyn std::error::Error + Send + Sync>| ExistingError::Unusable {
        context: context.to_owned(),
        reason: error.to_string(),
    };
    access::client(kubeconfig.clone()).await.map_err(unusable)
}

async fn get(spec: &ExistingSpec, client: &kube::Client, path: &str) -> Result<Value, ExistingError> {
    request::get(client, path).await.map_err(|source| ExistingError::api(spec, source))
}

/// What tells this cluster from any other.
async fn identity(spec: &ExistingSpec, client: &kube::Client) -> Result<String, ExistingError> {
    let found = get(spec, client, &namespace_path("kube-system")).await?;
    Ok(found["metadata"]["uid"].as_str().unwrap_or_default().to_owned())
}

fn namespace_path(name: &str) -> String {
    format!("/api/v1/namespaces/{name}")
}

fn claim_path(project: &str) -> String {
    format!("/api/v1/namespaces/{SYSTEM}/configmaps/claim-{project}")
}

/// Claims the course's namespaces, none of which may exist.
async fn take(spec: &ExistingSpec, client: &kube::Client, id: &str) -> Result<(), ExistingError> {
    let refused = |source| ExistingError::api(spec, source);
    match request::get(client, &claim_path(&spec.project)).await {
        Ok(found) if found["metadata"]["labels"][LABEL] == id => return Ok(()),
        Ok(found) => {
            return Err(ExistingError::Claimed {
                project: spec.project.clone(),
                by: found["data"]["directory"].as_str().unwrap_or_default().to_owned(),
            });
        }
        Err(error) if request::code(&error) == Some(404) => {}
        Err(error) => return Err(refused(error)),
    }
    for namespace in &spec.namespaces {
        match request::get(client, &namespace_path(namespace)).await {
            Ok(_) => {
                return Err(ExistingError::Foreign { namespace: namespace.clone(), context: spec.context.clone() });
            }
            Err(error) if request::code(&error) == Some(404) => {}
            Err(error) => return Err(refused(error)),
        }
    }
    request::ensure(client, "/api/v1/namespaces", &json!({"metadata": {"name": SYSTEM}})).await.map_err(refused)?;
    let claim = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": format!("claim-{}", spec.project), "labels": {LABEL: id}},
        "data": {"directory": spec.directory.display().to_string(), "namespaces": spec.namespaces.join(" ")},
    });
    let collection = format!("/api/v1/namespaces/{SYSTEM}/configmaps");
    request::create(client, &collection, &claim).await.map(drop).map_err(refused)
}

/// Marks the course's namespaces that there are by now as ours, but for those that bear another workspace's mark.
async fn label(spec: &ExistingSpec, client: &kube::Client, id: &str) -> Result<(), ExistingError> {
    for namespace in &spec.namespaces {
        let path = namespace_path(namespace);
        match request::get(client, &path).await {
            Ok(found) if found["metadata"]["labels"][LABEL].is_null() => {
                let patch = json!({"metadata": {"labels": {LABEL: id}}});
                request::merge(client, &path, &patch).await.map_err(|source| ExistingError::api(spec, source))?;
            }
            Err(error) if request::code(&error) != Some(404) => return Err(ExistingError::api(spec, error)),
            _ => {}
        }
    }
    Ok(())
}

/// The registry that the cluster says it pulls from, by the convention that kind and others follow.
async fn published_registry(client: &kube::Client) -> Option<String> {
    let map = request::get(client, "/api/v1/namespaces/kube-public/configmaps/local-registry-hosting").await.ok()?;
    let hosting: Value = serde_yaml::from_str(map["data"]["localRegistryHosting.v1"].as_str()?).ok()?;
    hosting["host"].as_str().map(str::to_owned)
}

async fn await_gone(spec: &ExistingSpec, client: &kube::Client, namespaces: &[String]) -> Result<(), ExistingError> {
    let deadline = Instant::now() + GONE_TIME_MAX;
    for namespace in namespaces {
        loop {
            match request::get(client, &namespace_path(namespace)).await {
                Err(error) if request::code(&error) == Some(404) => break,
                Err(error) => return Err(ExistingError::api(spec, error)),
                Ok(_) if Instant::now() > deadline => {
                    return Err(ExistingError::Slow { namespace: namespace.clone(), seconds: GONE_TIME_MAX.as_secs() });
                }
                Ok(_) => tokio::time::sleep(POLL).await,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_namespaces_are_ours() {
        fn check(label: &Value, created: &str, expected: bool) {
            let claim = json!({"metadata": {"creationTimestamp": "2026-01-01T10:00:00Z"}});
            let namespace = json!({"metadata": {"creationTimestamp": created, "labels": {LABEL: label}}});
            assert_eq!(is_ours(&namespace, "ours", &claim), expected, "{namespace}");
        }
        let (before, after) = ("2026-01-01T09:59:59Z", "2026-01-01T10:00:05Z");
        check(&json!("ours"), before, true);
        check(&json!("another"), after, false);
        check(&Value::Null, after, true);
        check(&Value::Null, before, false);
        check(&Value::Null, "", false);
    }
}
