//! What reaches into a pod: commands, connections, HTTP requests.

mod exec;
mod forward;
mod proxy;
mod spdy;
mod transport;

use std::sync::Arc;

use hyper::Request;

use super::super::registry::{Entry, errors};
use super::super::status::Status;
use super::answer::{self, Answer};
use super::body::RequestBody;
use super::handle::Context;
use super::route::Target;
use super::{objects, pods};

/// Answers `exec`, `attach`, `portforward` and `proxy`.
pub(super) async fn answer(
    context: &Context,
    request: Request<RequestBody>,
    target: &Target<'_>,
    subresource: &str,
) -> Result<Answer, Status> {
    if subresource == "proxy" {
        return proxy::answer(context, request, target).await;
    }
    if !matches!(request.method().as_str(), "GET" | "POST") {
        return Err(answer::method_not_allowed());
    }
    let pod: Arc<Entry> = objects::find(context, target)?;
    if !pods::has_host(&pod.value()) {
        return Err(errors::bad_request(format!("pod {} does not have a host assigned", pod.name)));
    }
    match subresource {
        "exec" => exec::answer(context, request, pod, false),
        "attach" => exec::answer(context, request, pod, true),
        "portforward" => forward::answer(context, request, pod),
        _ => Err(answer::unknown_resource()),
    }
}
