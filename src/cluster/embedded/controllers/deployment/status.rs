//! A Deployment's status: counts and conditions.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::object::{self, list, number, whole_seconds};
use super::{Pass, numbers};

impl Pass<'_> {
    /// Tells in the conditions that the Deployment was paused or resumed.
    pub(super) fn check_paused(&mut self) {
        if !self.has_deadline() {
            return;
        }
        let reason = object::condition(&self.deployment["status"], "Progressing")
            .and_then(|condition| condition["reason"].as_str())
            .unwrap_or_default();
        if reason == "ProgressDeadlineExceeded" {
            return;
        }
        match (self.is_paused(), reason == "DeploymentPaused") {
            (true, false) => {
                self.set_condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused");
            }
            (false, true) => {
                self.set_condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed");
            }
            _ => return,
        }
        self.paused_or_resumed = true;
        self.write_deployment_status();
    }

    /// The counts, without a word on progress.
    pub(super) fn write_plain_status(&mut self, new: Option<usize>) {
        let status = self.counts(new);
        self.write_status(status);
    }

    /// Whether the counts are others than the status tells.
    pub(super) fn is_outdated(&self) -> bool {
        self.counts(None) != self.deployment["status"]
    }

    /// The counts and how the roll-out goes.
    pub(super) fn write_roll_out_status(&mut self, new: Option<usize>) {
        let mut status = self.counts(new);
        if !self.has_deadline() {
            remove_condition(&mut status, "Progressing");
        }
        let before = object::condition(&self.deployment["status"], "Progressing").cloned();
        let reason = before.as_ref().and_then(|condition| condition["reason"].as_str()).unwrap_or_default();
        let settled =
            count(&status, "replicas") == count(&status, "updatedReplicas") && reason == "NewReplicaSetAvailable";
        if self.has_deadline() && !settled {
            self.tell_progress(&mut status, before.as_ref(), new);
        }
        self.write_failure(&mut status, new);
        if self.deployment["status"] == status {
            self.look_again_at_deadline(&status);
        } else {
            self.write_status(status);
        }
    }

    fn tell_progress(&mut self, status: &mut Value, before: Option<&Value>, new: Option<usize>) {
        let whose = match new {
            Some(at) => format!("ReplicaSet \"{}\"", self.sets[at].name()),
            None => format!("Deployment \"{}\"", object::name(&self.deployment)),
        };
        let now = self.clock.now;
        if is_complete(&self.deployment, status) {
            let message = format!("{whose} has successfully progressed.");
            set_condition(status, condition("Progressing", "True", "NewReplicaSetAvailable", &message, now));
        } else if is_progressing(&self.deployment["status"], status) {
            let message = format!("{whose} is progressing.");
            let mut progressing = condition("Progressing", "True", "ReplicaSetUpdated", &message, now);
            if let Some(before) = before {
                if before["status"] == "True" {
                    progressing["lastTransitionTime"] = before["lastTransitionTime"].clone();
                }
                remove_condition(status, "Progressing");
            }
            set_condition(status, progressing);
        } else if self.is_timed_out(status) {
            let message = format!("{whose} has timed out progressing.");
            set_condition(status, condition("Progressing", "False", "ProgressDeadlineExceeded", &message, now));
        }
    }

    /// When the roll-out is overdue; `None` where it is not waiting for anything.
    fn deadline(&self, status: &Value) -> Option<Timestamp> {
        let progressing = object::condition(status, "Progressing")?;
        if matches!(progressing["reason"].as_str(), Some("NewReplicaSetAvailable" | "ProgressDeadlineExceeded")) {
            return None;
        }
        let is_old = object::condition(&self.snapshot.deployment["status"], "Progressing") == Some(progressing);
        let since = match self.snapshot.progressed_at {
            _ if !is_old => self.clock.now,
            Some(at) => at,
            None => object::time(progressing, "/lastUpdateTime")?,
        };
        Some(self.clock.after(since, number(&self.deployment, "/spec/progressDeadlineSeconds")?))
    }

    fn is_timed_out(&self, status: &Value) -> bool {
        self.deadline(status).is_some_and(|deadline| deadline <= self.clock.now)
    }

    fn look_again_at_deadline(&mut self, status: &Value) {
        if self.has_deadline() && !is_complete(&self.deployment, status) {
            self.again_at = self.deadline(status).filter(|deadline| *deadline > self.clock.now);
        }
    }

    /// Passes on why a ReplicaSet cannot make its pods.
    fn write_failure(&self, status: &mut Value, new: Option<usize>) {
        let failure = |at: &usize| object::condition(&self.sets[*at].0["status"], "ReplicaFailure");
        let found = new.as_ref().and_then(failure).or_else(|| (0..self.sets.len()).find_map(|at| failure(&at)));
        match found {
            Some(found) => {
                let text = |key: &str| found[key].as_str().unwrap_or_default();
                let now = self.clock.now;
                set_condition(status, condition("ReplicaFailure", "True", text("reason"), text("message"), now));
            }
            None => remove_condition(status, "ReplicaFailure"),
        }
    }

    fn write_status(&mut self, status: Value) {
        if self.deployment["status"] == status {
            return;
        }
        self.look_again_at_deadline(&status);
        self.deployment["status"] = status;
        self.write_deployment_status();
    }

    /// The counts of all ReplicaSets, with the condition Available.
    fn counts(&self, new: Option<usize>) -> Value {
        let sum = |key: &str| self.sets.iter().map(|set| set.status(key)).sum::<i64>();
        let total: i64 = self.sets.iter().map(super::set::Set::replicas).sum();
        let available = sum("availableReplicas");
        let mut status = json!({});
        for (key, number) in [
            ("observedGeneration", number(&self.deployment, "/metadata/generation").unwrap_or(0)),
            ("replicas", sum("replicas")),
            ("updatedReplicas", new.map_or(0, |at| self.sets[at].status("replicas"))),
            ("readyReplicas", sum("readyReplicas")),
            ("availableReplicas", available),
            ("unavailableReplicas", (total - available).max(0)),
            ("collisionCount", count(&self.deployment["status"], "collisionCount")),
        ] {
            if number != 0 {
                status[key] = number.into();
            }
        }
        let conditions: Vec<Value> = list(&self.deployment["status"], "/conditions").cloned().collect();
        if !conditions.is_empty() {
            status["conditions"] = conditions.into();
        }
        let enough = available >= self.replicas() - numbers::max_unavailable(&self.deployment);
        let (state, reason, message) = if enough {
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        set_condition(&mut status, condition("Available", state, reason, message, self.clock.now));
        status
    }
}

fn count(status: &Value, key: &str) -> i64 {
    status[key].as_i64().unwrap_or(0)
}

/// Whether all that was asked for is there and available.
pub fn is_complete(deployment: &Value, status: &Value) -> bool {
    let replicas = numbers::replicas(deployment);
    ["updatedReplicas", "replicas", "availableReplicas"].iter().all(|key| count(status, key) == replicas)
        && count(status, "observedGeneration") >= number(deployment, "/metadata/generation").unwrap_or(0)
}

fn is_progressing(before: &Value, now: &Value) -> bool {
    let old = |status: &Value| count(status, "replicas") - count(status, "updatedReplicas");
    old(now) < old(before)
        || ["updatedReplicas", "readyReplicas", "availableReplicas"]
            .iter()
            .any(|key| count(now, key) > count(before, key))
}

pub fn condition(condition_type: &str, state: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    let now = whole_seconds(now);
    json!({
        "type": condition_type, "status": state, "lastUpdateTime": now, "lastTransitionTime": now,
        "reason": reason, "message": message,
    })
}

/// Sets a condition, which then is the last; one of the same state and reason stays as it is.
pub fn set_condition(status: &mut Value, mut condition: Value) {
    let condition_type = condition["type"].as_str().unwrap_or_default().to_owned();
    if let Some(before) = object::condition(status, &condition_type)
        && before["status"] == condition["status"]
    {
        if before["reason"] == condition["reason"] {
            return;
        }
        condition["lastTransitionTime"] = before["lastTransitionTime"].clone();
    }
    remove_condition(status, &condition_type);
    match status.get_mut("conditions").and_then(Value::as_array_mut) {
        Some(conditions) => conditions.push(condition),
        None => status["conditions"] = json!([condition]),
    }
}

fn remove_condition(status: &mut Value, condition_type: &str) {
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.retain(|condition| condition["type"] != condition_type);
        if conditions.is_empty() {
            status.as_object_mut().expect("it has members").remove("conditions");
        }
    }
}
