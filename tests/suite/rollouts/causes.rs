//! What causes what, across objects: rules that hold for the recording, event by event, and must hold here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The cluster as the events have told so far.
#[derive(Default)]
struct Seen<'a> {
    scene: &'a str,
    pods: BTreeMap<&'a str, Pod>,
    ever_ready: BTreeSet<&'a str>,
    /// By ReplicaSet: desired, and the status's replicas and ready replicas.
    sets: BTreeMap<&'a str, [i64; 3]>,
    wanted: i64,
    ready_in_status: i64,
    updated_in_status: i64,
    ready_ends: BTreeSet<&'a str>,
    broken: Vec<String>,
}

#[derive(Clone, Copy, Default)]
struct Pod {
    ready: bool,
    deleting: bool,
}

type Tested = BTreeMap<&'static str, u32>;

/// How often each rule was put to the test, and where one was broken. The recording, whose events have times, was made by
/// a watch for each kind, and such watches tell what happens within some milliseconds in any order: there a pod may be
/// told to be ready a little later than what that causes.
pub fn check(events: &[Value]) -> (Tested, Vec<String>) {
    const SLACK_SECONDS: f64 = 0.04;
    let mut first_ready = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        if event["kind"] == "Pod" && is_ready(event) {
            first_ready.entry(text(event, "name")).or_insert((at, event["t"].as_f64()));
        }
    }
    let mut seen = Seen::default();
    let mut tested = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        let by_now = |(told, time): &(usize, Option<f64>)| {
            *told <= at || time.zip(event["t"].as_f64()).is_some_and(|(told, now)| told <= now + SLACK_SECONDS)
        };
        seen.ever_ready = first_ready.iter().filter(|(_, told)| by_now(told)).map(|(name, _)| *name).collect();
        if let Some(scene) = event["scene"].as_str() {
            seen.end_of_scene(&mut tested);
            seen.scene = scene;
            continue;
        }
        match text(event, "kind") {
            "Pod" => seen.pod(event, &mut tested),
            "ReplicaSet" => seen.replica_set(event, &mut tested),
            "Deployment" => seen.deployment(event, &mut tested),
            "EndpointSlice" => seen.endpoint_slice(event, &mut tested),
            _ => {}
        }
    }
    (tested, seen.broken)
}

impl<'a> Seen<'a> {
    fn rule(&mut self, tested: &mut Tested, rule: &'static str, holds: bool, detail: impl FnOnce(&Self) -> String) {
        *tested.entry(rule).or_default() += 1;
        if !holds {
            let line = format!("{}: not {rule}: {}", self.scene, detail(self));
            self.broken.push(line);
        }
    }

    fn is_rolling(&self) -> bool {
        !["Recreate", "delete", "a pod deleted by hand"].iter().any(|scene| self.scene.starts_with(scene))
    }

    fn pod(&mut self, event: &'a Value, tested: &mut Tested) {
        let name = text(event, "name");
        let set = name.rsplit_once('-').map_or("", |(set, _)| set);
        if event["event"] == "DELETED" {
            self.pods.remove(name);
            return;
        }
        let ready = is_ready(event);
        let deleting = event["deleting"] == true;
        let before = self.pods.get(name).copied();
        if before.is_none() {
            let wanted = self.sets.get(set).map_or(0, |set| set[0]);
            self.rule(tested, "a pod is made for a ReplicaSet that wants it", wanted > 0, |_| name.into());
            if self.scene.starts_with("Recreate") {
                let others = self.pods.keys().filter(|other| !other.starts_with(set)).count();
                self.rule(tested, "a new pod is made once the old ones are gone", others == 0, |_| name.into());
            }
        }
        let stops = deleting && before.is_some_and(|before| !before.deleting && before.ready);
        self.pods.insert(name, Pod { ready, deleting });
        if stops && self.is_rolling() {
            let left = self.pods.values().filter(|pod| pod.ready && !pod.deleting).count();
            let wanted = usize::try_from(self.wanted).unwrap_or(0);
            self.rule(tested, "a ready pod stops while enough others are ready", left >= wanted, |seen| {
                format!("{name}, {left} of {} are left", seen.wanted)
            });
        }
    }

    fn replica_set(&mut self, event: &'a Value, tested: &mut Tested) {
        let name = text(event, "name");
        if event["event"] == "DELETED" {
            self.sets.remove(name);
            return;
        }
        let status = |key: &str| event["status"][key].as_i64().unwrap_or(0);
        let now = [event["replicas"].as_i64().unwrap_or(0), status("replicas"), status("readyReplicas")];
        let before = self.sets.insert(name, now).unwrap_or_default();
        if now[2] > before[2] {
            let ready = self.ever_ready.iter().filter(|pod| pod.starts_with(name)).count();
            let holds = usize::try_from(now[2]).is_ok_and(|now| now <= ready);
            self.rule(tested, "a ReplicaSet counts a pod that is ready", holds, |_| format!("{name} {now:?}"));
        }
    }

    fn deployment(&mut self, event: &'a Value, tested: &mut Tested) {
        if event["event"] == "DELETED" {
            return;
        }
        self.wanted = event["replicas"].as_i64().unwrap_or(0);
        let status = |key: &str| event["status"][key].as_i64().unwrap_or(0);
        let (ready, updated) = (status("readyReplicas"), status("updatedReplicas"));
        if ready > self.ready_in_status {
            let counted: i64 = self.sets.values().map(|set| set[2]).sum();
            let rule = "a Deployment counts ready pods that a ReplicaSet has counted";
            self.rule(tested, rule, ready <= counted, |_| format!("{ready} of {counted}"));
        }
        if updated > self.updated_in_status {
            let most = self.sets.values().map(|set| set[1]).max().unwrap_or(0);
            let rule = "a Deployment counts updated pods that a ReplicaSet has counted";
            self.rule(tested, rule, updated <= most, |_| format!("{updated} of {most}"));
        }
        (self.ready_in_status, self.updated_in_status) = (ready, updated);
    }

    fn endpoint_slice(&mut self, event: &'a Value, tested: &mut Tested) {
        let ends = event["endpoints"].as_array().into_iter().flatten();
        let ready = ends.filter(|end| end["conditions"]["ready"] == true);
        let target = |end: &'a Value| end["target"].as_str().or_else(|| end["targetRef"]["name"].as_str());
        let now: BTreeSet<&str> =
            if event["event"] == "DELETED" { BTreeSet::new() } else { ready.filter_map(target).collect() };
        for name in now.difference(&self.ready_ends.clone()) {
            let holds = self.ever_ready.contains(name);
            self.rule(tested, "an end point is ready once its pod is", holds, |_| (*name).into());
        }
        self.ready_ends = now;
    }

    fn end_of_scene(&mut self, tested: &mut Tested) {
        let ready: BTreeSet<&str> =
            self.pods.iter().filter(|(_, pod)| pod.ready && !pod.deleting).map(|(name, _)| *name).collect();
        let holds = ready == self.ready_ends || self.scene.is_empty() || self.scene.starts_with("delete");
        let rule = "at a scene's end the ready pods are the ready end points";
        self.rule(tested, rule, holds, |seen| format!("{ready:?}, {:?}", seen.ready_ends));
    }
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn text<'a>(event: &'a Value, key: &str) -> &'a str {
    event[key].as_str().unwrap_or_default()
}
