use serde_json::{Value, json};

use super::super::schema::{self, Kind};
use super::*;

fn recorded() -> Vec<Value> {
    include_str!("../../../../tests/golden/requests.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("recorded JSON"))
        .collect()
}

/// The kind that a request of the recording is about, where the cluster serves it.
fn kind_of(request: &Value) -> Option<&'static Kind> {
    let body = &request["body"];
    schema::by_kind(body["apiVersion"].as_str()?, body["kind"].as_str()?)
}

/// Every recorded refusal of a creation that needs no other object, word for word.
#[test]
fn creations_are_refused_as_recorded() {
    let elsewhere = ["name or generateName", "already allocated", "valid range", "failed to allocate"];
    let mut seen = 0;
    for request in recorded().iter().filter(|request| request["method"] == "POST" && request["status"] == 422) {
        let message = request["response"]["message"].as_str().expect("a message");
        let Some(kind) = kind_of(request) else { continue };
        if elsewhere.iter().any(|part| message.contains(part)) {
            continue;
        }
        let mut object = request["body"].clone();
        set_defaults(kind, &mut object);
        let found: Vec<Value> = validate_create(kind, &object)
            .into_iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        assert_eq!(Value::Array(found), request["response"]["details"]["causes"], "{}", request["title"]);
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

/// What a recorded creation stored, but for what the registry and the controllers add.
#[test]
fn creations_get_the_recorded_defaults() {
    let mut seen = 0;
    for request in recorded().iter().filter(|request| request["method"] == "POST" && request["status"] == 201) {
        let Some(kind) = kind_of(request) else { continue };
        if !matches!(kind.name, "Deployment" | "ConfigMap" | "Secret") {
            continue;
        }
        let mut object = request["body"].clone();
        set_defaults(kind, &mut object);
        for part in ["spec", "data", "type", "immutable"] {
            assert_eq!(object.get(part), request["response"].get(part), "{} {part}", request["title"]);
        }
        assert_eq!(validate_create(kind, &object), [], "{}", request["title"]);
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn images_without_a_tag_are_always_pulled() {
    let policy = |image: &str| {
        let mut pod = json!({"spec": {"containers": [{"name": "a", "image": image}]}});
        set_defaults(schema::by_kind("v1", "Pod").expect("served"), &mut pod);
        pod["spec"]["containers"][0]["imagePullPolicy"].as_str().unwrap_or_default().to_owned()
    };
    for (image, expected) in [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.29", "IfNotPresent"),
        ("localhost:5001/app", "Always"),
        ("localhost:5001/app:1", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
    ] {
        assert_eq!(policy(image), expected, "{image}");
    }
}

#[test]
fn quantities_compare() {
    for (small, large) in [("1Mi", "2Mi"), ("100m", "1"), ("1k", "1Ki"), ("0.5", "600m")] {
        assert!(pod::quantity(&small.into()) < pod::quantity(&large.into()), "{small} {large}");
    }
}
