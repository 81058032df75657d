//! More of werf's recorded scenes: drift, releases that fail, the objects with their managed fields and the release
//! Secrets, values, hooks; and the table of what differs from the real one.

use regex::Regex;
use serde_json::Value;

use super::werf::{Scene, normalised, recorded, similar_lines, told};

/// Scenes, or parts of one, that are not as recorded, each with the reason.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("08-errors-rollback-helm", "17h. ", "RUN is carried out by Docker alone: the agent refuses it by name"),
    (
        "08-errors-rollback-helm",
        "17i. ",
        "the agent has no BuildKit: its line names the file and the instruction, without BuildKit's log",
    ),
    (
        "07-failed-releases",
        "13b. ",
        "the embedded node's pods start a second sooner: a probe's first errors may be told",
    ),
    ("07-failed-releases", "15. ", "the embedded node goes to no registry but its own: an image there is not found"),
    (
        "07-failed-releases",
        "16. ",
        "what is ready at once is told in the first of many tables, here in the only one: the Service's line",
    ),
    (
        "09-values-hooks-dismiss",
        "21. ",
        "a commit hook fails as recorded; the error names no cache directory, and says what to do",
    ),
    ("03-change-plan-render-production", "7. ", "the error is the same, without the frame of the template that failed"),
];

#[test]
fn every_recorded_scene_is_played_or_told_of() {
    let played = [include_str!("werf.rs"), include_str!("werf_releases.rs"), include_str!("helm.rs")].concat();
    let directory = format!("{}/tests/golden/werf", env!("CARGO_MANIFEST_DIR"));
    let mut scenes = 0;
    for file in std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()) {
        let text = std::fs::read_to_string(&file).unwrap();
        let log = file.file_stem().unwrap().to_str().unwrap().to_owned();
        for title in text.lines().filter_map(|line| line.strip_prefix("### ")) {
            let marker = format!("{}. ", title.split('.').next().unwrap());
            let told = DIFFERENCES.iter().any(|(other, scene, _)| *other == log && *scene == marker);
            assert!(told || played.contains(&format!("\"{marker}\"")), "{log}: nobody plays {title}");
            scenes += 1;
        }
    }
    assert!(scenes >= 40, "{scenes}");
}

fn kubectl(scene: &Scene, words: &str) -> String {
    let said = told(scene.kubectl().args(words.split(' ')));
    assert!(said.ends_with("[rc 0]\n"), "kubectl {words}: {said}");
    said.trim_end_matches("[rc 0]\n").to_owned()
}

fn converge(scene: &Scene, environment: &str) {
    let said = scene.werf(&format!("converge --env {environment}"));
    assert!(said.ends_with("[rc 0]\n"), "{said}");
}

#[test]
fn drift_is_shown_and_mended() {
    const LOG: &str = "06-drift-and-prune";
    const NAMESPACE: &str = "-n demo-app-production";
    let scene = Scene::new();
    converge(&scene, "production");
    for (marker, change) in [
        ("11. ", "scale deployment demo-app --replicas=5"),
        ("11b. ", "label deployment demo-app extra=1"),
        ("11b2. ", "set image deployment demo-app web=nginx:1.29-alpine"),
        ("11c. ", "delete service demo-app"),
        (
            "11d. ",
            r#"patch deployment demo-app -p {"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"X","value":"1"}]}]}}}}"#,
        ),
    ] {
        kubectl(&scene, &format!("{change} {NAMESPACE}"));
        scene.play(LOG, marker, "plan --env production");
        if marker == "11b. " {
            // Recorded from its middle on.
            let said = scene.werf("converge --env production");
            let skipped = "Skipped release \"demo-app-production\" (namespace: \"demo-app-production\"): cluster resources already as desired\n";
            assert!(said.contains(skipped), "{said}");
        } else {
            scene.play(LOG, marker, "converge --env production");
        }
    }
    let shown = kubectl(&scene, &format!("get deployment demo-app {NAMESPACE} -o jsonpath={{.spec.replicas}}"));
    assert_eq!(shown, "2");
    let kept = kubectl(
        &scene,
        &format!("get deployment demo-app {NAMESPACE} -o jsonpath={{.spec.template.spec.containers[0].env}}"),
    );
    assert_eq!(kept, r#"[{"name":"X","value":"1"}]"#, "what werf does not manage stays");
}

#[test]
fn releases_fail_as_recorded() {
    const LOG: &str = "07-failed-releases";
    let scene = Scene::new();
    converge(&scene, "production");
    let deployment = ".helm/templates/deployment.yaml";
    let image = "image: {{ .Values.werf.image.web }}";
    for (marker, old, new) in [
        ("15. ", image, "image: localhost:5001/nothing:1".to_owned()),
        ("16. ", image, format!("{image}\n        command: [\"sh\", \"-c\", \"exit 1\"]")),
    ] {
        scene.replace(deployment, old, &new);
        scene.commit("A mistake");
        let said = scene.werf("converge --env production");
        let alike = |text: &str| {
            let mut text = unwrapped(text);
            for (pattern, replacement) in [
                ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
                ("demo-app-[0-9a-z]+-[0-9a-z]{5}", "POD"),
                (r#"(failed to resolve reference \\"\S+): .*"#, "$1"),
            ] {
                text = replaced(&text, pattern, replacement);
            }
            let mut lines = normalised(&text);
            lines.retain(|line| line != "│ Service/demo-app READY");
            lines
        };
        similar_lines(marker, &alike(&recorded(LOG, marker, "werf converge --env production")), &alike(&said));
        scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    }
}

fn replaced(text: &str, pattern: &str, replacement: &str) -> String {
    Regex::new(pattern).unwrap().replace_all(text, replacement).into_owned()
}

/// The text of tables' last columns without their line breaks.
fn unwrapped(text: &str) -> String {
    Regex::new(r"\n│ {30,}").unwrap().replace_all(text, "").into_owned()
}

#[test]
fn a_time_limit_ends_the_wait() {
    const LOG: &str = "07-failed-releases";
    // At the clock's own pace, because the limit is in seconds and the probe fails each second.
    let scene = Scene::at_pace(1.0);
    converge(&scene, "production");
    scene.replace(".helm/templates/deployment.yaml", "path: /,", "path: /nope,");
    scene.commit("Broken");
    let words = "converge --env production --timeout 4";
    let early = Regex::new(r"(Status:Running) +Errors:[12] .*").unwrap();
    let alike = |text: &str| {
        let lines = normalised(text);
        lines.iter().map(|line| early.replace(line, "$1").into_owned()).collect::<Vec<_>>()
    };
    let expected = recorded(LOG, "13b. ", &format!("werf {words}"));
    similar_lines("13b", &alike(&expected), &alike(&scene.werf(words)));
    let history = scene.werf("helm history demo-app-production -n demo-app-production");
    assert!(history.contains("2       \t") && history.contains("failed  \tdemo-app-1.0.0"), "{history}");
    for revision in ["3", "77"] {
        scene.play(LOG, "14. ", &format!("rollback --env production --revision {revision}"));
    }
}

#[test]
fn objects_and_secrets_are_as_recorded() {
    let scene = Scene::new();
    converge(&scene, "production");
    scene.replace(".helm/templates/deployment.yaml", "path: /,", "path: /nope,");
    scene.commit("Broken");
    let failed = scene.werf("converge --env production --timeout 20");
    assert!(failed.ends_with("[rc 1]\n"), "{failed}");
    let times = Regex::new(r"\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}").unwrap();
    let alike_tables = |text: &str| normalised(&times.replace_all(text, "TIME"));
    let words = "history demo-app-production -n demo-app-production";
    let expected = recorded("04-broken-release-and-reset", "8b. ", &format!("helm3 {words}"));
    similar_lines("8b", &alike_tables(&expected), &alike_tables(&scene.werf(&format!("helm {words}"))));
    scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    converge(&scene, "production");

    let marker = "10. ";
    let path = format!("{}/tests/golden/werf/05-objects.log", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split_once(&format!("### {marker}live objects\n")).unwrap().1;
    let (objects, rest) = text.split_once("apiVersion: v1\nkind: Namespace\n").unwrap();
    let (namespace, secrets) = rest.split_once("apiVersion: v1\nitems:\n").unwrap();
    let secrets = &secrets[..secrets.rfind("- apiVersion: v1\n").unwrap()];
    let read = |text: &str| -> Value { serde_yaml::from_str(text).unwrap() };
    let recorded_namespace = read(&format!("apiVersion: v1\nkind: Namespace\n{namespace}"));
    let recorded_secrets = read(&format!("items:\n{secrets}"));

    let shown = |words: &str| -> Value {
        serde_json::from_str(&kubectl(
            &scene,
            &format!("get {words} -n demo-app-production -o json --show-managed-fields"),
        ))
        .unwrap()
    };
    let deployment = shown("deployment demo-app");
    let service = shown("service demo-app");
    let recorded_objects = read(objects);
    alike(&recorded_objects["items"][0], &deployment);
    alike(&recorded_objects["items"][1], &service);
    // These were recorded without their managed fields.
    let shown = |words: &str| {
        let mut object = shown(words);
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
        object
    };
    alike(&recorded_namespace, &shown("namespace demo-app-production"));
    for (index, status) in ["superseded", "failed", "deployed"].iter().enumerate() {
        let secret = shown(&format!("secret sh.helm.release.v1.demo-app-production.v{}", index + 1));
        assert_eq!(secret["metadata"]["labels"]["status"], *status);
        if let Some(recorded) = recorded_secrets["items"].get(index) {
            alike(recorded, &secret);
        }
    }
    assert_eq!(shown("configmap werf-synchronization")["metadata"]["name"], "werf-synchronization");
}

/// Equal but for what is of the moment: versions, uids, times, addresses, tags and hashes.
fn alike(recorded: &Value, live: &Value) {
    fn without(value: &mut Value) {
        const OF_THE_MOMENT: [&str; 11] = [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "time",
            "lastTransitionTime",
            "lastUpdateTime",
            "clusterIP",
            "clusterIPs",
            "image",
            "release",
            "modifiedAt",
        ];
        match value {
            Value::Object(members) => {
                for (name, member) in members.iter_mut() {
                    if OF_THE_MOMENT.contains(&name.as_str()) && !member.is_object() {
                        *member = "of the moment".into();
                    } else if name == "message" {
                        *member = replaced(member.as_str().unwrap_or_default(), "demo-app-[0-9a-z]+", "SET").into();
                    } else {
                        without(member);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(without),
            _ => {}
        }
    }
    let (mut recorded, mut live) = (recorded.clone(), live.clone());
    without(&mut recorded);
    without(&mut live);
    let text = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    assert!(recorded == live, "--- recorded\n{}\n--- now\n{}", text(&recorded), text(&live));
}

#[test]
fn values_names_and_hooks() {
    const LOG: &str = "09-values-hooks-dismiss";
    let scene = Scene::new();
    converge(&scene, "development");
    converge(&scene, "production");
    let alike = |text: &str| {
        let mut text = text.to_owned();
        for (pattern, replacement) in [
            ("sha256:[0-9a-f]{64}", "SHA"),
            (r"human: .*", "human: TIME"),
            (r"unix: \d+", "unix: TIME"),
            (r"[0-9a-f]{7}\.\.[0-9a-f]{7}", "COMMITS"),
        ] {
            text = replaced(&text, pattern, replacement);
        }
        normalised(&text)
    };
    for words in [
        "helm get-autogenerated-values --env production",
        "helm get-release --env production",
        "helm get-namespace --env production",
        "slugify -f helm-release Demo App_production",
    ] {
        let marker = "20. ";
        similar_lines(words, &alike(&recorded(LOG, marker, &format!("werf {words}"))), &alike(&scene.werf(words)));
    }

    let program = scene.app().join("../bin/werf").display().to_string();
    let hook = |name: &str, environment: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = scene.app().join(".git/hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\nexec {program} converge --env {environment}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    scene.git(&["checkout", "-q", "-b", "development"]);
    hook("post-commit", "development");
    hook("post-merge", "production");
    scene.write("public/index.html", "<h1>Hello v3</h1>\n");
    let said = told(scene.command("git").args(["commit", "-qam", "Third page"]));
    assert!(said.contains("fatal: Unable to create '") && said.contains("Not a directory"), "{said}");
    assert!(said.contains("Unset git's variables before werf") && said.ends_with("[rc 0]\n"), "{said}");
    scene.git(&["checkout", "-q", "main"]);
    let said = told(scene.command("git").args(["merge", "development"]));
    similar_lines("a hook on merge", &alike(&recorded(LOG, "21. ", "git merge development")), &alike(&said));

    let back = told(scene.command("git").args(["reset", "--hard", "HEAD~1"]));
    assert!(back.contains("HEAD is now at "), "{back}");
    let tail = |text: &str| alike(text).into_iter().rev().take(6).collect::<Vec<_>>();
    let expected = recorded(LOG, "21b. ", "git reset --hard HEAD~1");
    assert!(expected.ends_with("[rc 0]\n"));
    let rest = golden_after(LOG, "21b. ");
    similar_lines("21b", &tail(&rest), &tail(&scene.werf("converge --env production")));

    scene.git(&["checkout", "-q", "--detach"]);
    let detached = scene.werf("converge --env production");
    let rest = golden_after(LOG, "22. ");
    let expected = rest.lines().next().unwrap();
    assert!(detached.contains(expected) && detached.ends_with("[rc 0]\n"), "{expected}\n{detached}");
    scene.git(&["worktree", "add", "-q", "-b", "linked", "../linked"]);
    let linked = scene.app().join("../linked").canonicalize().unwrap();
    std::fs::write(linked.join("public/index.html"), "<h1>Linked</h1>\n").unwrap();
    let commit = told(scene.command("git").args(["commit", "-qam", "Linked", "--no-verify"]).current_dir(&linked));
    assert!(commit.ends_with("[rc 0]\n"), "{commit}");
    let said = scene.werf_in(&linked, "converge --env development");
    assert!(said.ends_with("[rc 0]\n"), "{said}");
}

/// What a log has from a scene's title up to the first exit code.
fn golden_after(log: &str, marker: &str) -> String {
    let path = format!("{}/tests/golden/werf/{log}.log", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let scene = text.split_once(&format!("\n### {marker}")).unwrap().1;
    let scene = scene.split_once('\n').unwrap().1;
    let end = scene.split("\n### ").next().unwrap().rfind("[rc 0]\n").unwrap() + "[rc 0]\n".len();
    let first = scene[..end].find("\nSkipped").map_or(0, |at| at + 1);
    scene[first..end].to_owned()
}

#[test]
fn a_chart_is_deployed_as_the_real_tools_read_it() {
    let scene = Scene::new();
    let words = "yes on y n no off ~ null 0123 1_000 1e3 0x1f 2001-01-01 12:30:45 1.5 true";
    let data: String = words.split(' ').enumerate().map(|(at, word)| format!("  w{at}: \"{word}\"\n")).collect();
    let settings = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: words\ndata:\n{data}");
    scene.write(".helm/templates/words.yaml", &settings);
    scene.commit("Words");
    let rendered = scene.werf("render --env production");
    assert!(rendered.contains("w0: \"yes\"\n") && rendered.contains("w13: \"12:30:45\"\n"), "{rendered}");
    let said = scene.werf("converge --env production --add-label team=blue --add-annotation note=seen");
    assert!(said.ends_with("[rc 0]\n"), "{said}");
    let shown = kubectl(&scene, "get configmap words -n demo-app-production -o json");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    for (at, word) in words.split(' ').enumerate() {
        assert_eq!(shown["data"][format!("w{at}")], *word);
    }
    assert_eq!(shown["metadata"]["labels"]["team"], "blue");
    assert_eq!(shown["metadata"]["annotations"]["note"], "seen");

    let helm = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|directory| directory.join("helm3")).find(|program| program.is_file())
    });
    let again = scene.werf("rollback --env production --revision 1");
    assert!(again.ends_with("[rc 0]\n"), "{again}");
    if let Some(helm) = helm {
        let words = ["rollback", "demo-app-production", "1", "-n", "demo-app-production"];
        let said = told(scene.command(&helm.display().to_string()).args(words));
        assert!(said.ends_with("[rc 0]\n"), "{said}");
    }
}

#[test]
fn what_cannot_be_deployed_is_refused_by_name() {
    let scene = Scene::new();
    converge(&scene, "production");
    let twice = std::fs::read_to_string(scene.app().join(".helm/templates/service.yaml")).unwrap();
    for (path, text, expected) in [
        (".helm/values.schema.json", "{}", "a schema of values (values.schema.json)"),
        (".helm/crds/a.yaml", "kind: A\n", "custom resource definitions in crds/"),
        (".helm/templates/a.yaml", "{{ lookup \"v1\" \"Secret\" \"a\" \"b\" }}", "the template function `lookup`"),
        (".helm/templates/twice.yaml", &twice, "duplicated resources found: Service/demo-app"),
        ("werf-giterminism.yaml", "giterminismConfigVersion: 1\n", "does not support werf-giterminism.yaml"),
    ] {
        scene.write(path, text);
        scene.commit("A mistake");
        let said = scene.werf("converge --env production");
        assert!(said.contains(expected) && said.ends_with("[rc 1]\n"), "{path}: {said}");
        scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    }
    scene.write("public/index.html", "<h1>Not built</h1>\n");
    scene.commit("Not built");
    for option in ["--require-built-images", "-Z"] {
        let said = scene.werf(&format!("converge --env production {option}"));
        assert!(said.contains("stages required") && said.ends_with("[rc 1]\n"), "{said}");
    }
    scene.write("other.yaml", "project: other\nconfigVersion: 1\n");
    scene.commit("Another configuration");
    assert!(scene.werf("helm get-release --config other.yaml").starts_with("other\n"));
    assert!(scene.werf("helm").contains("werf helm history RELEASE"));
}

#[test]
fn a_release_under_way_is_waited_for() {
    use std::io::{BufRead as _, BufReader};

    let scene = Scene::new();
    converge(&scene, "production");
    let object = "configmap werf-synchronization -n demo-app-production";
    let shown: Value = serde_json::from_str(&kubectl(&scene, &format!("get {object} -o json"))).unwrap();
    assert_eq!(shown["metadata"].get("annotations"), None, "the lock is given back");
    let name = "release/demo-app-production";
    let digest = <sha2::Sha256 as sha2::Digest>::digest(name);
    let digest: String = digest.iter().take(28).map(|byte| format!("{byte:02x}")).collect();
    let record =
        serde_json::json!({"ExpireAtTimestamp": 9_999_999_999_u64, "LockHandle": {"UUID": "x", "LockName": name}});
    let patch = |value: Value| {
        let body = serde_json::json!({"metadata": {"annotations": {format!("lockgate.io/{digest}"): value}}});
        let words = ["patch", "configmap", "werf-synchronization", "-n", "demo-app-production", "--type=merge", "-p"];
        let said = told(scene.kubectl().args(words).arg(body.to_string()));
        assert!(said.ends_with("[rc 0]\n"), "{said}");
    };
    patch(record.to_string().into());
    let program = scene.app().join("../bin/werf").display().to_string();
    let mut command = scene.command(&program);
    let mut second =
        command.args(["converge", "--env", "production"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(second.stdout.take().unwrap()).lines().map(Result::unwrap);
    let waiting = format!("Waiting for locked {name:?}");
    assert!(lines.any(|line| line == waiting), "the second says what it waits for");
    patch(Value::Null);
    assert!(lines.any(|line| line.starts_with("Skipped release ")), "and goes on once it is free");
    assert!(second.wait().unwrap().success());
}
