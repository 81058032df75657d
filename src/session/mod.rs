//! The session: state on disk, moves, provisioning, snapshots; every command is a short run over it.
//!
//! [`state`] decides, on the course and the progress alone; the rest carries it out. Invariants: the progress is
//! changed only under the workspace's lock and after reading it anew; git and cluster are changed for the learner
//! only after what is there has been kept for `undo`.

pub mod autoplay;
pub mod history;
mod host;
pub mod interactive;
pub mod menu;
pub mod moves;
pub mod prove;
pub mod quiz;
pub mod sandbox;
pub mod scripts;
pub mod shell;
pub mod show;
pub mod snapshots;
pub mod solution;
pub mod state;
pub mod summary;
pub mod verify;

use std::path::PathBuf;
use std::time::Duration;

pub use host::Host;
use sandbox::Sandbox;

use crate::args::WorkspaceArgs;
use crate::cluster::Cluster;
use crate::course::model::{Course, Source};
use crate::course::{self, CourseReference, Variables};
use crate::doctor;
use crate::error::{Exit, Failure};
use crate::workspace::environment::{self, Facts, GitFacts};
use crate::workspace::journal::Journal;
use crate::workspace::lock::WriterLock;
use crate::workspace::progress::{self, Loaded, Progress, SandboxOptions};
use crate::workspace::{Workspace, locate};

/// What is told where another terminal was quicker.
pub const MOVED_ON: &str = "you moved on in another terminal";

/// How long a command waits for another that writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A course that is being played in a workspace.
#[derive(Debug)]
pub struct Session<'h> {
    pub host: &'h Host,
    pub course: Course,
    pub workspace: Workspace,
    pub progress: Progress,
    pub sandbox: Sandbox,
    /// What git's configuration has, read once.
    git: Option<GitFacts>,
    /// The step whose offered commands were run last in this session.
    ran: Option<String>,
}

/// What `start` asks for.
#[derive(Debug, Clone)]
pub struct Beginning {
    pub reference: CourseReference,
    pub directory: Option<PathBuf>,
    /// Named on the command line; else what the workspace has, else the embedded one.
    pub sandbox: Option<String>,
    /// What else is said of it; counts until the sandbox could be worked with once.
    pub options: SandboxOptions,
}

impl<'h> Session<'h> {
    /// Opens the workspace that a command means.
    pub fn open(host: &'h Host, arguments: &WorkspaceArgs) -> Result<Self, Failure> {
        let workspace = find_workspace(host, arguments)?;
        let lock = WriterLock::acquire(&workspace, "reading the progress", PATIENCE)?;
        let Some(progress) = load_progress(host, &workspace)? else {
            return Err(Failure::new(format!("the progress in {} is lost", workspace.root().display()))
                .hint("run `tutorial start`: your repository is still there"));
        };
        let course = load_course(host, &reference_of(&progress))?;
        let mut session = Self::assemble(host, course, workspace, progress);
        session.settle()?;
        drop(lock);
        locate::remember(&host.settings.home, &session.workspace);
        Ok(session)
    }

    /// Begins a course, or opens it where it was begun before; answers whether it is new.
    pub fn begin(host: &'h Host, beginning: &Beginning) -> Result<(Self, bool), Failure> {
        let course = load_course(host, &beginning.reference)?;
        let root = match &beginning.directory {
            Some(directory) => host.current_directory.join(directory),
            None => host.settings.home.join(&course.id),
        };
        Workspace::new(host.current_directory.join(&root), &course.repository).create()?;
        let workspace = Workspace::new(root.canonicalize().unwrap_or(root), &course.repository);
        let lock = WriterLock::acquire(&workspace, "start", PATIENCE)?;
        let found = load_progress(host, &workspace)?;
        let is_new = found.is_none();
        let mut progress = match found {
            Some(progress) if progress.course != course.id => {
                return Err(Failure::new(format!(
                    "{} holds the course `{}`",
                    workspace.root().display(),
                    progress.course
                ))
                .hint("name another directory with `--dir`")
                .exit(Exit::Usage));
            }
            Some(progress) => progress,
            None => {
                let first = state::places(&course).next().map(|place| place.id().to_owned());
                let first = first.ok_or_else(|| Failure::new("the course has no step").exit(Exit::Broken))?;
                let sandbox = beginning.sandbox.as_deref().unwrap_or("embedded");
                let mut progress = Progress::new(&course.id, &source_of(&course), &course.repository, sandbox, &first);
                progress.sandbox_options = beginning.options.clone();
                progress
            }
        };
        let is_bound_anew = !is_new && bind(host, &course, &workspace, &mut progress, beginning)?;
        let mut session = Self::assemble(host, course, workspace, progress);
        session.sandbox.cluster().check()?;
        session.settle()?;
        if is_new || is_bound_anew {
            session.save()?;
        }
        drop(lock);
        locate::remember(&host.settings.home, &session.workspace);
        Ok((session, is_new))
    }

    fn assemble(host: &'h Host, course: Course, workspace: Workspace, progress: Progress) -> Self {
        let cluster = sandbox::cluster_of(host, &course, &workspace, &progress);
        Self { host, course, workspace, progress, sandbox: Sandbox::new(cluster), git: None, ran: None }
    }

    /// Brings the workspace in order: a restore that was killed is finished, the course's files and programs are
    /// there, the progress fits the course. The caller holds the lock.
    fn settle(&mut self) -> Result<(), Failure> {
        self.workspace.create()?;
        if let Some(mut journal) = Journal::read(&self.workspace) {
            journal.finish_files(&self.workspace)?;
            self.progress = journal.progress;
        }
        let directory = self.workspace.course();
        if !directory.join("course.yaml").exists() || matches!(self.course.source, Source::BuiltIn) && self.is_stale() {
            course::write_files(&self.course, &directory).map_err(|error| {
                Failure::new(format!("the course's files cannot be written to {}", directory.display()))
                    .caused_by(error)
            })?;
        }
        environment::link_programs(&self.workspace, &self.host.program, &self.program_names())?;
        if state::reconcile(&self.course, &mut self.progress) {
            self.save()?;
        }
        Ok(())
    }

    /// Whether the course's files were written by another binary than this one.
    fn is_stale(&self) -> bool {
        let link = self.workspace.bin().join("tutorial");
        let changed = |path: &std::path::Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
        std::fs::read_link(&link).ok().as_deref() != Some(&self.host.program)
            || changed(&self.host.program) > changed(&self.workspace.course().join("course.yaml"))
    }

    fn program_names(&self) -> Vec<&'static str> {
        let path = self.host.environment.get("PATH").map_or("", String::as_str);
        let is_installed = |name: &str| environment::is_installed(name, path, &self.workspace.bin());
        // The embedded sandbox does not build images, so the real werf could not work with it.
        let is_usable = || {
            let (environment, program) = (&self.host.environment, &self.host.program);
            self.host.block_on(doctor::is_werf_usable(environment, program))
        };
        let has_werf = self.progress.sandbox != "embedded" && is_installed("werf") && is_usable();
        let ours = [("tutorial", true), ("werf", !has_werf), ("kubectl", !is_installed("kubectl"))];
        ours.into_iter().filter(|(_, is_ours)| *is_ours).map(|(name, _)| name).collect()
    }

    /// Takes the lock and reads the progress anew: another command may have written since.
    pub fn lock(&mut self, purpose: &str) -> Result<WriterLock, Failure> {
        let lock = WriterLock::acquire(&self.workspace, purpose, PATIENCE)?;
        self.refresh();
        Ok(lock)
    }

    /// The same for what is meant for one step: another command may have moved on meanwhile.
    pub fn lock_at(&mut self, step: &str, purpose: &str) -> Result<WriterLock, Failure> {
        let lock = self.lock(purpose)?;
        if self.progress.current == step {
            return Ok(lock);
        }
        Err(Failure::new(MOVED_ON).hint("`tutorial start` shows the step where you are now"))
    }

    /// Reads the progress anew, if it is there and whole.
    pub fn refresh(&mut self) {
        if let Some(progress) = progress::peek(self.workspace.root()) {
            self.progress = progress;
            state::reconcile(&self.course, &mut self.progress);
        }
    }

    /// Writes the progress. The caller holds the lock.
    pub fn save(&mut self) -> Result<(), Failure> {
        self.progress.changed = (self.progress.changed + 1).max(Host::now_ms());
        Ok(self.progress.save(&self.workspace)?)
    }

    /// The current step's place.
    pub fn place(&self) -> Result<state::Place<'_>, Failure> {
        state::place(&self.course, &self.progress.current)
            .ok_or_else(|| Failure::new("the course has no step").exit(Exit::Broken))
    }

    /// What lessons may speak of, as far as it is known now.
    pub fn variables(&self) -> Variables {
        let mut variables = Variables::new();
        let needs = &self.course.sandbox;
        variables.set("PROJECT", needs.project.clone());
        variables.set("COURSE_DIR", self.workspace.course().display().to_string());
        let connection = self.sandbox.known();
        if let Some(connection) = &connection {
            variables.set("REGISTRY", connection.registry.clone());
        }
        for (environment, node_port) in &needs.environments {
            let suffix = course::environment_suffix(environment);
            variables.set(format!("NODE_PORT_{suffix}"), node_port.to_string());
            if let Some(connection) = &connection {
                let port = connection.node_ports.get(node_port).unwrap_or(node_port);
                variables.set(format!("URL_{suffix}"), format!("http://{}:{port}", connection.host));
            }
        }
        for (name, value) in &self.course.variables {
            if let Some(value) = value {
                variables.set(name.clone(), value.clone());
            }
        }
        for (name, value) in &self.progress.variables {
            variables.set(name.clone(), value.clone());
        }
        variables
    }

    /// What the session's shells and scripts get beside the learner's own environment.
    pub fn environment(&mut self) -> Vec<(String, String)> {
        let git = self.git.get_or_insert_with(|| git_facts(self.host)).clone();
        let connection = self.sandbox.known();
        let variables = self.variables();
        let variables = variables.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        environment::session_variables(&Facts {
            workspace: &self.workspace,
            kubeconfig: connection.as_ref().map(|connection| connection.kubeconfig.as_path()),
            registry: connection.as_ref().map(|connection| connection.registry.as_str()),
            project: &self.course.sandbox.project,
            variables: &variables,
            inherited: &self.host.environment,
            git: &git,
        })
    }

    /// The same, once the sandbox answers, and written down for editors and other shells.
    pub fn ready_environment(&mut self) -> Result<Vec<(String, String)>, Failure> {
        self.ready()?;
        let environment = self.environment();
        environment::write_environment(&self.workspace, &environment)?;
        Ok(environment)
    }

    /// Waits until the sandbox answers; a restore that was killed in the middle is finished first.
    pub fn ready(&mut self) -> Result<(), Failure> {
        let first = !self.sandbox.is_ready();
        self.sandbox.ready(self.host)?;
        self.tell_damage();
        if first && Journal::read(&self.workspace).is_some() {
            let _lock = self.lock("finishing a restore")?;
            self.finish_restore()?;
        }
        Ok(())
    }
}

/// Takes up what is asked of the sandbox now; answers whether that changes anything. It may until the sandbox could be
/// worked with once: what was begun before then was of no use, and is given up.
fn bind(
    host: &Host,
    course: &Course,
    workspace: &Workspace,
    progress: &mut Progress,
    beginning: &Beginning,
) -> Result<bool, Failure> {
    let had = &progress.sandbox;
    let asked = beginning.sandbox.as_ref().unwrap_or(had);
    let is_silent = beginning.sandbox.is_none() && beginning.options == SandboxOptions::default();
    if is_silent || (asked == had && beginning.options == progress.sandbox_options) {
        return Ok(false);
    }
    let directory = workspace.cluster();
    if Cluster::was_finished(&directory) {
        if asked != had {
            return Err(Failure::new(format!("this workspace runs on the sandbox `{had}`, not on `{asked}`"))
                .hint("name another directory with `--dir`, or `tutorial remove` this one first")
                .exit(Exit::Usage));
        }
        host.ui.say("The sandbox has been made already: it stays as it is.");
        return Ok(false);
    }
    let (asked, options) = (asked.clone(), beginning.options.clone());
    let wanted = Progress { sandbox: asked, sandbox_options: options, ..progress.clone() };
    sandbox::cluster_of(host, course, workspace, &wanted).check()?;
    host.block_on(Cluster::abandon(&directory))?;
    *progress = wanted;
    Ok(true)
}

impl Session<'_> {
    /// Tells once that the sandbox had to leave something out when it came up.
    fn tell_damage(&self) {
        let note = self.workspace.cluster().join("damaged");
        let Ok(kept) = std::fs::read_to_string(&note) else { return };
        if std::fs::remove_file(&note).is_err() {
            return;
        }
        let style = self.host.ui.conversation_style();
        let warning = style.warning("warning:");
        self.host.ui.say(&format!("{warning} the sandbox's data was damaged; what could be read was kept"));
        let rest = format!("  the damaged file is kept as {}; `tutorial reset` restores this step", kept.trim());
        self.host.ui.say(&style.commands(&rest));
    }
}

/// The workspace that a command means.
pub fn find_workspace(host: &Host, arguments: &WorkspaceArgs) -> Result<Workspace, Failure> {
    Ok(locate::locate(locate::Search {
        asked: arguments.dir.as_deref(),
        current_directory: &host.current_directory,
        session: host.session_directory.as_deref(),
        home: &host.settings.home,
    })?)
}

/// Reads the progress and tells the learner where it was damaged.
fn load_progress(host: &Host, workspace: &Workspace) -> Result<Option<Progress>, Failure> {
    match progress::load(workspace.root(), Host::now())? {
        Loaded::Absent => Ok(None),
        Loaded::Read(progress) => Ok(Some(progress)),
        Loaded::Lost { rebuilt } => {
            let warning = host.ui.conversation_style().warning("warning:");
            host.ui.say(&format!("{warning} the progress file in {} was gone", workspace.directory().display()));
            host.ui.say(&format!(
                "  it was rebuilt from the last snapshot: you are at step `{}`; your repository is as it was",
                rebuilt.current
            ));
            Ok(Some(rebuilt))
        }
        Loaded::Damaged { kept_as, rebuilt } => {
            let style = host.ui.conversation_style();
            let found = match &rebuilt {
                Some(progress) => {
                    format!("it was rebuilt from the last snapshot: you are at step `{}`", progress.current)
                }
                None => "there was no snapshot to rebuild it from".into(),
            };
            let kept = kept_as.display();
            host.ui.say(&format!("{} the progress file was damaged; it is kept as {kept}", style.warning("warning:")));
            host.ui.say(&format!("  {found}; your repository is as it was"));
            Ok(rebuilt)
        }
    }
}

/// Loads a course; every mistake in it is told.
pub fn load_course(host: &Host, reference: &CourseReference) -> Result<Course, Failure> {
    course::load_in(reference, host.settings.language.as_deref()).map_err(|diagnostics| {
        host.ui.say_as_is(diagnostics.render(host.ui.conversation_style().is_enabled()).trim_end());
        let unknown = match reference {
            CourseReference::BuiltIn(id) => !course::built_in().contains(id),
            CourseReference::Directory(path) => !path.exists(),
        };
        Failure::new("").exit(if unknown { Exit::Usage } else { Exit::Broken })
    })
}

/// Where the course of a workspace is read from.
pub fn reference_of(progress: &Progress) -> CourseReference {
    if progress.source == progress.course {
        CourseReference::BuiltIn(progress.course.clone())
    } else {
        CourseReference::Directory(PathBuf::from(&progress.source))
    }
}

fn source_of(course: &Course) -> String {
    match &course.source {
        Source::BuiltIn => course.id.clone(),
        Source::Directory(path) => path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string(),
    }
}

/// Asks git what the learner has told it already.
fn git_facts(host: &Host) -> GitFacts {
    let mut command = std::process::Command::new("git");
    command.env_clear().envs(&host.environment).current_dir("/");
    command.args(["config", "--list"]);
    let Ok(output) = command.stdin(std::process::Stdio::null()).output() else { return GitFacts::of("") };
    GitFacts::of(&String::from_utf8_lossy(&output.stdout))
}
