//! Objects from files, folders and stdin.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::KubectlError;
use super::flags::{Arguments, Flag, switch, value};

/// The flags of commands that read files.
pub const FILENAME: Flag = value("filename", Some('f'));
pub const RECURSIVE: Flag = switch("recursive", Some('R'));

/// An object with where it came from, `STDIN` or a path.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub source: String,
    pub object: Value,
}

impl Manifest {
    pub fn text(&self, field: &str) -> &str {
        self.object[field].as_str().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }
}

/// All objects that `-f` names.
pub fn read(arguments: &Arguments) -> Result<Vec<Manifest>, KubectlError> {
    let mut manifests = Vec::new();
    for name in arguments.values("filename").iter().flat_map(|names| names.split(',')) {
        if name == "-" {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| KubectlError::other(format!("error reading STDIN: {error}")))?;
            parse(&text, "STDIN", &mut manifests)?;
        } else if name.starts_with("http://") || name.starts_with("https://") {
            return Err(KubectlError::Absent { what: "reading manifests from a URL".into() });
        } else {
            for path in files(Path::new(name), arguments.is_set("recursive"))? {
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| KubectlError::other(format!("error reading {}: {error}", path.display())))?;
                parse(&text, &path.display().to_string(), &mut manifests)?;
            }
        }
    }
    if manifests.is_empty() {
        return Err(KubectlError::other("no objects passed to ".to_owned() + arguments.command));
    }
    Ok(manifests)
}

fn files(path: &Path, recursive: bool) -> Result<Vec<PathBuf>, KubectlError> {
    if !path.exists() {
        return Err(KubectlError::other(format!("the path \"{}\" does not exist", path.display())));
    }
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let entries = std::fs::read_dir(path).map_err(|error| KubectlError::other(error.to_string()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() {
            if recursive {
                found.extend(files(&path, true)?);
            }
        } else if matches!(ending, Some("yaml" | "yml" | "json")) {
            found.push(path);
        }
    }
    if found.is_empty() && !recursive {
        let message = "error reading [".to_owned()
            + &path.display().to_string()
            + "]: recognized file extensions are [.json .yaml .yml]";
        return Err(KubectlError::Other(message));
    }
    found.sort();
    Ok(found)
}

fn parse(text: &str, source: &str, manifests: &mut Vec<Manifest>) -> Result<(), KubectlError> {
    for document in documents(text) {
        let object: Value = serde_yaml::from_str(&document).map_err(|error| {
            KubectlError::other(format!("error parsing {source}: error converting YAML to JSON: yaml: {error}"))
        })?;
        if object.is_null() {
            continue;
        }
        if object["kind"] == "List"
            || object["items"].is_array() && object["kind"].as_str().is_some_and(|kind| kind.ends_with("List"))
        {
            let items = object["items"].as_array().cloned().unwrap_or_default();
            manifests.extend(items.into_iter().map(|object| Manifest { source: source.to_owned(), object }));
            continue;
        }
        let missing = ["kind", "apiVersion"].into_iter().find(|field| !object[*field].is_string());
        if let Some(field) = missing {
            return Err(KubectlError::other(format!(
                "error validating \"{source}\": error validating data: {field} not set; if you choose to ignore these errors, turn validation off with --validate=false"
            )));
        }
        manifests.push(Manifest { source: source.to_owned(), object });
    }
    Ok(())
}

/// The documents of a stream, split at lines of `---`.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            documents.push(String::new());
        } else {
            let document = documents.last_mut().expect("one is always there");
            document.push_str(line);
            document.push('\n');
        }
    }
    documents
        .retain(|document| document.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')));
    documents
}
