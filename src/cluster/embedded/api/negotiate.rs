//! Which representation a client accepts.

use http::HeaderMap;
use serde_json::{Map, Value};

use super::super::status::Status;

/// What an object or a list is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Representation {
    Json,
    Yaml,
    /// `meta.k8s.io/v1 Table`: what kubectl prints.
    Table,
    /// Metadata alone, for metadata informers.
    Metadata,
}

/// One alternative of an `Accept` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted<'a> {
    pub media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Accepted<'_> {
    pub fn parameter(&self, key: &str) -> &str {
        self.parameters.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| *value)
    }
}

/// The alternatives, in the client's order.
pub(super) fn accepted(headers: &HeaderMap) -> Vec<Accepted<'_>> {
    headers
        .get_all(http::header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|alternative| {
            let mut parts = alternative.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let parameters = parts.map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
            Accepted { media_type, parameters }
        })
        .filter(|accepted| !accepted.media_type.is_empty())
        .collect()
}

/// The first alternative that is served; no header accepts anything.
pub(super) fn representation(headers: &HeaderMap) -> Result<Representation, Status> {
    let alternatives = accepted(headers);
    if alternatives.is_empty() {
        return Ok(Representation::Json);
    }
    alternatives.iter().find_map(of_alternative).ok_or_else(not_acceptable)
}

fn of_alternative(accepted: &Accepted<'_>) -> Option<Representation> {
    let meta = accepted.parameter("g") == "meta.k8s.io" && matches!(accepted.parameter("v"), "v1" | "v1beta1");
    match (accepted.media_type, accepted.parameter("as")) {
        ("application/json" | "application/*" | "*/*", "") => Some(Representation::Json),
        ("application/yaml", "") => Some(Representation::Yaml),
        ("application/json", "Table") if meta => Some(Representation::Table),
        ("application/json", "PartialObjectMetadata" | "PartialObjectMetadataList") if meta => {
            Some(Representation::Metadata)
        }
        _ => None,
    }
}

fn not_acceptable() -> Status {
    let message = "406: Not Acceptable\n\n\
                   Available representations: application/json, application/yaml, application/vnd.kubernetes.protobuf";
    Status::new(406, "NotAcceptable", message).with_details(Value::Object(Map::new()))
}
