//! `OpenAPI`: the third version, as far as kubectl's `apply` and `explain` need it; the second is empty.
//!
//! The types with their descriptions are Kubernetes' own (`tools/schema/openapi` takes them from its sources).

use std::collections::BTreeMap;
use std::io::Read as _;

use http::{HeaderMap, HeaderValue, header};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::schema;
use super::answer::{self, Answer};
use super::discovery;
use super::query::Query;

/// The second version is an empty document: what clients do not find in it they leave to the server to validate,
/// which is what kubectl does with a kind that the third does not have.
pub(super) fn version_two(headers: &HeaderMap) -> Answer {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("proto-openapi") {
        let mut answered = answer::json_bytes(200, version_two_protobuf());
        let content_type = HeaderValue::from_static("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
        answered.headers_mut().insert(header::CONTENT_TYPE, content_type);
        return answered;
    }
    answer::json(200, &json!({"swagger": "2.0", "info": {"title": TITLE, "version": RELEASE}, "paths": {}}))
}

const TITLE: &str = "Kubernetes";
const RELEASE: &str = "v1.34.2";

/// gnostic's `openapi.v2.Document`: `swagger` is field 1, `info` field 2 with `title` 1 and `version` 2.
fn version_two_protobuf() -> Vec<u8> {
    let text = |field: u8, text: &[u8]| {
        let length = u8::try_from(text.len()).expect("a few short texts");
        [&[field << 3 | 2, length], text].concat()
    };
    let info = [text(1, TITLE.as_bytes()), text(2, RELEASE.as_bytes())].concat();
    [text(1, b"2.0"), text(2, &info)].concat()
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
    let mut answered = answer::json_bytes(200, schema_document(group, version));
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

type Schemas = BTreeMap<String, Box<RawValue>>;

/// Every type of the served kinds. Unpacked for each document: a client reads one once and keeps it.
fn schemas() -> Schemas {
    let packed: &[u8] = include_bytes!("../schema/openapi.json.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("the generated table is whole");
    serde_json::from_str(&text).expect("the generated table is valid")
}

/// Keeps a type and what it refers to.
fn reach(name: &str, from: &mut Schemas, to: &mut Schemas) {
    let Some(schema) = from.remove(name) else { return };
    for rest in schema.get().split("#/components/schemas/").skip(1) {
        reach(rest.split('"').next().unwrap_or_default(), from, to);
    }
    to.insert(name.to_owned(), schema);
}

/// The paths and types of a group and version.
fn schema_document(group: &str, version: &str) -> Vec<u8> {
    let mut paths = Map::new();
    let (mut all, mut wanted) = (schemas(), Schemas::new());
    for kind in schema::kinds().iter().filter(|kind| kind.group == group && kind.version == version) {
        let gvk = json!({"group": group, "version": version, "kind": kind.name});
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let scope = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
        let parameters =
            json!([{"name": "fieldValidation", "in": "query", "schema": {"type": "string", "uniqueItems": true}}]);
        let operation = |action: &str| json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk});
        let mut patch = operation("patch");
        patch["parameters"] = parameters;
        paths.insert(
            format!("{root}{scope}/{}/{{name}}", kind.plural),
            json!({"get": operation("get"), "patch": patch}),
        );
        reach(kind.definition, &mut all, &mut wanted);
    }
    let document = Document {
        openapi: "3.0.0",
        info: json!({"title": TITLE, "version": RELEASE}),
        paths,
        components: Components { schemas: wanted },
    };
    serde_json::to_vec(&document).expect("texts and JSON")
}

#[derive(serde::Serialize)]
struct Document {
    openapi: &'static str,
    info: Value,
    paths: Map<String, Value>,
    components: Components,
}

#[derive(serde::Serialize)]
struct Components {
    schemas: Schemas,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_served_kind_is_described_with_all_that_it_refers_to() {
        for kind in schema::kinds() {
            let document: Value = serde_json::from_slice(&schema_document(kind.group, kind.version)).unwrap();
            let schemas = &document["components"]["schemas"];
            assert!(schemas[kind.definition]["properties"]["metadata"].is_object(), "{}", kind.name);
            for rest in document.to_string().split("#/components/schemas/").skip(1) {
                let name = rest.split('"').next().unwrap();
                assert!(schemas[name].is_object(), "{name}");
            }
        }
    }
}
