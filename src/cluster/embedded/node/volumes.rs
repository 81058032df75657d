//! What a container finds on its disk: the image's files, and what is mounted over them.

use base64::Engine as _;
use bytes::Bytes;
use serde_json::Value;

use super::super::images::FileTree;
use super::super::registry::Registry;
use super::kind;

/// Why a pod's volumes cannot be set up yet: the kubelet's text for `FailedMount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub volume: String,
    pub why: String,
}

/// A volume's files by their path inside it; `None` for what holds nothing of its own, as `emptyDir`.
pub type VolumeFiles = Vec<(String, FileTree)>;

/// Resolves every volume of a pod.
///
/// # Errors
/// The first volume whose source is not there.
pub fn resolve(registry: &Registry, pod: &Value) -> Result<VolumeFiles, Missing> {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let mut volumes = Vec::new();
    for volume in pod.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten() {
        let name = volume["name"].as_str().unwrap_or_default().to_owned();
        let files =
            volume_files(registry, namespace, pod, volume).map_err(|why| Missing { volume: name.clone(), why })?;
        volumes.push((name, files));
    }
    Ok(volumes)
}

fn volume_files(registry: &Registry, namespace: &str, pod: &Value, volume: &Value) -> Result<FileTree, String> {
    if let Some(source) = volume.get("configMap") {
        return config_map(registry, namespace, source["name"].as_str().unwrap_or_default(), source);
    }
    if let Some(source) = volume.get("secret") {
        return secret(registry, namespace, source["secretName"].as_str().unwrap_or_default(), source);
    }
    if let Some(source) = volume.get("downwardAPI") {
        return Ok(downward(pod, source));
    }
    if let Some(source) = volume.get("hostPath") {
        host_path(source)?;
    }
    let mut files = FileTree::new();
    for source in volume.pointer("/projected/sources").and_then(Value::as_array).into_iter().flatten() {
        if let Some(source) = source.get("configMap") {
            files.extend(config_map(registry, namespace, source["name"].as_str().unwrap_or_default(), source)?);
        } else if let Some(source) = source.get("secret") {
            files.extend(secret(registry, namespace, source["name"].as_str().unwrap_or_default(), source)?);
        } else if let Some(source) = source.get("downwardAPI") {
            files.extend(downward(pod, source));
        } else if let Some(source) = source.get("serviceAccountToken") {
            let path = source["path"].as_str().unwrap_or("token").to_owned();
            files.insert(path, Bytes::from_static(b"no token: pods of the embedded sandbox do not call the API\n"));
        }
    }
    Ok(files)
}

/// The folders that a node has; it holds nothing else.
const HOST_FOLDERS: &[&str] = &[
    "",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/kubernetes",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/local",
    "/usr/share",
    "/var",
    "/var/lib",
    "/var/lib/kubelet",
    "/var/log",
    "/var/log/containers",
    "/var/log/pods",
    "/var/run",
    "/var/tmp",
];

/// Checks that what a `hostPath` volume names is what it says.
fn host_path(source: &Value) -> Result<(), String> {
    let path = source["path"].as_str().unwrap_or_default();
    let is_folder = HOST_FOLDERS.contains(&path.trim_end_matches('/'));
    let wanted = match source["type"].as_str().unwrap_or_default() {
        "Directory" if !is_folder => "a directory",
        "File" => "a file",
        "Socket" => "a socket file",
        "CharDevice" => "a character device",
        "BlockDevice" => "a block device",
        "FileOrCreate" if is_folder => "a file",
        _ => return Ok(()),
    };
    Err(format!("hostPath type check failed: {path} is not {wanted}"))
}

/// Picks the keys that `items` names, or all.
fn pick(data: FileTree, source: &Value, what: &str) -> Result<FileTree, String> {
    let Some(items) = source.get("items").and_then(Value::as_array).filter(|items| !items.is_empty()) else {
        return Ok(data);
    };
    let mut picked = FileTree::new();
    for item in items {
        let key = item["key"].as_str().unwrap_or_default();
        match data.get(key) {
            Some(content) => {
                picked.insert(item["path"].as_str().unwrap_or(key).to_owned(), content.clone());
            }
            None if source["optional"] == true => {}
            None => return Err(format!("{what} references non-existent config key: {key}")),
        }
    }
    Ok(picked)
}

fn config_map(registry: &Registry, namespace: &str, name: &str, source: &Value) -> Result<FileTree, String> {
    match registry.get(kind("ConfigMap"), namespace, name) {
        Some(entry) => pick(config_map_data(&entry.value()), source, "configmap"),
        None if source["optional"] == true => Ok(FileTree::new()),
        None => Err(format!("configmap \"{name}\" not found")),
    }
}

fn secret(registry: &Registry, namespace: &str, name: &str, source: &Value) -> Result<FileTree, String> {
    match registry.get(kind("Secret"), namespace, name) {
        Some(entry) => pick(decoded(&entry.value()["data"]), source, "secret"),
        None if source["optional"] == true => Ok(FileTree::new()),
        None => Err(format!("secret \"{name}\" not found")),
    }
}

/// The data of a ConfigMap, text and binary.
pub fn config_map_data(object: &Value) -> FileTree {
    let mut files = decoded(&object["binaryData"]);
    for (key, text) in object["data"].as_object().into_iter().flatten() {
        files.insert(key.clone(), text.as_str().unwrap_or_default().to_owned().into());
    }
    files
}

/// The data of a Secret.
pub fn decoded(data: &Value) -> FileTree {
    let decode = |text: &Value| {
        base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap_or_default()).unwrap_or_default()
    };
    data.as_object().into_iter().flatten().map(|(key, text)| (key.clone(), decode(text).into())).collect()
}

fn downward(pod: &Value, source: &Value) -> FileTree {
    let mut files = FileTree::new();
    for item in source.get("items").and_then(Value::as_array).into_iter().flatten() {
        let path = item["path"].as_str().unwrap_or_default().to_owned();
        let field = item.pointer("/fieldRef/fieldPath").and_then(Value::as_str).unwrap_or_default();
        files.insert(path, field_text(pod, field).unwrap_or_default().into());
    }
    files
}

/// A field of the pod, as the downward API names it.
pub fn field_text(pod: &Value, field: &str) -> Option<String> {
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    if let Some((map, key)) = field.strip_suffix("']").and_then(|field| field.split_once("['")) {
        let map = pod.pointer(&format!("/{}", map.replace('.', "/")))?;
        return Some(map.get(key)?.as_str()?.to_owned());
    }
    match field {
        "metadata.labels" | "metadata.annotations" => {
            let map = pod.pointer(&format!("/{}", field.replace('.', "/")))?.as_object()?;
            let lines: Vec<String> = map.iter().map(|(key, value)| format!("{key}={value}")).collect();
            Some(lines.join("\n"))
        }
        _ => text(&format!("/{}", field.replace('.', "/"))),
    }
}

/// Lays the container's mounts over the image's files.
pub fn lay_over(image: &FileTree, container: &Value, volumes: &VolumeFiles) -> FileTree {
    let mut files = image.clone();
    for mount in container.get("volumeMounts").and_then(Value::as_array).into_iter().flatten() {
        let path = mount["mountPath"].as_str().unwrap_or_default().trim_end_matches('/');
        let Some((_, volume)) = volumes.iter().find(|(name, _)| mount["name"] == name.as_str()) else { continue };
        let below = mount["subPath"].as_str().unwrap_or_default();
        if let Some(content) = volume.get(below).filter(|_| !below.is_empty()) {
            files.insert(path.to_owned(), content.clone());
            continue;
        }
        let hidden = format!("{path}/");
        files.retain(|file, _| !file.starts_with(&hidden));
        for (name, content) in volume {
            let inner = if below.is_empty() { Some(name.as_str()) } else { name.strip_prefix(&format!("{below}/")) };
            if let Some(inner) = inner {
                files.insert(format!("{path}/{inner}"), content.clone());
            }
        }
    }
    files
}

/// Whether a path lies in a volume that a container cannot write to.
pub fn is_read_only(path: &str, container: &Value, pod: &Value) -> bool {
    let items = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let volumes = items(&pod["spec"], "volumes");
    items(container, "volumeMounts").iter().any(|mount| {
        let root = mount["mountPath"].as_str().unwrap_or_default().trim_end_matches('/');
        let inside = path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
        let generated = volume.is_some_and(|volume| {
            ["configMap", "secret", "projected", "downwardAPI"].iter().any(|source| volume.get(source).is_some())
        });
        inside && (generated || mount["readOnly"] == true)
    })
}
