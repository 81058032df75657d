use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::schema::{Kind, by_kind};
use super::*;

fn deployment() -> &'static Kind {
    by_kind("apps/v1", "Deployment").expect("served")
}

fn in_pod(containers: &Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": containers}}}})
}

fn check(original: &Value, patch: &Value, expected: &Value) {
    assert_eq!(strategic_merge_patch(deployment(), original, patch).as_ref(), Ok(expected), "{patch}");
}

#[test]
fn strategic_patches_merge_by_keys_and_obey_directives() {
    let one = in_pod(&json!([{"name": "a", "image": "x", "env": [{"name": "X", "value": "1"}]}]));
    check(
        &one,
        &in_pod(&json!([{"name": "b", "image": "y"}])),
        &in_pod(
            &json!([{"name": "b", "image": "y"}, {"name": "a", "image": "x", "env": [{"name": "X", "value": "1"}]}]),
        ),
    );
    check(
        &one,
        &in_pod(&json!([{"name": "a", "env": [{"name": "Y", "value": "2"}]}])),
        &in_pod(
            &json!([{"name": "a", "image": "x", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]}]),
        ),
    );
    check(&one, &in_pod(&json!([{"name": "a", "$patch": "delete"}])), &in_pod(&json!([])));
    check(
        &one,
        &in_pod(&json!([{"name": "q", "image": "q"}, {"$patch": "replace"}])),
        &in_pod(&json!([{"name": "q", "image": "q"}])),
    );
    check(&json!({"spec": {"replicas": 3}}), &json!({"spec": {"replicas": null}}), &json!({"spec": {}}));
    check(
        &json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
        &json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
        &json!({"spec": {"strategy": {"type": "Recreate"}}}),
    );
}

#[test]
fn the_order_of_elements_can_be_set() {
    let original = in_pod(&json!([{"name": "a"}, {"name": "s"}, {"name": "b"}]));
    let patch = json!({"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "z"}, {"name": "b"}, {"name": "a"}],
        "containers": [{"name": "z"}],
    }}}});
    check(&original, &patch, &in_pod(&json!([{"name": "z"}, {"name": "s"}, {"name": "b"}, {"name": "a"}])));
}

#[test]
fn primitive_lists_merge_and_lose_what_is_named() {
    check(
        &json!({"metadata": {"finalizers": ["a", "b"]}}),
        &json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}}),
        &json!({"metadata": {"finalizers": ["c", "b"]}}),
    );
}

#[test]
fn a_missing_merge_key_is_named() {
    let error = strategic_merge_patch(deployment(), &in_pod(&json!([])), &in_pod(&json!([{"image": "x"}])));
    assert_eq!(error.expect_err("no name").message, "map: map[image:x] does not contain declared merge key: name");
}

#[test]
fn json_patches() {
    let document = json!({"a": {"b~/c": [1, 2]}});
    let check = |operations: Value, expected: Option<Value>| {
        assert_eq!(json_patch(&document, &operations).ok(), expected, "{operations}");
    };
    check(json!([{"op": "add", "path": "/a/b~0~1c/1", "value": 9}]), Some(json!({"a": {"b~/c": [1, 9, 2]}})));
    check(json!([{"op": "add", "path": "/a/b~0~1c/-", "value": 9}]), Some(json!({"a": {"b~/c": [1, 2, 9]}})));
    check(json!([{"op": "move", "from": "/a", "path": "/z"}]), Some(json!({"z": {"b~/c": [1, 2]}})));
    check(json!([{"op": "copy", "from": "/a/b~0~1c/0", "path": "/z"}]), Some(json!({"a": {"b~/c": [1, 2]}, "z": 1})));
    check(json!([{"op": "test", "path": "/a/b~0~1c/0", "value": 1}]), Some(document.clone()));
    // As the real server has it: what is not there is put there, null where nothing is said.
    check(json!([{"op": "replace", "path": "/z", "value": 9}]), Some(json!({"a": {"b~/c": [1, 2]}, "z": 9})));
    check(json!([{"op": "add", "path": "/z"}]), Some(json!({"a": {"b~/c": [1, 2]}, "z": null})));
    check(json!([{"op": "remove", "path": "/a/b~0~1c/-1"}]), Some(json!({"a": {"b~/c": [1]}})));
    for refused in [
        json!([{"op": "test", "path": "/a", "value": 1}]),
        json!([{"op": "remove", "path": "/none"}]),
        json!([{"op": "replace", "path": "/a/b~0~1c/2", "value": 1}]),
        json!([{"op": "add", "path": "/a/b~0~1c/7", "value": 1}]),
        json!([{"op": "move", "from": "/a", "path": "/a/x"}]),
        json!([{"op": "what", "path": "/a"}]),
        json!({}),
    ] {
        check(refused, None);
    }
}

#[test]
fn merge_patches() {
    let merged =
        merge_patch(&json!({"a": {"b": 1, "c": 2}, "d": 3}), &json!({"a": {"b": null, "e": {"f": null}}, "d": [1]}));
    assert_eq!(merged, json!({"a": {"c": 2, "e": {}}, "d": [1]}));
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z$/]{0,8}".prop_map(Value::from)
    ];
    let name = prop_oneof![
        Just("spec"),
        Just("template"),
        Just("containers"),
        Just("name"),
        Just("$patch"),
        Just("$retainKeys"),
        Just("$setElementOrder/containers"),
        Just("$deleteFromPrimitiveList/finalizers"),
        Just("metadata"),
        Just("finalizers"),
        Just("op"),
        Just("path"),
        Just("value")
    ];
    leaf.prop_recursive(6, 60, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_patch_panics(document in arbitrary_json(), patch in arbitrary_json()) {
        let _ = json_patch(&document, &patch);
        let _ = strategic_merge_patch(deployment(), &document, &patch);
        let _ = merge_patch(&document, &patch);
    }
}

proptest! {
    /// RFC 7386: a merge patch that was applied changes nothing when it is applied again, and nulls are nowhere.
    #[test]
    fn a_merge_patch_holds(document in arbitrary_json(), patch in arbitrary_json()) {
        let once = merge_patch(&document, &patch);
        prop_assert_eq!(&merge_patch(&once, &patch), &once);
    }

    /// What is put at a path is found there, and taken away again leaves the rest.
    #[test]
    fn a_json_patch_adds_and_removes(document in arbitrary_json(), name in "[a-z~/]{1,8}", value in arbitrary_json()) {
        let mut document = document;
        let Some(map) = document.as_object_mut() else { return Ok(()) };
        map.remove(&name);
        let path = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        let added = json_patch(&document, &json!([{"op": "add", "path": path, "value": value}])).expect("fits");
        prop_assert_eq!(added.get(&name), Some(&value));
        let removed = json_patch(&added, &json!([{"op": "test", "path": path, "value": value}, {"op": "remove", "path": path}]));
        prop_assert_eq!(removed.expect("fits"), document);
    }
}
