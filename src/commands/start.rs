//! `tutorial start`: begins a course or goes on where the learner was.

use std::path::{Path, PathBuf};

use super::choose;
use crate::args::{Sandbox, StartArgs, WorkspaceArgs};
use crate::cluster::kind::{self, KindError};
use crate::cluster::{Cluster, existing, export};
use crate::course::CourseReference;
use crate::error::{Exit, Failure};
use crate::session::{Beginning, Host, Session, find_workspace, load_course, reference_of, state};
use crate::workspace::progress::{Progress, SandboxOptions};
use crate::workspace::{environment, progress};

/// The course of those who name none.
const DEFAULT_COURSE: &str = "gitops-with-werf";

pub fn run(host: &Host, arguments: &StartArgs) -> Result<Exit, Failure> {
    let (reference, directory) = which(host, arguments);
    let noted = noted(host, &reference, directory.as_deref());
    let is_begun = noted.is_some();
    let mut sandbox = arguments.sandbox;
    if sandbox.is_none() && !is_begun && host.ui.is_interactive() && !arguments.yes && !arguments.autoplay {
        sandbox = choose::ask(host)?;
    }
    let options = options(host, arguments, sandbox, noted.as_ref())?;
    let is_confirmed = |noted: &Progress| {
        noted.sandbox == Sandbox::Existing.name() && noted.sandbox_options.context == options.context
    };
    if sandbox == Some(Sandbox::Existing) && !noted.as_ref().is_some_and(is_confirmed) {
        let course = load_course(host, &reference)?;
        choose::confirm_existing(host, &options, &course.sandbox.project, arguments.yes)?;
    }
    let sandbox = sandbox.map(|sandbox| sandbox.name().to_owned());
    let beginning = Beginning { reference, directory, sandbox, options };
    let (mut session, is_new) = Session::begin(host, &beginning)?;
    session.sandbox.provision(host);
    if arguments.export_kubeconfig {
        export_kubeconfig(&mut session)?;
    }
    if arguments.autoplay {
        session.autoplay()?;
    } else if host.ui.is_interactive() && !arguments.yes {
        session.play(is_new)?;
    } else {
        print(&mut session)?;
    }
    Ok(Exit::Done)
}

/// What is asked of the sandbox: what is said now, else what the workspace has noted of the same one.
fn options(
    host: &Host,
    arguments: &StartArgs,
    sandbox: Option<Sandbox>,
    noted: Option<&Progress>,
) -> Result<SandboxOptions, Failure> {
    let of_workspace = noted.and_then(|noted| Sandbox::named(&noted.sandbox));
    let meant = sandbox.or(of_workspace);
    let mut options = choose::options(host, &arguments.cluster, meant)?;
    if let Some(name) = &arguments.name {
        if meant != Some(Sandbox::Kind) {
            return Err(Failure::new("`--name` goes with `--sandbox kind`").exit(Exit::Usage));
        }
        if !kind::node::is_name(name) {
            return Err(Failure::from(KindError::Name { name: name.clone() }).exit(Exit::Usage));
        }
        options.name = Some(name.clone());
    }
    let Some(noted) = noted.filter(|_| meant == of_workspace) else { return Ok(options) };
    let before = noted.sandbox_options.clone();
    Ok(SandboxOptions {
        name: options.name.or(before.name),
        image: options.image.or(before.image),
        workers: arguments.cluster.workers.unwrap_or(before.workers),
        kubeconfigs: if options.context.is_some() { options.kubeconfigs } else { before.kubeconfigs },
        context: options.context.or(before.context),
        registry: options.registry.or(before.registry),
    })
}

/// What is noted of the course where it would be, if it has been begun there.
fn noted(host: &Host, reference: &CourseReference, directory: Option<&Path>) -> Option<Progress> {
    let root = match (directory, reference) {
        (Some(directory), _) => Some(host.current_directory.join(directory)),
        (None, CourseReference::BuiltIn(id)) => Some(host.settings.home.join(id)),
        (None, CourseReference::Directory(_)) => {
            crate::course::examine(reference).course.map(|course| host.settings.home.join(course.id))
        }
    };
    progress::peek(&root?)
}

/// Writes the kind cluster's context into the learner's own kubeconfig, which nothing else does.
fn export_kubeconfig(session: &mut Session<'_>) -> Result<(), Failure> {
    if !matches!(session.sandbox.cluster(), Cluster::Kind(_)) {
        return Err(Failure::new("`--export-kubeconfig` goes with `--sandbox kind`").exit(Exit::Usage));
    }
    let host = session.host;
    session.ready()?;
    let Some(connection) = session.sandbox.known() else { return Ok(()) };
    let file = choose::kubeconfigs(host).into_iter().next();
    let file = file.ok_or_else(|| Failure::new("it is not known where your kubeconfig is: `HOME` is not set"))?;
    let directory = session.sandbox.cluster().directory();
    for context in existing::contexts(std::slice::from_ref(&connection.kubeconfig)) {
        let exported = export::Exported { file: file.clone(), context: context.name, server: context.server };
        export::record(directory, exported)?;
    }
    let context = export::merge_into(&file, &connection.kubeconfig)?;
    host.ui.say(&format!("Your kubeconfig {} has the context `{context}` now.", file.display()));
    Ok(())
}

/// The course that is meant: the one that is named; else that of the workspace that is meant; else the one for
/// those who begin.
fn which(host: &Host, arguments: &StartArgs) -> (CourseReference, Option<PathBuf>) {
    if let Some(course) = &arguments.course {
        return (CourseReference::parse(course), arguments.dir.clone());
    }
    match find_workspace(host, &WorkspaceArgs { dir: arguments.dir.clone() }) {
        Ok(workspace) => match progress::peek(workspace.root()) {
            Some(progress) => (reference_of(&progress), Some(workspace.root().to_owned())),
            None => (CourseReference::parse(DEFAULT_COURSE), Some(workspace.root().to_owned())),
        },
        Err(_) => (CourseReference::parse(DEFAULT_COURSE), arguments.dir.clone()),
    }
}

/// Where nobody can be asked: the step, and what to call next.
fn print(session: &mut Session<'_>) -> Result<(), Failure> {
    let ui = &session.host.ui;
    if state::is_complete(&session.course, &session.progress) {
        ui.data(&session.summary());
        return Ok(());
    }
    if session.text_needs_sandbox() {
        session.ready()?;
    }
    ui.data(&format!("{}{}", session.step_text(), session.quiz_text()));
    session.prepare()?;
    ui.say_as_is(&format!("\n{}", session.next_calls()));
    let path = session.host.environment.get("PATH").map_or("", String::as_str);
    if !environment::is_installed("tutorial", path, std::path::Path::new("")) {
        let program = environment::quote(&session.host.program.display().to_string());
        let style = ui.conversation_style();
        ui.say(&style.dim("`tutorial` is not in your PATH. This adds it, and the sandbox's tools:"));
        ui.say_as_is(&format!("  eval \"$({program} env)\""));
    }
    Ok(())
}
