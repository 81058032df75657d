//! `kubectl version`, `cluster-info`, `api-resources`, `api-versions`, `config`.

use serde_json::{Value, json};

use super::connection::{Connection, kubeconfig_paths, read_kubeconfig};
use super::error::KubectlError;
use super::flags::{Arguments, Flag, switch, value};
use super::output::{json, table, yaml};
use super::{Outcome, output, positionals};

pub const VERSION_FLAGS: &[Flag] = &[switch("client", None), value("output", Some('o')), switch("short", None)];
pub const RESOURCES_FLAGS: &[Flag] = &[
    value("output", Some('o')),
    value("api-group", None),
    value("sort-by", None),
    value("verbs", None),
    value("categories", None),
    value("namespaced", None),
    switch("no-headers", None),
    switch("cached", None),
];
pub const CONFIG_FLAGS: &[Flag] = &[
    value("output", Some('o')),
    switch("current", None),
    switch("minify", None),
    switch("raw", None),
    switch("flatten", None),
    switch("no-headers", None),
];

/// The kubectl whose words and tables these are.
const LIKE: &str = "1.32";

pub async fn version(arguments: &Arguments) -> Outcome {
    let client = format!("v{LIKE}.0+tutorial.{}", env!("CARGO_PKG_VERSION"));
    let server = if arguments.is_set("client") {
        None
    } else {
        let connection = Connection::open(arguments).await?;
        Some(connection.get("/version").await)
    };
    let server_version = server.as_ref().and_then(|server| server.as_ref().ok());
    match arguments.value("output") {
        Some(format @ ("json" | "yaml")) => {
            let mut value =
                json!({"clientVersion": {"gitVersion": client, "major": "1", "minor": "32", "builtIn": true}});
            if let Some(server) = server_version {
                value["serverVersion"] = server.clone();
            }
            let text =
                if format == "json" { json::pretty(&value).replace("    ", "  ") } else { yaml::document(&value) };
            output::print(&text);
        }
        Some(other) => return Err(KubectlError::other(format!("--output must be 'yaml' or 'json', not '{other}'"))),
        None => {
            output::line(&format!("Client Version: {client} (built into tutorial)"));
            if let Some(server) = server_version {
                output::line(&format!("Server Version: {}", server["gitVersion"].as_str().unwrap_or_default()));
            }
        }
    }
    match server {
        Some(Err(error)) => Err(error),
        _ => Ok(0),
    }
}

pub async fn cluster_info(arguments: &Arguments) -> Outcome {
    if !arguments.positional.is_empty() {
        return Err(KubectlError::Absent {
            what: format!("`kubectl cluster-info {}`", arguments.positional.join(" ")),
        });
    }
    let connection = Connection::open(arguments).await?;
    connection.get("/version").await?;
    output::line(&format!("Kubernetes control plane is running at https://{}", connection.host));
    output::print("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n");
    Ok(0)
}

pub async fn api_resources(arguments: &Arguments) -> Outcome {
    let connection = Connection::open(arguments).await?;
    let discovery = connection.discovery().await?;
    let namespaced = arguments.value("namespaced").map(|value| value == "true");
    let mut resources: Vec<_> = discovery
        .resources
        .iter()
        .filter(|resource| namespaced.is_none_or(|namespaced| resource.namespaced == namespaced))
        .filter(|resource| arguments.value("api-group").is_none_or(|group| resource.group == group))
        .filter(|resource| {
            let verbs = arguments.value("verbs").unwrap_or_default();
            verbs
                .split(',')
                .filter(|verb| !verb.is_empty())
                .all(|verb| resource.verbs.iter().any(|known| known == verb))
        })
        .collect();
    match arguments.value("sort-by") {
        Some("name") => resources.sort_by(|left, right| left.plural.cmp(&right.plural)),
        Some("kind") => resources.sort_by(|left, right| left.kind.cmp(&right.kind)),
        _ => resources.sort_by(|left, right| (&left.group, &left.plural).cmp(&(&right.group, &right.plural))),
    }
    if arguments.value("output") == Some("name") {
        for resource in &resources {
            output::line(&resource.qualified());
        }
        return Ok(0);
    }
    let wide = arguments.value("output") == Some("wide");
    let mut rows = Vec::new();
    if !arguments.is_set("no-headers") {
        let header = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "VERBS", "CATEGORIES"];
        rows.push(header.iter().take(if wide { 7 } else { 5 }).map(|&title| title.to_owned()).collect());
    }
    for resource in resources {
        let mut row = vec![
            resource.plural.clone(),
            resource.short_names.join(","),
            resource.api_version(),
            resource.namespaced.to_string(),
            resource.kind.clone(),
        ];
        if wide {
            row.extend([resource.verbs.join(","), resource.categories.join(",")]);
        }
        rows.push(row);
    }
    output::print(&table::rows(&rows));
    Ok(0)
}

pub async fn api_versions(arguments: &Arguments) -> Outcome {
    let connection = Connection::open(arguments).await?;
    let core = connection.get("/api").await?;
    let groups = connection.get("/apis").await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut versions: Vec<String> = core["versions"].as_array().into_iter().flatten().map(text).collect();
    for group in groups["groups"].as_array().into_iter().flatten() {
        let served = group["versions"].as_array().into_iter().flatten();
        versions.extend(served.map(|version| text(&version["groupVersion"])));
    }
    versions.sort();
    for version in &versions {
        output::line(version);
    }
    Ok(0)
}

/// `current-context`, `view`, `get-contexts`, and the two that write: `use-context`, `set-context --current`.
pub fn config(arguments: &Arguments) -> Outcome {
    let words = positionals(arguments);
    let kubeconfig = read_kubeconfig(arguments)?;
    let current = kubeconfig.current_context.clone().unwrap_or_default();
    match words.as_slice() {
        ["current-context"] => {
            if current.is_empty() {
                return Err(KubectlError::other("current-context is not set"));
            }
            output::line(&current);
        }
        ["view"] => {
            let mut value =
                serde_json::to_value(&kubeconfig).map_err(|error| KubectlError::other(error.to_string()))?;
            without_nulls(&mut value);
            if value["preferences"].is_null() {
                value["preferences"] = json!({});
            }
            if !arguments.is_set("raw") {
                hide(&mut value);
            }
            output::print(&if arguments.value("output") == Some("json") {
                json::pretty(&value)
            } else {
                yaml::document(&value)
            });
        }
        ["get-contexts"] => contexts(&kubeconfig, &current, arguments),
        ["use-context", name] => {
            if !kubeconfig.contexts.iter().any(|context| context.name == *name) {
                return Err(KubectlError::other(format!("no context exists with the name: \"{name}\"")));
            }
            edit(arguments, |file| file["current-context"] = (*name).into())?;
            output::line(&format!("Switched to context \"{name}\"."));
        }
        ["set-context", rest @ ..] if arguments.is_set("current") || !rest.is_empty() => {
            let name = rest.first().map_or(current.as_str(), |name| *name);
            let namespace = arguments.value("namespace").unwrap_or_default();
            edit(arguments, |file| {
                let contexts = file["contexts"].as_array_mut().into_iter().flatten();
                for context in contexts.filter(|context| context["name"] == name) {
                    context["context"]["namespace"] = namespace.into();
                }
            })?;
            output::line(&format!("Context \"{name}\" modified."));
        }
        words => return Err(KubectlError::Absent { what: format!("`kubectl config {}`", words.join(" ")) }),
    }
    Ok(0)
}

fn contexts(kubeconfig: &kube::config::Kubeconfig, current: &str, arguments: &Arguments) {
    let mut rows = Vec::new();
    if !arguments.is_set("no-headers") {
        rows.push(["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"].map(str::to_owned).to_vec());
    }
    for named in &kubeconfig.contexts {
        let context = named.context.clone().unwrap_or_default();
        let sign = if named.name == current { "*" } else { "" };
        rows.push(vec![
            sign.to_owned(),
            named.name.clone(),
            context.cluster,
            context.user.unwrap_or_default(),
            context.namespace.unwrap_or_default(),
        ]);
    }
    output::print(&table::rows(&rows));
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Replaces what is secret, as kubectl does.
fn hide(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match key.as_str() {
                    "certificate-authority-data" | "client-certificate-data" | "client-key-data"
                        if value.is_string() =>
                    {
                        *value = "DATA+OMITTED".into();
                    }
                    "token" | "password" if value.is_string() => *value = "REDACTED".into(),
                    _ => hide(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

/// Changes the first kubeconfig file.
fn edit(arguments: &Arguments, change: impl FnOnce(&mut Value)) -> Result<(), KubectlError> {
    let paths = kubeconfig_paths(arguments);
    let path = paths.first().ok_or_else(|| KubectlError::other("no kubeconfig"))?;
    let failed = |error: &dyn std::fmt::Display| KubectlError::other(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    let mut file: Value = serde_yaml::from_str(&text).map_err(|error| failed(&error))?;
    change(&mut file);
    let directory = path.parent().unwrap_or(std::path::Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(directory).map_err(|error| failed(&error))?;
    std::io::Write::write_all(&mut temporary, yaml::document(&file).as_bytes()).map_err(|error| failed(&error))?;
    temporary.persist(path).map_err(|error| failed(&error))?;
    Ok(())
}
