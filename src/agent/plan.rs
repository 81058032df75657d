//! What a deployment is to do: a pure function of the rendered resources, the live objects, and what the API
//! server says to each by a dry run.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::fault::Fault;
use super::manifest::{Identity, Resource};
use super::values::WERF_VERSION;

/// Who a resource belongs to; it is marked so.
#[derive(Debug, Clone)]
pub struct Owner<'a> {
    /// The release.
    pub release: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The project.
    pub project: &'a str,
    /// The environment.
    pub environment: Option<&'a str>,
}

/// What is to be done with one resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// It is not there.
    Create,
    /// It differs.
    Update {
        /// As it is.
        live: Value,
        /// As it would be.
        wanted: Value,
    },
    /// The dry run failed in a way that only the real thing can tell more of.
    Apply,
    /// It is as desired.
    Nothing,
    /// It goes.
    Delete {
        /// As it is.
        live: Value,
    },
}

/// One resource with what is to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Which.
    pub identity: Identity,
    /// Its path in the API.
    pub path: String,
    /// What is sent; null for a deletion.
    pub object: Value,
    /// What is to be done.
    pub action: Action,
    /// Its place: lower ones are done, and ready, first.
    pub weight: i32,
}

impl Operation {
    /// `Update`, as the lists of operations say it; nothing for what stays.
    pub fn verb(&self) -> Option<&'static str> {
        match self.action {
            Action::Create => Some("Create"),
            Action::Update { .. } => Some("Update"),
            Action::Apply => Some("Apply"),
            Action::Delete { .. } => Some("Delete"),
            Action::Nothing => None,
        }
    }
}

/// The object as it is sent: marked as the owner's, its namespace left to the path.
pub fn marked(resource: &Resource, owner: &Owner) -> Value {
    let mut object = resource.object.clone();
    let metadata = &mut object["metadata"];
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.retain(|field, value| field != "namespace" || value.as_str() != Some(owner.namespace));
    }
    let annotations = [
        ("meta.helm.sh/release-name", Some(owner.release)),
        ("meta.helm.sh/release-namespace", Some(owner.namespace)),
        ("project.werf.io/env", owner.environment),
        ("project.werf.io/name", Some(owner.project)),
        ("werf.io/version", Some(WERF_VERSION)),
    ];
    for (name, value) in annotations {
        if let Some(value) = value {
            metadata["annotations"][name] = value.into();
        }
    }
    metadata["labels"]["app.kubernetes.io/managed-by"] = "Helm".into();
    object
}

/// What is to be done with a resource, from the live object and the dry run over it.
///
/// # Errors
/// The object belongs to another release or to none, or a field changed that cannot.
pub fn decide(
    identity: &Identity,
    owner: &Owner,
    live: Option<Value>,
    trial: Option<Result<Value, Fault>>,
    force_adoption: bool,
) -> Result<Action, Fault> {
    let Some(live) = live else { return Ok(Action::Create) };
    if !force_adoption {
        require_owned(identity, owner, &live)?;
    }
    match trial {
        Some(Ok(wanted)) if cleaned(&live) == cleaned(&wanted) => Ok(Action::Nothing),
        Some(Ok(wanted)) => Ok(Action::Update { live, wanted }),
        Some(Err(fault)) if is_immutable(&fault) => {
            let short = identity.short();
            Err(fault
                .within(format!("server-side dry-run apply resource {short:?}"))
                .within(format!("immutable fields change in resource {short:?}, but recreation is not requested"))
                .within(format!("determine install type for resource {short:?}"))
                .within("build installable resource info")
                .within("wait for resource pool")
                .within("build resource infos"))
        }
        Some(Err(fault @ Fault::Unreachable(_))) => Err(fault),
        None | Some(Err(_)) => Ok(Action::Apply),
    }
}

fn is_immutable(fault: &Fault) -> bool {
    matches!(fault.root(), Fault::Api { message, .. } if message.contains("field is immutable"))
}

fn require_owned(identity: &Identity, owner: &Owner, live: &Value) -> Result<(), Fault> {
    let annotation = |name: &str| live.pointer("/metadata/annotations").and_then(|all| all.get(name)?.as_str());
    let mut wrong = Vec::new();
    for (name, want) in
        [("meta.helm.sh/release-name", owner.release), ("meta.helm.sh/release-namespace", owner.namespace)]
    {
        match annotation(name) {
            Some(value) if value == want => {}
            Some(value) => wrong.push(format!(
                "annotation validation error: key {name:?} must equal {want:?}: current value is {value:?}"
            )),
            None => wrong.push(format!("annotation validation error: missing key {name:?}: must be set to {want:?}")),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "resource {:?} (namespace: {:?}) already exists and cannot be adopted into the release: {}; to take it over, use --force-adoption",
        identity.short(),
        identity.namespace.as_deref().unwrap_or(owner.namespace),
        wrong.join("; ")
    ))
    .within("validate resource adoption")
    .within("build resource infos"))
}

/// The resources that earlier revisions brought and this one no longer has.
pub fn prunable(earlier: &[Resource], wanted: &[Resource]) -> Vec<Identity> {
    let key = |resource: &Resource| {
        let identity = resource.identity();
        (identity.group().to_owned(), identity.kind, identity.namespace, identity.name)
    };
    let kept: BTreeSet<_> = wanted.iter().map(key).collect();
    let mut seen = BTreeSet::new();
    earlier
        .iter()
        .filter(|resource| resource.annotation("helm.sh/resource-policy").is_none_or(|policy| policy.trim() != "keep"))
        .filter(|resource| !kept.contains(&key(resource)) && seen.insert(key(resource)))
        .map(Resource::identity)
        .collect()
}

/// Whether a live object may be pruned: it is there and this release's.
pub fn is_owned(owner: &Owner, live: &Value) -> bool {
    let keep = live.pointer("/metadata/annotations").and_then(|all| all.get("helm.sh/resource-policy")?.as_str());
    keep != Some("keep") && require_owned(&Identity::of(live), owner, live).is_ok()
}

/// The object as a person compares it: without what the API server keeps for itself and werf's own marks.
pub fn cleaned(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "uid", "resourceVersion", "creationTimestamp", "generation", "selfLink"] {
            metadata.remove(field);
        }
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            annotations.retain(|name, _| !name.contains("werf.io/"));
        }
        for field in ["annotations", "labels"] {
            if metadata.get(field).and_then(Value::as_object).is_some_and(Map::is_empty) {
                metadata.remove(field);
            }
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWNER: Owner = Owner { release: "demo", namespace: "demo", project: "demo", environment: Some("production") };

    fn resource(object: Value) -> Resource {
        Resource { source: "demo/templates/a.yaml".into(), object }
    }

    fn service(port: u16) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "annotations": {}, "labels": {}}, "spec": {"port": port}})
    }

    #[test]
    fn a_resource_is_marked_as_the_releases() {
        let object = marked(&resource(service(80)), &OWNER);
        assert_eq!(
            object["metadata"],
            json!({
                "name": "web",
                "annotations": {
                    "meta.helm.sh/release-name": "demo", "meta.helm.sh/release-namespace": "demo",
                    "project.werf.io/env": "production", "project.werf.io/name": "demo", "werf.io/version": "v2.65.4"
                },
                "labels": {"app.kubernetes.io/managed-by": "Helm"}
            })
        );
    }

    #[test]
    fn decisions() {
        let identity = Identity::of(&service(80));
        let decide = |live: Option<Value>, trial: Option<Result<Value, Fault>>, force| {
            decide(&identity, &OWNER, live, trial, force).map_err(|fault| fault.to_string())
        };
        let mine = |port| marked(&resource(service(port)), &OWNER);
        assert_eq!(decide(None, None, false), Ok(Action::Create));
        let mut seen = mine(80);
        seen["metadata"]["resourceVersion"] = "7".into();
        seen["status"] = json!({"x": 1});
        assert_eq!(decide(Some(seen), Some(Ok(mine(80))), false), Ok(Action::Nothing));
        assert_eq!(
            decide(Some(mine(80)), Some(Ok(mine(81))), false),
            Ok(Action::Update { live: mine(80), wanted: mine(81) })
        );
        let refused = |text: &str| Fault::Api { code: 422, reason: "Invalid".into(), message: text.into() };
        assert_eq!(decide(Some(mine(80)), Some(Err(refused("no such field"))), false), Ok(Action::Apply));
        let text = "Deployment.apps \"demo-app\" is invalid: spec.selector: Invalid value: {}: field is immutable";
        assert_eq!(
            decide(Some(mine(80)), Some(Err(refused(text))), false),
            Err(format!(
                "build resource infos: wait for resource pool: build installable resource info: determine install type for resource \"Service/web\": immutable fields change in resource \"Service/web\", but recreation is not requested: server-side dry-run apply resource \"Service/web\": {text}"
            ))
        );
        let foreign = decide(Some(service(80)), Some(Ok(mine(80))), false).expect_err("foreign");
        assert!(foreign.contains("missing key \"meta.helm.sh/release-name\": must be set to \"demo\""), "{foreign}");
        assert!(decide(Some(service(80)), Some(Ok(mine(80))), true).is_ok());
    }

    #[test]
    fn what_a_release_no_longer_has_is_pruned() {
        let named = |name: &str, keep: bool| {
            let annotations = if keep { json!({"helm.sh/resource-policy": "keep"}) } else { json!({}) };
            resource(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": annotations}}),
            )
        };
        let earlier = [named("a", false), named("b", false), named("b", false), named("c", true)];
        let names: Vec<String> =
            prunable(&earlier, &[named("a", false)]).into_iter().map(|identity| identity.name).collect();
        assert_eq!(names, ["b"]);
    }
}
