//! The state of a real cluster's namespaces, kept in a file and put back in place.
//!
//! Place: [`keep`] and [`restore`] ask the cluster; [`plan`] decides what is to be done and is pure. Invariants: only
//! namespaces in scope are touched; what is as it was is not written; what others make of an object (pods, endpoints,
//! events) is left to them, but for ReplicaSets, which hold the history of a Deployment.

mod objects;
mod plan;
mod rollout;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::future::try_join_all;
use kube::config::Kubeconfig;
use serde_json::Value;

use super::{access, request};
use crate::discovery::{Discovery, Resource};
use crate::error::Explain;

/// Which namespaces are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Those of these names.
    Only(Vec<String>),
    /// All but the cluster's own: the whole cluster is the course's.
    AllButSystem,
}

const SYSTEM: [&str; 5] = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage", "tutorial-system"];

impl Scope {
    fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::Only(names) => names.iter().any(|name| name == namespace),
            Self::AllButSystem => !SYSTEM.contains(&namespace),
        }
    }
}

/// What was there at one moment.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct State {
    /// The namespaces by name, those that were about to go left out.
    namespaces: BTreeMap<String, Value>,
    /// The objects in them.
    objects: Vec<Value>,
}

/// Why a state was not kept or put back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the cluster cannot be reached")]
    Unusable { reason: String },
    #[error("the cluster did not answer to {doing}")]
    Api { doing: String, source: Box<kube::Error> },
    #[error("the cluster's state `{name}` is not there or damaged")]
    Damaged { name: String, reason: String },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{what} is not as it was after {seconds} seconds")]
    Slow { what: String, seconds: u64 },
}

impl SnapshotError {
    fn api(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Api { doing, source: Box::new(source) }
    }
}

impl Explain for SnapshotError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unusable { .. } | Self::Api { .. } => {
                "`tutorial cluster status` says how it is; then run the command again".into()
            }
            Self::Damaged { .. } => "`tutorial goto` another step brings git and cluster to its start".into(),
            Self::Write { path, .. } => format!("check that {} belongs to you", path.display()),
            Self::Slow { .. } => "run the command again: it goes on from here".into(),
        })
    }
}

/// Keeps the state under a name, in `directory`, whose `kubeconfig` leads to the cluster.
///
/// # Panics
/// Never: plain data can be written.
pub async fn keep(directory: &Path, scope: &Scope, name: &str) -> Result<(), SnapshotError> {
    let client = client(directory).await?;
    let kinds = Kinds::of(&client).await?;
    let state = look(&client, &kinds, scope).await?;
    let path = file(directory, name);
    let text = serde_json::to_string(&state).expect("plain data with string keys");
    let parent = path.parent().unwrap_or(directory);
    std::fs::create_dir_all(parent).map_err(|source| SnapshotError::Write { path: parent.to_owned(), source })?;
    super::reader::write(&path, &text)
        .map_err(|error| SnapshotError::Write { path, source: std::io::Error::other(error.to_string()) })
}

/// Brings the cluster to a state that was kept: in place, and waits until it is as it was.
pub async fn restore(directory: &Path, scope: &Scope, name: &str) -> Result<(), SnapshotError> {
    let damaged = |reason: String| SnapshotError::Damaged { name: name.to_owned(), reason };
    let text = std::fs::read(file(directory, name)).map_err(|error| damaged(error.to_string()))?;
    let wanted: State = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    let client = client(directory).await?;
    let kinds = Kinds::of(&client).await?;
    let site = objects::Site { client: &client, kinds: &kinds };
    site.namespaces(&wanted, scope).await?;
    let found = look(&client, &kinds, scope).await?;
    let plan = plan::plan(&wanted, &found);
    site.carry_out(&plan).await?;
    rollout::settle(&site, &wanted).await
}

fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join("snapshots").join(format!("{name}.json"))
}

async fn client(directory: &Path) -> Result<kube::Client, SnapshotError> {
    let unusable = |reason: String| SnapshotError::Unusable { reason };
    let kubeconfig =
        Kubeconfig::read_from(directory.join("kubeconfig")).map_err(|error| unusable(error.to_string()))?;
    access::client(kubeconfig).await.map_err(|error| unusable(error.to_string()))
}

/// The kinds whose objects are kept.
pub struct Kinds {
    discovery: Discovery,
}

/// What the cluster makes by itself, or what tells of moments only.
const PASSING: [&str; 6] = ["Event", "Endpoints", "EndpointSlice", "Lease", "ControllerRevision", "PodMetrics"];

impl Kinds {
    async fn of(client: &kube::Client) -> Result<Self, SnapshotError> {
        let discovery = Discovery::fetch(client).await.map_err(SnapshotError::api("the question for its kinds"))?;
        Ok(Self { discovery })
    }

    fn kept(&self) -> impl Iterator<Item = &Resource> {
        let can = |resource: &Resource, verb: &str| resource.verbs.iter().any(|known| known == verb);
        self.discovery.resources.iter().filter(move |resource| {
            let is_kept = ["list", "create", "delete", "update"].iter().all(|verb| can(resource, verb));
            resource.namespaced && is_kept && !PASSING.contains(&resource.kind.as_str())
        })
    }

    /// Where an object is.
    fn path(&self, object: &Value) -> Option<String> {
        let (namespace, name) = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        Some(self.resource(object)?.object(namespace, name))
    }

    fn collection(&self, object: &Value) -> Option<String> {
        Some(self.resource(object)?.collection(Some(text(&object["metadata"]["namespace"]))))
    }

    fn resource(&self, object: &Value) -> Option<&Resource> {
        self.discovery.of(text(&object["apiVersion"]), text(&object["kind"]))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What is there now.
async fn look(client: &kube::Client, kinds: &Kinds, scope: &Scope) -> Result<State, SnapshotError> {
    let found = request::get(client, "/api/v1/namespaces").await.map_err(SnapshotError::api("a list of namespaces"))?;
    let mut state = State::default();
    for mut namespace in found["items"].as_array().cloned().unwrap_or_default() {
        let name = text(&namespace["metadata"]["name"]).to_owned();
        if scope.holds(&name) && namespace["metadata"]["deletionTimestamp"].is_null() {
            if let Some(fields) = namespace.as_object_mut() {
                fields.remove("status");
            }
            state.namespaces.insert(name, namespace);
        }
    }
    let mut lists = Vec::new();
    for namespace in state.namespaces.keys() {
        lists.extend(kinds.kept().map(|resource| list(client, resource, namespace)));
    }
    state.objects = try_join_all(lists).await?.into_iter().flatten().filter(plan::is_kept).collect();
    Ok(state)
}

async fn list(client: &kube::Client, resource: &Resource, namespace: &str) -> Result<Vec<Value>, SnapshotError> {
    let path = resource.collection(Some(namespace));
    let mut found = match request::get(client, &path).await {
        // A kind that went meanwhile, or that nobody may look at.
        Err(error) if matches!(request::code(&error), Some(403..=405)) => return Ok(Vec::new()),
        other => other.map_err(SnapshotError::api(format!("a list of {}", resource.plural)))?,
    };
    let items = match found["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    // Items of a list do not say what they are.
    Ok(items
        .into_iter()
        .map(|mut item| {
            item["apiVersion"] = resource.api_version().into();
            item["kind"] = resource.kind.clone().into();
            item
        })
        .collect())
}
