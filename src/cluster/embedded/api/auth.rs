//! Who asks, and whether they may.

use http::{HeaderMap, Method, header};
use serde_json::{Value, json};

use super::super::status::Status;
use super::route::{Review, Route, Target};
use super::server::Settings;

/// Somebody with credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub name: String,
    pub groups: Vec<String>,
    pub access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    All,
    /// get, list and watch, and questions about oneself.
    Read,
    /// Questions about oneself: a service account's token.
    Own,
}

/// What a request does to a resource, in RBAC's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Act<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// The user that a request's credentials name; `None` where they name nobody.
pub(super) fn authenticate(headers: &HeaderMap, settings: &Settings) -> Option<User> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    by_token(authorization.and_then(bearer)?, settings)
}

/// `kubectl --as`: the administrator may ask as anybody, who then has that one's access.
pub(super) fn impersonate(user: User, headers: &HeaderMap) -> Result<User, Status> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Some(name) = text("impersonate-user") else { return Ok(user) };
    if user.access != Access::All {
        let message = format!(
            "users \"{name}\" is forbidden: User \"{}\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
            user.name
        );
        return Err(Status::new(403, "Forbidden", message).with_details(json!({"name": name, "kind": "users"})));
    }
    let mut groups: Vec<String> =
        headers.get_all("impersonate-group").iter().filter_map(|value| value.to_str().ok()).map(Into::into).collect();
    groups.push("system:authenticated".into());
    let access = if name == user.name { Access::All } else { access(&name, &groups) };
    Ok(User { name, groups, access })
}

/// What somebody of this name in these groups may do.
pub(super) fn access(name: &str, groups: &[String]) -> Access {
    let rules = groups.iter().any(|group| matches!(&**group, "system:masters" | "kubeadm:cluster-admins"));
    match name {
        "tutorial-reader" if !rules => Access::Read,
        name if rules || name == "kubernetes-admin" => Access::All,
        _ => Access::Own,
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(super) fn by_token(token: &str, settings: &Settings) -> Option<User> {
    let user = |name: &str, groups: &[&str], access| User {
        name: name.into(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        access,
    };
    if equal(token, &settings.admin_token) {
        return Some(user("kubernetes-admin", &["kubeadm:cluster-admins", "system:authenticated"], Access::All));
    }
    if equal(token, &settings.read_only_token) {
        return Some(user("tutorial-reader", &["system:authenticated"], Access::Read));
    }
    let (namespace, name) = super::token::verify(token, settings)?;
    let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}"), "system:authenticated"];
    Some(user(&format!("system:serviceaccount:{namespace}:{name}"), &groups, Access::Own))
}

/// Compares in constant time; an empty secret matches nothing.
pub(super) fn equal(given: &str, secret: &str) -> bool {
    let difference = given.bytes().zip(secret.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b));
    !secret.is_empty() && given.len() == secret.len() && difference == 0
}

/// What a request to a resource is called.
pub(super) fn verb(method: &Method, target: &Target<'_>, watch: bool) -> &'static str {
    match (method.as_str(), target.name) {
        ("GET" | "HEAD", None) if watch => "watch",
        ("GET" | "HEAD", None) => "list",
        ("GET" | "HEAD", Some(_)) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", None) => "deletecollection",
        ("DELETE", Some(_)) => "delete",
        _ => "",
    }
}

/// Refuses what the user may not do; `verb` is empty for what is no resource.
pub(super) fn authorize(
    user: &User,
    method: &Method,
    route: &Route<'_>,
    verb: &str,
    is_trial: bool,
) -> Result<(), Status> {
    match route {
        Route::Resource(target) => {
            let act = Act {
                verb,
                group: target.kind.group,
                resource: target.kind.plural,
                subresource: target.subresource.unwrap_or_default(),
                namespace: target.namespace.unwrap_or_default(),
                name: target.name.unwrap_or_default(),
            };
            // A trial run changes nothing: who may read may ask what would come of a write, as `werf plan` does.
            let is_harmless = is_trial && target.subresource.is_none() && user.access == Access::Read;
            if is_harmless || may(user, &act) { Ok(()) } else { Err(forbidden(user, &act)) }
        }
        Route::Tutorial { .. } if user.access != Access::All => Err(forbidden_path(user, method, "/tutorial/v1")),
        Route::Review(Review::SubjectAccess | Review::Token) if user.access != Access::All => {
            Err(forbidden_path(user, method, "/apis/authorization.k8s.io/v1"))
        }
        _ => Ok(()),
    }
}

/// The whole policy.
pub(super) fn may(user: &User, act: &Act<'_>) -> bool {
    let reaches_in = matches!(act.subresource, "exec" | "attach" | "portforward" | "proxy");
    match user.access {
        Access::All => true,
        Access::Read => matches!(act.verb, "get" | "list" | "watch") && !reaches_in,
        Access::Own => false,
    }
}

fn forbidden(user: &User, act: &Act<'_>) -> Status {
    let qualified =
        if act.group.is_empty() { act.resource.to_owned() } else { format!("{}.{}", act.resource, act.group) };
    let object = if act.name.is_empty() { qualified } else { format!("{qualified} \"{}\"", act.name) };
    let resource =
        if act.subresource.is_empty() { act.resource.into() } else { format!("{}/{}", act.resource, act.subresource) };
    let scope = if act.namespace.is_empty() {
        "at the cluster scope".into()
    } else {
        format!("in the namespace \"{}\"", act.namespace)
    };
    let message = format!(
        "{object} is forbidden: User \"{}\" cannot {} resource \"{resource}\" in API group \"{}\" {scope}",
        user.name, act.verb, act.group
    );
    let mut details = json!({"kind": act.resource});
    if !act.name.is_empty() {
        details["name"] = act.name.into();
    }
    if !act.group.is_empty() {
        details["group"] = act.group.into();
    }
    Status::new(403, "Forbidden", message).with_details(details)
}

fn forbidden_path(user: &User, method: &Method, path: &str) -> Status {
    let verb = method.as_str().to_ascii_lowercase();
    let message = format!("forbidden: User \"{}\" cannot {verb} path \"{path}\"", user.name);
    Status::new(403, "Forbidden", message).with_details(Value::Object(serde_json::Map::new()))
}

pub(super) fn unauthorized() -> Status {
    Status::new(401, "Unauthorized", "Unauthorized")
}
