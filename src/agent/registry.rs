//! The registry's side of an image: tags, manifests and blobs by the OCI distribution API, over plain HTTP.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fault::Fault;
use super::image::{Pushable, hex};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const ACCEPTED: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The header by which the embedded sandbox's registry tells itself from others.
const EMBEDDED: &str = "tutorial-embedded";

/// The longest answer that is read, in bytes.
const ANSWER_SIZE_MAX: usize = 64 * 1024 * 1024;

/// One repository of a registry.
pub struct Registry {
    client: Client<HttpConnector, Full<Bytes>>,
    /// `localhost:5001/demo-app`.
    pub address: String,
    host: String,
    path: String,
}

/// An image that is in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The tag.
    pub tag: String,
    /// The manifest's digest, `sha256:…`.
    pub digest: String,
    /// The configuration's digest, `sha256:…`: the image's id.
    pub id: String,
    /// When it was built, RFC 3339.
    pub created: String,
    /// The commit that it was built from.
    pub commit: String,
    /// The layers' size in bytes.
    pub size: u64,
}

impl Registry {
    /// The repository at an address such as `localhost:5001/demo-app`.
    ///
    /// # Errors
    /// The address names no registry and repository.
    pub fn at(address: &str) -> Result<Self, Fault> {
        let (host, path) = address
            .trim_end_matches('/')
            .split_once('/')
            .filter(|(host, path)| !path.is_empty() && (host.contains([':', '.']) || *host == "localhost"))
            .ok_or_else(|| Fault::Usage(format!("bad --repo={address}: expected HOST:PORT/NAME")))?;
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Ok(Self { client, address: address.trim_end_matches('/').into(), host: host.into(), path: path.into() })
    }

    /// Whether it is the one of an embedded sandbox, which has the base images' files and needs none pushed.
    ///
    /// # Errors
    /// The registry does not answer.
    pub async fn is_embedded(&self) -> Result<bool, Fault> {
        let request = self.request(Method::GET, "/v2/", None, Bytes::new())?;
        let response = self.client.request(request).await.map_err(|error| self.unreachable(&error))?;
        Ok(response.headers().contains_key(EMBEDDED))
    }

    /// All tags; none where the repository does not exist yet.
    ///
    /// # Errors
    /// The registry does not answer or refuses.
    pub async fn tags(&self) -> Result<Vec<String>, Fault> {
        let (status, _, body) = self.ask(Method::GET, &self.place("tags/list"), None, Bytes::new()).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let list: Value = self.read(status, &body)?;
        let tags = list.get("tags").and_then(Value::as_array).into_iter().flatten();
        Ok(tags.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// What a tag stands for.
    ///
    /// # Errors
    /// The registry does not answer, or the tag is gone.
    pub async fn image(&self, tag: &str) -> Result<Stored, Fault> {
        let (status, digest, body) =
            self.ask(Method::GET, &self.place(&format!("manifests/{tag}")), None, Bytes::new()).await?;
        let manifest: Value = self.read(status, &body)?;
        let digest = digest.unwrap_or_else(|| sha256(&body));
        let id = manifest.pointer("/config/digest").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (status, _, config) =
            self.ask(Method::GET, &self.place(&format!("blobs/{id}")), None, Bytes::new()).await?;
        let config: Value = self.read(status, &config)?;
        let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let layers = manifest.get("layers").and_then(Value::as_array).into_iter().flatten();
        Ok(Stored {
            tag: tag.to_owned(),
            digest,
            id,
            created: text("/created"),
            commit: text("/config/Labels/werf-project-repo-commit"),
            size: layers.filter_map(|layer| layer.get("size").and_then(Value::as_u64)).sum(),
        })
    }

    /// Pushes an image under a tag.
    ///
    /// # Errors
    /// The registry does not answer or refuses.
    pub async fn push(&self, tag: &str, image: &Pushable) -> Result<(), Fault> {
        let layer = self.push_blob(&image.layer, LAYER_TYPE).await?;
        self.push_manifest(tag, &image.config, &[layer]).await
    }

    /// Pushes an image without layers, whose labels are all that it says: werf's notes in the registry.
    ///
    /// # Errors
    /// The registry does not answer or refuses.
    pub async fn push_note(&self, tag: &str, labels: &Value) -> Result<(), Fault> {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": { "Labels": labels },
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        self.push_manifest(tag, config.to_string().as_bytes(), &[]).await
    }

    async fn push_manifest(&self, tag: &str, config: &[u8], layers: &[Value]) -> Result<(), Fault> {
        let config = self.push_blob(config, CONFIG_TYPE).await?;
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers });
        let path = self.place(&format!("manifests/{tag}"));
        let (status, _, body) =
            self.ask(Method::PUT, &path, Some(MANIFEST_TYPE), Bytes::from(manifest.to_string())).await?;
        self.require(status, &body)
    }

    /// Uploads a blob unless it is there; answers its descriptor.
    async fn push_blob(&self, content: &[u8], media_type: &str) -> Result<Value, Fault> {
        let digest = sha256(content);
        let (status, _, _) =
            self.ask(Method::HEAD, &self.place(&format!("blobs/{digest}")), None, Bytes::new()).await?;
        if !status.is_success() {
            let request = self.request(Method::POST, &self.place("blobs/uploads/"), None, Bytes::new())?;
            let response = self.client.request(request).await.map_err(|error| self.unreachable(&error))?;
            let status = response.status();
            let location =
                response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let body =
                response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            self.require(status, &body)?;
            let location =
                location.ok_or_else(|| Fault::Registry("the registry named no place for the upload".into()))?;
            let own = format!("http://{}", self.host);
            let path = location.strip_prefix(&own).unwrap_or(&location);
            let path =
                path.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..])).unwrap_or(path);
            let separator = if path.contains('?') { '&' } else { '?' };
            let (status, _, body) = self
                .ask(
                    Method::PUT,
                    &format!("{path}{separator}digest={digest}"),
                    Some("application/octet-stream"),
                    Bytes::copy_from_slice(content),
                )
                .await?;
            self.require(status, &body)?;
        }
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": content.len() }))
    }

    fn place(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.path)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Fault> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.host))
            .header(header::ACCEPT, ACCEPTED)
            .header(header::USER_AGENT, "werf/2.65.4+tutorial");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        request.body(Full::new(body)).map_err(|error| Fault::Registry(error.to_string()))
    }

    /// One request; answers status, the digest that the registry names, and the body.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<(StatusCode, Option<String>, Bytes), Fault> {
        let request = self.request(method, path, content_type, body)?;
        let response = self.client.request(request).await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let digest =
            response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = Limited::new(response.into_body(), ANSWER_SIZE_MAX)
            .collect()
            .await
            .map_err(|error| Fault::Registry(format!("reading from {}: {error}", self.host)))?;
        Ok((status, digest, body.to_bytes()))
    }

    fn unreachable(&self, error: &hyper_util::client::legacy::Error) -> Fault {
        let mut causes = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            causes = format!("{causes}: {cause}");
            source = cause.source();
        }
        Fault::Registry(format!("Get \"http://{}/v2/\": {causes}", self.host))
    }

    fn require(&self, status: StatusCode, body: &[u8]) -> Result<(), Fault> {
        if status.is_success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(body);
        Err(Fault::Registry(format!("{}: the registry answered {status}: {}", self.address, text.trim())))
    }

    fn read(&self, status: StatusCode, body: &[u8]) -> Result<Value, Fault> {
        self.require(status, body)?;
        serde_json::from_slice(body).map_err(|error| Fault::Registry(format!("{}: {error}", self.address)))
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}
