//! The rules of what a container asks for and may use.

use serde_json::Value;

use super::super::super::schema::Quantity;
use super::super::super::status::Cause;
use super::super::{forbidden, invalid, items, metadata, required, text};

pub(super) fn validate(container: &Value, path: &str, claims: &[&str], causes: &mut Vec<Cause>) {
    let Some(resources) = container.get("resources") else { return };
    let path = format!("{path}.resources");
    let amounts = |key: &str| resources.get(key).and_then(Value::as_object).into_iter().flatten();
    for (name, amount) in amounts("limits") {
        check_amount(name, amount, &format!("{path}.limits[{name}]"), causes);
    }
    let limits = resources.get("limits");
    for (name, request) in amounts("requests") {
        check_amount(name, request, &format!("{path}.requests[{name}]"), causes);
        let limit = limits.and_then(|limits| limits.get(name));
        match limit {
            Some(limit) => causes.extend(beyond(name, request, limit, &format!("{path}.requests"))),
            None if !is_overcommitted(name) => {
                causes.push(required(format!("{path}.limits"), "Limit must be set for non overcommitable resources"));
            }
            None => {}
        }
    }
    let names: Vec<&str> = amounts("limits").chain(amounts("requests")).map(|(name, _)| name.as_str()).collect();
    let huge = names.iter().any(|name| name.starts_with("hugepages-"));
    if huge && !names.iter().any(|name| matches!(*name, "cpu" | "memory")) {
        causes.push(forbidden(&*path, "HugePages require cpu or memory"));
    }
    for (index, claim) in items(resources, "claims").iter().enumerate() {
        let name = text(claim, "name");
        let field = format!("{path}.claims[{index}]");
        if name.is_empty() {
            causes.push(required(field, ""));
        } else if !claims.contains(&name) {
            let which = if claims.is_empty() { " which is empty" } else { "" };
            causes.push(Cause {
                reason: "FieldValueNotFound",
                message: format!("Not found: {name:?}: must be one of the names in pod.spec.resourceClaims{which}"),
                field,
            });
        }
    }
}

/// Kubernetes' own resources may be promised more than once, others not.
fn is_overcommitted(name: &str) -> bool {
    (!name.contains('/') || name.split_once('/').is_some_and(|(domain, _)| domain.contains("kubernetes.io")))
        && !name.starts_with("hugepages-")
}

fn check_amount(name: &str, amount: &Value, field: &str, causes: &mut Vec<Cause>) {
    let is_standard = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    let rules = metadata::qualified_name(name);
    causes.extend(rules.iter().map(|rule| invalid(field, &name.into(), rule)));
    if rules.is_empty() && !name.contains('/') && !is_standard {
        for detail in
            ["must be a standard resource type or fully qualified", "must be a standard resource for containers"]
        {
            causes.push(invalid(field, &name.into(), detail));
        }
    }
    let Some(number) = quantity(amount) else { return };
    if number < 0.0 {
        causes.push(invalid(field, &shown(amount), "must be greater than or equal to 0"));
    }
    if !is_overcommitted(name) && number.fract() != 0.0 {
        causes.push(invalid(field, &shown(amount), "must be an integer"));
    }
}

fn beyond(name: &str, request: &Value, limit: &Value, field: &str) -> Option<Cause> {
    let (wanted, most) = (quantity(request)?, quantity(limit)?);
    let shown_limit = shown(limit);
    let shown_limit = shown_limit.as_str().unwrap_or_default();
    #[allow(clippy::float_cmp)] // Both were parsed from the same texts.
    if !is_overcommitted(name) && wanted != most {
        let detail = format!("must be equal to {name} limit of {shown_limit}");
        return Some(invalid(field, &shown(request), &detail));
    }
    let detail = format!("must be less than or equal to {name} limit of {shown_limit}");
    (wanted > most).then(|| invalid(field, &shown(request), &detail))
}

fn shown(amount: &Value) -> Value {
    amount.as_str().map_or_else(|| amount.to_string(), str::to_owned).into()
}

/// A quantity as a number, for comparisons.
pub fn quantity(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => Quantity::parse(text).map(Quantity::to_f64),
        _ => None,
    }
}
