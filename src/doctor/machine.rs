//! The machine itself: folder, disk, ports, shell, terminal.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Finding, State, Surroundings, holder};

/// The ports that a course wishes for.
const PORTS: [u16; 3] = [30080, 30081, 5001];
const MEBIBYTE: u64 = 1024 * 1024;
/// Below this, warn; below a tenth of it, nothing works.
const DISK_WISHED_BYTES: u64 = 300 * MEBIBYTE;

/// The folder of the workspaces can be written.
pub fn home(surroundings: &Surroundings) -> Finding {
    let home = &surroundings.home;
    let needed = "a folder that you may write into";
    let existing = existing_ancestor(home);
    let shown = home.display();
    match tempfile::Builder::new().prefix(".tutorial-doctor-").tempdir_in(&existing) {
        Ok(_) if existing == *home => Finding::new("workspace", State::Ok, shown.to_string(), needed, ""),
        Ok(_) => Finding::new("workspace", State::Ok, format!("{shown}, which will be made"), needed, ""),
        Err(error) => Finding::new(
            "workspace",
            State::Missing,
            format!("{} cannot be written: {error}", existing.display()),
            needed,
            "name another with the variable TUTORIAL_HOME, or with `--dir`",
        ),
    }
}

/// The path itself, or the folder above it that exists.
fn existing_ancestor(path: &Path) -> PathBuf {
    path.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

pub fn disk(surroundings: &Surroundings) -> Finding {
    let needed = "300 MiB";
    let Ok(about) = rustix::fs::statvfs(existing_ancestor(&surroundings.home)) else {
        return Finding::new("disk", State::Warning, "the free space is not known", needed, "");
    };
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    let found = format!("{} MiB free", free / MEBIBYTE);
    if free >= DISK_WISHED_BYTES {
        return Finding::new("disk", State::Ok, found, needed, "");
    }
    let state = if free < DISK_WISHED_BYTES / 10 { State::Missing } else { State::Warning };
    Finding::new("disk", state, found, needed, "make some room, or name a folder on another disk with TUTORIAL_HOME")
}

/// The wished ports are free. One that is not is no harm: the sandbox takes another, and says which.
pub async fn ports(surroundings: &Surroundings) -> Finding {
    let needed = "30080, 30081 and 5001, else others are taken";
    let mut taken = Vec::new();
    for port in PORTS {
        match tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => taken.push(port),
            _ => {}
        }
    }
    let ours = ports_of_sandboxes(&surroundings.home);
    let (own, foreign): (Vec<u16>, Vec<u16>) = taken.into_iter().partition(|port| ours.contains(port));
    let list = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    if foreign.is_empty() {
        let found = if own.is_empty() { "all free".to_owned() } else { format!("{} used by your sandbox", list(&own)) };
        return Finding::new("ports", State::Ok, found, needed, "");
    }
    let holders: Vec<(u16, Option<String>)> = foreign.iter().map(|port| (*port, holder::of_port(*port))).collect();
    let look = if holders.iter().any(|(_, holder)| holder.is_none()) { " (`sudo ss -ltnp` names it)" } else { "" };
    let held: Vec<String> = holders
        .into_iter()
        .map(|(port, holder)| format!("{port} used by {}", holder.unwrap_or_else(|| "another user's program".into())))
        .collect();
    Finding::new(
        "ports",
        State::Warning,
        held.join(", "),
        needed,
        format!("end it if you want the lessons' own numbers{look}; else others are taken, and the lessons show them"),
    )
}

/// The ports on this machine that workspaces' sandboxes say they use.
fn ports_of_sandboxes(home: &Path) -> Vec<u16> {
    let workspaces = std::fs::read_dir(home).into_iter().flatten().flatten();
    let connections = workspaces.filter_map(|workspace| {
        let text = std::fs::read(workspace.path().join(".tutorial/cluster/connection.json")).ok()?;
        serde_json::from_slice::<serde_json::Value>(&text).ok()
    });
    let mut ports = Vec::new();
    for connection in connections {
        let nodes = connection["node_ports"].as_object().into_iter().flatten();
        ports.extend(nodes.filter_map(|(_, port)| port.as_u64()).filter_map(|port| u16::try_from(port).ok()));
        let registry = connection["registry"].as_str().and_then(|registry| registry.rsplit(':').next());
        ports.extend(registry.and_then(|port| port.parse::<u16>().ok()));
    }
    ports
}

pub fn shell(surroundings: &Surroundings) -> Finding {
    let needed = "bash, zsh or fish for a prompt that notices when a step is done";
    match surroundings.variable("SHELL") {
        Some(shell) if super::is_program(Path::new(shell)) => {
            let name = Path::new(shell).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_known = matches!(name.as_str(), "bash" | "zsh" | "fish");
            let state = if is_known { State::Ok } else { State::Warning };
            let remedy = if is_known { "" } else { "it works too; type `tutorial verify` after each step" };
            Finding::new("shell", state, name, needed, remedy)
        }
        Some(shell) => {
            Finding::new("shell", State::Warning, format!("{shell} is not there"), needed, "sh is used instead")
        }
        None => Finding::new(
            "shell",
            State::Warning,
            "none is named",
            needed,
            "sh is used; set the variable SHELL to yours",
        ),
    }
}

pub fn terminal(surroundings: &Surroundings) -> Finding {
    let needed = "80 columns to read comfortably";
    match surroundings.terminal {
        None => Finding::new(
            "terminal",
            State::Warning,
            "none: nothing will be asked",
            needed,
            "run `tutorial start` at a terminal for menus and a shell; without one, `tutorial next` goes on",
        ),
        Some((columns, rows)) if columns < 60 || rows < 15 => Finding::new(
            "terminal",
            State::Warning,
            format!("{columns} × {rows}"),
            needed,
            "a larger window shows more",
        ),
        Some((columns, rows)) => Finding::new("terminal", State::Ok, format!("{columns} × {rows}"), needed, ""),
    }
}
