//! What the embedded werf leaves in the cluster, and what it does that no recorded scene shows: the objects with their
//! managed fields and the release Secrets, charts, refusals, a lock that another one holds. The scenes themselves are in
//! `werf_scenes`.

use regex::Regex;
use serde_json::Value;

use super::werf::{Scene, told};

fn kubectl(scene: &Scene, words: &str) -> String {
    let said = told(scene.kubectl().args(words.split(' ')));
    assert!(said.ends_with("[rc 0]\n"), "kubectl {words}: {said}");
    said.trim_end_matches("[rc 0]\n").to_owned()
}

fn converge(scene: &Scene, environment: &str) {
    let said = scene.werf(&format!("converge --env {environment}"));
    assert!(said.ends_with("[rc 0]\n"), "{said}");
}

fn replaced(text: &str, pattern: &str, replacement: &str) -> String {
    Regex::new(pattern).unwrap().replace_all(text, replacement).into_owned()
}

#[test]
fn objects_and_secrets_are_as_recorded() {
    let scene = Scene::new();
    converge(&scene, "production");
    scene.replace(".helm/templates/deployment.yaml", "path: /,", "path: /nope,");
    scene.commit("Broken");
    let failed = scene.werf("converge --env production --timeout 20");
    assert!(failed.ends_with("[rc 1]\n"), "{failed}");
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
