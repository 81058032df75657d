//! The rules of nodes, namespaces and events.

use serde_json::Value;

use super::super::status::Cause;
use super::{invalid, items, metadata, network, required, text, unsupported};

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub fn node(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut seen = Vec::new();
    for (index, taint) in items(spec, "taints").iter().enumerate() {
        let path = format!("metadata.taints[{index}]");
        let (key, value, effect) = (text(taint, "key"), text(taint, "value"), text(taint, "effect"));
        let rules = metadata::qualified_name(key);
        causes.extend(rules.iter().map(|rule| invalid(format!("{path}.key"), &key.into(), rule)));
        let rules = metadata::label_value(value);
        causes.extend(rules.iter().map(|rule| invalid(format!("{path}.value"), &value.into(), rule)));
        if effect.is_empty() {
            causes.push(required(format!("{path}.effect"), ""));
        } else if !EFFECTS.contains(&effect) {
            causes.push(unsupported(format!("{path}.effect"), &effect.into(), EFFECTS));
        }
        if seen.contains(&(key, effect)) {
            causes.push(Cause {
                reason: "FieldValueDuplicate",
                message: format!(
                    "Duplicate value: {{\"Key\":{key:?},\"Value\":{value:?},\"Effect\":{effect:?},\"TimeAdded\":null}}: taints must be unique by key and effect pair"
                ),
                field: path,
            });
        }
        seen.push((key, effect));
    }
    for (index, range) in items(spec, "podCIDRs").iter().enumerate() {
        causes.extend(network::range(&format!("spec.podCIDRs[{index}]"), range.as_str().unwrap_or_default()));
    }
    causes
}

pub fn namespace(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    metadata::finalizer_names(items(spec, "finalizers"), "spec.finalizers", &mut causes);
    causes
}

/// An event lies in the namespace of what it is about; the newer kind says more.
pub fn event(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let namespace = object.get("metadata").map(|metadata| text(metadata, "namespace")).unwrap_or_default();
    let about = object.get("involvedObject").map(|about| text(about, "namespace")).unwrap_or_default();
    let of_cluster = about.is_empty() && matches!(namespace, "" | "default");
    if about != namespace && !of_cluster {
        causes.push(invalid("involvedObject.namespace", &about.into(), "does not match event.namespace"));
    }
    if object.get("eventTime").is_some_and(Value::is_string) {
        let component = text(object, "reportingComponent");
        if component.is_empty() {
            causes.push(required("reportingComponent", ""));
        }
        let rules = metadata::qualified_name(component);
        causes.extend(rules.iter().map(|rule| invalid("reportingComponent", &component.into(), rule)));
        for key in ["reportingInstance", "action", "reason"] {
            if text(object, key).is_empty() {
                causes.push(required(key, ""));
            }
        }
    }
    causes
}
