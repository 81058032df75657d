//! A ReplicaSet, as a roll-out sees it.

use jiff::Timestamp;
use serde_json::Value;

use super::super::super::schema::Kind;
use super::super::object::{self, number};
use super::annotations::REVISION;

pub fn kind() -> &'static Kind {
    super::super::replica_set::kind()
}

/// A ReplicaSet of the Deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Set(pub Value);

impl Set {
    pub fn name(&self) -> &str {
        object::name(&self.0)
    }

    pub fn created(&self) -> Timestamp {
        object::created(&self.0)
    }

    /// How many pods it is asked to have.
    pub fn replicas(&self) -> i64 {
        number(&self.0, "/spec/replicas").unwrap_or(1)
    }

    pub fn set_replicas(&mut self, replicas: i64) {
        object::map_mut(&mut self.0, &["spec"]).insert("replicas".into(), replicas.into());
    }

    /// A count of its status.
    pub fn status(&self, count: &str) -> i64 {
        self.0["status"][count].as_i64().unwrap_or(0)
    }

    /// Whether its status is of its present spec.
    pub fn is_observed(&self) -> bool {
        self.status("observedGeneration") >= number(&self.0, "/metadata/generation").unwrap_or(0)
    }

    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.0["metadata"]["annotations"][key].as_str()
    }

    pub fn revision_text(&self) -> &str {
        self.annotation(REVISION).unwrap_or_default()
    }

    /// The roll-out that it was last the goal of.
    pub fn revision(&self) -> i64 {
        self.revision_text().parse().unwrap_or(0)
    }
}
