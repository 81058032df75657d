//! `tutorial author new`: a small course that passes its own check and test, to be rewritten.

use std::path::Path;

use crate::args::AuthorNewArgs;
use crate::error::{Exit, Failure};
use crate::session::Host;

/// The files of a new course: names and contents, with `%ID%` and `%TITLE%` in place of the course's own.
const FILES: [(&str, &str); 3] = [
    ("course.yaml", include_str!("template/course.yaml")),
    ("01-first-steps.md", include_str!("template/01-first-steps.md")),
    ("README.md", include_str!("template/README.md")),
];

pub fn run(host: &Host, arguments: &AuthorNewArgs) -> Result<Exit, Failure> {
    let directory = host.current_directory.join(&arguments.directory);
    let id = id_of(&directory)?;
    let title = arguments.title.clone().unwrap_or_else(|| title_of(&id));
    if let Some((taken, _)) = FILES.iter().find(|(name, _)| directory.join(name).exists()) {
        return Err(Failure::new(format!("{} is there already", directory.join(taken).display()))
            .hint("name a directory that is new or empty")
            .exit(Exit::Usage));
    }
    let cannot = |error: std::io::Error| {
        Failure::new(format!("the course cannot be written to {}", directory.display())).caused_by(error)
    };
    std::fs::create_dir_all(&directory).map_err(cannot)?;
    for (name, content) in FILES {
        let content = content.replace("%ID%", &id).replace("%TITLE%", &yaml_text(&title));
        std::fs::write(directory.join(name), content).map_err(cannot)?;
        host.ui.line(&arguments.directory.join(name).display().to_string());
    }
    let shown = path_argument(&arguments.directory);
    let style = host.ui.conversation_style();
    host.ui.say(&style.commands(&format!(
        "\nA course with one lesson. `tutorial author check {shown}` finds mistakes while you write, \
         `tutorial author preview {shown}` shows it, `tutorial author test {shown}` proves it, \
         `tutorial start {shown}` plays it."
    )));
    Ok(Exit::Done)
}

/// The directory's name as a course's id.
pub fn id_of(directory: &Path) -> Result<String, Failure> {
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let id: String = words.join("-").chars().take(50).collect();
    if id.is_empty() {
        return Err(Failure::new(format!("`{name}` cannot become a course's id"))
            .hint("name the directory with letters and digits, `my-course` for example")
            .exit(Exit::Usage));
    }
    Ok(id.trim_end_matches('-').to_owned())
}

fn title_of(id: &str) -> String {
    let words = id.replace('-', " ");
    let mut characters = words.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

/// A title as it can stand between double quotes.
fn yaml_text(title: &str) -> String {
    title.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A directory as an argument that is taken for a path.
pub fn path_argument(directory: &Path) -> String {
    let shown = directory.display().to_string();
    if shown.contains('/') { shown } else { format!("./{shown}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_titles_come_from_the_directory() {
        fn check(directory: &str, id: Option<&str>, title: &str) {
            let found = id_of(Path::new(directory)).ok();
            assert_eq!(found.as_deref(), id, "{directory}");
            assert_eq!(title_of(found.as_deref().unwrap_or_default()), title);
        }
        check("/a/my-course", Some("my-course"), "My course");
        check("/a/My Course_2", Some("my-course-2"), "My course 2");
        check("/a/---", None, "");
        check("/a/курс", None, "");
    }
}
