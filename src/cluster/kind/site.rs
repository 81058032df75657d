//! What every part of the work has at hand: the engine, what is wanted, the log, and who is told.

use std::collections::BTreeMap;

use bollard::models::SystemInfo;

use super::KindSpec;
use super::error::KindError;
use super::files::{Files, Log};
use super::node::EngineFacts;
use super::progress::{Phase, Progress, Step, Told};
use crate::engine::Engine;

pub struct Site<'a> {
    pub engine: Engine,
    /// What the engine is like; empty before [`Site::learn`].
    pub info: SystemInfo,
    pub facts: EngineFacts,
    pub spec: &'a KindSpec,
    pub files: Files,
    pub log: Log,
    pub told: Told<'a>,
    pub environment: BTreeMap<String, String>,
    /// Who works: [`super::owner::of_this_process`].
    pub owner: String,
}

/// An error, and what was being done.
pub type Fault = (Phase, KindError);

impl Site<'_> {
    /// Asks the engine about itself, which takes it a moment: only who makes something has to know.
    pub async fn learn(&mut self) -> Result<(), KindError> {
        self.info = self.engine.docker.info().await.map_err(KindError::docker("describe itself"))?;
        self.facts = EngineFacts::of(&self.info);
        Ok(())
    }

    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// Does a part of the work, and tells its beginning and its end.
    pub async fn phase<T>(&self, phase: Phase, work: impl Future<Output = Result<T, KindError>>) -> Result<T, Fault> {
        self.tell(phase, Step::Begun, None);
        let outcome = work.await.map_err(|error| (phase, error))?;
        self.tell(phase, Step::Finished, None);
        Ok(outcome)
    }

    pub fn tell(&self, phase: Phase, step: Step, note: Option<String>) {
        let progress = Progress { phase, step, elapsed: self.log.elapsed(), note };
        match step {
            Step::Begun => self.log.line(&format!("begun: {progress}")),
            Step::Finished => self.log.line(&format!("done: {progress}")),
            Step::Moved { .. } => {}
        }
        (self.told)(progress);
    }
}
