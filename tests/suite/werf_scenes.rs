//! Replays the logs of the real werf, Helm and git (`tests/golden/werf`) with the embedded agent, block by block, and
//! compares all that is printed, line by line. What stays different is in `tests/golden/werf-differ.txt`, each line that
//! differs, with the reason.
//!
//! The logs were recorded one after another on one cluster, and are played so: revisions are what they were.

#[path = "werf_scenes/compare.rs"]
mod compare;
#[path = "werf_scenes/replay.rs"]
mod replay;

use std::os::unix::fs::PermissionsExt as _;

use super::requests::Known;
use super::werf::{Scene, told};
use replay::{Replay, kubectl};

/// Log 05 has no commands: its objects are compared in `werf_releases`.
const LOGS: [&str; 8] = [
    "01-first-converge",
    "02-uncommitted",
    "03-change-plan-render-production",
    "04-broken-release-and-reset",
    "06-drift-and-prune",
    "07-failed-releases",
    "08-errors-rollback-helm",
    "09-values-hooks-dismiss",
];

const DEPLOYMENT: &str = ".helm/templates/deployment.yaml";
const VALUES: &str = ".helm/values.yaml";
const TO_DEVELOPMENT: &str = "werf converge --env development";
const TO_PRODUCTION: &str = "werf converge --env production";
const HISTORY: &str = "helm3 history demo-app-production -n demo-app-production";

#[test]
fn every_log_is_played() {
    let directory = format!("{}/tests/golden/werf", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut logs: Vec<String> = files.filter_map(|file| Some(file.strip_suffix(".log")?.to_owned())).collect();
    logs.retain(|log| log != "05-objects");
    logs.sort();
    assert_eq!(logs, LOGS);
    let known = Known::read(replay::TABLE);
    let nobodys =
        known.numbers().find(|number| !LOGS.iter().any(|log| log.starts_with(&format!("{:02}", number / 100))));
    assert_eq!(nobodys, None, "{} is about logs that are played", replay::TABLE);
}

#[test]
fn releases_are_made_and_mended_as_recorded() {
    let mut replay = Replay::on(Scene::new());
    first_releases(&mut replay);
    uncommitted(&mut replay);
    change_and_production(&mut replay);
    broken(&mut replay);
    replay.finish();
}

#[test]
fn drift_and_failures_go_as_recorded() {
    let mut replay = Replay::on(released(3));
    drift(&mut replay);
    failures(&mut replay);
    replay.finish();
}

#[test]
fn errors_hooks_and_dismissal_go_as_recorded() {
    let scene = released(13);
    // The recorded fourteenth failed too, in 07 16.
    fail(&scene);
    let mut replay = Replay::on(scene);
    errors(&mut replay);
    hooks_and_dismissal(&mut replay);
    replay.finish();
}

/// A project as a later log finds it: at this revision in production, and at the third in development.
fn released(revision: u32) -> Scene {
    const SETTINGS: &str = ".helm/templates/settings.yaml";
    let scene = Scene::new();
    scene.replace(VALUES, "development: 1", "development: 3");
    scene.write("public/index.html", "<h1>Hello v2</h1>\n");
    for at in 1..=revision {
        // Only the first and the last concern pods or objects that the logs know.
        if at < revision {
            let settings =
                format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: revision}}\ndata: {{at: \"{at}\"}}\n");
            scene.write(SETTINGS, &settings);
        } else {
            std::fs::remove_file(scene.app().join(SETTINGS)).unwrap();
        }
        scene.commit("No settings");
        let environments: &[_] =
            if at < 3 || at == revision { &["development", "production"] } else { &["production"] };
        for environment in environments {
            let said = scene.werf(&format!("converge --env {environment}"));
            assert!(said.ends_with("[rc 0]\n"), "{said}");
        }
    }
    // It fails, and leaves a namespace.
    let said = scene.werf("converge");
    assert!(said.ends_with("[rc 1]\n"), "{said}");
    scene
}

/// One revision more in production, which fails and whose commit is taken back.
fn fail(scene: &Scene) {
    scene.replace(DEPLOYMENT, "replicas:", "replcas:");
    scene.commit("A mistake");
    let said = scene.werf("converge --env production");
    assert!(said.ends_with("[rc 1]\n"), "{said}");
    scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
}

fn first_releases(replay: &mut Replay) {
    replay.open("01-first-converge");
    replay.scene.werf("build");
    replay.command(TO_DEVELOPMENT);
    replay.leave_out_times();
}

fn uncommitted(replay: &mut Replay) {
    replay.open("02-uncommitted");
    let changes: [(&str, fn(&Scene)); 10] = [
        ("a", |scene| scene.write("public/index.html", "<h1>Hello</h1>")),
        ("b", |scene| scene.write("public/new.html", "new")),
        ("c", |scene| scene.replace(".helm/templates/service.yaml", "port: 80,", "port: 81,")),
        ("d", |scene| scene.write(".helm/templates/extra.yaml", "")),
        ("d2", |scene| {
            scene.write(".helm/templates/extra.yaml", "");
            scene.git(&["add", ".helm"]);
        }),
        ("e", |scene| scene.replace("Dockerfile", "1.29-alpine", "1.28-alpine")),
        ("f", |scene| scene.replace("werf.yaml", "web", "app")),
        ("g", |scene| scene.replace(VALUES, "production: 2", "production: 3")),
        ("h", |scene| std::fs::remove_file(scene.app().join(".helm/templates/service.yaml")).unwrap()),
        ("i", |scene| {
            scene.git(&["rm", "-q", "--cached", "werf.yaml"]);
            scene.git(&["commit", "-qm", "No werf.yaml"]);
        }),
    ];
    for (marker, change) in changes {
        replay.scene(marker);
        change(&replay.scene);
        replay.command(TO_DEVELOPMENT);
        match marker {
            "a" => replay.page("development"),
            "i" => replay.scene.git(&["reset", "-q", "HEAD~1"]),
            _ => {}
        }
        replay.scene.git(&["reset", "-q", "--hard"]);
        replay.scene.git(&["clean", "-fdq"]);
    }

    replay.scene("j");
    let (repository, aside) = (replay.scene.app().join(".git"), replay.scene.app().join("../aside"));
    std::fs::rename(&repository, &aside).unwrap();
    replay.command(TO_DEVELOPMENT);
    std::fs::rename(&aside, &repository).unwrap();

    replay.scene("k");
    replay.scene.write("public/index.html", "<h1>Hello dev</h1>\n");
    replay.command("werf converge --env development --dev");
    replay.page("development");
    replay.look(2, "git log --oneline of all branches", |scene| {
        told(scene.command("git").args(["log", "--oneline", "--all"])).replace("[rc 0]\n", "")
    });
    replay.scene.git(&["checkout", "-q", "."]);
}

fn change_and_production(replay: &mut Replay) {
    replay.open("03-change-plan-render-production");
    replay.scene("3");
    replay.scene.write("public/index.html", "<h1>Hello v2</h1>\n");
    replay.scene.commit("Second page");
    replay.command(TO_DEVELOPMENT);
    replay.page("development");
    replay.scene("3b");
    replay.command(TO_DEVELOPMENT);
    replay.scene("3c");
    replay.scene.commit("Nothing");
    replay.command(TO_DEVELOPMENT);
    replay.scene("4");
    replay.command("werf plan --env development");
    replay.command("werf plan --env development --exit-code");
    replay.scene("4b");
    replay.scene.replace(VALUES, "development: 1", "development: 3");
    replay.scene.commit("Three replicas");
    replay.command("werf plan --env development");
    replay.end_of("werf plan --env development --exit-code");
    replay.scene("5");
    replay.command("werf render --env development");
    replay.scene("5b");
    replay.command("werf lint --env development");
    replay.scene("6");
    replay.command(TO_PRODUCTION);
    replay.page("production");
    replay.view(
        2,
        "kubectl get deployments -A --no-headers -o custom-columns=N:.metadata.namespace,I:.spec.template.spec.containers[0].image",
    );
    replay.scene("7");
    replay.command("werf converge");
}

fn broken(replay: &mut Replay) {
    replay.open("04-broken-release-and-reset");
    replay.scene("8");
    replay.scene.replace(DEPLOYMENT, "path: /,", "path: /nope,");
    replay.scene.commit("Broken");
    replay.command("werf converge --env production --timeout 20");
    replay.page("production");
    let all = "kubectl get deployments,replicasets,pods -n demo-app-production";
    replay.view(11, all);
    replay.view(1, "kubectl get deployment demo-app -n demo-app-production -o jsonpath={.status}");
    replay.scene("8b");
    replay.command("helm3 list -A -a");
    replay.command(HISTORY);
    replay.scene("9");
    replay.scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    replay.command(TO_PRODUCTION);
    replay.view(10, all);
    replay.command(HISTORY);
}

fn drift(replay: &mut Replay) {
    replay.open("06-drift-and-prune");
    let plan = "werf plan --env production";
    let deployment = "kubectl get deployment demo-app -n demo-app-production";
    replay.scene("11");
    // Once a change has come through, what a converge meets does not depend on the machine.
    let rolled_out = "kubectl rollout status deployment demo-app -n demo-app-production";
    replay.change("kubectl scale deployment demo-app --replicas=5 -n demo-app-production");
    kubectl(&replay.scene, rolled_out);
    replay.command(plan);
    replay.command(TO_PRODUCTION);
    replay.view(2, deployment);
    replay.end_of(plan);
    replay.scene("11b");
    replay.change("kubectl label deployment demo-app extra=1 -n demo-app-production");
    replay.command(plan);
    replay.end_of(TO_PRODUCTION);
    replay.view(2, &format!("{deployment} --show-labels"));
    replay.scene("11b2");
    replay.change("kubectl set image deployment demo-app web=nginx:1.29-alpine -n demo-app-production");
    kubectl(&replay.scene, rolled_out);
    replay.command(plan);
    replay.command(TO_PRODUCTION);
    replay.view(2, &format!("{deployment} -o wide"));
    replay.scene("11c");
    replay.change("kubectl delete service demo-app -n demo-app-production");
    replay.command(plan);
    replay.command(TO_PRODUCTION);
    replay.page("production");
    replay.scene("11d");
    replay.change(
        r#"kubectl patch deployment demo-app -n demo-app-production -p {"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"X","value":"1"}]}]}}}}"#,
    );
    replay.command(plan);
    replay.command(TO_PRODUCTION);
    replay.view(1, &format!("{deployment} -o jsonpath={{.spec.template.spec.containers[0].env}}"));
    replay.scene("12");
    let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n";
    replay.scene.write(".helm/templates/settings.yaml", settings);
    replay.scene.commit("Settings");
    replay.command(TO_PRODUCTION);
    replay.scene.git(&["rm", "-q", ".helm/templates/settings.yaml"]);
    replay.scene.commit("No settings");
    replay.command(plan);
    replay.command(TO_PRODUCTION);
    replay.view(3, "kubectl get configmaps -n demo-app-production");
}

fn failures(replay: &mut Replay) {
    replay.open("07-failed-releases");
    let pods = "kubectl get pods -n demo-app-production";
    let image = "image: {{ .Values.werf.image.web }}";
    replay.scene("13");
    replay.scene.replace(DEPLOYMENT, "path: /,", "path: /nope,");
    replay.scene.commit("Broken");
    replay.command("werf converge --env production --auto-rollback");
    replay.command(HISTORY);
    replay.view(2, "kubectl get deployment demo-app -n demo-app-production");
    replay.scene("13b");
    // Pods start sooner here: errors of probes must not count before the four seconds are over.
    replay.scene.replace(DEPLOYMENT, "periodSeconds: 1", "periodSeconds: 2");
    replay.scene.commit("Broken, and probed less often");
    replay.command("werf converge --env production --timeout 4");
    replay.scene.git(&["reset", "-q", "--hard", "HEAD~2"]);
    replay.end_of(TO_PRODUCTION);
    replay.scene("14");
    replay.command("werf rollback --env production --revision 3");
    replay.command("werf rollback --env production --revision 77");
    replay.command(HISTORY);
    for (marker, change) in [
        // As unreachable for the node as the recorded one was; the embedded registry may itself be at 5001.
        ("15", "image: localhost:1/nothing:1".to_owned()),
        ("16", format!("{image}\n        command: [\"sh\", \"-c\", \"exit 1\"]")),
    ] {
        replay.scene(marker);
        replay.scene.replace(DEPLOYMENT, image, &change);
        replay.scene.commit("A mistake");
        replay.command(TO_PRODUCTION);
        replay.view(4, pods);
        replay.scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    }
}

fn errors(replay: &mut Replay) {
    replay.open("08-errors-rollback-helm");
    replay.end_of(TO_PRODUCTION);
    for (marker, path, old, new) in [
        ("17", DEPLOYMENT, "kind: Deployment", "kind Deployment"),
        ("17b", DEPLOYMENT, "name: {{ .Chart.Name }}\n", "name: {{ .Chart.Name | quotee }}\n"),
        ("17c", DEPLOYMENT, "replicas:", "replcas:"),
        ("17d", DEPLOYMENT, "containerPort: 80", "containerPort: 800000"),
        ("17e", VALUES, "production: 30080", "production: 30081"),
        ("17f", DEPLOYMENT, "{app: {{ .Chart.Name }}}", "{app: demo-app2}"),
        ("17g", "werf.yaml", "dockerfile: Dockerfile", "dockerfile: Dockerfile\nfoo: bar"),
        ("17h", "Dockerfile", "html\n", "html\nRUN false\n"),
        ("17i", "Dockerfile", "html\n", "html\nCOPY nothing /x\n"),
    ] {
        replay.scene(marker);
        replay.scene.replace(path, old, new);
        replay.scene.commit("A mistake");
        if marker == "17" {
            replay.command(TO_PRODUCTION);
            replay.command("werf lint --env production");
            replay.end_of("werf plan --env production");
        } else {
            replay.end_of(TO_PRODUCTION);
        }
        replay.scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    }
    replay.scene("18");
    replay.command("werf rollback --env production");
    replay.command(HISTORY);
    replay.scene("19");
    let release = "demo-app-production -n demo-app-production";
    replay.command("werf helm list -A");
    for words in ["history", "get values", "get all", "status"] {
        replay.command(&format!("werf helm {words} {release}"));
    }
    for words in ["rollback", "history", "get values"] {
        replay.command(&format!("helm3 {words} {release}"));
    }
    replay.command("helm list -A");
}

fn hooks_and_dismissal(replay: &mut Replay) {
    replay.open("09-values-hooks-dismiss");
    // Helm's last rollback failed. Where there is no Helm, something else does.
    let status = replay.scene.werf("helm status demo-app-production -n demo-app-production");
    if !status.contains("STATUS: failed") {
        fail(&replay.scene);
    }
    replay.end_of(TO_PRODUCTION);
    replay.scene("20");
    for words in ["get-autogenerated-values", "get-release", "get-namespace"] {
        replay.command(&format!("werf helm {words} --env production"));
    }
    replay.command("werf slugify -f helm-release Demo App_production");

    replay.scene("21");
    replay.scene.git(&["checkout", "-q", "-b", "development"]);
    hook(&replay.scene, "post-commit", "development");
    hook(&replay.scene, "post-merge", "production");
    replay.scene.write("public/index.html", "<h1>Hello v3</h1>\n");
    replay.command("git commit -qam Third page");
    replay.page("development");
    replay.page("production");
    replay.scene.git(&["checkout", "-q", "main"]);
    replay.command("git merge development");
    replay.page("development");
    replay.page("production");
    replay.scene("21b");
    replay.command("git reset --hard HEAD~1");
    replay.page("production");
    replay.end_of(TO_PRODUCTION);
    replay.page("production");

    replay.scene("22");
    replay.scene.git(&["checkout", "-q", "--detach"]);
    replay.end_of(TO_PRODUCTION);
    replay.scene.git(&["worktree", "add", "-q", "-b", "linked", "../linked"]);
    let linked = replay.scene.app().join("../linked").canonicalize().unwrap();
    std::fs::write(linked.join("public/index.html"), "<h1>Linked</h1>\n").unwrap();
    let said = told(replay.scene.command("git").args(["commit", "-qanm", "Linked"]).current_dir(&linked));
    assert!(said.ends_with("[rc 0]\n"), "{said}");
    let said = replay.scene.werf_in(&linked, "converge --env development");
    replay.end_of_what_was_said(TO_DEVELOPMENT, &said);

    replay.scene("23");
    replay.command("werf dismiss --env development");
    replay.namespaces(3);
    replay.view(9, "kubectl get pods,configmaps -n demo-app-development");
    replay.command("werf dismiss --env development");
    // A namespace is gone sooner here. This holds it while it is looked at.
    let held = "patch configmap kube-root-ca.crt -n demo-app-production --type=merge -p";
    kubectl(&replay.scene, &format!(r#"kubectl {held} {{"metadata":{{"finalizers":["example.org/held"]}}}}"#));
    replay.command("werf dismiss --env production --with-namespace");
    replay.namespaces(3);
    replay.command("helm3 list -A -a");
    replay.end_of(TO_PRODUCTION);
    replay.command("helm3 list -A -a");
}

/// A hook of git's that converges.
fn hook(scene: &Scene, name: &str, environment: &str) {
    let path = scene.app().join(".git/hooks").join(name);
    let program = scene.app().join("../bin/werf");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\nexec {} converge --env {environment}\n", program.display())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
