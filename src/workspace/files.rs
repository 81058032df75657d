//! Files written so that nobody ever sees half of one, and never outside of where they belong.

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use super::WorkspaceError;

/// Replaces a file: a temporary one beside it, synced, renamed over it. Parent directories must exist.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<(), WorkspaceError> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".tutorial-").tempfile_in(directory)?;
        file.write_all(content)?;
        file.as_file().sync_data()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(WorkspaceError::write(path))
}

/// Writes a lesson's file inside `root`: parents made, the mode of a file that is replaced kept.
pub fn write_inside(root: &Path, path: &str, content: &[u8]) -> Result<(), WorkspaceError> {
    let target = resolve_inside(root, path)?;
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(WorkspaceError::write(parent))?;
    }
    let permissions = match std::fs::metadata(&target) {
        Ok(metadata) => metadata.permissions(),
        Err(_) => std::os::unix::fs::PermissionsExt::from_mode(0o644),
    };
    write_atomically(&target, content)?;
    std::fs::set_permissions(&target, permissions).map_err(WorkspaceError::write(&target))
}

/// The absolute path of `path` below `root`, which it must not leave: neither by `..` nor by a symlink.
pub fn resolve_inside(root: &Path, path: &str) -> Result<PathBuf, WorkspaceError> {
    let outside = || WorkspaceError::Outside { path: path.to_owned() };
    let mut relative = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => relative.push(name),
            Component::CurDir => {}
            _ => return Err(outside()),
        }
    }
    // Of git's own directory, hooks are the learner's to write; the rest is git's.
    if relative.as_os_str().is_empty() || (relative.starts_with(".git") && !is_hook(&relative)) {
        return Err(outside());
    }
    let root = root.canonicalize().map_err(WorkspaceError::read(root))?;
    let target = root.join(&relative);
    // The deepest part that exists decides: what is below it is made by us.
    let mut existing = target.as_path();
    while std::fs::symlink_metadata(existing).is_err() {
        existing = existing.parent().ok_or_else(outside)?;
    }
    match existing.canonicalize() {
        Ok(real) if real.starts_with(&root) => {}
        _ => return Err(outside()),
    }
    // A link that stays inside is written through, as an editor would.
    if existing == target { target.canonicalize().map_err(WorkspaceError::read(&target)) } else { Ok(target) }
}

fn is_hook(relative: &Path) -> bool {
    relative.parent() == Some(Path::new(".git/hooks"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("a repo");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(directory.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
        std::os::unix::fs::symlink("sub", root.join("inner")).unwrap();
        let check = |path: &str, expected: Option<&str>| {
            let found = resolve_inside(&root, path).ok();
            assert_eq!(found, expected.map(|path| root.canonicalize().unwrap().join(path)), "{path}");
        };
        check("a.txt", Some("a.txt"));
        check("./sub/b/c.txt", Some("sub/b/c.txt"));
        check("inner/d.txt", Some("inner/d.txt"));
        check(".git/hooks/post-commit", Some(".git/hooks/post-commit"));
        for escape in
            ["../secret", "sub/../../secret", "/etc/passwd", "up/secret", "link", "dangling", "", ".git/config"]
        {
            check(escape, None);
        }
    }

    #[test]
    fn a_replaced_file_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hook");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        write_inside(directory.path(), "hook", b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        write_inside(directory.path(), "fresh", b"new").unwrap();
        assert_eq!(directory.path().join("fresh").metadata().unwrap().permissions().mode() & 0o777, 0o644);
    }
}
