//! HTTP/1.1 on a connection to a site.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

use super::site::{Answer, Query};

/// The server has stopped: its connections end without an answer, as a real one's do.
#[derive(Debug, thiserror::Error)]
#[error("the server has stopped")]
struct Stopped;

/// Serves a connection until the client ends it or the server has `stopped`. `answer` is asked for each request;
/// `None` ends the connection.
pub async fn serve_connection<S, F>(stream: S, remote: String, port: u16, stopped: impl Future<Output = ()>, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(&Query<'_>, Timestamp) -> Option<Answer> + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (answer, remote) = (Arc::clone(&answer), remote.clone());
        async move { respond(&request, &remote, port, answer.as_ref()).ok_or(Stopped) }
    });
    let mut connection =
        std::pin::pin!(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    // a client that breaks off ends its own connection only
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

fn respond(
    request: &Request<Incoming>,
    remote: &str,
    port: u16,
    answer: &impl Fn(&Query<'_>, Timestamp) -> Option<Answer>,
) -> Option<Response<Full<Bytes>>> {
    let text = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let query = Query {
        method: request.method().as_str(),
        target: request.uri().path_and_query().map_or("/", |target| target.as_str()),
        host: text(header::HOST).unwrap_or("localhost"),
        port,
        remote,
        user_agent: text(header::USER_AGENT).unwrap_or("-"),
        referer: text(header::REFERER).unwrap_or("-"),
        range: text(header::RANGE),
        if_none_match: text(header::IF_NONE_MATCH),
        if_modified_since: text(header::IF_MODIFIED_SINCE),
    };
    let answer = answer(&query, Timestamp::now())?;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let broken = || Response::builder().status(500).body(Full::default()).expect("static parts");
    Some(response.body(Full::from(answer.body)).unwrap_or_else(|_| broken()))
}
