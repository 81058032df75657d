//! `tutorial cluster`: the sandbox by itself.

use std::path::PathBuf;

use serde_json::json;

use crate::args::{ClusterArgs, ClusterCommand, ClusterStartArgs};
use crate::cluster::embedded::process;
use crate::cluster::{ClusterSpec, Connection};
use crate::error::{Exit, Failure};
use crate::session::Host;
use crate::session::sandbox::{Sandbox, refuse_unready};

pub fn run(host: &Host, arguments: &ClusterArgs) -> Result<Exit, Failure> {
    match &arguments.command {
        ClusterCommand::Start(arguments) => start(host, arguments),
        ClusterCommand::Stop(name) => stop(host, &name.name),
        ClusterCommand::Status(arguments) => status(host, &arguments.name.name, arguments.json),
        ClusterCommand::Kubeconfig(name) => print_file(host, &name.name, "kubeconfig"),
        ClusterCommand::Logs(name) => print_file(host, &name.name, "log"),
        ClusterCommand::Delete(arguments) => delete(host, &arguments.name.name, arguments.yes),
    }
}

/// The sandbox of this name, in the directory that holds the workspaces.
fn spec(host: &Host, name: &str) -> Result<ClusterSpec, Failure> {
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
    Ok(ClusterSpec {
        name: name.to_owned(),
        directory: directory.unwrap_or_else(|| host.settings.home.join(".clusters").join(name)),
        node_ports: Vec::new(),
        time_factor: host.settings.time_factor,
    })
}

fn start(host: &Host, arguments: &ClusterStartArgs) -> Result<Exit, Failure> {
    if let Some(sandbox) = arguments.sandbox {
        refuse_unready(sandbox.name())?;
    }
    let spec = spec(host, &arguments.name.name)?;
    std::fs::create_dir_all(&spec.directory)
        .map_err(|error| Failure::new(format!("{} cannot be made", spec.directory.display())).caused_by(error))?;
    let mut sandbox = Sandbox::new(spec);
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
    let spec = spec(host, name)?;
    host.runtime.block_on(process::stop(&spec.directory))?;
    host.ui.say(&format!("The sandbox `{name}` has ended; its data stays."));
    Ok(Exit::Done)
}

fn status(host: &Host, name: &str, as_json: bool) -> Result<Exit, Failure> {
    let spec = spec(host, name)?;
    let connection = connection(&spec);
    let status = process::status(&spec.directory);
    let running = status != process::Status::Stopped;
    if as_json {
        let text = json!({"name": name, "running": running, "connection": connection});
        host.ui.line(&serde_json::to_string_pretty(&text).expect("plain data with string keys"));
    } else {
        host.ui.line(&format!("{name}: {}", if running { "running" } else { "not running" }));
        if let process::Status::Running { process, version, connection } = status {
            host.ui.line(&format!(
                "  Kubernetes  {} (served by tutorial {version}, process {process})",
                connection.version
            ));
            host.ui.line(&format!("  kubeconfig  {}", connection.kubeconfig.display()));
            host.ui.line(&format!("  registry    {}", connection.registry));
        }
    }
    Ok(if running { Exit::Done } else { Exit::NotYet })
}

fn connection(spec: &ClusterSpec) -> Option<Connection> {
    Sandbox::new(spec.clone()).known()
}

/// Prints a file of the sandbox's: its kubeconfig, its log.
fn print_file(host: &Host, name: &str, what: &str) -> Result<Exit, Failure> {
    let spec = spec(host, name)?;
    let path: PathBuf = match connection(&spec) {
        Some(connection) if what == "kubeconfig" => connection.kubeconfig,
        _ => spec.directory.join(what),
    };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::new(format!("the sandbox `{name}` has no {what}"))
            .caused_by(error)
            .hint("`tutorial cluster start` makes it")
    })?;
    host.ui.data(&text);
    Ok(Exit::Done)
}

fn delete(host: &Host, name: &str, yes: bool) -> Result<Exit, Failure> {
    let spec = spec(host, name)?;
    if !yes && !host.ui.is_interactive() {
        return Err(Failure::new("a deletion has to be confirmed").hint("add `--yes`").exit(Exit::Usage));
    }
    if !yes && !host.ui.confirm(&format!("Delete the sandbox `{name}` with all that is in it?"), false)? {
        return Ok(Exit::NotYet);
    }
    host.runtime.block_on(process::stop(&spec.directory))?;
    match std::fs::remove_dir_all(&spec.directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("{} cannot be removed", spec.directory.display())).caused_by(error))
        }
        _ => {
            host.ui.say(&format!("The sandbox `{name}` is deleted."));
            Ok(Exit::Done)
        }
    }
}
