//! `kubectl delete`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::apply::{placed, resource_of};
use super::connection::Connection;
use super::error::KubectlError;
use super::flags::{Arguments, Flag, optional, switch, value};
use super::select::{self, Scope, Selection};
use super::{Outcome, manifests, output, positionals};
use crate::discovery::Resource;

pub const FLAGS: &[Flag] = &[
    manifests::FILENAME,
    manifests::RECURSIVE,
    value("selector", Some('l')),
    value("field-selector", None),
    value("grace-period", None),
    value("timeout", None),
    value("output", Some('o')),
    optional("cascade", "background"),
    optional("dry-run", "unchanged"),
    switch("all", None),
    switch("all-namespaces", Some('A')),
    switch("wait", None),
    switch("force", None),
    switch("now", None),
    switch("ignore-not-found", None),
];

/// Between two looks whether an object is gone.
const PERIOD: Duration = Duration::from_millis(60);

/// An object that is to go.
struct Target {
    resource: Resource,
    namespace: String,
    name: String,
}

pub async fn run(arguments: &Arguments) -> Outcome {
    let from_files = !arguments.values("filename").is_empty();
    if !from_files && arguments.positional.is_empty() {
        return Err(KubectlError::other(
            "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'",
        ));
    }
    let connection = Connection::open(arguments).await?;
    let (targets, mut errors) =
        if from_files { of_files(&connection, arguments).await? } else { of_words(&connection, arguments).await? };
    if targets.is_empty() && errors.is_empty() {
        output::complain("No resources found");
        return Ok(0);
    }
    let grace = if arguments.is_set("now") { Some(1) } else { arguments.number("grace-period")? };
    let force = arguments.is_set("force");
    if force {
        output::complain(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.",
        );
    }
    let options = options(arguments, grace, force)?;
    let mut waiting = Vec::new();
    for target in targets {
        let path = target.resource.object(&target.namespace, &target.name);
        let dry_run = super::apply::DryRun::of(arguments)?;
        let remark = dry_run.remark();
        if dry_run != super::apply::DryRun::Client {
            match connection.delete(&format!("{path}?{}", dry_run.query()), &options).await {
                Ok(_) => {}
                Err(error) if error.is_not_found() && arguments.is_set("ignore-not-found") => continue,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            }
        }
        let kind = select::singular(&target.resource);
        let group =
            if target.resource.group.is_empty() { String::new() } else { format!(".{}", target.resource.group) };
        let done = if force { "force deleted" } else { "deleted" };
        match arguments.value("output") {
            Some("name") => output::line(&select::label(&target.resource, &target.name)),
            _ => output::line(&format!("{kind}{group} \"{}\" {done}{remark}", target.name)),
        }
        if dry_run == super::apply::DryRun::No {
            waiting.push(path);
        }
    }
    if arguments.is_not_off("wait") {
        let limit = arguments.duration("timeout")?.filter(|limit| !limit.is_zero());
        for path in waiting {
            wait_for_absence(&connection, &path, limit).await?;
        }
    }
    KubectlError::of(errors).map_or(Ok(0), Err)
}

fn options(arguments: &Arguments, grace: Option<i64>, force: bool) -> Result<Value, KubectlError> {
    let propagation = match arguments.value("cascade") {
        None | Some("background" | "true") => "Background",
        Some("foreground") => "Foreground",
        Some("orphan" | "false") => "Orphan",
        Some(other) => {
            return Err(KubectlError::other(format!(
                "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
            )));
        }
    };
    let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation});
    let grace = grace.filter(|seconds| *seconds >= 0).or(force.then_some(0));
    if let Some(seconds) = grace {
        options["gracePeriodSeconds"] = seconds.into();
    }
    Ok(options)
}

type Targets = (Vec<Target>, Vec<KubectlError>);

async fn of_files(connection: &Connection, arguments: &Arguments) -> Result<Targets, KubectlError> {
    let mut targets = Vec::new();
    for manifest in manifests::read(arguments)? {
        let resource = resource_of(connection, &manifest).await?;
        let (_, namespace) = placed(connection, &resource, &manifest, arguments.value("namespace"))?;
        targets.push(Target { resource, namespace, name: manifest.name().to_owned() });
    }
    Ok((targets, Vec::new()))
}

async fn of_words(connection: &Connection, arguments: &Arguments) -> Result<Targets, KubectlError> {
    let scope = Scope::of(arguments);
    let selections = select::parse(connection, &positionals(arguments), arguments).await?;
    let is_named = selections.iter().any(|selection| selection.name.is_some());
    if !is_named && !scope.narrows() && !arguments.is_set("all") {
        return Err(KubectlError::other("resource(s) were provided, but no name was specified"));
    }
    let (named, collections): (Vec<Selection>, Vec<Selection>) =
        selections.into_iter().partition(|selection| selection.name.is_some());
    let mut targets: Vec<Target> = named
        .into_iter()
        .filter_map(|selection| {
            let name = selection.name?;
            Some(Target { resource: selection.resource, namespace: connection.namespace.clone(), name })
        })
        .collect();
    let (found, errors) = select::objects(connection, &collections, &scope).await;
    targets.extend(found.into_iter().map(|(resource, object)| {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        Target { resource, namespace: text("namespace"), name: text("name") }
    }));
    Ok((targets, errors))
}

async fn wait_for_absence(connection: &Connection, path: &str, limit: Option<Duration>) -> Result<(), KubectlError> {
    let begin = Instant::now();
    let mut uid: Option<Value> = None;
    loop {
        match connection.get(path).await {
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
            // Another object of the same name is not the one that was deleted.
            Ok(object) if uid.as_ref().is_some_and(|uid| *uid != object["metadata"]["uid"]) => return Ok(()),
            Ok(object) if object["metadata"]["deletionTimestamp"].is_null() && uid.is_none() => return Ok(()),
            Ok(object) => uid = Some(object["metadata"]["uid"].clone()),
        }
        if limit.is_some_and(|limit| begin.elapsed() > limit) {
            return Err(KubectlError::other(format!(
                "timed out waiting for the condition on {}",
                path.trim_start_matches('/')
            )));
        }
        tokio::time::sleep(PERIOD).await;
    }
}
