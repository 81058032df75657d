//! What a check must not change: the work tree, the index, the refs.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// The files of a repository with what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    files: BTreeMap<String, u64>,
}

impl Fingerprint {
    /// Reads the work tree, and of `.git` what says where branches are and what is staged.
    pub fn of(repository: &Path) -> Self {
        let mut files = BTreeMap::new();
        add(repository, "", &mut files);
        Self { files }
    }

    /// The files that differ.
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changed: Vec<String> = before.files.keys().chain(self.files.keys()).cloned().collect();
        changed.sort();
        changed.dedup();
        changed.retain(|path| before.files.get(path) != self.files.get(path));
        changed
    }
}

/// The parts of `.git` that tell the state of a repository.
const GIT_FILES: [&str; 4] = ["HEAD", "index", "packed-refs", "refs"];

fn add(root: &Path, inside: &str, files: &mut BTreeMap<String, u64>) {
    let Ok(entries) = std::fs::read_dir(root.join(inside)) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if inside == ".git" && !GIT_FILES.contains(&name.as_str()) {
            continue;
        }
        let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => add(root, &path, files),
            Ok(kind) => {
                let mut hasher = DefaultHasher::new();
                if kind.is_symlink() {
                    std::fs::read_link(entry.path()).ok().hash(&mut hasher);
                } else {
                    std::fs::read(entry.path()).ok().hash(&mut hasher);
                }
                files.insert(path, hasher.finish());
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("it can be made");
            std::fs::write(path, text).expect("it can be written");
        };
        write("a.txt", "a");
        write("sub/b.txt", "b");
        write(".git/refs/heads/main", "1");
        write(".git/objects/00", "x");
        let before = Fingerprint::of(root);
        write(".git/objects/01", "y");
        assert!(Fingerprint::of(root).changes_since(&before).is_empty());
        write("sub/b.txt", "c");
        write("new.txt", "n");
        write(".git/refs/heads/main", "2");
        std::fs::remove_file(root.join("a.txt")).expect("it can be removed");
        let changed = Fingerprint::of(root).changes_since(&before);
        assert_eq!(changed, [".git/refs/heads/main", "a.txt", "new.txt", "sub/b.txt"]);
    }
}
