//! The direction of imports, and the size of files: what `ARCHITECTURE.md` promises, read from the source itself.

use std::path::{Path, PathBuf};

/// The largest file, in lines. Generated tables are none of a reader's business.
const LINES_MAX: usize = 600;

/// Modules that anyone may import.
const LEAVES: &[&str] = &["error", "settings", "release", "markdown", "discovery", "engine", "yaml"];

/// The parts of `course` that are plain types, for those who evaluate or keep what a course says.
const PLAIN_COURSE: &[&str] = &["course::check", "course::model", "course::Variables"];

/// Layer by layer: a module and what it may import beyond the leaves and itself.
const ALLOWED: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("settings", &[]),
    ("release", &[]),
    ("markdown", &[]),
    ("discovery", &[]),
    ("engine", &[]),
    ("yaml", &[]),
    ("args", &[]),
    ("course", &[]),
    ("checks", PLAIN_COURSE),
    ("workspace", PLAIN_COURSE),
    ("doctor", &[]),
    ("agent", &[]),
    ("cluster", &[]),
    ("ui", &[]),
    ("kubectl", &[]),
    ("session", &["args", "course", "checks", "doctor", "workspace", "agent", "cluster", "ui", "kubectl"]),
    ("commands", &["args", "course", "checks", "doctor", "workspace", "agent", "cluster", "ui", "kubectl", "session"]),
    ("lib", &[]),
    ("main", &["commands"]),
];

/// Inside the embedded cluster.
const ALLOWED_EMBEDDED: &[(&str, &[&str])] = &[
    ("status", &[]),
    ("schema", &["status"]),
    ("store", &["status", "schema"]),
    ("apply", &["status", "schema"]),
    ("patch", &["status", "schema", "apply"]),
    ("admission", &["status", "schema"]),
    ("registry", &["status", "schema", "store", "apply", "patch", "admission"]),
];

#[test]
fn imports_go_one_way() {
    let mut forbidden = Vec::new();
    for file in sources() {
        let module = top_module(&file);
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
            panic!("{}: the module `{module}` has no place in the layers: give it one in this test", file.display());
        };
        for (line, import) in imports(&file, "crate::") {
            let target = import.split("::").next().unwrap_or_default();
            let is_plain =
                allowed.iter().any(|allowed| import == *allowed || import.starts_with(&format!("{allowed}::")));
            if target != module && !LEAVES.contains(&target) && !is_plain {
                forbidden.push(format!("{}:{line}: {module} → {import}", file.display()));
            }
        }
    }
    assert!(forbidden.is_empty(), "forbidden arrows:\n{}", forbidden.join("\n"));
}

#[test]
fn the_embedded_cluster_has_layers_of_its_own() {
    let mut forbidden = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cluster/embedded");
    for file in sources().into_iter().filter(|file| file.starts_with(&root)) {
        let inside = file.strip_prefix(&root).expect("filtered by this prefix");
        let module = inside.iter().next().map(|name| name.to_string_lossy().trim_end_matches(".rs").to_owned());
        let module = module.unwrap_or_default();
        let Some((_, allowed)) = ALLOWED_EMBEDDED.iter().find(|(name, _)| *name == module) else { continue };
        for (line, import) in imports(&file, "crate::cluster::embedded::") {
            let target = import.split("::").next().unwrap_or_default();
            if target != module && !allowed.contains(&target) {
                forbidden.push(format!("{}:{line}: {module} → {target}", file.display()));
            }
        }
    }
    assert!(forbidden.is_empty(), "forbidden arrows:\n{}", forbidden.join("\n"));
}

#[test]
fn only_commands_and_session_write_to_the_terminal_through_ui() {
    let mut found = Vec::new();
    for file in sources() {
        let module = top_module(&file);
        if matches!(module.as_str(), "agent" | "kubectl" | "ui") {
            continue;
        }
        for (number, line) in production_lines(&file) {
            let speaks = ["println!(", "print!(", "eprintln!(", "eprint!("]
                .iter()
                .any(|call| line.trim_start().starts_with(call) || line.contains(&format!(" {call}")));
            // Before there is a `Ui`, and in the background process, whose stderr is its log.
            let is_excused = ["commands/mod.rs", "commands/cluster_serve.rs"].iter().any(|end| file.ends_with(end))
                || module == "cluster";
            if speaks && !is_excused {
                found.push(format!("{}:{number}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "output beside `Ui`:\n{}", found.join("\n"));
}

#[test]
fn files_stay_readable() {
    let long: Vec<String> = sources()
        .into_iter()
        .chain(rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")))
        .filter_map(|file| {
            let lines = std::fs::read_to_string(&file).ok()?.lines().count();
            (lines > LINES_MAX).then(|| format!("{}: {lines} lines", file.display()))
        })
        .collect();
    assert!(long.is_empty(), "files over {LINES_MAX} lines:\n{}", long.join("\n"));
}

fn sources() -> Vec<PathBuf> {
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a source directory can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// `session` for `src/session/show.rs` and `src/session.rs` alike.
fn top_module(file: &Path) -> String {
    let inside = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("a source file");
    let first = inside.iter().next().expect("a file has a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The lines of a file that are no test, with their numbers.
fn production_lines(file: &Path) -> Vec<(usize, String)> {
    if file.file_name().is_some_and(|name| name == "tests.rs") || file.iter().any(|part| part == "tests") {
        return Vec::new();
    }
    let text = std::fs::read_to_string(file).expect("a source file can be read");
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.to_owned()));
    lines
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .collect()
}

/// Every path behind `prefix` in a file, groups in braces taken apart.
fn imports(file: &Path, prefix: &str) -> Vec<(usize, String)> {
    let mut imports = Vec::new();
    let lines = production_lines(file);
    for (position, (number, line)) in lines.iter().enumerate() {
        let number = *number;
        let mut line = line.clone();
        // A group that rustfmt broke over lines.
        let is_open = |line: &str| line.contains("use ") && line.matches('{').count() > line.matches('}').count();
        if line.contains(prefix) {
            for (_, next) in &lines[position + 1..] {
                if !is_open(&line) {
                    break;
                }
                line.push_str(next.trim());
            }
        }
        let mut rest = line.as_str();
        while let Some(start) = rest.find(prefix) {
            rest = &rest[start + prefix.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let group = group.split('}').next().unwrap_or(group);
                imports.extend(group.split(',').map(|path| (number, path_at(path.trim()))));
            } else {
                let path = path_at(rest);
                match rest[path.len()..].strip_prefix("::{") {
                    Some(group) => {
                        let group = group.split('}').next().unwrap_or(group);
                        imports
                            .extend(group.split(',').map(|name| (number, format!("{path}::{}", path_at(name.trim())))));
                    }
                    None => imports.push((number, path)),
                }
            }
        }
    }
    imports.retain(|(_, path)| !path.is_empty());
    imports
}

/// The path at the beginning of a text.
fn path_at(text: &str) -> String {
    let end = text.find(|character: char| !(character.is_alphanumeric() || "_:".contains(character)));
    text[..end.unwrap_or(text.len())].trim_end_matches(':').to_owned()
}
