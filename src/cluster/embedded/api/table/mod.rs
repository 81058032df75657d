//! Tables: what kubectl prints. The server chooses the columns and computes the cells.

mod cells;
mod columns;
mod more_columns;
mod pod;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::registry::errors;
use super::super::schema::Kind;
use super::super::status::Status;
use super::list;

/// What each row carries besides its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    None,
    Metadata,
    Object,
}

impl Include {
    pub fn parse(parameter: Option<&str>) -> Result<Self, Status> {
        match parameter {
            None | Some("Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(errors::bad_request(format!("unrecognized includeObject value: {other:?}"))),
        }
    }
}

/// A `meta.k8s.io/v1 Table`; `with_columns` is false for all but the first Table of a watch.
pub(super) fn table(kind: &Kind, objects: &[Value], include: Include, metadata: &Value, with_columns: bool) -> Value {
    let now = Timestamp::now();
    let rows: Vec<Value> = objects.iter().map(|object| row(kind, object, include, now)).collect();
    let definitions: Vec<Value> =
        if with_columns { columns::of(kind).iter().map(definition).collect() } else { Vec::new() };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn definition(column: &columns::Column) -> Value {
    json!({
        "name": column.name, "type": column.kind,
        "format": if column.name == "Name" { "name" } else { "" },
        "description": column.description, "priority": column.priority,
    })
}

fn row(kind: &Kind, object: &Value, include: Include, now: Timestamp) -> Value {
    let carried = match include {
        Include::None => Value::Null,
        Include::Metadata => list::partial(object, true),
        Include::Object => object.clone(),
    };
    let mut row = json!({"cells": cells::of(kind, object, now), "object": carried});
    if kind.name == "Pod"
        && let Some(condition) = pod::row_condition(object)
    {
        row["conditions"] = json!([condition]);
    }
    row
}
