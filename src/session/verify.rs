//! Checks a step: observes, tells the verdicts, keeps what came of it.

use serde::Serialize;

use super::{Host, Session, state};
use crate::checks::{self, State, Verdict, Waiting};
use crate::error::{Exit, Failure};
use crate::ui::{Style, hang};

/// Whether a check may await what it expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As long as the lesson says.
    AsWritten,
    /// A single observation.
    Once,
}

/// What the checks of a step said.
#[derive(Debug, Clone)]
pub struct Report {
    pub course: String,
    pub step: String,
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// A step without checks passes: it is there to be read.
    pub fn passed(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.state == State::Passed)
    }

    pub fn first_failed(&self) -> Option<&Verdict> {
        self.verdicts.iter().find(|verdict| verdict.state != State::Passed)
    }

    /// How `verify` ends.
    pub fn exit(&self) -> Exit {
        if self.verdicts.iter().any(|verdict| verdict.state == State::Broken) {
            Exit::Broken
        } else if self.passed() {
            Exit::Done
        } else {
            Exit::NotYet
        }
    }

    /// The documented form of `verify --json`.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Json<'r> {
            course: &'r str,
            step: &'r str,
            passed: bool,
            checks: Vec<JsonCheck<'r>>,
        }
        #[derive(Serialize)]
        struct JsonCheck<'r> {
            name: &'r str,
            state: &'static str,
            expected: &'r str,
            actual: &'r str,
            hint: &'r str,
        }
        let checks = self.verdicts.iter().map(|verdict| JsonCheck {
            name: &verdict.name,
            state: word(verdict.state),
            expected: &verdict.expected,
            actual: &verdict.actual,
            hint: &verdict.hint,
        });
        let json = Json { course: &self.course, step: &self.step, passed: self.passed(), checks: checks.collect() };
        serde_json::to_string_pretty(&json).unwrap_or_default()
    }

    /// For people: a line per check, below those that do not pass what was expected, found, and to be tried.
    pub fn render(&self, style: Style, width: usize, explain: bool) -> String {
        let mut text = String::new();
        for verdict in &self.verdicts {
            let (sign, remark) = match verdict.state {
                State::Passed => (style.good("✓"), ""),
                State::Failed => (style.bad("✗"), ""),
                State::Broken => (style.warning("!"), " (this check is broken: the lesson's fault, not yours)"),
                State::Unreachable => (style.warning("?"), " (could not be looked at)"),
            };
            let name = if verdict.state == State::Passed { verdict.name.clone() } else { style.bold(&verdict.name) };
            text.push_str(&hang(&format!("{sign} {name}{remark}"), width, 2));
            if verdict.state != State::Passed {
                field(&mut text, style, width, "expected", &verdict.expected);
                field(&mut text, style, width, "found", &verdict.actual);
                field(&mut text, style, width, "try", &style.commands(&verdict.hint));
            }
            if explain {
                field(&mut text, style, width, "observed", &verdict.observation);
            }
        }
        text
    }
}

/// The word for a state in JSON.
pub fn word(state: State) -> &'static str {
    match state {
        State::Passed => "passed",
        State::Failed => "failed",
        State::Broken => "broken",
        State::Unreachable => "unreachable",
    }
}

/// What is awaited, how long it may take, and what was found so far.
fn waiting_line(check: &str, waiting: Waiting<'_>) -> String {
    let found = waiting.found.lines().next().unwrap_or_default();
    format!("waiting for: {check} ({} s left) · {found}", waiting.left.as_secs())
}

fn field(text: &mut String, style: Style, width: usize, label: &str, value: &str) {
    if value.trim().is_empty() {
        return;
    }
    for (number, line) in value.trim_end().lines().enumerate() {
        let label = if number == 0 { format!("{label:<9}") } else { " ".repeat(9) };
        text.push_str(&hang(&format!("    {}{line}", style.dim(&label)), width, 13));
    }
}

impl Session<'_> {
    /// Observes a step's checks, one after the other; once one fails, the others are not awaited. What is awaited
    /// shows on a line meanwhile.
    pub fn observe(&mut self, id: &str, patience: Patience) -> Result<Report, Failure> {
        let mut report = Report { course: self.course.id.clone(), step: id.to_owned(), verdicts: Vec::new() };
        let Some(place) = state::place(&self.course, id) else { return Ok(report) };
        let checks = place.step.checks.clone();
        if checks.is_empty() {
            return Ok(report);
        }
        let environment = self.ready_environment()?;
        let variables = self.variables();
        let context = self.check_context(environment);
        let line = (patience == Patience::AsWritten).then(|| self.host.ui.progress("checking"));
        let show = |text: &str| line.iter().for_each(|line| line.set(text));
        for check in checks {
            let mut check = variables.substitute_check(&check);
            if patience == Patience::Once || !report.passed() {
                check.within = None;
            }
            show(&format!("checking: {}", check.name));
            let told = |waiting: Waiting<'_>| show(&waiting_line(&check.name, waiting));
            let verdict = self.host.block_on(async {
                tokio::select! {
                    verdict = checks::observe(&check, &context, &told) => Ok(verdict),
                    () = self.host.interruptions.caught() => Err(Failure::new("").exit(Exit::Interrupted)),
                }
            })?;
            report.verdicts.push(verdict);
        }
        Ok(report)
    }

    /// What the checks look at.
    fn check_context(&self, added: Vec<(String, String)>) -> checks::Context {
        let mut environment = self.host.environment.clone();
        environment.extend(added);
        let kubeconfig = self.sandbox.known().map(|connection| connection.kubeconfig_readonly);
        if let Some(kubeconfig) = &kubeconfig {
            // Checks read only, the commands of checks too.
            environment.insert("KUBECONFIG".into(), kubeconfig.display().to_string());
        }
        let start = super::snapshots::of_step(&self.progress.current);
        checks::Context {
            repository: self.workspace.repository(),
            had_repository: crate::workspace::snapshot::SnapshotStore::of(&self.workspace).has_repository(&start),
            kubeconfig,
            environment: environment.into_iter().collect(),
        }
    }

    /// Checks the current step (or another) and keeps what came of it: only the current one can be passed.
    pub fn verify(&mut self, step: Option<&str>, patience: Patience) -> Result<Report, Failure> {
        let id = step.unwrap_or(&self.progress.current).to_owned();
        if id == self.progress.current {
            self.prepare()?;
        }
        let report = self.observe(&id, patience)?;
        self.record(&report)?;
        Ok(report)
    }

    /// Keeps what the checks of a step said.
    pub fn record(&mut self, report: &Report) -> Result<(), Failure> {
        if state::place(&self.course, &report.step).is_some_and(|place| !place.step.saves.is_empty()) {
            self.ready()?;
        }
        let _lock = self.lock("verify")?;
        if self.progress.current != report.step {
            return Ok(());
        }
        let id = &report.step;
        self.progress.step_mut(id).attempts += 1;
        self.progress.step_mut(id).settled = report.passed();
        if report.passed() {
            state::pass(&mut self.progress, id, Host::now());
            self.keep_variables(id)?;
        }
        self.save()
    }
}
