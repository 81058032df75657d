//! The Kubernetes API as the agent needs it: objects as JSON, by plain requests.

use std::cell::RefCell;
use std::collections::HashMap;

use http::{Method, Request, header};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use super::fault::Fault;
use super::manifest::Identity;

/// Who the agent is to server-side apply: Helm, as werf is.
const FIELD_MANAGER: &str = "helm";

/// A connection to a cluster. It lives on one thread.
pub struct Cluster {
    client: kube::Client,
    /// What each group and version serves.
    served: RefCell<HashMap<String, Vec<Served>>>,
}

#[derive(Debug, Clone)]
struct Served {
    kind: String,
    plural: String,
    namespaced: bool,
}

/// Whether a request changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The object is stored.
    Real,
    /// The answer says what would be stored.
    DryRun,
}

impl Cluster {
    /// Connects by a kubeconfig file (else `KUBECONFIG`, else the user's) and one of its contexts.
    ///
    /// # Errors
    /// There is no usable kubeconfig.
    pub async fn connect(kubeconfig: Option<&str>, context: Option<&str>) -> Result<Self, Fault> {
        let unusable = |error: &dyn std::fmt::Display| Fault::Unreachable(error.to_string());
        let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        let config = match kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
                kube::Config::from_custom_kubeconfig(file, &options).await
            }
            None => kube::Config::from_kubeconfig(&options).await,
        };
        let mut config = config.map_err(|error| unusable(&error))?;
        // The loader takes HTTPS_PROXY even for the loopback, and this program speaks through no proxy.
        config.proxy_url = None;
        let client = kube::Client::try_from(config).map_err(|error| unusable(&error))?;
        Ok(Self { client, served: RefCell::default() })
    }

    /// The cluster's version, `v1.34.2`.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub async fn version(&self) -> Result<String, Fault> {
        let version = self.ask(Method::GET, "/version", None, None).await?;
        Ok(version.get("gitVersion").and_then(Value::as_str).unwrap_or("v1.0.0").to_owned())
    }

    /// The groups and versions that the cluster serves, `v1`, `apps/v1`, …, and their kinds, `apps/v1/Deployment`, ….
    ///
    /// # Errors
    /// The cluster does not answer.
    pub async fn api_versions(&self) -> Result<Vec<String>, Fault> {
        let groups = self.ask(Method::GET, "/apis", None, None).await?;
        let versions = groups.get("groups").and_then(Value::as_array).into_iter().flatten().flat_map(|group| {
            let versions = group.get("versions").and_then(Value::as_array).into_iter().flatten();
            versions.filter_map(|version| version.get("groupVersion")?.as_str().map(str::to_owned)).collect::<Vec<_>>()
        });
        let mut all: Vec<String> = ["v1".to_owned()].into_iter().chain(versions).collect();
        for version in all.clone() {
            let kinds = self.list_served(&version).await?;
            all.extend(kinds.into_iter().map(|served| format!("{version}/{}", served.kind)));
        }
        Ok(all)
    }

    /// The object's path; `namespace` is the release's.
    ///
    /// # Errors
    /// The cluster does not serve the kind.
    pub async fn path(&self, identity: &Identity, namespace: &str) -> Result<String, Fault> {
        let served = self.served(&identity.api_version, &identity.kind).await?;
        let namespace = identity.namespace.as_deref().unwrap_or(namespace);
        let scope = if served.namespaced { format!("namespaces/{namespace}/") } else { String::new() };
        Ok(format!("{}/{scope}{}/{}", root(&identity.api_version), served.plural, identity.name))
    }

    /// The kind's plural, as paths have it.
    ///
    /// # Errors
    /// The cluster does not serve the kind.
    pub async fn plural(&self, identity: &Identity) -> Result<String, Fault> {
        Ok(self.served(&identity.api_version, &identity.kind).await?.plural)
    }

    async fn served(&self, api_version: &str, kind: &str) -> Result<Served, Fault> {
        let known = self.list_served(api_version).await?;
        let found = known.into_iter().find(|served| served.kind == kind);
        found.ok_or_else(|| Fault::invalid(format!("no matches for kind {kind:?} in version {api_version:?}")))
    }

    async fn list_served(&self, api_version: &str) -> Result<Vec<Served>, Fault> {
        if !self.served.borrow().contains_key(api_version) {
            let list = match self.ask(Method::GET, &root(api_version), None, None).await {
                Err(fault) if fault.is_not_found() => Value::Null,
                answer => answer?,
            };
            let resources = list.get("resources").and_then(Value::as_array).into_iter().flatten();
            let served = resources.filter_map(served_resource).collect();
            self.served.borrow_mut().insert(api_version.to_owned(), served);
        }
        Ok(self.served.borrow().get(api_version).cloned().unwrap_or_default())
    }

    /// The object at a path, where there is one.
    ///
    /// # Errors
    /// The cluster does not answer or refuses.
    pub async fn get(&self, path: &str) -> Result<Option<Value>, Fault> {
        match self.ask(Method::GET, path, None, None).await {
            Err(fault) if fault.is_not_found() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// The items of a list.
    ///
    /// # Errors
    /// The cluster does not answer or refuses.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, Fault> {
        let mut list = self.ask(Method::GET, path, None, None).await?;
        Ok(match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        })
    }

    /// The text at a path: a log.
    ///
    /// # Errors
    /// The cluster does not answer or refuses.
    pub async fn text(&self, path: &str) -> Result<String, Fault> {
        let request = Request::get(path).body(Vec::new()).map_err(|error| Fault::Unreachable(error.to_string()))?;
        self.client.request_text(request).await.map_err(fault)
    }

    /// Server-side apply as `helm`, by force.
    ///
    /// # Errors
    /// The cluster does not answer or refuses.
    pub async fn apply(&self, path: &str, object: &Value, mode: Mode) -> Result<Value, Fault> {
        let dry_run = if mode == Mode::DryRun { "&dryRun=All" } else { "" };
        let path = format!("{path}?fieldManager={FIELD_MANAGER}&force=true{dry_run}");
        self.ask(Method::PATCH, &path, Some("application/apply-patch+yaml"), Some(object)).await
    }

    /// Creates an object in a collection.
    ///
    /// # Errors
    /// The cluster does not answer or refuses.
    pub async fn create(&self, collection: &str, object: &Value) -> Result<Value, Fault> {
        let path = format!("{collection}?fieldManager={FIELD_MANAGER}");
        self.ask(Method::POST, &path, Some("application/json"), Some(object)).await
    }

    /// Replaces an object.
    ///
    /// # Errors
    /// The cluster does not answer or refuses.
    pub async fn replace(&self, path: &str, object: &Value) -> Result<Value, Fault> {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}");
        self.ask(Method::PUT, &path, Some("application/json"), Some(object)).await
    }

    /// Deletes an object and, in the background, what it owns; an object that is gone is no fault.
    ///
    /// # Errors
    /// The cluster does not answer or refuses.
    pub async fn delete(&self, path: &str) -> Result<(), Fault> {
        let path = format!("{path}?propagationPolicy=Background");
        match self.ask(Method::DELETE, &path, None, None).await {
            Err(fault) if fault.is_not_found() => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        media_type: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value, Fault> {
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, "application/json");
        if let Some(media_type) = media_type {
            request = request.header(header::CONTENT_TYPE, media_type);
        }
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = request.body(body).map_err(|error| Fault::Unreachable(error.to_string()))?;
        self.client.request(request).await.map_err(fault)
    }
}

fn served_resource(resource: &Value) -> Option<Served> {
    let plural = resource.get("name")?.as_str().filter(|name| !name.contains('/'))?;
    Some(Served {
        kind: resource.get("kind")?.as_str()?.to_owned(),
        plural: plural.to_owned(),
        namespaced: resource.get("namespaced")?.as_bool()?,
    })
}

/// The path of a group and version.
fn root(api_version: &str) -> String {
    if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") }
}

fn fault(error: kube::Error) -> Fault {
    match error {
        kube::Error::Api(status) => {
            let status = *status;
            Fault::Api { code: status.code, reason: status.reason, message: status.message }
        }
        other => {
            let mut text = other.to_string();
            let mut source = std::error::Error::source(&other);
            while let Some(cause) = source {
                if !text.contains(&cause.to_string()) {
                    text = format!("{text}: {cause}");
                }
                source = cause.source();
            }
            Fault::Unreachable(text)
        }
    }
}
