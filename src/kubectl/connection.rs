//! The cluster that a command speaks to: kubeconfig, namespace, requests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::error::KubectlError;
use super::flags::Arguments;
use super::output;
use crate::discovery::{Discovery, Resource};

/// What is asked for, beside plain JSON.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const JSON: &str = "application/json";

/// A connection to a cluster.
pub struct Connection {
    pub client: kube::Client,
    /// Of the context, or of `-n`.
    pub namespace: String,
    /// The server's address, without its scheme.
    pub host: String,
    discovery: OnceCell<Discovery>,
}

/// A request's body with its type.
pub struct Body {
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

impl Body {
    pub fn json(value: &Value) -> Self {
        Self::of(JSON, value)
    }

    pub fn of(content_type: &'static str, value: &Value) -> Self {
        Self { content_type, bytes: value.to_string().into_bytes() }
    }
}

impl Connection {
    /// Opens what the flags and the environment name; nothing is sent yet.
    pub async fn open(arguments: &Arguments) -> Result<Self, KubectlError> {
        let kubeconfig = read_kubeconfig(arguments)?;
        let options = KubeConfigOptions {
            context: arguments.value("context").map(str::to_owned),
            cluster: arguments.value("cluster").map(str::to_owned),
            user: arguments.value("user").map(str::to_owned),
        };
        if let Some(context) = &options.context
            && !kubeconfig.contexts.iter().any(|known| known.name == *context)
        {
            return Err(KubectlError::other(format!("context \"{context}\" does not exist")));
        }
        let refused = || KubectlError::Refused("localhost:8080".into());
        if kubeconfig.clusters.is_empty() && arguments.value("server").is_none() {
            return Err(refused());
        }
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| KubectlError::other(error.to_string()))?;
        if let Some(server) = arguments.value("server") {
            config.cluster_url = server.parse().map_err(|_| KubectlError::other(format!("invalid server {server}")))?;
        }
        if let Some(token) = arguments.value("token") {
            config.auth_info.token = Some(token.to_owned().into());
        }
        if let Some(user) = arguments.value("as") {
            config.auth_info.impersonate = Some(user.to_owned());
        }
        // The loader takes HTTPS_PROXY even for the loopback, and this program speaks through no proxy.
        config.proxy_url = None;
        config.connect_timeout = Some(Duration::from_secs(5));
        let namespace = arguments.value("namespace").unwrap_or(&config.default_namespace).to_owned();
        let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
        let client = kube::Client::try_from(config).map_err(|error| failed(&error, &host))?;
        Ok(Self { client, namespace, host, discovery: OnceCell::new() })
    }

    /// The kinds of the cluster.
    pub async fn discovery(&self) -> Result<&Discovery, KubectlError> {
        let fetch = || async { Discovery::fetch(&self.client).await.map_err(|error| failed(&error, &self.host)) };
        self.discovery.get_or_try_init(fetch).await
    }

    /// The kind that a word means.
    pub async fn resource(&self, word: &str) -> Result<&Resource, KubectlError> {
        self.discovery().await?.find(word).ok_or_else(|| KubectlError::UnknownKind(word.to_owned()))
    }

    pub async fn get(&self, path: &str) -> Result<Value, KubectlError> {
        self.call(Method::GET, path, JSON, None).await
    }

    /// The same, rendered by the server as rows.
    pub async fn get_table(&self, path: &str) -> Result<Value, KubectlError> {
        self.call(Method::GET, path, TABLE, None).await
    }

    pub async fn post(&self, path: &str, object: &Value) -> Result<Value, KubectlError> {
        self.call(Method::POST, path, JSON, Some(Body::json(object))).await
    }

    pub async fn patch(&self, path: &str, content_type: &'static str, patch: &Value) -> Result<Value, KubectlError> {
        self.call(Method::PATCH, path, JSON, Some(Body::of(content_type, patch))).await
    }

    pub async fn delete(&self, path: &str, options: &Value) -> Result<Value, KubectlError> {
        self.call(Method::DELETE, path, JSON, Some(Body::json(options))).await
    }

    /// One request with its whole answer; the server's warnings are told.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<Body>,
    ) -> Result<Value, KubectlError> {
        let response = self.send(method, path, accept, body).await?;
        let bytes = response.into_body().collect().await.map_err(|error| failed(&error, &self.host))?.to_bytes();
        serde_json::from_slice(&bytes)
            .map_err(|error| KubectlError::other(format!("the server's answer cannot be read: {error}")))
    }

    /// One request whose answer is a text.
    pub async fn text(&self, path: &str) -> Result<String, KubectlError> {
        let response = self.send(Method::GET, path, "*/*", None).await?;
        let bytes = response.into_body().collect().await.map_err(|error| failed(&error, &self.host))?.to_bytes();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// One request; an answer that is no success is an error.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<Body>,
    ) -> Result<http::Response<kube::client::Body>, KubectlError> {
        let mut request = Request::builder().method(method).uri(path).header("accept", accept);
        if let Some(body) = &body {
            request = request.header("content-type", body.content_type);
        }
        let bytes = body.map(|body| body.bytes).unwrap_or_default();
        let request =
            request.body(kube::client::Body::from(bytes)).map_err(|error| KubectlError::other(error.to_string()))?;
        self.exchange(request).await
    }

    /// The same with a request that is made already.
    pub async fn exchange(
        &self,
        request: Request<kube::client::Body>,
    ) -> Result<http::Response<kube::client::Body>, KubectlError> {
        let response = self.client.send(request).await.map_err(|error| failed(&error, &self.host))?;
        for warning in response.headers().get_all("warning") {
            if let Some(text) = warning.to_str().ok().and_then(warning_text) {
                output::complain(&format!("Warning: {text}"));
            }
        }
        if response.status().is_success() || response.status().as_u16() == 101 {
            return Ok(response);
        }
        let code = response.status();
        let bytes = response.into_body().collect().await.map_err(|error| failed(&error, &self.host))?.to_bytes();
        let status = serde_json::from_slice(&bytes).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            serde_json::json!({"kind": "Status", "reason": code.canonical_reason().unwrap_or_default(), "message": text})
        });
        Err(KubectlError::Status(Box::new(status)))
    }
}

/// `299 - "text"`.
fn warning_text(header: &str) -> Option<String> {
    let start = header.find('"')? + 1;
    let end = header.rfind('"').filter(|end| *end > start)?;
    Some(header[start..end].replace("\\\"", "\""))
}

/// A request that got no answer.
fn failed(error: &kube::Error, host: &str) -> KubectlError {
    if let kube::Error::Api(status) = error {
        let status = serde_json::to_value(status).unwrap_or_default();
        return KubectlError::Status(Box::new(status));
    }
    let mut deepest: &dyn std::error::Error = error;
    loop {
        if let Some(io) = deepest.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return KubectlError::Refused(host.to_owned());
        }
        match deepest.source() {
            Some(source) => deepest = source,
            None => return KubectlError::Unreachable(deepest.to_string()),
        }
    }
}

/// The files that the kubeconfig is read from, the first one being the one to write.
pub fn kubeconfig_paths(arguments: &Arguments) -> Vec<PathBuf> {
    if let Some(path) = arguments.value("kubeconfig") {
        return vec![PathBuf::from(path)];
    }
    let listed = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty());
    match listed {
        Some(list) => std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => std::env::var_os("HOME").map(|home| Path::new(&home).join(".kube/config")).into_iter().collect(),
    }
}

/// The merged kubeconfig; files that are not there are left out, as kubectl does.
pub fn read_kubeconfig(arguments: &Arguments) -> Result<Kubeconfig, KubectlError> {
    let paths = kubeconfig_paths(arguments);
    let mut merged: Option<Kubeconfig> = None;
    for path in &paths {
        if !path.exists() {
            if arguments.value("kubeconfig").is_some() {
                return Err(KubectlError::other(format!("stat {}: no such file or directory", path.display())));
            }
            continue;
        }
        let is_empty = std::fs::metadata(path).is_ok_and(|about| about.len() == 0);
        if is_empty || !path.is_file() {
            continue;
        }
        let next = Kubeconfig::read_from(path).map_err(|error| {
            KubectlError::other(format!("error loading config file \"{}\": {error}", path.display()))
        })?;
        merged = Some(match merged {
            Some(before) => before.merge(next).map_err(|error| KubectlError::other(error.to_string()))?,
            None => next,
        });
    }
    Ok(merged.unwrap_or_default())
}
