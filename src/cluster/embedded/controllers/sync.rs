//! From a key to a snapshot, to a plan, to writes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::events::Recorder;
use super::super::registry::{Deletion, Entry, Registry, Writer};
use super::super::schema::{self, Kind};
use super::super::status::Status;
use super::change::{Change, MANAGER, Writing};
use super::clock::Clock;
use super::driver::Options;
use super::queue::Key;
use super::{deployment, endpoints, garbage, namespace, object, replica_set};

/// Events are kept for so long.
const EVENTS_KEPT: SignedDuration = SignedDuration::from_hours(1);
/// A condition that is younger than this was written by this process just now.
const JUST_NOW: SignedDuration = SignedDuration::from_millis(1500);

/// The controllers' hands and their little memory.
pub struct Syncing {
    registry: Arc<Registry>,
    options: Options,
    deployments: Recorder,
    replica_sets: Recorder,
    /// The condition Progressing of each Deployment and when it was seen first: conditions tell whole seconds only.
    progress: HashMap<String, (Value, Timestamp)>,
}

type Again = Result<Option<Timestamp>, Status>;

impl Syncing {
    pub fn new(registry: Arc<Registry>, options: Options) -> Self {
        let recorder = |component| Recorder::new(Arc::clone(&registry), component, "", MANAGER);
        let (deployments, replica_sets) = (recorder("deployment-controller"), recorder("replicaset-controller"));
        Self { registry, options, deployments, replica_sets, progress: HashMap::new() }
    }

    /// Looks at one key; answers when to look again without being told.
    pub fn sync(&mut self, key: &Key, now: Timestamp) -> Again {
        match key {
            Key::Deployment { namespace, name } => self.deployment(namespace, name, now),
            Key::ReplicaSet { namespace, name } => self.replica_set(namespace, name, now),
            Key::Service { namespace, name } => self.service(namespace, name),
            Key::Namespace { name } => self.namespace(name, now),
            Key::Dependent { uid } => self.dependent(uid),
            Key::Owner { uid } => self.owner(uid),
            Key::Events => Ok(self.forget_events(now)),
        }
    }

    fn clock(&self, now: Timestamp) -> Clock {
        Clock { now, factor: self.options.time_factor }
    }

    fn write_all(&self, changes: Vec<Change>, recorder: Option<&Recorder>, now: Timestamp) -> Result<(), Status> {
        let mut writing = Writing::new(&self.registry);
        for change in changes {
            if let (Change::Tell { about, telling }, Some(recorder)) = (&change, recorder) {
                recorder.tell(about, telling, now);
                continue;
            }
            writing.write(change)?;
        }
        Ok(())
    }

    fn deployment(&mut self, namespace: &str, name: &str, now: Timestamp) -> Again {
        let Some(entry) = self.registry.get(deployment::kind(), namespace, name) else { return Ok(None) };
        let deployment = entry.value();
        let progressed_at = self.progressed_at(&deployment, now);
        let mut replica_sets = Vec::new();
        let mut taken_names = HashSet::new();
        let mut pods = Vec::new();
        for set in self.registry.list(replica_set::kind(), Some(namespace)) {
            if !set.owners.is_empty() && !set.owners.contains(&entry.uid) {
                taken_names.insert(set.name.to_string());
                continue;
            }
            if object::text(&deployment, "/spec/strategy/type") == "Recreate" {
                pods.extend(self.pods_of(&set.uid));
            }
            replica_sets.push(set.value());
        }
        let snapshot = deployment::Snapshot { deployment, replica_sets, pods, taken_names, progressed_at };
        let plan = deployment::plan(&snapshot, &self.clock(now));
        self.write_all(plan.changes, Some(&self.deployments), now)?;
        Ok(plan.again_at)
    }

    fn progressed_at(&mut self, deployment: &Value, now: Timestamp) -> Option<Timestamp> {
        let uid = object::uid(deployment);
        let Some(condition) = object::condition(&deployment["status"], "Progressing") else {
            self.progress.remove(uid);
            return None;
        };
        if let Some((known, at)) = self.progress.get(uid)
            && known == condition
        {
            return Some(*at);
        }
        let written = object::time(condition, "/lastUpdateTime")?;
        let at = if now.duration_since(written) < JUST_NOW { now } else { written };
        self.progress.insert(uid.into(), (condition.clone(), at));
        Some(at)
    }

    fn pods_of(&self, owner: &str) -> impl Iterator<Item = Value> {
        let dependents = self.registry.dependents(owner).into_iter();
        dependents.filter(|entry| entry.kind.name == "Pod").map(|entry| entry.value())
    }

    fn replica_set(&self, namespace: &str, name: &str, now: Timestamp) -> Again {
        let Some(entry) = self.registry.get(replica_set::kind(), namespace, name) else { return Ok(None) };
        let set = entry.value();
        let mut pods: Vec<Value> = self.pods_of(&entry.uid).collect();
        let selector = &set["spec"]["selector"];
        let free = |pod: &Arc<Entry>| pod.owners.is_empty() && object::selects(selector, |key| pod.label(key));
        let all = self.registry.list(object::kind("v1", "Pod"), Some(namespace));
        pods.extend(all.into_iter().filter(free).map(|pod| pod.value()));
        let clock = self.clock(now);
        let mut snapshot = replica_set::Snapshot { replica_set: set, pods };
        let plan = replica_set::plan(&snapshot, &clock);
        self.write_all(plan.claims, None, now)?;
        let stopping: HashSet<String> = plan.pods.iter().filter_map(Change::deleted_uid).map(str::to_owned).collect();
        let failure = self.make_pods(&snapshot.replica_set, plan.pods, now);
        let failed = failure.as_ref().map(|(reason, status)| (*reason, status.message.as_str()));
        if failed.is_none() {
            // At once, so that a Deployment never adds them to the pods that take their place.
            snapshot.pods.retain(|pod| !stopping.contains(object::uid(pod)));
        }
        let status = replica_set::status(&snapshot, failed, &clock);
        self.write_all(status.into_iter().collect(), None, now)?;
        match failure {
            Some((_, status)) => Err(status),
            None => Ok(replica_set::again_at(&snapshot, &clock)),
        }
    }

    /// Makes and deletes pods until one fails; that a namespace is ending is no failure to tell of.
    fn make_pods(&self, set: &Value, changes: Vec<Change>, now: Timestamp) -> Option<(&'static str, Status)> {
        let mut writing = Writing::new(&self.registry);
        let tell = |change: Change| {
            if let Change::Tell { about, telling } = change {
                self.replica_sets.tell(&about, &telling, now);
            }
        };
        for change in changes {
            match writing.write(change.clone()) {
                Ok(created) => {
                    if let Some(told) = replica_set::told(set, &change, created.as_ref()) {
                        tell(told);
                    }
                }
                Err(status) if status.message.contains("is being terminated") => return None,
                Err(status) => {
                    let (told, reason) = replica_set::failed(set, &change, &status.message);
                    tell(told);
                    return Some((reason, status));
                }
            }
        }
        None
    }

    fn service(&self, namespace: &str, name: &str) -> Again {
        let endpoints_kind = object::kind("v1", "Endpoints");
        let endpoints = self.registry.get(endpoints_kind, namespace, name).map(|entry| entry.value());
        let Some(service) = self.registry.get(object::kind("v1", "Service"), namespace, name) else {
            let changes = endpoints.iter().flat_map(endpoints::plan_gone).collect();
            self.write_all(changes, None, Timestamp::UNIX_EPOCH)?;
            return Ok(None);
        };
        if self.is_ending(namespace) {
            return Ok(None);
        }
        let slice_kind = object::kind("discovery.k8s.io/v1", "EndpointSlice");
        let of_this = |slice: &Arc<Entry>| {
            slice.label("kubernetes.io/service-name") == Some(name)
                && slice.label("endpointslice.kubernetes.io/managed-by") == Some("endpointslice-controller.k8s.io")
                && !slice.deleting
        };
        let slices = self.registry.list(slice_kind, Some(namespace)).into_iter().filter(of_this);
        let service = service.value();
        // A Service without a selector has end points of somebody else's.
        let selector = service["spec"]["selector"].as_object().filter(|pairs| !pairs.is_empty());
        let pods = selector.map(|pairs| {
            let selector = json!({"matchLabels": pairs});
            let all = self.registry.list(object::kind("v1", "Pod"), Some(namespace));
            all.into_iter().filter(move |pod| object::selects(&selector, |key| pod.label(key)))
        });
        let selected: Vec<Arc<Entry>> = pods.into_iter().flatten().collect();
        let snapshot = endpoints::Snapshot {
            pods: selected.iter().map(|pod| pod.value()).collect(),
            slices: slices.map(|slice| slice.value()).collect(),
            service,
            endpoints,
        };
        self.write_all(endpoints::plan(&snapshot), None, Timestamp::UNIX_EPOCH)?;
        Ok(None)
    }

    fn is_ending(&self, namespace: &str) -> bool {
        self.registry.get(namespace::kind(), "", namespace).is_none_or(|namespace| namespace.deleting)
    }

    fn namespace(&self, name: &str, now: Timestamp) -> Again {
        let Some(entry) = self.registry.get(namespace::kind(), "", name) else { return Ok(None) };
        let changes = if entry.deleting {
            namespace::terminate(&entry.value(), &self.content(name), now)
        } else {
            let account = self.registry.get(object::kind("v1", "ServiceAccount"), name, "default");
            let root = self.registry.get(object::kind("v1", "ConfigMap"), name, "kube-root-ca.crt");
            let root = root.map(|entry| entry.value());
            namespace::provide(name, account.is_some(), root.as_ref(), &self.options.certificate_authority_pem)
        };
        self.write_all(changes, None, now)?;
        Ok(None)
    }

    fn content(&self, namespace: &str) -> Vec<namespace::Content> {
        let kinds = schema::kinds().iter().filter(|kind| kind.namespaced);
        let entries = kinds.flat_map(|kind| self.registry.list(kind, Some(namespace)));
        entries.map(|entry| namespace::Content { kind: entry.kind, object: entry.value() }).collect()
    }

    fn dependent(&self, uid: &str) -> Again {
        let Some(entry) = self.registry.by_uid(uid) else { return Ok(None) };
        let has_dependents = !self.registry.dependents(uid).is_empty();
        let state = |owner: &Value| match self.registry.by_uid(object::text(owner, "/uid")) {
            None => garbage::Owner::Absent,
            Some(owner) if owner.deleting && garbage::has_finalizer(&owner.value(), garbage::FOREGROUND) => {
                garbage::Owner::Waiting
            }
            Some(_) => garbage::Owner::Solid,
        };
        let changes = garbage::plan_dependent(entry.kind, &entry.value(), has_dependents, state);
        self.write_all(changes, None, Timestamp::UNIX_EPOCH)?;
        Ok(None)
    }

    fn owner(&self, uid: &str) -> Again {
        let Some(entry) = self.registry.by_uid(uid) else { return Ok(None) };
        let dependents: Vec<(&'static Kind, Value)> =
            self.registry.dependents(uid).iter().map(|entry| (entry.kind, entry.value())).collect();
        let changes = garbage::plan_owner(entry.kind, &entry.value(), &dependents);
        self.write_all(changes, None, Timestamp::UNIX_EPOCH)?;
        Ok(None)
    }

    /// Deletes events that have grown old; answers when the next one has.
    fn forget_events(&self, now: Timestamp) -> Option<Timestamp> {
        let kind = schema::by_kind("v1", "Event")?;
        let mut next = now.checked_add(EVENTS_KEPT).ok()?;
        for entry in self.registry.list(kind, None) {
            let event = entry.value();
            let told = object::time(&event, "/lastTimestamp").unwrap_or_else(|| object::created(&event));
            let end = told.checked_add(EVENTS_KEPT).unwrap_or(Timestamp::MAX);
            if end <= now {
                let _ = self.registry.delete(kind, &entry.namespace, &entry.name, &Deletion::default());
            } else {
                next = next.min(end);
            }
        }
        Some(next)
    }

    /// Writes where the API server answers, as the API server itself does.
    pub fn announce_api_server(&self) {
        let writer = Writer::new("kube-apiserver");
        let port = json!([{"name": "https", "port": self.options.api_port, "protocol": "TCP"}]);
        let endpoints = json!({
            "metadata": {
                "name": "kubernetes", "namespace": "default",
                "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
            },
            "subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": port}],
        });
        let slice = json!({
            "metadata": {
                "name": "kubernetes", "namespace": "default",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}],
            "ports": port,
        });
        let kinds = [object::kind("v1", "Endpoints"), object::kind("discovery.k8s.io/v1", "EndpointSlice")];
        for (kind, object) in kinds.into_iter().zip([endpoints, slice]) {
            // Without it nothing but the Service `kubernetes` lacks an address.
            let _ = match self.registry.get(kind, "default", "kubernetes") {
                None => self.registry.create(kind, object, &writer),
                Some(_) => self.registry.update(kind, object, &writer),
            };
        }
    }
}
