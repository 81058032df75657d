//! Which sandbox a course is begun on: what was named, else what the learner chooses where Docker answers.

use std::path::PathBuf;
use std::time::Duration;

use crate::args::{Sandbox, SandboxArgs};
use crate::cluster::{Cluster, existing, export};
use crate::engine;
use crate::error::{Exit, Failure};
use crate::session::Host;
use crate::ui::Choice;
use crate::workspace::progress::SandboxOptions;

/// How long a learner waits for an engine that may not be there.
const ENGINE_TIME_MAX: Duration = Duration::from_millis(800);

/// What the command line says beside the sandbox's kind.
pub fn options(host: &Host, arguments: &SandboxArgs, sandbox: Option<Sandbox>) -> Result<SandboxOptions, Failure> {
    let only = |flag: &str, kind: Sandbox| {
        Err(Failure::new(format!("`{flag}` goes with `--sandbox {}`", kind.name())).exit(Exit::Usage))
    };
    if sandbox != Some(Sandbox::Kind) {
        if arguments.image.is_some() {
            return only("--image", Sandbox::Kind);
        }
        if arguments.workers.is_some() {
            return only("--workers", Sandbox::Kind);
        }
    }
    if sandbox != Some(Sandbox::Existing) {
        if arguments.context.is_some() {
            return only("--context", Sandbox::Existing);
        }
        if arguments.registry.is_some() {
            return only("--registry", Sandbox::Existing);
        }
    }
    let kubeconfigs = if sandbox == Some(Sandbox::Existing) { kubeconfigs(host) } else { Vec::new() };
    Ok(SandboxOptions {
        name: None,
        image: arguments.image.clone(),
        workers: arguments.workers.unwrap_or(0),
        context: arguments.context.clone(),
        registry: arguments.registry.clone(),
        kubeconfigs,
    })
}

/// The learner's kubeconfig files.
pub fn kubeconfigs(host: &Host) -> Vec<PathBuf> {
    let absolute = |path: PathBuf| host.current_directory.join(path);
    match host.environment.get("KUBECONFIG").filter(|paths| !paths.is_empty()) {
        Some(paths) => std::env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()).map(absolute).collect(),
        None => host.environment.get("HOME").map(|home| PathBuf::from(home).join(".kube/config")).into_iter().collect(),
    }
}

/// Removes what is ours of a cluster, also from the learner's kubeconfig where they let it be written there.
pub fn delete(host: &Host, cluster: &Cluster, unreached: Unreached) -> Result<(), Failure> {
    let exported = export::exported(cluster.directory());
    let known = cluster.known().filter(|_| matches!(cluster, Cluster::Kind(_)));
    let contexts = known.map(|connection| existing::contexts(&[connection.kubeconfig])).unwrap_or_default();
    let line = host.ui.progress("removing the sandbox");
    let removed = host.block_on(cluster.delete());
    line.clear();
    match removed {
        Ok(()) => {}
        Err(error) if error.is_not_ours() => host.ui.say(&format!("{error}; it stays as it is.")),
        Err(error) => forget(host, error.into(), &cluster.all_left_behind(), unreached)?,
    }
    for one in exported {
        export::take_out(&one.file, &one.context, &one.server)?;
    }
    // One that an earlier version has written.
    for context in contexts {
        for file in kubeconfigs(host) {
            export::take_out(&file, &context.name, &context.server)?;
        }
    }
    Ok(())
}

/// What to do with a sandbox that cannot be reached.
#[derive(Debug, Clone, Copy)]
pub enum Unreached {
    /// Whoever is asked may forget it.
    Ask,
    /// Nobody is asked: it is a failure.
    Refuse,
    Forget,
}

impl Unreached {
    pub fn of(host: &Host, yes: bool, forget: bool) -> Self {
        match (forget, yes || !host.ui.is_interactive()) {
            (true, _) => Self::Forget,
            (false, true) => Self::Refuse,
            (false, false) => Self::Ask,
        }
    }
}

/// What is in Docker or on a cluster would be left behind, with nobody who knows of it: only where that is wanted.
fn forget(host: &Host, failure: Failure, left: &[String], unreached: Unreached) -> Result<(), Failure> {
    if left.is_empty() {
        return Err(failure);
    }
    if matches!(unreached, Unreached::Refuse) {
        let first = failure.hint.clone().map_or(String::new(), |hint| format!("{hint}; "));
        let hint = format!("{first}or forget it with `--forget`, which leaves behind what is there");
        return Err(failure.hint(hint));
    }
    let style = host.ui.conversation_style();
    host.ui.say_as_is(&failure.render());
    host.ui.say("What is left behind where it cannot be reached:");
    for one in left {
        host.ui.say(&style.commands(&format!("  {one}")));
    }
    match unreached {
        Unreached::Ask if !host.ui.confirm("Forget it?", false)? => Err(Failure::new("").exit(Exit::NotYet)),
        _ => Ok(()),
    }
}

/// A cluster that exists has to be named, and confirmed: by the learner, or by `--yes`.
pub fn confirm_existing(host: &Host, options: &SandboxOptions, project: &str, yes: bool) -> Result<(), Failure> {
    let known = existing::contexts(&options.kubeconfigs);
    let names = || known.iter().map(|context| context.name.as_str()).collect::<Vec<_>>().join(", ");
    let Some(name) = &options.context else {
        let hint = if known.is_empty() { "your kubeconfig has none".into() } else { format!("there is {}", names()) };
        return Err(Failure::new("which cluster is meant has to be said: `--context CONTEXT`")
            .hint(hint)
            .exit(Exit::Usage));
    };
    let Some(context) = known.iter().find(|context| context.name == *name) else {
        return Err(Failure::new(format!("there is no context `{name}` in your kubeconfig"))
            .hint(if known.is_empty() {
                "`KUBECONFIG` names the files".into()
            } else {
                format!("there is {}", names())
            })
            .exit(Exit::Usage));
    };
    if yes {
        return Ok(());
    }
    let intent = format!(
        "will make the namespaces `{project}-…` on the cluster of `{name}` ({}), and a read-only user for \
         its checks. `tutorial remove` takes them away again.",
        context.server
    );
    if !host.ui.is_interactive() {
        return Err(Failure::new(format!("that the course may use the cluster of `{name}` has to be confirmed"))
            .caused_by(format!("it {intent}"))
            .hint("add `--yes`")
            .exit(Exit::Usage));
    }
    host.ui.say(&format!("The course {intent}"));
    if host.ui.confirm("Use this cluster?", false)? { Ok(()) } else { Err(Failure::new("").exit(Exit::NotYet)) }
}

/// At a terminal where Docker answers the learner has a choice; else it is the one that needs nothing.
pub fn ask(host: &Host) -> Result<Option<Sandbox>, Failure> {
    let engine = async { tokio::time::timeout(ENGINE_TIME_MAX, engine::connect(&host.environment)).await };
    if !matches!(host.block_on(engine), Ok(Ok(_))) {
        return Ok(None);
    }
    let choices = [
        Choice { label: "The one that is built in: ready in a second".to_owned(), value: Sandbox::Embedded },
        Choice { label: "A real Kubernetes in Docker (kind): ready in a minute".to_owned(), value: Sandbox::Kind },
    ];
    match host.ui.choose("Where shall the course run?", &choices)? {
        Some(chosen) => Ok(Some(chosen)),
        None => Err(Failure::new("").exit(Exit::Interrupted)),
    }
}
