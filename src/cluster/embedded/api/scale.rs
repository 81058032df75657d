//! The `/scale` subresource: replicas of a Deployment, a `ReplicaSet` or a `StatefulSet` as an `autoscaling/v1 Scale`.

use hyper::Request;
use serde_json::{Value, json};

use super::super::patch;
use super::super::registry::{Entry, PatchKind, errors};
use super::super::schema::Kind;
use super::super::status::Status;
use super::answer::{self, Answer};
use super::body::RequestBody;
use super::handle::Context;
use super::objects;
use super::route::Target;
use super::{decode, negotiate};

pub(super) async fn answer(
    context: &Context,
    request: Request<RequestBody>,
    target: &Target<'_>,
    verb: &str,
) -> Result<Answer, Status> {
    negotiate::representation(request.headers())?;
    let entry = objects::find(context, target)?;
    if verb == "get" {
        return Ok(answer::json(200, &scale_of(&entry, &entry.value())));
    }
    let writer = objects::writer(&context.query, request.headers(), "scale");
    let content_type = decode::content_type(request.headers()).to_owned();
    let patch_kind = if verb == "patch" { Some(objects::patch_kind(&content_type)?) } else { None };
    let body = decode::read_body(request.into_body()).await?;
    let sent = match patch_kind {
        Some(kind) => objects::patch_body(kind, &body)?.0,
        None => decode::decode(&content_type, &body, "Scale")?.value,
    };
    let conditional = sent.pointer("/metadata/resourceVersion").is_some();
    let (kind, name) = (target.kind, target.name.unwrap_or_default());
    let written = context.server.registry.modify(
        kind,
        target.namespace.unwrap_or_default(),
        name,
        &writer,
        conditional,
        |live| {
            let wanted = wanted(patch_kind, &sent, live)?;
            rescaled(kind, name, live, &wanted)
        },
    )?;
    Ok(answer::json(200, &scale_of(&written, &written.value())))
}

fn wanted(kind: Option<PatchKind>, sent: &Value, live: &Value) -> Result<Value, Status> {
    match kind {
        None => Ok(sent.clone()),
        Some(PatchKind::Json) => patch::json_patch(&scale_value(live), sent),
        // Scale has no lists to merge by key: the strategic patch is the merge patch.
        Some(_) => Ok(patch::merge_patch(&scale_value(live), sent)),
    }
}

/// The live object with the scale's replicas, and its revision as a precondition.
fn rescaled(kind: &Kind, name: &str, live: &Value, scale: &Value) -> Result<Value, Status> {
    let replicas = scale.pointer("/spec/replicas").cloned().unwrap_or_else(|| 0.into());
    let Some(count) = replicas.as_i64() else {
        return Err(errors::bad_request(format!(
            "Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal {} into Go struct field \
             ScaleSpec.spec.replicas of type int32",
            if replicas.is_string() { "string" } else { "number" }
        )));
    };
    if count < 0 {
        let cause = errors::invalid_value("spec.replicas", &count.into(), "must be greater than or equal to 0");
        return Err(errors::invalid_named("Scale.autoscaling", "autoscaling", "Scale", name, &[cause]));
    }
    if let Some(revision) = scale.pointer("/metadata/resourceVersion").and_then(Value::as_str)
        && live.pointer("/metadata/resourceVersion").and_then(Value::as_str) != Some(revision)
        && !revision.is_empty()
    {
        return Err(errors::modified(kind, name));
    }
    let mut object = live.clone();
    object["spec"]["replicas"] = count.into();
    Ok(object)
}

fn scale_of(entry: &Entry, object: &Value) -> Value {
    let mut scale = scale_value(object);
    scale["metadata"]["resourceVersion"] = entry.revision.to_string().into();
    scale
}

fn scale_value(object: &Value) -> Value {
    let metadata = |key: &str| object.pointer(&format!("/metadata/{key}")).cloned().unwrap_or(Value::Null);
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let mut spec = json!({});
    if number("/spec/replicas") != 0 {
        spec["replicas"] = number("/spec/replicas").into();
    }
    let mut status = json!({"replicas": number("/status/replicas")});
    let labels = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if !selector.is_empty() {
        status["selector"] = selector.join(",").into();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata("name"), "namespace": metadata("namespace"), "uid": metadata("uid"),
            "resourceVersion": metadata("resourceVersion"), "creationTimestamp": metadata("creationTimestamp"),
        },
        "spec": spec, "status": status,
    })
}
