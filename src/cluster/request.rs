//! Objects of a real cluster as JSON, by plain requests.

use serde_json::Value;

/// One request; `body` is JSON, `kind_of_body` its media type.
async fn send(
    client: &kube::Client,
    method: http::Method,
    path: &str,
    kind_of_body: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Value, kube::Error> {
    let mut request = http::Request::builder().method(method).uri(path).header("accept", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = match body {
        Some(body) => {
            request = request.header("content-type", kind_of_body);
            serde_json::to_vec(body).map_err(kube::Error::SerdeError)?
        }
        None => Vec::new(),
    };
    client.request(request.body(body).map_err(kube::Error::HttpError)?).await
}

pub async fn get(client: &kube::Client, path: &str) -> Result<Value, kube::Error> {
    send(client, http::Method::GET, path, "", &[], None).await
}

pub async fn create(client: &kube::Client, path: &str, object: &Value) -> Result<Value, kube::Error> {
    send(client, http::Method::POST, path, "application/json", &[], Some(object)).await
}

/// Creates as somebody else.
pub async fn create_as(
    client: &kube::Client,
    path: &str,
    object: &Value,
    headers: &[(&str, &str)],
) -> Result<Value, kube::Error> {
    send(client, http::Method::POST, path, "application/json", headers, Some(object)).await
}

pub async fn replace(client: &kube::Client, path: &str, object: &Value) -> Result<Value, kube::Error> {
    send(client, http::Method::PUT, path, "application/json", &[], Some(object)).await
}

pub async fn merge(client: &kube::Client, path: &str, patch: &Value) -> Result<Value, kube::Error> {
    send(client, http::Method::PATCH, path, "application/merge-patch+json", &[], Some(patch)).await
}

/// Removes an object; that it is not there is as well.
pub async fn delete(client: &kube::Client, path: &str) -> Result<(), kube::Error> {
    match send(client, http::Method::DELETE, path, "", &[], None).await {
        Err(error) if code(&error) != Some(404) => Err(error),
        _ => Ok(()),
    }
}

/// Makes an object, or brings what is there to the same state.
pub async fn ensure(client: &kube::Client, collection: &str, object: &Value) -> Result<(), kube::Error> {
    match create(client, collection, object).await {
        Err(error) if code(&error) == Some(409) => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            merge(client, &format!("{collection}/{name}"), object).await.map(drop)
        }
        other => other.map(drop),
    }
}

/// The status that the cluster answered with, if it answered.
pub fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
