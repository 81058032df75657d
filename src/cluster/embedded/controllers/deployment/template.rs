//! Pod templates: which ReplicaSet is of which template, and the hash that tells them apart.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::object;

const LABEL: &str = "pod-template-hash";
/// Names in a row that are tried where others have them.
const NAMES_MAX: u64 = 16;

/// Whether two templates are the same but for the hash.
pub fn same(one: &Value, other: &Value) -> bool {
    let bare = |template: &Value| {
        let mut template = template.clone();
        if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            labels.remove(LABEL);
        }
        if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|_, value| !value.is_null());
        }
        template
    };
    one == other || bare(one) == bare(other)
}

/// The name of a new ReplicaSet, its hash, and the count of collisions that led to it; `is_taken` tells of names that
/// others have.
pub fn free_name(deployment: &Value, is_taken: impl Fn(&str) -> bool) -> Option<(String, String, u64)> {
    let collisions = deployment["status"]["collisionCount"].as_u64().unwrap_or(0);
    (collisions..collisions + NAMES_MAX)
        .map(|collision| (hash(&deployment["spec"]["template"], collision), collision))
        .map(|(hash, collision)| (format!("{}-{hash}", object::name(deployment)), hash, collision))
        .find(|(name, ..)| !is_taken(name))
}

/// Ten characters at most, of the alphabet of generated names: as Kubernetes prints its 32-bit hash.
fn hash(template: &Value, collisions: u64) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut digest = Sha256::new();
    digest.update(template.to_string());
    if collisions > 0 {
        digest.update(collisions.to_le_bytes());
    }
    let bytes = digest.finalize();
    let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    number.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

/// A ReplicaSet for the Deployment's template, without pods yet.
pub fn new_set(deployment: &Value, name: &str, hash: &str) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    object::map_mut(&mut template, &["metadata", "labels"]).insert(LABEL.into(), hash.into());
    let mut selector = deployment["spec"]["selector"].clone();
    object::map_mut(&mut selector, &["matchLabels"]).insert(LABEL.into(), hash.into());
    let mut set = json!({
        "metadata": {
            "name": name,
            "namespace": object::namespace(deployment),
            "labels": template["metadata"]["labels"],
            "annotations": {},
            "ownerReferences": [object::controller_reference(super::kind(), deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    });
    if let Some(seconds) = deployment["spec"].get("minReadySeconds").filter(|seconds| **seconds != json!(0)) {
        set["spec"]["minReadySeconds"] = seconds.clone();
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_looks_like_kubernetes_own() {
        let template = json!({"spec": {"containers": [{"name": "a"}]}});
        let first = hash(&template, 0);
        assert_eq!(first, hash(&template, 0));
        assert_ne!(first, hash(&template, 1));
        assert!((1..=10).contains(&first.len()));
        assert!(first.bytes().all(|letter| b"bcdfghjklmnpqrstvwxz2456789".contains(&letter)), "{first}");
    }

    #[test]
    fn the_hash_is_no_part_of_a_template() {
        let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": {}});
        let mut labelled = template.clone();
        labelled["metadata"]["labels"][LABEL] = "x".into();
        assert!(same(&template, &labelled));
        labelled["spec"] = json!({"paused": true});
        assert!(!same(&template, &labelled));
    }
}
