//! Waiting for a state: by retries with a deadline, ended early once nothing is in progress any more.

use std::time::Duration;

use tokio::time::Instant;

use super::State;
use super::finding::Finding;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(150);
/// So long must nothing have been in progress before waiting is given up: a controller may be about to begin.
const QUIET: Duration = Duration::from_millis(1200);
/// The same for what is only seen by its traces, which come in larger steps.
const QUIET_TRACES: Duration = Duration::from_secs(4);

/// What is seen while a state is awaited.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'f> {
    /// What was found last.
    pub found: &'f str,
    /// How long it is awaited at most from now.
    pub left: Duration,
}

/// How long a check may be awaited, and who is told of it meanwhile.
#[derive(Clone, Copy)]
pub struct Patience<'t> {
    pub within: Option<Duration>,
    pub told: &'t dyn Fn(Waiting<'_>),
}

/// Looks until the finding has passed, the check turns out to be broken, nothing is in progress any more, or
/// the time is over; without a time, once.
pub async fn retry(patience: Patience<'_>, look: impl AsyncFn() -> Finding) -> Finding {
    let Some(within) = patience.within else { return look().await };
    let begin = Instant::now();
    let deadline = begin + within;
    let mut signs = Signs { seen: begin, trace: None };
    loop {
        let mut finding = look().await;
        let now = Instant::now();
        let is_quiet = signs.end_with(&finding, now);
        let is_final = matches!(finding.state, State::Passed | State::Broken);
        if is_final || is_quiet || now + PERIOD > deadline {
            finding.observation.extend(remark(&finding, now.duration_since(begin), within, is_quiet));
            return finding;
        }
        (patience.told)(Waiting { found: &finding.actual, left: deadline.duration_since(now) });
        tokio::time::sleep(PERIOD).await;
    }
}

/// The signs of something in progress.
struct Signs {
    /// When there was one last.
    seen: Instant,
    trace: Option<String>,
}

impl Signs {
    /// Whether there has been none for so long that there will be none any more.
    fn end_with(&mut self, finding: &Finding, now: Instant) -> bool {
        if finding.in_progress || finding.trace != self.trace {
            self.seen = now;
        }
        self.trace.clone_from(&finding.trace);
        now.duration_since(self.seen) >= if self.trace.is_some() { QUIET_TRACES } else { QUIET }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_once_nothing_is_in_progress_any_more() {
        /// `look` is what is found so many seconds after the beginning.
        fn check(look: fn(u64) -> Finding, expected_s: Option<u64>) {
            let begin = Instant::now();
            let mut signs = Signs { seen: begin, trace: None };
            let end = (0..40).find(|second| signs.end_with(&look(*second), begin + Duration::from_secs(*second)));
            assert_eq!(end, expected_s);
        }
        fn quiet() -> Finding {
            Finding::failed("a", "b", "c").in_progress(false)
        }
        check(|_| quiet(), Some(2));
        check(|_| quiet().in_progress(true), None);
        check(|second| quiet().in_progress(second < 10), Some(11));
        // An interrupted converge: its record says that something goes on, and nothing changes.
        check(|_| quiet().traced_by(Some("pending".into())), Some(4));
        check(|second| quiet().traced_by(Some(second.to_string())), None);
        check(|second| quiet().traced_by(Some((second / 3).min(3).to_string())), Some(13));
    }
}
