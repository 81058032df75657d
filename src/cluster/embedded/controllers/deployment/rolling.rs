//! The rolling update: the new ReplicaSet grows within the surge, the old ones shrink within what may be unavailable.

use super::{Pass, numbers, status};

impl Pass<'_> {
    pub(super) fn roll(&mut self) {
        let Ok(Some(new)) = self.new_set(true) else { return };
        let scaled = self.grow_new(new) || self.shrink_old(new);
        if !scaled && status::is_complete(&self.deployment, &self.deployment["status"]) {
            self.clean_up(Some(new));
        }
        self.write_roll_out_status(Some(new));
    }

    fn grow_new(&mut self, new: usize) -> bool {
        let (wanted, own) = (self.replicas(), self.sets[new].replicas());
        if own >= wanted {
            return own > wanted && self.resize(new, wanted);
        }
        let others = self.old(Some(new)).iter().map(|at| self.sets[*at].replicas()).sum();
        self.resize(new, numbers::new_size(&self.deployment, others, own))
    }

    fn shrink_old(&mut self, new: usize) -> bool {
        let old = self.active(&self.old(Some(new)));
        let old_pods: i64 = old.iter().map(|at| self.sets[*at].replicas()).sum();
        if old_pods == 0 {
            return false;
        }
        let least = self.replicas() - numbers::max_unavailable(&self.deployment);
        let new_set = &self.sets[new];
        let unavailable = new_set.replicas() - new_set.status("availableReplicas");
        let most = old_pods + new_set.replicas() - least - unavailable;
        if most <= 0 {
            return false;
        }
        let cleaned = self.shrink_unhealthy(&old, most);
        let scaled = self.shrink_healthy(&old, new, least);
        cleaned + scaled > 0
    }

    /// Pods of old ReplicaSets that do not serve anyway go first.
    fn shrink_unhealthy(&mut self, old: &[usize], most: i64) -> i64 {
        let mut done = 0;
        for at in old {
            let size = self.sets[*at].replicas();
            let unhealthy = size - self.sets[*at].status("availableReplicas");
            let surplus = unhealthy.min(most - done);
            if surplus > 0 {
                self.resize(*at, size - surplus);
                done += surplus;
            }
        }
        done
    }

    /// As many more as are available beyond the least number.
    fn shrink_healthy(&mut self, old: &[usize], new: usize, least: i64) -> i64 {
        let available: i64 = old.iter().chain([&new]).map(|at| self.sets[*at].status("availableReplicas")).sum();
        let mut left = available - least;
        let mut done = 0;
        for at in old {
            let size = self.sets[*at].replicas();
            let surplus = size.min(left);
            if surplus > 0 {
                self.resize(*at, size - surplus);
                left -= surplus;
                done += surplus;
            }
        }
        done
    }
}
