use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::schema::{self, Kind, by_kind};
use super::*;

fn manager(name: &str) -> Manager<'_> {
    Manager { name, subresource: "", now: "2026-11-23T10:00:00Z" }
}

fn config_map() -> &'static Kind {
    by_kind("v1", "ConfigMap").expect("served")
}

fn deployment() -> &'static Kind {
    by_kind("apps/v1", "Deployment").expect("served")
}

fn data(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa"}, "data": data})
}

fn fields(object: &Value) -> Vec<(String, String)> {
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| (entry["manager"].as_str().unwrap_or_default().to_owned(), entry["fieldsV1"].to_string()))
        .collect()
}

/// The recorded story of one ConfigMap: two appliers, a conflict, force, removal, an update.
#[test]
fn a_config_map_with_three_managers() {
    let kind = config_map();
    let one = apply(kind, None, &data(&json!({"a": "1", "b": "1"})), &manager("one"), false).expect("created");
    assert_eq!(fields(&one), [("one".into(), r#"{"f:data":{"f:a":{},"f:b":{}}}"#.into())]);

    let both = apply(kind, Some(&one), &data(&json!({"a": "1"})), &manager("two"), false).expect("the same value");
    assert_eq!(fields(&both).len(), 2);

    let conflict = apply(kind, Some(&both), &data(&json!({"a": "2"})), &manager("two"), false).expect_err("conflict");
    assert_eq!(
        (conflict.code, conflict.message.as_str()),
        (409, r#"Apply failed with 1 conflict: conflict with "one": .data.a"#)
    );

    let forced = apply(kind, Some(&both), &data(&json!({"a": "2"})), &manager("two"), true).expect("forced");
    assert_eq!(
        fields(&forced),
        [("one".into(), r#"{"f:data":{"f:b":{}}}"#.into()), ("two".into(), r#"{"f:data":{"f:a":{}}}"#.into())]
    );

    let without = apply(kind, Some(&forced), &data(&json!({"c": "1"})), &manager("one"), false).expect("applied");
    assert_eq!(without["data"], json!({"a": "2", "c": "1"}));

    let mut updated = without.clone();
    updated["data"]["a"] = json!("3");
    updated["data"]["d"] = json!("1");
    track_update(kind, Some(&without), &mut updated, &manager("three"));
    let conflict =
        apply(kind, Some(&updated), &data(&json!({"a": "2"})), &manager("two"), false).expect_err("conflict");
    assert_eq!(conflict.message, r#"Apply failed with 1 conflict: conflict with "three" using v1: .data.a"#);
}

#[test]
fn several_conflicts_are_listed_by_manager() {
    let kind = config_map();
    let one = apply(kind, None, &data(&json!({"a": "1", "b": "1"})), &manager("one"), false).expect("created");
    let conflict =
        apply(kind, Some(&one), &data(&json!({"a": "2", "b": "2"})), &manager("two"), false).expect_err("two");
    assert_eq!(conflict.message, "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.a\n- .data.b");
}

#[test]
fn an_update_owns_what_it_creates_and_no_structs_that_are_always_there() {
    let kind = config_map();
    let mut object = data(&json!({"a": "1"}));
    track_update(kind, None, &mut object, &manager("kubectl"));
    assert_eq!(fields(&object), [("kubectl".into(), r#"{"f:data":{".":{},"f:a":{}}}"#.into())]);
}

#[test]
fn list_items_are_told_apart_by_their_keys() {
    let pod = |containers: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"template": {"spec": {"containers": containers}}}})
    };
    let both = pod(json!([{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]));
    let live = apply(deployment(), None, &both, &manager("helm"), true).expect("created");
    let one = pod(json!([{"name": "a", "image": "z", "ports": [{"containerPort": 80}]}]));
    let next = apply(deployment(), Some(&live), &one, &manager("helm"), true).expect("applied");
    assert_eq!(
        next["spec"]["template"]["spec"]["containers"],
        json!([{"name": "a", "image": "z", "ports": [{"containerPort": 80}], "resources": {}}])
    );
    assert!(fields(&next)[0].1.contains(r#""k:{\"containerPort\":80,\"protocol\":\"TCP\"}""#), "{:?}", fields(&next));
}

#[test]
fn what_another_manager_set_stays() {
    let live = apply(config_map(), None, &data(&json!({"a": "1"})), &manager("helm"), true).expect("created");
    let mut labelled = live.clone();
    labelled["metadata"]["labels"] = json!({"extra": "1"});
    track_update(config_map(), Some(&live), &mut labelled, &manager("kubectl-label"));
    let again = apply(config_map(), Some(&labelled), &data(&json!({"a": "1"})), &manager("helm"), true).expect("again");
    assert_eq!(again, labelled);
}

#[test]
fn mistakes_are_named() {
    let message =
        |object: Value| apply(deployment(), None, &object, &manager("helm"), true).expect_err("a mistake").message;
    let base =
        |spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec});
    assert_eq!(
        message(base(json!({"replcas": 1}))),
        "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.replcas: field not declared in schema"
    );
    assert_eq!(
        message(base(json!({"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}}))),
        "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name=\"a\"]"
    );
    assert_eq!(
        message(base(json!({"replicas": "two"}))),
        "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string"
    );
}

#[test]
fn sets_survive_their_json_form() {
    let text = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}, "f:x": {"v:\"a\"": {}}}});
    assert_eq!(set::FieldSet::from_fields(&text).to_fields(), text);
}

fn arbitrary_object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i8>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
        Just(json!({})),
        Just(json!([]))
    ];
    let name = prop_oneof![
        Just("metadata"),
        Just("labels"),
        Just("finalizers"),
        Just("spec"),
        Just("template"),
        Just("containers"),
        Just("name"),
        Just("ports"),
        Just("containerPort"),
        Just("replicas"),
        Just("selector"),
        Just("status")
    ];
    leaf.prop_recursive(6, 50, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(live in arbitrary_object(), applied in arbitrary_object()) {
        let kind = deployment();
        let mut live = live;
        schema::prune_unknown(kind, &mut live);
        let is_typed = schema::check_structure(kind, &live).is_empty() && live.is_object();
        normalise(kind.definition(), &mut live);
        let first = apply(kind, Some(&live), &applied, &manager("one"), true);
        if let (Ok(first), true) = (first, is_typed) {
            let second = apply(kind, Some(&first), &applied, &manager("one"), true);
            prop_assert_eq!(second.as_ref(), Ok(&first));
        }
    }

    #[test]
    fn tracking_never_panics(live in arbitrary_object(), new in arbitrary_object()) {
        let mut new = new;
        track_update(deployment(), Some(&live), &mut new, &manager("one"));
    }
}
