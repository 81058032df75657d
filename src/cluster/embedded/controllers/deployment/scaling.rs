//! Scaling: to another number of replicas, in proportion while a roll-out goes on.

use super::super::super::events::Telling;
use super::super::object::number;
use super::set::Set;
use super::{Pass, annotations, numbers};

impl Pass<'_> {
    /// Whether the Deployment was asked for another number of replicas than its ReplicaSets were sized for.
    pub(super) fn is_scaling(&self) -> bool {
        let wanted = self.replicas();
        self.sets.iter().filter(|set| set.replicas() > 0).any(|set| desired(set).is_some_and(|size| size != wanted))
    }

    pub(super) fn scale(&mut self, new: Option<usize>) {
        let wanted = self.replicas();
        let old = self.old(new);
        let all: Vec<usize> = old.iter().copied().chain(new).collect();
        let active = self.active(&all);
        match active[..] {
            [] => {
                let newest = old.iter().copied().max_by_key(|at| self.sets[*at].created());
                if let Some(at) = new.or(newest) {
                    self.resize(at, wanted);
                }
                return;
            }
            [only] => {
                self.resize(only, wanted);
                return;
            }
            _ => {}
        }
        if new.is_some_and(|at| self.is_saturated(at)) {
            for at in self.active(&old) {
                self.resize(at, 0);
            }
        } else if self.deployment["spec"]["strategy"]["type"] == "RollingUpdate" {
            self.scale_in_proportion(active);
        }
    }

    /// Whether the new ReplicaSet alone is all that is wanted.
    fn is_saturated(&self, new: usize) -> bool {
        let (set, wanted) = (&self.sets[new], self.replicas());
        set.replicas() == wanted && desired(set) == Some(wanted) && set.status("availableReplicas") == wanted
    }

    /// Shares what is to be added or taken among the ReplicaSets by their sizes.
    fn scale_in_proportion(&mut self, mut active: Vec<usize>) {
        let wanted = self.replicas();
        let allowed = if wanted > 0 { wanted + numbers::max_surge(&self.deployment) } else { 0 };
        let to_add = allowed - active.iter().map(|at| self.sets[*at].replicas()).sum::<i64>();
        active.sort_by(|one, other| {
            let (one, other) = (&self.sets[*one], &self.sets[*other]);
            let age = one.created().cmp(&other.created());
            let age = if to_add > 0 { age.reverse() } else { age };
            other.replicas().cmp(&one.replicas()).then(age)
        });
        let mut added = 0;
        let mut sizes: Vec<i64> = Vec::new();
        for at in &active {
            let share = self.share(*at, to_add, added);
            sizes.push(self.sets[*at].replicas() + share);
            added += share;
        }
        if let Some(first) = sizes.first_mut() {
            *first = (*first + to_add - added).max(0);
        }
        for (at, size) in active.into_iter().zip(sizes) {
            self.write_size(at, size);
        }
    }

    fn share(&self, at: usize, to_add: i64, added: i64) -> i64 {
        let size = self.sets[at].replicas();
        if size == 0 || to_add == 0 || to_add == added {
            return 0;
        }
        let fraction = self.fraction(at);
        if to_add > 0 { fraction.min(to_add - added) } else { fraction.max(to_add - added) }
    }

    /// By how much a ReplicaSet would change to keep its proportion.
    fn fraction(&self, at: usize) -> i64 {
        let set = &self.sets[at];
        let (size, wanted) = (set.replicas(), self.replicas());
        if wanted == 0 {
            return -size;
        }
        let max = wanted + numbers::max_surge(&self.deployment);
        let before = set.annotation(annotations::MAX).and_then(|text| text.parse().ok()).filter(|max| *max != 0);
        let before: i64 = before.unwrap_or_else(|| number(&self.deployment, "/status/replicas").unwrap_or(0));
        if before == 0 {
            return 0;
        }
        // Rounded to the nearest, halves away from zero.
        (2 * size * max + before).div_euclid(2 * before) - size
    }

    /// Gives a ReplicaSet another size and tells of it. Returns whether the size changed.
    pub(super) fn resize(&mut self, at: usize, size: i64) -> bool {
        self.sets[at].replicas() != size && self.write_size(at, size)
    }

    fn write_size(&mut self, at: usize, size: i64) -> bool {
        let before = self.sets[at].replicas();
        if before == size && annotations::sizes_are_current(&self.deployment, &self.sets[at].0) {
            return false;
        }
        let mut set = self.sets[at].clone();
        set.set_replicas(size);
        annotations::set_sizes(&self.deployment, &mut set.0);
        let name = set.name().to_owned();
        self.update_set(at, set);
        if before != size {
            let direction = if size > before { "up" } else { "down" };
            let message = format!("Scaled {direction} replica set {name} from {before} to {size}");
            self.tell(Telling::normal("ScalingReplicaSet", message));
        }
        before != size
    }
}

fn desired(set: &Set) -> Option<i64> {
    set.annotation(annotations::DESIRED)?.parse().ok()
}
