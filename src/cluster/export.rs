//! A cluster's context in the learner's own kubeconfig: only where they asked for it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::reader;
use crate::error::Explain;

/// Why the learner's kubeconfig was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{} is no kubeconfig, and was left as it is", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

impl Explain for ExportError {
    fn hint(&self) -> Option<String> {
        let (Self::Unreadable { path, .. } | Self::Write { path, .. }) = self;
        Some(format!("look at {}, then run the command again", path.display()))
    }
}

/// Adds cluster, user and context of `from` to `file`, in place of those of the same names, and makes the context the
/// current one, as kind does. Answers the context's name.
pub fn merge_into(file: &Path, from: &Path) -> Result<String, ExportError> {
    let added = read(from)?;
    let mut all = read(file)?;
    for list in ["clusters", "users", "contexts"] {
        let new = added.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut kept = all.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
        kept.retain(|one| new.iter().all(|other| other["name"] != one["name"]));
        kept.extend(new);
        all.insert(list.to_owned(), kept.into());
    }
    let context = added.get("current-context").cloned().unwrap_or_default();
    all.insert("current-context".into(), context.clone());
    all.entry("apiVersion").or_insert(json!("v1"));
    all.entry("kind").or_insert(json!("Config"));
    write(file, &all)?;
    Ok(context.as_str().unwrap_or_default().to_owned())
}

/// A context that was written into a kubeconfig of the learner's; kept in the cluster's directory, so that it is found
/// again whatever `KUBECONFIG` says later, and after a removal that was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Exported {
    pub file: PathBuf,
    pub context: String,
    pub server: String,
}

const RECORD: &str = "exported.json";

/// What was written into the learner's kubeconfigs, by the record in the cluster's directory.
pub fn exported(directory: &Path) -> Vec<Exported> {
    let text = std::fs::read(directory.join(RECORD)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Notes what is going to be written. Before it is: what is not there is taken out without harm.
///
/// # Panics
/// Never: plain data can be written.
pub fn record(directory: &Path, exported_now: Exported) -> Result<(), ExportError> {
    let mut all = exported(directory);
    if !all.contains(&exported_now) {
        all.push(exported_now);
    }
    let path = directory.join(RECORD);
    let text = serde_json::to_string_pretty(&all).expect("plain data with string keys");
    reader::write(&path, &text)
        .map_err(|error| ExportError::Write { path, source: std::io::Error::other(error.to_string()) })
}

/// Takes away what [`merge_into`] added, if it still leads to the same server.
pub fn take_out(file: &Path, name: &str, server: &str) -> Result<(), ExportError> {
    if !file.exists() {
        return Ok(());
    }
    let mut all = read(file)?;
    let is_ours = |one: &Value| one["name"] == *name && one["cluster"]["server"] == *server;
    if !all.get("clusters").and_then(Value::as_array).is_some_and(|clusters| clusters.iter().any(is_ours)) {
        return Ok(());
    }
    for list in ["clusters", "users", "contexts"] {
        if let Some(list) = all.get_mut(list).and_then(Value::as_array_mut) {
            list.retain(|one| one["name"] != *name);
        }
    }
    if all.get("current-context").is_some_and(|current| current == name) {
        all.insert("current-context".into(), json!(""));
    }
    write(file, &all)
}

fn read(path: &Path) -> Result<Map<String, Value>, ExportError> {
    let unreadable = |reason: String| ExportError::Unreadable { path: path.to_owned(), reason };
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Map::new()),
        other => other.map_err(|error| unreadable(error.to_string()))?,
    };
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_yaml::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

fn write(path: &Path, all: &Map<String, Value>) -> Result<(), ExportError> {
    let failed = |source| ExportError::Write { path: path.to_owned(), source };
    // A link is followed: what it leads to is the learner's file.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    let text = serde_yaml::to_string(all).expect("plain data with string keys");
    reader::write(&path, &text).map_err(|error| failed(std::io::Error::other(error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_comes_and_goes_and_the_others_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let (own, ours) = (directory.path().join("own"), directory.path().join("ours"));
        let config = |name: &str, server: &str| {
            format!(
                "clusters:\n- name: {name}\n  cluster: {{server: '{server}'}}\nusers:\n- name: {name}\n  user: \
                 {{}}\ncontexts:\n- name: {name}\n  context: {{cluster: {name}, user: {name}}}\ncurrent-context: \
                 {name}\n"
            )
        };
        std::fs::write(&own, config("work", "https://work")).expect("a file");
        std::fs::write(&ours, config("kind-a", "https://127.0.0.1:1")).expect("a file");
        for _ in 0..2 {
            assert_eq!(merge_into(&own, &ours).expect("written"), "kind-a");
        }
        let names = || {
            let all = read(&own).expect("a kubeconfig");
            let clusters = all["clusters"].as_array().expect("a list").clone();
            clusters.iter().map(|one| one["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(), ["work", "kind-a"]);
        take_out(&own, "kind-a", "https://another").expect("not ours");
        assert_eq!(names(), ["work", "kind-a"]);
        take_out(&own, "kind-a", "https://127.0.0.1:1").expect("ours");
        assert_eq!(names(), ["work"]);
        std::fs::write(&own, "[1, 2").expect("a file");
        assert!(merge_into(&own, &ours).is_err());
        assert_eq!(std::fs::read_to_string(&own).expect("a file"), "[1, 2");

        let one = Exported { file: own, context: "kind-a".into(), server: "https://127.0.0.1:1".into() };
        assert_eq!(exported(directory.path()), []);
        for _ in 0..2 {
            record(directory.path(), one.clone()).expect("written");
        }
        assert_eq!(exported(directory.path()), [one]);
    }
}
