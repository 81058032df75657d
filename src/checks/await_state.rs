//! Waiting for a state: by retries with a deadline, ended early once nothing is in progress any more.

use std::time::Duration;

use tokio::time::Instant;

use super::State;
use super::finding::Finding;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(150);
/// So long must nothing have been in progress before waiting is given up: a controller may be about to begin.
const QUIET: Duration = Duration::from_millis(1200);

/// Looks until the finding has passed, the check turns out to be broken, nothing is in progress any more, or
/// the time is over; without a time, once.
pub async fn retry(within: Option<Duration>, look: impl AsyncFn() -> Finding) -> Finding {
    let Some(within) = within else { return look().await };
    let begin = Instant::now();
    let deadline = begin + within;
    let mut progress_seen = begin;
    loop {
        let mut finding = look().await;
        let now = Instant::now();
        if finding.in_progress {
            progress_seen = now;
        }
        let is_quiet = now.duration_since(progress_seen) >= QUIET;
        let is_final = matches!(finding.state, State::Passed | State::Broken);
        if is_final || is_quiet || now + PERIOD > deadline {
            finding.observation.extend(remark(&finding, now.duration_since(begin), within, is_quiet));
            return finding;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

fn remark(finding: &Finding, waited: Duration, within: Duration, is_quiet: bool) -> Option<String> {
    let waited = waited.as_secs_f64();
    let within = within.as_secs_f64();
    match finding.state {
        State::Failed | State::Unreachable if is_quiet => {
            Some(format!("nothing is in progress any more: given up after {waited:.1} s of {within} s"))
        }
        State::Failed | State::Unreachable => Some(format!("waited {waited:.1} s")),
        _ => None,
    }
}
