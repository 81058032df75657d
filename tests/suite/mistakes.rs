//! Learners who take a wrong turn in the built-in course: each check says what is different, and the way back. The way
//! back is followed as it is told, and leads to a step that passes.

use super::session::Home;

const COURSE: &str = "gitops-with-werf";
const REPOSITORY: &str = "demo-app";

/// Somebody who does something wrong at a step, and is told what, and follows what is told.
struct Slip {
    step: &'static str,
    deed: &'static str,
    /// What must be said, each.
    told: &'static [&'static str],
    /// What is typed then, in order. `told` alone is typed as a remedy prints it (`*` stands for the rest of it, which
    /// the remedy fills in); `told => typed` where the remedy leaves something to the learner; `=> typed` is what the
    /// learner corrects with an editor.
    way_back: &'static [&'static str],
}

/// Every slip must be told, and its way back must lead to a step that passes.
fn check(home: &Home, slips: &[Slip]) {
    for Slip { step, deed, told, way_back } in slips {
        home.tutorial(&["goto", step]).expect(0);
        home.sh(COURSE, REPOSITORY, deed).expect(0);
        let verdict = home.tutorial(&["verify", "--step", step, "--json"]).expect(1).json();
        let failed: Vec<[&str; 4]> = verdict["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["state"] != "passed")
            .map(|check| ["name", "expected", "actual", "hint"].map(|key| check[key].as_str().unwrap()))
            .collect();
        let text = failed.iter().map(|parts| parts.join("\n")).collect::<Vec<_>>().join("\n\n");
        for part in *told {
            assert!(text.contains(part), "{step}: `{part}` is not in\n{text}");
        }
        assert!(!text.contains("(?m)") && !text.contains("\\s"), "{step}: a regular expression is shown\n{text}");
        let remedies: Vec<&str> = failed.iter().flat_map(|[.., hint]| hint.split('`').skip(1).step_by(2)).collect();
        for entry in *way_back {
            let typed = typed(entry, &remedies).unwrap_or_else(|| panic!("{step}: `{entry}` is not told in\n{text}"));
            home.sh(COURSE, REPOSITORY, &typed).expect(0);
        }
        let end = home.tutorial(&["verify", "--step", step]);
        assert_eq!(end.code, 0, "{step}: the way back of\n{text}\n\nleads to\n{}", end.stdout);
    }
}

/// What is typed for an entry of a way back, if a remedy tells it.
fn typed(entry: &str, remedies: &[&str]) -> Option<String> {
    let (told, typed) = match entry.split_once("=>") {
        Some((told, typed)) => (told.trim(), Some(typed.trim())),
        None => (entry, None),
    };
    let is_told = |remedy: &&&str| match told.strip_suffix('*') {
        Some(start) => remedy.starts_with(start),
        None => **remedy == told,
    };
    match (told, typed) {
        ("", Some(typed)) => Some(typed.to_owned()),
        (_, typed) => remedies.iter().find(is_told).map(|remedy| typed.unwrap_or(remedy).to_owned()),
    }
}

fn learner() -> Home {
    let home = Home::new();
    home.tutorial(&["start", COURSE, "--yes"]).expect(0);
    home
}

/// The step's files as printed, then a slip of the keys in one of them.
macro_rules! written_with {
    ($slip:literal in $file:literal) => {
        concat!(
            "\"$TUTORIAL\" run </dev/null >/dev/null 2>&1 || true; ",
            "sed '",
            $slip,
            "' ",
            $file,
            " > slip; cat slip > ",
            $file,
            "; rm slip"
        )
    };
}
macro_rules! edit {
    ($change:literal in $file:literal) => {
        concat!("=> sed '", $change, "' ", $file, " > edited; cat edited > ", $file, "; rm edited")
    };
}

#[test]
#[ignore = "slow: .ci/run plays it"]
fn slips_in_the_repository() {
    check(
        &learner(),
        &[
            Slip {
                step: "first-commit",
                deed: "git init -q -b master; git add .; git commit -qm 'Add the demo app'",
                told: &["no branch main; there is master"],
                way_back: &["git branch -m master main"],
            },
            Slip {
                step: "first-commit",
                deed: "git init -q; git add Dockerfile; git commit -qm 'Add the demo app'",
                told: &[
                    "public/index.html is in your folder, but not in",
                    "`git add public/index.html public/style.css nginx/default.conf.template`",
                    "not added: .dockerignore",
                ],
                way_back: &["git add .", "git commit -m \"…\""],
            },
            Slip {
                step: "deployment-template",
                deed: written_with!("s/kind: Deployment/kind: Deploment/" in ".helm/templates/deployment.yaml"),
                told: &["the nearest is line 2: `kind: Deploment`", "look at line 2, letter by letter"],
                way_back: &[edit!("s/Deploment/Deployment/" in ".helm/templates/deployment.yaml")],
            },
            Slip {
                step: "deployment-template",
                deed: written_with!("s/replicas:/replcas:/" in ".helm/templates/deployment.yaml"),
                told: &["the nearest is line 8: `replcas: 1`", "look at line 8, letter by letter"],
                way_back: &[edit!("s/replcas/replicas/" in ".helm/templates/deployment.yaml")],
            },
            Slip {
                step: "service-template",
                deed: "\"$TUTORIAL\" run </dev/null >/dev/null 2>&1; cd .helm/templates; mv service.yaml service.yml",
                told: &["no such file, but there is .helm/templates/service.yml"],
                way_back: &["mv .helm/templates/service.yml .helm/templates/service.yaml"],
            },
            Slip {
                step: "service-template",
                deed: written_with!("s/30081/30080/" in ".helm/templates/service.yaml"),
                told: &[".helm/templates/service.yaml to contain `nodePort: 30081`", "`nodePort: 30080`"],
                way_back: &[edit!("s/30080/30081/" in ".helm/templates/service.yaml")],
            },
            Slip {
                step: "werf-yaml",
                deed: "git add .; git commit -qm 'Describe the deployment'",
                told: &["nothing can be rendered without werf.yaml"],
                way_back: &[
                    "tutorial run => \"$TUTORIAL\" run",
                    "git add .",
                    "git commit -m \"Describe the deployment\"",
                ],
            },
            Slip {
                step: "werf-yaml",
                deed: "cp \"$COURSE_DIR\"/sample-app/werf.yaml .; git checkout -q -b mine; git add .; git commit -qm x",
                told: &["werf.yaml is committed on mine, but not on main"],
                way_back: &["git checkout main", "git merge mine"],
            },
            Slip {
                step: "werf-yaml",
                deed: "cp \"$COURSE_DIR\"/sample-app/werf.yaml .; git add .; git commit -qm x; echo a > stray; echo b >> Dockerfile",
                told: &["changed: Dockerfile; not added: stray"],
                way_back: &["git checkout -- FILE => git checkout -- Dockerfile", "rm FILE => rm stray"],
            },
            Slip {
                step: "werf-yaml",
                deed: "cp \"$COURSE_DIR\"/sample-app/werf.yaml .; sed 's/werf.env }}/werf.env }/' .helm/templates/deployment.yaml > d; mv d .helm/templates/deployment.yaml; git add .; git commit -qm x",
                told: &["the chart can be rendered", "deployment.yaml:22"],
                way_back: &[
                    edit!("s/werf.env }/werf.env }}/" in ".helm/templates/deployment.yaml"),
                    "git add .",
                    "git commit -m \"Correct the chart\"",
                ],
            },
        ],
    );
}

#[test]
#[ignore = "slow: .ci/run plays it"]
fn slips_on_the_cluster() {
    check(
        &learner(),
        &[
            Slip {
                step: "first-converge",
                deed: "werf converge",
                told: &[
                    "no release demo-app-development in namespace demo-app-development",
                    "demo-app (in namespace demo-app)",
                    "a converge without `--env` made the other: `werf dismiss` first (it holds the port)",
                    "Deployment demo-app exists in demo-app instead",
                ],
                way_back: &["werf dismiss", "werf converge --env development"],
            },
            Slip {
                step: "first-converge",
                deed: "sed 's/targetPort/targtPort/' .helm/templates/service.yaml > s; mv s .helm/templates/service.yaml; git commit -qam x; werf converge --env development || true",
                told: &["revision 1 is failed", "say what is wrong"],
                way_back: &[
                    edit!("s/targtPort/targetPort/" in ".helm/templates/service.yaml"),
                    "=> git commit -qam 'Correct the port'",
                    "werf converge --env development",
                ],
            },
            Slip {
                step: "first-converge",
                deed: "sed 's/werf.env }}/werf.env }/' .helm/templates/deployment.yaml > d; mv d .helm/templates/deployment.yaml; git commit -qam x; werf converge --env development || true",
                told: &[
                    "no release demo-app-development",
                    "where that fails, its last lines say what to correct and commit",
                ],
                way_back: &[
                    edit!("s/werf.env }/werf.env }}/" in ".helm/templates/deployment.yaml"),
                    "=> git commit -qam 'Correct the brace'",
                    "werf converge --env development",
                ],
            },
            Slip {
                step: "uncommitted",
                deed: "sed 's/>v1</>v2</' public/index.html > p; mv p public/index.html; git commit -qam 'Say v2'",
                told: &["the change is not committed yet"],
                way_back: &["git reset HEAD~1"],
            },
            Slip {
                step: "uncommitted",
                deed: "sed 's/>v1</>v2</' public/index.html > p; mv p public/index.html; git commit -qam 'Say v2'; werf converge --env development; git reset -q HEAD~1",
                told: &["the page on the cluster still says v1"],
                way_back: &["git stash", "werf converge --env development", "git stash pop"],
            },
            Slip {
                step: "commit-change",
                deed: "git commit -qam 'Say v2'",
                told: &["the nearest is line", ">v1<"],
                way_back: &["werf converge --env development"],
            },
            Slip {
                step: "dismiss",
                deed: "kubectl delete deployment demo-app -n demo-app-development",
                told: &["the release is gone"],
                way_back: &["werf dismiss --env development"],
            },
            Slip {
                step: "values",
                deed: "cp -R \"$COURSE_DIR\"/sample-app/.helm/. .helm; sed '/^accent:/,$d' .helm/values.yaml > v; mv v .helm/values.yaml; git add .; git commit -qm Values",
                told: &["the chart can be rendered for both environments", "settings.yaml:7"],
                way_back: &[
                    "=> cp \"$COURSE_DIR\"/sample-app/.helm/values.yaml .helm",
                    "git add .",
                    "git commit -m \"Correct the values\"",
                ],
            },
            Slip {
                step: "values",
                deed: "cp -R \"$COURSE_DIR\"/sample-app/.helm/. .helm; git commit -qam Values",
                told: &["the commit lacks .helm/values.yaml and .helm/templates/settings.yaml"],
                way_back: &["git add .", "git commit -m \"Values for each environment\""],
            },
            Slip {
                step: "side-by-side",
                deed: "werf converge || true; werf converge || true",
                told: &["Without `--env` it cannot"],
                way_back: &["werf converge --env development", "werf converge --env production"],
            },
        ],
    );
}

#[test]
#[ignore = "slow: .ci/run plays it"]
fn slips_between_branches() {
    check(
        &learner(),
        &[
            Slip {
                step: "development-branch",
                deed: "git checkout -q -b develop",
                told: &["no branch development; there is develop"],
                way_back: &["git branch -m develop development"],
            },
            Slip {
                step: "development-branch",
                deed: "git checkout -q -b development; echo a > stray; echo '<!-- -->' >> public/index.html",
                told: &["changed: public/index.html; not added: stray"],
                way_back: &["git checkout -- FILE => git checkout -- public/index.html", "rm FILE => rm stray"],
            },
            Slip {
                step: "change-in-development",
                deed: "git checkout -q main; sed 's/>v2</>v3</' public/index.html > p; mv p public/index.html; git commit -qam 'Say v3'; werf converge --env development",
                told: &["does not; the one on main does", "1 commit too many"],
                way_back: &["git checkout development", "git merge main", "git branch -f main *"],
            },
            Slip {
                step: "change-in-development",
                deed: "sed 's/>v2</>v3</' public/index.html > p; mv p public/index.html; git commit -qam 'Say v3'; werf converge --env development; werf converge --env production",
                told: &["production still says v2"],
                way_back: &["git checkout main", "werf converge --env production", "git checkout development"],
            },
            Slip {
                step: "break",
                deed: "git checkout -q development; sed 's#/healthz#/ready#' .helm/templates/deployment.yaml > d; mv d .helm/templates/deployment.yaml; git commit -qam 'Probe /ready'; werf converge --env production || true",
                told: &["does not; the one on development does", "development is spared"],
                way_back: &["git checkout main", "git merge development", "git branch -f development *"],
            },
        ],
    );
}

#[test]
#[ignore = "slow: .ci/run plays it"]
fn slips_on_the_way_back() {
    check(
        &learner(),
        &[
            Slip {
                step: "reset",
                deed: "git reset -q --hard HEAD~2",
                told: &[
                    "1 commit before it: too far back",
                    "`--hard` puts the files back as well",
                    "is failed; pod demo-app-",
                    "Readiness probe failed: HTTP probe failed with statuscode: 404",
                ],
                way_back: &["git reset --hard *", "werf converge --env production"],
            },
            Slip {
                step: "revert",
                deed: "git commit -q --allow-empty -m 'Revert \"nothing\"'; werf converge --env production",
                told: &["it takes a change back", "what it changes: nothing"],
                way_back: &[
                    edit!("s/from git/from gti/" in "public/index.html"),
                    "git commit -am \"Greet nicely\"",
                    "git revert --no-edit HEAD",
                    "werf converge --env production",
                ],
            },
            Slip {
                step: "pod-to-commit",
                deed: "git tag image-from main; git tag in-production main",
                told: &["image-from is at", "the oldest made it"],
                way_back: &["git tag -f image-from *"],
            },
        ],
    );
}

#[test]
#[ignore = "slow: .ci/run plays it"]
fn slips_behind_gits_back() {
    check(
        &learner(),
        &[
            Slip {
                step: "drift",
                deed: "sed 's/production: 2$/production: 5/' .helm/values.yaml > v; mv v .helm/values.yaml; git commit -qam 'Five'; werf converge --env production",
                told: &["to have the line `  production: 2`", "`production: 5`"],
                way_back: &["git revert --no-edit HEAD", "werf converge --env production", "kubectl scale *"],
            },
            Slip {
                step: "repair",
                deed: "kubectl scale deployment demo-app -n demo-app-production --replicas=2; kubectl rollout status deployment demo-app -n demo-app-production",
                told: &["werf made the repair"],
                way_back: &["kubectl scale *", "werf converge --env production"],
            },
            Slip {
                step: "repair",
                deed: "true",
                told: &["werf plans: Update Deployment/demo-app", "the release is at revision"],
                way_back: &["werf converge --env production"],
            },
            Slip {
                step: "unnoticed",
                deed: "kubectl scale deployment demo-app -n demo-app-production --replicas=3",
                told: &["there is no label yet that it could plan a change for"],
                way_back: &["kubectl label *", "=> werf converge --env production"],
            },
            Slip {
                step: "prune",
                deed: "git commit -q --allow-empty -m 'Drop the notice'; werf converge --env production",
                told: &[
                    "there is no .helm/templates/notice.yaml, nor was there one on main",
                    "main never had it",
                    "there is no commit either that took it away",
                    "there is no such commit yet",
                ],
                way_back: &[
                    "tutorial run => \"$TUTORIAL\" run",
                    "git add .",
                    "git commit -m \"Add a notice\"",
                    "werf converge --env production",
                    "=> git rm -q .helm/templates/notice.yaml; git commit -qm 'Drop the notice'; werf converge --env production",
                ],
            },
            Slip {
                step: "prune",
                deed: "\"$TUTORIAL\" run; git add .; git commit -qm 'Add a notice'; werf converge --env production; git rm -q .helm/templates/notice.yaml; git commit -qm 'Drop the notice'",
                told: &["it is still in the namespace"],
                way_back: &["werf converge --env production"],
            },
            Slip {
                step: "prune",
                deed: "\"$TUTORIAL\" run; git add .; git commit -qm 'Add a notice'; werf converge --env production",
                told: &["(Add a notice), still has it", "it is still in the namespace"],
                way_back: &[
                    "git rm .helm/templates/notice.yaml",
                    "git commit -m \"Drop the notice\"",
                    "werf converge --env production",
                ],
            },
            Slip {
                step: "prune",
                deed: "\"$TUTORIAL\" run; git add .; git commit -qm 'Add a notice'; werf converge --env production; git rm -q .helm/templates/notice.yaml",
                told: &["git knows that the file is gone, no commit does"],
                way_back: &["git commit -m \"Drop the notice\"", "werf converge --env production"],
            },
            Slip {
                step: "prune",
                deed: "\"$TUTORIAL\" run; git add .; git commit -qm 'Add a notice'; git rm -q .helm/templates/notice.yaml; git commit -qm 'Drop the notice'; werf converge --env production",
                told: &["dropped it before a release held it"],
                way_back: &[
                    "git revert --no-edit *",
                    "werf converge --env production",
                    "git rm .helm/templates/notice.yaml",
                    "git commit -m \"Drop the notice\"",
                    "werf converge --env production",
                ],
            },
        ],
    );
}

#[test]
#[ignore = "slow: .ci/run plays it"]
fn slips_with_hooks() {
    check(
        &learner(),
        &[
            Slip {
                step: "post-commit",
                deed: "printf '#!/bin/sh\\nwerf converge --env development\\n' > .git/hooks/post-commit; chmod +x .git/hooks/post-commit; git checkout -q development; git merge -q main; sed 's/>v3</>v4</' public/index.html > p; mv p public/index.html; git commit -qam 'Say v4'; werf converge --env development",
                told: &["in a line before werf is called"],
                way_back: &[
                    "=> printf '#!/bin/sh\\nunset $(git rev-parse --local-env-vars)\\nwerf converge --env development\\n' > .git/hooks/post-commit",
                ],
            },
            Slip {
                step: "post-commit",
                deed: "\"$TUTORIAL\" solve --yes; chmod -x .git/hooks/post-commit; git checkout -q main; werf converge --env development; git checkout -q development",
                told: &["the hook is there and may be run", "The hook deploys the next commit"],
                way_back: &["chmod +x .git/hooks/post-commit", "git commit --allow-empty -m \"Deploy\""],
            },
            Slip {
                step: "post-commit",
                deed: "\"$TUTORIAL\" run; git checkout -q main; chmod +x .git/hooks/post-commit; git commit -qam 'Say v4'",
                told: &["(Say v4) is on main: so the hook deployed it to production", "bring it back"],
                way_back: &[
                    "git checkout development",
                    "git merge main",
                    "git branch -f main *",
                    "git commit --allow-empty -m \"Deploy\"",
                    "git checkout main",
                    "werf converge --env production",
                    "git checkout development",
                ],
            },
            Slip {
                step: "review",
                deed: "cp .git/hooks/post-commit .git/hooks/post-merge; git checkout -q main; git merge -q --ff-only development",
                told: &["the merge is a commit of its own"],
                way_back: &["git checkout main", "git reset --hard *", "git merge --no-ff *"],
            },
            Slip {
                step: "review",
                deed: "git checkout -q main; git merge -q --no-ff --no-edit development",
                told: &["If the merge came before the hook, nothing deployed it"],
                way_back: &[
                    "=> cp .git/hooks/post-commit .git/hooks/post-merge",
                    "chmod +x .git/hooks/post-merge",
                    "werf converge --env production",
                ],
            },
            Slip {
                step: "reset-hook",
                deed: "git reset -q --hard HEAD~2; git commit -q --amend -m 'Drop the notice'; werf converge --env production",
                told: &["main is back at the commit before the merge"],
                way_back: &["git reset --hard *", "werf converge --env production"],
            },
            Slip {
                step: "reset-hook",
                deed: "git reset -q --hard HEAD~2; werf converge --env production",
                told: &["1 commit before it: too far back"],
                way_back: &["git reset --hard *", "werf converge --env production"],
            },
            Slip {
                step: "clean-up",
                deed: "rm .git/hooks/post-*; werf dismiss --env development; werf dismiss --env production; echo a > notes.txt",
                told: &["not added: notes.txt"],
                way_back: &["rm FILE => rm notes.txt"],
            },
        ],
    );
}
