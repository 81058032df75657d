//! Subresources that the node answers: the log here, what reaches into a pod in [`super::remote`].

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use jiff::Timestamp;
use serde_json::Value;

use super::super::registry::{Entry, errors};
use super::super::status::Status;
use super::access::LogOptions;
use super::answer::{self, Answer};
use super::body::RequestBody;
use super::handle::Context;
use super::objects;
use super::query::Query;
use super::remote;
use super::route::Target;

/// Subresources that are answered by the node.
pub(super) const SUBRESOURCES: [&str; 5] = ["log", "exec", "attach", "portforward", "proxy"];

pub(super) async fn answer(
    context: &Context,
    request: Request<RequestBody>,
    target: &Target<'_>,
    subresource: &str,
) -> Result<Answer, Status> {
    match subresource {
        "log" if request.method() == http::Method::GET => log(context, objects::find(context, target)?).await,
        "log" => Err(answer::method_not_allowed()),
        _ => remote::answer(context, request, target, subresource).await,
    }
}

/// The container that a request is about, as the API server chooses it.
pub(super) fn container(pod: &Entry, object: &Value, wanted: Option<&str>) -> Result<String, Status> {
    let names = |path: &str| -> Vec<String> {
        let list = object.pointer(path).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|container| container.get("name")?.as_str().map(Into::into)).collect()
    };
    let (containers, init) = (names("/spec/containers"), names("/spec/initContainers"));
    match wanted {
        Some(name) if containers.iter().chain(&init).any(|known| known == name) => Ok(name.into()),
        Some(name) => Err(errors::bad_request(format!("container {name} is not valid for pod {}", pod.name))),
        None => match &containers[..] {
            [only] => Ok(only.clone()),
            [] => Err(errors::bad_request(format!("a container name must be specified for pod {}", pod.name))),
            several => {
                let mut message = format!(
                    "a container name must be specified for pod {}, choose one of: [{}]",
                    pod.name,
                    several.join(" ")
                );
                if !init.is_empty() {
                    message = format!("{message} or one of the init containers: [{}]", init.join(" "));
                }
                Err(errors::bad_request(message))
            }
        },
    }
}

/// Whether a node has the pod.
pub(super) fn has_host(pod: &Value) -> bool {
    pod.pointer("/spec/nodeName").and_then(Value::as_str).is_some_and(|name| !name.is_empty())
}

async fn log(context: &Context, pod: Arc<Entry>) -> Result<Answer, Status> {
    let object = pod.value();
    let container = container(&pod, &object, context.query.get("container"))?;
    let options = log_options(&context.query, container)?;
    if !has_host(&object) {
        return Ok(answer::stream("text/plain", answer::full(""))); // nobody to ask: there is no log yet
    }
    let lines = context.server.pods.logs(pod, options).await?;
    let frames = lines.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
    let mut answered = answer::stream("text/plain", StreamBody::new(frames).boxed_unsync());
    answered.headers_mut().remove(http::header::CACHE_CONTROL);
    Ok(answered)
}

fn log_options(query: &Query, container: String) -> Result<LogOptions, Status> {
    let positive = |key: &str| -> Result<Option<u64>, Status> {
        match query.number(key)? {
            Some(number) if number < 0 => {
                let cause = errors::invalid_value(key, &number.into(), "must be greater than or equal to 0");
                Err(errors::invalid_named("PodLogOptions", "", "PodLogOptions", "", &[cause]))
            }
            other => Ok(other.map(i64::unsigned_abs)),
        }
    };
    let since = match (query.number("sinceSeconds")?, query.get("sinceTime")) {
        (Some(seconds), _) => Some(Timestamp::now().as_second().saturating_sub(seconds)),
        (None, Some(time)) => Some(
            time.parse::<Timestamp>()
                .map_err(|_| errors::bad_request(format!("parsing time {time:?}: it is not RFC 3339")))?
                .as_second(),
        ),
        (None, None) => None,
    };
    Ok(LogOptions {
        container,
        follow: query.flag("follow"),
        previous: query.flag("previous"),
        timestamps: query.flag("timestamps"),
        tail_lines: positive("tailLines")?,
        limit_bytes: positive("limitBytes")?,
        since_seconds_1970: since,
    })
}
