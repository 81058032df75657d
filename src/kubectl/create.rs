//! `kubectl create`: from files, or a namespace, deployment, config map or secret by name.

use base64::Engine;
use serde_json::{Map, Value, json};

use super::apply::{DryRun, placed, resource_of};
use super::connection::Connection;
use super::error::KubectlError;
use super::flags::{Arguments, Flag, optional, switch, value};
use super::output::{self, json, yaml};
use super::{Outcome, manifests, select};

pub const FLAGS: &[Flag] = &[
    manifests::FILENAME,
    manifests::RECURSIVE,
    value("image", None),
    value("replicas", Some('r')),
    value("port", None),
    value("from-literal", None),
    value("from-file", None),
    value("output", Some('o')),
    value("field-manager", None),
    optional("dry-run", "unchanged"),
    optional("validate", "strict"),
    switch("save-config", None),
];

pub async fn run(arguments: &Arguments) -> Outcome {
    let dry_run = DryRun::of(arguments)?;
    if !arguments.values("filename").is_empty() {
        return from_files(arguments, dry_run).await;
    }
    let connection = Connection::open(arguments).await?;
    let words: Vec<&str> = super::positionals(arguments);
    let (kind, object) = match words.as_slice() {
        ["namespace" | "ns", name] => {
            ("namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
        }
        ["deployment" | "deploy", name] => ("deployments.apps", deployment(arguments, name)?),
        ["configmap" | "cm", name] => {
            let data = literals(arguments)?;
            ("configmaps", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}))
        }
        ["secret", "generic", name] => {
            let encode =
                |value: &Value| base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or_default());
            let data: Map<String, Value> =
                literals(arguments)?.iter().map(|(key, value)| (key.clone(), encode(value).into())).collect();
            (
                "secrets",
                json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": name}, "data": data}),
            )
        }
        [] => return Err(KubectlError::other("must specify one of -f and -k")),
        [kind, ..] => {
            return Err(KubectlError::Absent { what: format!("`kubectl create {kind}` in this form") });
        }
    };
    let resource = connection.resource(kind).await?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if let Some(format) = arguments.value("output")
        && dry_run == DryRun::Client
    {
        let text = if format == "json" { json::pretty(&object) } else { yaml::document(&object) };
        output::print(&text);
        return Ok(0);
    }
    if dry_run != DryRun::Client {
        let path = format!(
            "{}?fieldManager=kubectl-create{}",
            resource.collection(Some(&connection.namespace)),
            dry_run.query()
        );
        connection.post(&path, &object).await.map_err(|error| match error.reason() {
            Some("AlreadyExists" | "NotFound") => error,
            _ if kind == "namespaces" => error,
            _ => KubectlError::other(format!("failed to create {}: {}", select::singular(resource), error.message())),
        })?;
    }
    output::line(&format!("{} created{}", select::label(resource, name), dry_run.remark()));
    Ok(0)
}

fn deployment(arguments: &Arguments, name: &str) -> Result<Value, KubectlError> {
    let image = arguments.value("image").ok_or_else(|| KubectlError::other("required flag(s) \"image\" not set"))?;
    let last = image.rsplit('/').next().unwrap_or(image);
    let container = last.split([':', '@']).next().unwrap_or(last);
    let mut container = json!({"name": container, "image": image, "resources": {}});
    if let Some(port) = arguments.number("port")? {
        container["ports"] = json!([{"containerPort": port}]);
    }
    let labels = json!({"app": name});
    Ok(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": arguments.number("replicas")?.unwrap_or(1),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        }
    }))
}

/// The keys and values of `--from-literal` and `--from-file`.
fn literals(arguments: &Arguments) -> Result<Map<String, Value>, KubectlError> {
    let mut data = Map::new();
    for literal in arguments.values("from-literal") {
        let (key, value) = literal
            .split_once('=')
            .ok_or_else(|| KubectlError::other(format!("invalid literal source {literal}, expected key=value")))?;
        data.insert(key.to_owned(), value.into());
    }
    for source in arguments.values("from-file") {
        let (key, path) = if let Some((key, path)) = source.split_once('=') {
            (key.to_owned(), path)
        } else {
            let name = std::path::Path::new(source).file_name().unwrap_or_default();
            (name.to_string_lossy().into_owned(), source.as_str())
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| KubectlError::other(format!("error reading {path}: {error}")))?;
        data.insert(key, text.into());
    }
    Ok(data)
}

async fn from_files(arguments: &Arguments, dry_run: DryRun) -> Outcome {
    let manifests = manifests::read(arguments)?;
    let connection = Connection::open(arguments).await?;
    let mut errors = Vec::new();
    for manifest in &manifests {
        let created = async {
            let resource = resource_of(&connection, manifest).await?;
            let (object, namespace) = placed(&connection, &resource, manifest, arguments.value("namespace"))?;
            let object = if arguments.is_set("save-config") { super::merge::annotated(&object) } else { object };
            let path = format!(
                "{}?fieldManager=kubectl-create&fieldValidation=Strict{}",
                resource.collection(Some(&namespace)),
                dry_run.query()
            );
            if dry_run != DryRun::Client {
                let context = format!("error when creating \"{}\"", manifest.source);
                connection.post(&path, &object).await.map_err(|error| error.while_doing(&context))?;
            }
            Ok(select::label(&resource, manifest.name()))
        };
        match created.await {
            Ok(label) => output::line(&format!("{label} created{}", dry_run.remark())),
            Err(error) => errors.push(error),
        }
    }
    KubectlError::of(errors).map_or(Ok(0), Err)
}
