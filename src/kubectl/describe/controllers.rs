//! Deployments, replica sets and what else makes pods.

use serde_json::Value;

use super::super::output::age;
use super::{Text, name, number, plain, selector_of, template, text_of};

pub fn deployment(text: &mut Text, object: &Value, sets: &[Value]) {
    let spec = &object["spec"];
    let status = &object["status"];
    text.field(0, "Name", name(object));
    text.field(0, "Namespace", text_of(&object["metadata"]["namespace"]));
    text.field(0, "CreationTimestamp", &age::long(text_of(&object["metadata"]["creationTimestamp"])));
    text.labels(0, object);
    text.annotations(0, object);
    text.field(0, "Selector", &selector_of(object));
    text.field(
        0,
        "Replicas",
        &format!(
            "{} desired | {} updated | {} total | {} available | {} unavailable",
            spec["replicas"].as_u64().unwrap_or(1),
            number(&status["updatedReplicas"]),
            number(&status["replicas"]),
            number(&status["availableReplicas"]),
            number(&status["unavailableReplicas"])
        ),
    );
    text.field(0, "StrategyType", text_of(&spec["strategy"]["type"]));
    text.field(0, "MinReadySeconds", &number(&spec["minReadySeconds"]).to_string());
    let rolling = &spec["strategy"]["rollingUpdate"];
    if rolling.is_object() {
        let (unavailable, surge) = (plain(&rolling["maxUnavailable"]), plain(&rolling["maxSurge"]));
        text.field(0, "RollingUpdateStrategy", &format!("{unavailable} max unavailable, {surge} max surge"));
    }
    template::pod_template(text, &spec["template"]);
    conditions(text, status);
    let mut owned: Vec<&Value> = sets.iter().filter(|set| is_owned(set, object)).collect();
    owned.sort_by_key(|set| revision(set));
    let current = owned.iter().position(|set| revision(set) == revision(object)).map(|index| owned.remove(index));
    let shown = |set: &&Value| {
        let replicas = set["spec"]["replicas"].as_u64().unwrap_or(0);
        format!("{} ({}/{replicas} replicas created)", name(set), number(&set["status"]["replicas"]))
    };
    let old: Vec<String> = owned.iter().map(shown).collect();
    text.field(0, "OldReplicaSets", if old.is_empty() { "<none>".to_owned() } else { old.join(", ") }.as_str());
    text.field(0, "NewReplicaSet", &current.as_ref().map_or_else(|| "<none>".to_owned(), shown));
}

fn conditions(text: &mut Text, status: &Value) {
    let Some(conditions) = status["conditions"].as_array().filter(|conditions| !conditions.is_empty()) else { return };
    text.line(0, "Conditions:");
    text.line(1, "Type\tStatus\tReason");
    text.line(1, "----\t------\t------");
    for condition in conditions {
        text.line(
            1,
            &format!(
                "{} \t{}\t{}",
                text_of(&condition["type"]),
                text_of(&condition["status"]),
                text_of(&condition["reason"])
            ),
        );
    }
}

fn is_owned(set: &Value, owner: &Value) -> bool {
    let owners = set["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().any(|reference| reference["uid"] == owner["metadata"]["uid"])
}

/// The revision that the Deployment controller notes.
pub fn revision(object: &Value) -> u64 {
    let annotation = &object["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
    annotation.as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// A replica set, stateful set, daemon set or job, with how its pods are.
pub fn with_pods(text: &mut Text, object: &Value, pods: &[Value]) {
    let kind = text_of(&object["kind"]);
    let (spec, status) = (&object["spec"], &object["status"]);
    text.field(0, "Name", name(object));
    text.field(0, "Namespace", text_of(&object["metadata"]["namespace"]));
    if kind == "StatefulSet" {
        text.field(0, "CreationTimestamp", &age::long(text_of(&object["metadata"]["creationTimestamp"])));
    }
    text.field(0, "Selector", &selector_of(object));
    if kind == "DaemonSet" {
        text.field(0, "Node-Selector", "<none>");
    }
    text.labels(0, object);
    text.annotations(0, object);
    if let Some(owner) = controller(object) {
        text.field(0, "Controlled By", &owner);
    }
    match kind {
        "ReplicaSet" => {
            let wanted = spec["replicas"].as_u64().unwrap_or(1);
            text.field(0, "Replicas", &format!("{} current / {wanted} desired", number(&status["replicas"])));
        }
        "StatefulSet" => {
            let wanted = spec["replicas"].as_u64().unwrap_or(1);
            text.field(0, "Replicas", &format!("{wanted} desired | {} total", number(&status["replicas"])));
            text.field(0, "Update Strategy", text_of(&spec["updateStrategy"]["type"]));
        }
        "DaemonSet" => daemon_set_counts(text, status),
        _ => job_counts(text, spec, status),
    }
    let owned: Vec<&Value> = pods.iter().filter(|pod| is_owned(pod, object)).collect();
    let in_phase = |phase: &str| owned.iter().filter(|pod| pod["status"]["phase"] == phase).count();
    if kind == "Job" {
        let ready = number(&status["ready"]);
        let counts = format!(
            "{} Active ({ready} Ready) / {} Succeeded / {} Failed",
            number(&status["active"]),
            number(&status["succeeded"]),
            number(&status["failed"])
        );
        text.field(0, "Pods Statuses", &counts);
    } else {
        let counts = format!(
            "{} Running / {} Waiting / {} Succeeded / {} Failed",
            in_phase("Running"),
            in_phase("Pending"),
            in_phase("Succeeded"),
            in_phase("Failed")
        );
        text.field(0, "Pods Status", &counts);
    }
    template::pod_template(text, &spec["template"]);
}

fn daemon_set_counts(text: &mut Text, status: &Value) {
    let counts = [
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ];
    for (label, field) in counts {
        text.line(0, &format!("{label}: {}", number(&status[field])));
    }
}

fn job_counts(text: &mut Text, spec: &Value, status: &Value) {
    let count = |field: &str| spec[field].as_u64().map_or_else(|| "<unset>".to_owned(), |count| count.to_string());
    text.field(0, "Parallelism", &count("parallelism"));
    text.field(0, "Completions", &count("completions"));
    if let Some(start) = status["startTime"].as_str() {
        text.field(0, "Start Time", &age::long(start));
    }
    if let Some(end) = status["completionTime"].as_str() {
        text.field(0, "Completed At", &age::long(end));
    }
}

/// `Deployment/web`.
pub fn controller(object: &Value) -> Option<String> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some(format!("{}/{}", text_of(&owner["kind"]), text_of(&owner["name"])))
}
