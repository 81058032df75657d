//! Pod templates and containers.

use serde_json::Value;

use super::super::output::age;
use super::{Text, annotations, number, pairs, plain, text_of};

/// `Pod Template:` and all below it.
pub fn pod_template(text: &mut Text, template: &Value) {
    text.line(0, "Pod Template:");
    template_body(text, template);
}

/// A template without its title.
pub fn template_body(text: &mut Text, template: &Value) {
    text.labels(1, template);
    if !annotations(template).is_empty() {
        text.annotations(1, template);
    }
    let spec = &template["spec"];
    if let Some(account) = spec["serviceAccountName"].as_str() {
        text.field(1, "Service Account", account);
    }
    if spec["initContainers"].is_array() {
        containers(text, 1, "Init Containers", &spec["initContainers"], &Value::Null);
    }
    containers(text, 1, "Containers", &spec["containers"], &Value::Null);
    volumes(text, 1, &spec["volumes"]);
    text.values(1, "Node-Selectors", &pairs(&spec["nodeSelector"], "="));
    text.values(1, "Tolerations", &tolerations(spec));
}

pub fn tolerations(spec: &Value) -> Vec<String> {
    let tolerations = spec["tolerations"].as_array().into_iter().flatten();
    tolerations.map(toleration).collect()
}

fn toleration(toleration: &Value) -> String {
    let mut text = text_of(&toleration["key"]).to_owned();
    if let Some(value) = toleration["value"].as_str().filter(|value| !value.is_empty()) {
        text.push_str(&format!("={value}"));
    }
    if let Some(effect) = toleration["effect"].as_str().filter(|effect| !effect.is_empty()) {
        text.push_str(&format!(":{effect}"));
    }
    if toleration["operator"] == "Exists" && toleration["value"].as_str().unwrap_or_default().is_empty() {
        text.push_str(if text.is_empty() { "op=Exists" } else { " op=Exists" });
    }
    if let Some(seconds) = toleration["tolerationSeconds"].as_i64() {
        text.push_str(&format!(" for {seconds}s"));
    }
    text
}

/// Containers of a template, or of a pod where their states are given.
pub fn containers(text: &mut Text, level: usize, title: &str, containers: &Value, statuses: &Value) {
    text.line(level, &format!("{title}:"));
    for container in containers.as_array().into_iter().flatten() {
        let status = statuses.as_array().and_then(|all| all.iter().find(|status| status["name"] == container["name"]));
        // One blank deeper than a level of templates; a whole level of pods.
        let title_indentation = if level == 0 { "  ".to_owned() } else { " ".repeat(level * 2 + 1) };
        text.line(0, &format!("{title_indentation}{}:", text_of(&container["name"])));
        container_body(text, container, status);
    }
}

fn container_body(text: &mut Text, container: &Value, status: Option<&Value>) {
    if let Some(status) = status {
        text.field(2, "Container ID", text_of(&status["containerID"]));
    }
    text.field(2, "Image", text_of(&container["image"]));
    if let Some(status) = status {
        text.field(2, "Image ID", text_of(&status["imageID"]));
    }
    ports(text, container);
    for (label, field) in [("Command", "command"), ("Args", "args")] {
        let words: Vec<&str> = container[field].as_array().into_iter().flatten().map(text_of).collect();
        if !words.is_empty() {
            text.line(2, &format!("{label}:"));
            words.iter().flat_map(|word| word.lines()).for_each(|line| text.line(3, line));
        }
    }
    if let Some(status) = status {
        state(text, "State", &status["state"]);
        if status["lastState"].as_object().is_some_and(|state| !state.is_empty()) {
            state(text, "Last State", &status["lastState"]);
        }
        text.field(2, "Ready", if status["ready"] == true { "True" } else { "False" });
        text.field(2, "Restart Count", &number(&status["restartCount"]).to_string());
    }
    for (label, field) in [("Limits", "limits"), ("Requests", "requests")] {
        let resources = &container["resources"][field];
        if resources.as_object().is_some_and(|map| !map.is_empty()) {
            text.line(2, &format!("{label}:"));
            for (key, value) in resources.as_object().into_iter().flatten() {
                text.field(3, key, &plain(value));
            }
        }
    }
    for (label, field) in [("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")]
    {
        if container[field].is_object() {
            text.field(2, label, &probe(&container[field]));
        }
    }
    environment(text, container);
    mounts(text, container);
}

fn ports(text: &mut Text, container: &Value) {
    let ports = container["ports"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let list = |field: &str| {
        let shown = ports.iter().map(|port| {
            let label = port["name"].as_str().filter(|_| field == "containerPort").map(|name| format!(" ({name})"));
            format!(
                "{}/{}{}",
                number(&port[field]),
                port["protocol"].as_str().unwrap_or("TCP"),
                label.unwrap_or_default()
            )
        });
        let joined = shown.collect::<Vec<_>>().join(", ");
        if joined.is_empty() { "<none>".to_owned() } else { joined }
    };
    let plural = if ports.len() > 1 { "s" } else { "" };
    text.field(2, &format!("Port{plural}"), &list("containerPort"));
    text.field(2, &format!("Host Port{plural}"), &list("hostPort"));
}

fn state(text: &mut Text, label: &str, state: &Value) {
    let (running, waiting, ended) = (&state["running"], &state["waiting"], &state["terminated"]);
    if running.is_object() {
        text.field(2, label, "Running");
        text.field(3, "Started", &age::long(text_of(&running["startedAt"])));
    } else if ended.is_object() {
        text.field(2, label, "Terminated");
        reason(text, ended);
        text.field(3, "Exit Code", &plain(&ended["exitCode"]));
        if let Some(signal) = ended["signal"].as_i64().filter(|signal| *signal > 0) {
            text.field(3, "Signal", &signal.to_string());
        }
        text.field(3, "Started", &age::long(text_of(&ended["startedAt"])));
        text.field(3, "Finished", &age::long(text_of(&ended["finishedAt"])));
    } else {
        text.field(2, label, "Waiting");
        if waiting["reason"].as_str().is_some_and(|reason| !reason.is_empty()) {
            text.field(3, "Reason", text_of(&waiting["reason"]));
        }
    }
}

fn reason(text: &mut Text, state: &Value) {
    for (label, field) in [("Reason", "reason"), ("Message", "message")] {
        if let Some(value) = state[field].as_str().filter(|value| !value.is_empty()) {
            text.field(3, label, value.trim_end());
        }
    }
}

fn probe(probe: &Value) -> String {
    let timing = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        number(&probe["initialDelaySeconds"]),
        probe["timeoutSeconds"].as_u64().unwrap_or(1),
        probe["periodSeconds"].as_u64().unwrap_or(10),
        probe["successThreshold"].as_u64().unwrap_or(1),
        probe["failureThreshold"].as_u64().unwrap_or(3)
    );
    if probe["httpGet"].is_object() {
        let get = &probe["httpGet"];
        let scheme = get["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
        let path = text_of(&get["path"]);
        let slash = if path.starts_with('/') || path.is_empty() { "" } else { "/" };
        let (host, port) = (text_of(&get["host"]), plain(&get["port"]));
        return format!("http-get {scheme}://{host}:{port}{slash}{path} {timing}");
    }
    if probe["exec"].is_object() {
        let words: Vec<&str> = probe["exec"]["command"].as_array().into_iter().flatten().map(text_of).collect();
        return format!("exec [{}] {timing}", words.join(" "));
    }
    if probe["tcpSocket"].is_object() {
        let socket = &probe["tcpSocket"];
        return format!("tcp-socket {}:{} {timing}", text_of(&socket["host"]), plain(&socket["port"]));
    }
    format!("unknown {timing}")
}

fn environment(text: &mut Text, container: &Value) {
    let from = container["envFrom"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    if !from.is_empty() {
        text.line(2, "Environment Variables from:");
        for source in from {
            let (kind, reference) = if source["configMapRef"].is_object() {
                ("ConfigMap", &source["configMapRef"])
            } else {
                ("Secret", &source["secretRef"])
            };
            let optional = reference["optional"] == true;
            text.line(3, &format!("{}\t{kind}\tOptional: {optional}", text_of(&reference["name"])));
        }
    }
    let variables = container["env"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    if variables.is_empty() {
        text.field(2, "Environment", "<none>");
        return;
    }
    text.line(2, "Environment:");
    for variable in variables {
        let variable_name = text_of(&variable["name"]);
        let source = &variable["valueFrom"];
        if !source.is_object() {
            let mut lines = text_of(&variable["value"]).lines();
            text.field(3, variable_name, lines.next().unwrap_or_default());
            lines.for_each(|line| text.line(3, &format!("\t{line}")));
            continue;
        }
        let shown = if source["fieldRef"].is_object() {
            let field = &source["fieldRef"];
            format!(" ({}:{})", field["apiVersion"].as_str().unwrap_or("v1"), text_of(&field["fieldPath"]))
        } else {
            let (kind, key) = if source["configMapKeyRef"].is_object() {
                ("config map", &source["configMapKeyRef"])
            } else {
                ("secret", &source["secretKeyRef"])
            };
            let optional = key["optional"] == true;
            format!(
                "<set to the key '{}' in {kind} '{}'>\tOptional: {optional}",
                text_of(&key["key"]),
                text_of(&key["name"])
            )
        };
        text.field(3, variable_name, &shown);
    }
}

fn mounts(text: &mut Text, container: &Value) {
    let mut mounts: Vec<&Value> = container["volumeMounts"].as_array().into_iter().flatten().collect();
    if mounts.is_empty() {
        text.field(2, "Mounts", "<none>");
        return;
    }
    mounts.sort_by_key(|mount| text_of(&mount["mountPath"]));
    text.line(2, "Mounts:");
    for mount in mounts {
        let mode = if mount["readOnly"] == true { "ro" } else { "rw" };
        let path = mount["subPath"].as_str().filter(|path| !path.is_empty()).map(|path| format!(",path=\"{path}\""));
        text.line(
            3,
            &format!("{} from {} ({mode}{})", text_of(&mount["mountPath"]), name_of(mount), path.unwrap_or_default()),
        );
    }
}

fn name_of(value: &Value) -> &str {
    text_of(&value["name"])
}

/// Volumes with what they are made of.
pub fn volumes(text: &mut Text, level: usize, volumes: &Value) {
    let volumes = volumes.as_array().map_or(&[] as &[Value], Vec::as_slice);
    if volumes.is_empty() {
        text.field(level, "Volumes", "<none>");
        return;
    }
    text.line(level, "Volumes:");
    for volume in volumes {
        let indentation = if level == 0 { "  " } else { "   " };
        text.line(0, &format!("{indentation}{}:", name_of(volume)));
        volume_body(text, volume);
    }
}

fn volume_body(text: &mut Text, volume: &Value) {
    let optional = |value: &Value| if value["optional"] == true { "true" } else { "false" };
    if volume["configMap"].is_object() {
        text.field(2, "Type", "ConfigMap (a volume populated by a ConfigMap)");
        text.field(2, "Name", name_of(&volume["configMap"]));
        text.field(2, "Optional", optional(&volume["configMap"]));
    } else if volume["secret"].is_object() {
        text.field(2, "Type", "Secret (a volume populated by a Secret)");
        text.field(2, "SecretName", text_of(&volume["secret"]["secretName"]));
        text.field(2, "Optional", optional(&volume["secret"]));
    } else if volume["emptyDir"].is_object() {
        text.field(2, "Type", "EmptyDir (a temporary directory that shares a pod's lifetime)");
        text.field(2, "Medium", text_of(&volume["emptyDir"]["medium"]));
        let limit = volume["emptyDir"]["sizeLimit"].as_str().unwrap_or("<unset>");
        text.field(2, "SizeLimit", limit);
    } else if volume["hostPath"].is_object() {
        text.field(2, "Type", "HostPath (bare host directory volume)");
        text.field(2, "Path", text_of(&volume["hostPath"]["path"]));
        text.field(2, "HostPathType", text_of(&volume["hostPath"]["type"]));
    } else if volume["projected"].is_object() {
        projected(text, &volume["projected"]);
    } else if volume["persistentVolumeClaim"].is_object() {
        let claim = &volume["persistentVolumeClaim"];
        text.field(2, "Type", "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)");
        text.field(2, "ClaimName", text_of(&claim["claimName"]));
        text.field(2, "ReadOnly", if claim["readOnly"] == true { "true" } else { "false" });
    } else {
        let kind = volume.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).find(|key| *key != "name");
        text.field(2, "Type", kind.unwrap_or("<unknown>"));
    }
}

fn projected(text: &mut Text, volume: &Value) {
    text.field(2, "Type", "Projected (a volume that contains injected data from multiple sources)");
    for source in volume["sources"].as_array().into_iter().flatten() {
        if source["secret"].is_object() {
            text.field(2, "SecretName", name_of(&source["secret"]));
            text.field(2, "Optional", if source["secret"]["optional"] == true { "true" } else { "false" });
        } else if source["downwardAPI"].is_object() {
            text.field(2, "DownwardAPI", "true");
        } else if source["configMap"].is_object() {
            text.field(2, "ConfigMapName", name_of(&source["configMap"]));
            let optional = source["configMap"]["optional"].as_bool();
            text.field(
                2,
                "ConfigMapOptional",
                &optional.map_or_else(|| "<nil>".to_owned(), |optional| optional.to_string()),
            );
        } else if source["serviceAccountToken"].is_object() {
            text.field(2, "TokenExpirationSeconds", &plain(&source["serviceAccountToken"]["expirationSeconds"]));
        }
    }
}
