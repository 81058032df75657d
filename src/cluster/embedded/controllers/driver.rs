//! The one task that carries plans out: reads events, looks at what they concern, waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::super::registry::{Event, EventKind, Next, Registry};
use super::super::schema;
use super::queue::{Key, Queue};
use super::route::{Selectors, route};
use super::sync::Syncing;

/// What the controllers are told by the process that runs them.
#[derive(Debug, Clone)]
pub struct Options {
    /// By how much deadlines are shortened; 1 for a learner.
    pub time_factor: f64,
    /// The certificate authority in PEM, for every namespace's `kube-root-ca.crt`.
    pub certificate_authority_pem: String,
    /// Where the API server listens on 127.0.0.1: the endpoint of the Service `kubernetes`.
    pub api_port: u16,
}

/// After so many keys in a row, other tasks of the process get their turn.
const TURN: usize = 16;

/// Runs the controllers until the task is aborted.
pub fn start(registry: Arc<Registry>, options: Options) -> tokio::task::JoinHandle<()> {
    tokio::spawn(run(registry, options))
}

async fn run(registry: Arc<Registry>, options: Options) {
    let mut syncing = Syncing::new(Arc::clone(&registry), options);
    let mut queue = Queue::default();
    syncing.announce_api_server();
    loop {
        // Subscribed first, so that nothing falls between the list and the events.
        let mut events = registry.subscribe();
        let mut selectors = Selectors::default();
        look_at_everything(&registry, &mut selectors, &mut queue);
        let mut turn = 0;
        loop {
            let lagged = loop {
                match events.try_next() {
                    Some(Next::Event(event)) => route(&event, &registry, &mut selectors, &mut queue),
                    Some(Next::Lagged) => break true,
                    None => break false,
                }
            };
            if lagged {
                break;
            }
            queue.wake(Instant::now());
            if let Some(key) = queue.pop() {
                look(&mut syncing, &mut queue, key);
                turn += 1;
                if turn % TURN == 0 {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            let due = queue.next_due();
            tokio::select! {
                next = events.next() => match next {
                    Next::Event(event) => route(&event, &registry, &mut selectors, &mut queue),
                    Next::Lagged => break,
                },
                () = until(due) => {}
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

fn look(syncing: &mut Syncing, queue: &mut Queue, key: Key) {
    let now = Timestamp::now();
    match syncing.sync(&key, now) {
        Ok(again_at) => {
            queue.succeeded(&key);
            if let Some(at) = again_at {
                let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                queue.push_at(key, Instant::now() + wait + Duration::from_millis(1));
            }
        }
        Err(_) => queue.failed(key, Instant::now()),
    }
}

/// Every object, as if it had just been made: at the start, and after the driver has fallen behind.
fn look_at_everything(registry: &Registry, selectors: &mut Selectors, queue: &mut Queue) {
    for kind in schema::kinds() {
        if kind.name == "Event" {
            continue;
        }
        for entry in registry.list(kind, None) {
            let event = Event { kind: EventKind::Added, entry, previous: None };
            route(&event, registry, selectors, queue);
        }
    }
    queue.push(Key::Events);
}
