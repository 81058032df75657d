//! What Kubernetes' built-in admission adds to a Pod: the service account with its token volume, tolerations for a
//! node that fails, the priority.

use serde_json::{Value, json};

use super::metadata;

const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The account that a pod runs under.
pub(super) fn service_account(pod: &Value) -> &str {
    ["/spec/serviceAccountName", "/spec/serviceAccount"]
        .iter()
        .filter_map(|path| pod.pointer(path)?.as_str())
        .find(|name| !name.is_empty())
        .unwrap_or("default")
}

/// Why a pod is not let in: it asks for classes that are not there, or for what follows from a class.
pub(super) fn refusal(pod: &Value) -> Option<String> {
    let spec = pod.get("spec")?;
    let text = |key: &str| spec.get(key).and_then(Value::as_str).unwrap_or_default();
    let class = text("priorityClassName");
    if !class.is_empty() && !matches!(class, "system-node-critical" | "system-cluster-critical") {
        return Some(format!("no PriorityClass with name {class} was found"));
    }
    let computed = "priority admission controller computed";
    let priority = spec.get("priority").and_then(Value::as_i64).unwrap_or(0);
    if class.is_empty() && priority != 0 {
        return Some(format!(
            "the integer value of priority ({priority}) must not be provided in pod spec; {computed} 0 from the given PriorityClass name"
        ));
    }
    let preemption = text("preemptionPolicy");
    if !matches!(preemption, "" | "PreemptLowerPriority") {
        return Some(format!(
            "the string value of PreemptionPolicy ({preemption}) must not be provided in pod spec; {computed} PreemptLowerPriority from the given PriorityClass name"
        ));
    }
    let runtime = text("runtimeClassName");
    if !runtime.is_empty() {
        return Some(format!("pod rejected: RuntimeClass {runtime:?} not found"));
    }
    let overhead = spec.get("overhead").and_then(Value::as_object).is_some_and(|overhead| !overhead.is_empty());
    overhead.then(|| "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead".into())
}

/// What every pod tolerates for a while, which an update cannot take away.
pub(super) fn tolerations(pod: &mut Value) {
    add_tolerations(metadata::member_mut(pod, "spec").entry("tolerations").or_insert_with(|| json!([])));
}

/// Adds to a new pod.
pub(super) fn pod(pod: &mut Value, account: &str) {
    let spec = metadata::member_mut(pod, "spec");
    spec.insert("serviceAccountName".into(), account.into());
    spec.insert("serviceAccount".into(), account.into());
    spec.entry("priority").or_insert_with(|| 0.into());
    spec.entry("preemptionPolicy").or_insert_with(|| "PreemptLowerPriority".into());
    let mounts_token = spec.get("automountServiceAccountToken").and_then(Value::as_bool).unwrap_or(true);
    add_tolerations(spec.entry("tolerations").or_insert_with(|| json!([])));
    if mounts_token {
        mount_token(pod);
    }
}

fn add_tolerations(tolerations: &mut Value) {
    let Some(tolerations) = tolerations.as_array_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = tolerations.iter().any(|toleration| {
            let text = |member: &str| toleration.get(member).and_then(Value::as_str).unwrap_or_default();
            (text("key") == key || text("key").is_empty()) && matches!(text("effect"), "NoExecute" | "")
        });
        if !covered {
            tolerations
                .push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
}

fn mount_token(pod: &mut Value) {
    let name = format!("kube-api-access-{}", metadata::random_suffix());
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        let containers = pod.get_mut("spec").and_then(|spec| spec.get_mut(list)).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            let mounts = container.entry("volumeMounts").or_insert_with(|| json!([]));
            let Some(mounts) = mounts.as_array_mut() else { continue };
            if mounts.iter().any(|mount| mount.get("mountPath").and_then(Value::as_str) == Some(TOKEN_PATH)) {
                continue;
            }
            mounts.push(json!({"name": name, "readOnly": true, "mountPath": TOKEN_PATH}));
            mounted = true;
        }
    }
    if !mounted {
        return;
    }
    let volumes = metadata::member_mut(pod, "spec").entry("volumes").or_insert_with(|| json!([]));
    if let Some(volumes) = volumes.as_array_mut() {
        volumes.push(json!({"name": name, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
            ]}},
        ]}}));
    }
}
