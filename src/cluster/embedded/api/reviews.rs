//! Questions about who may do what, and tokens: answered, never stored.

use hyper::Request;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::registry::errors;
use super::super::status::Status;
use super::answer::{self, Answer};
use super::auth::{self, Access, Act, User};
use super::body::RequestBody;
use super::handle::Context;
use super::route::{Review, Target};
use super::{decode, objects, token};

fn timestamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn user_info(user: &User) -> Value {
    json!({"username": user.name, "groups": user.groups})
}

pub(super) async fn review(context: &Context, request: Request<RequestBody>, review: Review) -> Result<Answer, Status> {
    if request.method() != http::Method::POST {
        return Err(answer::method_not_allowed());
    }
    let headers = request.headers().clone();
    let body = decode::read_body(request.into_body()).await?;
    let mut asked = decode::decode(decode::content_type(&headers), &body, review.kind())?.value;
    if !asked.is_object() {
        return Err(errors::bad_request(format!("the body is not a {}", review.kind())));
    }
    asked["kind"] = review.kind().into();
    asked["apiVersion"] = review.api_version().into();
    if !asked["metadata"].is_object() {
        asked["metadata"] = json!({});
    }
    check(review, &asked["spec"])?;
    asked["status"] = match review {
        Review::SelfSubject => {
            asked["metadata"]["creationTimestamp"] = timestamp(Timestamp::now()).into();
            json!({"userInfo": user_info(&context.user)})
        }
        Review::SelfSubjectAccess => {
            let manager = &objects::writer(&context.query, &headers, "").field_manager;
            asked["metadata"]["managedFields"] = managed_fields(review, &asked["spec"], manager);
            access_status(&context.user, &asked["spec"])
        }
        Review::SubjectAccess => {
            let name = asked.pointer("/spec/user").and_then(Value::as_str).unwrap_or_default().to_owned();
            let groups: Vec<String> = asked
                .pointer("/spec/groups")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|group| group.as_str().map(str::to_owned))
                .collect();
            let access = auth::access(&name, &groups);
            access_status(&User { name, groups, access }, &asked["spec"])
        }
        Review::SelfSubjectRules => rules(&context.user),
        Review::Token => token_status(context, &asked),
    };
    Ok(answer::json(201, &asked))
}

/// Refuses a question that asks for nothing, as `ValidateSubjectAccessReviewSpec` of Kubernetes does.
fn check(review: Review, spec: &Value) -> Result<(), Status> {
    let is_set = |key: &str| spec.get(key).is_some_and(|value| !value.is_null());
    let mut causes = Vec::new();
    if matches!(review, Review::SelfSubjectAccess | Review::SubjectAccess) {
        match (is_set("resourceAttributes"), is_set("nonResourceAttributes")) {
            (true, true) => causes.push(errors::invalid_value(
                "spec.nonResourceAttributes",
                &spec["nonResourceAttributes"],
                "cannot be specified in combination with resourceAttributes",
            )),
            (false, false) => causes.push(errors::invalid_value(
                "spec.resourceAttributes",
                &Value::Null,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )),
            _ => {}
        }
    }
    let nobody =
        spec["user"].as_str().unwrap_or_default().is_empty() && spec["groups"].as_array().is_none_or(Vec::is_empty);
    if review == Review::SubjectAccess && nobody {
        let detail = "at least one of user or group must be specified";
        causes.push(errors::invalid_value("spec.user", &"".into(), detail));
    }
    if causes.is_empty() {
        return Ok(());
    }
    let group = "authorization.k8s.io";
    Err(errors::invalid_named(&format!("{}.{group}", review.kind()), group, review.kind(), "", &causes))
}

/// What the asker set, as Kubernetes records it even of what it does not keep.
fn managed_fields(review: Review, spec: &Value, manager: &str) -> Value {
    let mut fields = serde_json::Map::new();
    for (key, value) in spec.as_object().into_iter().flatten() {
        let mut set = json!({});
        if let Some(members) = value.as_object() {
            set["."] = json!({});
            for member in members.keys() {
                set[format!("f:{member}")] = json!({});
            }
        }
        fields.insert(format!("f:{key}"), set);
    }
    json!([{
        "manager": manager, "operation": "Update", "apiVersion": review.api_version(),
        "time": timestamp(Timestamp::now()), "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields},
    }])
}

fn access_status(user: &User, spec: &Value) -> Value {
    let text =
        |key: &str| spec.pointer(&format!("/resourceAttributes/{key}")).and_then(Value::as_str).unwrap_or_default();
    let allowed = if spec.get("resourceAttributes").is_some() {
        let act = Act {
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
        };
        auth::may(user, &act)
    } else {
        let verb = spec.pointer("/nonResourceAttributes/verb").and_then(Value::as_str).unwrap_or_default();
        user.access == Access::All || verb == "get"
    };
    match (allowed, user.access) {
        (true, Access::All) => json!({
            "allowed": true,
            "reason": "RBAC: allowed by ClusterRoleBinding \"kubeadm:cluster-admins\" of ClusterRole \"cluster-admin\" to Group \"kubeadm:cluster-admins\"",
        }),
        (allowed, _) => json!({"allowed": allowed}),
    }
}

fn rules(user: &User) -> Value {
    let rule = |verbs: &[&str]| json!({"verbs": verbs, "apiGroups": ["*"], "resources": ["*"]});
    let resources = match user.access {
        Access::All => vec![rule(&["*"])],
        Access::Read => vec![rule(&["get", "list", "watch"])],
        Access::Own => Vec::new(),
    };
    let mut resource_rules = resources;
    resource_rules.push(json!({
        "verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    }));
    resource_rules.push(json!({
        "verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"],
    }));
    let public =
        json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"]});
    let mut paths = vec![
        public,
        json!({
            "verbs": ["get"],
            "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"],
        }),
    ];
    if user.access == Access::All {
        paths.insert(0, json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    json!({"resourceRules": resource_rules, "nonResourceRules": paths, "incomplete": false})
}

fn token_status(context: &Context, asked: &Value) -> Value {
    let given = asked.pointer("/spec/token").and_then(Value::as_str).unwrap_or_default();
    match auth::by_token(given, &context.server.settings) {
        Some(user) => json!({"authenticated": true, "user": user_info(&user)}),
        None => json!({"user": {}, "error": "[invalid bearer token]"}),
    }
}

const LIFETIME_SECONDS_MIN: i64 = 600;
const LIFETIME_SECONDS_MAX: i64 = 1 << 32;

/// `serviceaccounts/NAME/token`.
pub(super) async fn create_token(
    context: &Context,
    request: Request<RequestBody>,
    target: &Target<'_>,
) -> Result<Answer, Status> {
    if request.method() != http::Method::POST {
        return Err(answer::method_not_allowed());
    }
    let account = objects::find(context, target)?;
    let content_type = decode::content_type(request.headers()).to_owned();
    let body = decode::read_body(request.into_body()).await?;
    let asked = decode::decode(&content_type, &body, "TokenRequest")?.value;
    let seconds = asked.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(3600);
    if !(LIFETIME_SECONDS_MIN..=LIFETIME_SECONDS_MAX).contains(&seconds) {
        let detail = if seconds < LIFETIME_SECONDS_MIN {
            "may not specify a duration less than 10 minutes"
        } else {
            "may not specify a duration larger than 2^32 seconds"
        };
        let cause = errors::invalid_value("spec.expirationSeconds", &seconds.into(), detail);
        let (group, kind) = ("authentication.k8s.io", "TokenRequest");
        return Err(errors::invalid_named("TokenRequest.authentication.k8s.io", group, kind, "", &[cause]));
    }
    if let Some(bound) = asked.pointer("/spec/boundObjectRef").filter(|bound| !bound.is_null()) {
        let text = |key: &str| bound[key].as_str().unwrap_or_default();
        return Err(errors::bad_request(format!(
            "cannot bind token to object of type {}, Kind={}: tokens of the embedded sandbox are bound to service accounts only",
            text("apiVersion"),
            text("kind")
        )));
    }
    let mut audiences: Vec<String> = asked
        .pointer("/spec/audiences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|audience| audience.as_str().map(str::to_owned))
        .collect();
    if audiences.is_empty() {
        audiences.push(token::AUDIENCE.into());
    }
    let now = Timestamp::now();
    let expires = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    let signed = token::issue(
        &account.namespace,
        &account.name,
        &account.uid,
        &audiences,
        now.as_second(),
        expires.as_second(),
        &context.server.settings,
    );
    Ok(answer::json(
        201,
        &json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": account.name, "namespace": account.namespace, "creationTimestamp": timestamp(now),
            },
            "spec": {
                "audiences": audiences,
                "expirationSeconds": seconds, "boundObjectRef": null,
            },
            "status": {"token": signed, "expirationTimestamp": timestamp(expires)},
        }),
    ))
}
