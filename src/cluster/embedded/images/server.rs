//! The distribution protocol over HTTP on the loopback address.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use super::store::{ImageError, ImageStore};

/// The largest body of one request.
const BODY_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener, store: Arc<ImageStore>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await; // out of file descriptors, most likely
            continue;
        };
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let store = Arc::clone(&store);
                async move { Ok::<_, Infallible>(answer(&store, request).await) }
            });
            // a client that breaks off ends its own connection only
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(store: &ImageStore, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return error_answer(StatusCode::BAD_REQUEST, "SIZE_INVALID", &error.to_string()),
    };
    let path = percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned();
    let media_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let call = Call { method: &parts.method, query: parts.uri.query().unwrap_or_default(), media_type, body: &body };
    let mut response = route(store, &path, &call).unwrap_or_else(|error| refusal(&error));
    let version = header::HeaderValue::from_static("registry/2.0");
    response.headers_mut().insert("docker-distribution-api-version", version);
    // Who pushes here needs no base image: its files are the sandbox's own.
    response.headers_mut().insert("tutorial-embedded", header::HeaderValue::from_static("true"));
    response
}

struct Call<'a> {
    method: &'a Method,
    query: &'a str,
    media_type: &'a str,
    body: &'a Bytes,
}

impl Call<'_> {
    fn parameter(&self, name: &str) -> Option<String> {
        let pair = self.query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
        Some(percent_encoding::percent_decode_str(pair.1).decode_utf8_lossy().into_owned())
    }
}

fn route(store: &ImageStore, path: &str, call: &Call<'_>) -> Result<Response<Full<Bytes>>, ImageError> {
    let Some(rest) = path.strip_prefix("/v2") else { return Ok(not_found()) };
    let rest = rest.trim_start_matches('/');
    if rest.is_empty() {
        return Ok(plain(StatusCode::OK).body(Full::from("{}")).expect("static headers"));
    }
    if rest == "_catalog" {
        return Ok(json_page("repositories", None, store.catalog(), call));
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        let tags = store.tags(name)?.ok_or_else(|| ImageError::Name(name.into()))?;
        return Ok(json_page("tags", Some(name), tags, call));
    }
    if let Some((name, reference)) = rest.rsplit_once("/manifests/") {
        return manifest(store, name, reference, call);
    }
    if let Some((name, id)) = rest.rsplit_once("/blobs/uploads") {
        return upload(store, name, id.trim_start_matches('/'), call);
    }
    if let Some((_, digest)) = rest.rsplit_once("/blobs/") {
        return blob(store, digest, call);
    }
    Ok(not_found())
}

fn plain(status: StatusCode) -> http::response::Builder {
    Response::builder().status(status).header(header::CONTENT_TYPE, "application/json")
}

fn json_page(key: &str, name: Option<&str>, mut items: Vec<String>, call: &Call<'_>) -> Response<Full<Bytes>> {
    let mut builder = plain(StatusCode::OK);
    if let Some(last) = call.parameter("last") {
        items.retain(|item| *item > last);
    }
    if let Some(count) = call.parameter("n").and_then(|count| count.parse::<usize>().ok()).filter(|n| *n < items.len())
    {
        items.truncate(count);
        if let Some(last) = items.last() {
            let path = name.map_or_else(|| "_catalog".to_owned(), |name| format!("{name}/tags/list"));
            builder = builder.header(header::LINK, format!("</v2/{path}?last={last}&n={count}>; rel=\"next\""));
        }
    }
    let mut body = json!({ key: items });
    if let Some(name) = name {
        body["name"] = name.into();
    }
    builder.body(Full::from(format!("{body}\n"))).expect("tags are plain text")
}

fn manifest(
    store: &ImageStore,
    name: &str,
    reference: &str,
    call: &Call<'_>,
) -> Result<Response<Full<Bytes>>, ImageError> {
    match *call.method {
        Method::PUT => {
            let digest = store.put_manifest(name, reference, call.media_type, call.body)?;
            Ok(located(StatusCode::CREATED, &format!("/v2/{name}/manifests/{digest}"), Some(&digest)))
        }
        Method::DELETE => {
            store.delete_manifest(name, reference)?;
            Ok(plain(StatusCode::ACCEPTED).body(Full::default()).expect("static headers"))
        }
        Method::GET | Method::HEAD => {
            let found = store.manifest(name, reference)?;
            let media_type = if found.media_type.is_empty() {
                "application/vnd.docker.distribution.manifest.v2+json".into()
            } else {
                found.media_type
            };
            Ok(content(call.method, &media_type, &found.digest, found.body.len() as u64, || Ok(found.body.clone()))?)
        }
        _ => Ok(unsupported()),
    }
}

fn blob(store: &ImageStore, digest: &str, call: &Call<'_>) -> Result<Response<Full<Bytes>>, ImageError> {
    match *call.method {
        Method::GET | Method::HEAD => {
            let length = store.blob_length(digest)?;
            content(call.method, "application/octet-stream", digest, length, || store.blob(digest))
        }
        _ => Ok(unsupported()),
    }
}

fn content(
    method: &Method,
    media_type: &str,
    digest: &str,
    length: u64,
    body: impl FnOnce() -> Result<Bytes, ImageError>,
) -> Result<Response<Full<Bytes>>, ImageError> {
    let builder = Response::builder()
        .header(header::CONTENT_TYPE, media_type)
        .header(header::CONTENT_LENGTH, length)
        .header(header::ETAG, format!("\"{digest}\""))
        .header("docker-content-digest", digest);
    let body = if method == Method::HEAD { Bytes::new() } else { body()? };
    builder.body(Full::from(body)).map_err(|_| ImageError::Reference(digest.into()))
}

fn upload(store: &ImageStore, name: &str, id: &str, call: &Call<'_>) -> Result<Response<Full<Bytes>>, ImageError> {
    let place = |id: &str| format!("/v2/{name}/blobs/uploads/{id}");
    match *call.method {
        Method::POST => {
            if let Some(digest) = call.parameter("mount").filter(|digest| store.blob_length(digest).is_ok()) {
                return Ok(located(StatusCode::CREATED, &format!("/v2/{name}/blobs/{digest}"), Some(&digest)));
            }
            if let Some(digest) = call.parameter("digest") {
                store.put_blob(&digest, call.body)?;
                return Ok(located(StatusCode::CREATED, &format!("/v2/{name}/blobs/{digest}"), Some(&digest)));
            }
            let id = store.begin_upload()?;
            Ok(upload_state(StatusCode::ACCEPTED, &place(&id), &id, 0))
        }
        Method::PATCH => {
            let length = store.append_upload(id, call.body)?;
            Ok(upload_state(StatusCode::ACCEPTED, &place(id), id, length))
        }
        Method::PUT => {
            store.append_upload(id, call.body)?;
            let digest = call.parameter("digest").ok_or(ImageError::Digest)?;
            store.finish_upload(id, &digest)?;
            Ok(located(StatusCode::CREATED, &format!("/v2/{name}/blobs/{digest}"), Some(&digest)))
        }
        Method::GET => {
            let length = store.upload_length(id)?;
            Ok(upload_state(StatusCode::NO_CONTENT, &place(id), id, length))
        }
        _ => Ok(unsupported()),
    }
}

fn located(status: StatusCode, location: &str, digest: Option<&str>) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(status).header(header::LOCATION, location);
    if let Some(digest) = digest {
        builder = builder.header("docker-content-digest", digest);
    }
    builder.body(Full::default()).unwrap_or_else(|_| not_found())
}

fn upload_state(status: StatusCode, location: &str, id: &str, length: u64) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(header::LOCATION, location)
        .header(header::RANGE, format!("0-{}", length.saturating_sub(1)))
        .header("docker-upload-uuid", id)
        .body(Full::default())
        .unwrap_or_else(|_| not_found())
}

fn not_found() -> Response<Full<Bytes>> {
    error_answer(StatusCode::NOT_FOUND, "UNSUPPORTED", "no such page in this registry")
}

fn unsupported() -> Response<Full<Bytes>> {
    error_answer(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "The operation is unsupported.")
}

fn refusal(error: &ImageError) -> Response<Full<Bytes>> {
    let (status, code) = match error {
        ImageError::Name(_) => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        ImageError::Reference(_) => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
        ImageError::Digest => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
        ImageError::Manifest(_) => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
        ImageError::Unknown(what) if what.starts_with("blob") => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
        ImageError::Unknown(what) if what.starts_with("upload") => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        ImageError::Unknown(_) => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        ImageError::Io(_) => (StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN"),
    };
    error_answer(status, code, &error.to_string())
}

fn error_answer(status: StatusCode, code: &str, message: &str) -> Response<Full<Bytes>> {
    let body = json!({"errors": [{"code": code, "message": message}]});
    plain(status).body(Full::from(body.to_string())).expect("static headers")
}
