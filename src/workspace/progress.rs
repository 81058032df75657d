//! The learner's progress: one small file, written atomically, kept by step id across upgrades.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Workspace, WorkspaceError, files};

/// The file's format; older ones are read, newer ones refused.
pub const FORMAT: u32 = 1;

/// What is kept of a learner's way through a course.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub format: u32,
    /// The course's id.
    pub course: String,
    /// Where the course is read from: its id when it is built in, else its directory.
    pub source: String,
    /// The learner's directory in the workspace.
    pub repository: String,
    /// `embedded`, `kind` or `existing`.
    pub sandbox: String,
    /// What else was said of the sandbox when the course was begun.
    #[serde(default)]
    pub sandbox_options: SandboxOptions,
    /// The step that the learner stands at.
    pub current: String,
    /// By step id, only those that something is known of.
    #[serde(default)]
    pub steps: BTreeMap<String, StepRecord>,
    /// What steps saved.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// What can be taken back, the last at the end.
    #[serde(default)]
    pub undo: Vec<UndoPoint>,
    /// What the last undo took back.
    #[serde(default)]
    pub redo: Option<UndoPoint>,
    /// Milliseconds since 1970 of the last change; of two, the later one is greater.
    #[serde(default)]
    pub changed: i64,
}

/// What a sandbox that is not built in needs to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxOptions {
    /// The cluster's name; else it follows from the course.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A kind cluster's node image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// A kind cluster's nodes beside the control plane.
    #[serde(default)]
    pub workers: u8,
    /// The context that leads to a cluster that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The registry that such a cluster pulls from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Where that context was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kubeconfigs: Vec<PathBuf>,
}

/// What is known of one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// How it ended, where it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Whether it passes on the state that is there: not after a move to its start or before.
    #[serde(default)]
    pub settled: bool,
    /// Whether its setup has run and its start has been kept.
    #[serde(default)]
    pub started: bool,
    /// Which hints have been shown, by their place in the step.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hints: BTreeSet<usize>,
    /// Whether the solution was applied for the learner.
    #[serde(default)]
    pub solved: bool,
    /// How often its checks were asked for.
    #[serde(default)]
    pub attempts: u32,
    /// Quiz answers, by the question's place in the step: right at the first try.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quizzes: BTreeMap<usize, bool>,
    /// The questions that were answered wrongly and are still open.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mistaken: BTreeSet<usize>,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<i64>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done,
    Skipped,
}

/// A state to go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoPoint {
    /// The snapshot's name.
    pub snapshot: String,
    /// What was done after it: `reset of step first-commit`.
    pub what: String,
    /// The step that it led to: there, and at the step that it was done at, taking it back is offered.
    #[serde(default)]
    pub leads_to: String,
    /// Seconds since 1970.
    pub at: i64,
}

impl Progress {
    pub fn new(course: &str, source: &str, repository: &str, sandbox: &str, first_step: &str) -> Self {
        Self {
            format: FORMAT,
            course: course.to_owned(),
            source: source.to_owned(),
            repository: repository.to_owned(),
            sandbox: sandbox.to_owned(),
            sandbox_options: SandboxOptions::default(),
            current: first_step.to_owned(),
            steps: BTreeMap::new(),
            variables: BTreeMap::new(),
            undo: Vec::new(),
            redo: None,
            changed: 0,
        }
    }

    /// What is known of a step; nothing is known of most.
    pub fn step(&self, id: &str) -> StepRecord {
        self.steps.get(id).cloned().unwrap_or_default()
    }

    /// To change what is known of a step.
    pub fn step_mut(&mut self, id: &str) -> &mut StepRecord {
        self.steps.entry(id.to_owned()).or_default()
    }

    /// Writes the file.
    pub fn save(&self, workspace: &Workspace) -> Result<(), WorkspaceError> {
        self.write(&workspace.progress_file())
    }

    /// Writes it to any path: snapshots hold a copy.
    pub fn write(&self, path: &Path) -> Result<(), WorkspaceError> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| WorkspaceError::write(path)(error.into()))?;
        text.push(b'\n');
        files::write_atomically(path, &text)
    }
}

/// What reading the progress came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Loaded {
    Absent,
    Read(Progress),
    /// The file was gone, and the snapshots still knew of it.
    Lost {
        rebuilt: Progress,
    },
    /// The file was damaged: set aside under this name; what the snapshots still knew of it.
    Damaged {
        kept_as: PathBuf,
        rebuilt: Option<Progress>,
    },
}

/// Reads the progress without changing anything; `None` where it is absent or damaged.
pub fn peek(root: &Path) -> Option<Progress> {
    let path = root.join(super::TUTORIAL_DIRECTORY).join("progress.json");
    parse(&path, &std::fs::read(&path).ok()?).ok().flatten()
}

/// Reads the progress; a damaged file is set aside, and that or a lost one rebuilt from the newest snapshot that has
/// a copy.
/// The caller holds the lock.
pub fn load(root: &Path, now: i64) -> Result<Loaded, WorkspaceError> {
    let directory = root.join(super::TUTORIAL_DIRECTORY);
    let path = directory.join("progress.json");
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let Some(rebuilt) = newest_copy(&directory.join("snapshots")) else { return Ok(Loaded::Absent) };
            rebuilt.write(&path)?;
            return Ok(Loaded::Lost { rebuilt });
        }
        Err(source) => return Err(WorkspaceError::Read { path, source }),
    };
    if let Some(progress) = parse(&path, &bytes)? {
        return Ok(Loaded::Read(progress));
    }
    let rebuilt = newest_copy(&directory.join("snapshots"));
    let kept_as = unused_name(&directory, now);
    std::fs::rename(&path, &kept_as).map_err(WorkspaceError::write(&kept_as))?;
    if let Some(progress) = &rebuilt {
        progress.write(&path)?;
    }
    Ok(Loaded::Damaged { kept_as, rebuilt })
}

/// `None` for what is no progress; an error for one that a newer version wrote.
fn parse(path: &Path, bytes: &[u8]) -> Result<Option<Progress>, WorkspaceError> {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return Ok(None) };
    let found = value.get("format").and_then(serde_json::Value::as_u64).and_then(|found| u32::try_from(found).ok());
    match found {
        Some(found) if found > FORMAT => Err(WorkspaceError::Newer { path: path.to_owned(), found, known: FORMAT }),
        Some(_) => Ok(serde_json::from_value(value).ok()),
        None => Ok(None),
    }
}

fn newest_copy(snapshots: &Path) -> Option<Progress> {
    std::fs::read_dir(snapshots)
        .ok()?
        .filter_map(|entry| {
            let snapshot = entry.ok()?.path();
            let path = snapshot.join("progress.json");
            let mut progress = parse(&path, &std::fs::read(&path).ok()?).ok().flatten()?;
            // The copy in the snapshot of a step's start was made before the step was noted as begun. It has been:
            // its start is kept, and must not be replaced by the state that is there now.
            if snapshot.file_name().is_some_and(|name| name.to_string_lossy() == format!("step-{}", progress.current)) {
                let current = progress.current.clone();
                progress.step_mut(&current).started = true;
                let changed = progress.changed / 1000;
                progress.step_mut(&current).first_seen.get_or_insert(changed);
            }
            Some(progress)
        })
        .max_by_key(|progress| progress.changed)
}

fn unused_name(directory: &Path, now: i64) -> PathBuf {
    let name = |number: u32| match number {
        0 => directory.join(format!("progress.damaged-{now}.json")),
        _ => directory.join(format!("progress.damaged-{now}-{number}.json")),
    };
    (0..u32::MAX).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> (tempfile::TempDir, Workspace) {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::new(directory.path().join("with space"), "app");
        workspace.create().unwrap();
        (directory, workspace)
    }

    fn progress() -> Progress {
        let mut progress = Progress::new("course", "course", "app", "embedded", "one");
        progress.step_mut("one").hints.insert(2);
        progress.variables.insert("good_commit".into(), "abc".into());
        progress.changed = 5;
        progress
    }

    #[test]
    fn what_is_saved_is_read() {
        let (_directory, workspace) = workspace();
        assert_eq!(load(workspace.root(), 0).unwrap(), Loaded::Absent);
        progress().save(&workspace).unwrap();
        assert_eq!(load(workspace.root(), 0).unwrap(), Loaded::Read(progress()));
        assert_eq!(peek(workspace.root()), Some(progress()));
    }

    #[test]
    fn fields_of_a_later_version_of_the_same_format_are_ignored() {
        let (_directory, workspace) = workspace();
        let mut value = serde_json::to_value(progress()).unwrap();
        value["later"] = serde_json::json!({"a": 1});
        std::fs::write(workspace.progress_file(), value.to_string()).unwrap();
        assert_eq!(load(workspace.root(), 0).unwrap(), Loaded::Read(progress()));
    }

    #[test]
    fn a_newer_format_is_refused_and_left_alone() {
        let (_directory, workspace) = workspace();
        std::fs::write(workspace.progress_file(), r#"{"format": 99}"#).unwrap();
        assert!(matches!(load(workspace.root(), 0), Err(WorkspaceError::Newer { found: 99, .. })));
        assert!(workspace.progress_file().exists());
    }

    #[test]
    fn a_lost_file_is_rebuilt_and_the_start_of_its_step_counts_as_kept() {
        let (_directory, workspace) = workspace();
        let snapshot = workspace.snapshots().join("step-one");
        std::fs::create_dir_all(&snapshot).unwrap();
        progress().write(&snapshot.join("progress.json")).unwrap();
        let Loaded::Lost { rebuilt } = load(workspace.root(), 0).unwrap() else { panic!("it is not rebuilt") };
        assert!(rebuilt.step("one").started && rebuilt.step("one").first_seen.is_some());
        assert_eq!(load(workspace.root(), 0).unwrap(), Loaded::Read(rebuilt));
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_rebuilt_from_the_newest_snapshot() {
        for damage in ["", "{", "[]", "{\"format\": 1}", "null", "\u{0}\u{0}\u{0}"] {
            let (_directory, workspace) = workspace();
            for (name, changed) in [("old", 1), ("new", 9), ("middle", 5)] {
                let snapshot = workspace.snapshots().join(name);
                std::fs::create_dir_all(&snapshot).unwrap();
                let copy = Progress { changed, current: name.into(), ..progress() };
                copy.write(&snapshot.join("progress.json")).unwrap();
            }
            std::fs::write(workspace.progress_file(), damage).unwrap();
            let Loaded::Damaged { kept_as, rebuilt } = load(workspace.root(), 77).unwrap() else {
                panic!("{damage:?} was taken for progress")
            };
            assert_eq!(kept_as.file_name().unwrap(), "progress.damaged-77.json");
            assert_eq!(std::fs::read_to_string(kept_as).unwrap(), damage);
            assert_eq!(rebuilt.unwrap().current, "new");
            assert_eq!(peek(workspace.root()).unwrap().current, "new");
        }
    }
}
