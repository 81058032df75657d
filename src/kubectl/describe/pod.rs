//! Pods.

use serde_json::Value;

use super::super::output::age;
use super::controllers::controller;
use super::{Text, name, number, pairs, plain, template, text_of};

pub fn pod(text: &mut Text, object: &Value) {
    let (metadata, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    text.field(0, "Name", name(object));
    text.field(0, "Namespace", text_of(&metadata["namespace"]));
    if spec["priority"].is_i64() {
        text.field(0, "Priority", &plain(&spec["priority"]));
    }
    if let Some(class) = spec["priorityClassName"].as_str() {
        text.field(0, "Priority Class Name", class);
    }
    text.field(0, "Service Account", text_of(&spec["serviceAccountName"]));
    match spec["nodeName"].as_str().filter(|node| !node.is_empty()) {
        Some(node) => text.field(0, "Node", &format!("{node}/{}", text_of(&status["hostIP"]))),
        None => text.field(0, "Node", "<none>"),
    }
    if let Some(start) = status["startTime"].as_str() {
        text.field(0, "Start Time", &age::long(start));
    }
    text.labels(0, object);
    text.annotations(0, object);
    phase(text, metadata, status);
    for (label, field) in [("Reason", "reason"), ("Message", "message")] {
        if let Some(value) = status[field].as_str().filter(|value| !value.is_empty()) {
            text.field(0, label, value);
        }
    }
    text.field(0, "IP", text_of(&status["podIP"]));
    let addresses = status["podIPs"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    if addresses.is_empty() {
        text.field(0, "IPs", "<none>");
    } else {
        text.line(0, "IPs:");
        for address in addresses {
            text.field(1, "IP", text_of(&address["ip"]));
        }
    }
    if let Some(owner) = controller(object) {
        text.field(0, "Controlled By", &owner);
    }
    if spec["initContainers"].as_array().is_some_and(|containers| !containers.is_empty()) {
        template::containers(
            text,
            0,
            "Init Containers",
            &spec["initContainers"],
            &status_or_empty(&status["initContainerStatuses"]),
        );
    }
    template::containers(text, 0, "Containers", &spec["containers"], &status_or_empty(&status["containerStatuses"]));
    conditions(text, status);
    template::volumes(text, 0, &spec["volumes"]);
    text.field(0, "QoS Class", text_of(&status["qosClass"]));
    text.values(0, "Node-Selectors", &pairs(&spec["nodeSelector"], "="));
    text.values(0, "Tolerations", &template::tolerations(spec));
}

fn status_or_empty(statuses: &Value) -> Value {
    if statuses.is_array() { statuses.clone() } else { Value::Null }
}

fn phase(text: &mut Text, metadata: &Value, status: &Value) {
    match metadata["deletionTimestamp"].as_str() {
        Some(time) => {
            let past = age::since(time, jiff::Timestamp::now());
            text.field(0, "Status", &format!("Terminating (lasts {past})"));
            let grace = number(&metadata["deletionGracePeriodSeconds"]);
            text.field(0, "Termination Grace Period", &format!("{grace}s"));
        }
        None => text.field(0, "Status", text_of(&status["phase"])),
    }
}

fn conditions(text: &mut Text, status: &Value) {
    let Some(conditions) = status["conditions"].as_array().filter(|conditions| !conditions.is_empty()) else { return };
    text.line(0, "Conditions:");
    text.line(1, "Type\tStatus");
    for condition in conditions {
        text.line(1, &format!("{} \t{} ", text_of(&condition["type"]), text_of(&condition["status"])));
    }
}
