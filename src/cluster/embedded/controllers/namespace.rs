//! Namespaces: what each is given at its start, and its end, which takes all that is in it along.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::schema::Kind;
use super::change::Change;
use super::object::{self, list, whole_seconds};

const ROOT_CERTIFICATES: &str = "kube-root-ca.crt";
const ROOT_DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

pub fn kind() -> &'static Kind {
    object::kind("v1", "Namespace")
}

/// What is in a namespace that is being deleted.
#[derive(Debug)]
pub struct Content {
    pub kind: &'static Kind,
    pub object: Value,
}

/// What a living namespace lacks: its default service account and the cluster's root certificates.
pub fn provide(namespace: &str, has_account: bool, root: Option<&Value>, certificates: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    let config_map = object::kind("v1", "ConfigMap");
    match root {
        None => changes.push(Change::Create {
            kind: config_map,
            object: json!({
                "metadata": {
                    "name": ROOT_CERTIFICATES, "namespace": namespace,
                    "annotations": {"kubernetes.io/description": ROOT_DESCRIPTION},
                },
                "data": {"ca.crt": certificates},
            }),
        }),
        Some(root) if root["data"]["ca.crt"] != certificates => {
            let mut updated = root.clone();
            updated["data"] = json!({"ca.crt": certificates});
            changes.push(Change::update(config_map, updated));
        }
        Some(_) => {}
    }
    if !has_account {
        changes.push(Change::Create {
            kind: object::kind("v1", "ServiceAccount"),
            object: json!({"metadata": {"name": "default", "namespace": namespace}}),
        });
    }
    changes
}

/// The next step of a namespace's end: deletes what is in it, tells what remains, or lets it go.
pub fn terminate(namespace: &Value, content: &[Content], now: Timestamp) -> Vec<Change> {
    let mut changes: Vec<Change> = content
        .iter()
        .filter(|content| !object::is_deleting(&content.object))
        .map(|content| Change::delete(content.kind, &content.object))
        .collect();
    let remaining: Vec<&Content> = content.iter().filter(|content| waits(content)).collect();
    let mut updated = namespace.clone();
    updated["status"]["conditions"] = conditions(namespace, &remaining, now).into();
    let told = updated["status"] == namespace["status"];
    if !told && (changes.is_empty() || !remaining.is_empty()) {
        changes.push(Change::update_status(kind(), updated));
    }
    if content.is_empty() {
        let mut finalized = namespace.clone();
        let finalizers: Vec<&Value> =
            list(namespace, "/spec/finalizers").filter(|finalizer| **finalizer != "kubernetes").collect();
        finalized["spec"]["finalizers"] = json!(finalizers);
        changes.push(Change::Update { kind: kind(), object: finalized, subresource: "finalize" });
    }
    changes
}

/// Whether an object outlives its deletion: it has finalizers, or is a pod that a kubelet has to end.
fn waits(content: &Content) -> bool {
    let finalizers = list(&content.object, "/metadata/finalizers").next().is_some();
    finalizers || content.kind.name == "Pod" && !object::text(&content.object, "/spec/nodeName").is_empty()
}

fn conditions(namespace: &Value, remaining: &[&Content], now: Timestamp) -> Vec<Value> {
    let (content_remains, finalizers_remain) = (remaining_content(remaining), remaining_finalizers(remaining));
    let told = |message: Option<String>, some: &'static str, none: (&'static str, &'static str)| match message {
        Some(message) => ("True", some, message),
        None => ("False", none.0, none.1.to_owned()),
    };
    let discovered = ("ResourcesDiscovered", "All resources successfully discovered");
    let parsed = ("ParsedGroupVersions", "All legacy kube types successfully parsed");
    let deleted = ("ContentDeleted", "All content successfully deleted, may be waiting on finalization");
    let removed = ("ContentRemoved", "All content successfully removed");
    let finalized = ("ContentHasNoFinalizers", "All content-preserving finalizers finished");
    [
        ("NamespaceDeletionDiscoveryFailure", told(None, "", discovered)),
        ("NamespaceDeletionGroupVersionParsingFailure", told(None, "", parsed)),
        ("NamespaceDeletionContentFailure", told(None, "", deleted)),
        ("NamespaceContentRemaining", told(content_remains, "SomeResourcesRemain", removed)),
        ("NamespaceFinalizersRemaining", told(finalizers_remain, "SomeFinalizersRemain", finalized)),
    ]
    .into_iter()
    .map(|(condition_type, (state, reason, message))| {
        let before = object::condition(&namespace["status"], condition_type);
        let since = before
            .filter(|before| before["status"] == state)
            .map_or_else(|| whole_seconds(now).into(), |before| before["lastTransitionTime"].clone());
        json!({
            "type": condition_type, "status": state, "lastTransitionTime": since, "reason": reason,
            "message": message,
        })
    })
    .collect()
}

fn remaining_content(remaining: &[&Content]) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for content in remaining {
        *counts.entry(format!("{}.{}", content.kind.plural, content.kind.group)).or_default() += 1;
    }
    let counts: Vec<String> =
        counts.iter().map(|(resource, count)| format!("{resource} has {count} resource instances")).collect();
    (!counts.is_empty()).then(|| format!("Some resources are remaining: {}", counts.join(", ")))
}

fn remaining_finalizers(remaining: &[&Content]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for finalizer in
        remaining.iter().flat_map(|content| list(&content.object, "/metadata/finalizers")).filter_map(Value::as_str)
    {
        *counts.entry(finalizer).or_default() += 1;
    }
    let counts: Vec<String> =
        counts.iter().map(|(finalizer, count)| format!("{finalizer} in {count} resource instances")).collect();
    (!counts.is_empty())
        .then(|| format!("Some content in the namespace has finalizers remaining: {}", counts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace() -> Value {
        json!({
            "metadata": {"name": "n", "uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Terminating"},
        })
    }

    #[test]
    fn content_goes_first() {
        let object = json!({"metadata": {"name": "c", "namespace": "n", "uid": "c"}});
        let content = [Content { kind: object::kind("v1", "ConfigMap"), object }];
        let changes = terminate(&namespace(), &content, Timestamp::UNIX_EPOCH);
        assert!(matches!(&changes[..], [Change::Delete { name, .. }] if name == "c"), "{changes:?}");
    }

    #[test]
    fn what_waits_is_told() {
        let object = json!({"metadata": {
            "name": "c", "namespace": "n", "deletionTimestamp": "x", "finalizers": ["example.org/f"],
        }});
        let content = [Content { kind: object::kind("v1", "ConfigMap"), object }];
        let changes = terminate(&namespace(), &content, Timestamp::UNIX_EPOCH);
        let [Change::Update { object, subresource: "status", .. }] = &changes[..] else { panic!("{changes:?}") };
        let remaining = object::condition(&object["status"], "NamespaceContentRemaining").unwrap();
        assert_eq!(remaining["message"], "Some resources are remaining: configmaps. has 1 resource instances");
        let finalizers = object::condition(&object["status"], "NamespaceFinalizersRemaining").unwrap();
        let expected = "Some content in the namespace has finalizers remaining: example.org/f in 1 resource instances";
        assert_eq!(finalizers["message"], expected);
    }

    #[test]
    fn an_empty_one_is_let_go() {
        let changes = terminate(&namespace(), &[], Timestamp::UNIX_EPOCH);
        let [Change::Update { subresource: "status", .. }, Change::Update { object, subresource: "finalize", .. }] =
            &changes[..]
        else {
            panic!("{changes:?}")
        };
        assert_eq!(object["spec"]["finalizers"], json!([]));
    }
}
