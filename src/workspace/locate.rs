//! Which workspace a command means: the one it stands in, else the session's, else the last used.

use std::path::{Path, PathBuf};

use super::{TUTORIAL_DIRECTORY, Workspace, WorkspaceError, files, progress};

/// Remembers the last used workspace, in the directory that holds them.
const LAST_USED: &str = ".last";
/// Remembers the workspaces that lie elsewhere.
const ELSEWHERE: &str = ".elsewhere";

/// Where to look, in order.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// `--dir`.
    pub asked: Option<&'a Path>,
    pub current_directory: &'a Path,
    /// `TUTORIAL_DIR` of the session's environment.
    pub session: Option<&'a Path>,
    /// Where workspaces live.
    pub home: &'a Path,
}

/// The workspace that a command means.
pub fn locate(search: Search<'_>) -> Result<Workspace, WorkspaceError> {
    if let Some(asked) = search.asked {
        let path = search.current_directory.join(asked);
        let elsewhere = || begun_elsewhere(search.home, &path);
        return open(&path).or_else(elsewhere).ok_or(WorkspaceError::NotAWorkspace { path });
    }
    let around = search.current_directory.ancestors().find_map(open);
    let session = || search.session.and_then(open);
    let last = || last_used(search.home).as_deref().and_then(open);
    around.or_else(session).or_else(last).ok_or(WorkspaceError::NothingStarted)
}

/// Remembers a workspace as the last used; that this fails matters to nobody.
pub fn remember(home: &Path, workspace: &Workspace) {
    let text = format!("{}\n", workspace.root().display());
    if last_used(home).as_deref() != Some(workspace.root()) && std::fs::create_dir_all(home).is_ok() {
        let _ = files::write_atomically(&home.join(LAST_USED), text.as_bytes());
    }
    let root = workspace.root();
    if root.parent() != Some(home) && !elsewhere(home).iter().any(|known| known == root) {
        let all = elsewhere(home).into_iter().chain([root.to_owned()]);
        write_elsewhere(home, &all.collect::<Vec<_>>());
    }
}

/// Every workspace that is known: those in the directory that holds them, and those that lie elsewhere.
pub fn all(home: &Path) -> Vec<Workspace> {
    let here = std::fs::read_dir(home).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut roots: Vec<PathBuf> = here.chain(elsewhere(home)).collect();
    roots.sort();
    roots.iter().filter_map(|root| open(root)).collect()
}

fn elsewhere(home: &Path) -> Vec<PathBuf> {
    std::fs::read_to_string(home.join(ELSEWHERE)).unwrap_or_default().lines().map(PathBuf::from).collect()
}

fn write_elsewhere(home: &Path, roots: &[PathBuf]) {
    let file = home.join(ELSEWHERE);
    let text = roots.iter().fold(String::new(), |text, root| text + &format!("{}\n", root.display()));
    let _ = if text.is_empty() {
        std::fs::remove_file(&file)
    } else {
        std::fs::create_dir_all(home).map(|()| drop(files::write_atomically(&file, text.as_bytes())))
    };
}

/// A course that is looked for where it would be begun, and was begun elsewhere.
fn begun_elsewhere(home: &Path, path: &Path) -> Option<Workspace> {
    let course = path.file_name().filter(|_| path.parent() == Some(home))?.to_string_lossy().into_owned();
    let is_meant = |root: &PathBuf| progress::peek(root).is_some_and(|progress| progress.course == course);
    elsewhere(home).iter().find(|root| is_meant(root)).and_then(|root| open(root))
}

/// Forgets it again.
pub fn forget(home: &Path, workspace: &Workspace) {
    if last_used(home).as_deref() == Some(workspace.root()) {
        let _ = std::fs::remove_file(home.join(LAST_USED));
    }
    let before = elsewhere(home);
    let left: Vec<PathBuf> = before.iter().filter(|root| *root != workspace.root()).cloned().collect();
    if left.len() < before.len() {
        write_elsewhere(home, &left);
    }
}

fn last_used(home: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(home.join(LAST_USED)).ok()?;
    Some(PathBuf::from(text.trim_end_matches('\n')))
}

/// A directory is a workspace when progress (even a damaged one) lies in it.
fn open(root: &Path) -> Option<Workspace> {
    let directory = root.join(TUTORIAL_DIRECTORY);
    let known = progress::peek(root);
    let is_one = known.is_some() || directory.join("progress.json").exists() || directory.join("snapshots").is_dir();
    let repository = known.map_or_else(|| "demo-app".to_owned(), |progress| progress.repository);
    is_one.then(|| Workspace::new(root.to_owned(), &repository))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::progress::Progress;

    #[test]
    fn the_nearest_workspace_is_meant() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home dir");
        let make = |name: &str| {
            let workspace = Workspace::new(home.join(name), "app");
            workspace.create().unwrap();
            Progress::new(name, name, "app", "embedded", "one").save(&workspace).unwrap();
            workspace
        };
        let (first, second, third) = (make("first"), make("second"), make("third"));
        let elsewhere = directory.path();
        let find = |asked: Option<&Path>, current: &Path, session: Option<&Path>| {
            locate(Search { asked, current_directory: current, session, home: &home }).ok()
        };
        assert_eq!(find(None, elsewhere, None), None);
        remember(&home, &third);
        assert_eq!(find(None, elsewhere, None), Some(third.clone()));
        assert_eq!(find(None, elsewhere, Some(second.root())), Some(second.clone()));
        let inside = first.repository().join("a/b");
        assert_eq!(find(None, &inside, Some(second.root())), Some(first.clone()));
        assert_eq!(find(Some(third.root()), &inside, Some(second.root())), Some(third.clone()));
        assert_eq!(find(Some(Path::new("second")), &home, None), Some(second));
        assert_eq!(find(Some(Path::new("nowhere")), &home, None), None);
        forget(&home, &third);
        assert_eq!(find(None, elsewhere, None), None);
    }

    #[test]
    fn a_course_that_was_begun_elsewhere_is_known_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home dir");
        let workspace = Workspace::new(directory.path().join("far away"), "app");
        workspace.create().unwrap();
        Progress::new("far", "far", "app", "embedded", "one").save(&workspace).unwrap();
        remember(&home, &workspace);
        remember(&home, &workspace);
        let asked = home.join("far");
        let search = Search { asked: Some(&asked), current_directory: directory.path(), session: None, home: &home };
        assert_eq!(locate(search).unwrap(), workspace);
        assert_eq!(all(&home), std::slice::from_ref(&workspace));
        forget(&home, &workspace);
        assert!(locate(search).is_err());
        assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
    }
}
