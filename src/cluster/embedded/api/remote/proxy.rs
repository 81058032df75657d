//! `proxy`: an HTTP request passed on to a port of a pod, or of a pod behind a Service.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::StreamExt;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::super::super::registry::{Entry, errors};
use super::super::super::schema;
use super::super::super::status::Status;
use super::super::answer::Answer;
use super::super::body::RequestBody;
use super::super::decode;
use super::super::handle::Context;
use super::super::route::Target;

/// What is meant for this server or this connection alone.
const NOT_PASSED_ON: [header::HeaderName; 6] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
];

pub(super) async fn answer(
    context: &Context,
    request: Request<RequestBody>,
    target: &Target<'_>,
) -> Result<Answer, Status> {
    let (name, port) = split_name(target.name.unwrap_or_default());
    let namespace = target.namespace.unwrap_or_default();
    let (pod, port) = match target.kind.name {
        "Pod" => of_pod(context, target, namespace, name, port)?,
        "Service" => of_service(context, target, namespace, name, port)?,
        _ => return Err(errors::bad_request("the embedded cluster passes requests on to pods and services only")),
    };
    let connection = context.server.pods.connect(pod, port).await.map_err(|status| unreachable(&status.message))?;
    let (mut sender, driver) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|error| unreachable(&error.to_string()))?;
    tokio::spawn(driver);
    let passed = pass_on(request, target.rest).await?;
    let response = sender.send_request(passed).await.map_err(|error| unreachable(&error.to_string()))?;
    Ok(hand_back(response))
}

/// `web`, `web:80`, `https:web:80`: the name and the port, which may be empty.
fn split_name(text: &str) -> (&str, &str) {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [name, port] => (name, port),
        [_scheme, name, port] => (name, port),
        _ => (text, ""),
    }
}

fn of_pod(
    context: &Context,
    target: &Target<'_>,
    namespace: &str,
    name: &str,
    port: &str,
) -> Result<(Arc<Entry>, u16), Status> {
    let pod = context.server.registry.get(target.kind, namespace, name);
    let pod = pod.ok_or_else(|| errors::not_found(target.kind, name))?;
    let object = pod.value();
    let first = object.pointer("/spec/containers/0/ports/0/containerPort").and_then(Value::as_u64).unwrap_or(80);
    let port = if port.is_empty() { u16::try_from(first).ok() } else { port.parse().ok() };
    let port = port.ok_or_else(|| errors::bad_request("invalid pod request: the port is no number"))?;
    Ok((pod, port))
}

fn of_service(
    context: &Context,
    target: &Target<'_>,
    namespace: &str,
    name: &str,
    port: &str,
) -> Result<(Arc<Entry>, u16), Status> {
    let registry = &context.server.registry;
    let service = registry.get(target.kind, namespace, name).ok_or_else(|| errors::not_found(target.kind, name))?;
    let none = || {
        let message = format!("no endpoints available for service \"{}\"", target.name.unwrap_or_default());
        Status::new(503, "ServiceUnavailable", message)
    };
    let object = service.value();
    let ports = object.pointer("/spec/ports").and_then(Value::as_array).cloned().unwrap_or_default();
    let wanted = ports.iter().find(|candidate| {
        port.is_empty()
            || candidate.get("name").and_then(Value::as_str) == Some(port)
            || candidate.get("port").and_then(Value::as_u64).is_some_and(|number| number.to_string() == port)
    });
    let port_name = wanted.ok_or_else(none)?.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (Some(endpoints), Some(pods)) = (schema::by_kind("v1", "Endpoints"), schema::by_kind("v1", "Pod")) else {
        return Err(none());
    };
    let endpoints = registry.get(endpoints, namespace, name).ok_or_else(none)?.value();
    let subsets = endpoints.get("subsets").and_then(Value::as_array).cloned().unwrap_or_default();
    for subset in &subsets {
        let pod_name = subset.pointer("/addresses/0/targetRef/name").and_then(Value::as_str);
        let listed = subset.get("ports").and_then(Value::as_array);
        let number = listed.into_iter().flatten().find_map(|listed| {
            let fits = listed.get("name").and_then(Value::as_str).unwrap_or_default() == port_name;
            if fits { u16::try_from(listed.get("port")?.as_u64()?).ok() } else { None }
        });
        if let (Some(pod), Some(number)) = (pod_name.and_then(|pod| registry.get(pods, namespace, pod)), number) {
            return Ok((pod, number));
        }
    }
    Err(none())
}

fn unreachable(why: &str) -> Status {
    Status::new(503, "ServiceUnavailable", format!("error trying to reach service: {why}"))
}

async fn pass_on(request: Request<RequestBody>, rest: &str) -> Result<Request<Full<bytes::Bytes>>, Status> {
    let (head, body) = request.into_parts();
    let body = decode::read_body(body).await?;
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path: String = percent_encoding::utf8_percent_encode(rest, PATH).to_string();
    let mut passed = Request::new(Full::new(body));
    *passed.method_mut() = head.method;
    *passed.uri_mut() =
        format!("/{path}{query}").parse().map_err(|_| errors::bad_request("the path cannot be passed on"))?;
    copy_headers(&head.headers, passed.headers_mut());
    passed.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
    Ok(passed)
}

const PATH: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'%');

fn copy_headers(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        if !NOT_PASSED_ON.contains(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

fn hand_back(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    // A connection that breaks ends the body; hyper then cuts the client's short, which is what it is.
    let frames = body
        .into_data_stream()
        .take_while(|piece| std::future::ready(piece.is_ok()))
        .filter_map(|piece| std::future::ready(piece.ok().map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)))));
    let mut answered = Response::new(StreamBody::new(frames).boxed_unsync());
    *answered.status_mut() = head.status;
    copy_headers(&head.headers, answered.headers_mut());
    answered
}

#[cfg(test)]
mod tests {
    use super::split_name;

    #[test]
    fn names_may_carry_scheme_and_port() {
        assert_eq!(split_name("web"), ("web", ""));
        assert_eq!(split_name("web:80"), ("web", "80"));
        assert_eq!(split_name("http:web:http"), ("web", "http"));
    }
}
