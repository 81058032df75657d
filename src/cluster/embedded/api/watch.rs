//! Watches: a stream of events from the history, each object's cached bytes in a small frame.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};

use super::super::registry::{Entry, Event, EventKind, Next, Subscription};
use super::super::schema::Kind;
use super::super::status::Status;
use super::answer::{self, Answer};
use super::handle::Context;
use super::list::{self, Versions};
use super::negotiate::Representation;
use super::route::Target;
use super::selector::Selector;
use super::table;

const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);
/// A frame is sent once it holds so much, or when there is nothing more to send.
const FRAME_BYTES: usize = 64 << 10;

/// One client's watch.
struct Watch {
    kind: &'static Kind,
    namespace: Option<String>,
    selector: Selector,
    representation: Representation,
    include: table::Include,
    /// Whether a Table's column definitions were sent; later Tables leave them out.
    columns_sent: bool,
    bookmarks: bool,
    initial: VecDeque<Arc<Entry>>,
    /// The bookmark that ends the initial events, at this revision.
    initial_end: Option<u64>,
    subscription: Subscription,
    // Kept over the events: each new timer would be entered into the runtime's one wheel.
    deadline: Pin<Box<Sleep>>,
    next_bookmark: Pin<Box<Sleep>>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

pub(super) fn answer(
    context: &Context,
    target: &Target<'_>,
    selector: Selector,
    versions: &Versions,
    representation: Representation,
) -> Result<Answer, Status> {
    let query = &context.query;
    let seconds = query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
    let seconds = seconds.unwrap_or_else(|| fastrand::i64(1800..3600)).min(86_400);
    let include = table::Include::parse(query.get("includeObject"))?;
    let permit = Arc::clone(&context.server.watches).try_acquire_owned().map_err(|_| {
        Status::new(429, "TooManyRequests", "too many watches, please try again later")
            .with_details(json!({"retryAfterSeconds": 1}))
    })?;
    let registry = &context.server.registry;
    let wants_initial = versions.send_initial_events.unwrap_or(versions.revision.unwrap_or(0) == 0);
    let (initial, after) = if wants_initial {
        let (revision, entries) = registry.list_with_revision(target.kind, target.namespace);
        if let Some(wanted) = versions.revision.filter(|wanted| *wanted > revision) {
            return Err(list::too_large(wanted, revision));
        }
        (entries.into_iter().filter(|entry| selector.matches(entry)).collect(), revision)
    } else {
        (VecDeque::new(), versions.revision.filter(|revision| *revision > 0).unwrap_or_else(|| registry.revision()))
    };
    let bookmarks = query.flag("allowWatchBookmarks");
    let now = Instant::now();
    let watch = Watch {
        kind: target.kind,
        namespace: target.namespace.map(Into::into),
        selector,
        representation,
        include,
        columns_sent: false,
        bookmarks,
        initial,
        initial_end: (bookmarks && versions.send_initial_events == Some(true)).then_some(after),
        subscription: registry.watch(target.kind, after),
        deadline: Box::pin(sleep_until(now + Duration::from_secs(seconds.unsigned_abs()))),
        next_bookmark: Box::pin(sleep_until(now + BOOKMARK_PERIOD)),
        ended: false,
        _permit: permit,
    };
    let frames = stream::unfold(watch, |mut watch| async move {
        let bytes = watch.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(bytes)), watch))
    });
    Ok(answer::stream("application/json", StreamBody::new(frames).boxed_unsync()))
}

impl Watch {
    /// The next frame: all that there is by now, or the first that comes. `None` ends the watch.
    async fn next(&mut self) -> Option<Bytes> {
        let mut frame = BytesMut::new();
        while !self.ended {
            self.fill(&mut frame);
            if !frame.is_empty() {
                return Some(frame.freeze());
            }
            if self.ended {
                break;
            }
            tokio::select! {
                next = self.subscription.next() => self.take(next, &mut frame),
                () = &mut self.deadline => self.ended = true,
                () = &mut self.next_bookmark, if self.bookmarks => {
                    let next = self.next_bookmark.deadline() + BOOKMARK_PERIOD;
                    self.next_bookmark.as_mut().reset(next);
                    let revision = self.subscription.position();
                    self.bookmark(revision, false, &mut frame);
                }
            }
            if !frame.is_empty() {
                self.fill(&mut frame);
                return Some(frame.freeze());
            }
        }
        None
    }

    /// Adds what is there already.
    fn fill(&mut self, frame: &mut BytesMut) {
        while frame.len() < FRAME_BYTES {
            let Some(entry) = self.initial.pop_front() else { break };
            self.event("ADDED", &entry, frame);
        }
        if self.initial.is_empty()
            && let Some(revision) = self.initial_end.take()
        {
            self.bookmark(revision, true, frame);
        }
        while self.initial.is_empty() && frame.len() < FRAME_BYTES && !self.ended {
            let Some(next) = self.subscription.try_next() else { break };
            self.take(next, frame);
        }
    }

    fn take(&mut self, next: Next, frame: &mut BytesMut) {
        match next {
            Next::Event(event) => self.translate(&event, frame),
            Next::Lagged => {
                let current = self.subscription.position();
                let message = format!("too old resource version: {current}");
                let status = Status::new(410, "Expired", message);
                line("ERROR", status.to_value().to_string().as_bytes(), frame);
                self.ended = true;
            }
        }
    }

    /// What a selector lets in or out is added or deleted for this client.
    fn translate(&mut self, event: &Event, frame: &mut BytesMut) {
        if self.namespace.as_deref().is_some_and(|namespace| namespace != &*event.entry.namespace) {
            return;
        }
        let before = event.previous.as_ref().is_some_and(|previous| self.selector.matches(previous));
        let now = event.kind != EventKind::Deleted && self.selector.matches(&event.entry);
        match (before, now) {
            (false, false) => {}
            (false, true) => self.event("ADDED", &event.entry, frame),
            (true, true) => self.event("MODIFIED", &event.entry, frame),
            (true, false) if event.kind == EventKind::Deleted => self.event("DELETED", &event.entry, frame),
            (true, false) => {
                if let Some(previous) = &event.previous {
                    self.event("DELETED", &previous.at_revision(event.entry.revision), frame);
                }
            }
        }
    }

    fn event(&mut self, kind: &str, entry: &Entry, frame: &mut BytesMut) {
        match self.representation {
            Representation::Json | Representation::Yaml => line(kind, &entry.json, frame),
            Representation::Metadata => {
                line(kind, list::partial(&entry.value(), true).to_string().as_bytes(), frame);
            }
            Representation::Table => {
                let metadata = json!({"resourceVersion": entry.revision.to_string()});
                let columns = !std::mem::replace(&mut self.columns_sent, true);
                let table = table::table(self.kind, &[entry.value()], self.include, &metadata, columns);
                line(kind, table.to_string().as_bytes(), frame);
            }
        }
    }

    fn bookmark(&mut self, revision: u64, initial_end: bool, frame: &mut BytesMut) {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object: Value = match self.representation {
            Representation::Table => table::table(self.kind, &[], self.include, &metadata, false),
            Representation::Metadata => {
                metadata["creationTimestamp"] = Value::Null;
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            _ => json!({"kind": self.kind.name, "apiVersion": self.kind.api_version(), "metadata": metadata}),
        };
        line("BOOKMARK", object.to_string().as_bytes(), frame);
    }
}

fn line(kind: &str, object: &[u8], frame: &mut BytesMut) {
    frame.reserve(object.len() + 40);
    frame.extend_from_slice(b"{\"type\":\"");
    frame.extend_from_slice(kind.as_bytes());
    frame.extend_from_slice(b"\",\"object\":");
    frame.extend_from_slice(object);
    frame.extend_from_slice(b"}\n");
}
