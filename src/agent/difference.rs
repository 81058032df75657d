//! The differences that `werf plan` shows: YAML, line by line, three lines around each change.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::plan::{Action, Operation, cleaned};
use super::yaml;

/// The lines of an operation's difference, each with `+ `, `- ` or two spaces in front.
pub fn lines(operation: &Operation) -> Vec<String> {
    match &operation.action {
        Action::Create | Action::Apply => yaml_lines(&operation.object, &operation.identity.kind)
            .into_iter()
            .map(|line| format!("+ {line}"))
            .collect(),
        Action::Delete { live } => {
            yaml_lines(live, &operation.identity.kind).into_iter().map(|line| format!("- {line}")).collect()
        }
        Action::Update { live, wanted } => changed(live, wanted, &operation.identity.kind),
        Action::Nothing => Vec::new(),
    }
}

fn yaml_lines(object: &Value, kind: &str) -> Vec<String> {
    let mut object = cleaned(object);
    if kind == "Secret" {
        hide(&mut object);
    }
    yaml::write(&object).lines().map(str::to_owned).collect()
}

/// A Secret's values are not for a terminal; their lengths tell whether they changed.
fn hide(object: &mut Value) {
    for field in ["data", "stringData"] {
        for value in object.get_mut(field).and_then(Value::as_object_mut).into_iter().flat_map(|data| data.values_mut())
        {
            let text = value.as_str().unwrap_or_default();
            *value = format!("<hidden {} bytes, {:08x}>", text.len(), super::slug::murmur3(text.as_bytes())).into();
        }
    }
}

fn changed(live: &Value, wanted: &Value, kind: &str) -> Vec<String> {
    const AROUND: usize = 3;
    let (old, new) = (yaml_lines(live, kind), yaml_lines(wanted, kind));
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
    let diff = TextDiff::from_slices(&old, &new);
    let mut lines = Vec::new();
    for (index, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if index > 0 {
            lines.push("  ...".to_owned());
        }
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            lines.push(format!("{sign} {}", change.value()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::agent::manifest::Identity;

    fn operation(action: Action, object: Value) -> Operation {
        let identity = match &action {
            Action::Delete { live } => Identity::of(live),
            _ => Identity::of(&object),
        };
        Operation { identity, path: String::new(), object, action, weight: 0 }
    }

    fn deployment(replicas: u32) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "demo-app", "namespace": "demo-app-production", "uid": "1", "generation": replicas},
            "spec": {"progressDeadlineSeconds": 600, "replicas": replicas, "revisionHistoryLimit": 10,
                     "selector": {"matchLabels": {"app": "demo-app"}}}
        })
    }

    #[test]
    fn an_update_shows_three_lines_around() {
        let operation = operation(Action::Update { live: deployment(5), wanted: deployment(2) }, deployment(2));
        assert_eq!(
            lines(&operation).join("\n"),
            "    namespace: demo-app-production\n  spec:\n    progressDeadlineSeconds: 600\n-   replicas: 5\n+   replicas: 2\n    revisionHistoryLimit: 10\n    selector:\n      matchLabels:"
        );
    }

    #[test]
    fn a_deletion_shows_all_and_a_secret_hides_its_values() {
        let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"colour": "blue"}, "metadata": {"name": "settings"}});
        let shown = lines(&operation(Action::Delete { live }, Value::Null));
        assert_eq!(
            shown,
            [
                "- apiVersion: v1",
                "- data:",
                "-   colour: blue",
                "- kind: ConfigMap",
                "- metadata:",
                "-   name: settings"
            ]
        );
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"key": "aHVzaA=="}, "metadata": {"name": "s"}});
        assert!(!lines(&operation(Action::Create, secret)).join("\n").contains("aHVzaA"));
    }
}
