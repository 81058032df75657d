//! `kubectl logs`.

use futures_util::StreamExt;
use http_body_util::BodyDataStream;
use serde_json::Value;

use super::connection::Connection;
use super::error::KubectlError;
use super::flags::{Arguments, Flag, switch, value};
use super::select::{self, Scope, Selection};
use super::{Outcome, output, positionals};

pub const FLAGS: &[Flag] = &[
    value("selector", Some('l')),
    value("container", Some('c')),
    value("tail", None),
    value("since", None),
    value("since-time", None),
    value("limit-bytes", None),
    value("max-log-requests", None),
    value("pod-running-timeout", None),
    switch("follow", Some('f')),
    switch("previous", Some('p')),
    switch("timestamps", None),
    switch("prefix", None),
    switch("all-containers", None),
    switch("all-pods", None),
    switch("ignore-errors", None),
];

/// One container whose log is wanted.
struct Source {
    namespace: String,
    pod: String,
    container: String,
}

pub async fn run(arguments: &Arguments) -> Outcome {
    let connection = Connection::open(arguments).await?;
    let sources = sources(&connection, arguments).await?;
    let prefix = arguments.is_set("prefix");
    // Several that are followed are read at the same time, line by line.
    let reads = sources.iter().map(|source| read(&connection, arguments, source, prefix, sources.len() > 1));
    if arguments.is_set("follow") {
        let results = futures_util::future::join_all(reads).await;
        results.into_iter().collect::<Result<Vec<()>, KubectlError>>()?;
    } else {
        for read in reads {
            read.await?;
        }
    }
    Ok(0)
}

async fn sources(connection: &Connection, arguments: &Arguments) -> Result<Vec<Source>, KubectlError> {
    let words = positionals(arguments);
    let by_selector = arguments.value("selector").is_some();
    let pods = match (by_selector, words.as_slice()) {
        (true, _) => {
            let resource = connection.resource("pods").await?.clone();
            let selection = Selection { resource, name: None };
            let (found, errors) = select::objects(connection, &[selection], &Scope::of(arguments)).await;
            if let Some(error) = KubectlError::of(errors) {
                return Err(error);
            }
            if found.is_empty() {
                output::complain(&format!("No resources found in {} namespace.", connection.namespace));
            }
            found.into_iter().map(|(_, pod)| pod).collect()
        }
        (false, [word, ..]) => {
            let found = pods_of(connection, word).await?;
            if found.len() > 1 && !arguments.is_set("all-pods") {
                let name = found[0]["metadata"]["name"].as_str().unwrap_or_default();
                output::complain(&format!("Found {} pods, using pod/{name}", found.len()));
                found.into_iter().take(1).collect()
            } else {
                found
            }
        }
        (false, []) => {
            return Err(KubectlError::Plain("error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command\nSee 'kubectl logs -h' for help and examples".into()));
        }
    };
    let named = words.get(1).copied().or(arguments.value("container"));
    let mut sources = Vec::new();
    for pod in &pods {
        sources.extend(containers(pod, named, arguments.is_set("all-containers"))?);
    }
    Ok(sources)
}

/// The pods that a word means: a pod itself, or those of `deploy/web`; the readiest first.
pub async fn pods_of(connection: &Connection, word: &str) -> Result<Vec<Value>, KubectlError> {
    let (kind, name) = word.split_once('/').unwrap_or(("pods", word));
    let resource = connection.resource(kind).await?;
    let object = connection.get(&resource.object(&connection.namespace, name)).await.map_err(|error| {
        if error.is_not_found() && !word.contains('/') {
            KubectlError::other(format!(
                "error from server (NotFound): {} in namespace \"{}\"",
                error.message(),
                connection.namespace
            ))
        } else {
            error
        }
    })?;
    if resource.kind == "Pod" {
        return Ok(vec![object]);
    }
    let selector = match object["spec"]["selector"].get("matchLabels").or_else(|| object.pointer("/spec/selector")) {
        Some(Value::Object(labels)) if !labels.is_empty() => {
            let terms = labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
            terms.collect::<Vec<_>>().join(",")
        }
        _ => return Err(KubectlError::other(format!("cannot find the pods of {word}"))),
    };
    let pods = connection.resource("pods").await?.clone();
    let scope = Scope { labels: Some(selector), ..Scope::default() };
    let (found, errors) = select::objects(connection, &[Selection { resource: pods, name: None }], &scope).await;
    if let Some(error) = KubectlError::of(errors) {
        return Err(error);
    }
    let mut pods: Vec<Value> = found.into_iter().map(|(_, pod)| pod).collect();
    if pods.is_empty() {
        return Err(KubectlError::other(format!("timed out waiting for the condition: {word} has no pods")));
    }
    let rank = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array();
        let is_ready = conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True");
        (
            pod["status"]["phase"] != "Running",
            !is_ready,
            pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned(),
        )
    };
    pods.sort_by_key(rank);
    Ok(pods)
}

fn containers(pod: &Value, named: Option<&str>, all: bool) -> Result<Vec<Source>, KubectlError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&pod["metadata"]["name"]);
    let list = |field: &str| -> Vec<String> {
        pod["spec"][field].as_array().into_iter().flatten().map(|container| text(&container["name"])).collect()
    };
    let main = list("containers");
    let every: Vec<String> = list("initContainers").into_iter().chain(main.clone()).collect();
    let default = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
    let chosen = match (named.or(default), all) {
        (_, true) => every,
        (Some(container), false) if every.iter().any(|known| known == container) => vec![container.to_owned()],
        (Some(container), false) => {
            return Err(KubectlError::other(format!("container {container} is not valid for pod {name}")));
        }
        (None, false) => {
            if main.len() > 1 {
                output::complain(&format!("Defaulted container \"{}\" out of: {}", main[0], main.join(", ")));
            }
            main.into_iter().take(1).collect()
        }
    };
    let namespace = text(&pod["metadata"]["namespace"]);
    let source = |container| Source { namespace: namespace.clone(), pod: name.clone(), container };
    Ok(chosen.into_iter().map(source).collect())
}

async fn read(
    connection: &Connection,
    arguments: &Arguments,
    source: &Source,
    prefix: bool,
    is_one_of_many: bool,
) -> Result<(), KubectlError> {
    let mut query = vec![format!("container={}", source.container)];
    for (flag, parameter) in [("follow", "follow"), ("previous", "previous"), ("timestamps", "timestamps")] {
        if arguments.is_set(flag) {
            query.push(format!("{parameter}=true"));
        }
    }
    // With a selector, ten lines of each are shown unless more are asked for.
    let tail = arguments.number("tail")?.or((arguments.value("selector").is_some()).then_some(10));
    query.extend(tail.filter(|lines| *lines >= 0).map(|lines| format!("tailLines={lines}")));
    query.extend(arguments.duration("since")?.map(|since| format!("sinceSeconds={}", since.as_secs().max(1))));
    query.extend(arguments.value("since-time").map(|time| format!("sinceTime={time}")));
    query.extend(arguments.number("limit-bytes")?.map(|bytes| format!("limitBytes={bytes}")));
    let path = format!("/api/v1/namespaces/{}/pods/{}/log?{}", source.namespace, source.pod, query.join("&"));
    let response = connection.send(http::Method::GET, &path, "*/*", None).await?;
    let mut stream = BodyDataStream::new(response.into_body());
    let title = if prefix { format!("[pod/{}/{}] ", source.pod, source.container) } else { String::new() };
    let mut pending: Vec<u8> = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| KubectlError::other(format!("the log broke off: {error}")))?;
        if title.is_empty() && !is_one_of_many {
            output::print(&String::from_utf8_lossy(&chunk));
            continue;
        }
        pending.extend_from_slice(&chunk);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            output::print(&format!("{title}{}", String::from_utf8_lossy(&line)));
        }
    }
    if !pending.is_empty() {
        output::print(&format!("{title}{}", String::from_utf8_lossy(&pending)));
    }
    Ok(())
}
