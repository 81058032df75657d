use proptest::prelude::*;
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

/// The largest object of each kind that was accepted.
fn everything() -> &'static [Value] {
    static EVERYTHING: std::sync::OnceLock<Vec<Value>> = std::sync::OnceLock::new();
    EVERYTHING.get_or_init(read_everything)
}

fn read_everything() -> Vec<Value> {
    let kinds = [
        "Deployment",
        "ReplicaSet",
        "Pod",
        "Service",
        "Secret",
        "ConfigMap",
        "Endpoints",
        "EndpointSlice",
        "Node",
        "Event",
    ];
    let lines = include_str!("../../../../tests/golden/exactness/admission.jsonl").lines();
    let mut largest: Vec<Value> = Vec::new();
    for line in lines {
        let recorded: Value = serde_json::from_str(line).expect("recorded JSON");
        let body = &recorded["body"];
        if recorded["status"] == 201 && kinds.iter().any(|kind| body["kind"] == *kind) {
            largest.push(body.clone());
        }
    }
    largest.sort_by_key(|body| std::cmp::Reverse(body.to_string().len()));
    kinds.iter().filter_map(|kind| largest.iter().find(|body| body["kind"] == *kind).cloned()).collect()
}

/// Replaces the value at a place, the places counted as they come.
fn replace(value: &mut Value, place: &mut usize, with: &Value) -> bool {
    if *place == 0 {
        *value = with.clone();
        return true;
    }
    *place -= 1;
    match value {
        Value::Object(map) => map.values_mut().any(|child| replace(child, place, with)),
        Value::Array(items) => items.iter_mut().any(|child| replace(child, place, with)),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Sound objects with something else at a few places: what has the right types is defaulted, validated and warned
    /// of, whatever it says.
    #[test]
    fn no_object_panics(
        which in 0..10_usize,
        places in proptest::collection::vec((0..120_usize, 0..14_usize), 1..4),
        text in "\\PC{0,12}",
        number in any::<i64>(),
    ) {
        let originals = everything();
        let original = &originals[which % originals.len()];
        let kind = schema::by_kind(original["apiVersion"].as_str().unwrap(), original["kind"].as_str().unwrap()).unwrap();
        let replacements = [
            Value::Null, json!({}), json!([]), json!([{}]), json!(""), json!(text), json!([text.clone()]),
            json!({ text.clone(): text.clone() }), json!(number), json!(0), json!(-1), json!("150%"), json!("1e3"), json!(true),
        ];
        let mut object = original.clone();
        for (place, with) in places {
            replace(&mut object, &mut place.clone(), &replacements[with]);
        }
        let mistyped = |error: &schema::StructureError| matches!(error, schema::StructureError::Mistyped { .. });
        if !object.is_object() || schema::check_structure(kind, &object).iter().any(mistyped) {
            return Ok(());
        }
        schema::prune_unknown(kind, &mut object);
        set_defaults(kind, &mut object);
        let _ = validate_create(kind, &object);
        let _ = validate_update(kind, &object, original);
        let _ = (warnings(kind, &object), repeated_owners(&object), validate_status(kind, &object));
    }
}
