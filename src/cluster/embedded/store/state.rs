//! The store's data, behind its one lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::entry::{Draft, Entry};
use super::history::{Event, EventKind, History};
use super::log::{Log, Operation, Record};
use super::{CommitError, Figures, Kind, Options, StoreError, address, schema};

/// `namespace/name`, in whose byte order Kubernetes lists.
type Key = Box<str>;
type Place = (usize, Key);

#[derive(Debug)]
pub(super) struct State {
    pub revision: u64,
    pub history: History,
    objects: HashMap<usize, BTreeMap<Key, Arc<Entry>>>,
    by_owner: HashMap<Box<str>, BTreeSet<Place>>,
    by_uid: HashMap<Box<str>, Place>,
    live_bytes: usize,
    log: Option<Log>,
    compact_at: u64,
}

impl State {
    pub fn new(options: &Options) -> Self {
        Self {
            revision: 0,
            history: History::new(options.history_events_max, options.history_bytes_max),
            objects: schema::kinds().iter().map(|kind| (address(kind), BTreeMap::new())).collect(),
            by_owner: HashMap::new(),
            by_uid: HashMap::new(),
            live_bytes: 0,
            log: None,
            compact_at: options.compaction_bytes_min,
        }
    }

    pub fn attach(&mut self, log: Log) {
        self.log = Some(log);
    }

    pub fn get(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.objects.get(&address(kind))?.get(&*key(namespace, name)).cloned()
    }

    pub fn list(&self, kind: &'static Kind, namespace: Option<&str>) -> Vec<Arc<Entry>> {
        let Some(objects) = self.objects.get(&address(kind)) else { return Vec::new() };
        match namespace {
            None => objects.values().cloned().collect(),
            Some(namespace) => {
                let first = format!("{namespace}/");
                let last = format!("{namespace}0");
                let range = (Bound::Included(&*first), Bound::Excluded(&*last));
                objects.range::<str, _>(range).map(|(_, entry)| Arc::clone(entry)).collect()
            }
        }
    }

    pub fn list_at(&self, kind: &'static Kind, namespace: Option<&str>, revision: u64) -> Option<Vec<Arc<Entry>>> {
        let since = self.history.after(revision)?;
        let mut objects: BTreeMap<Key, Arc<Entry>> =
            self.list(kind, namespace).into_iter().map(|entry| (entry_key(&entry), entry)).collect();
        let concerned = |entry: &Entry| {
            std::ptr::eq(kind, entry.kind) && namespace.is_none_or(|namespace| namespace == &*entry.namespace)
        };
        for event in since.rev().filter(|event| concerned(&event.entry)) {
            match &event.previous {
                Some(previous) => objects.insert(entry_key(previous), Arc::clone(previous)),
                None => objects.remove(&entry_key(&event.entry)),
            };
        }
        Some(objects.into_values().collect())
    }

    pub fn all(&self) -> Vec<Arc<Entry>> {
        schema::kinds().iter().flat_map(|kind| self.list(kind, None)).collect()
    }

    pub fn by_owner(&self, uid: &str) -> Vec<Arc<Entry>> {
        self.by_owner.get(uid).into_iter().flatten().filter_map(|place| self.at(place)).collect()
    }

    pub fn by_uid(&self, uid: &str) -> Option<Arc<Entry>> {
        self.at(self.by_uid.get(uid)?)
    }

    fn at(&self, (kind, key): &Place) -> Option<Arc<Entry>> {
        self.objects.get(kind)?.get(key).cloned()
    }

    pub fn figures(&self) -> Figures {
        Figures {
            revision: self.revision,
            objects: self.objects.values().map(BTreeMap::len).sum(),
            object_bytes: self.live_bytes,
            history_events: self.history.len(),
            log_bytes: self.log.as_ref().map_or(0, Log::length),
        }
    }

    /// Commits a draft over the object that its maker saw.
    pub fn put(&mut self, draft: &Draft, live: Option<&Arc<Entry>>) -> Result<Event, CommitError> {
        let entry = draft.seal(self.revision + 1);
        self.check_unchanged(&entry, live)?;
        if live.is_none() && !entry.namespace.is_empty() {
            self.check_namespace(&entry.namespace)?;
        }
        self.append([(entry.revision, Operation::Put, &*entry.json)])?;
        let kind = if live.is_some() { EventKind::Modified } else { EventKind::Added };
        let event = Event { kind, entry: Arc::new(entry), previous: live.cloned() };
        self.apply(&event);
        self.compact_if_worthwhile();
        Ok(event)
    }

    /// Commits a deletion.
    pub fn remove(&mut self, live: &Arc<Entry>, last: Option<&Draft>) -> Result<Event, CommitError> {
        self.check_unchanged(live, Some(live))?;
        let revision = self.revision + 1;
        let entry = last.map_or_else(|| live.at_revision(revision), |last| last.seal(revision));
        self.append([(revision, Operation::Delete, &*entry.json)])?;
        let event = Event { kind: EventKind::Deleted, entry: Arc::new(entry), previous: Some(Arc::clone(live)) };
        self.apply(&event);
        self.compact_if_worthwhile();
        Ok(event)
    }

    fn check_unchanged(&self, new: &Entry, live: Option<&Arc<Entry>>) -> Result<(), CommitError> {
        let stored = self.objects.get(&address(new.kind)).and_then(|objects| objects.get(&*entry_key(new)));
        let unchanged = match (stored, live) {
            (None, None) => true,
            (Some(stored), Some(live)) => Arc::ptr_eq(stored, live),
            _ => false,
        };
        if unchanged { Ok(()) } else { Err(CommitError::Changed) }
    }

    fn check_namespace(&self, namespace: &str) -> Result<(), CommitError> {
        let Some(kind) = schema::by_kind("v1", "Namespace") else { return Ok(()) };
        match self.get(kind, "", namespace) {
            None => Err(CommitError::NamespaceMissing),
            Some(entry) if entry.deleting => Err(CommitError::NamespaceTerminating),
            Some(_) => Ok(()),
        }
    }

    /// Makes the objects those of a snapshot's records.
    pub fn restore(&mut self, records: Vec<Record>) -> Result<Vec<Event>, StoreError> {
        let wanted: BTreeMap<Place, Entry> = records
            .into_iter()
            .filter(|record| record.operation == Operation::Put)
            .filter_map(|record| Entry::from_stored(record.json, record.revision))
            .map(|entry| ((address(entry.kind), entry_key(&entry)), entry))
            .collect();
        let events = self.plan_restore(&wanted);
        self.append(events.iter().map(|event| (event.entry.revision, operation(event.kind), &*event.entry.json)))?;
        for event in &events {
            self.apply(event);
        }
        self.compact_if_worthwhile();
        Ok(events)
    }

    /// Deletions first; then what differs, namespaces before what is in them, because clients watch.
    fn plan_restore(&self, wanted: &BTreeMap<Place, Entry>) -> Vec<Event> {
        let mut revision = self.revision;
        let mut events = Vec::new();
        let mut push = |kind: EventKind, entry: &Entry, previous: Option<Arc<Entry>>| {
            revision += 1;
            events.push(Event { kind, entry: Arc::new(entry.at_revision(revision)), previous });
        };
        let kept = |live: &Entry| {
            wanted.get(&(address(live.kind), entry_key(live))).is_some_and(|wanted| wanted.uid == live.uid)
        };
        for live in self.all().into_iter().rev().filter(|live| !kept(live)) {
            push(EventKind::Deleted, &live, Some(Arc::clone(&live)));
        }
        let mut ordered: Vec<&Entry> = wanted.values().collect();
        ordered.sort_by_key(|entry| (entry.kind.name != "Namespace", entry.revision));
        for entry in ordered {
            match self.get(entry.kind, &entry.namespace, &entry.name).filter(|live| live.uid == entry.uid) {
                None => push(EventKind::Added, entry, None),
                Some(live) if live.revision != entry.revision => push(EventKind::Modified, entry, Some(live)),
                Some(_) => {}
            }
        }
        events
    }

    /// Takes in a record of the log; false where its kind is not served.
    pub fn replay(&mut self, record: &Record) -> bool {
        if record.operation == Operation::Revision {
            self.revision = self.revision.max(record.revision);
            self.history.begin_at(self.revision);
            return true;
        }
        let Some(entry) = Entry::from_stored(Bytes::copy_from_slice(&record.json), record.revision) else {
            self.revision = self.revision.max(record.revision);
            return false;
        };
        if record.revision <= self.revision {
            // What follows the head of a compacted log is older than its revision, and no event.
            self.insert(Arc::new(entry));
            return true;
        }
        let previous = self.get(entry.kind, &entry.namespace, &entry.name);
        let kind = match (record.operation, &previous) {
            (Operation::Delete, _) => EventKind::Deleted,
            (_, Some(_)) => EventKind::Modified,
            (_, None) => EventKind::Added,
        };
        self.apply(&Event { kind, entry: Arc::new(entry), previous });
        true
    }

    /// Rewrites the log where it is mostly what nobody needs. A failure costs nothing but space: it is tried again
    /// once the log has doubled.
    pub fn compact_if_worthwhile(&mut self) {
        let length = self.log.as_ref().map_or(0, Log::length);
        if length < self.compact_at || length < 4 * self.live_bytes as u64 {
            return;
        }
        let entries = self.all();
        let live = entries.iter().map(|entry| (entry.revision, &*entry.json));
        let Some(log) = &mut self.log else { return };
        if log.replace(self.revision, live).is_err() {
            self.compact_at = length * 2;
        }
    }

    fn append<'a>(&mut self, records: impl IntoIterator<Item = (u64, Operation, &'a [u8])>) -> Result<(), StoreError> {
        self.log.as_mut().map_or(Ok(()), |log| log.append(records))
    }

    fn apply(&mut self, event: &Event) {
        self.revision = event.entry.revision;
        if event.kind == EventKind::Deleted {
            self.take(event.previous.as_ref().unwrap_or(&event.entry));
        } else {
            self.insert(Arc::clone(&event.entry));
        }
        self.history.push(event.clone());
    }

    fn insert(&mut self, entry: Arc<Entry>) {
        let place = (address(entry.kind), entry_key(&entry));
        for owner in &entry.owners {
            self.by_owner.entry(owner.clone()).or_default().insert(place.clone());
        }
        self.live_bytes += entry.json.len();
        let (kind, key) = place;
        let uid = entry.uid.clone();
        let owners = entry.owners.clone();
        let previous = self.objects.entry(kind).or_default().insert(key.clone(), entry);
        if let Some(previous) = previous {
            self.live_bytes -= previous.json.len();
            self.disown(&previous, |owner| !owners.contains(owner));
            self.by_uid.remove(&previous.uid);
        }
        self.by_uid.insert(uid, (kind, key));
    }

    fn take(&mut self, entry: &Arc<Entry>) {
        let removed = self.objects.get_mut(&address(entry.kind)).and_then(|objects| objects.remove(&*entry_key(entry)));
        if let Some(removed) = removed {
            self.live_bytes -= removed.json.len();
            self.by_uid.remove(&removed.uid);
            self.disown(&removed, |_| true);
        }
    }

    fn disown(&mut self, entry: &Entry, which: impl Fn(&Box<str>) -> bool) {
        let place = (address(entry.kind), entry_key(entry));
        for owner in entry.owners.iter().filter(|owner| which(owner)) {
            if let Some(places) = self.by_owner.get_mut(owner) {
                places.remove(&place);
                if places.is_empty() {
                    self.by_owner.remove(owner);
                }
            }
        }
    }
}

fn operation(kind: EventKind) -> Operation {
    if kind == EventKind::Deleted { Operation::Delete } else { Operation::Put }
}

fn entry_key(entry: &Entry) -> Key {
    key(&entry.namespace, &entry.name)
}

fn key(namespace: &str, name: &str) -> Key {
    let mut key = String::with_capacity(namespace.len() + name.len() + 1);
    key.push_str(namespace);
    key.push('/');
    key.push_str(name);
    key.into()
}
