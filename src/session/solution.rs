//! A step's scripts: its setup, its offered commands, its solution; and the files that it asks for.

use std::time::Duration;

use super::scripts::ending;
use super::{Session, history, state};
use crate::course::model::{FileMode, FilePart, Part, Script, Step};
use crate::error::{Exit, Failure};
use crate::workspace::files;

/// No script of a lesson takes longer.
const SCRIPT_TIME_MAX: Duration = Duration::from_secs(15 * 60);

/// One thing that a solution does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    Run(Script),
    Write(FilePart),
}

/// The solution of a step: the author's, else its run, type and file parts in order.
pub fn deeds(step: &Step) -> Vec<Deed> {
    match &step.solution {
        Some(script) => vec![Deed::Run(script.clone())],
        None => step
            .body
            .iter()
            .filter_map(|part| match part {
                Part::Run(script) | Part::Type(script) => Some(Deed::Run(script.clone())),
                Part::File(file) => Some(Deed::Write(file.clone())),
                _ => None,
            })
            .collect(),
    }
}

/// What a step offers to do for the learner: its files and its commands, in order.
pub fn offered(step: &Step) -> Vec<Deed> {
    let deeds = step.body.iter().filter_map(|part| match part {
        Part::Run(script) => Some(Deed::Run(script.clone())),
        Part::File(file) => Some(Deed::Write(file.clone())),
        _ => None,
    });
    deeds.collect()
}

impl Session<'_> {
    /// Runs the current step's setup and keeps its start, where that has not happened on this state yet.
    pub fn prepare(&mut self) -> Result<(), Failure> {
        self.ready()?;
        if self.progress.step(&self.progress.current).started {
            return Ok(());
        }
        let _lock = self.lock("preparing a step")?;
        self.prepare_locked()
    }

    /// The same, for a caller that holds the lock.
    pub(super) fn prepare_locked(&mut self) -> Result<(), Failure> {
        let id = self.progress.current.clone();
        if self.progress.step(&id).started {
            return Ok(());
        }
        self.keep(&super::snapshots::of_step(&id), crate::workspace::snapshot::Durability::Process)?;
        self.forget_told();
        let setup = self.place()?.step.setup.clone();
        self.run_hidden("setup", &setup)?;
        let record = self.progress.step_mut(&id);
        record.started = true;
        record.first_seen.get_or_insert(super::Host::now());
        self.save()
    }

    /// Takes away what the step that is being left made beside git and the cluster. That this fails keeps nobody
    /// from going on.
    pub(super) fn clean_up(&mut self) {
        let Ok(scripts) = self.place().map(|place| place.step.cleanup.clone()) else { return };
        if let Err(failure) = self.run_hidden("cleanup", &scripts) {
            self.host.ui.failure(&failure);
        }
    }

    /// Runs scripts that the learner does not see; that one fails is the author's fault.
    pub(super) fn run_hidden(&mut self, kind: &str, scripts: &[Script]) -> Result<(), Failure> {
        if scripts.is_empty() {
            return Ok(());
        }
        let environment = self.ready_environment()?;
        let repository = self.workspace.repository();
        let scene = self.host.scene(&repository, &environment);
        for script in scripts {
            let (status, output) =
                scene.capture(&format!("set -e\n{}", script.text), SCRIPT_TIME_MAX).map_err(no_shell)?;
            if !status.is_some_and(|status| status.success()) {
                return Err(Failure::new(format!("the {kind} at {} failed: {}", script.location, ending(status)))
                    .caused_by(last_lines(&output))
                    .hint("this is a mistake of the lesson's; tell its author")
                    .exit(Exit::Broken));
            }
        }
        Ok(())
    }

    /// Applies a step's solution; `line` is handed every line that it prints, `told` every deed before it is done.
    /// That a command fails is no error: some are meant to, and the checks decide.
    pub fn apply_solution(
        &mut self,
        step: &Step,
        mut told: impl FnMut(&Deed),
        mut line: impl FnMut(&str),
    ) -> Result<(), Failure> {
        let environment = self.ready_environment()?;
        let repository = self.workspace.repository();
        let variables = self.variables();
        for deed in deeds(step) {
            match &deed {
                Deed::Run(script) => {
                    let substituted = variables.substitute_script(script);
                    self.note(history::Deed::Solved, &substituted.text);
                    told(&Deed::Run(substituted));
                    let scene = self.host.scene(&repository, &environment);
                    let status = scene.stream(&script.text, SCRIPT_TIME_MAX, &mut line).map_err(no_shell)?;
                    self.host.stop_if_interrupted()?;
                    if status.is_none() {
                        let message = format!("the commands at {} were ended after 15 minutes", script.location);
                        return Err(Failure::new(message));
                    }
                }
                Deed::Write(file) => {
                    let file = variables.substitute_file(file);
                    told(&Deed::Write(file.clone()));
                    self.write_file(&file)?;
                    self.note(history::Deed::Wrote, &file.path);
                }
            }
        }
        Ok(())
    }

    /// Whether a file of the learner's, of another content, stands where one of these deeds writes.
    pub fn would_overwrite(&self, deeds: &[Deed]) -> bool {
        let variables = self.variables();
        let repository = self.workspace.repository();
        deeds.iter().any(|deed| match deed {
            Deed::Write(file) => std::fs::read(repository.join(&file.path))
                .is_ok_and(|found| found != variables.substitute(&file.text).as_bytes()),
            Deed::Run(_) => false,
        })
    }

    /// Writes a lesson's file into the repository.
    pub fn write_file(&mut self, file: &FilePart) -> Result<(), Failure> {
        let repository = self.workspace.repository();
        match file.mode {
            FileMode::Write => Ok(files::write_inside(&repository, &file.path, file.text.as_bytes())?),
            FileMode::Append => {
                let target = files::resolve_inside(&repository, &file.path)?;
                let mut content = std::fs::read(&target).unwrap_or_default();
                if content.last().is_some_and(|last| *last != b'\n') {
                    content.push(b'\n');
                }
                content.extend_from_slice(file.text.as_bytes());
                Ok(files::write_inside(&repository, &file.path, &content)?)
            }
            FileMode::Patch => self.patch_file(file),
        }
    }

    fn patch_file(&mut self, file: &FilePart) -> Result<(), Failure> {
        let repository = self.workspace.repository();
        files::resolve_inside(&repository, &file.path)?;
        let named = file.text.lines().any(|line| line.starts_with("--- "));
        let header = if named { String::new() } else { format!("--- a/{0}\n+++ b/{0}\n", file.path) };
        let environment = self.environment();
        let scene = self.host.scene(&repository, &environment);
        let mut patch = tempfile::NamedTempFile::new().map_err(no_shell)?;
        std::io::Write::write_all(&mut patch, format!("{header}{}", file.text).as_bytes()).map_err(no_shell)?;
        let mut command = scene.command("git");
        command.args(["apply", "--recount", "--whitespace=nowarn"]).arg(format!("--include={}", file.path));
        let output = command.arg(patch.path()).output().map_err(no_shell)?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure::new(format!("the change of `{}` does not fit the file that is there", file.path))
            .caused_by(String::from_utf8_lossy(&output.stderr).trim())
            .hint("`tutorial reset` brings back the step's start; then it fits"))
    }

    /// Runs a step's `save` commands and keeps their values. The caller holds the lock and saves the progress.
    pub(super) fn keep_variables(&mut self, id: &str) -> Result<(), Failure> {
        let Some(place) = state::place(&self.course, id) else { return Ok(()) };
        let saves = place.step.saves.clone();
        if saves.is_empty() {
            return Ok(());
        }
        let environment = self.ready_environment()?;
        let repository = self.workspace.repository();
        for save in saves {
            let scene = self.host.scene(&repository, &environment);
            let (status, value, complaint) = scene.value(&save.command).map_err(no_shell)?;
            if !status.success() {
                let message =
                    format!("`{}` could not be saved: {} ({})", save.name, ending(Some(status)), save.location);
                return Err(Failure::new(message).caused_by(complaint).exit(Exit::Broken));
            }
            self.progress.variables.insert(save.name.clone(), value);
        }
        // Shells that are opened from now on know them too.
        self.ready_environment().map(|_| ())
    }
}

pub(super) fn no_shell(error: std::io::Error) -> Failure {
    Failure::new("a command could not be started").caused_by(error)
}

fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::state::tests::course;

    #[test]
    fn the_authors_solution_comes_before_the_parts() {
        let script = |text: &str| Script { text: text.into(), location: String::new() };
        let course = course(&[("01", &["one"])]);
        let mut step = course.lessons[0].steps[0].clone();
        step.body = vec![Part::Type(script("type")), Part::Copy(script("copy")), Part::Run(script("run"))];
        assert_eq!(deeds(&step), [Deed::Run(script("type")), Deed::Run(script("run"))]);
        assert_eq!(offered(&step), [Deed::Run(script("run"))]);
        step.solution = Some(script("solve"));
        assert_eq!(deeds(&step), [Deed::Run(script("solve"))]);
    }
}
