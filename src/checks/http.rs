//! Pages: one request without redirects, its status and body.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::file;
use super::finding::{Expectation, Finding, conclude};
use crate::course::check::HttpProbe;

/// How long one request may take, from connecting to the last byte.
const TIME_MAX: Duration = Duration::from_secs(5);
/// No page that a check reads is larger.
const BODY_MAX: usize = 4 * 1024 * 1024;

/// What came back.
struct Answer {
    status: u16,
    location: Option<String>,
    body: String,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error("{0}")]
    Url(String),
    #[error("connection refused")]
    Refused,
    #[error("no such host {0}")]
    Host(String),
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    #[error("the connection was closed before an answer came")]
    Closed,
    #[error("no answer within {} s", TIME_MAX.as_secs())]
    Slow,
    #[error("{0}")]
    Protocol(String),
}

/// Asks for the page once.
pub async fn observe(probe: &HttpProbe) -> Finding {
    let url = &probe.url;
    let answer = tokio::time::timeout(TIME_MAX, get(url)).await.unwrap_or(Err(HttpError::Slow));
    let observed = match &answer {
        Ok(answer) => format!("GET {url}: {}, {} bytes", status_text(answer.status), answer.body.len()),
        Err(error) => format!("GET {url}: {error}"),
    };
    decide(probe, answer).observing([observed])
}

fn decide(probe: &HttpProbe, answer: Result<Answer, HttpError>) -> Finding {
    let url = &probe.url;
    let must_not_answer = probe.unreachable == Some(true);
    let answer = match answer {
        Ok(answer) => answer,
        Err(HttpError::Url(why)) => return Finding::broken(format!("{url} to answer"), why),
        Err(error @ (HttpError::Refused | HttpError::Connect(_))) if must_not_answer => {
            return Finding::passed(format!("nothing to answer at {url}"), error.to_string());
        }
        Err(error) => {
            let expected = if must_not_answer { format!("nothing to answer at {url}") } else { expected_of(probe) };
            return Finding::failed(expected, error.to_string(), hint_of(&error));
        }
    };
    if must_not_answer {
        return Finding::failed(
            format!("nothing to answer at {url}"),
            format!("it answers {}: {}", status_text(answer.status), excerpt(&answer.body)),
            "`kubectl get services -A` lists who serves there",
        );
    }
    conclude(&expectations(probe, &answer))
}

fn expectations(probe: &HttpProbe, answer: &Answer) -> Vec<Expectation> {
    let url = &probe.url;
    let mut expectations = Vec::new();
    // Without a wish, any answer that is not an error.
    let status_is_right = match probe.status {
        Some(status) => answer.status == status,
        None => answer.status < 400,
    };
    let expected = match probe.status {
        Some(status) => format!("{url} to answer {}", status_text(status)),
        None => format!("{url} to answer"),
    };
    let mut actual = format!("it answers {}", status_text(answer.status));
    if let Some(location) = &answer.location {
        actual.push_str(&format!(" and points to {location}"));
    }
    if status_is_right {
        expectations.push(Expectation::met(expected, actual));
    } else {
        let hint = match answer.status {
            404 => "the server runs, but has no such page: look at the address and at what the image serves",
            502..=504 => "a server before the app answers, the app does not: `kubectl get pods -A` shows its pods",
            500..=599 => "`kubectl logs` of the pod says what went wrong",
            _ => "`curl -i` on that address shows the whole answer",
        };
        expectations.push(Expectation::unmet(expected, format!("{actual}: {}", excerpt(&answer.body)), hint));
        return expectations;
    }
    if let Some(part) = &probe.contains {
        let found = file::contains(&format!("{url} to contain `{part}`"), part, &answer.body);
        let found = if found.met || answer.body.trim().is_empty() {
            found
        } else {
            let hint = "is the change committed, and converged to this environment? Then the page shows it".into();
            Expectation { actual: page_without(&found.actual, &answer.body), hint, ..found }
        };
        expectations.push(found);
    }
    if let Some(part) = &probe.not_contains {
        let expected = format!("{url} not to contain `{part}`");
        expectations.push(match answer.body.lines().find(|line| line.contains(part.as_str())) {
            Some(line) => Expectation::unmet(
                expected,
                format!("it says `{}`", line.trim()),
                "has the change been converged to this environment?",
            ),
            None => Expectation::met(expected, "it does not"),
        });
    }
    expectations
}

/// What the page says instead.
fn page_without(nearest: &str, body: &str) -> String {
    if nearest.contains("nearest is line") {
        nearest.to_owned()
    } else {
        format!("not there; it says {}", excerpt(body))
    }
}

fn expected_of(probe: &HttpProbe) -> String {
    let mut text = match probe.status {
        Some(status) => format!("{} to answer {}", probe.url, status_text(status)),
        None => format!("{} to answer", probe.url),
    };
    if let Some(part) = &probe.contains {
        text.push_str(&format!(" with `{part}`"));
    }
    text
}

fn hint_of(error: &HttpError) -> &'static str {
    match error {
        HttpError::Refused | HttpError::Connect(_) => {
            "nothing serves there yet: `kubectl get services,pods -A` shows what is deployed, and on which port"
        }
        HttpError::Host(_) => "look at the address",
        HttpError::Closed | HttpError::Slow => {
            "the Service is there, but no pod is ready behind it: `kubectl get pods -A` shows them"
        }
        _ => "`curl -i` on that address shows the whole answer",
    }
}

fn status_text(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    reason.map_or_else(|| status.to_string(), |reason| format!("{status} {reason}"))
}

/// The beginning of a page's text, without its markup.
fn excerpt(body: &str) -> String {
    let mut text = String::new();
    let mut inside_tag = false;
    for character in body.chars().take(4000) {
        match character {
            '<' => inside_tag = true,
            '>' => {
                inside_tag = false;
                text.push(' ');
            }
            other if !inside_tag => text.push(other),
            _ => {}
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.is_empty() {
        return "an empty page".into();
    }
    let cut: String = line.chars().take(90).collect();
    if cut.len() < line.len() { format!("\"{cut}…\"") } else { format!("\"{cut}\"") }
}

async fn get(url: &str) -> Result<Answer, HttpError> {
    let uri: http::Uri = url.parse().map_err(|error| HttpError::Url(format!("`{url}` is no URL: {error}")))?;
    let host = uri.host().ok_or_else(|| HttpError::Url(format!("`{url}` names no host")))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(HttpError::Url("a check asks by http, not by https".into())),
        _ => return Err(HttpError::Url(format!("`{url}` does not begin with http://"))),
    }
    let stream = connect(host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| HttpError::Protocol(error.to_string()))?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = http::Request::get(path)
        .header("host", uri.authority().map_or(host, |authority| authority.as_str()))
        .header("user-agent", "tutorial-check")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| HttpError::Url(error.to_string()))?;
    let response = sender.send_request(request).await;
    let answer = match response {
        Ok(response) => answer(response).await,
        Err(error) if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => {
            Err(HttpError::Closed)
        }
        Err(error) => {
            let reset = std::error::Error::source(&error)
                .and_then(|source| source.downcast_ref::<std::io::Error>())
                .is_some_and(|source| source.kind() == std::io::ErrorKind::ConnectionReset);
            Err(if reset { HttpError::Closed } else { HttpError::Protocol(error.to_string()) })
        }
    };
    connection.abort();
    answer
}

async fn answer(response: http::Response<hyper::body::Incoming>) -> Result<Answer, HttpError> {
    let status = response.status().as_u16();
    let location = response.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
    let body = body.map_err(|error| HttpError::Protocol(format!("the page broke off: {error}")))?;
    Ok(Answer { status, location, body: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, HttpError> {
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|_| HttpError::Host(host.to_owned()))?;
    let mut last = HttpError::Host(host.to_owned());
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => last = HttpError::Refused,
            Err(error) => last = HttpError::Connect(error),
        }
    }
    Err(last)
}
