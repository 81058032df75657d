//! `kubectl rollout`.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::connection::Connection;
use super::error::KubectlError;
use super::flags::{Arguments, Flag, optional, switch, value};
use super::output::table;
use super::select::{self, Scope};
use super::{Outcome, describe, manifests, output, positionals};
use crate::discovery::Resource;

pub const FLAGS: &[Flag] = &[
    value("revision", None),
    value("to-revision", None),
    value("timeout", None),
    value("selector", Some('l')),
    value("field-manager", None),
    optional("dry-run", "unchanged"),
    switch("watch", Some('w')),
    manifests::FILENAME,
];

/// Between two looks at a roll-out.
const PERIOD: Duration = Duration::from_millis(80);
const MERGE: &str = "application/merge-patch+json";
const REVISION: &str = "deployment.kubernetes.io/revision";

pub async fn run(arguments: &Arguments) -> Outcome {
    let words = positionals(arguments);
    let [verb, objects @ ..] = words.as_slice() else {
        return Err(KubectlError::Plain("Manage the rollout of one or many resources.\n\nAvailable Commands: history, pause, restart, resume, status, undo".into()));
    };
    if !matches!(*verb, "status" | "history" | "undo" | "restart" | "pause" | "resume") {
        return Err(KubectlError::other(format!(
            "unknown command \"{}\"\nSee 'kubectl rollout -h' for help and examples",
            words.join(" ")
        )));
    }
    let connection = Connection::open(arguments).await?;
    let selections = select::parse(&connection, objects, arguments).await?;
    let (found, errors) = select::objects(&connection, &selections, &Scope::of(arguments)).await;
    if let Some(error) = KubectlError::of(errors) {
        return Err(error);
    }
    for (resource, object) in &found {
        let one = Rollout { connection: &connection, resource, object };
        match *verb {
            "status" => one.status(arguments).await?,
            "history" => one.history(arguments).await?,
            "undo" => one.undo(arguments).await?,
            "restart" => one.restart().await?,
            verb => one.pause(verb).await?,
        }
    }
    Ok(0)
}

struct Rollout<'a> {
    connection: &'a Connection,
    resource: &'a Resource,
    object: &'a Value,
}

/// How far a roll-out is, in kubectl's words.
enum Progress {
    Done(String),
    Waiting(String),
    Failed(String),
}

impl Rollout<'_> {
    fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn label(&self) -> String {
        select::label(self.resource, self.name())
    }

    fn path(&self) -> String {
        select::path_of(self.resource, self.object)
    }

    async fn status(&self, arguments: &Arguments) -> Result<(), KubectlError> {
        if !matches!(self.resource.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet") {
            return Err(KubectlError::other(format!(
                "no status viewer has been implemented for {}",
                self.resource.kind
            )));
        }
        let limit = arguments.duration("timeout")?.filter(|limit| !limit.is_zero());
        let begin = Instant::now();
        let mut object = self.object.clone();
        let mut seen = None;
        loop {
            // kubectl speaks at every event of the object, also when it has the same to say.
            let version = object["metadata"]["resourceVersion"].clone();
            if seen.as_ref() != Some(&version) {
                match progress(&self.resource.kind, &object, arguments.number("revision")?)? {
                    Progress::Done(text) => {
                        output::line(&text);
                        return Ok(());
                    }
                    Progress::Failed(text) => return Err(KubectlError::Other(text)),
                    Progress::Waiting(text) => output::line(&text),
                }
                if !arguments.is_not_off("watch") {
                    return Ok(());
                }
                seen = Some(version);
            }
            if limit.is_some_and(|limit| begin.elapsed() > limit) {
                return Err(KubectlError::other("timed out waiting for the condition"));
            }
            tokio::time::sleep(PERIOD).await;
            object = self.connection.get(&self.path()).await?;
        }
    }

    /// The replica sets of a Deployment by revision.
    async fn sets(&self) -> Result<Vec<(u64, Value)>, KubectlError> {
        if self.resource.kind != "Deployment" {
            return Err(KubectlError::Absent { what: format!("the history of a {}", self.resource.kind) });
        }
        let namespace = self.object["metadata"]["namespace"].as_str().unwrap_or_default();
        let list = self.connection.get(&format!("/apis/apps/v1/namespaces/{namespace}/replicasets")).await?;
        let is_owned = |set: &&Value| {
            let owners = set["metadata"]["ownerReferences"].as_array();
            owners.into_iter().flatten().any(|owner| owner["uid"] == self.object["metadata"]["uid"])
        };
        let sets = list["items"].as_array().into_iter().flatten().filter(is_owned);
        let mut sets: Vec<(u64, Value)> = sets.map(|set| (revision(set), set.clone())).collect();
        sets.sort_by_key(|(revision, _)| *revision);
        Ok(sets)
    }

    async fn history(&self, arguments: &Arguments) -> Result<(), KubectlError> {
        let sets = self.sets().await?;
        if let Some(wanted) = arguments.number("revision")?.filter(|revision| *revision > 0) {
            let found = sets.iter().find(|(revision, _)| i64::try_from(*revision) == Ok(wanted));
            let (_, set) = found.ok_or_else(|| KubectlError::other("unable to find the specified revision"))?;
            output::line(&format!("{} with revision #{wanted}", self.label()));
            output::line(&describe::template_text(&set["spec"]["template"]));
            return Ok(());
        }
        output::line(&format!("{} ", self.label()));
        let cause = |set: &Value| {
            let cause = set["metadata"]["annotations"]["kubernetes.io/change-cause"].as_str();
            cause.unwrap_or("<none>").to_owned()
        };
        let mut text = String::from("REVISION\tCHANGE-CAUSE\n");
        for (revision, set) in &sets {
            text.push_str(&format!("{revision}\t{}\n", cause(set)));
        }
        output::line(&table::align(&text, table::DESCRIPTION));
        Ok(())
    }

    async fn undo(&self, arguments: &Arguments) -> Result<(), KubectlError> {
        let sets = self.sets().await?;
        let current = revision(self.object);
        if self.object["spec"]["paused"] == true {
            return Err(KubectlError::other(format!(
                "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume {}' and try again",
                self.label()
            )));
        }
        let target = match arguments.number("to-revision")?.filter(|revision| *revision > 0) {
            Some(wanted) => sets
                .iter()
                .find(|(revision, _)| i64::try_from(*revision) == Ok(wanted))
                .ok_or_else(|| KubectlError::other(format!("unable to find specified revision {wanted} in history")))?,
            None => sets.iter().rfind(|(revision, _)| *revision < current).ok_or_else(|| {
                KubectlError::other(format!("no rollout history found for deployment \"{}\"", self.name()))
            })?,
        };
        let mut template = target.1["spec"]["template"].clone();
        if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
            labels.remove("pod-template-hash");
        }
        let mut live = self.object["spec"]["template"].clone();
        if let Some(labels) = live["metadata"]["labels"].as_object_mut() {
            labels.remove("pod-template-hash");
        }
        if template == live {
            output::line(&format!(
                "{} skipped rollback (current template already matches revision {})",
                self.label(),
                target.0
            ));
            return Ok(());
        }
        let patch = json!([{"op": "replace", "path": "/spec/template", "value": template}]);
        let path = format!("{}?fieldManager=kubectl-rollout", self.path());
        self.connection.patch(&path, "application/json-patch+json", &patch).await?;
        output::line(&format!("{} rolled back", self.label()));
        Ok(())
    }

    async fn restart(&self) -> Result<(), KubectlError> {
        if self.object["spec"]["paused"] == true {
            return Err(KubectlError::other("can't restart paused deployment (run rollout resume first)"));
        }
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string();
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": now});
        let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        self.connection.patch(&format!("{}?fieldManager=kubectl-rollout", self.path()), MERGE, &patch).await?;
        output::line(&format!("{} restarted", self.label()));
        Ok(())
    }

    async fn pause(&self, verb: &str) -> Result<(), KubectlError> {
        let is_paused = self.object["spec"]["paused"] == true;
        let participle = if verb == "pause" { "paused" } else { "resumed" };
        if is_paused == (verb == "pause") {
            let state = if is_paused { "already paused" } else { "not paused" };
            return Err(KubectlError::other(format!("{} is {state}", self.label().replacen('/', " \"", 1) + "\"")));
        }
        let value = if verb == "pause" { json!(true) } else { Value::Null };
        let path = format!("{}?fieldManager=kubectl-rollout", self.path());
        self.connection.patch(&path, MERGE, &json!({"spec": {"paused": value}})).await?;
        output::line(&format!("{} {participle}", self.label()));
        Ok(())
    }
}

fn revision(object: &Value) -> u64 {
    let text = object["metadata"]["annotations"][REVISION].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn progress(kind: &str, object: &Value, wanted_revision: Option<i64>) -> Result<Progress, KubectlError> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let observed = number("observedGeneration") >= object["metadata"]["generation"].as_i64().unwrap_or(0);
    let replicas = spec["replicas"].as_i64().unwrap_or(1);
    match kind {
        "Deployment" => {
            if let Some(wanted) = wanted_revision.filter(|wanted| *wanted > 0)
                && u64::try_from(wanted) != Ok(revision(object))
            {
                return Err(KubectlError::other(format!(
                    "desired revision ({wanted}) is different from the running revision ({})",
                    revision(object)
                )));
            }
            Ok(if observed {
                deployment(name, status, replicas)
            } else {
                Progress::Waiting("Waiting for deployment spec update to be observed...".into())
            })
        }
        "DaemonSet" => Ok(if !observed {
            Progress::Waiting("Waiting for daemon set spec update to be observed...".into())
        } else if number("updatedNumberScheduled") < number("desiredNumberScheduled") {
            let (updated, wanted) = (number("updatedNumberScheduled"), number("desiredNumberScheduled"));
            Progress::Waiting(format!(
                "Waiting for daemon set \"{name}\" rollout to finish: {updated} out of {wanted} new pods have been updated..."
            ))
        } else if number("numberAvailable") < number("desiredNumberScheduled") {
            let (available, wanted) = (number("numberAvailable"), number("desiredNumberScheduled"));
            Progress::Waiting(format!(
                "Waiting for daemon set \"{name}\" rollout to finish: {available} of {wanted} updated pods are available..."
            ))
        } else {
            Progress::Done(format!("daemon set \"{name}\" successfully rolled out"))
        }),
        _ => Ok(if !observed {
            Progress::Waiting("Waiting for statefulset spec update to be observed...".into())
        } else if number("readyReplicas") < replicas {
            Progress::Waiting(format!("Waiting for {} pods to be ready...", replicas - number("readyReplicas")))
        } else if status["updateRevision"] != status["currentRevision"] {
            Progress::Waiting(format!(
                "waiting for statefulset rolling update to complete {} pods at revision {}...",
                number("updatedReplicas"),
                status["updateRevision"].as_str().unwrap_or_default()
            ))
        } else {
            Progress::Done(format!(
                "statefulset rolling update complete {} pods at revision {}...",
                number("currentReplicas"),
                status["currentRevision"].as_str().unwrap_or_default()
            ))
        }),
    }
}

fn deployment(name: &str, status: &Value, replicas: i64) -> Progress {
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let conditions = status["conditions"].as_array();
    let late = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Progressing" && condition["reason"] == "ProgressDeadlineExceeded");
    let (updated, all, available) = (number("updatedReplicas"), number("replicas"), number("availableReplicas"));
    let waiting =
        |what: String| Progress::Waiting(format!("Waiting for deployment \"{name}\" rollout to finish: {what}..."));
    if late {
        Progress::Failed(format!("deployment \"{name}\" exceeded its progress deadline"))
    } else if updated < replicas {
        waiting(format!("{updated} out of {replicas} new replicas have been updated"))
    } else if all > updated {
        waiting(format!("{} old replicas are pending termination", all - updated))
    } else if available < updated {
        waiting(format!("{available} of {updated} updated replicas are available"))
    } else {
        Progress::Done(format!("deployment \"{name}\" successfully rolled out"))
    }
}
