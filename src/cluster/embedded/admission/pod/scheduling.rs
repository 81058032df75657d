//! The rules of where a pod may run: tolerations, affinity, topology.

use serde_json::Value;

use super::super::super::status::Cause;
use super::super::{duplicate, invalid, items, metadata, required, selector, text, unsupported};
use super::named;

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn tolerations(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (index, toleration) in items(spec, "tolerations").iter().enumerate() {
        let path = format!("{path}.tolerations[{index}]");
        let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
        let (value, effect) = (text(toleration, "value"), text(toleration, "effect"));
        if !key.is_empty() {
            named(&format!("{path}.key"), &key.into(), &metadata::qualified_name(key), causes);
        }
        if key.is_empty() && operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            causes.push(invalid(format!("{path}.operator"), &operator.into(), detail));
        }
        if toleration.get("tolerationSeconds").is_some_and(Value::is_number) && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            causes.push(invalid(format!("{path}.effect"), &effect.into(), detail));
        }
        match operator {
            "" | "Equal" => {
                let rules = metadata::label_value(value);
                if let Some(first) = rules.first() {
                    let all = if rules.len() > 1 { rules.join(";") } else { first.clone() };
                    causes.push(invalid(format!("{path}.operator"), &value.into(), &all));
                }
            }
            "Exists" => {
                if !value.is_empty() {
                    let detail = "value must be empty when `operator` is 'Exists'";
                    causes.push(invalid(format!("{path}.operator"), &value.into(), detail));
                }
            }
            other => causes.push(unsupported(format!("{path}.operator"), &other.into(), &["Equal", "Exists"])),
        }
        if !effect.is_empty() && !EFFECTS.contains(&effect) {
            causes.push(unsupported(format!("{path}.effect"), &effect.into(), EFFECTS));
        }
    }
}

pub(super) fn affinity(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(affinity) = spec.get("affinity").filter(|affinity| affinity.is_object()) else { return };
    let path = format!("{path}.affinity");
    if let Some(node) = affinity.get("nodeAffinity").filter(|node| node.is_object()) {
        node_affinity(node, &format!("{path}.nodeAffinity"), causes);
    }
    for key in ["podAffinity", "podAntiAffinity"] {
        let Some(pods) = affinity.get(key).filter(|pods| pods.is_object()) else { continue };
        let path = format!("{path}.{key}");
        let terms = items(pods, "requiredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in terms.iter().enumerate() {
            let field = format!("{path}.requiredDuringSchedulingIgnoredDuringExecution[{index}]");
            pod_term(term, &field, causes);
        }
        let preferred = items(pods, "preferredDuringSchedulingIgnoredDuringExecution");
        for (index, preference) in preferred.iter().enumerate() {
            let field = format!("{path}.preferredDuringSchedulingIgnoredDuringExecution[{index}]");
            weight(preference, &field, causes);
            let term = preference.get("podAffinityTerm").unwrap_or(&Value::Null);
            pod_term(term, &format!("{field}.podAffinityTerm"), causes);
        }
    }
}

fn node_affinity(node: &Value, path: &str, causes: &mut Vec<Cause>) {
    let key = "requiredDuringSchedulingIgnoredDuringExecution";
    if let Some(wanted) = node.get(key).filter(|wanted| wanted.is_object()) {
        let path = format!("{path}.{key}.nodeSelectorTerms");
        let terms = items(wanted, "nodeSelectorTerms");
        if terms.is_empty() {
            causes.push(required(path.clone(), "must have at least one node selector term"));
        }
        for (index, term) in terms.iter().enumerate() {
            node_term(term, &format!("{path}[{index}]"), causes);
        }
    }
    let key = "preferredDuringSchedulingIgnoredDuringExecution";
    for (index, preference) in items(node, key).iter().enumerate() {
        let path = format!("{path}.{key}[{index}]");
        weight(preference, &path, causes);
        node_term(preference.get("preference").unwrap_or(&Value::Null), &format!("{path}.preference"), causes);
    }
}

fn weight(preference: &Value, path: &str, causes: &mut Vec<Cause>) {
    let weight = preference.get("weight").and_then(Value::as_i64).unwrap_or(0);
    if !(1..=100).contains(&weight) {
        causes.push(invalid(format!("{path}.weight"), &weight.into(), "must be in the range 1-100"));
    }
}

fn node_term(term: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (index, requirement) in items(term, "matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let values = items(requirement, "values").len();
        match text(requirement, "operator") {
            "In" | "NotIn" if values == 0 => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                causes.push(required(format!("{path}.values"), detail));
            }
            "Exists" | "DoesNotExist" if values > 0 => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.push(super::forbidden(format!("{path}.values"), detail));
            }
            "Gt" | "Lt" if values != 1 => {
                let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                causes.push(required(format!("{path}.values"), detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => {
                causes.push(invalid(format!("{path}.operator"), &other.into(), "not a valid selector operator"));
            }
        }
        let key = text(requirement, "key");
        named(&format!("{path}.key"), &key.into(), &metadata::qualified_name(key), causes);
    }
}

fn pod_term(term: &Value, path: &str, causes: &mut Vec<Cause>) {
    for key in ["labelSelector", "namespaceSelector"] {
        if let Some(found) = term.get(key).filter(|found| found.is_object()) {
            causes.extend(selector::validate(found, &format!("{path}.{key}")));
        }
    }
    for name in items(term, "namespaces") {
        let rules = metadata::dns_label(name.as_str().unwrap_or_default());
        named(&format!("{path}.namespace"), name, &rules, causes);
    }
    let key = text(term, "topologyKey");
    if key.is_empty() {
        causes.push(required(format!("{path}.topologyKey"), "can not be empty"));
    }
    named(&format!("{path}.topologyKey"), &key.into(), &metadata::qualified_name(key), causes);
}

pub(super) fn topology(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut seen = Vec::new();
    for (index, constraint) in items(spec, "topologySpreadConstraints").iter().enumerate() {
        let path = format!("{path}.topologySpreadConstraints[{index}]");
        let skew = constraint.get("maxSkew").and_then(Value::as_i64).unwrap_or(0);
        if skew <= 0 {
            causes.push(invalid(format!("{path}.maxSkew"), &skew.into(), "must be greater than zero"));
        }
        let (key, action) = (text(constraint, "topologyKey"), text(constraint, "whenUnsatisfiable"));
        if key.is_empty() {
            causes.push(required(format!("{path}.topologyKey"), "can not be empty"));
        }
        if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
            let supported = &["DoNotSchedule", "ScheduleAnyway"];
            causes.push(unsupported(format!("{path}.whenUnsatisfiable"), &action.into(), supported));
        }
        if seen.contains(&(key, action)) {
            let field = format!("{path}.{{topologyKey, whenUnsatisfiable}}");
            causes.push(duplicate(field, &format!("{{{key}, {action}}}").into()));
        }
        seen.push((key, action));
        if let Some(found) = constraint.get("labelSelector").filter(|found| found.is_object()) {
            causes.extend(selector::validate(found, &format!("{path}.labelSelector")));
        }
    }
}
