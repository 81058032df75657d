//! Evaluates checks: reads git, the cluster, releases, pages, files; changes nothing.
//!
//! Place: a leaf beside `course`, whose plain check types it takes; `session` hands it a context and shows the verdicts.
//! Invariants: nothing passes on nothing (what is missing fails by its own text, a check that expects nothing is
//! broken); a verdict says what was expected, what was found and what to try next; every wait has a deadline.

mod await_state;
mod cluster;
mod command;
mod file;
mod finding;
mod git;
mod http;
mod kubernetes;
mod nearest;
mod release;

use std::path::PathBuf;

pub use await_state::Waiting;

use crate::course::check::{Check, Probe};
use await_state::Patience;
use finding::Finding;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Passed,
    Failed,
    /// The lesson's fault.
    Broken,
    /// What it looks at could not be reached.
    Unreachable,
}

/// A check's outcome, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub name: String,
    pub state: State,
    pub expected: String,
    pub actual: String,
    /// The next thing to try.
    pub hint: String,
    /// The exact observation behind it.
    pub observation: String,
}

/// What checks look at.
#[derive(Debug, Clone)]
pub struct Context {
    /// The learner's repository.
    pub repository: PathBuf,
    /// There was one when the step began.
    pub had_repository: bool,
    /// Of the read-only user.
    pub kubeconfig: Option<PathBuf>,
    /// The whole environment of commands.
    pub environment: Vec<(String, String)>,
}

/// Observes one check, awaiting what it expects as long as its `within` says; `told` hears of the waiting.
pub async fn observe(check: &Check, context: &Context, told: &dyn Fn(Waiting<'_>)) -> Verdict {
    let patience = Patience { within: check.within, told };
    let finding = match &check.probe {
        Probe::Git(probe) => {
            await_state::retry(patience, async || git::observe(probe, &context.repository, context.had_repository))
                .await
        }
        Probe::File(probe) => await_state::retry(patience, async || file::observe(probe, &context.repository)).await,
        Probe::Http(probe) => await_state::retry(patience, async || http::observe(probe).await).await,
        Probe::Command(probe) => await_state::retry(patience, async || command::observe(probe, context).await).await,
        Probe::Shell { script } => {
            await_state::retry(patience, async || command::observe_script(script, context).await).await
        }
        Probe::Kubernetes(probe) => kubernetes::observe(probe, patience, context.kubeconfig.as_deref()).await,
        Probe::Release(probe) => release::observe(probe, patience, context.kubeconfig.as_deref()).await,
    };
    verdict(check, finding)
}

/// What is told of a finding. The author's own words come before ours, those of their script before the others.
fn verdict(check: &Check, finding: Finding) -> Verdict {
    let own_words = finding.remedy.as_ref().or(check.otherwise.as_ref());
    let hint = match (own_words, finding.state) {
        (_, State::Passed) => String::new(),
        (Some(words), State::Failed) => {
            words.replace("{expected}", &finding.expected).replace("{actual}", &finding.actual)
        }
        (_, State::Broken) => format!("this check stands at {}; tell the course's author", check.location),
        _ => finding.hint,
    };
    // Of a script nobody reads what was expected. Where the author says what to do, the name says what should be so;
    // the script itself is in the observation.
    let is_script = match &check.probe {
        Probe::Command(probe) => probe.run.trim().contains('\n'),
        Probe::Shell { .. } => true,
        _ => false,
    };
    let expected = match own_words {
        Some(_) if is_script && finding.state == State::Failed => check.name.clone(),
        _ => finding.expected,
    };
    Verdict {
        name: check.name.clone(),
        state: finding.state,
        expected,
        actual: finding.actual,
        hint,
        observation: finding.observation.join("\n"),
    }
}
