//! What the API asks of running pods: logs, commands, connections.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::super::api::{Duplex, ExecRequest, ExecStreams, LogOptions, PodAccess};
use super::super::registry::Entry;
use super::super::status::Status;
use super::log::{Line, Log};
use super::pod::Pod;
use super::web::serve_connection;
use super::{GATEWAY_ADDRESS, Node, exec};

/// Bytes that a forwarded connection may hold back.
const BUFFER: usize = 64 * 1024;

impl PodAccess for Node {
    fn logs(&self, pod: Arc<Entry>, options: LogOptions) -> BoxFuture<'_, Result<BoxStream<'static, Bytes>, Status>> {
        Box::pin(async move {
            let waiting = || {
                let why = match waiting_reason(&pod, &options.container).as_str() {
                    "ErrImagePull" => "image can't be pulled".to_owned(),
                    "ImagePullBackOff" => "trying and failing to pull image".to_owned(),
                    reason => reason.to_owned(),
                };
                let name = &options.container;
                let message = format!("container \"{name}\" in pod \"{}\" is waiting to start: {why}", pod.name);
                Status::new(400, "BadRequest", message)
            };
            let found = self.shared.pod(&pod.uid).ok_or_else(waiting)?;
            let index = exec::container_index(&found, &options.container).ok_or_else(waiting)?;
            let log = found.log(index, options.previous).ok_or_else(|| {
                if options.previous {
                    let message = format!(
                        "previous terminated container \"{}\" in pod \"{}\" not found",
                        options.container, pod.name
                    );
                    Status::new(400, "BadRequest", message)
                } else {
                    waiting()
                }
            })?;
            Ok(log_stream(log, &options))
        })
    }

    fn exec(&self, pod: Arc<Entry>, request: ExecRequest, streams: ExecStreams) -> BoxFuture<'_, Result<i32, Status>> {
        Box::pin(async move {
            let (found, index) = self.running(&pod, &request.container)?;
            Ok(exec::with_streams(&found, index, &request, streams).await)
        })
    }

    fn attach(
        &self,
        pod: Arc<Entry>,
        request: ExecRequest,
        streams: ExecStreams,
    ) -> BoxFuture<'_, Result<i32, Status>> {
        Box::pin(async move {
            let (found, index) = self.running(&pod, &request.container)?;
            let Some(log) = found.log(index, false) else { return Ok(0) };
            let (written, _) = log.from(0);
            let next = written.last().map_or(0, |line| line.number + 1);
            let mut lines = follow(log, next).boxed();
            while let Some(line) = lines.next().await {
                if streams.stdout.send(format!("{}\n", line.text).into()).await.is_err() {
                    break;
                }
            }
            Ok(0)
        })
    }

    fn connect(&self, pod: Arc<Entry>, port: u16) -> BoxFuture<'_, Result<Box<dyn Duplex>, Status>> {
        Box::pin(async move {
            let found = self.shared.pod(&pod.uid).filter(|pod| pod.listens(port)).ok_or_else(|| {
                let message = format!("failed to connect to localhost:{port} inside namespace: connection refused");
                Status::new(500, "InternalError", message)
            })?;
            let (ours, theirs) = tokio::io::duplex(BUFFER);
            let ending = Arc::clone(&found);
            let stopped = async move { ending.ended().await };
            tokio::spawn(serve_connection(ours, GATEWAY_ADDRESS.into(), port, stopped, move |query, now| {
                found.answer(query, now)
            }));
            Ok(Box::new(theirs) as Box<dyn Duplex>)
        })
    }
}

impl Node {
    fn running(&self, pod: &Entry, container: &str) -> Result<(Arc<Pod>, usize), Status> {
        let found = self.shared.pod(&pod.uid);
        let index = found.as_ref().and_then(|found| exec::container_index(found, container));
        match (found, index) {
            (Some(found), Some(index)) if found.live(index).is_some() => Ok((found, index)),
            _ => Err(Status::new(
                500,
                "InternalError",
                format!("unable to upgrade connection: container not found (\"{container}\")"),
            )),
        }
    }
}

fn waiting_reason(pod: &Entry, container: &str) -> String {
    let object = pod.value();
    let list = |key: &str| object["status"][key].as_array().cloned().unwrap_or_default();
    let statuses = [list("initContainerStatuses"), list("containerStatuses")].concat();
    let status = statuses.iter().find(|status| status["name"] == container);
    status.and_then(|status| status["state"]["waiting"]["reason"].as_str()).unwrap_or("ContainerCreating").to_owned()
}

fn log_stream(log: Arc<Log>, options: &LogOptions) -> BoxStream<'static, Bytes> {
    let (mut lines, _) = log.from(0);
    let next = lines.last().map_or(0, |line| line.number + 1);
    if let Some(since) = options.since_seconds_1970 {
        lines.retain(|line| line.time.as_second() >= since);
    }
    if let Some(tail) = options.tail_lines {
        let skip = lines.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
        lines.drain(..skip);
    }
    let stamped = options.timestamps;
    let format = move |line: Line| -> Bytes {
        if stamped { format!("{} {}\n", line.time, line.text).into() } else { format!("{}\n", line.text).into() }
    };
    let mut text: Vec<u8> = lines.into_iter().flat_map(|line| format(line).to_vec()).collect();
    if let Some(limit) = options.limit_bytes {
        text.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let written = stream::iter([Bytes::from(text)]).filter(|text| std::future::ready(!text.is_empty()));
    if options.follow { written.chain(follow(log, next).map(format)).boxed() } else { written.boxed() }
}

/// The lines from `next` on, as they come, until the container ends.
fn follow(log: Arc<Log>, next: u64) -> impl futures_util::Stream<Item = Line> + Send {
    let watch = log.watch();
    let batches = stream::unfold((log, next, watch, false), |(log, next, mut watch, done)| async move {
        if done {
            return None;
        }
        loop {
            watch.borrow_and_update();
            let (lines, more) = log.from(next);
            if !lines.is_empty() || !more {
                let next = lines.last().map_or(next, |line| line.number + 1);
                return Some((stream::iter(lines), (log, next, watch, !more)));
            }
            if watch.changed().await.is_err() {
                return None;
            }
        }
    });
    batches.flatten()
}
