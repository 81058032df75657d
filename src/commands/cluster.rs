//! `tutorial cluster`: the sandbox by itself.

use serde_json::json;

use super::choose;
use crate::args::{self, ClusterArgs, ClusterCommand, ClusterStartArgs};
use crate::cluster::kind::KindSpec;
use crate::cluster::{Cluster, Status};
use crate::error::{Exit, Failure};
use crate::session::Host;
use crate::session::sandbox::Sandbox;

pub fn run(host: &Host, arguments: &ClusterArgs) -> Result<Exit, Failure> {
    match &arguments.command {
        ClusterCommand::Start(arguments) => start(host, arguments),
        ClusterCommand::Stop(name) => stop(host, &name.name),
        ClusterCommand::Status(arguments) => status(host, &arguments.name.name, arguments.json),
        ClusterCommand::Kubeconfig(name) => kubeconfig(host, &name.name),
        ClusterCommand::Logs(name) => logs(host, &name.name),
        ClusterCommand::Delete(arguments) => delete(host, &arguments.name.name, arguments.yes),
    }
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
    let found = cluster(host, &arguments.name.name)?;
    let directory = found.directory().to_owned();
    let was_begun = Cluster::is_noted(&directory) || directory.join("data").is_dir();
    let cluster = match arguments.sandbox {
        Some(args::Sandbox::Existing) => {
            return Err(Failure::new("a cluster that exists is not started by tutorial")
                .hint("`tutorial start --sandbox existing --context CONTEXT` plays a course on it")
                .exit(Exit::Usage));
        }
        Some(asked) if was_begun && asked.name() != found.kind() => {
            return Err(Failure::new(format!(
                "the sandbox `{}` is of the kind `{}`, not `{}`",
                arguments.name.name,
                found.kind(),
                asked.name()
            ))
            .hint("choose another name with `--name`, or `tutorial cluster delete` this one first")
            .exit(Exit::Usage));
        }
        Some(args::Sandbox::Kind) if !was_begun => Cluster::Kind(KindSpec {
            name: arguments.name.name.clone(),
            directory: directory.clone(),
            node_ports: Vec::new(),
            workers: arguments.workers.unwrap_or(0),
            image: arguments.image.clone(),
        }),
        _ => found,
    };
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

fn stop(host: &Host, name: &str) -> Result<Exit, Failure> {
    let cluster = cluster(host, name)?;
    host.runtime.block_on(cluster.stop())?;
    host.ui.say(&format!("The sandbox `{name}` has ended; its data stays."));
    Ok(Exit::Done)
}

fn status(host: &Host, name: &str, as_json: bool) -> Result<Exit, Failure> {
    let cluster = cluster(host, name)?;
    let status = host.runtime.block_on(cluster.status());
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

fn kubeconfig(host: &Host, name: &str) -> Result<Exit, Failure> {
    let cluster = cluster(host, name)?;
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

fn logs(host: &Host, name: &str) -> Result<Exit, Failure> {
    let cluster = cluster(host, name)?;
    let text = host.runtime.block_on(cluster.logs()).map_err(|error| match error {
        crate::cluster::ClusterError::NoLog { source, .. } => Failure::new(format!("the sandbox `{name}` has no log"))
            .caused_by(source)
            .hint("`tutorial cluster start` makes it"),
        other => other.into(),
    })?;
    host.ui.data(&text);
    Ok(Exit::Done)
}

fn delete(host: &Host, name: &str, yes: bool) -> Result<Exit, Failure> {
    let cluster = cluster(host, name)?;
    if !yes && !host.ui.is_interactive() {
        return Err(Failure::new("a deletion has to be confirmed").hint("add `--yes`").exit(Exit::Usage));
    }
    if !yes && !host.ui.confirm(&format!("Delete the sandbox `{name}` with all that is in it?"), false)? {
        return Ok(Exit::NotYet);
    }
    choose::delete(host, &cluster)?;
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
