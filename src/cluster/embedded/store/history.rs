//! The last events, for watches that begin in the past. Bounded in number and bytes; what it no longer has is
//! answered with 410 Expired.

use std::collections::VecDeque;
use std::sync::Arc;

use super::entry::Entry;

/// A change that controllers, the node and watchers are told of.
#[derive(Debug, Clone)]
pub struct Event {
    pub kind: EventKind,
    /// The object after the change; after a deletion, its last state under the deletion's revision.
    pub entry: Arc<Entry>,
    /// The object before a modification or deletion, for selector transitions.
    pub previous: Option<Arc<Entry>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// The events after `floor`, in order of their revisions.
#[derive(Debug)]
pub(super) struct History {
    events: VecDeque<Event>,
    events_max: usize,
    bytes: usize,
    bytes_max: usize,
    floor: u64,
}

impl History {
    pub fn new(events_max: usize, bytes_max: usize) -> Self {
        Self { events: VecDeque::new(), events_max, bytes: 0, bytes_max, floor: 0 }
    }

    /// Forgets everything up to a revision.
    pub fn begin_at(&mut self, revision: u64) {
        self.events.clear();
        self.bytes = 0;
        self.floor = revision;
    }

    pub fn push(&mut self, event: Event) {
        self.bytes += event.entry.json.len();
        self.events.push_back(event);
        while self.events.len() > self.events_max || self.bytes > self.bytes_max && self.events.len() > 1 {
            let Some(dropped) = self.events.pop_front() else { break };
            self.bytes -= dropped.entry.json.len();
            self.floor = dropped.entry.revision;
        }
    }

    /// The events after a revision; `None` where some of them are gone.
    pub fn after(&self, revision: u64) -> Option<impl DoubleEndedIterator<Item = &Event>> {
        if revision < self.floor {
            return None;
        }
        // Nearly every reader has seen all but the last one or two.
        let is_seen = |event: &Event| event.entry.revision <= revision;
        let unseen = self.events.iter().rev().take(2).take_while(|event| !is_seen(event)).count();
        let start = match unseen {
            0 | 1 => self.events.len() - unseen,
            _ => self.events.partition_point(is_seen),
        };
        Some(self.events.range(start..))
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }
}
