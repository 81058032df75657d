//! Learners who take a wrong turn in the built-in course: each check says what is different, and the way back.

use super::session::Home;

const COURSE: &str = "gitops-with-werf";
const REPOSITORY: &str = "demo-app";

/// A learner at a step, who does something wrong; each part of the message must be told.
#[track_caller]
fn check(home: &Home, step: &str, deed: &str, parts: &[&str]) {
    home.tutorial(&["goto", step]).expect(0);
    home.sh(COURSE, REPOSITORY, deed).expect(0);
    let said = home.tutorial(&["verify", "--step", step]).expect(1);
    // However the lines are wrapped.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = words(&(said.stdout + &said.stderr));
    for part in parts {
        assert!(text.contains(part), "{step}: `{part}` is not in\n{text}");
    }
}

fn learner() -> Home {
    let home = Home::new();
    home.tutorial(&["start", COURSE, "--yes"]).expect(0);
    home
}

#[test]
fn slips_in_the_repository() {
    let home = learner();
    check(
        &home,
        "first-commit",
        "git init -q -b master; git add .; git commit -qm 'Add the demo app'",
        &["no branch main; there is master", "`git branch -m master main` renames it"],
    );
    check(
        &home,
        "deployment-template",
        "mkdir -p .helm/templates; printf 'apiVersion: apps/v1\\nkind: Deploment\\n' > .helm/templates/deployment.yaml",
        &["the nearest is line 2: `kind: Deploment`", "look at line 2, letter by letter"],
    );
    check(
        &home,
        "service-template",
        "printf 'kind: Service\\n' > .helm/templates/service.yml",
        &[
            "no such file, but there is .helm/templates/service.yml",
            "`mv .helm/templates/service.yml .helm/templates/service.yaml` gives it its name",
        ],
    );
    check(
        &home,
        "werf-yaml",
        "git checkout -q -b mine; printf 'project: demo-app\\nconfigVersion: 1\\n' > werf.yaml; git add .; git commit -qm x",
        &["werf.yaml is committed on mine, but not on main", "`git checkout main` and `git merge mine` bring it over"],
    );
    check(
        &home,
        "werf-yaml",
        "printf 'project: demo-app\\nconfigVersion: 1\\n' > werf.yaml; git add .; git commit -qm x; echo a > stray; echo b >> Dockerfile",
        &["changed: Dockerfile; not added: stray", "`git add .` and `git commit"],
    );
}

#[test]
fn slips_on_the_cluster() {
    let home = learner();
    check(
        &home,
        "first-converge",
        "werf converge",
        &[
            "no release demo-app-development in namespace demo-app-development",
            "demo-app (in namespace demo-app)",
            "a converge without `--env` made the other: `werf converge --env development`",
            "Deployment demo-app exists in demo-app instead",
        ],
    );
    check(
        &home,
        "commit-change",
        "git commit -qam 'Say v2'",
        &["the nearest is line", ">v1<", "is the change committed, and converged to this environment?"],
    );
}

#[test]
fn a_reset_too_far() {
    let home = learner();
    check(
        &home,
        "reset",
        "git reset -q --hard HEAD~2",
        &[
            "1 commit before it: too far back",
            "goes forward again; `git reflog` lists where it was",
            "is failed; pod demo-app-",
            "Readiness probe failed: HTTP probe failed with statuscode: 404",
        ],
    );
}
