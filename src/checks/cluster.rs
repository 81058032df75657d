//! The cluster as checks read it: by the read-only user's kubeconfig, with short limits.

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::finding::Finding;
use crate::discovery::{Discovery, Resource};

/// How long one request may take.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Why the cluster could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("there is no sandbox yet")]
    None,
    #[error("the sandbox's kubeconfig cannot be used: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    #[error("{}", told(.0))]
    Request(#[source] Box<kube::Error>),
}

impl From<kube::Error> for ClusterError {
    fn from(error: kube::Error) -> Self {
        Self::Request(Box::new(error))
    }
}

impl ClusterError {
    /// The finding of a check that could not ask.
    pub fn finding(&self, expected: impl Into<String>) -> Finding {
        Finding::unreachable(
            expected,
            self.to_string(),
            "`tutorial start` brings the sandbox up; `tutorial cluster status` says how it is",
        )
    }
}

fn told(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("the cluster refuses: {}", status.message),
        other => {
            let mut deepest: &dyn std::error::Error = other;
            while let Some(source) = deepest.source() {
                deepest = source;
            }
            format!("the sandbox does not answer: {deepest}")
        }
    }
}

/// A connection with what has been learned about the cluster.
pub struct Cluster {
    client: kube::Client,
    discovery: OnceCell<Discovery>,
}

impl Cluster {
    pub async fn connect(kubeconfig: Option<&Path>) -> Result<Self, ClusterError> {
        let kubeconfig = Kubeconfig::read_from(kubeconfig.ok_or(ClusterError::None)?)?;
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        // The loader takes HTTPS_PROXY even for the loopback, and this program speaks through no proxy.
        config.proxy_url = None;
        config.connect_timeout = Some(TIME_MAX);
        config.read_timeout = Some(TIME_MAX);
        Ok(Self { client: kube::Client::try_from(config)?, discovery: OnceCell::new() })
    }

    /// The kind that a word means.
    pub async fn resource(&self, word: &str, api_version: Option<&str>) -> Result<Option<Resource>, ClusterError> {
        let discovery = self.discovery.get_or_try_init(|| Discovery::fetch(&self.client)).await?;
        let found = match api_version {
            Some(api_version) => {
                let mut of_version = discovery.clone();
                of_version.resources.retain(|resource| resource.api_version() == api_version);
                of_version.find(word).cloned()
            }
            None => discovery.find(word).cloned(),
        };
        Ok(found)
    }

    /// The kinds' names, for a suggestion.
    pub fn kinds(&self) -> Vec<&str> {
        let resources = self.discovery.get().map(|discovery| discovery.resources.as_slice()).unwrap_or_default();
        resources.iter().map(|resource| resource.kind.as_str()).collect()
    }

    /// An object, or `None` where there is none.
    pub async fn get(&self, path: &str) -> Result<Option<Value>, ClusterError> {
        let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
        match self.client.request::<Value>(request).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The objects of a collection.
    pub async fn list(&self, path: &str, selector: Option<&str>) -> Result<Vec<Value>, ClusterError> {
        let path = match selector {
            Some(selector) => {
                format!("{path}?labelSelector={}", utf8_percent_encode(selector, NON_ALPHANUMERIC))
            }
            None => path.to_owned(),
        };
        let list = self.get(&path).await?.unwrap_or_default();
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// The namespaces' names, those of the system apart.
    pub async fn namespaces(&self) -> Result<Vec<String>, ClusterError> {
        let namespaces = self.list("/api/v1/namespaces", None).await?;
        let names = namespaces.iter().filter_map(|namespace| namespace["metadata"]["name"].as_str());
        // What Kubernetes has for itself, and where a real cluster has the checks' own user, is no place of a learner's.
        let is_ours = |name: &&str| !name.starts_with("kube-") && *name != "tutorial-system";
        Ok(names.filter(is_ours).map(str::to_owned).collect())
    }
}

/// The environment that a namespace's or release's name ends with, `production` of `demo-app-production`.
pub fn environment_of(name: &str) -> Option<&str> {
    name.rsplit_once('-').map(|(_, environment)| environment).filter(|environment| !environment.is_empty())
}
