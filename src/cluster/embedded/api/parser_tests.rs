//! Property tests of what reads requests: bodies, paths, queries and selectors. None of them panics, and each reads
//! back what was written for it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::registry::{Registry, Writer};
use super::super::schema::{self, Kind};
use super::decode;
use super::query::Query;
use super::route::{self, Route};
use super::selector::Selector;

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,6}", inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

fn config_map() -> &'static Kind {
    schema::by_kind("v1", "ConfigMap").expect("served")
}

/// Whether a ConfigMap with these labels is selected.
fn selects(text: &str, labels: &Value) -> bool {
    let registry = Registry::in_memory();
    let object = json!({"metadata": {"name": "c", "namespace": "default", "labels": labels}});
    let writer = Writer { field_manager: "test".into(), subresource: "", dry_run: false };
    let entry = registry.create(config_map(), object, &writer).expect("a sound object");
    Selector::parse(config_map(), text, "").expect("a sound selector").matches(&entry)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\PC\n\t]{0,80}") {
        for media_type in ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "x"] {
            let _ = decode::decode(media_type, &body, "ConfigMap");
            let _ = decode::decode(media_type, text.as_bytes(), "ConfigMap");
        }
        let _ = decode::in_order(&body, vec!["unknown field \"a\"".into(), "unknown field \"b\"".into()]);
    }

    #[test]
    fn json_reads_as_it_was_written(value in arbitrary_json()) {
        let text = value.to_string();
        let decoded = decode::decode_json(text.as_bytes()).expect("JSON");
        prop_assert_eq!(&decoded.value, &value);
        prop_assert!(decoded.duplicates.is_empty());
    }

    #[test]
    fn a_field_that_stands_twice_is_named(name in "[a-z]{1,8}", value in arbitrary_json()) {
        let body = format!("{{\"data\":{{{name:?}:1,{name:?}:{value}}}}}");
        let decoded = decode::decode_json(body.as_bytes()).expect("JSON");
        prop_assert_eq!(decoded.duplicates, [format!("duplicate field \"data.{name}\"")]);
        prop_assert_eq!(&decoded.value["data"][&name], &value);
    }

    #[test]
    fn no_path_and_no_query_panics(path in "\\PC{0,60}", query in "\\PC{0,60}") {
        let _ = route::parse(&path);
        let _ = route::parse(&format!("/api/v1/{path}"));
        let _ = route::parse(&format!("/apis/apps/v1/namespaces/{path}"));
        let query = Query::parse(&query);
        let _ = (query.get("watch"), query.flag("watch"), query.number("limit"), query.dry_run());
    }

    #[test]
    fn a_path_leads_to_its_object(at in 0..schema::kinds().len(), namespace in "[a-z]{1,10}", name in "[a-z.-]{1,20}") {
        let kind = &schema::kinds()[at];
        let root = if kind.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/{}", kind.group, kind.version) };
        let scope = if kind.namespaced { format!("/namespaces/{namespace}") } else { String::new() };
        let path = format!("{root}{scope}/{}/{name}", kind.plural);
        let Route::Resource(target) = route::parse(&path) else { return Err(TestCaseError::fail(path)) };
        prop_assert_eq!(target.kind.plural, kind.plural);
        prop_assert_eq!(target.name, Some(name.as_str()));
        prop_assert_eq!(target.namespace, kind.namespaced.then_some(namespace.as_str()));
    }

    #[test]
    fn a_query_reads_as_it_was_written(pairs in proptest::collection::vec(("[a-z]{1,8}", "\\PC{1,12}"), 0..6)) {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let raw: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
        let query = Query::parse(&raw.join("&"));
        for (key, value) in &pairs {
            prop_assert!(query.all(key).any(|found| found == value));
        }
    }

    #[test]
    fn no_selector_panics(
        shards in proptest::collection::vec(
            proptest::sample::select(vec!["a", "b/c", "!", "=", "==", "!=", " in ", " notin ", "(", ")", ",", ">", "<", " ", "\\", "é", "1"]),
            0..12,
        ),
        fields in "\\PC{0,30}",
    ) {
        let text = shards.concat();
        for kind in schema::kinds() {
            let _ = Selector::parse(kind, &text, &fields);
            let _ = Selector::parse(kind, &fields, &text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_selector_selects_what_it_says(key in "[a-z]{1,6}", value in "[a-z]{1,6}", other in "[0-9]{1,6}") {
        let labels = json!({ key.clone(): value });
        for (text, expected) in [
            (format!("{key}={value}"), true),
            (format!("{key}=={other}"), false),
            (format!("{key}!={other}"), true),
            (format!("{key} in ({other},{value})"), true),
            (format!("{key} notin ({other}, {value})"), false),
            (key.clone(), true),
            (format!("!{key}"), false),
            (format!("{key},{key}={value}"), true),
            (format!("{key},{key}={other}"), false),
        ] {
            prop_assert_eq!(selects(&text, &labels), expected, "{}", text);
        }
    }
}
