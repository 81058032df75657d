//! The real Helm, 3 and 4, on the embedded cluster: with the agent's releases, and with the chart that `helm create`
//! makes. Where there is no Helm these say so and pass, unless `TUTORIAL_REQUIRE_HELM` is set.

use super::werf::Scene;

/// Helm 3 and Helm 4, as they are called on the machines that have both.
const PROGRAMS: [&str; 2] = ["helm3", "helm"];

/// What a run of Helm answered.
struct Answer {
    well: bool,
    /// stdout
    data: String,
    /// stderr
    conversation: String,
}

/// Runs Helm in a scene's project; `None`, said on stdout, where it is not installed.
fn helm(scene: &Scene, program: &str, words: &str) -> Option<Answer> {
    let Ok(output) = scene.command(program).args(words.split(' ')).output() else {
        assert!(std::env::var_os("TUTORIAL_REQUIRE_HELM").is_none(), "{program} is required and not there");
        println!("skipped: there is no {program}");
        return None;
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Answer { well: output.status.success(), data: text(&output.stdout), conversation: text(&output.stderr) })
}

/// The same, where it must go well.
fn helm_well(scene: &Scene, program: &str, words: &str) -> Option<String> {
    let Answer { well, data, conversation } = helm(scene, program, words)?;
    assert!(well, "{program} {words}\n{data}{conversation}");
    Some(data)
}

fn trimmed(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with("[rc ")).collect()
}

/// Two releases of the project to production, of two and of three replicas.
fn released() -> Scene {
    let scene = Scene::new();
    for replicas in ["production: 2", "production: 3"] {
        scene.write(".helm/values.yaml", &format!("replicas:\n  {replicas}\nnodePort:\n  production: 30080\n"));
        scene.commit("Replicas");
        let made = scene.werf("converge --env production");
        assert!(made.ends_with("[rc 0]\n"), "{made}");
    }
    scene
}

#[test]
fn helm_shows_what_the_agent_released_as_the_agent_does() {
    let scene = released();
    let release = "demo-app-production -n demo-app-production";
    for words in [
        "list -A".to_owned(),
        "list -n demo-app-production -q".to_owned(),
        format!("history {release}"),
        format!("status {release}"),
        format!("get all {release}"),
        format!("get values {release}"),
        format!("get values --all {release}"),
        format!("get values {release} --revision 1"),
        format!("get manifest {release}"),
        format!("get manifest {release} --revision 1"),
        format!("get hooks {release}"),
    ] {
        let shown = scene.werf(&format!("helm {words}"));
        let Some(real) = helm_well(&scene, "helm3", &words) else { return };
        assert_eq!(trimmed(&shown), trimmed(&real), "{words}");
    }
    for words in ["list -A -o json".to_owned(), format!("history {release} -o json")] {
        let shown = scene.werf(&format!("helm {words}"));
        let Some(real) = helm_well(&scene, "helm3", &words) else { return };
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text.split("[rc").next().unwrap()).unwrap();
        assert_eq!(read(&shown), read(&real), "{words}");
    }
    let missing = helm(&scene, "helm3", "get all nothing -n demo-app-production");
    let shown = scene.werf("helm get all nothing -n demo-app-production");
    assert!(missing.is_none_or(|answer| !answer.well && shown.contains(answer.conversation.trim())), "{shown}");
}

#[test]
fn helm_rolls_back_and_uninstalls_what_the_agent_released() {
    for program in PROGRAMS {
        let scene = released();
        let release = "demo-app-production -n demo-app-production";
        let Some(listed) = helm_well(&scene, program, "list -A") else { continue };
        assert!(listed.contains("deployed\tdemo-app-1.0.0"), "{program}: {listed}");
        for (words, expected) in [
            ("history", "superseded\tdemo-app-1.0.0"),
            ("status", "REVISION: 2"),
            ("get all", "replicas: 3"),
            ("get manifest", "kind: Deployment"),
            ("get values", "USER-SUPPLIED VALUES:\nnull"),
        ] {
            let shown = helm_well(&scene, program, &format!("{words} {release}")).unwrap_or_default();
            assert!(shown.contains(expected), "{program} {words}: {shown}");
        }
        let back = helm_well(&scene, program, &format!("rollback {release} 1 --wait")).unwrap_or_default();
        assert!(back.contains("Rollback was a success"), "{program}: {back}");
        let replicas = kubectl(&scene, "get deployment demo-app -n demo-app-production -o jsonpath={.status.replicas}");
        assert_eq!(replicas, "2", "{program}");
        let shown = scene.werf(&format!("helm history {release}"));
        assert!(shown.contains("Rollback to 1"), "{program}: {shown}");
        // The agent goes on from what Helm left.
        let again = scene.werf("converge --env production");
        assert!(again.contains("Succeeded release"), "{program}: {again}");
        let gone = helm_well(&scene, program, &format!("uninstall {release} --wait")).unwrap_or_default();
        assert!(gone.contains("uninstalled"), "{program}: {gone}");
        assert_eq!(trimmed(&scene.werf("helm list -A")).len(), 1, "{program}");
        assert_eq!(kubectl(&scene, "get deployments,services -n demo-app-production -o name"), "", "{program}");
    }
}

#[test]
fn helm_installs_upgrades_rolls_back_and_uninstalls_its_own_chart() {
    for program in PROGRAMS {
        let scene = Scene::new();
        let Some(_) = helm_well(&scene, program, "create shop") else { continue };
        let well = |words: &str| helm_well(&scene, program, words).unwrap_or_default();
        let history = || well("history shop -n shop -o json").parse::<serde_json::Value>().unwrap();
        let newest = || history().as_array().and_then(|all| all.last().cloned()).unwrap();
        let image = "get deployment shop -n shop -o jsonpath={.spec.template.spec.containers[0].image}";

        let installed = well("install shop ./shop -n shop --create-namespace --wait --timeout 60s");
        assert!(installed.contains("STATUS: deployed"), "{program}: {installed}");
        let ready = kubectl(&scene, "get deployment shop -n shop -o jsonpath={.status.readyReplicas}");
        assert_eq!(ready, "1", "{program}");
        assert_eq!(kubectl(&scene, "get serviceaccount shop -n shop -o name"), "serviceaccount/shop");

        well("upgrade shop ./shop -n shop --set replicaCount=2,image.tag=1.29-alpine --wait --timeout 60s");
        assert_eq!(kubectl(&scene, image), "nginx:1.29-alpine", "{program}");

        let words = "upgrade shop ./shop -n shop --set image.repository=localhost:1/nothing --wait --timeout 3s";
        let failed = helm(&scene, program, words).expect("there a moment ago");
        assert!(!failed.well && failed.conversation.contains("context deadline exceeded"), "{}", failed.conversation);
        assert_eq!(newest()["status"], "failed", "{program}");

        well("rollback shop 2 -n shop --wait --timeout 60s");
        assert_eq!((newest()["status"].clone(), newest()["revision"].clone()), ("deployed".into(), 4.into()));
        assert_eq!(kubectl(&scene, image), "nginx:1.29-alpine", "{program}");
        let shown = scene.werf("helm status shop -n shop");
        assert!(shown.contains("STATUS: deployed\nREVISION: 4\n"), "{program}: {shown}");

        well("uninstall shop -n shop --wait --timeout 60s");
        assert_eq!(kubectl(&scene, "get deployments,services,secrets -n shop -o name"), "", "{program}");
    }
}

/// What the built-in kubectl says.
fn kubectl(scene: &Scene, words: &str) -> String {
    let output = scene.kubectl().args(words.split(' ')).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "kubectl {words}: {}", text(&output.stderr));
    text(&output.stdout)
}
