//! The rules of volumes.

use serde_json::Value;

use super::super::super::status::Cause;
use super::super::{duplicate, forbidden, invalid, items, metadata, required, text, unsupported};
use super::container::{descending_path, no_back_steps};
use super::environment::resource_reference;
use super::named;

/// The sources in the order in which they are looked at: the second is one too many.
const SOURCES: &[&str] = &[
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "azureFile",
    "configMap",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
];
const HOST_PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
const DOWNWARD_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const MODE_RULE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// Checks the volumes and returns the names of those that may be mounted.
pub(super) fn validate<'a>(spec: &'a Value, path: &str, causes: &mut Vec<Cause>) -> Vec<&'a str> {
    let (mut names, mut sound) = (Vec::new(), Vec::new());
    for (index, volume) in items(spec, "volumes").iter().enumerate() {
        let field = format!("{path}.volumes[{index}]");
        let before = causes.len();
        sources(volume, &field, causes);
        let name = text(volume, "name");
        if name.is_empty() {
            causes.push(required(format!("{field}.name"), ""));
        } else {
            named(&format!("{field}.name"), &name.into(), &metadata::dns_label(name), causes);
        }
        if names.contains(&name) && !name.is_empty() {
            causes.push(duplicate(format!("{field}.name"), &name.into()));
        }
        names.push(name);
        if causes.len() == before {
            sound.push(name);
        }
    }
    sound
}

fn sources(volume: &Value, path: &str, causes: &mut Vec<Cause>) {
    let found = SOURCES.iter().filter_map(|key| Some((*key, volume.get(*key).filter(|source| source.is_object())?)));
    for (number, (key, source)) in found.enumerate() {
        let path = format!("{path}.{key}");
        if number > 0 {
            causes.push(forbidden(path, "may not specify more than 1 volume type"));
            continue;
        }
        match key {
            "emptyDir" => empty_dir(source, &path, causes),
            "hostPath" => host_path(source, &path, causes),
            "secret" => {
                needed(source, "secretName", &path, causes);
                files(source, &path, causes);
            }
            "configMap" => {
                needed(source, "name", &path, causes);
                files(source, &path, causes);
            }
            "downwardAPI" => downward(source, &path, causes),
            "persistentVolumeClaim" => needed(source, "claimName", &path, causes),
            "nfs" => network_file_system(source, &path, causes),
            "projected" => projected(source, &path, causes),
            "csi" => needed(source, "driver", &path, causes),
            "ephemeral" if source.get("volumeClaimTemplate").is_none_or(Value::is_null) => {
                causes.push(required(format!("{path}.volumeClaimTemplate"), ""));
            }
            _ => {}
        }
    }
}

fn needed(source: &Value, key: &str, path: &str, causes: &mut Vec<Cause>) {
    if text(source, key).is_empty() {
        causes.push(required(format!("{path}.{key}"), ""));
    }
}

fn empty_dir(source: &Value, path: &str, causes: &mut Vec<Cause>) {
    let negative = source.get("sizeLimit").and_then(super::quantity).is_some_and(|limit| limit < 0.0);
    if negative {
        causes.push(forbidden(format!("{path}.sizeLimit"), "SizeLimit field must be a valid resource quantity"));
    }
}

fn host_path(source: &Value, path: &str, causes: &mut Vec<Cause>) {
    let on_host = text(source, "path");
    if on_host.is_empty() {
        causes.push(required(format!("{path}.path"), ""));
        return;
    }
    causes.extend(no_back_steps(on_host, format!("{path}.path")));
    let kind = text(source, "type");
    if !HOST_PATH_TYPES.contains(&kind) {
        causes.push(unsupported(format!("{path}.type"), &kind.into(), HOST_PATH_TYPES));
    }
}

fn network_file_system(source: &Value, path: &str, causes: &mut Vec<Cause>) {
    needed(source, "server", path, causes);
    let exported = text(source, "path");
    if exported.is_empty() {
        causes.push(required(format!("{path}.path"), ""));
    } else if !exported.starts_with('/') {
        causes.push(invalid(format!("{path}.path"), &exported.into(), "must be an absolute path"));
    }
}

/// The mode and the items of a volume that holds a ConfigMap's or Secret's values.
fn files(source: &Value, path: &str, causes: &mut Vec<Cause>) {
    mode(source, "defaultMode", path, causes);
    for (index, item) in items(source, "items").iter().enumerate() {
        let path = format!("{path}.items[{index}]");
        needed(item, "key", &path, causes);
        let file = text(item, "path");
        if file.is_empty() {
            causes.push(required(format!("{path}.path"), ""));
        }
        causes.extend(local_path(file, format!("{path}.path")));
        mode(item, "mode", &path, causes);
    }
}

/// A path below a volume's root that does not begin with two dots, by which the kubelet's own folders begin.
fn local_path(path: &str, field: String) -> Vec<Cause> {
    let mut causes = descending_path(path, field.clone());
    if causes.is_empty() && path.starts_with("..") {
        causes.push(invalid(field, &path.into(), "must not start with '..'"));
    }
    causes
}

fn mode(source: &Value, key: &str, path: &str, causes: &mut Vec<Cause>) {
    if let Some(mode) = source.get(key).and_then(Value::as_i64)
        && !(0..=0o777).contains(&mode)
    {
        causes.push(invalid(format!("{path}.{key}"), &mode.into(), MODE_RULE));
    }
}

fn downward(source: &Value, path: &str, causes: &mut Vec<Cause>) {
    mode(source, "defaultMode", path, causes);
    for item in items(source, "items") {
        let file = text(item, "path");
        if file.is_empty() {
            causes.push(required(format!("{path}.path"), ""));
        }
        causes.extend(local_path(file, format!("{path}.path")));
        let object = |key: &str| item.get(key).filter(|reference| reference.is_object());
        match (object("fieldRef"), object("resourceFieldRef")) {
            (None, None) => causes.push(required(path, "one of fieldRef and resourceFieldRef is required")),
            (Some(_), Some(_)) => {
                causes.push(invalid(
                    path,
                    &"resource".into(),
                    "fieldRef and resourceFieldRef can not be specified simultaneously",
                ));
            }
            (Some(field), None) => downward_field(field, &format!("{path}.fieldRef"), causes),
            (None, Some(resource)) => {
                let path = format!("{path}.resourceFieldRef");
                needed(resource, "containerName", &path, causes);
                resource_reference(resource, &path, causes);
            }
        }
        mode(item, "mode", path, causes);
    }
}

fn downward_field(field: &Value, path: &str, causes: &mut Vec<Cause>) {
    let name = text(field, "fieldPath");
    let base = name.split_once('[').map_or(name, |(base, _)| base);
    if name.is_empty() {
        causes.push(required(format!("{path}.fieldPath"), ""));
    } else if !DOWNWARD_FIELDS.contains(&base) {
        causes.push(unsupported(format!("{path}.fieldPath"), &name.into(), DOWNWARD_FIELDS));
    }
}

fn projected(source: &Value, path: &str, causes: &mut Vec<Cause>) {
    mode(source, "defaultMode", path, causes);
    for (index, part) in items(source, "sources").iter().enumerate() {
        let here = format!("{path}.sources[{index}]");
        let kinds = ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"];
        let found = kinds.iter().filter_map(|key| Some((*key, part.get(*key).filter(|part| part.is_object())?)));
        for (number, (key, part)) in found.enumerate() {
            let here = format!("{here}.{key}");
            if number > 0 {
                causes.push(forbidden(here, "may not specify more than 1 volume type"));
                continue;
            }
            match key {
                "secret" | "configMap" => {
                    needed(part, "name", &here, causes);
                    files(part, &here, causes);
                }
                "downwardAPI" => downward(part, &here, causes),
                "serviceAccountToken" => token(part, &here, path, causes),
                _ => {}
            }
        }
    }
}

fn token(part: &Value, path: &str, volume: &str, causes: &mut Vec<Cause>) {
    let seconds = part.get("expirationSeconds").and_then(Value::as_i64).unwrap_or(3600);
    let field = format!("{path}.expirationSeconds");
    if seconds < 600 {
        causes.push(invalid(field.clone(), &seconds.into(), "may not specify a duration less than 10 minutes"));
    }
    if seconds > 1 << 32 {
        causes.push(invalid(field, &seconds.into(), "may not specify a duration larger than 2^32 seconds"));
    }
    if text(part, "path").is_empty() {
        causes.push(required(format!("{volume}.path"), ""));
    }
}
