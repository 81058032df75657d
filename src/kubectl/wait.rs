//! `kubectl wait`.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::connection::Connection;
use super::error::KubectlError;
use super::flags::{Arguments, Flag, switch, value};
use super::output::jsonpath;
use super::select::{self, Scope};
use super::{Outcome, manifests, output, positionals};

pub const FLAGS: &[Flag] = &[
    value("for", None),
    value("timeout", None),
    value("selector", Some('l')),
    value("field-selector", None),
    manifests::FILENAME,
    switch("all", None),
    switch("all-namespaces", Some('A')),
];

const PERIOD: Duration = Duration::from_millis(80);

/// What is waited for.
enum Goal {
    Deletion,
    Creation,
    Condition { name: String, status: String },
    JsonPath { template: String, value: Option<String> },
}

fn goal(arguments: &Arguments) -> Result<Goal, KubectlError> {
    let text = arguments.value("for").ok_or_else(|| KubectlError::other("required flag(s) \"for\" not set"))?;
    match text.split_once('=') {
        None if text == "delete" => Ok(Goal::Deletion),
        None if text == "create" => Ok(Goal::Creation),
        Some(("condition", condition)) => {
            let (name, status) = condition.split_once('=').unwrap_or((condition, "true"));
            Ok(Goal::Condition { name: name.to_lowercase(), status: status.to_lowercase() })
        }
        Some(("jsonpath", path)) => {
            let end = path.rfind('}').map_or(path.len(), |end| end + 1);
            let path_text = path[..end].trim_matches('\'');
            let value = path[end..]
                .trim_start_matches('\'')
                .strip_prefix('=')
                .map(|value| value.trim_matches(['\'', '"']).to_owned());
            Ok(Goal::JsonPath { template: path_text.to_owned(), value })
        }
        _ => Err(KubectlError::other(format!("unrecognized condition: \"{text}\""))),
    }
}

pub async fn run(arguments: &Arguments) -> Outcome {
    let goal = goal(arguments)?;
    let limit = arguments.duration("timeout")?.unwrap_or(Duration::from_secs(30));
    let connection = Connection::open(arguments).await?;
    let selections = select::parse(&connection, &positionals(arguments), arguments).await?;
    let begin = Instant::now();
    let (found, errors) = loop {
        let (found, errors) = select::objects(&connection, &selections, &Scope::of(arguments)).await;
        let is_awaited = matches!(goal, Goal::Creation) && (found.is_empty() || !errors.is_empty());
        if !is_awaited || begin.elapsed() > limit {
            break (found, errors);
        }
        tokio::time::sleep(PERIOD).await;
    };
    if !matches!(goal, Goal::Deletion)
        && let Some(error) = KubectlError::of(errors)
    {
        return Err(error);
    }
    if found.is_empty() && !matches!(goal, Goal::Deletion) {
        return Err(KubectlError::other("no matching resources found"));
    }
    let mut failures = Vec::new();
    for (resource, object) in found {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let label = select::label(&resource, name);
        let path = select::path_of(&resource, &object);
        let uid = object["metadata"]["uid"].clone();
        loop {
            let live = match connection.get(&path).await {
                Ok(live) => Some(live).filter(|live| live["metadata"]["uid"] == uid),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error),
            };
            if holds(&goal, live.as_ref())? {
                output::line(&format!("{label} condition met"));
                break;
            }
            if live.is_none() {
                return Err(KubectlError::Plain(format!(
                    "Error from server (NotFound): {} \"{name}\" not found",
                    resource.qualified()
                )));
            }
            if begin.elapsed() >= limit {
                failures.push(KubectlError::other(format!(
                    "timed out waiting for the condition on {}/{name}",
                    resource.plural
                )));
                break;
            }
            tokio::time::sleep(PERIOD).await;
        }
    }
    KubectlError::of(failures).map_or(Ok(0), Err)
}

fn holds(goal: &Goal, object: Option<&Value>) -> Result<bool, KubectlError> {
    let Some(object) = object else { return Ok(matches!(goal, Goal::Deletion)) };
    match goal {
        Goal::Deletion => Ok(false),
        Goal::Creation => Ok(true),
        Goal::Condition { name, status } => {
            let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            let lower = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
            Ok(conditions.into_iter().any(|one| lower(&one["type"]) == *name && lower(&one["status"]) == *status))
        }
        Goal::JsonPath { template, value } => {
            let found = jsonpath::evaluate(template, object).map_err(KubectlError::Other)?;
            Ok(value.as_ref().map_or(!found.is_empty(), |value| found == *value))
        }
    }
}
