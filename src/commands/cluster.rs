//! `tutorial cluster`: the sandbox by itself.

use std::path::Path;

use serde_json::json;

use super::choose;
use crate::args::{
    self, ClusterArgs, ClusterCommand, ClusterDeleteArgs, ClusterNameArgs, ClusterStartArgs, WorkspaceArgs,
};
use crate::cluster::kind::KindSpec;
use crate::cluster::{Cluster, ClusterSpec, Status};
use crate::error::{Exit, Failure};
use crate::session::sandbox::Sandbox;
use crate::session::{Host, find_workspace};

/// The sandbox of those who name none.
const DEFAULT_NAME: &str = "tutorial";

pub fn run(host: &Host, arguments: &ClusterArgs) -> Result<Exit, Failure> {
    match &arguments.command {
        ClusterCommand::Start(arguments) => start(host, arguments),
        ClusterCommand::Stop(name) => stop(host, name),
        ClusterCommand::Status(arguments) => status(host, &arguments.name, arguments.json),
        ClusterCommand::Kubeconfig(name) => kubeconfig(host, name),
        ClusterCommand::Logs(name) => logs(host, name),
        ClusterCommand::Delete(arguments) => delete(host, arguments),
    }
}

/// The sandbox that is named, and its name: the workspace's directory where it is called by that.
fn named(host: &Host, arguments: &ClusterNameArgs) -> Result<(String, Cluster), Failure> {
    let Some(directory) = &arguments.dir else {
        let name = arguments.name.as_deref().unwrap_or(DEFAULT_NAME);
        return Ok((name.to_owned(), cluster(host, name)?));
    };
    let root = host.current_directory.join(directory);
    if !root.join(".tutorial").is_dir() {
        return Err(Failure::new(format!("{} is no workspace", root.display()))
            .hint("`tutorial start --dir DIR` makes one")
            .exit(Exit::Usage));
    }
    let root = root.canonicalize().unwrap_or(root);
    Ok((root.display().to_string(), of_workspace(host, &root)))
}

fn of_workspace(host: &Host, root: &Path) -> Cluster {
    Cluster::found_in(&root.join(".tutorial/cluster"), DEFAULT_NAME, host.settings.time_factor)
}

/// The same for a look, which changes nothing: where none is named, and none was made by itself, it is that of the
/// workspace that other commands would mean.
fn looked_at(host: &Host, arguments: &ClusterNameArgs) -> Result<(String, Cluster), Failure> {
    let is_apart = || host.settings.home.join(".clusters").join(DEFAULT_NAME).is_dir();
    if arguments.name.is_none()
        && arguments.dir.is_none()
        && !is_apart()
        && let Ok(workspace) = find_workspace(host, &WorkspaceArgs::default())
        && workspace.cluster().is_dir()
    {
        let root = workspace.root();
        return Ok((root.display().to_string(), of_workspace(host, root)));
    }
    named(host, arguments)
}

/// The sandbox of this name, in the directory that holds the workspaces.
fn cluster(host: &Host, name: &str) -> Result<Cluster, Failure> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Failure::new(format!("`{name}` is no name for a sandbox"))
            .hint("letters, digits, `-`, `_` and `.` make one")
            .exit(Exit::Usage));
    }
    // A course's sandbox bears the course's name and lies in its workspace.
    let of_course =
        name.strip_prefix("tutorial-").map(|course| host.settings.home.join(course).join(".tutorial/cluster"));
    let directory = of_course.filter(|directory| directory.is_dir());
    let directory = directory.unwrap_or_else(|| host.settings.home.join(".clusters").join(name));
    Ok(Cluster::found_in(&directory, name, host.settings.time_factor))
}

fn start(host: &Host, arguments: &ClusterStartArgs) -> Result<Exit, Failure> {
    let (name, found) = named(host, &arguments.name)?;
    let directory = found.directory().to_owned();
    let was_finished = Cluster::was_finished(&directory);
    let cluster = match arguments.sandbox {
        Some(args::Sandbox::Existing) => {
            return Err(Failure::new("a cluster that exists is not started by tutorial")
                .hint("`tutorial start --sandbox existing --context CONTEXT` plays a course on it")
                .exit(Exit::Usage));
        }
        Some(asked) if was_finished && asked.name() != found.kind() => {
            return Err(Failure::new(format!(
                "the sandbox `{name}` is of the kind `{}`, not `{}`",
                found.kind(),
                asked.name()
            ))
            .hint("choose another name with `--name`, or `tutorial cluster delete` this one first")
            .exit(Exit::Usage));
        }
        _ if was_finished => found,
        Some(args::Sandbox::Embedded) => {
            let (name, directory) = (name.clone(), directory.clone());
            Cluster::Embedded(ClusterSpec {
                name,
                directory,
                node_ports: Vec::new(),
                time_factor: host.settings.time_factor,
            })
        }
        asked => match found {
            // What an attempt that failed was asked for counts where nothing else is said now.
            Cluster::Kind(begun) => Cluster::Kind(KindSpec {
                workers: arguments.workers.unwrap_or(begun.workers),
                image: arguments.image.clone().or(begun.image),
                ..begun
            }),
            _ if asked == Some(args::Sandbox::Kind) => Cluster::Kind(KindSpec {
                name: name.clone(),
                directory: directory.clone(),
                node_ports: Vec::new(),
                workers: arguments.workers.unwrap_or(0),
                image: arguments.image.clone(),
            }),
            other => other,
        },
    };
    cluster.check().map_err(|error| Failure::from(error).exit(Exit::Usage))?;
    if !was_finished && Cluster::found_in(&directory, &name, host.settings.time_factor) != cluster {
        host.block_on(Cluster::abandon(&directory))?;
    }
    std::fs::create_dir_all(&directory)
        .map_err(|error| Failure::new(format!("{} cannot be made", directory.display())).caused_by(error))?;
    let mut sandbox = Sandbox::new(cluster);
    let connection = sandbox.ready(host)?;
    let style = host.ui.conversation_style();
    host.ui.say(&format!("{} the sandbox answers ({})", style.good("✓"), connection.version));
    host.ui.line(&format!(
        "export KUBECONFIG={}",
        crate::workspace::environment::quote(&connection.kubeconfig.display().to_string())
    ));
    Ok(Exit::Done)
}

fn stop(host: &Host, arguments: &ClusterNameArgs) -> Result<Exit, Failure> {
    let (name, cluster) = named(host, arguments)?;
    host.block_on(cluster.stop())?;
    host.ui.say(&format!("The sandbox `{name}` has ended; its data stays."));
    Ok(Exit::Done)
}

fn status(host: &Host, arguments: &ClusterNameArgs, as_json: bool) -> Result<Exit, Failure> {
    let (name, cluster) = looked_at(host, arguments)?;
    let status = host.block_on(cluster.status());
    let running = matches!(status, Status::Running { .. });
    if as_json {
        let text = json!({"name": name, "kind": cluster.kind(), "running": running, "connection": cluster.known()});
        host.ui.line(&serde_json::to_string_pretty(&text).expect("plain data with string keys"));
        return Ok(if running { Exit::Done } else { Exit::NotYet });
    }
    match status {
        Status::Running { connection, served } => {
            host.ui.line(&format!("{name}: running"));
            host.ui.line(&format!("  Kubernetes  {} ({served})", connection.version));
            host.ui.line(&format!("  kubeconfig  {}", connection.kubeconfig.display()));
            host.ui.line(&format!("  registry    {}", connection.registry));
            Ok(Exit::Done)
        }
        Status::NotRunning(why) => {
            host.ui.line(&format!("{name}: {why}"));
            Ok(Exit::NotYet)
        }
    }
}

fn kubeconfig(host: &Host, arguments: &ClusterNameArgs) -> Result<Exit, Failure> {
    let (name, cluster) = looked_at(host, arguments)?;
    let path =
        cluster.known().map_or_else(|| cluster.directory().join("kubeconfig"), |connection| connection.kubeconfig);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::new(format!("the sandbox `{name}` has no kubeconfig"))
            .caused_by(error)
            .hint("`tutorial cluster start` makes it")
    })?;
    host.ui.data(&text);
    Ok(Exit::Done)
}

fn logs(host: &Host, arguments: &ClusterNameArgs) -> Result<Exit, Failure> {
    let (name, cluster) = looked_at(host, arguments)?;
    let text = host.block_on(cluster.logs()).map_err(|error| match error {
        crate::cluster::ClusterError::NoLog { source, .. } => Failure::new(format!("the sandbox `{name}` has no log"))
            .caused_by(source)
            .hint("`tutorial cluster start` makes it"),
        other => other.into(),
    })?;
    host.ui.data(&text);
    Ok(Exit::Done)
}

fn delete(host: &Host, arguments: &ClusterDeleteArgs) -> Result<Exit, Failure> {
    let (name, cluster) = named(host, &arguments.name)?;
    let yes = arguments.yes;
    if !yes && !host.ui.is_interactive() {
        return Err(Failure::new("a deletion has to be confirmed").hint("add `--yes`").exit(Exit::Usage));
    }
    if !yes && !host.ui.confirm(&format!("Delete the sandbox `{name}` with all that is in it?"), false)? {
        return Ok(Exit::NotYet);
    }
    choose::delete(host, &cluster, choose::Unreached::of(host, yes, arguments.forget))?;
    match std::fs::remove_dir_all(cluster.directory()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("{} cannot be removed", cluster.directory().display())).caused_by(error))
        }
        _ => {
            host.ui.say(&format!("The sandbox `{name}` is deleted."));
            Ok(Exit::Done)
        }
    }
}
