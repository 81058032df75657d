//! `OpenAPI`: the third version, as far as kubectl's `apply` and `explain` need it; the second refuses.

use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::schema;
use super::super::status::Status;
use super::answer::{self, Answer};
use super::discovery;
use super::query::Query;

/// Clients from kubectl 1.28 on prefer the third version; only the protobuf form of the second would serve older ones.
pub(super) fn version_two(_headers: &HeaderMap) -> Answer {
    answer::status(&Status::new(
        406,
        "NotAcceptable",
        "the embedded cluster serves OpenAPI v3 only: use kubectl 1.29 or later, or `--validate=false`, or `--sandbox kind`",
    ))
}

/// The path of each group and version, as the index names it.
fn paths() -> Vec<(String, &'static str, &'static str)> {
    let mut paths = vec![("api/v1".to_owned(), "", "v1")];
    for (group, versions) in discovery::group_versions() {
        for version in versions {
            if schema::kinds().iter().any(|kind| kind.group == group && kind.version == version) {
                paths.push((format!("apis/{group}/{version}"), group, version));
            }
        }
    }
    paths
}

pub(super) fn index() -> Answer {
    let mut index = Map::new();
    for (path, group, version) in paths() {
        let url = format!("/openapi/v3/{path}?hash={}", hash(group, version));
        index.insert(path, json!({"serverRelativeURL": url}));
    }
    answer::json(200, &json!({"paths": Value::Object(index)}))
}

/// Documents change with the program alone.
fn hash(group: &str, version: &str) -> String {
    let digest = Sha256::digest(format!("{}\0{group}/{version}", env!("CARGO_PKG_VERSION")));
    digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat()
}

pub(super) fn document(path: &str, query: &Query, headers: &HeaderMap) -> Answer {
    let Some((_, group, version)) = paths().into_iter().find(|(known, ..)| known == path) else {
        return answer::page_not_found();
    };
    let mut answered = answer::json(200, &schema_document(group, version));
    let headers_out = answered.headers_mut();
    let tag = format!("\"{}\"", hash(group, version));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        headers_out.insert(header::ETAG, value);
    }
    if query.get("hash").is_some() {
        headers_out.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    }
    if headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) == Some(&tag) {
        *answered.status_mut() = http::StatusCode::NOT_MODIFIED;
        *answered.body_mut() = answer::full("");
    }
    answered
}

/// The paths and types of a group and version.
fn schema_document(group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for kind in schema::kinds().iter().filter(|kind| kind.group == group && kind.version == version) {
        let gvk = json!({"group": group, "version": version, "kind": kind.name});
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let scope = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
        let parameters =
            json!([{"name": "fieldValidation", "in": "query", "schema": {"type": "string", "uniqueItems": true}}]);
        paths.insert(
            format!("{root}{scope}/{}/{{name}}", kind.plural),
            json!({"patch": {"parameters": parameters, "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": gvk}}),
        );
        schemas.insert(kind.definition.into(), json!({"type": "object", "x-kubernetes-group-version-kind": [gvk]}));
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.34.2"},
        "paths": paths, "components": {"schemas": schemas},
    })
}
