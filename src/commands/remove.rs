//! `tutorial stop`, `remove`: the end of a sandbox, and of everything.

use std::path::Path;

use super::choose;
use crate::args::{RemoveArgs, WorkspaceArgs};
use crate::cluster::Cluster;
use crate::error::{Exit, Failure};
use crate::session::{Host, find_workspace};
use crate::workspace::{WorkspaceError, locate};

pub fn stop(host: &Host, arguments: &WorkspaceArgs) -> Result<Exit, Failure> {
    let workspace = find_workspace(host, arguments)?;
    let cluster = Cluster::found_in(&workspace.cluster(), "tutorial", host.settings.time_factor);
    host.block_on(cluster.stop())?;
    host.ui
        .say(&host.ui.conversation_style().commands("The sandbox has ended. `tutorial start` goes on where you were."));
    Ok(Exit::Done)
}

pub fn remove(host: &Host, arguments: &RemoveArgs) -> Result<Exit, Failure> {
    let named = arguments.course.as_ref().map(|course| host.settings.home.join(course));
    let asked = WorkspaceArgs { dir: arguments.workspace.dir.clone().or(named) };
    let workspace = find_workspace(host, &asked)?;
    let style = host.ui.conversation_style();
    let (repository, ours) = (workspace.repository(), workspace.directory());
    host.ui.say(&format!(
        "This removes\n  {}  your repository\n  {}  progress, snapshots and the sandbox",
        repository.display(),
        ours.display()
    ));
    if !arguments.yes {
        if !host.ui.is_interactive() {
            return Err(Failure::new("a removal has to be confirmed").hint("add `--yes`").exit(Exit::Usage));
        }
        if !host.ui.confirm("Remove them?", false)? {
            return Ok(Exit::NotYet);
        }
    }
    let cluster = Cluster::found_in(&workspace.cluster(), "tutorial", host.settings.time_factor);
    choose::delete(host, &cluster, choose::Unreached::of(host, arguments.yes, arguments.forget))?;
    for directory in [&repository, &ours] {
        remove_directory(directory)?;
    }
    // What else lies there is the learner's.
    let emptied = std::fs::remove_dir(workspace.root()).is_ok();
    locate::forget(&host.settings.home, &workspace);
    let _ = std::fs::remove_dir(&host.settings.home);
    let kept = if emptied { String::new() } else { format!("; other files in {} stay", workspace.root().display()) };
    host.ui.say(&format!("{} removed{kept}", style.good("✓")));
    Ok(Exit::Done)
}

/// Removes a directory with all that is in it, also what was closed to its owner.
fn remove_directory(directory: &Path) -> Result<(), WorkspaceError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            open_up(directory);
            std::fs::remove_dir_all(directory).map_err(WorkspaceError::write(directory))
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(WorkspaceError::Write { path: directory.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn open_up(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700));
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).for_each(|entry| open_up(&entry.path()));
}
