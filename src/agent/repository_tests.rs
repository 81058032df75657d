use std::process::Command;

use super::*;

/// A repository with the given committed files, in a directory of its own.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    git(directory.path(), &["init", "-q", "-b", "main"]);
    for (path, text) in files {
        write(directory.path(), path, text);
    }
    git(directory.path(), &["add", "-A"]);
    git(directory.path(), &["commit", "-qm", "First", "--allow-empty"]);
    directory
}

fn git(directory: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .args(["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "core.excludesFile="])
        .args(arguments)
        .current_dir(directory)
        .env("HOME", directory)
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .status()
        .expect("git runs");
    assert!(status.success(), "git {arguments:?}");
}

fn write(directory: &Path, path: &str, text: &str) {
    let path = directory.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

fn refusal(directory: &Path) -> String {
    let repository = Repository::open(directory, None, Reading::Commit).expect("opens");
    match repository.require_committed(|_| true) {
        Ok(()) => String::new(),
        Err(fault) => {
            fault.to_string().lines().collect::<Vec<_>>().join("\n").split("\n\nYou may").next().expect("a part").into()
        }
    }
}

#[test]
fn the_commit_is_what_is_read() {
    let directory = repository(&[("werf.yaml", "one"), (".helm/values.yaml", "two")]);
    write(directory.path(), "werf.yaml", "changed");
    let repository = Repository::open(directory.path(), None, Reading::Commit).expect("opens");
    assert_eq!(repository.paths().collect::<Vec<_>>(), [".helm/values.yaml", "werf.yaml"]);
    assert_eq!(repository.read_text("werf.yaml").expect("reads"), "one");
    assert_eq!(repository.commit.hash.len(), 40);
    let development = Repository::open(directory.path(), None, Reading::WorkTree).expect("opens");
    assert_eq!(development.read_text("werf.yaml").expect("reads"), "changed");
    assert!(development.require_committed(|_| true).is_ok());
}

#[test]
fn every_difference_is_refused_in_werfs_words() {
    type Change = fn(&Path);
    let scenes: [(&str, Change); 8] = [
        ("", |_| {}),
        ("the file \"a.txt\" must be committed", |at| write(at, "a.txt", "other")),
        ("the file \"a.txt\" must be committed", |at| {
            write(at, "a.txt", "other");
            git(at, &["add", "a.txt"]);
        }),
        ("the file \"a.txt\" must be committed", |at| std::fs::remove_file(at.join("a.txt")).expect("removes")),
        ("the untracked file \"new.txt\" must be committed", |at| write(at, "new.txt", "new")),
        ("the file \"new.txt\" must be committed", |at| {
            write(at, "new.txt", "new");
            git(at, &["add", "new.txt"]);
        }),
        ("the following untracked files must be committed:\n\n - d/1.txt\n - d/2.txt", |at| {
            write(at, "d/1.txt", "");
            write(at, "d/2.txt", "");
        }),
        ("", |at| write(at, "ignored.log", "")),
    ];
    for (number, (expected, change)) in scenes.into_iter().enumerate() {
        let directory = repository(&[("a.txt", "a"), (".gitignore", "*.log\n")]);
        change(directory.path());
        assert_eq!(refusal(directory.path()), expected, "scene {number}");
    }
}

#[test]
fn a_project_may_be_a_directory_of_the_work_tree() {
    let directory = repository(&[("app/werf.yaml", "one"), ("other/file", "two")]);
    write(directory.path(), "other/file", "changed");
    let project = directory.path().join("app");
    let repository = Repository::open(&project, None, Reading::Commit).expect("opens");
    assert_eq!(repository.paths().collect::<Vec<_>>(), ["werf.yaml"]);
    assert!(repository.require_committed(|_| true).is_ok());
}

#[test]
fn no_work_tree_and_no_commit_are_said() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let Err(fault) = Repository::open(directory.path(), None, Reading::Commit) else { panic!("opened nothing") };
    assert!(fault.to_string().contains("werf requires a git work tree for the project to exist"), "{fault}");
    git(directory.path(), &["init", "-q"]);
    let Err(fault) = Repository::open(directory.path(), None, Reading::Commit) else { panic!("opened nothing") };
    assert!(fault.to_string().contains("no commit yet"), "{fault}");
}
