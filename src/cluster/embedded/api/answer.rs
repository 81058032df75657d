//! Building responses.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::super::status::Status;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(super) type Answer = Response<Body>;

pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

fn with(code: u16, content_type: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    answer
}

/// JSON that is serialised already.
pub(super) fn json_bytes(code: u16, bytes: impl Into<Bytes>) -> Answer {
    with(code, "application/json", full(bytes))
}

pub(super) fn json(code: u16, value: &Value) -> Answer {
    let mut bytes = value.to_string();
    bytes.push('\n');
    json_bytes(code, bytes)
}

pub(super) fn yaml(code: u16, value: &Value) -> Answer {
    with(code, "application/yaml", full(serde_yaml::to_string(value).unwrap_or_default()))
}

pub(super) fn text(code: u16, text: impl Into<Bytes>) -> Answer {
    with(code, "text/plain; charset=utf-8", full(text))
}

pub(super) fn stream(content_type: &'static str, body: Body) -> Answer {
    with(200, content_type, body)
}

/// What Go's own multiplexer says of a path that nobody claims.
pub(super) fn page_not_found() -> Answer {
    text(404, "404 page not found\n")
}

pub(super) fn status(status: &Status) -> Answer {
    let mut answer = json(status.code, &status.to_value());
    if matches!(status.code, 429 | 503 | 504) {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

/// Adds `Warning` headers, as many as kubectl would read.
pub(super) fn warn(answer: &mut Answer, warnings: &[String]) {
    for warning in warnings.iter().take(32) {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            answer.headers_mut().append(header::WARNING, value);
        }
    }
}

/// `404 NotFound` for a resource that a served group does not have.
pub(super) fn unknown_resource() -> Status {
    Status::new(404, "NotFound", "the server could not find the requested resource")
        .with_details(Value::Object(serde_json::Map::new()))
}

pub(super) fn method_not_allowed() -> Status {
    Status::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        .with_details(Value::Object(serde_json::Map::new()))
}
