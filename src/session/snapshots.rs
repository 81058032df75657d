//! Git and cluster together: kept at a step's start and before every change for the learner, put back as one.

use super::{Host, Session, history, state};
use crate::cluster::{Cluster, ClusterError};
use crate::error::Failure;
use crate::workspace::WorkspaceError;
use crate::workspace::journal::Journal;
use crate::workspace::progress::{Progress, UndoPoint};
use crate::workspace::snapshot::{self, Durability, SnapshotStore};

/// How many states to go back to are kept.
const UNDO_POINTS_MAX: usize = 10;
/// How long a git command that runs in the repository is waited for.
const GIT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// The snapshot of a step's start.
pub fn of_step(id: &str) -> String {
    format!("step-{id}")
}

impl Session<'_> {
    /// Keeps git and cluster as they are now. The caller holds the lock and the sandbox answers.
    pub fn keep(&mut self, name: &str, durability: Durability) -> Result<(), Failure> {
        let store = SnapshotStore::of(&self.workspace);
        self.ask_sandbox(&async |cluster| cluster.keep(name).await)?;
        snapshot::capture(&store, &self.workspace.repository(), name, durability)?;
        Ok(self.progress.write(&store.path(name).join("progress.json"))?)
    }

    /// Asks the sandbox for something; one that ended a moment ago is brought up and asked again.
    fn ask_sandbox(&mut self, ask: &impl AsyncFn(&Cluster) -> Result<(), ClusterError>) -> Result<(), Failure> {
        let cluster = self.sandbox.cluster().clone();
        let ask = || self.host.block_on(ask(&cluster));
        if ask().is_ok() {
            return Ok(());
        }
        self.sandbox.forget();
        self.sandbox.ready(self.host)?;
        Ok(ask()?)
    }

    /// Keeps what is there so that `undo` finds it; `what` is what will be done now, and leads to a step.
    pub fn keep_for_undo(&mut self, what: &str, leads_to: &str) -> Result<(), Failure> {
        let name = self.unused_name("undo");
        self.keep(&name, Durability::Power)?;
        let point = UndoPoint { snapshot: name, what: what.to_owned(), leads_to: leads_to.to_owned(), at: Host::now() };
        self.progress.undo.push(point);
        let store = SnapshotStore::of(&self.workspace);
        while self.progress.undo.len() > UNDO_POINTS_MAX {
            store.remove(&self.progress.undo.remove(0).snapshot)?;
        }
        if let Some(redo) = self.progress.redo.take() {
            store.remove(&redo.snapshot)?;
        }
        self.save()
    }

    fn unused_name(&self, stem: &str) -> String {
        let store = SnapshotStore::of(&self.workspace);
        let mut names = (1..u32::MAX).map(|number| format!("{stem}-{number}"));
        names.find(|name| !store.path(name).exists()).unwrap_or_else(|| stem.to_owned())
    }

    /// Brings git and cluster to a snapshot, in place; `progress` holds afterwards. Killed in the middle, it is
    /// finished by the next command. The caller holds the lock, has kept what is there, and the sandbox answers.
    pub fn put_back(&mut self, name: &str, progress: Progress) -> Result<(), Failure> {
        if !SnapshotStore::of(&self.workspace).exists(name) {
            return Err(WorkspaceError::NoSnapshot { name: name.to_owned() }.into());
        }
        self.wait_for_git()?;
        let journal = Journal { snapshot: name.to_owned(), progress, files_pending: true, cluster_pending: true };
        journal.write(&self.workspace)?;
        self.finish_restore()
    }

    /// Carries out what the journal says is still to be done.
    pub(super) fn finish_restore(&mut self) -> Result<(), Failure> {
        let Some(mut journal) = Journal::read(&self.workspace) else { return Ok(()) };
        journal.finish_files(&self.workspace)?;
        self.progress = journal.progress.clone();
        if journal.cluster_pending {
            self.ask_sandbox(&async |cluster| cluster.restore(&journal.snapshot).await)?;
        }
        Ok(journal.end(&self.workspace)?)
    }

    /// A git command in another terminal gets a moment to finish; then the learner is told.
    fn wait_for_git(&self) -> Result<(), Failure> {
        let repository = self.workspace.repository();
        let deadline = std::time::Instant::now() + GIT_PATIENCE;
        while let Some(lock) = snapshot::git_lock(&repository) {
            if std::time::Instant::now() >= deadline {
                return Err(WorkspaceError::GitBusy { repository, lock }.into());
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Ok(())
    }

    /// Back to the start of a step, after what is there has been kept; this is all of, or begins, what leads to a step.
    pub fn reset_to(&mut self, id: &str, what: &str, leads_to: &str) -> Result<(), Failure> {
        self.ready()?;
        let _lock = self.lock(what)?;
        let name = of_step(id);
        if !SnapshotStore::of(&self.workspace).exists(&name) {
            return Err(WorkspaceError::NoSnapshot { name }.into());
        }
        self.keep_for_undo(what, leads_to)?;
        self.clean_up();
        let mut progress = self.progress.clone();
        state::rewind(&self.course, &mut progress, id);
        progress.step_mut(id).started = false;
        progress.variables = self.variables_at(&name).unwrap_or(progress.variables);
        self.put_back(&name, progress)?;
        self.note(history::Deed::Restored, what);
        self.prepare_locked()
    }

    /// The saved variables as they were when a snapshot was taken.
    fn variables_at(&self, name: &str) -> Option<std::collections::BTreeMap<String, String>> {
        let file = SnapshotStore::of(&self.workspace).path(name).join("progress.json");
        let progress: Progress = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        Some(progress.variables)
    }

    /// Takes back the last change that was made for the learner; answers what it was.
    pub fn undo(&mut self) -> Result<UndoPoint, Failure> {
        self.ready()?;
        let _lock = self.lock("undo")?;
        let Some(point) = self.progress.undo.last().cloned() else {
            return Err(Failure::new("there is nothing to take back")
                .hint("`undo` takes back a reset, solve, skip or goto; your own commits are in `git reflog`"));
        };
        let redo = UndoPoint { snapshot: self.unused_name("redo"), at: Host::now(), ..point.clone() };
        self.keep(&redo.snapshot, Durability::Power)?;
        let before = self.progress.clone();
        let mut progress = self.progress_at(&point.snapshot).unwrap_or_else(|| before.clone());
        progress.undo = before.undo;
        progress.undo.pop();
        progress.redo = Some(redo);
        progress.changed = Host::now_ms();
        self.put_back(&point.snapshot, progress)?;
        if let Some(former) = before.redo {
            SnapshotStore::of(&self.workspace).remove(&former.snapshot)?;
        }
        SnapshotStore::of(&self.workspace).remove(&point.snapshot)?;
        self.note(history::Deed::Restored, &format!("undo of {}", point.what));
        Ok(point)
    }

    /// Whether what could be taken back was done at this step, or led to it: what came before is not offered unasked,
    /// since the learner's own work of the steps between would go with it.
    pub fn undo_belongs_here(&self) -> bool {
        let (Some(point), current) = (self.progress.undo.last(), self.progress.current.as_str()) else { return false };
        point.leads_to == current
            || self.progress_at(&point.snapshot).is_none_or(|progress| progress.current == current)
    }

    /// Takes back the last undo.
    pub fn redo(&mut self) -> Result<UndoPoint, Failure> {
        self.ready()?;
        let _lock = self.lock("redo")?;
        let Some(point) = self.progress.redo.clone() else {
            return Err(Failure::new("there is no undo to take back").hint("`tutorial undo` comes first"));
        };
        let undo = UndoPoint { snapshot: self.unused_name("undo"), at: Host::now(), ..point.clone() };
        self.keep(&undo.snapshot, Durability::Power)?;
        let mut progress = self.progress_at(&point.snapshot).unwrap_or_else(|| self.progress.clone());
        progress.undo.clone_from(&self.progress.undo);
        progress.undo.push(undo);
        progress.redo = None;
        progress.changed = Host::now_ms();
        self.put_back(&point.snapshot, progress)?;
        SnapshotStore::of(&self.workspace).remove(&point.snapshot)?;
        Ok(point)
    }

    fn progress_at(&self, name: &str) -> Option<Progress> {
        let file = SnapshotStore::of(&self.workspace).path(name).join("progress.json");
        serde_json::from_slice(&std::fs::read(file).ok()?).ok()
    }
}
