//! What a security context forbids. Pure.

use serde_json::Value;

use super::super::images::Image;
use super::container::Live;
use super::program;

/// What a container's security context says, or else its pod's.
fn setting<'a>(container: &'a Value, pod: &'a Value, key: &str) -> Option<&'a Value> {
    let own = container.pointer(&format!("/securityContext/{key}"));
    own.or_else(|| pod.pointer(&format!("/spec/securityContext/{key}"))).filter(|value| !value.is_null())
}

/// Why the kubelet does not make the container: `runAsNonRoot` and an image that runs as root.
pub fn refusal(container: &Value, pod: &Value, image: &Image) -> Option<String> {
    if setting(container, pod, "runAsNonRoot") != Some(&Value::Bool(true)) {
        return None;
    }
    let text = |key: &str| pod["metadata"][key].as_str().unwrap_or_default();
    let place = format!(
        "(pod: \"{}_{}({})\", container: {})",
        text("name"),
        text("namespace"),
        text("uid"),
        container["name"].as_str().unwrap_or_default()
    );
    match setting(container, pod, "runAsUser").and_then(Value::as_i64) {
        Some(0) => return Some(format!("container's runAsUser breaks non-root policy {place}")),
        Some(_) => return None,
        None => {}
    }
    let user = image.user.split(':').next().unwrap_or_default();
    match user.parse::<u32>() {
        Ok(0) => Some(format!("container has runAsNonRoot and image will run as root {place}")),
        Ok(_) => None,
        Err(_) if user.is_empty() => Some(format!("container has runAsNonRoot and image will run as root {place}")),
        Err(_) => Some(format!(
            "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root {place}"
        )),
    }
}

/// What nginx cannot write at its start, in its own words: where the disk is read only, or where it is not root.
pub fn web_obstacle(container: &Value, pod: &Value, live: &Live) -> Option<String> {
    let is_unprivileged = live.base.starts_with(program::UNPRIVILEGED);
    let is_read_only = container.pointer("/securityContext/readOnlyRootFilesystem") == Some(&Value::Bool(true));
    let is_user = setting(container, pod, "runAsUser").and_then(Value::as_i64).is_some_and(|user| user != 0);
    let why = match (is_read_only, is_user && !is_unprivileged) {
        (true, _) => "30: Read-only file system",
        (false, true) => "13: Permission denied",
        (false, false) => return None,
    };
    let config = live.files.get("/etc/nginx/nginx.conf").map(|text| String::from_utf8_lossy(text).into_owned());
    let set = |directive: &str| {
        let config = config.as_deref().unwrap_or_default();
        let line = config.lines().map(str::trim).find(|line| line.split_whitespace().next() == Some(directive))?;
        line[directive.len()..].trim().strip_suffix(';').map(str::trim).map(str::to_owned)
    };
    let (cache, run) = if is_unprivileged { ("/tmp", "/tmp") } else { ("/var/cache/nginx", "/run") };
    let temporary = set("client_body_temp_path").unwrap_or_else(|| format!("{cache}/client_temp"));
    let process = set("pid").unwrap_or_else(|| format!("{run}/nginx.pid"));
    let writable = |path: &str| {
        let other = path.strip_prefix("/run/").map(|rest| format!("/var/run/{rest}"));
        is_writable(path, container, pod)
            || other.is_some_and(|other| is_writable(&other, container, pod))
            || (!is_read_only && path.starts_with("/tmp/"))
    };
    if !writable(&temporary) {
        return Some(format!("mkdir() \"{temporary}\" failed ({why})"));
    }
    (!writable(&process)).then(|| format!("open() \"{process}\" failed ({why})"))
}

/// Whether a path lies in a volume that the container can write to.
fn is_writable(path: &str, container: &Value, pod: &Value) -> bool {
    let items = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let volumes = items(&pod["spec"], "volumes");
    items(container, "volumeMounts").iter().any(|mount| {
        let root = mount["mountPath"].as_str().unwrap_or_default().trim_end_matches('/');
        let inside = path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
        let keeps = volume.is_some_and(|volume| {
            ["emptyDir", "hostPath", "ephemeral"].iter().any(|source| volume.get(source).is_some())
        });
        inside && keeps && mount["readOnly"] != true
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_may_not_be_root() {
        let check = |container: Value, pod: Value, user: &str, expected: Option<&str>| {
            let pod =
                json!({"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": {"securityContext": pod}});
            let container = json!({"name": "c", "securityContext": container});
            let why = refusal(&container, &pod, &Image { user: user.into(), ..Image::default() });
            let expected = expected.map(|text| format!("{text} (pod: \"p_d(u)\", container: c)"));
            assert_eq!(why, expected, "{container} {user}");
        };
        let root = Some("container has runAsNonRoot and image will run as root");
        check(json!({}), json!({}), "", None);
        check(json!({"runAsNonRoot": true}), json!({}), "", root);
        check(json!({}), json!({"runAsNonRoot": true}), "0:0", root);
        check(json!({"runAsNonRoot": false}), json!({"runAsNonRoot": true}), "", None);
        check(json!({"runAsNonRoot": true}), json!({"runAsUser": 101}), "", None);
        check(json!({"runAsNonRoot": true}), json!({}), "101:101", None);
        let zero = Some("container's runAsUser breaks non-root policy");
        check(json!({"runAsNonRoot": true, "runAsUser": 0}), json!({}), "101", zero);
        let named =
            Some("container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root");
        check(json!({"runAsNonRoot": true}), json!({}), "nginx", named);
    }
}
