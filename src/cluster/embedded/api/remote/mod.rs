//! What reaches into a pod: commands, connections, HTTP requests.

mod exec;
mod forward;
mod proxy;
mod spdy;
mod transport;

use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;

use super::super::registry::Entry;
use super::super::status::Status;
use super::answer::{self, Answer};
use super::handle::Context;
use super::objects;
use super::route::Target;

/// Answers `exec`, `attach`, `portforward` and `proxy`.
pub(super) async fn answer(
    context: &Context,
    request: Request<Incoming>,
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
    match subresource {
        "exec" => exec::answer(context, request, pod, false),
        "attach" => exec::answer(context, request, pod, true),
        "portforward" => forward::answer(context, request, pod),
        _ => Err(answer::unknown_resource()),
    }
}
