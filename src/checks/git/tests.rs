//! Real repositories, made by git in temporary directories.

use std::path::Path;
use std::process::Command;

use super::super::State;
use super::*;

/// A repository after a script.
fn repository(script: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), script);
    directory
}

fn run(directory: &Path, script: &str) {
    let script = format!("set -e\ncommit() {{ git add -A && git commit -q --allow-empty -m \"$1\"; }}\n{script}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.com")])
        .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.com")])
        .envs([("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z"), ("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

const TWO_COMMITS: &str = "git init -q -b main\necho v1 > page\ncommit 'Add the page'\necho v2 > page\ncommit 'Say v2'";

#[allow(clippy::unnecessary_wraps, reason = "the fields of a probe are optional")]
fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// Expects a verdict of a probe on a repository: `Ok(())`, or what was found and what is to be tried.
#[track_caller]
fn check(script: &str, probe: &GitProbe, expected: Result<&str, (&str, &str)>) {
    let directory = repository(script);
    let finding = observe(probe, directory.path(), false);
    let mask = |text: &str| {
        let commit = regex::Regex::new(r"\b[0-9a-f]{7}\b").unwrap();
        commit.replace_all(text, "#").into_owned()
    };
    let (actual, hint) = (mask(&finding.actual), mask(&finding.hint));
    match expected {
        Ok(words) => {
            assert_eq!((finding.state, actual.as_str()), (State::Passed, words), "{finding:#?}");
        }
        Err(words) => {
            assert_eq!((finding.state, (actual.as_str(), hint.as_str())), (State::Failed, words), "{finding:#?}");
        }
    }
}

#[test]
fn no_repository_and_no_commit() {
    let probe = GitProbe { branch: text("main"), commits_min: Some(1), ..GitProbe::default() };
    let add = "`git add .` and `git commit -m \"…\"` make the first commit";
    check("git init -q -b main", &probe, Err(("no commit yet on main", add)));
    check(
        "git init -q -b master",
        &probe,
        Err((
            "no commit yet, and the branch is called master",
            "`git branch -m main` renames it; then `git add .` and `git commit -m \"…\"` make the first commit",
        )),
    );
    check(
        "git init -q -b master; commit one",
        &probe,
        Err(("no branch main; there is master", "`git branch -m master main` renames it")),
    );
    check("git init -q -b main; commit one", &probe, Ok("1 commit, the last is # (one)"));
    let directory = tempfile::tempdir().unwrap();
    let finding = observe(&probe, directory.path(), false);
    assert_eq!(finding.state, State::Failed);
    assert!(finding.actual.ends_with("is not a git repository"), "{}", finding.actual);
    let finding = observe(&probe, &directory.path().join("gone"), false);
    assert!(finding.actual.ends_with("gone is not there"), "{}", finding.actual);
}

#[test]
fn a_repository_above_does_not_count() {
    let directory = repository(&format!("{TWO_COMMITS}\nmkdir inner"));
    let probe = GitProbe { commits_min: Some(1), ..GitProbe::default() };
    let lost = observe(&probe, &directory.path().join("inner"), true);
    assert_eq!(lost.hint, "`tutorial reset` brings it back");
    let finding = observe(&probe, &directory.path().join("inner"), false);
    assert_eq!((finding.state, finding.actual.as_str()), (State::Failed, "inner is not a git repository"));
}

#[test]
fn a_check_that_expects_nothing_is_broken() {
    let directory = repository(TWO_COMMITS);
    let finding = observe(&GitProbe { branch: text("main"), ..GitProbe::default() }, directory.path(), false);
    assert_eq!((finding.state, finding.actual.as_str()), (State::Broken, "the check expects nothing"));
    let probe = GitProbe { branch: text("main"), head: text("${good}"), ..GitProbe::default() };
    let finding = observe(&probe, directory.path(), false);
    assert_eq!((finding.state, finding.actual.as_str()), (State::Broken, "the variable in `${good}` is not set"));
}

#[test]
fn clean_or_not() {
    let clean = GitProbe { clean: Some(true), ..GitProbe::default() };
    let dirty = GitProbe { clean: Some(false), ..GitProbe::default() };
    let add = "`git add .` and `git commit -m \"…\"` take it in; `git checkout -- FILE` takes a change back";
    let add_or_remove = "`git add .` and `git commit -m \"…\"` take it in; `rm FILE` if it is not yours to keep";
    check(TWO_COMMITS, &clean, Ok("everything is committed"));
    check(
        &format!("{TWO_COMMITS}\necho x > new; mkdir d; echo y > d/e"),
        &clean,
        Err(("not added: d/e, new", add_or_remove)),
    );
    check(&format!("{TWO_COMMITS}\necho x > page"), &clean, Err(("changed: page", add)));
    check(
        &format!("{TWO_COMMITS}\necho x > page; echo x > new"),
        &clean,
        Err(("changed: page; not added: new", &format!("{add}, `rm FILE` removes a file that was not added"))),
    );
    check(&format!("{TWO_COMMITS}\necho x > page"), &dirty, Ok("changed: page"));
    check(&format!("{TWO_COMMITS}\nrm page"), &clean, Err(("deleted: page", add)));
    check(
        &format!("{TWO_COMMITS}\necho x > new; git add new"),
        &clean,
        Err(("staged, not committed: new", "`git commit -m \"…\"` commits what is staged")),
    );
    check(
        &format!("{TWO_COMMITS}\necho '*.log' > .gitignore; commit i; echo x > a.log"),
        &clean,
        Ok("everything is committed"),
    );
    check("git init -q -b main; echo x > new", &clean, Err(("not added: new", add_or_remove)));
    check(
        TWO_COMMITS,
        &dirty,
        Err((
            "everything is committed",
            "`git reset HEAD~1` takes back the last commit and keeps its changes in your folder",
        )),
    );
    // A file touched without a change, and one whose line ends git converts.
    check(&format!("{TWO_COMMITS}\nsleep 0.01; touch page"), &clean, Ok("everything is committed"));
    check(
        &format!("{TWO_COMMITS}\ngit config core.autocrlf true; rm page; git checkout -q page; touch page"),
        &clean,
        Ok("everything is committed"),
    );
    check(
        "git init -q -b main; echo '* text=auto eol=crlf' > .gitattributes; printf 'a\\r\\n' > a; commit a",
        &clean,
        Ok("everything is committed"),
    );
}

#[test]
fn the_commit_of_a_branch() {
    let probe = |revision: &str| GitProbe { branch: text("main"), head: text(revision), ..GitProbe::default() };
    check(TWO_COMMITS, &probe("main"), Ok("main at # (Say v2)"));
    check(
        &format!("{TWO_COMMITS}\ngit tag good"),
        &probe("HEAD~1"),
        Err((
            "main at # (Say v2), 1 commit too many",
            "on main, `git reset --hard #` goes back to it (`git status` first: it throws uncommitted changes away)",
        )),
    );
    check(
        &format!("{TWO_COMMITS}\ngit tag good\ngit reset -q --hard HEAD~1"),
        &probe("good"),
        Err((
            "main at # (Add the page), 1 commit before it: too far back",
            "on main, `git reset --hard #` goes forward again; `git reflog` lists where it was",
        )),
    );
    check(
        TWO_COMMITS,
        &probe("deadbeef"),
        Err((
            "no commit deadbeef in this repository; main is at # (Say v2)",
            "`git reflog` lists every commit that HEAD has been at",
        )),
    );
}

#[test]
fn branches() {
    let exists = |wanted: bool| GitProbe { branch: text("development"), exists: Some(wanted), ..GitProbe::default() };
    let make = "`git checkout -b development` makes it";
    check(TWO_COMMITS, &exists(true), Err(("no branch development; there is main", make)));
    check(TWO_COMMITS, &exists(false), Ok("there is none"));
    let with = format!("{TWO_COMMITS}\ngit branch development");
    check(&with, &exists(true), Ok("it is there"));
    check(
        &with,
        &exists(false),
        Err(("development is at # (Say v2)", "`git branch -d development` deletes it (from another branch)")),
    );
    check(
        &format!("{TWO_COMMITS}\ngit branch develpment"),
        &exists(true),
        Err(("no branch development; there is develpment, main", "`git branch -m develpment development` renames it")),
    );
    let current = GitProbe { branch: text("development"), current: Some(true), ..GitProbe::default() };
    check(&with, &current, Err(("main is checked out", "`git checkout development` goes there")));
    check(
        &format!("{with}\ngit checkout -q --detach"),
        &current,
        Err(("no branch is checked out (HEAD is detached at #)", "`git checkout development` goes there")),
    );
    // Packed refs, and a work tree of its own.
    check(
        &format!("{with}\ngit checkout -q development\ngit pack-refs --all\ngit gc -q"),
        &current,
        Ok("development is checked out"),
    );
}

#[test]
fn one_branch_ahead_of_another() {
    let probe = GitProbe { branch: text("development"), ahead_of: text("main"), ..GitProbe::default() };
    let branch = format!("{TWO_COMMITS}\ngit branch development");
    check(
        &branch,
        &probe,
        Err(("both are at # (Say v2)", "commit on development (`git checkout development` goes there)")),
    );
    check(&format!("{branch}\ngit checkout -q development\ncommit three"), &probe, Ok("ahead by 1 commit"));
    check(
        &format!("{branch}\ncommit three"),
        &probe,
        Err((
            "development is behind main by 1 commit",
            "was the commit made on main instead? On development, `git merge main` brings it up to date",
        )),
    );
    check(
        &format!("{branch}\ncommit three\ngit checkout -q development\ncommit four"),
        &probe,
        Err((
            "they have diverged: development has 1 and main has 1 of its own",
            "on development, `git merge main` takes the other side in",
        )),
    );
}

#[test]
fn what_a_commit_holds() {
    let holds = |path: &str| GitProbe { branch: text("main"), contains_file: vec![path.into()], ..GitProbe::default() };
    check(TWO_COMMITS, &holds("page"), Ok("page is in #"));
    check(
        &format!("{TWO_COMMITS}\nmkdir -p .helm/templates; echo x > .helm/templates/service.yml; commit chart"),
        &holds(".helm/templates/service.yaml"),
        Err((
            "there is no .helm/templates/service.yaml, but .helm/templates/service.yml",
            "`git mv .helm/templates/service.yml .helm/templates/service.yaml` and `git commit` give it its name",
        )),
    );
    check(
        &format!("{TWO_COMMITS}\necho x > werf.yaml"),
        &holds("werf.yaml"),
        Err((
            "werf.yaml is in your folder, but not in # (Say v2)",
            "`git add werf.yaml` and `git commit` take it in (`git status` says whether it is ignored)",
        )),
    );
    check(
        &format!("{TWO_COMMITS}\ngit checkout -q -b other; echo x > werf.yaml; commit w"),
        &holds("werf.yaml"),
        Err((
            "werf.yaml is committed on other, but not on main",
            "`git checkout main` and `git merge other` bring it over",
        )),
    );
    let matches = |pattern: &str| GitProbe {
        branch: text("main"),
        file_matches: [("page".to_owned(), pattern.to_owned())].into(),
        ..GitProbe::default()
    };
    check(TWO_COMMITS, &matches("^v2$|v2\n"), Ok("page in # does"));
    check(
        &format!("{TWO_COMMITS}\necho v3 > page"),
        &matches("v3"),
        Err((
            "the committed page does not; the one in your folder does",
            "`git add page` and `git commit -m \"…\"` commit it",
        )),
    );
    let elsewhere = "git checkout -q -b other; echo v3 > page";
    check(
        &format!("{TWO_COMMITS}\n{elsewhere}; commit v3"),
        &matches("v3"),
        Err((
            "page in # (Say v2) does not; the one on other does",
            "`git checkout main` and `git merge other` bring it over",
        )),
    );
    check(
        &format!("{TWO_COMMITS}\n{elsewhere}"),
        &matches("v3"),
        Err((
            "page in # (Say v2) does not; the one in your folder does",
            "you are on another branch: `git checkout main` first, then commit it",
        )),
    );
    let message = GitProbe { message_matches: text("^Say v3"), ..GitProbe::default() };
    check(
        TWO_COMMITS,
        &message,
        Err((
            "# (Say v2)",
            "`git log --oneline HEAD` lists the commits: is the last one the one that was asked for? Where only its \
             message is not, `git commit --amend` changes that",
        )),
    );
}

#[test]
fn a_pattern_is_said_in_words_where_it_is_plain_text() {
    fn check(pattern: &str, expected: &str) {
        let directory = repository(TWO_COMMITS);
        let probe = GitProbe {
            branch: text("main"),
            file_matches: [("page".to_owned(), pattern.to_owned())].into(),
            ..GitProbe::default()
        };
        assert_eq!(observe(&probe, directory.path(), true).expected, format!("page on main to {expected}"));
    }
    check(">v3<", "contain `>v3<`");
    check("index .Values.nodePort", "contain `index .Values.nodePort`");
    check("(?m)^  production: 3$", "have the line `  production: 3`");
    check("^Revert \"", "begin with `Revert \"`");
    check("(?m)^v3\\s+$", "match /(?m)^v3\\s+$/");
}

#[test]
fn tags() {
    let probe = GitProbe { branch: text("main"), tag: text("v1"), ..GitProbe::default() };
    check(TWO_COMMITS, &probe, Err(("no tag at all", "`git tag v1 main` makes it")));
    check(&format!("{TWO_COMMITS}\ngit tag v1"), &probe, Ok("it is at # (Say v2)"));
    check(&format!("{TWO_COMMITS}\ngit tag -a -m x v1"), &probe, Ok("it is at # (Say v2)"));
    check(
        &format!("{TWO_COMMITS}\ngit tag v1 HEAD~1"),
        &probe,
        Err(("the tag is at # (Add the page)", "`git tag -f v1 main` moves it")),
    );
}

#[test]
fn bare_clones_and_linked_work_trees() {
    let directory = repository(&format!(
        "mkdir one; cd one\n{TWO_COMMITS}\ncd ..; git clone -q --bare one bare.git; cd one; git worktree add -q ../linked -b other"
    ));
    let clean = GitProbe { branch: text("main"), commits_min: Some(2), clean: Some(true), ..GitProbe::default() };
    assert_eq!(observe(&clean, &directory.path().join("bare.git"), false).state, State::Passed);
    let linked = GitProbe { branch: text("other"), current: Some(true), clean: Some(true), ..GitProbe::default() };
    let finding = observe(&linked, &directory.path().join("linked"), false);
    assert_eq!(finding.state, State::Passed, "{finding:#?}");
}

#[test]
fn nothing_is_written() {
    let directory = repository(&format!("{TWO_COMMITS}\ntouch -d '2001-01-01' page"));
    let index = directory.path().join(".git/index");
    let before = std::fs::read(&index).unwrap();
    let clean = GitProbe { clean: Some(true), ..GitProbe::default() };
    assert_eq!(observe(&clean, directory.path(), false).state, State::Passed);
    assert_eq!(std::fs::read(&index).unwrap(), before);
}
