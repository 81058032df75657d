//! `kubectl scale`, `label`, `annotate`, `patch`, `set image`.

use serde_json::{Map, Value, json};

use super::connection::{Body, Connection};
use super::error::KubectlError;
use super::flags::{Arguments, Flag, optional, switch, value};
use super::select::{self, Scope, Selection};
use super::{Outcome, manifests, output, positionals};
use crate::discovery::Resource;

pub const SCALE_FLAGS: &[Flag] = &[
    value("replicas", None),
    value("current-replicas", None),
    value("resource-version", None),
    value("timeout", None),
    value("selector", Some('l')),
    switch("all", None),
    manifests::FILENAME,
];
pub const LABEL_FLAGS: &[Flag] = &[
    value("selector", Some('l')),
    value("field-selector", None),
    value("resource-version", None),
    value("field-manager", None),
    optional("dry-run", "unchanged"),
    switch("overwrite", None),
    switch("list", None),
    switch("all", None),
    switch("all-namespaces", Some('A')),
    switch("local", None),
];
pub const PATCH_FLAGS: &[Flag] = &[
    value("patch", Some('p')),
    value("patch-file", None),
    value("type", None),
    value("subresource", None),
    value("field-manager", None),
    optional("dry-run", "unchanged"),
];
pub const SET_FLAGS: &[Flag] = &[value("selector", Some('l')), switch("all", None), value("field-manager", None)];

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

pub async fn scale(arguments: &Arguments) -> Outcome {
    let replicas =
        arguments.number("replicas")?.ok_or_else(|| KubectlError::other("required flag(s) \"replicas\" not set"))?;
    if replicas < 0 {
        return Err(KubectlError::other(
            "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
        ));
    }
    let connection = Connection::open(arguments).await?;
    let selections = select::parse(&connection, &positionals(arguments), arguments).await?;
    let (found, errors) = select::objects(&connection, &selections, &Scope::of(arguments)).await;
    if found.is_empty() {
        return Err(match KubectlError::of(errors) {
            Some(error) => KubectlError::other(format!("no objects passed to scale {}", error.message())),
            None => KubectlError::other("no objects passed to scale"),
        });
    }
    let current = arguments.number("current-replicas")?.filter(|current| *current >= 0);
    for (resource, object) in &found {
        let path = format!("{}/scale", select::path_of(resource, object));
        let scale = connection.get(&path).await.map_err(|error| {
            if error.is_not_found() {
                KubectlError::other(format!("no scaler has been implemented for {}", resource.qualified()))
            } else {
                error
            }
        })?;
        let found = scale["spec"]["replicas"].as_i64().unwrap_or(0);
        if let Some(current) = current.filter(|current| *current != found) {
            return Err(KubectlError::other(format!("Expected replicas to be {current}, was {found}")));
        }
        connection.patch(&path, MERGE, &json!({"spec": {"replicas": replicas}})).await?;
        output::line(&format!("{} scaled", select::label(resource, name_of(object))));
    }
    Ok(0)
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// `label` and `annotate`: `key=value` sets, `key-` removes.
pub async fn label(arguments: &Arguments, field: &'static str) -> Outcome {
    let is_change = |word: &&str| word.contains('=') || word.ends_with('-');
    let words = positionals(arguments);
    let boundary = words
        .iter()
        .position(|word| is_change(word) && !word.contains('/') || word.contains('='))
        .unwrap_or(words.len());
    let (objects, changes) = words.split_at(boundary);
    let singular = field.trim_end_matches('s');
    if changes.is_empty() && !arguments.is_set("list") {
        return Err(KubectlError::other(format!("at least one {singular} update is required")));
    }
    let (set, removed) = parse_changes(changes)?;
    let connection = Connection::open(arguments).await?;
    let scope = Scope::of(arguments);
    let selections = select::parse(&connection, objects, arguments).await?;
    if selections.iter().any(|one| one.name.is_none()) && !scope.narrows() && !arguments.is_set("all") {
        return Err(KubectlError::other("resource(s) were provided, but no name was specified"));
    }
    let (found, mut errors) = select::objects(&connection, &selections, &scope).await;
    for (resource, object) in &found {
        if arguments.is_set("list") {
            let map = object["metadata"][field].as_object().into_iter().flatten();
            map.for_each(|(key, value)| output::line(&format!("{key}={}", value.as_str().unwrap_or_default())));
            continue;
        }
        match relabel(&connection, arguments, resource, object, field, (&set, &removed)).await {
            Ok(done) => output::line(&format!("{} {done}", select::label(resource, name_of(object)))),
            Err(error) => errors.push(error),
        }
    }
    KubectlError::of(errors).map_or(Ok(0), Err)
}

type Changes<'w> = (Vec<(&'w str, &'w str)>, Vec<&'w str>);

fn parse_changes<'w>(words: &[&'w str]) -> Result<Changes<'w>, KubectlError> {
    let mut set = Vec::new();
    let mut removed = Vec::new();
    for word in words {
        match (word.split_once('='), word.strip_suffix('-')) {
            (Some((key, value)), _) => set.push((key, value)),
            (None, Some(key)) => removed.push(key),
            (None, None) => {
                return Err(KubectlError::other(format!(
                    "all resources must be specified before label changes: {word}"
                )));
            }
        }
    }
    if let Some((key, _)) = set.iter().find(|(key, _)| removed.contains(key)) {
        return Err(KubectlError::other(format!("can not both modify and remove a label in the same command: {key}")));
    }
    Ok((set, removed))
}

async fn relabel(
    connection: &Connection,
    arguments: &Arguments,
    resource: &Resource,
    object: &Value,
    field: &str,
    (set, removed): (&[(&str, &str)], &[&str]),
) -> Result<String, KubectlError> {
    let live = &object["metadata"][field];
    let mut patch = Map::new();
    for (key, value) in set {
        if let Some(found) = live[*key].as_str().filter(|found| found != value)
            && !arguments.is_set("overwrite")
        {
            return Err(KubectlError::other(if field == "labels" {
                format!("'{key}' already has a value ({found}), and --overwrite is false")
            } else {
                format!(
                    "--overwrite is false but found the following declared annotation(s): '{key}' already has a value ({found})"
                )
            }));
        }
        if live[*key].as_str() != Some(value) {
            patch.insert((*key).to_owned(), (*value).into());
        }
    }
    for key in removed {
        if live[*key].is_null() {
            output::line(&format!("{} \"{key}\" not found.", field.trim_end_matches('s')));
        } else {
            patch.insert((*key).to_owned(), Value::Null);
        }
    }
    let participle = match (field, patch.is_empty(), set.is_empty() && !removed.is_empty()) {
        ("labels", true, _) => "not labeled",
        ("labels", false, true) => "unlabeled",
        ("labels", false, false) => "labeled",
        _ => "annotated",
    };
    if !patch.is_empty() {
        let manager = if field == "labels" { "kubectl-label" } else { "kubectl-annotate" };
        let path = format!("{}?fieldManager={manager}", select::path_of(resource, object));
        connection.patch(&path, MERGE, &json!({"metadata": {field: patch}})).await?;
    }
    Ok(participle.to_owned())
}

pub async fn patch(arguments: &Arguments) -> Outcome {
    let text = match (arguments.value("patch"), arguments.value("patch-file")) {
        (Some(text), _) => text.to_owned(),
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|error| KubectlError::other(format!("unable to read patch file: {error}")))?,
        (None, None) => {
            return Err(KubectlError::other(
                "must specify --patch or --patch-file containing the contents of the patch",
            ));
        }
    };
    let content_type = match arguments.value("type").unwrap_or("strategic") {
        "strategic" => STRATEGIC,
        "merge" => MERGE,
        "json" => "application/json-patch+json",
        other => {
            return Err(KubectlError::other(format!("--type must be one of [json merge strategic], not \"{other}\"")));
        }
    };
    let body: Value = serde_yaml::from_str(&text)
        .map_err(|error| KubectlError::other(format!("unable to parse \"{text}\": yaml: {error}")))?;
    let connection = Connection::open(arguments).await?;
    for Selection { resource, name } in select::parse(&connection, &positionals(arguments), arguments).await? {
        let Some(name) = name else { return Err(KubectlError::other("resource name may not be empty")) };
        let subresource = arguments.value("subresource").map(|name| format!("/{name}")).unwrap_or_default();
        let path = format!("{}{subresource}", resource.object(&connection.namespace, &name));
        let before = connection.get(&path).await?;
        let query = "?fieldManager=kubectl-patch";
        let answer = connection
            .call(
                http::Method::PATCH,
                &format!("{path}{query}"),
                "application/json",
                Some(Body::of(content_type, &body)),
            )
            .await?;
        let is_same = before["metadata"]["resourceVersion"] == answer["metadata"]["resourceVersion"];
        output::line(&format!(
            "{} patched{}",
            select::label(&resource, &name),
            if is_same { " (no change)" } else { "" }
        ));
    }
    Ok(0)
}

/// `set image deploy/web web=nginx:1.29`.
pub async fn set(arguments: &Arguments) -> Outcome {
    let words = positionals(arguments);
    let ["image", rest @ ..] = words.as_slice() else {
        let what = words.first().map_or_else(|| "`kubectl set`".to_owned(), |what| format!("`kubectl set {what}`"));
        return Err(KubectlError::Absent { what });
    };
    let boundary = rest.iter().position(|word| word.contains('=')).unwrap_or(rest.len());
    let (objects, images) = rest.split_at(boundary);
    if images.is_empty() {
        return Err(KubectlError::other("at least one image update is required"));
    }
    let connection = Connection::open(arguments).await?;
    let selections = select::parse(&connection, objects, arguments).await?;
    let (found, mut errors) = select::objects(&connection, &selections, &Scope::of(arguments)).await;
    for (resource, object) in &found {
        match set_images(&connection, resource, object, images).await {
            Ok(true) => output::line(&format!("{} image updated", select::label(resource, name_of(object)))),
            Ok(false) => {}
            Err(error) => errors.push(error),
        }
    }
    KubectlError::of(errors).map_or(Ok(0), Err)
}

async fn set_images(
    connection: &Connection,
    resource: &Resource,
    object: &Value,
    images: &[&str],
) -> Result<bool, KubectlError> {
    let is_pod = resource.kind == "Pod";
    let spec = if is_pod { &object["spec"] } else { &object["spec"]["template"]["spec"] };
    let containers = spec["containers"].as_array().cloned().unwrap_or_default();
    let mut patched = Vec::new();
    for pair in images {
        let (name, image) = pair.split_once('=').unwrap_or((pair, ""));
        let meant: Vec<&Value> =
            containers.iter().filter(|container| name == "*" || container["name"] == name).collect();
        if meant.is_empty() {
            return Err(KubectlError::other(format!("unable to find container named \"{name}\"")));
        }
        let changed = meant.into_iter().filter(|container| container["image"] != image);
        patched.extend(changed.map(|container| json!({"name": container["name"], "image": image})));
    }
    if patched.is_empty() {
        return Ok(false);
    }
    let spec = json!({"containers": patched});
    let patch = if is_pod { json!({"spec": spec}) } else { json!({"spec": {"template": {"spec": spec}}}) };
    let path = format!("{}?fieldManager=kubectl-set", select::path_of(resource, object));
    connection.patch(&path, STRATEGIC, &patch).await?;
    Ok(true)
}
