//! Which keys an event concerns.

use std::collections::HashMap;

use serde_json::Value;

use super::super::registry::{Entry, Event, EventKind, Registry};
use super::object;
use super::queue::{Key, Queue};

/// The selectors of all Services, by namespace and name: pods are matched with them at each of their events.
#[derive(Debug, Default)]
pub struct Selectors {
    by_namespace: HashMap<String, HashMap<String, Vec<(String, String)>>>,
}

impl Selectors {
    fn keep(&mut self, entry: &Entry, gone: bool) {
        let services = self.by_namespace.entry(entry.namespace.to_string()).or_default();
        if gone {
            services.remove(&*entry.name);
            if services.is_empty() {
                self.by_namespace.remove(&*entry.namespace);
            }
            return;
        }
        let service = entry.value();
        let selector = service.pointer("/spec/selector").and_then(Value::as_object);
        let pairs = selector
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        services.insert(entry.name.to_string(), pairs);
    }

    fn selecting(&self, pod: &Entry) -> impl Iterator<Item = Key> {
        let services = self.by_namespace.get(&*pod.namespace).into_iter().flatten();
        services
            .filter(|(_, pairs)| {
                !pairs.is_empty() && pairs.iter().all(|(key, value)| pod.label(key) == Some(value.as_str()))
            })
            .map(|(name, _)| Key::Service { namespace: pod.namespace.to_string(), name: name.clone() })
    }
}

/// Puts what an event concerns into the queue.
pub fn route(event: &Event, registry: &Registry, selectors: &mut Selectors, queue: &mut Queue) {
    let entry = &*event.entry;
    let gone = event.kind == EventKind::Deleted;
    match entry.kind.name {
        "Deployment" => queue.push(deployment(entry)),
        "ReplicaSet" => route_replica_set(entry, registry, queue),
        "Pod" => {
            route_pod(entry, gone, registry, queue);
            selectors.selecting(entry).for_each(|key| queue.push(key));
            if let Some(previous) = &event.previous {
                selectors.selecting(previous).for_each(|key| queue.push(key));
            }
        }
        "Service" => {
            selectors.keep(entry, gone);
            queue.push(Key::Service { namespace: entry.namespace.to_string(), name: entry.name.to_string() });
        }
        "Endpoints" => {
            queue.push(Key::Service { namespace: entry.namespace.to_string(), name: entry.name.to_string() });
        }
        "EndpointSlice" => {
            if let Some(name) = entry.label("kubernetes.io/service-name") {
                queue.push(Key::Service { namespace: entry.namespace.to_string(), name: name.into() });
            }
        }
        "Namespace" => queue.push(Key::Namespace { name: entry.name.to_string() }),
        "ConfigMap" | "ServiceAccount" if matches!(&*entry.name, "kube-root-ca.crt" | "default") => {
            queue.push(Key::Namespace { name: entry.namespace.to_string() });
        }
        _ => {}
    }
    if gone && !entry.namespace.is_empty() && entry.kind.name != "Event" {
        let namespace = registry.get(super::namespace::kind(), "", &entry.namespace);
        if namespace.is_some_and(|namespace| namespace.deleting) {
            queue.push(Key::Namespace { name: entry.namespace.to_string() });
        }
    }
    route_owners(entry, gone, registry, queue);
}

fn deployment(entry: &Entry) -> Key {
    Key::Deployment { namespace: entry.namespace.to_string(), name: entry.name.to_string() }
}

fn replica_set(entry: &Entry) -> Key {
    Key::ReplicaSet { namespace: entry.namespace.to_string(), name: entry.name.to_string() }
}

fn route_replica_set(entry: &Entry, registry: &Registry, queue: &mut Queue) {
    queue.push(replica_set(entry));
    if entry.owners.is_empty() {
        let all = registry.list(super::deployment::kind(), Some(&entry.namespace));
        for entry in &all {
            queue.push(deployment(entry));
        }
    }
    for owner in entry.owners.iter().filter_map(|uid| registry.by_uid(uid)) {
        if owner.kind.name == "Deployment" {
            queue.push(deployment(&owner));
        }
    }
}

fn route_pod(entry: &Entry, gone: bool, registry: &Registry, queue: &mut Queue) {
    if entry.owners.is_empty() {
        for set in registry.list(super::replica_set::kind(), Some(&entry.namespace)) {
            let selector = set.value()["spec"]["selector"].clone();
            if object::selects(&selector, |key| entry.label(key)) {
                queue.push(replica_set(&set));
            }
        }
    }
    for owner in entry.owners.iter().filter_map(|uid| registry.by_uid(uid)) {
        if owner.kind.name == "ReplicaSet" {
            queue.push(replica_set(&owner));
            if gone {
                // A Recreate waits for the last pod.
                let deployments = owner.owners.iter().filter_map(|uid| registry.by_uid(uid));
                deployments.filter(|owner| owner.kind.name == "Deployment").for_each(|owner| {
                    queue.push(deployment(&owner));
                });
            }
        }
    }
}

fn route_owners(entry: &Entry, gone: bool, registry: &Registry, queue: &mut Queue) {
    if gone || entry.deleting {
        for dependent in registry.dependents(&entry.uid) {
            queue.push(Key::Dependent { uid: dependent.uid.to_string() });
        }
    }
    if entry.deleting && !gone {
        queue.push(Key::Owner { uid: entry.uid.to_string() });
    }
    for owner in &entry.owners {
        match registry.by_uid(owner) {
            Some(owner) if owner.deleting => queue.push(Key::Owner { uid: owner.uid.to_string() }),
            None if !gone => queue.push(Key::Dependent { uid: entry.uid.to_string() }),
            _ => {}
        }
    }
}
