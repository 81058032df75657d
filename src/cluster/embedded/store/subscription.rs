//! A reader of the history: holds a position, not a queue.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use super::history::Event;
use super::{Kind, Store};

/// What a subscription yields.
#[derive(Debug, Clone)]
pub enum Next {
    Event(Event),
    /// The history no longer has what this reader has not seen: list again and subscribe anew.
    Lagged,
}

/// Events in order, from a revision on. Bounded: it reads the store's one history in small batches.
#[derive(Debug)]
pub struct Subscription {
    store: Arc<Store>,
    kind: Option<&'static Kind>,
    position: u64,
    batch: VecDeque<Event>,
    wake: watch::Receiver<u64>,
}

/// So many events leave the history's lock at a time.
const BATCH: usize = 256;

impl Subscription {
    pub(super) fn new(
        store: Arc<Store>,
        kind: Option<&'static Kind>,
        position: u64,
        wake: watch::Receiver<u64>,
    ) -> Self {
        Self { store, kind, position, batch: VecDeque::new(), wake }
    }

    /// Waits for the next event. Cancel safe.
    pub async fn next(&mut self) -> Next {
        loop {
            self.wake.borrow_and_update();
            if let Some(next) = self.try_next() {
                return next;
            }
            if self.wake.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next event where there is one already.
    pub fn try_next(&mut self) -> Option<Next> {
        if self.batch.is_empty() && !self.fill() {
            return Some(Next::Lagged);
        }
        self.batch.pop_front().map(Next::Event)
    }

    /// Everything up to this revision has been yielded, once `try_next` has returned `None`.
    pub fn position(&self) -> u64 {
        self.batch.front().map_or(self.position, |event| event.entry.revision - 1)
    }

    fn fill(&mut self) -> bool {
        let state = self.store.read();
        let Some(events) = state.history.after(self.position) else { return false };
        self.batch.extend(
            events
                .filter(|event| self.kind.is_none_or(|kind| std::ptr::eq(kind, event.entry.kind)))
                .take(BATCH)
                .cloned(),
        );
        self.position = match self.batch.back() {
            Some(last) if self.batch.len() == BATCH => last.entry.revision,
            _ => state.revision.max(self.position),
        };
        true
    }
}
