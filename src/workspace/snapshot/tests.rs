use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::restore::{plan, survey};
use super::*;

struct Fixture {
    _directory: tempfile::TempDir,
    workspace: Workspace,
    store: SnapshotStore,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::new(directory.path().join("with space"), "app");
        workspace.create().unwrap();
        let store = SnapshotStore::of(&workspace);
        Self { _directory: directory, workspace, store }
    }

    fn root(&self) -> PathBuf {
        self.workspace.repository()
    }

    fn sh(&self, script: &str) -> String {
        let output = Command::new("sh")
            .args(["-ec", script])
            .current_dir(self.root())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@b"), ("GIT_COMMITTER_NAME", "a")])
            .env("GIT_COMMITTER_EMAIL", "a@b")
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn capture(&self, name: &str) {
        capture(&self.store, &self.root(), name, Durability::Process).unwrap();
    }

    fn restore(&self, name: &str) {
        restore(&self.store, &self.root(), name).unwrap();
    }

    /// Everything but git's objects: kind, mode and content by path.
    fn state(&self) -> BTreeMap<String, String> {
        fn walk(root: &Path, directory: &Path, state: &mut BTreeMap<String, String>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let relative = path.strip_prefix(root).unwrap().to_owned();
                if relative.starts_with(".git/objects") {
                    continue;
                }
                let metadata = std::fs::symlink_metadata(&path).unwrap();
                let mode = metadata.permissions().mode() & 0o7777;
                let text = if metadata.is_dir() {
                    walk(root, &path, state);
                    format!("directory {mode:o}")
                } else if metadata.is_symlink() {
                    format!("link {}", std::fs::read_link(&path).unwrap().display())
                } else {
                    format!("file {mode:o} {:?}", String::from_utf8_lossy(&std::fs::read(&path).unwrap()))
                };
                state.insert(relative.display().to_string(), text);
            }
        }
        let mut state = BTreeMap::new();
        walk(&self.root(), &self.root(), &mut state);
        state
    }
}

fn assert_same(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>, case: &str) {
    let paths: std::collections::BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differing = paths.into_iter().filter(|path| found.get(*path) != expected.get(*path));
    let differing: Vec<String> = differing
        .map(|path| format!("{path}: expected {:?}, found {:?}", expected.get(path), found.get(path)))
        .collect();
    assert!(differing.is_empty(), "{case}:\n{}", differing.join("\n"));
}

/// States of a repository that a learner comes by, each as a script that leads to it from an empty directory.
const STATES: &[(&str, &str)] = &[
    ("not a repository", "echo a > a.txt; mkdir sub; echo b > sub/b"),
    ("empty", "true"),
    ("unborn branch", "git init -q -b main; echo a > a.txt; git add a.txt"),
    ("one commit", "git init -q -b main; echo a > a.txt; git add .; git commit -qm one; echo u > untracked"),
    (
        "branches, tags, reflog, packed",
        "git init -q -b main; for i in 1 2 3; do echo $i > a.txt; git add .; git commit -qm c$i; done
         git branch development HEAD~1; git tag v1 HEAD~2; git gc -q; git reset -q --hard HEAD~1; git stash list",
    ),
    (
        "merge in progress",
        "git init -q -b main; echo a > a; git add .; git commit -qm one; git checkout -q -b other; echo b > a
         git commit -qam two; git checkout -q main; echo c > a; git commit -qam three; git merge other || true",
    ),
    (
        "modes, links, ignored, dirty",
        "git init -q -b main; echo '*.log' > .gitignore; echo x > run.sh; chmod 755 run.sh; ln -s run.sh link
         ln -s /nowhere dangling; git add .; git commit -qm one; echo y >> run.sh; echo log > a.log
         mkdir -p 'dir with space/ünï'; echo z > 'dir with space/ünï/100%'; echo q > only; chmod 600 only
         mkdir closed; echo c > closed/file; chmod 555 closed",
    ),
    (
        "submodule",
        "git init -q -b main other; (cd other; echo s > s; git add .; git commit -qm sub); git init -q -b main
         git -c protocol.file.allow=always submodule -q add ./other module 2>/dev/null; git commit -qm one || true",
    ),
    (
        "detached, rebased",
        "git init -q -b main; for i in 1 2; do echo $i > a; git add .; git commit -qm c$i; done; git checkout -q HEAD~1",
    ),
];

#[test]
fn every_state_comes_back_from_every_other() {
    for (from, from_script) in STATES {
        let fixture = Fixture::new();
        fixture.sh(from_script);
        let expected = fixture.state();
        fixture.capture("start");
        for (to, to_script) in STATES {
            fixture.sh("chmod -R u+rwX .; rm -rf ..?* .[!.]* *");
            fixture.sh(to_script);
            fixture.restore("start");
            assert_same(&fixture.state(), &expected, &format!("{from} after {to}"));
            if fixture.root().join(".git").exists() {
                fixture.sh("git fsck --strict >/dev/null; git status --porcelain");
            }
        }
    }
}

#[test]
fn a_restore_killed_after_any_action_is_finished_by_the_next() {
    for (from, to) in [(4, 5), (5, 0), (0, 6), (6, 3)] {
        let mut killed_after = 0;
        loop {
            let fixture = Fixture::new();
            fixture.sh(STATES[from].1);
            let expected = fixture.state();
            fixture.capture("start");
            fixture.sh("chmod -R u+rwX .; rm -rf ..?* .[!.]* *");
            fixture.sh(STATES[to].1);
            let manifest = fixture.store.manifest("start").unwrap();
            let actions = plan(&manifest, &survey(&fixture.root(), &manifest).unwrap());
            let done = actions.iter().take(killed_after);
            done.for_each(|action| action.carry_out(&fixture.store, &fixture.root(), "start").unwrap());
            fixture.restore("start");
            assert_same(&fixture.state(), &expected, &format!("killed after {killed_after} actions"));
            if killed_after >= actions.len() {
                break;
            }
            // Every point near both ends, a sample between.
            killed_after += if killed_after < 12 || actions.len() - killed_after < 12 { 1 } else { 9 };
        }
    }
}

#[test]
fn the_directory_itself_and_what_is_the_same_stay() {
    use std::os::unix::fs::MetadataExt;
    let fixture = Fixture::new();
    fixture.sh("git init -q -b main; mkdir sub; echo a > sub/a; echo b > b; git add .; git commit -qm one");
    fixture.capture("start");
    let inode = |path: &str| fixture.root().join(path).metadata().unwrap().ino();
    let before = ["", "sub", "sub/a", ".git", ".git/HEAD"].map(inode);
    fixture.sh("echo changed > b; echo new > sub/new; git commit -qam two");
    fixture.restore("start");
    assert_eq!(["", "sub", "sub/a", ".git", ".git/HEAD"].map(inode), before);
    assert_eq!(fixture.sh("git log --oneline | wc -l; git status --porcelain").trim(), "1");
}

#[test]
fn commits_made_since_can_still_be_found() {
    let fixture = Fixture::new();
    fixture.sh("git init -q -b main; echo a > a; git add .; git commit -qm one");
    fixture.capture("start");
    fixture.sh("echo b > a; git commit -qam two");
    let commit = fixture.sh("git rev-parse HEAD");
    fixture.restore("start");
    assert_eq!(fixture.sh(&format!("git show -s --format=%s {commit}")).trim(), "two");
}

#[test]
fn locks_of_a_running_git_are_no_part_of_it() {
    let fixture = Fixture::new();
    fixture.sh("git init -q -b main; echo a > a; git add .; git commit -qm one; touch .git/index.lock .git/HEAD.lock");
    fixture.capture("start");
    assert_eq!(git_lock(&fixture.root()), Some(fixture.root().join(".git/index.lock")));
    fixture.sh("rm .git/index.lock .git/HEAD.lock");
    fixture.restore("start");
    assert_eq!(git_lock(&fixture.root()), None);
}

#[test]
fn a_damaged_snapshot_is_told() {
    let fixture = Fixture::new();
    fixture.sh("echo content > a");
    assert!(matches!(restore(&fixture.store, &fixture.root(), "absent"), Err(WorkspaceError::NoSnapshot { .. })));
    fixture.capture("start");
    std::fs::remove_dir_all(fixture.workspace.snapshots().join("contents")).unwrap();
    fixture.sh("echo other > a");
    let told = restore(&fixture.store, &fixture.root(), "start").unwrap_err();
    assert!(matches!(told, WorkspaceError::DamagedSnapshot { .. }), "{told}");
    assert_eq!(std::fs::read_to_string(fixture.root().join("a")).unwrap(), "other\n");
    std::fs::write(fixture.store.path("start").join(MANIFEST), "{").unwrap();
    assert!(matches!(restore(&fixture.store, &fixture.root(), "start"), Err(WorkspaceError::DamagedSnapshot { .. })));
}

#[test]
fn a_big_file_is_kept_and_stored_once() {
    let fixture = Fixture::new();
    fixture.sh("head -c 3000000 /dev/zero > big; cp big copy");
    fixture.capture("one");
    fixture.capture("two");
    let stored = std::fs::read_dir(fixture.workspace.snapshots().join("contents")).unwrap().count();
    assert_eq!(stored, 1);
    fixture.sh("echo small > big; rm copy");
    fixture.restore("two");
    assert_eq!(fixture.sh("wc -c < copy; cmp big copy").trim(), "3000000");
}

#[test]
fn keys_hold_any_name() {
    use std::os::unix::ffi::OsStrExt;
    fn check(name: &[u8]) {
        let path = Path::new(std::ffi::OsStr::from_bytes(name));
        assert_eq!(decode(&encode(path)), path);
    }
    check(b"plain/name");
    check(b"100%");
    check(b"%41");
    check("ünï".as_bytes());
    check("ünï/100%".as_bytes());
    check(b"/nowhere/at all");
    check(b"\xff\xfe/\x80");
}
