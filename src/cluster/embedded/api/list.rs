//! Lists: cached bytes put one after the other, pages that stay at one revision.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::super::registry::{Entry, errors};
use super::super::schema::Kind;
use super::super::status::{Cause, Status};
use super::answer::{self, Answer};
use super::handle::Context;
use super::negotiate::Representation;
use super::query::Query;
use super::route::Target;
use super::selector::Selector;
use super::{table, watch};

pub(super) fn answer(
    context: &Context,
    target: &Target<'_>,
    verb: &str,
    representation: Representation,
) -> Result<Answer, Status> {
    let query = &context.query;
    let mut selector = Selector::parse(
        target.kind,
        query.get("labelSelector").unwrap_or_default(),
        query.get("fieldSelector").unwrap_or_default(),
    )?;
    if let Some(name) = target.name {
        selector.select_name(name);
    }
    let versions = Versions::parse(query, verb == "watch")?;
    if verb == "watch" {
        return watch::answer(context, target, selector, &versions, representation);
    }
    let page = page(context, target, &selector, &versions)?;
    represent(context, target.kind, &page, representation)
}

/// The query's resource version and what it is to mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Versions {
    /// `None` where the query has none.
    pub revision: Option<u64>,
    pub exact: bool,
    pub send_initial_events: Option<bool>,
}

impl Versions {
    fn parse(query: &Query, watch: bool) -> Result<Self, Status> {
        let matching = query.get("resourceVersionMatch");
        let send_initial_events = query.get("sendInitialEvents").map(|_| query.flag("sendInitialEvents"));
        let mut causes = Vec::new();
        if !watch && matching.is_some() && query.get("resourceVersion").is_none() {
            let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            causes.push(errors::forbidden_field("resourceVersionMatch", detail));
        }
        if let Some(other) = matching.filter(|value| !matches!(*value, "Exact" | "NotOlderThan")) {
            causes.push(not_supported("resourceVersionMatch", other, &["Exact", "NotOlderThan", ""]));
        }
        if watch && matching.is_some() && send_initial_events.is_none() {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            causes.push(errors::forbidden_field("resourceVersionMatch", detail));
        }
        if send_initial_events.is_some() && !watch {
            causes.push(errors::forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        } else if send_initial_events.is_some() && matching != Some("NotOlderThan") {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            causes.push(errors::forbidden_field("resourceVersionMatch", detail));
        }
        if !causes.is_empty() {
            return Err(errors::invalid_named("ListOptions.meta.k8s.io", "meta.k8s.io", "ListOptions", "", &causes));
        }
        let revision = match query.get("resourceVersion") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                errors::bad_request(format!(
                    "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: \
                     parsing {text:?}: invalid syntax"
                ))
            })?),
        };
        Ok(Self { revision, exact: matching == Some("Exact"), send_initial_events })
    }
}

fn not_supported(field: &str, value: &str, supported: &[&str]) -> Cause {
    let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
    let message = format!("Unsupported value: {value:?}: supported values: {}", supported.join(", "));
    Cause { reason: "FieldValueNotSupported", message, field: field.into() }
}

/// What one list request answers.
struct Page {
    revision: u64,
    entries: Vec<Arc<Entry>>,
    continue_token: Option<String>,
    remaining: Option<usize>,
}

fn page(context: &Context, target: &Target<'_>, selector: &Selector, versions: &Versions) -> Result<Page, Status> {
    let registry = &context.server.registry;
    let query = &context.query;
    let limit = usize::try_from(query.number("limit")?.unwrap_or(0)).unwrap_or(0);
    let token = query.get("continue").map(|text| Continue::parse(text, target.namespace)).transpose()?;
    let (revision, mut entries) = match &token {
        Some(token) => (token.revision, at_revision(context, target, token.revision)?),
        None => first_page(context, target, selector, versions)?,
    };
    if let Some(token) = &token {
        entries.retain(|entry| place(entry) > token.after);
    }
    if !selector.is_empty() {
        entries.retain(|entry| selector.matches(entry));
    }
    if limit == 0 || entries.len() <= limit {
        return Ok(Page { revision, entries, continue_token: None, remaining: None });
    }
    let remaining = selector.is_empty().then_some(entries.len() - limit);
    entries.truncate(limit);
    let after = entries.last().map(|entry| place(entry)).unwrap_or_default();
    let token = Continue { revision: if revision == 0 { registry.revision() } else { revision }, after };
    Ok(Page { revision, entries, continue_token: Some(token.print(target.namespace)), remaining })
}

fn first_page(
    context: &Context,
    target: &Target<'_>,
    selector: &Selector,
    versions: &Versions,
) -> Result<(u64, Vec<Arc<Entry>>), Status> {
    let registry = &context.server.registry;
    let current = registry.revision();
    match versions.revision {
        Some(wanted) if wanted > current => Err(too_large(wanted, current)),
        Some(wanted) if versions.exact && wanted > 0 => Ok((wanted, at_revision(context, target, wanted)?)),
        _ => match (selector.name(), target.namespace.or((!target.kind.namespaced).then_some(""))) {
            (Some(name), Some(namespace)) => {
                let revision = registry.revision();
                Ok((revision, registry.get(target.kind, namespace, name).into_iter().collect()))
            }
            _ => Ok(registry.list_with_revision(target.kind, target.namespace)),
        },
    }
}

fn at_revision(context: &Context, target: &Target<'_>, revision: u64) -> Result<Vec<Arc<Entry>>, Status> {
    let registry = &context.server.registry;
    if revision > registry.revision() {
        return Err(too_large(revision, registry.revision()));
    }
    registry.list_at(target.kind, target.namespace, revision).ok_or_else(|| {
        let message = "The provided continue parameter is too old to display a consistent list result. \
                       You can start a new list without the continue parameter.";
        Status::new(410, "Expired", message)
    })
}

pub(super) fn too_large(wanted: u64, current: u64) -> Status {
    let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
    Status::new(504, "Timeout", message).with_details(json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }))
}

/// Where an object stands in a list of all namespaces.
fn place(entry: &Entry) -> String {
    format!("{}/{}", entry.namespace, entry.name)
}

/// A continue token, in the form of Kubernetes' own: the revision of the list and the last name before the page.
#[derive(Debug, PartialEq, Eq)]
struct Continue {
    revision: u64,
    /// `namespace/name`
    after: String,
}

impl Continue {
    fn parse(text: &str, namespace: Option<&str>) -> Result<Self, Status> {
        let invalid =
            |why: String| errors::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
        let bytes = BASE64
            .decode(text.trim_end_matches('='))
            .map_err(|error| invalid(format!("illegal base64 data: {error}")))?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| {
            let first = bytes.first().copied().map_or(' ', char::from);
            invalid(format!("invalid character '{first}' looking for beginning of value"))
        })?;
        let revision = token.get("rv").and_then(Value::as_u64).filter(|revision| *revision > 0);
        let start = token.get("start").and_then(Value::as_str).unwrap_or_default();
        match (token.get("v").and_then(Value::as_str), revision) {
            (Some("meta.k8s.io/v1"), Some(revision)) if !start.is_empty() => {
                let name = start.trim_end_matches('\0').trim_start_matches('/');
                let after = match namespace {
                    Some(namespace) => format!("{namespace}/{name}"),
                    None if name.contains('/') => name.to_owned(),
                    None => format!("/{name}"),
                };
                Ok(Self { revision, after })
            }
            (Some("meta.k8s.io/v1"), None) => Err(errors::bad_request(
                "invalid continue token: incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            )),
            (version, _) => Err(errors::bad_request(format!(
                "invalid continue token: server does not recognize this encoded version {:?}",
                version.unwrap_or_default()
            ))),
        }
    }

    fn print(&self, namespace: Option<&str>) -> String {
        let name = match namespace {
            Some(namespace) => self.after.strip_prefix(namespace).unwrap_or(&self.after).to_owned(),
            None if self.after.starts_with('/') => self.after.clone(),
            None => format!("/{}", self.after),
        };
        BASE64.encode(format!(
            "{{\"v\":\"meta.k8s.io/v1\",\"rv\":{},\"start\":{}}}",
            self.revision,
            json!(format!("{name}\0"))
        ))
    }
}

fn represent(context: &Context, kind: &Kind, page: &Page, representation: Representation) -> Result<Answer, Status> {
    let token = page.continue_token.as_deref();
    match representation {
        Representation::Json => {
            Ok(answer::json_bytes(200, list_bytes(kind, &page.entries, page.revision, token, page.remaining)))
        }
        Representation::Yaml => {
            let bytes = list_bytes(kind, &page.entries, page.revision, token, page.remaining);
            let value: Value = serde_json::from_slice(&bytes).expect("put together from JSON");
            Ok(answer::yaml(200, &value))
        }
        Representation::Metadata => {
            let items: Vec<Value> = page.entries.iter().map(|entry| partial(&entry.value(), false)).collect();
            Ok(answer::json(
                200,
                &json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata(page), "items": items,
                }),
            ))
        }
        Representation::Table => {
            let objects: Vec<Value> = page.entries.iter().map(|entry| entry.value()).collect();
            let include = table::Include::parse(context.query.get("includeObject"))?;
            Ok(answer::json(200, &table::table(kind, &objects, include, &metadata(page), true)))
        }
    }
}

fn metadata(page: &Page) -> Value {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some(token) = &page.continue_token {
        metadata["continue"] = token.as_str().into();
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    metadata
}

/// A list's JSON, put together from its objects' own.
pub(super) fn list_bytes(
    kind: &Kind,
    entries: &[Arc<Entry>],
    revision: u64,
    continue_token: Option<&str>,
    remaining: Option<usize>,
) -> Vec<u8> {
    let length: usize = entries.iter().map(|entry| entry.json.len() + 2).sum();
    let mut bytes = Vec::with_capacity(length + 256);
    let head = format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{revision}\"",
        kind.name,
        kind.api_version()
    );
    bytes.extend_from_slice(head.as_bytes());
    if let Some(token) = continue_token {
        bytes.extend_from_slice(format!(",\"continue\":\"{token}\"").as_bytes());
    }
    if let Some(remaining) = remaining {
        bytes.extend_from_slice(format!(",\"remainingItemCount\":{remaining}").as_bytes());
    }
    bytes.extend_from_slice(b"},\"items\":[");
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            bytes.push(b',');
        }
        bytes.push(b'{');
        bytes.extend_from_slice(entry.list_item());
    }
    bytes.extend_from_slice(b"]}\n");
    bytes
}

/// An object's metadata as `PartialObjectMetadata`; in a list without its type, as other items.
pub(super) fn partial(object: &Value, typed: bool) -> Value {
    let mut partial = json!({"metadata": object["metadata"]});
    if typed {
        partial["kind"] = "PartialObjectMetadata".into();
        partial["apiVersion"] = "meta.k8s.io/v1".into();
    }
    partial
}
