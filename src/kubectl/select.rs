//! Which objects a command means: `pods`, `pod web`, `deploy/web svc/web`, `deploy,rs`, `all`, with selectors.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::connection::Connection;
use super::error::KubectlError;
use super::flags::Arguments;
use crate::discovery::Resource;

/// Objects of one kind: one by name, or the collection.
#[derive(Debug, Clone)]
pub struct Selection {
    pub resource: Resource,
    pub name: Option<String>,
}

/// What narrows collections down.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub all_namespaces: bool,
    pub labels: Option<String>,
    pub fields: Option<String>,
}

impl Scope {
    pub fn of(arguments: &Arguments) -> Self {
        Self {
            all_namespaces: arguments.is_set("all-namespaces"),
            labels: arguments.value("selector").map(str::to_owned),
            fields: arguments.value("field-selector").map(str::to_owned),
        }
    }

    pub fn narrows(&self) -> bool {
        self.labels.is_some() || self.fields.is_some()
    }

    fn query(&self) -> String {
        let terms = [("labelSelector", &self.labels), ("fieldSelector", &self.fields)];
        let encode = |text: &String| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let given = terms.iter().filter_map(|(key, text)| text.as_ref().map(|text| format!("{key}={}", encode(text))));
        given.collect::<Vec<_>>().join("&")
    }
}

impl Selection {
    /// Where the object or the collection is.
    pub fn path(&self, connection: &Connection, scope: &Scope) -> String {
        if let Some(name) = &self.name {
            return self.resource.object(&connection.namespace, name);
        }
        let namespace = (!scope.all_namespaces).then_some(connection.namespace.as_str());
        let query = scope.query();
        let separator = if query.is_empty() { "" } else { "?" };
        format!("{}{separator}{query}", self.resource.collection(namespace))
    }
}

/// Reads the words of a command.
pub async fn parse(connection: &Connection, words: &[&str], usage: &Arguments) -> Result<Vec<Selection>, KubectlError> {
    let Some(first) = words.first() else {
        return Err(usage.usage("You must specify the type of resource."));
    };
    if words.iter().any(|word| word.contains('/')) {
        return slashed(connection, words).await;
    }
    let mut resources = Vec::new();
    for word in first.split(',').filter(|word| !word.is_empty()) {
        if *word == *"all" {
            resources.extend(all(connection).await?);
        } else {
            resources.push(connection.resource(word).await?.clone());
        }
    }
    let names = &words[1..];
    let mut selections = Vec::new();
    for resource in resources {
        if names.is_empty() {
            selections.push(Selection { resource, name: None });
            continue;
        }
        let named = names.iter().map(|name| Selection { resource: resource.clone(), name: Some((*name).to_owned()) });
        selections.extend(named);
    }
    Ok(selections)
}

async fn slashed(connection: &Connection, words: &[&str]) -> Result<Vec<Selection>, KubectlError> {
    let mut selections = Vec::new();
    for word in words {
        let Some((kind, name)) = word.split_once('/') else {
            return Err(KubectlError::other(
                "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
            ));
        };
        if name.is_empty() || name.contains('/') {
            return Err(KubectlError::other(format!(
                "arguments in resource/name form may not have more than one slash, or an empty name: {word}"
            )));
        }
        let resource = connection.resource(kind).await?.clone();
        selections.push(Selection { resource, name: Some(name.to_owned()) });
    }
    Ok(selections)
}

/// The kinds of the category `all`, in kubectl's order.
async fn all(connection: &Connection) -> Result<Vec<Resource>, KubectlError> {
    let discovery = connection.discovery().await?;
    let is_of_all = |resource: &&Resource| resource.categories.iter().any(|category| category == "all");
    Ok(discovery.resources.iter().filter(is_of_all).cloned().collect())
}

/// The objects themselves, whole, with their kinds.
pub async fn objects(
    connection: &Connection,
    selections: &[Selection],
    scope: &Scope,
) -> (Vec<(Resource, Value)>, Vec<KubectlError>) {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for selection in selections {
        match connection.get(&selection.path(connection, scope)).await {
            Ok(object) if selection.name.is_some() => found.push((selection.resource.clone(), object)),
            Ok(list) => {
                let items = list["items"].as_array().cloned().unwrap_or_default();
                found.extend(
                    items.into_iter().map(|item| (selection.resource.clone(), complete(item, &selection.resource))),
                );
            }
            Err(error) => errors.push(error),
        }
    }
    (found, errors)
}

/// Items of a list do not say their kind.
pub fn complete(mut object: Value, resource: &Resource) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.entry("apiVersion").or_insert_with(|| resource.api_version().into());
        map.entry("kind").or_insert_with(|| resource.kind.clone().into());
    }
    object
}

/// `deployment.apps/web`, `pod/web`.
pub fn label(resource: &Resource, name: &str) -> String {
    let singular = singular(resource);
    if resource.group.is_empty() {
        format!("{singular}/{name}")
    } else {
        format!("{singular}.{}/{name}", resource.group)
    }
}

pub fn singular(resource: &Resource) -> String {
    if resource.singular.is_empty() { resource.kind.to_lowercase() } else { resource.singular.clone() }
}

/// The path of an object that has been read.
pub fn path_of(resource: &Resource, object: &Value) -> String {
    let metadata = &object["metadata"];
    resource.object(metadata["namespace"].as_str().unwrap_or_default(), metadata["name"].as_str().unwrap_or_default())
}
