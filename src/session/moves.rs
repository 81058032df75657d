//! Moves through a course: on to the next step, back, to any step, by the solution.

use super::snapshots::of_step;
use super::solution::Deed;
use super::verify::{Patience, Report};
use super::{Host, MOVED_ON, Session, state};
use crate::error::{Exit, Failure};
use crate::workspace::progress::{Outcome, Progress};
use crate::workspace::snapshot::SnapshotStore;

/// What came of asking for the next step.
#[derive(Debug)]
pub enum Advance {
    /// At the next step; with what the checks of the one before said, where they were asked.
    Entered,
    /// The checks do not pass yet.
    NotYet(Report),
    /// That was the last step.
    Finished,
}

/// How a step came to pass on the way to another.
enum Played {
    /// As the learner left it.
    AsItWas,
    Solved,
}

/// Tells what is being done in the learner's place, as it is done.
pub trait Narrator {
    /// A step is being played.
    fn step(&mut self, place: &state::Place<'_>);
    /// One deed of its solution comes now.
    fn deed(&mut self, deed: &Deed);
    /// A line that it printed.
    fn line(&mut self, line: &str);
}

impl Session<'_> {
    /// On to the next step, if this one passes or the learner only went back to read.
    pub fn advance(&mut self) -> Result<Advance, Failure> {
        let Some(next) = state::after(&self.course, &self.progress.current).map(|place| place.id().to_owned()) else {
            return self.advance_from_last();
        };
        let from = self.progress.current.clone();
        if state::may_walk_on(&self.course, &self.progress) {
            let _lock = self.lock_at(&from, "next")?;
            self.progress.current = next;
            self.save()?;
            return Ok(Advance::Entered);
        }
        let report = self.verify(None, Patience::AsWritten)?;
        if !report.passed() {
            return Ok(Advance::NotYet(report));
        }
        if self.progress.current != from {
            return Err(Failure::new(MOVED_ON).hint("`tutorial start` shows the step where you are now"));
        }
        self.enter(&next)?;
        Ok(Advance::Entered)
    }

    fn advance_from_last(&mut self) -> Result<Advance, Failure> {
        if !self.progress.step(&self.progress.current).settled {
            let report = self.verify(None, Patience::AsWritten)?;
            if !report.passed() {
                return Ok(Advance::NotYet(report));
            }
            self.clean_up();
        }
        Ok(Advance::Finished)
    }

    /// Makes a step the current one, on the state that is there.
    pub fn enter(&mut self, id: &str) -> Result<(), Failure> {
        self.ready()?;
        let from = self.progress.current.clone();
        let _lock = self.lock_at(&from, "next")?;
        self.clean_up();
        id.clone_into(&mut self.progress.current);
        let record = self.progress.step_mut(id);
        (record.started, record.settled) = (false, false);
        self.save()?;
        self.prepare_locked()
    }

    /// Back to the step before, to read; git and cluster stay as they are.
    pub fn back(&mut self) -> Result<(), Failure> {
        let from = self.progress.current.clone();
        let _lock = self.lock_at(&from, "back")?;
        let Some(before) = state::before(&self.course, &self.progress.current).map(|place| place.id().to_owned())
        else {
            return Err(Failure::new("this is the first step"));
        };
        self.progress.current = before;
        self.save()
    }

    /// Applies the current step's solution, after what is there has been kept for `undo`.
    pub fn solve(&mut self, narrator: &mut dyn Narrator) -> Result<(), Failure> {
        self.prepare()?;
        let id = self.progress.current.clone();
        let _lock = self.lock_at(&id, "solve")?;
        self.keep_for_undo(&format!("the solution of step {id}"), &id)?;
        let words = format!("interrupted in the solution of step `{id}`; `tutorial undo` takes it back");
        let _words = self.host.interruptions.last_words(words);
        self.apply(&id, narrator)?;
        self.progress.step_mut(&id).solved = true;
        self.save()
    }

    /// Applies the current step's solution and goes on to the next step.
    pub fn skip(&mut self, narrator: &mut dyn Narrator) -> Result<Advance, Failure> {
        self.prepare()?;
        let id = self.progress.current.clone();
        let next = state::after(&self.course, &id).map(|place| place.id().to_owned());
        {
            let _lock = self.lock_at(&id, "skip")?;
            self.keep_for_undo(&format!("the skip of step {id}"), next.as_ref().unwrap_or(&id))?;
        }
        let words = format!(
            "interrupted at step `{id}`; `tutorial undo` takes it back, `tutorial skip` does it from the step's start"
        );
        let _words = self.host.interruptions.last_words(words);
        self.play_current(narrator)?;
        self.leave_by_solution(&id)?;
        match next {
            Some(next) => self.enter(&next).map(|()| Advance::Entered),
            None => Ok(Advance::Finished),
        }
    }

    /// Brings git and cluster into the state that a step starts from, and the learner to it.
    pub fn goto(&mut self, target: &str, narrator: &mut dyn Narrator) -> Result<(), Failure> {
        self.prepare()?;
        let from = self.start_for(target);
        let what = format!("the move to step {target}");
        if from == self.progress.current && from != target {
            let _lock = self.lock("goto")?;
            self.keep_for_undo(&what, target)?;
        } else {
            self.reset_to(&from, &what, target)?;
        }
        match self.play_until(target, narrator) {
            // What the learner made passes, but the steps behind it cannot build on it: then from that step's start.
            Err(failure) if failure.exit == Exit::Broken && from != target => {
                self.rewind_to(&from)?;
                self.solve_from_start(&from, narrator)?;
                self.leave_by_solution(&from)?;
                self.play_until(target, narrator)
            }
            outcome => outcome,
        }
    }

    fn play_until(&mut self, target: &str, narrator: &mut dyn Narrator) -> Result<(), Failure> {
        while self.progress.current != target {
            let words = format!(
                "interrupted at step `{}`; `tutorial undo` takes it back, `tutorial goto {target}` goes on",
                self.progress.current
            );
            let _words = self.host.interruptions.last_words(words);
            let id = self.progress.current.clone();
            match self.play_current(narrator)? {
                // That they did not ask for it to be checked makes it no less done.
                Played::AsItWas => self.leave_as_done(&id)?,
                Played::Solved => self.leave_by_solution(&id)?,
            }
            let next = state::after(&self.course, &self.progress.current).map(|place| place.id().to_owned());
            let next = next.ok_or_else(|| Failure::new(format!("step `{target}` was not reached")))?;
            self.enter(&next)?;
        }
        Ok(())
    }

    fn rewind_to(&mut self, id: &str) -> Result<(), Failure> {
        let _lock = self.lock("goto")?;
        let mut progress = self.progress.clone();
        state::rewind(&self.course, &mut progress, id);
        self.put_back(&of_step(id), progress)
    }

    /// The step to begin from on the way to another: itself where its start is kept, else the last one before
    /// it whose start is, the current one at the latest.
    fn start_for(&self, target: &str) -> String {
        let store = SnapshotStore::of(&self.workspace);
        let is_kept = |id: &str| store.exists(&of_step(id)) && self.progress.step(id).first_seen.is_some();
        if is_kept(target) {
            return target.to_owned();
        }
        let up_to_target = state::places(&self.course).take_while(|place| place.id() != target);
        let candidates = up_to_target.filter(|place| place.id() == self.progress.current || is_kept(place.id()));
        candidates.last().map_or_else(|| self.progress.current.clone(), |place| place.id().to_owned())
    }

    /// Makes the current step pass: as the learner left it if it does, else by its solution from its start.
    fn play_current(&mut self, narrator: &mut dyn Narrator) -> Result<Played, Failure> {
        let id = self.progress.current.clone();
        narrator.step(&self.place()?);
        let step = self.place()?.step;
        if step.checks.is_empty() {
            // Whether its commands were run, nobody knows; what is there is no worse for running them.
            let _lock = self.lock("skip")?;
            self.apply(&id, narrator)?;
        } else if self.observe(&id, Patience::Once)?.passed() {
            return Ok(Played::AsItWas);
        } else {
            self.solve_from_start(&id, narrator)?;
        }
        Ok(Played::Solved)
    }

    /// Puts the step's start back and applies its solution, which must pass.
    fn solve_from_start(&mut self, id: &str, narrator: &mut dyn Narrator) -> Result<(), Failure> {
        {
            let _lock = self.lock("skip")?;
            let progress: Progress = self.progress.clone();
            self.put_back(&of_step(id), progress)?;
            self.progress.step_mut(id).started = false;
            self.prepare_locked()?;
            self.apply(id, narrator)?;
        }
        let report = self.observe(id, Patience::AsWritten)?;
        if report.passed() {
            return Ok(());
        }
        let failed = report.first_failed().map(|verdict| verdict.name.clone()).unwrap_or_default();
        Err(Failure::new(format!("the solution of step `{id}` does not pass its check `{failed}`"))
            .hint(format!("`tutorial verify --step {id}` says more; `tutorial undo` brings back what you had"))
            .exit(Exit::Broken))
    }

    /// Keeps that a step passes as the learner left it, with the values that it saves.
    fn leave_as_done(&mut self, id: &str) -> Result<(), Failure> {
        let _lock = self.lock_at(id, "skip")?;
        self.keep_variables(id)?;
        state::pass(&mut self.progress, id, Host::now());
        self.save()
    }

    /// Keeps that a step was left by its solution, with the values that it saves.
    fn leave_by_solution(&mut self, id: &str) -> Result<(), Failure> {
        let _lock = self.lock("skip")?;
        self.keep_variables(id)?;
        state::skip(&mut self.progress, id, Host::now());
        if self.progress.step(id).outcome == Some(Outcome::Skipped) {
            self.progress.step_mut(id).solved = true;
        }
        self.save()
    }

    fn apply(&mut self, id: &str, narrator: &mut dyn Narrator) -> Result<(), Failure> {
        let Some(step) = state::place(&self.course, id).map(|place| place.step.clone()) else { return Ok(()) };
        let narrator = std::cell::RefCell::new(narrator);
        self.apply_solution(&step, |deed| narrator.borrow_mut().deed(deed), |line| narrator.borrow_mut().line(line))
    }

    /// Back to the start of the course: what was done counts no more, and can be taken back as one.
    pub fn reset_course(&mut self) -> Result<(), Failure> {
        let first = state::places(&self.course).next().map(|place| place.id().to_owned()).unwrap_or_default();
        self.reset_to(&first, "the reset of the course", &first)?;
        let _lock = self.lock("reset")?;
        self.progress.steps.retain(|id, _| *id == first);
        let record = self.progress.step_mut(&first);
        (record.outcome, record.solved, record.hints) = (None, false, std::collections::BTreeSet::new());
        self.save()
    }
}
