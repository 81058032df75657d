//! `tutorial author import`: a Killercoda or Katacoda scenario as a course, with a list of what is left to do.

use std::path::{Component, Path};

use super::new::{id_of, path_argument};
use crate::args::AuthorImportArgs;
use crate::course::import::{Imported, import};
use crate::course::{CourseReference, examine};
use crate::error::{Exit, Failure};
use crate::session::Host;

pub fn run(host: &Host, arguments: &AuthorImportArgs) -> Result<Exit, Failure> {
    let source = host.current_directory.join(&arguments.scenario);
    let destination = host.current_directory.join(&arguments.directory);
    let id = id_of(&destination)?;
    if destination.join("course.yaml").exists() {
        return Err(Failure::new(format!("{} is a course already", destination.display()))
            .hint("name a directory that is new or empty")
            .exit(Exit::Usage));
    }
    let imported = import(&id, |name| inside(name).then(|| std::fs::read_to_string(source.join(name)).ok())?)?;
    let not_copied = write(&imported, &source, &destination)?;
    for (name, _) in &imported.files {
        host.ui.line(&arguments.directory.join(name).display().to_string());
    }
    let ui = &host.ui;
    let style = ui.conversation_style();
    if !imported.notes.is_empty() {
        ui.say(&format!("\n{}", style.bold("Left to do:")));
    }
    for note in &imported.notes {
        ui.say(&style.commands(&format!("  {}: {}", note.place, note.message)));
    }
    for asset in not_copied {
        ui.say(&format!("  the asset {asset} could not be copied"));
    }
    let diagnostics = examine(&CourseReference::Directory(arguments.directory.clone())).diagnostics;
    if !diagnostics.items.is_empty() {
        ui.say_as_is(&format!("\n{}", diagnostics.render(style.is_enabled()).trim_end()));
    }
    let shown = path_argument(&arguments.directory);
    ui.say(&style.commands(&format!("\nGo on with `tutorial author check {shown}`.")));
    Ok(Exit::Done)
}

/// Whether a name stays inside of the directory that it is relative to.
fn inside(name: &str) -> bool {
    Path::new(name).components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir))
}

/// Writes the course; answers the assets that could not be copied.
fn write(imported: &Imported, source: &Path, destination: &Path) -> Result<Vec<String>, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(format!("the course cannot be written to {}", destination.display())).caused_by(error)
    };
    std::fs::create_dir_all(destination).map_err(cannot)?;
    for (name, content) in &imported.files {
        std::fs::write(destination.join(name), content).map_err(cannot)?;
    }
    let mut not_copied = Vec::new();
    for (from, to) in &imported.assets {
        let target = destination.join(to);
        let copied = inside(from)
            && inside(to)
            && target.parent().is_some_and(|parent| std::fs::create_dir_all(parent).is_ok())
            && std::fs::copy(source.join(from), &target).is_ok();
        if !copied {
            not_copied.push(from.clone());
        }
    }
    Ok(not_copied)
}
