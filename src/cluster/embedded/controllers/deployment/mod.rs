//! Deployments: one ReplicaSet for each template, scaled so that the roll-out keeps its promises.
//!
//! A pass is a function of one snapshot. It works on copies (a [`Pass`]) as Kubernetes' controller works on its
//! objects, and what it writes comes out as changes, in the same order and with the same words.

mod annotations;
mod numbers;
mod rolling;
mod scaling;
mod set;
mod status;
mod template;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::events::{Telling, reference};
use super::super::schema::Kind;
use super::change::Change;
use super::clock::Clock;
use super::object::{self, number, text};
use set::Set;

/// What a plan is made from.
#[derive(Debug)]
pub struct Snapshot {
    pub deployment: Value,
    /// The ReplicaSets of its namespace that it controls, and those that nobody controls.
    pub replica_sets: Vec<Value>,
    /// The pods of the ReplicaSets that it controls; only a Recreate needs them.
    pub pods: Vec<Value>,
    /// Names of ReplicaSets in its namespace that it does not control.
    pub taken_names: HashSet<String>,
    /// When the condition Progressing was last written, where that is known better than to the second.
    pub progressed_at: Option<Timestamp>,
}

/// What is to be done, and when to look again.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    pub changes: Vec<Change>,
    pub again_at: Option<Timestamp>,
}

pub fn kind() -> &'static Kind {
    object::kind("apps/v1", "Deployment")
}

/// Decides one pass over a Deployment.
pub fn plan(snapshot: &Snapshot, clock: &Clock) -> Plan {
    let mut pass = Pass::new(snapshot, clock);
    pass.run();
    Plan { changes: pass.changes, again_at: pass.again_at }
}

/// A pass at work: the Deployment and its ReplicaSets as they become, and the changes that make them so.
struct Pass<'a> {
    snapshot: &'a Snapshot,
    clock: &'a Clock,
    deployment: Value,
    sets: Vec<Set>,
    changes: Vec<Change>,
    again_at: Option<Timestamp>,
    /// Whether the condition of a pause was written: Kubernetes' next write of the status then meets a conflict, and
    /// goes on in another pass.
    paused_or_resumed: bool,
}

/// The pass ends here: Kubernetes' own meets a conflict with its own write at this place, and goes on in another.
struct Ended;

impl<'a> Pass<'a> {
    fn new(snapshot: &'a Snapshot, clock: &'a Clock) -> Self {
        Self {
            snapshot,
            clock,
            deployment: snapshot.deployment.clone(),
            sets: Vec::new(),
            changes: Vec::new(),
            again_at: None,
            paused_or_resumed: false,
        }
    }

    fn run(&mut self) {
        let selector = self.deployment["spec"]["selector"].clone();
        if object::selects_everything(&selector) {
            self.tell(Telling::warning(
                "SelectingAll",
                "This deployment is selecting all pods. A non-empty selector is required.",
            ));
            return;
        }
        self.claim(&selector);
        if object::is_deleting(&self.deployment) {
            let new = self.find_new();
            self.write_plain_status(new);
            return;
        }
        self.check_paused();
        if self.is_paused() || self.is_scaling() {
            self.sync();
        } else if text(&self.deployment, "/spec/strategy/type") == "Recreate" {
            self.recreate();
        } else {
            self.roll();
        }
    }

    /// Adopts ReplicaSets by selector and lets go of those that are no longer selected.
    fn claim(&mut self, selector: &Value) {
        let owner = object::uid(&self.deployment).to_owned();
        let deleting = object::is_deleting(&self.deployment);
        for set in &self.snapshot.replica_sets {
            let selected = object::selects(selector, |key| object::label(set, key));
            let controlled = object::is_controlled_by(set, &owner);
            if controlled && !selected {
                let others =
                    object::list(set, "/metadata/ownerReferences").filter(|reference| reference["uid"] != *owner);
                self.changes.push(Change::set_owners(set::kind(), set, others.cloned().collect()));
            } else if controlled {
                self.sets.push(Set(set.clone()));
            } else if selected && object::controller(set).is_none() && !deleting && !object::is_deleting(set) {
                let reference = object::controller_reference(kind(), &self.deployment);
                self.changes.push(Change::adopt(set::kind(), set, reference));
            }
        }
        self.sets.sort_by(|one, other| one.created().cmp(&other.created()).then(one.name().cmp(other.name())));
    }

    fn is_paused(&self) -> bool {
        self.deployment["spec"]["paused"] == true
    }

    fn replicas(&self) -> i64 {
        number(&self.deployment, "/spec/replicas").unwrap_or(1)
    }

    /// The ReplicaSet of the Deployment's template, as its place in `sets`.
    fn find_new(&self) -> Option<usize> {
        let wanted = &self.deployment["spec"]["template"];
        self.sets.iter().position(|set| template::same(&set.0["spec"]["template"], wanted))
    }

    /// All others.
    fn old(&self, new: Option<usize>) -> Vec<usize> {
        (0..self.sets.len()).filter(|at| Some(*at) != new).collect()
    }

    fn active(&self, sets: &[usize]) -> Vec<usize> {
        sets.iter().copied().filter(|at| self.sets[*at].replicas() > 0).collect()
    }

    /// A pass that changes sizes, not templates: paused, or asked for another number of replicas.
    fn sync(&mut self) {
        let Ok(new) = self.new_set(false) else { return };
        self.scale(new);
        if self.is_paused() {
            self.clean_up(new);
        }
        self.write_plain_status(new);
    }

    fn recreate(&mut self) {
        let Ok(mut new) = self.new_set(false) else { return };
        let old = self.old(new);
        let mut scaled_down = false;
        for at in self.active(&old) {
            scaled_down |= self.resize(at, 0);
        }
        // Pods may end so fast that this is the first pass since: that none is available is told before new ones come.
        let untold = new.is_none() && self.is_outdated();
        if scaled_down || untold || self.old_pods_run(new, &old) {
            self.write_roll_out_status(new);
            return;
        }
        if new.is_none() {
            let Ok(created) = self.new_set(true) else { return };
            new = created;
        }
        let Some(at) = new else { return };
        self.resize(at, self.replicas());
        if status::is_complete(&self.deployment, &self.deployment["status"]) {
            self.clean_up(new);
        }
        self.write_roll_out_status(new);
    }

    fn old_pods_run(&self, new: Option<usize>, old: &[usize]) -> bool {
        if old.iter().any(|at| self.sets[*at].status("replicas") > 0) {
            return true;
        }
        let new_uid = new.map(|at| object::uid(&self.sets[at].0).to_owned());
        self.snapshot.pods.iter().any(|pod| {
            let of_new = new_uid.as_deref().is_some_and(|uid| object::is_controlled_by(pod, uid));
            !of_new && !object::is_terminal(pod)
        })
    }

    /// Finds the ReplicaSet of the template, keeps its annotations and the Deployment's revision up to date, and
    /// makes it where that is asked for.
    fn new_set(&mut self, create: bool) -> Result<Option<usize>, Ended> {
        let found = self.find_new();
        let revision = self.old(found).iter().map(|at| self.sets[*at].revision()).max().unwrap_or(0) + 1;
        match found {
            Some(at) => self.refresh_set(at, revision).map(|()| Some(at)),
            None if create => self.create_set(revision).map(Some),
            None => Ok(None),
        }
    }

    fn refresh_set(&mut self, at: usize, revision: i64) -> Result<(), Ended> {
        let mut set = self.sets[at].clone();
        let min_ready = self.deployment["spec"].get("minReadySeconds").cloned();
        let mut changed = annotations::set(&self.deployment, &mut set.0, revision, true);
        if set.0["spec"].get("minReadySeconds") != min_ready.as_ref() {
            let spec = object::map_mut(&mut set.0, &["spec"]);
            match min_ready {
                Some(seconds) => spec.insert("minReadySeconds".into(), seconds),
                None => spec.remove("minReadySeconds"),
            };
            changed = true;
        }
        if changed {
            self.update_set(at, set);
            return if self.is_paused() { Ok(()) } else { Err(Ended) };
        }
        let revision = set.revision_text().to_owned();
        let mut needed = annotations::set_revision(&mut self.deployment, &revision);
        if self.has_deadline() && object::condition(&self.deployment["status"], "Progressing").is_none() {
            let message = format!("Found new replica set \"{}\"", set.name());
            self.set_condition("Progressing", "True", "FoundNewReplicaSet", &message);
            needed = true;
        }
        if needed {
            self.write_deployment_status();
        }
        Ok(())
    }

    fn create_set(&mut self, revision: i64) -> Result<usize, Ended> {
        let named = template::free_name(&self.deployment, |name| self.is_taken(name));
        let Some((name, hash, collisions)) = named else { return Err(Ended) };
        if collisions > 0 {
            object::map_mut(&mut self.deployment, &["status"]).insert("collisionCount".into(), collisions.into());
        }
        let mut set = Set(template::new_set(&self.deployment, &name, &hash));
        let others: i64 = self.sets.iter().map(Set::replicas).sum();
        let size = numbers::new_size(&self.deployment, others, 0);
        set.set_replicas(size);
        annotations::set(&self.deployment, &mut set.0, revision, false);
        self.changes.push(Change::Create { kind: set::kind(), object: set.0.clone() });
        self.sets.push(set);
        let at = self.sets.len() - 1;
        if size > 0 {
            self.tell(Telling::normal("ScalingReplicaSet", format!("Scaled up replica set {name} from 0 to {size}")));
        }
        if self.paused_or_resumed {
            return Err(Ended);
        }
        let mut needed = annotations::set_revision(&mut self.deployment, &revision.to_string());
        if self.has_deadline() {
            let message = format!("Created new replica set \"{name}\"");
            self.set_condition("Progressing", "True", "NewReplicaSetCreated", &message);
            needed = true;
        }
        if needed {
            self.write_deployment_status();
        }
        Ok(at)
    }

    fn is_taken(&self, name: &str) -> bool {
        self.snapshot.taken_names.contains(name) || self.sets.iter().any(|set| set.name() == name)
    }

    fn update_set(&mut self, at: usize, set: Set) {
        self.changes.push(Change::update(set::kind(), set.0.clone()));
        self.sets[at] = set;
    }

    /// Writes the status as it is now, with the annotations.
    fn write_deployment_status(&mut self) {
        self.changes.push(Change::update_status(kind(), self.deployment.clone()));
    }

    fn tell(&mut self, telling: Telling) {
        self.changes.push(Change::Tell { about: reference(kind(), &self.deployment, ""), telling });
    }

    /// Deletes the oldest ReplicaSets beyond the limit.
    fn clean_up(&mut self, new: Option<usize>) {
        let Some(limit) = number(&self.deployment, "/spec/revisionHistoryLimit") else { return };
        let mut old: Vec<usize> = self.old(new);
        old.retain(|at| !object::is_deleting(&self.sets[*at].0));
        let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        old.sort_by_key(|at| self.sets[*at].revision());
        for at in old.into_iter().take(surplus) {
            let set = &self.sets[at];
            if set.status("replicas") == 0 && set.replicas() == 0 && set.is_observed() {
                self.changes.push(Change::delete(set::kind(), &set.0));
            }
        }
    }

    fn has_deadline(&self) -> bool {
        number(&self.deployment, "/spec/progressDeadlineSeconds").is_some_and(|seconds| seconds != i64::from(i32::MAX))
    }

    fn set_condition(&mut self, condition_type: &str, state: &str, reason: &str, message: &str) {
        let condition = status::condition(condition_type, state, reason, message, self.clock.now);
        if !self.deployment["status"].is_object() {
            self.deployment["status"] = json!({});
        }
        status::set_condition(&mut self.deployment["status"], condition);
    }
}
