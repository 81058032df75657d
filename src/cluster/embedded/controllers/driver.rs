//! The one task that carries plans out: reads events, looks at what they concern, waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

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

/// The running controllers.
#[derive(Debug)]
pub struct Controllers {
    task: tokio::task::JoinHandle<()>,
    caught_up: watch::Receiver<u64>,
}

impl Controllers {
    /// Waits until they have seen the registry's revision and have nothing left to do about it; what they do later,
    /// at a deadline, is not waited for.
    pub async fn caught_up(&self, registry: &Registry) {
        let mut caught_up = self.caught_up.clone();
        loop {
            let revision = registry.revision();
            if caught_up.wait_for(|seen| *seen >= revision).await.is_err() || registry.revision() == revision {
                return;
            }
        }
    }

    /// Ends them where they are.
    pub fn stop(&self) {
        self.task.abort();
    }
}

/// What is due within this time is still a part of what is going on.
const SOON: Duration = Duration::from_millis(500);

/// After so many keys in a row, other tasks of the process get their turn.
const TURN: usize = 16;

/// Runs the controllers until they are stopped.
pub fn start(registry: Arc<Registry>, options: Options) -> Controllers {
    let (seen, caught_up) = watch::channel(0);
    Controllers { task: tokio::spawn(run(registry, options, seen)), caught_up }
}

async fn run(registry: Arc<Registry>, options: Options, seen: watch::Sender<u64>) {
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
            let revision = registry.revision();
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
            if due.is_none_or(|due| due > Instant::now() + SOON) {
                seen.send_replace(revision);
            }
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
