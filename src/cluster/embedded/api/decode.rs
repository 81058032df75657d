//! Request bodies: read within bounds, parsed to values, compared with the kind's schema.

use std::fmt::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::super::registry::{FieldValidation, errors};
use super::super::schema::{self, Kind, StructureError};
use super::super::status::Status;
use super::body::RequestBody;
use crate::yaml::{self, Document};

/// As kube-apiserver's own limit.
const BODY_BYTES_MAX: usize = 3 << 20;
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// Far beyond any object, far below what the stack holds.
const DEPTH_MAX: usize = 96; // serde_json itself stops at 128

pub(super) async fn read_body(body: RequestBody) -> Result<Bytes, Status> {
    let collected = tokio::time::timeout(BODY_TIME_MAX, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {BODY_BYTES_MAX}");
            Err(Status::new(413, "RequestEntityTooLarge", message))
        }
        Ok(Err(error)) => Err(errors::bad_request(format!("cannot read the request's body: {error}"))),
        Err(_) => Err(Status::new(408, "Timeout", "the request's body did not arrive in time")),
    }
}

/// What the `Content-Type` says, without its parameters.
pub(super) fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// A body with what a strict decoder would have refused.
#[derive(Debug)]
pub(super) struct Decoded {
    pub value: Value,
    /// `duplicate field "data.a"`
    pub duplicates: Vec<String>,
    /// The same of a body in YAML: `line 6: key "a" already set in map`.
    pub repeated: Vec<String>,
}

impl Decoded {
    fn of(value: Value) -> Self {
        Self { value, duplicates: Vec::new(), repeated: Vec::new() }
    }
}

/// go-yaml's words for keys that stand twice.
pub(super) fn repeated(document: &Document) -> Vec<String> {
    let told = document.repeated.iter();
    told.map(|repeated| format!("line {}: key {:?} already set in map", repeated.line, repeated.key)).collect()
}

/// go-yaml's error of them, for a strict decoder.
pub(super) fn repeated_error(repeated: &[String]) -> String {
    format!("yaml: unmarshal errors:\n  {}", repeated.join("\n  "))
}

/// Decodes a body by its media type. `expected` is the kind's name for messages.
pub(super) fn decode(content_type: &str, body: &[u8], expected: &str) -> Result<Decoded, Status> {
    match content_type {
        "" | "application/json" => decode_json(body).and_then(identified).map_err(|error| {
            let why = format!("couldn't get version/kind; json parse error: {error}");
            unrecognized(expected, &why, body)
        }),
        "application/yaml" => decode_yaml(body)
            .map_err(|error| unrecognized(expected, &format!("yaml: {error}"), body))
            .map(|document| Decoded { repeated: repeated(&document), ..Decoded::of(document.value) }),
        "application/vnd.kubernetes.protobuf" => schema::decode_protobuf(body)
            .map_err(|error| errors::bad_request(format!("the protobuf body cannot be decoded: {error}")))
            .map(Decoded::of),
        _ => Err(Status::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: \
             application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

fn unrecognized(expected: &str, why: &str, body: &[u8]) -> Status {
    let summary = summary(body);
    errors::bad_request(format!("the object provided is unrecognized (must be of type {expected}): {why} ({summary})"))
}

/// A decoder looks for the version and kind first; null stands for an empty object.
fn identified(decoded: Decoded) -> Result<Decoded, String> {
    const HEAD: &str =
        r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
    if decoded.value.is_null() {
        return Ok(Decoded { value: Value::Object(Map::new()), ..decoded });
    }
    if !decoded.value.is_object() {
        return Err(format!("json: cannot unmarshal {} into Go value of type {HEAD}", go_type(&decoded.value)));
    }
    for key in ["apiVersion", "kind"] {
        if let Some(found) = decoded.value.get(key).filter(|found| !found.is_string() && !found.is_null()) {
            return Err(format!(
                "json: cannot unmarshal {} into Go struct field .{key} of type string",
                go_type(found)
            ));
        }
    }
    Ok(decoded)
}

/// The first bytes of a body, for a message; in hexadecimal digits where it is no JSON object.
fn summary(body: &[u8]) -> String {
    const LENGTH: usize = 30;
    if body.is_empty() {
        return "<empty>".into();
    }
    let start = &body[..body.len().min(LENGTH)];
    let text = if body[0] == b'{' {
        String::from_utf8_lossy(start).into_owned()
    } else {
        start.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    if body.len() > LENGTH { format!("{text} ...") } else { text }
}

pub(super) fn decode_yaml(body: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(body).map_err(|_| "control characters are not allowed".to_owned())?;
    let document = yaml::parse_document(text).map_err(|error| go_yaml_error(&error, text))?;
    if is_deeper(&document.value, DEPTH_MAX) {
        return Err(format!("exceeded max depth of {DEPTH_MAX}"));
    }
    Ok(document)
}

fn is_deeper(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth == 0 || items.iter().any(|item| is_deeper(item, depth - 1)),
        Value::Object(members) => depth == 0 || members.values().any(|member| is_deeper(member, depth - 1)),
        _ => false,
    }
}

/// go-yaml's words for what this parser says; the line is counted from 1 as there.
fn go_yaml_error(error: &str, text: &str) -> String {
    let line = error.split("line ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|line| line.parse().ok());
    let line = line.unwrap_or(1_usize).min(text.lines().count().max(1));
    if error.contains("did not find expected node content") {
        format!("line {line}: did not find expected node content")
    } else {
        let what = error.split(" at line").next().unwrap_or(error);
        format!("line {line}: {what}")
    }
}

/// JSON with its duplicate fields; the last of them counts, as in Go.
pub(super) fn decode_json(body: &[u8]) -> Result<Decoded, String> {
    let mut duplicates = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let seed = Seed { path: &mut String::new(), duplicates: &mut duplicates, depth: 0, marks: None };
    let value = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map(|value| Decoded { duplicates, ..Decoded::of(value) }).map_err(|error| schema::go_json_error(&error, body))
}

/// What is wrong with fields, in the order in which they stand in a JSON body.
pub(super) fn in_order(body: &[u8], found: Vec<String>) -> Vec<String> {
    if found.len() < 2 {
        return found;
    }
    let mut order = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let seed =
        Seed { path: &mut String::new(), duplicates: &mut Vec::new(), depth: 0, marks: Some((&found, &mut order)) };
    if seed.deserialize(&mut deserializer).is_err() || order.len() < found.len() {
        return found;
    }
    order
}

struct Seed<'a> {
    path: &'a mut String,
    duplicates: &'a mut Vec<String>,
    depth: usize,
    /// What is looked for, and what of it has been met.
    marks: Option<(&'a Vec<String>, &'a mut Vec<String>)>,
}

impl Seed<'_> {
    fn mark(&mut self, what: String) {
        if let Some((wanted, met)) = &mut self.marks
            && wanted.contains(&what)
            && !met.contains(&what)
        {
            met.push(what);
        }
    }

    fn below(&mut self) -> Seed<'_> {
        let marks = self.marks.as_mut().map(|(wanted, met)| (*wanted, &mut **met));
        Seed { path: self.path, duplicates: self.duplicates, depth: self.depth + 1, marks }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        if self.depth >= DEPTH_MAX {
            return Err(A::Error::custom("exceeded max depth"));
        }
        let mut items = Vec::new();
        let length = self.path.len();
        loop {
            let _ = write!(self.path, "[{}]", items.len());
            let item = access.next_element_seed(self.below())?;
            self.path.truncate(length);
            match item {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        if self.depth >= DEPTH_MAX {
            return Err(A::Error::custom("exceeded max depth"));
        }
        let mut members = Map::new();
        let length = self.path.len();
        while let Some(key) = access.next_key::<String>()? {
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            if members.contains_key(&key) && self.duplicates.len() < 32 {
                let duplicate = format!("duplicate field \"{}\"", self.path);
                self.mark(duplicate.clone());
                self.duplicates.push(duplicate);
            }
            if self.marks.is_some() {
                let unknown = format!("unknown field \"{}\"", self.path);
                self.mark(unknown);
            }
            let value = access.next_value_seed(self.below())?;
            self.path.truncate(length);
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

/// Compares a decoded object with the kind that the path names. Returns the warnings; unknown fields are gone.
pub(super) fn check_object(
    kind: &'static Kind,
    decoded: Decoded,
    validation: FieldValidation,
    body: &[u8],
) -> Result<(Value, Vec<String>), Status> {
    let Decoded { mut value, duplicates, repeated } = decoded;
    check_type(kind, &value)?;
    let mut found = duplicates;
    for error in schema::check_structure(kind, &value) {
        match error {
            StructureError::Unknown { path } => found.push(format!("unknown field \"{path}\"")),
            StructureError::Mistyped { message, .. } => {
                return Err(cannot_be_handled(kind, kind.name, kind.version, &message));
            }
        }
    }
    if found.is_empty() && repeated.is_empty() {
        return Ok((value, found));
    }
    let mut found = in_order(body, found);
    match validation {
        FieldValidation::Strict => {
            if !repeated.is_empty() {
                found.insert(0, repeated_error(&repeated));
            }
            let message = format!("strict decoding error: {}", found.join(", "));
            Err(cannot_be_handled(kind, kind.name, kind.version, &message))
        }
        FieldValidation::Warn => {
            schema::prune_unknown(kind, &mut value);
            found.splice(0..0, repeated);
            Ok((value, found))
        }
        FieldValidation::Ignore => {
            schema::prune_unknown(kind, &mut value);
            Ok((value, Vec::new()))
        }
    }
}

fn cannot_be_handled(kind: &Kind, found: &str, version: &str, why: &str) -> Status {
    errors::bad_request(format!("{found} in version \"{version}\" cannot be handled as a {}: {why}", kind.name))
}

/// A body may leave `kind` and `apiVersion` out; what it states must be what the path says.
fn check_type(kind: &'static Kind, value: &Value) -> Result<(), Status> {
    if !value.is_object() {
        let message =
            format!("json: cannot unmarshal {} into Go value of type {}.{}", go_type(value), kind.version, kind.name);
        return Err(cannot_be_handled(kind, kind.name, kind.version, &message));
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let (found_kind, found_version) = (text("kind"), text("apiVersion"));
    let expected_version = kind.api_version();
    let stated_kind = if found_kind.is_empty() { kind.name } else { found_kind };
    if !found_version.is_empty() && found_version != expected_version {
        if schema::kinds().iter().any(|kind| kind.api_version() == found_version)
            && schema::by_kind(found_version, stated_kind).is_none()
        {
            let version = found_version.rsplit('/').next().unwrap_or_default();
            return Err(cannot_be_handled(kind, stated_kind, version, &not_registered(stated_kind, found_version)));
        }
        return Err(errors::bad_request(format!(
            "the API version in the data ({found_version}) does not match the expected API version ({expected_version})"
        )));
    }
    if found_kind.is_empty() || found_kind == kind.name {
        return Ok(());
    }
    let version = found_version.rsplit('/').next().unwrap_or(kind.version);
    // The real server decodes the body as what it says it is before it refuses it.
    let Some(other) = schema::by_kind(&expected_version, found_kind) else {
        return Err(cannot_be_handled(kind, found_kind, version, &not_registered(found_kind, &expected_version)));
    };
    if let Some(message) = schema::check_structure(other, value).into_iter().find_map(|error| match error {
        StructureError::Mistyped { message, .. } => Some(message),
        StructureError::Unknown { .. } => None,
    }) {
        return Err(cannot_be_handled(kind, found_kind, version, &message));
    }
    let why = format!("converting (v1.{found_kind}) to (core.{}): unknown conversion", kind.name);
    Err(cannot_be_handled(kind, found_kind, version, &why))
}

/// Where Kubernetes keeps its types is a part of its words.
fn not_registered(kind: &str, version: &str) -> String {
    format!("no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:110\"")
}

pub(super) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
