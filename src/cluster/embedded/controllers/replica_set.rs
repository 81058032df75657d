//! ReplicaSets: so many pods of one template. Pods are adopted by selector, made and deleted; the status counts them.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::super::events::{Telling, reference};
use super::super::schema::Kind;
use super::change::Change;
use super::clock::Clock;
use super::object::{self, is_active, is_ready, list, number, text};

/// So many pods are made or deleted in one pass.
const BURST: usize = 500;

/// What a plan is made from.
#[derive(Debug)]
pub struct Snapshot {
    pub replica_set: Value,
    /// The pods that it controls, and those that its selector selects and nobody controls.
    pub pods: Vec<Value>,
}

/// What is to be done, in this order: `claims`, then `pods`; then the status is planned by [`status`].
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Adoptions and releases.
    pub claims: Vec<Change>,
    /// Pods to make or to delete.
    pub pods: Vec<Change>,
}

pub fn kind() -> &'static Kind {
    object::kind("apps/v1", "ReplicaSet")
}

fn pod_kind() -> &'static Kind {
    object::kind("v1", "Pod")
}

/// Decides which pods are to be adopted, made and deleted.
pub fn plan(snapshot: &Snapshot, clock: &Clock) -> Plan {
    let set = &snapshot.replica_set;
    let mut plan = Plan::default();
    let mut active = Vec::new();
    for pod in snapshot.pods.iter().filter(|pod| is_active(pod)) {
        let selected = object::selects(&set["spec"]["selector"], |key| object::label(pod, key));
        let controlled = object::is_controlled_by(pod, object::uid(set));
        if controlled && selected {
            active.push(pod);
        } else if controlled {
            let others = list(pod, "/metadata/ownerReferences").filter(|owner| owner["uid"] != object::uid(set));
            plan.claims.push(Change::set_owners(pod_kind(), pod, others.cloned().collect()));
        } else if selected && object::controller(pod).is_none() && !object::is_deleting(set) {
            plan.claims.push(Change::adopt(pod_kind(), pod, object::controller_reference(kind(), set)));
            active.push(pod);
        }
    }
    if object::is_deleting(set) {
        return plan;
    }
    let wanted = usize::try_from(wanted(set)).unwrap_or(0);
    match wanted.cmp(&active.len()) {
        Ordering::Greater => {
            let missing = (wanted - active.len()).min(BURST);
            plan.pods.extend((0..missing).map(|_| Change::Create { kind: pod_kind(), object: new_pod(set) }));
        }
        Ordering::Less => {
            let surplus = (active.len() - wanted).min(BURST);
            active.sort_by(|one, other| deletion_order(one, other, clock.now));
            for pod in &active[..surplus] {
                plan.pods.push(delete_pod(pod));
            }
        }
        Ordering::Equal => {}
    }
    plan
}

fn wanted(set: &Value) -> i64 {
    number(set, "/spec/replicas").unwrap_or(1)
}

fn delete_pod(pod: &Value) -> Change {
    Change::Delete {
        kind: pod_kind(),
        namespace: object::namespace(pod).into(),
        name: object::name(pod).into(),
        uid: object::uid(pod).into(),
        propagation: None,
    }
}

/// What is told about a change of a pod that was made.
pub fn told(set: &Value, change: &Change, created: Option<&Value>) -> Option<Change> {
    let telling = match (change, created) {
        (Change::Create { .. }, Some(pod)) => {
            Telling::normal("SuccessfulCreate", format!("Created pod: {}", object::name(pod)))
        }
        (Change::Delete { name, .. }, _) => Telling::normal("SuccessfulDelete", format!("Deleted pod: {name}")),
        _ => return None,
    };
    Some(Change::Tell { about: reference(kind(), set, ""), telling })
}

/// What is told about a change of a pod that could not be made, and the reason of the condition ReplicaFailure.
pub fn failed(set: &Value, change: &Change, message: &str) -> (Change, &'static str) {
    let (reason, text) = match change {
        Change::Delete { .. } => ("FailedDelete", format!("Error deleting: {message}")),
        _ => ("FailedCreate", format!("Error creating: {message}")),
    };
    (Change::Tell { about: reference(kind(), set, ""), telling: Telling::warning(reason, text) }, reason)
}

fn new_pod(set: &Value) -> Value {
    let template = &set["spec"]["template"];
    let mut metadata = Map::new();
    metadata.insert("generateName".into(), format!("{}-", object::name(set)).into());
    metadata.insert("namespace".into(), object::namespace(set).into());
    for key in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{key}")).filter(|value| !value.is_null()) {
            metadata.insert(key.into(), value.clone());
        }
    }
    metadata.insert("ownerReferences".into(), json!([object::controller_reference(kind(), set)]));
    json!({"metadata": metadata, "spec": template["spec"]})
}

/// Which of two pods is deleted first, as Kubernetes ranks them: the least useful one.
fn deletion_order(one: &Value, other: &Value, now: Timestamp) -> Ordering {
    let by = |rank: &dyn Fn(&Value) -> i64| rank(one).cmp(&rank(other));
    by(&|pod| i64::from(!text(pod, "/spec/nodeName").is_empty()))
        .then_with(|| by(&phase_rank))
        .then_with(|| by(&|pod| i64::from(is_ready(pod))))
        .then_with(|| by(&deletion_cost))
        .then_with(|| {
            if is_ready(one) && is_ready(other) {
                youngest_first(ready_since(one), ready_since(other), now)
            } else {
                Ordering::Equal
            }
        })
        .then_with(|| by(&|pod| -restarts(pod)))
        .then_with(|| youngest_first(Some(object::created(one)), Some(object::created(other)), now))
        .then_with(|| object::uid(one).cmp(object::uid(other)))
}

fn phase_rank(pod: &Value) -> i64 {
    match text(pod, "/status/phase") {
        "Pending" => 0,
        "Running" => 2,
        _ => 1,
    }
}

fn deletion_cost(pod: &Value) -> i64 {
    let costs = &pod["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"];
    costs.as_str().and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

fn restarts(pod: &Value) -> i64 {
    list(pod, "/status/containerStatuses").filter_map(|status| status["restartCount"].as_i64()).max().unwrap_or(0)
}

fn ready_since(pod: &Value) -> Option<Timestamp> {
    object::time(object::condition(&pod["status"], "Ready")?, "/lastTransitionTime")
}

/// Ages count by their order of magnitude, so that not always the very last one goes.
fn youngest_first(one: Option<Timestamp>, other: Option<Timestamp>, now: Timestamp) -> Ordering {
    let magnitude = |since: Option<Timestamp>| {
        let age = since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
        u128::try_from(age.as_nanos()).unwrap_or(0).checked_ilog2()
    };
    magnitude(one).cmp(&magnitude(other))
}

/// The status that the pods amount to, where it differs from the one that is there. `failure` is why pods could not
/// be made or deleted just now: reason and message.
pub fn status(snapshot: &Snapshot, failure: Option<(&str, &str)>, clock: &Clock) -> Option<Change> {
    let set = &snapshot.replica_set;
    let counts = counts(snapshot, clock);
    let mut status = json!({"replicas": counts.replicas});
    for (key, count) in [
        ("fullyLabeledReplicas", counts.fully_labeled),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
        ("observedGeneration", number(set, "/metadata/generation").unwrap_or(0)),
    ] {
        if count != 0 {
            status[key] = count.into();
        }
    }
    let conditions = conditions(&set["status"], failure, clock.now);
    if !conditions.is_empty() {
        status["conditions"] = conditions.into();
    }
    if set.get("status") == Some(&status) {
        return None;
    }
    let mut updated = set.clone();
    updated["status"] = status;
    Some(Change::update_status(kind(), updated))
}

#[derive(Debug, Default)]
struct Counts {
    replicas: i64,
    fully_labeled: i64,
    ready: i64,
    available: i64,
}

fn counts(snapshot: &Snapshot, clock: &Clock) -> Counts {
    let set = &snapshot.replica_set;
    let wanted_labels = set.pointer("/spec/template/metadata/labels").and_then(Value::as_object);
    let mut counts = Counts::default();
    for pod in mine(snapshot) {
        counts.replicas += 1;
        let fully = wanted_labels.into_iter().flatten().all(|(key, value)| object::label(pod, key) == value.as_str());
        counts.fully_labeled += i64::from(fully);
        counts.ready += i64::from(is_ready(pod));
        counts.available += i64::from(available_at(set, pod, clock).is_some_and(|at| at <= clock.now));
    }
    counts
}

fn mine(snapshot: &Snapshot) -> impl Iterator<Item = &Value> {
    let set = &snapshot.replica_set;
    snapshot.pods.iter().filter(|pod| {
        is_active(pod)
            && object::is_controlled_by(pod, object::uid(set))
            && object::selects(&set["spec"]["selector"], |key| object::label(pod, key))
    })
}

/// From when on a ready pod is available.
fn available_at(set: &Value, pod: &Value, clock: &Clock) -> Option<Timestamp> {
    if !is_ready(pod) {
        return None;
    }
    let seconds = number(set, "/spec/minReadySeconds").unwrap_or(0);
    if seconds == 0 {
        return Some(Timestamp::UNIX_EPOCH);
    }
    Some(clock.after(ready_since(pod)?, seconds))
}

/// When the status has to be looked at again, because a ready pod becomes available by then.
pub fn again_at(snapshot: &Snapshot, clock: &Clock) -> Option<Timestamp> {
    let set = &snapshot.replica_set;
    mine(snapshot).filter_map(|pod| available_at(set, pod, clock)).filter(|at| *at > clock.now).min()
}

fn conditions(status: &Value, failure: Option<(&str, &str)>, now: Timestamp) -> Vec<Value> {
    let before = object::condition(status, "ReplicaFailure");
    let others = list(status, "/conditions").filter(|condition| condition["type"] != "ReplicaFailure").cloned();
    let own = match (failure, before) {
        (None, _) => None,
        (Some(_), Some(before)) => Some(before.clone()),
        (Some((reason, message)), None) => Some(json!({
            "type": "ReplicaFailure", "status": "True", "lastTransitionTime": object::whole_seconds(now),
            "reason": reason, "message": message,
        })),
    };
    others.chain(own).collect()
}
