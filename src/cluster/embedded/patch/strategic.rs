//! Strategic merge patch: maps merge, lists of objects merge by their kind's merge keys, and the `$` directives.
//! The rules are those of apimachinery's `strategicpatch` (`$patch`, `$retainKeys`, `$setElementOrder/…`,
//! `$deleteFromPrimitiveList/…`).

use serde_json::{Map, Value};

use super::super::schema::{Definition, Field, FieldType, Kind, definition};
use super::super::status::Status;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList/";

/// Merges `patch` into the object by the kind's merge keys.
///
/// # Errors
/// 400 for a patch that is no object, 422 or 500 for directives and merge keys that do not fit, as Kubernetes words them.
pub fn strategic_merge_patch(kind: &'static Kind, document: &Value, patch: &Value) -> Result<Value, Status> {
    let (Some(original), Some(patch)) = (document.as_object(), patch.as_object()) else {
        return Err(Status::new(
            400,
            "BadRequest",
            "json: cannot unmarshal array into Go value of type map[string]interface {}",
        ));
    };
    merge_map(Some(kind.definition()), original.clone(), patch).map(Value::Object)
}

fn merge_map(
    definition: Option<&Definition>,
    mut original: Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<Map<String, Value>, Status> {
    match patch.get(PATCH).map(Value::as_str) {
        None | Some(Some("merge")) => {}
        Some(Some("replace")) => {
            return Ok(patch.iter().filter(|(name, _)| *name != PATCH).map(|(n, v)| (n.clone(), v.clone())).collect());
        }
        Some(Some("delete")) => return Ok(Map::new()),
        Some(other) => return Err(bad_patch_type(other.unwrap_or_default(), patch)),
    }
    if let Some(retained) = patch.get(RETAIN_KEYS) {
        let unfit = || Status::new(400, "BadRequest", "invalid patch format of retainKeys");
        let retained = retained.as_array().ok_or_else(unfit)?;
        let kept = |name: &String| name.starts_with('$') || retained.iter().any(|kept| kept == name);
        if !patch.iter().filter(|(_, value)| !value.is_null()).all(|(name, _)| kept(name)) {
            return Err(unfit());
        }
        original.retain(|name, _| retained.iter().any(|kept| kept == name));
    }
    for (name, values) in patch.iter().filter_map(|(n, v)| Some((n.strip_prefix(DELETE_FROM_PRIMITIVE_LIST)?, v))) {
        if let (Some(Value::Array(items)), Some(values)) = (original.get_mut(name), values.as_array()) {
            items.retain(|item| !values.contains(item));
        }
    }
    for (name, order) in patch.iter().filter_map(|(n, v)| Some((n.strip_prefix(SET_ELEMENT_ORDER)?, v))) {
        let field = definition.and_then(|definition| definition.field(name));
        let changes = patch.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let items = original.remove(name);
        let order = order.as_array().map_or(&[][..], Vec::as_slice);
        check_order(field, changes, order)?;
        let merged = merge_list(field, items.as_ref().and_then(Value::as_array), changes, Some(order))?;
        original.insert(name.into(), Value::Array(merged));
    }
    for (name, change) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        if patch.contains_key(&format!("{SET_ELEMENT_ORDER}{name}")) {
            continue;
        }
        let field = definition.and_then(|definition| definition.field(name));
        if change == &Value::Null {
            original.remove(name);
        } else {
            let merged = merge_value(field, original.remove(name), change)?;
            original.insert(name.clone(), merged);
        }
    }
    Ok(original)
}

fn merge_value(field: Option<&Field>, original: Option<Value>, change: &Value) -> Result<Value, Status> {
    match change {
        Value::Object(change) => {
            let original = match original {
                Some(Value::Object(map)) => map,
                _ => Map::new(),
            };
            let definition = match field.map(|field| &field.field_type) {
                Some(FieldType::Struct(name)) => definition(name),
                _ => None,
            };
            merge_map(definition, original, change).map(Value::Object)
        }
        Value::Array(changes) if field.is_some_and(|field| field.merge) => {
            let original = original.as_ref().and_then(Value::as_array);
            merge_list(field, original, changes, None).map(Value::Array)
        }
        Value::Array(changes) => {
            Ok(Value::Array(changes.iter().filter(|item| item.get(PATCH).is_none()).cloned().collect()))
        }
        other => Ok(other.clone()),
    }
}

/// What a patch changes must be among what it orders, in that order.
fn check_order(field: Option<&Field>, changes: &[Value], order: &[Value]) -> Result<(), Status> {
    let key = field.and_then(|field| field.merge_key.as_deref());
    let identity = |item: &Value| key.map_or_else(|| item.clone(), |key| item.get(key).cloned().unwrap_or_default());
    let changed: Vec<&Value> = changes.iter().filter(|change| change.get(PATCH).is_none()).collect();
    let mut wanted = order.iter().map(identity);
    if changed.iter().all(|change| wanted.any(|place| place == identity(change))) {
        return Ok(());
    }
    let shown = |items: Vec<&Value>| items.into_iter().map(go_value).collect::<Vec<_>>().join(" ");
    Err(Status::new(
        500,
        "",
        format!(
            "The order in patch list:\n[{}]\n doesn't match $setElementOrder list:\n[{}]\n",
            shown(changed),
            shown(order.iter().collect())
        ),
    ))
}

/// Merges and orders: as `order` has it, else as the patch has it.
fn merge_list(
    field: Option<&Field>,
    original: Option<&Vec<Value>>,
    changes: &[Value],
    order: Option<&[Value]>,
) -> Result<Vec<Value>, Status> {
    let original = original.map_or(&[][..], Vec::as_slice);
    let merged = merge_items(field, original, changes)?;
    Ok(in_order(field, merged, order.unwrap_or(changes), original))
}

fn merge_items(field: Option<&Field>, original: &[Value], changes: &[Value]) -> Result<Vec<Value>, Status> {
    let Some(key) = field.and_then(|field| field.merge_key.as_deref()) else {
        let mut merged = original.to_vec();
        for change in changes {
            if !merged.contains(change) {
                merged.push(change.clone());
            }
        }
        return Ok(merged);
    };
    let element = field.and_then(|field| field.field_type.element());
    if changes.iter().any(|change| change.get(PATCH).and_then(Value::as_str) == Some("replace")) {
        return Ok(changes.iter().filter(|change| change.get(PATCH).is_none()).cloned().collect());
    }
    let mut merged = original.to_vec();
    for change in changes {
        let map = change.as_object().ok_or_else(|| {
            let shown = |items: &[Value]| items.iter().map(go_value).collect::<Vec<_>>().join(" ");
            let message = format!("list element types are not identical: [[{}] [{}]]", shown(original), shown(changes));
            Status::new(500, "", message)
        })?;
        let Some(wanted) = map.get(key) else {
            return Err(Status::new(
                500,
                "",
                format!("map: {} does not contain declared merge key: {key}", go_map(map)),
            ));
        };
        let position = merged.iter().position(|item| item.get(key) == Some(wanted));
        match (map.get(PATCH).and_then(Value::as_str), position) {
            (Some("delete"), Some(_)) => merged.retain(|item| item.get(key) != Some(wanted)),
            (Some("delete"), None) => {}
            (None | Some("merge"), Some(position)) => {
                let item = merged[position].as_object().cloned().unwrap_or_default();
                merged[position] = Value::Object(merge_map(element, item, map)?);
            }
            (None | Some("merge"), None) => merged.push(Value::Object(merge_map(element, Map::new(), map)?)),
            (Some(other), _) => return Err(bad_patch_type(other, map)),
        }
    }
    Ok(merged)
}

/// The merged items in the order that the patch asks for; items that only the server has keep their place among
/// those that they stood with.
fn in_order(field: Option<&Field>, merged: Vec<Value>, order: &[Value], server: &[Value]) -> Vec<Value> {
    let key = field.and_then(|field| field.merge_key.as_deref());
    let identity = |item: &Value| key.map_or_else(|| item.clone(), |key| item.get(key).cloned().unwrap_or_default());
    let wanted: Vec<Value> = order.iter().map(identity).collect();
    let server: Vec<Value> = server.iter().map(identity).collect();
    let place = |item: &Value, among: &[Value]| among.iter().position(|other| *other == identity(item));
    let (mut ordered, kept): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(item, &wanted).is_some());
    ordered.sort_by_key(|item| place(item, &wanted));
    let mut result = Vec::with_capacity(ordered.len() + kept.len());
    let mut ordered = ordered.into_iter().peekable();
    let mut kept = kept.into_iter().peekable();
    while let (Some(left), Some(right)) = (ordered.peek(), kept.peek()) {
        let kept_first = match (place(left, &server), place(right, &server)) {
            (Some(left), Some(right)) => right < left,
            _ => false,
        };
        result.extend(if kept_first { kept.next() } else { ordered.next() });
    }
    result.extend(ordered);
    result.extend(kept);
    result
}

fn bad_patch_type(found: &str, patch: &Map<String, Value>) -> Status {
    Status::new(500, "", format!("unknown patch type: {found} in map: {}", go_map(patch)))
}

fn go_map(map: &Map<String, Value>) -> String {
    let parts: Vec<String> = map.iter().map(|(name, value)| format!("{name}:{}", go_value(value))).collect();
    format!("map[{}]", parts.join(" "))
}

/// A value as Go's `%v` prints it.
fn go_value(value: &Value) -> String {
    match value {
        Value::Object(map) => go_map(map),
        Value::Array(items) => format!("[{}]", items.iter().map(go_value).collect::<Vec<_>>().join(" ")),
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".into(),
        other => other.to_string(),
    }
}
