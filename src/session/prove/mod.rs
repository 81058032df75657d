//! Proves a course: for each step its checks must fail before the solution and pass after it, pass twice, and change
//! nothing; wrong answers must not pass and other right ones must.
//!
//! A course is played by one session or by several at once, each in a workspace and a sandbox of its own. All of them
//! apply every solution, for a step needs the ones before it; the other answers are shared out among them. What they
//! find is put together by [`Findings::merge`].

mod fingerprint;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::solution::deeds;
use super::verify::{Patience, Report};
use super::{Session, snapshots, state};
use crate::checks::{State, Verdict};
use crate::course::model::{Part, Script, Step};
use crate::error::Failure;
use fingerprint::Fingerprint;

/// How many lines of what a solution printed are told when it does not pass.
const OUTPUT_LINES_MAX: usize = 8;

/// How long a sandbox that was put back may take until the checks see what they saw.
const SETTLING_TIME_MAX: Duration = Duration::from_secs(10);
/// How often they look meanwhile.
const LOOK_PERIOD: Duration = Duration::from_millis(30);

/// Which part of the work a session does: every `of`-th answer from `index` on. The first session also looks at the
/// checks by themselves.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    pub index: usize,
    pub of: usize,
    /// Whether the sandbox can be put back: where it cannot, the course is played in one line, by its solutions alone.
    pub resets: bool,
}

/// What was found out about a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    pub id: String,
    /// What is wrong with it, as sentences; none means that it is proven.
    pub failures: Vec<String>,
    /// The checks that were seen to fail, as each should be at some time.
    pub seen_failing: BTreeSet<String>,
    /// Whether the solution led to the step's end, so that the steps behind it can be played.
    pub solved: bool,
    pub seconds: f64,
}

impl Findings {
    /// Puts together what several sessions found out about the same step.
    pub fn merge(&mut self, other: Self) {
        for failure in other.failures {
            if !self.failures.contains(&failure) {
                self.failures.push(failure);
            }
        }
        self.seen_failing.extend(other.seen_failing);
        self.solved &= other.solved;
        self.seconds = self.seconds.max(other.seconds);
    }

    /// Whether nothing is wrong with the step.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// An answer beside the solution.
#[derive(Debug, Clone)]
struct Answer {
    /// How it is told: `the wrong answer "…"`.
    told: String,
    /// Where it stands, `file:line`.
    location: String,
    /// The step with this answer as its solution.
    step: Step,
    must_pass: bool,
}

/// The answers that a step's author wrote beside the solution, and the commands as they are printed where the solution
/// is another one.
fn answers(step: &Step) -> Vec<Answer> {
    let with = |told: String, solution: Option<&Script>, must_pass| Answer {
        told,
        location: solution.map_or(&step.location, |script| &script.location).clone(),
        step: Step { solution: solution.cloned(), ..step.clone() },
        must_pass,
    };
    let mut answers: Vec<Answer> = Vec::new();
    for wrong in &step.wrongs {
        answers.push(with(format!("the wrong answer \"{}\"", wrong.name), Some(&wrong.script), false));
    }
    for other in &step.alternatives {
        answers.push(with(format!("the other solution \"{}\"", other.name), Some(&other.script), true));
    }
    let prints_files = step.body.iter().any(|part| matches!(part, Part::File(_)));
    let prints_commands = step.body.iter().any(|part| matches!(part, Part::Type(_)));
    if step.solution.is_some() && prints_files && prints_commands {
        answers.push(with("what it prints, typed as printed,".into(), None, true));
    }
    answers
}

impl Session<'_> {
    /// Plays the course from its first step; `found` is handed what came of each. It ends after a step whose solution
    /// does not pass, for nothing behind it could be played.
    pub fn prove(&mut self, share: Share, mut found: impl FnMut(Findings)) -> Result<(), Failure> {
        let ids: Vec<String> = state::places(&self.course).map(|place| place.id().to_owned()).collect();
        let mut turn = 0;
        for (position, id) in ids.iter().enumerate() {
            let started = Instant::now();
            if position == 0 {
                self.prepare()?;
            } else {
                self.enter(id)?;
            }
            let mut findings = self.prove_step(id, share, &mut turn)?;
            findings.seconds = started.elapsed().as_secs_f64();
            let solved = findings.solved;
            found(findings);
            if !solved {
                break;
            }
        }
        Ok(())
    }

    fn prove_step(&mut self, id: &str, share: Share, turn: &mut usize) -> Result<Findings, Failure> {
        let step = self.place()?.step.clone();
        let mut findings = Findings { id: id.to_owned(), ..Findings::default() };
        let leads = share.index == 0;
        let start = self.observe(id, Patience::Once)?;
        if leads && !step.checks.is_empty() {
            self.prove_start(&step, &start, &mut findings);
        }
        let answers = if share.resets { answers(&step) } else { Vec::new() };
        for answer in answers {
            let is_ours = *turn % share.of == share.index;
            *turn += 1;
            if is_ours {
                self.prove_answer(&answer, &mut findings)?;
                self.back_to_start(&step, &start)?;
            }
        }
        if leads && share.resets && !deeds(&step).is_empty() {
            // The solution is tried on the state that a learner who resets or jumps to the step would have.
            self.back_to_start(&step, &start)?;
        }
        self.prove_solution(&step, leads, &mut findings)?;
        Ok(findings)
    }

    /// Before anything was done the checks must not pass, and the setup must bear to be run again.
    fn prove_start(&mut self, step: &Step, start: &Report, findings: &mut Findings) {
        note_failing(start, findings);
        if start.passed() {
            findings.failures.push("its checks pass before anything was done".into());
        }
        findings.failures.extend(broken(start, "before anything was done"));
        if let Err(failure) = self.run_hidden("setup", &step.setup) {
            findings.failures.push(format!("its setup cannot be run twice: {}", in_one_line(&failure)));
        }
    }

    fn prove_answer(&mut self, answer: &Answer, findings: &mut Findings) -> Result<(), Failure> {
        let output = match self.answer(&answer.step) {
            Ok(output) => output,
            Err(failure) if answer.must_pass => {
                findings.failures.push(format!("{} cannot be applied: {}", answer.told, in_one_line(&failure)));
                return Ok(());
            }
            Err(failure) => return Err(failure),
        };
        let patience = if answer.must_pass { Patience::AsWritten } else { Patience::Once };
        let report = self.observe(&answer.step.id.0, patience)?;
        findings.failures.extend(broken(&report, &format!("after {}", answer.told)));
        if answer.must_pass && !report.passed() {
            findings.failures.push(format!(
                "{} ({}) does not pass: {}",
                answer.told,
                answer.location,
                why(&report, &output)
            ));
        }
        if !answer.must_pass {
            note_failing(&report, findings);
            if report.passed() {
                findings.failures.push(format!("{} passes ({})", answer.told, answer.location));
            }
        }
        Ok(())
    }

    /// The solution must pass, twice, and looking must change nothing.
    fn prove_solution(&mut self, step: &Step, leads: bool, findings: &mut Findings) -> Result<(), Failure> {
        let output = match self.answer(step) {
            Ok(output) => output,
            Err(failure) => {
                findings.failures.push(format!("its solution cannot be applied: {}", in_one_line(&failure)));
                return Ok(());
            }
        };
        let report = self.observe(&step.id.0, Patience::AsWritten)?;
        if !report.passed() {
            findings.failures.extend(broken(&report, "after its solution"));
            findings.failures.push(format!("its solution does not pass: {}", why(&report, &output)));
            return Ok(());
        }
        if leads && !step.checks.is_empty() {
            let repository = self.workspace.repository();
            let before = Fingerprint::of(&repository);
            let again = self.observe(&step.id.0, Patience::Once)?;
            if !again.passed() {
                findings.failures.push(format!("its checks pass once and not twice: {}", why(&again, &[])));
            }
            let changed = Fingerprint::of(&repository).changes_since(&before);
            if !changed.is_empty() {
                findings.failures.push(format!("its checks change what they look at: {}", changed.join(", ")));
            }
        }
        match self.record(&report) {
            Ok(()) => findings.solved = true,
            Err(failure) => findings.failures.push(in_one_line(&failure)),
        }
        Ok(())
    }

    /// Applies a step's solution; answers what it printed.
    fn answer(&mut self, step: &Step) -> Result<Vec<String>, Failure> {
        let mut output = Vec::new();
        self.apply_solution(step, |_| (), |line| output.push(line.to_owned()))?;
        Ok(output)
    }

    /// Git and cluster as they were when the step began, to the checks' eyes as well: pods that were put back need a
    /// moment to serve again.
    fn back_to_start(&mut self, step: &Step, start: &Report) -> Result<(), Failure> {
        {
            let _lock = self.lock("author test")?;
            let progress = self.progress.clone();
            self.put_back(&snapshots::of_step(&step.id.0), progress)?;
        }
        self.run_hidden("setup", &step.setup)?;
        let deadline = Instant::now() + SETTLING_TIME_MAX;
        while !passing(start).is_subset(&passing(&self.observe(&step.id.0, Patience::Once)?))
            && Instant::now() < deadline
        {
            std::thread::sleep(LOOK_PERIOD);
        }
        Ok(())
    }
}

/// The names of the checks that pass.
fn passing(report: &Report) -> BTreeSet<&str> {
    let passing = report.verdicts.iter().filter(|verdict| verdict.state == State::Passed);
    passing.map(|verdict| verdict.name.as_str()).collect()
}

fn note_failing(report: &Report, findings: &mut Findings) {
    let failing = report.verdicts.iter().filter(|verdict| verdict.state != State::Passed);
    findings.seen_failing.extend(failing.map(|verdict| verdict.name.clone()));
}

/// The checks that are broken, as sentences.
fn broken(report: &Report, when: &str) -> Vec<String> {
    let broken = report.verdicts.iter().filter(|verdict| verdict.state == State::Broken);
    broken
        .map(|verdict| format!("the check \"{}\" is broken {when}: {}", verdict.name, verdict.actual.trim()))
        .collect()
}

/// What the first check that does not pass said, and what the commands printed last.
fn why(report: &Report, output: &[String]) -> String {
    let told = |verdict: &Verdict| {
        format!("\"{}\": expected {}, found {}", verdict.name, verdict.expected.trim(), verdict.actual.trim())
    };
    let mut text = report.first_failed().map(told).unwrap_or_default();
    let last = &output[output.len().saturating_sub(OUTPUT_LINES_MAX)..];
    if !last.is_empty() {
        text.push_str("\nthe commands printed:");
        for line in last {
            text.push_str("\n  ");
            text.push_str(line);
        }
    }
    text
}

fn in_one_line(failure: &Failure) -> String {
    let causes = failure.causes.iter().map(|cause| cause.trim().replace('\n', "; "));
    std::iter::once(failure.message.clone()).chain(causes).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::model::NamedScript;
    use crate::session::state::tests::course;

    #[test]
    fn every_answer_of_the_author_is_tried() {
        let script = |text: &str| Script { text: text.into(), location: String::new() };
        let named = |name: &str| NamedScript { name: name.into(), script: script(name) };
        let mut step = course(&[("01", &["one"])]).lessons[0].steps[0].clone();
        step.solution = Some(script("solve"));
        step.wrongs = vec![named("a"), named("b")];
        step.alternatives = vec![named("c")];
        let tried: Vec<(String, bool)> =
            answers(&step).into_iter().map(|answer| (answer.told, answer.must_pass)).collect();
        let expected =
            [("the wrong answer \"a\"", false), ("the wrong answer \"b\"", false), ("the other solution \"c\"", true)];
        assert_eq!(tried, expected.map(|(told, must_pass)| (told.to_owned(), must_pass)));
    }

    #[test]
    fn what_several_sessions_found_is_put_together() {
        let findings = |failures: &[&str], failing: &[&str], seconds| Findings {
            id: "one".into(),
            failures: failures.iter().map(|text| (*text).to_owned()).collect(),
            seen_failing: failing.iter().map(|text| (*text).to_owned()).collect(),
            solved: true,
            seconds,
        };
        let mut merged = findings(&["x"], &["a"], 1.0);
        merged.merge(findings(&["x", "y"], &["b"], 2.0));
        assert_eq!(merged, findings(&["x", "y"], &["a", "b"], 2.0));
    }
}
