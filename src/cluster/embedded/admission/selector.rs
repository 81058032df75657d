//! The rules of label selectors.

use serde_json::Value;

use super::super::status::Cause;
use super::{forbidden, invalid, items, metadata, required, text};

/// What is wrong with a selector: its labels, then its expressions.
pub fn validate(selector: &Value, path: &str) -> Vec<Cause> {
    let mut causes = metadata::labels(selector.get("matchLabels"), &format!("{path}.matchLabels"));
    for (index, expression) in items(selector, "matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let values = items(expression, "values");
        match text(expression, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                causes.push(required(format!("{path}.values"), "must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.push(forbidden(format!("{path}.values"), detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => causes.push(invalid(format!("{path}.operator"), &other.into(), "not a valid selector operator")),
        }
        let key = text(expression, "key");
        let rules = metadata::qualified_name(key);
        causes.extend(rules.iter().map(|rule| invalid(format!("{path}.key"), &key.into(), rule)));
        for (at, value) in values.iter().enumerate() {
            let rules = metadata::label_value(value.as_str().unwrap_or_default());
            causes.extend(rules.iter().map(|rule| invalid(format!("{path}.values[{at}]"), value, rule)));
        }
    }
    causes
}

/// Whether a label selector matches labels.
pub fn matches(selector: &Value, labels: &Value) -> bool {
    let equal = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let mut expressions = items(selector, "matchExpressions").iter();
    equal.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && expressions.all(|expression| {
            let found = labels.get(text(expression, "key"));
            let among = found.is_some_and(|found| items(expression, "values").contains(found));
            match text(expression, "operator") {
                "In" => among,
                "NotIn" => !among,
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}
