//! From a path to what it names. Pure.

use super::super::schema::{self, Kind};

/// What a path names.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Route<'a> {
    Resource(Target<'a>),
    Review(Review),
    Version,
    /// `healthz`, `readyz` or `livez`, with the name of one check or none.
    Health {
        page: &'a str,
        check: &'a str,
    },
    Root,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    Group {
        group: &'a str,
    },
    Resources {
        group: &'a str,
        version: &'a str,
    },
    OpenApiTwo,
    OpenApiThreeIndex,
    /// `/openapi/v3/apis/apps/v1`: the group's path.
    OpenApiThree {
        path: &'a str,
    },
    /// `/tutorial/v1/…`
    Tutorial {
        path: &'a str,
    },
    /// A group and version that are served, a resource that is not.
    UnknownResource,
    Unknown,
}

/// A collection, an object or a subresource.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target<'a> {
    pub kind: &'static Kind,
    /// `None` lists all namespaces, and stands for cluster-scoped kinds.
    pub namespace: Option<&'a str>,
    pub name: Option<&'a str>,
    pub subresource: Option<&'a str>,
    /// What follows `/proxy/`.
    pub rest: &'a str,
}

/// Questions about who may do what: created, answered, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Review {
    SelfSubject,
    SelfSubjectAccess,
    SelfSubjectRules,
    SubjectAccess,
    Token,
}

impl Review {
    pub fn kind(self) -> &'static str {
        match self {
            Self::SelfSubject => "SelfSubjectReview",
            Self::SelfSubjectAccess => "SelfSubjectAccessReview",
            Self::SelfSubjectRules => "SelfSubjectRulesReview",
            Self::SubjectAccess => "SubjectAccessReview",
            Self::Token => "TokenReview",
        }
    }

    pub fn api_version(self) -> &'static str {
        match self {
            Self::SelfSubject | Self::Token => "authentication.k8s.io/v1",
            _ => "authorization.k8s.io/v1",
        }
    }
}

/// Names what a path asks for; the path is percent-decoded already.
pub(super) fn parse(path: &str) -> Route<'_> {
    if let Some(rest) = path.strip_prefix("/tutorial/v1/") {
        return Route::Tutorial { path: rest };
    }
    if let Some(group_path) = path.strip_prefix("/openapi/v3/") {
        return Route::OpenApiThree { path: group_path };
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments[..] {
        [""] | [] => Route::Root,
        ["version"] | ["version", ""] => Route::Version,
        [page @ ("healthz" | "readyz" | "livez")] => Route::Health { page, check: "" },
        [page @ ("healthz" | "readyz" | "livez"), check] => Route::Health { page, check },
        ["openapi", "v2"] => Route::OpenApiTwo,
        ["openapi", "v3"] => Route::OpenApiThreeIndex,
        ["api"] | ["api", ""] => Route::CoreVersions,
        ["apis"] | ["apis", ""] => Route::Groups,
        ["apis", group] | ["apis", group, ""] if serves_group(group) => Route::Group { group },
        ["api", version] | ["api", version, ""] if serves("", version) => Route::Resources { group: "", version },
        ["apis", group, version] | ["apis", group, version, ""] if serves(group, version) => {
            Route::Resources { group, version }
        }
        ["api", version, ..] if serves("", version) => resource("", version, &segments[2..], path),
        ["apis", group, version, ..] if serves(group, version) => resource(group, version, &segments[3..], path),
        _ => Route::Unknown,
    }
}

pub(super) const REVIEW_GROUPS: [&str; 2] = ["authentication.k8s.io", "authorization.k8s.io"];

fn serves_group(group: &str) -> bool {
    !group.is_empty() && (schema::kinds().iter().any(|kind| kind.group == group) || REVIEW_GROUPS.contains(&group))
}

fn serves(group: &str, version: &str) -> bool {
    schema::kinds().iter().any(|kind| kind.group == group && kind.version == version)
        || (version == "v1" && REVIEW_GROUPS.contains(&group))
}

fn review(group: &str, plural: &str) -> Option<Review> {
    Some(match (group, plural) {
        ("authentication.k8s.io", "selfsubjectreviews") => Review::SelfSubject,
        ("authentication.k8s.io", "tokenreviews") => Review::Token,
        ("authorization.k8s.io", "selfsubjectaccessreviews") => Review::SelfSubjectAccess,
        ("authorization.k8s.io", "selfsubjectrulesreviews") => Review::SelfSubjectRules,
        ("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews") => Review::SubjectAccess,
        _ => return None,
    })
}

fn resource<'a>(group: &str, version: &str, segments: &[&'a str], path: &'a str) -> Route<'a> {
    // `/api/v1/namespaces/NAME` and its subresources are the namespace's own; `/namespaces/NAME/pods` is inside it.
    let (namespace, rest) = match segments {
        ["namespaces", name, plural, ..] if !plural.is_empty() && !matches!(*plural, "status" | "finalize") => {
            (Some(*name), &segments[2..])
        }
        _ => (None, segments),
    };
    let (plural, name, subresource, more) = match *rest {
        [plural] | [plural, ""] => (plural, None, None, false),
        [plural, name] | [plural, name, ""] => (plural, Some(name), None, false),
        [plural, name, subresource] => (plural, Some(name), Some(subresource), false),
        [plural, name, subresource, ..] => (plural, Some(name), Some(subresource), true),
        [] => return Route::UnknownResource,
    };
    if let (Some(review), None) = (review(group, plural), name) {
        return Route::Review(review);
    }
    let Some(kind) = schema::by_resource(group, version, plural) else { return Route::UnknownResource };
    let scoped = kind.namespaced == namespace.is_some() || (kind.namespaced && name.is_none());
    let known = subresource.is_none_or(|subresource| kind.subresources.contains(&subresource));
    if !scoped || !known || (more && subresource != Some("proxy")) {
        return Route::UnknownResource;
    }
    let rest = if more { path.split_once("/proxy/").map_or("", |(_, rest)| rest) } else { "" };
    Route::Resource(Target { kind, namespace, name, subresource, rest })
}
