//! The time that a plan is made at, and by how much waiting is shortened.

use jiff::{SignedDuration, Timestamp};

/// Now, and the time factor: 1 for a learner, more where tests are to see deadlines pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    pub now: Timestamp,
    pub factor: f64,
}

impl Clock {
    /// The time so many of a manifest's seconds after another.
    pub fn after(&self, start: Timestamp, seconds: i64) -> Timestamp {
        // A manifest's seconds are 32 bits wide, so nothing is lost on the way through a float.
        #[allow(clippy::cast_precision_loss)]
        let scaled = SignedDuration::try_from_secs_f64(seconds as f64 / self.factor).unwrap_or(SignedDuration::MAX);
        start.checked_add(scaled).unwrap_or(Timestamp::MAX)
    }
}
