//! Discovery, plain and aggregated: what is served, in Kubernetes' order, and nothing else.

use base64::Engine as _;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::schema::{self, Kind};
use super::answer::{self, Answer};
use super::negotiate;
use super::route::REVIEW_GROUPS;

/// In the order in which Kubernetes' discovery lists its groups.
const GROUP_ORDER: [&str; 11] = [
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
];

/// Groups and their versions, without the core group.
pub(super) fn group_versions() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = REVIEW_GROUPS.iter().map(|group| (*group, vec!["v1"])).collect();
    for kind in schema::kinds().iter().filter(|kind| !kind.group.is_empty()) {
        match groups.iter_mut().find(|(group, _)| *group == kind.group) {
            Some((_, versions)) if versions.contains(&kind.version) => {}
            Some((_, versions)) => versions.push(kind.version),
            None => groups.push((kind.group, vec![kind.version])),
        }
    }
    let place = |group: &str| GROUP_ORDER.iter().position(|known| *known == group).unwrap_or(GROUP_ORDER.len());
    groups.sort_by_key(|(group, _)| place(group));
    groups
}

fn kinds_of(group: &str, version: &str) -> Vec<&'static Kind> {
    let mut kinds: Vec<&Kind> =
        schema::kinds().iter().filter(|kind| kind.group == group && kind.version == version).collect();
    kinds.sort_by_key(|kind| kind.plural);
    kinds
}

/// A resource that is not stored: created and answered.
struct Virtual {
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    namespaced: bool,
}

fn virtuals(group: &str) -> &'static [Virtual] {
    const fn review(plural: &'static str, singular: &'static str, review: &'static str, namespaced: bool) -> Virtual {
        Virtual { plural, singular, kind: review, namespaced }
    }
    match group {
        "authentication.k8s.io" => &[
            const { review("selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview", false) },
            const { review("tokenreviews", "tokenreview", "TokenReview", false) },
        ],
        "authorization.k8s.io" => &[
            const { review("localsubjectaccessreviews", "localsubjectaccessreview", "LocalSubjectAccessReview", true) },
            const { review("selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview", false) },
            const { review("selfsubjectrulesreviews", "selfsubjectrulesreview", "SelfSubjectRulesReview", false) },
            const { review("subjectaccessreviews", "subjectaccessreview", "SubjectAccessReview", false) },
        ],
        _ => &[],
    }
}

/// What a subresource speaks, and its verbs.
fn subresource(kind: &Kind, name: &str) -> (&'static str, &'static str, &'static str, &'static [&'static str]) {
    const READ_WRITE: &[&str] = &["get", "patch", "update"];
    const CONNECT: &[&str] = &["create", "get"];
    const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];
    match (kind.name, name) {
        (_, "scale") => ("autoscaling", "v1", "Scale", READ_WRITE),
        (_, "log") => ("", "", "Pod", &["get"]),
        (_, "exec") => ("", "", "PodExecOptions", CONNECT),
        (_, "attach") => ("", "", "PodAttachOptions", CONNECT),
        (_, "portforward") => ("", "", "PodPortForwardOptions", CONNECT),
        ("Pod", "proxy") => ("", "", "PodProxyOptions", PROXY),
        ("Service", "proxy") => ("", "", "ServiceProxyOptions", PROXY),
        ("Node", "proxy") => ("", "", "NodeProxyOptions", PROXY),
        (_, "binding") => ("", "", "Binding", &["create"]),
        (_, "eviction") => ("policy", "v1", "Eviction", &["create"]),
        (_, "token") => ("authentication.k8s.io", "v1", "TokenRequest", &["create"]),
        (_, "finalize") => ("", "", "Namespace", &["update"]),
        _ => ("", "", "", READ_WRITE),
    }
}

pub(super) fn root() -> Answer {
    let mut paths = vec!["/api".to_owned(), "/api/v1".into(), "/apis".into(), "/apis/".into()];
    for (group, versions) in group_versions() {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
    }
    for path in ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/readyz", "/version"] {
        paths.push(path.into());
    }
    paths.sort();
    answer::json(200, &json!({"paths": paths}))
}

/// The version of aggregated discovery that the client asks for first.
fn aggregated(headers: &HeaderMap) -> Option<&'static str> {
    negotiate::accepted(headers).iter().find_map(|accepted| {
        let fits = accepted.media_type == "application/json" && accepted.parameter("g") == "apidiscovery.k8s.io";
        match (accepted.parameter("as"), accepted.parameter("v")) {
            ("APIGroupDiscoveryList", "v2") if fits => Some("v2"),
            ("APIGroupDiscoveryList", "v2beta1") if fits => Some("v2beta1"),
            _ => None,
        }
    })
}

fn aggregated_answer(version: &str, items: &[Value]) -> Answer {
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    });
    let mut answered = answer::json(200, &list);
    let content_type = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    if let Ok(value) = HeaderValue::from_str(&content_type) {
        answered.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    answered.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    answered
}

pub(super) fn core_versions(headers: &HeaderMap) -> Answer {
    if let Some(version) = aggregated(headers) {
        let item = json!({"metadata": {}, "versions": [aggregated_version("", "v1")]});
        return aggregated_answer(version, &[item]);
    }
    answer::json(
        200,
        &json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}],
        }),
    )
}

pub(super) fn groups(headers: &HeaderMap) -> Answer {
    if let Some(version) = aggregated(headers) {
        let items: Vec<Value> = group_versions()
            .into_iter()
            .map(|(group, versions)| {
                let versions: Vec<Value> = versions.iter().map(|version| aggregated_version(group, version)).collect();
                json!({"metadata": {"name": group}, "versions": versions})
            })
            .collect();
        return aggregated_answer(version, &items);
    }
    let groups: Vec<Value> =
        group_versions().into_iter().map(|(group, versions)| plain_group(group, &versions)).collect();
    answer::json(200, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
}

fn plain_group(group: &str, versions: &[&str]) -> Value {
    let version = |version: &str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({
        "name": group,
        "versions": versions.iter().map(|name| version(name)).collect::<Vec<_>>(),
        "preferredVersion": version(versions.first().copied().unwrap_or("v1")),
    })
}

pub(super) fn group(name: &str) -> Answer {
    let Some((_, versions)) = group_versions().into_iter().find(|(group, _)| *group == name) else {
        return answer::page_not_found();
    };
    let mut group = plain_group(name, &versions);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    answer::json(200, &group)
}

fn aggregated_version(group: &str, version: &str) -> Value {
    let mut resources: Vec<Value> = kinds_of(group, version).into_iter().map(aggregated_resource).collect();
    resources.extend(virtuals(group).iter().map(|found| {
        json!({
            "resource": found.plural, "responseKind": {"group": "", "version": "", "kind": found.kind},
            "scope": scope(found.namespaced), "singularResource": found.singular, "verbs": ["create"],
        })
    }));
    resources.sort_by(|a, b| a["resource"].as_str().cmp(&b["resource"].as_str()));
    json!({"version": version, "resources": resources, "freshness": "Current"})
}

fn scope(namespaced: bool) -> &'static str {
    if namespaced { "Namespaced" } else { "Cluster" }
}

fn aggregated_resource(kind: &'static Kind) -> Value {
    let mut resource = json!({
        "resource": kind.plural, "responseKind": {"group": "", "version": "", "kind": kind.name},
        "scope": scope(kind.namespaced), "singularResource": kind.singular, "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    let mut names = kind.subresources.to_vec();
    names.sort_unstable();
    let subresources: Vec<Value> = names
        .into_iter()
        .map(|name| {
            let (group, version, speaks, verbs) = subresource(kind, name);
            let speaks = if speaks.is_empty() { kind.name } else { speaks };
            json!({
                "subresource": name,
                "responseKind": {"group": group, "version": version, "kind": speaks}, "verbs": verbs,
            })
        })
        .collect();
    if !subresources.is_empty() {
        resource["subresources"] = subresources.into();
    }
    resource
}

pub(super) fn resources(group: &str, version: &str) -> Answer {
    let mut resources: Vec<Value> = Vec::new();
    for kind in kinds_of(group, version) {
        resources.push(plain_resource(kind));
        for name in kind.subresources {
            let (group, version, speaks, verbs) = subresource(kind, name);
            let mut resource = json!({
                "name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced,
                "kind": if speaks.is_empty() { kind.name } else { speaks }, "verbs": verbs,
            });
            if !group.is_empty() {
                resource["group"] = group.into();
                resource["version"] = version.into();
            }
            resources.push(resource);
        }
    }
    resources.extend(virtuals(group).iter().map(|found| {
        json!({
            "name": found.plural, "singularName": found.singular, "namespaced": found.namespaced,
            "kind": found.kind, "verbs": ["create"],
        })
    }));
    resources.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut list = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
    if !group.is_empty() {
        list["apiVersion"] = "v1".into();
    }
    answer::json(200, &list)
}

fn plain_resource(kind: &Kind) -> Value {
    let mut resource = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
        "kind": kind.name, "verbs": kind.verbs, "storageVersionHash": storage_version_hash(kind),
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    resource
}

/// As apiserver's `discovery.StorageVersionHash` computes it.
fn storage_version_hash(kind: &Kind) -> String {
    let group = if kind.group == "events.k8s.io" { "" } else { kind.group };
    let hash = Sha256::digest(format!("{group}/{}/{}", kind.version, kind.name));
    base64::engine::general_purpose::STANDARD.encode(&hash[..8])
}

#[cfg(test)]
mod tests {
    use super::super::route::Review;
    use super::*;

    #[test]
    fn every_review_is_discovered() {
        for review in [Review::SelfSubject, Review::SelfSubjectAccess, Review::SelfSubjectRules, Review::Token] {
            let group = review.api_version().split('/').next().unwrap();
            assert!(virtuals(group).iter().any(|found| found.kind == review.kind()), "{review:?}");
        }
    }
}
