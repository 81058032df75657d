//! What is to be looked at: each key once, in order; some of them only later.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// One thing that a controller looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    Deployment {
        namespace: String,
        name: String,
    },
    ReplicaSet {
        namespace: String,
        name: String,
    },
    /// A Service's endpoints.
    Service {
        namespace: String,
        name: String,
    },
    Namespace {
        name: String,
    },
    /// An object with owners, by its uid.
    Dependent {
        uid: String,
    },
    /// An object that is being deleted, by its uid.
    Owner {
        uid: String,
    },
    /// Events that have grown old.
    Events,
}

const BACK_OFF_FIRST: Duration = Duration::from_millis(20);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);

impl Key {
    /// Deployments are looked at before their ReplicaSets go on, so that they see every step of them.
    fn rank(&self) -> usize {
        match self {
            Self::Deployment { .. } => 0,
            Self::ReplicaSet { .. } => 1,
            _ => 2,
        }
    }
}

/// The keys to look at now, those to look at later, and how often each failed in a row.
#[derive(Debug, Default)]
pub struct Queue {
    now: [VecDeque<Key>; 3],
    waiting: HashSet<Key>,
    later: BTreeSet<(Instant, Key)>,
    due: HashMap<Key, Instant>,
    failures: HashMap<Key, u32>,
}

impl Queue {
    pub fn push(&mut self, key: Key) {
        if self.waiting.insert(key.clone()) {
            self.now[key.rank()].push_back(key);
        }
    }

    pub fn pop(&mut self) -> Option<Key> {
        let key = self.now.iter_mut().find_map(VecDeque::pop_front)?;
        self.waiting.remove(&key);
        Some(key)
    }

    /// Looks at a key at a time, or earlier where it is due earlier already.
    pub fn push_at(&mut self, key: Key, at: Instant) {
        if let Some(before) = self.due.get(&key).copied() {
            if before <= at {
                return;
            }
            self.later.remove(&(before, key.clone()));
        }
        self.due.insert(key.clone(), at);
        self.later.insert((at, key));
    }

    /// The time at which the next key is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    /// Moves what is due to what is to be looked at now.
    pub fn wake(&mut self, now: Instant) {
        while let Some((at, key)) = self.later.pop_first() {
            if at > now {
                self.later.insert((at, key));
                return;
            }
            self.due.remove(&key);
            self.push(key);
        }
    }

    pub fn succeeded(&mut self, key: &Key) {
        self.failures.remove(key);
    }

    /// Looks again after a while that doubles with each failure in a row.
    pub fn failed(&mut self, key: Key, now: Instant) {
        let failures = self.failures.entry(key.clone()).or_default();
        let wait = BACK_OFF_FIRST.saturating_mul(1 << (*failures).min(16)).min(BACK_OFF_MAX);
        *failures += 1;
        self.push_at(key, now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_there_once() {
        let mut queue = Queue::default();
        queue.push(Key::Events);
        queue.push(Key::Events);
        assert_eq!((queue.pop(), queue.pop()), (Some(Key::Events), None));
    }

    #[test]
    fn the_earliest_time_counts() {
        let mut queue = Queue::default();
        let start = Instant::now();
        queue.push_at(Key::Events, start + Duration::from_secs(9));
        queue.push_at(Key::Events, start + Duration::from_secs(5));
        queue.push_at(Key::Events, start + Duration::from_secs(7));
        assert_eq!(queue.next_due(), Some(start + Duration::from_secs(5)));
        queue.wake(start + Duration::from_secs(6));
        assert_eq!((queue.pop(), queue.next_due()), (Some(Key::Events), None));
    }

    #[test]
    fn failures_wait_longer_and_longer() {
        let mut queue = Queue::default();
        let start = Instant::now();
        queue.failed(Key::Events, start);
        let first = queue.next_due().unwrap() - start;
        queue.wake(start + first);
        queue.failed(Key::Events, start);
        assert_eq!(queue.next_due().unwrap() - start, first * 2);
    }
}
