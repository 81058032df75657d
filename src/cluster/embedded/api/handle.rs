//! One request: who asks, what for, may they, then the answer.

use std::sync::Arc;

use hyper::Request;
use percent_encoding::percent_decode_str;

use super::super::status::Status;
use super::answer::{self, Answer};
use super::auth::{self, User};
use super::body::RequestBody;
use super::query::Query;
use super::route::{self, Route, Target};
use super::server::Server;
use super::{admin, discovery, health, list, negotiate, objects, openapi, pods, reviews, scale};

/// A request with what is known of it.
pub(super) struct Context {
    pub server: Arc<Server>,
    pub user: User,
    pub query: Query,
}

pub(super) async fn handle(server: Arc<Server>, request: Request<RequestBody>) -> Answer {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let route = route::parse(&path);
    let open = if is_read(request.method()) {
        answer_open(&server, &route, request.uri().query().unwrap_or_default())
    } else {
        None
    };
    match open {
        Some(answered) => answered,
        None => match answer_known(server, request, route).await {
            Ok(answered) => answered,
            Err(status) => answer::status(&status),
        },
    }
}

fn is_read(method: &http::Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD")
}

/// What needs no credentials.
fn answer_open(server: &Server, route: &Route<'_>, query: &str) -> Option<Answer> {
    match route {
        Route::Version => Some(health::version()),
        Route::Health { page, check } => Some(health::health(server, page, check, &Query::parse(query))),
        _ => None,
    }
}

async fn answer_known(server: Arc<Server>, request: Request<RequestBody>, route: Route<'_>) -> Result<Answer, Status> {
    let user = auth::authenticate(request.headers(), &server.settings).ok_or_else(auth::unauthorized)?;
    let user = auth::impersonate(user, request.headers())?;
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let method = request.method().clone();
    let verb = match &route {
        Route::Resource(target) => auth::verb(&method, target, query.flag("watch")),
        _ => "",
    };
    auth::authorize(&user, &method, &route, verb, query.dry_run())?;
    let deprecated = matches!(&route, Route::Resource(target) if target.kind.name == "Endpoints");
    let outcome = dispatch(Context { server, user, query }, request, route, verb).await;
    let mut answered = outcome.or_else(|status| if deprecated { Ok(answer::status(&status)) } else { Err(status) })?;
    if deprecated {
        answer::warn(&mut answered, &[ENDPOINTS_DEPRECATED.to_owned()]);
    }
    Ok(answered)
}

const ENDPOINTS_DEPRECATED: &str = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

async fn dispatch(
    context: Context,
    request: Request<RequestBody>,
    route: Route<'_>,
    verb: &'static str,
) -> Result<Answer, Status> {
    let get = is_read(request.method());
    match route {
        Route::Resource(target) => resource(&context, request, target, verb).await,
        Route::Review(review) => reviews::review(&context, request, review).await,
        Route::Tutorial { path } => admin::answer(&context, &request, path).await,
        Route::UnknownResource => Err(answer::unknown_resource()),
        // A group that is not served knows no methods either: `kubectl create job` is told that there are no jobs.
        Route::Unknown => Ok(answer::page_not_found()),
        _ if !get => Err(answer::method_not_allowed()),
        Route::Root => Ok(discovery::root()),
        Route::CoreVersions => Ok(discovery::core_versions(request.headers())),
        Route::Groups => Ok(discovery::groups(request.headers())),
        Route::Group { group } => Ok(discovery::group(group)),
        Route::Resources { group, version } => Ok(discovery::resources(group, version)),
        Route::OpenApiTwo => Ok(openapi::version_two(request.headers())),
        Route::OpenApiThreeIndex => Ok(openapi::index()),
        Route::OpenApiThree { path } => Ok(openapi::document(path, &context.query, request.headers())),
        Route::Version | Route::Health { .. } => Ok(answer::page_not_found()),
    }
}

async fn resource(
    context: &Context,
    request: Request<RequestBody>,
    target: Target<'_>,
    verb: &'static str,
) -> Result<Answer, Status> {
    if let Some(name) = target.subresource.filter(|name| pods::SUBRESOURCES.contains(name)) {
        return pods::answer(context, request, &target, name).await;
    }
    if target.subresource == Some("token") {
        return reviews::create_token(context, request, &target).await;
    }
    if !allows(&target, verb) {
        return Err(answer::method_not_allowed());
    }
    if verb == "watch" || verb == "list" {
        let representation = negotiate::representation(request.headers())?;
        return list::answer(context, &target, verb, representation);
    }
    if target.subresource == Some("scale") {
        return scale::answer(context, request, &target, verb).await;
    }
    match verb {
        "get" => objects::get(context, &request, &target),
        "create" => objects::create(context, request, &target).await,
        "update" => objects::update(context, request, &target).await,
        "patch" => objects::patch(context, request, &target).await,
        "delete" => objects::delete(context, request, &target).await,
        "deletecollection" => objects::delete_collection(context, request, &target).await,
        _ => Err(answer::method_not_allowed()),
    }
}

/// Whether the kind knows the verb there: objects are not created by name, collections not updated.
fn allows(target: &Target<'_>, verb: &str) -> bool {
    let fits = match (verb, target.name, target.subresource) {
        ("create", Some(_), subresource) => matches!(subresource, Some("binding" | "eviction")),
        ("create", None, _) | ("deletecollection", ..) => !target.kind.namespaced || target.namespace.is_some(),
        ("update" | "patch", Some(_), _) | ("list" | "watch" | "get", ..) | ("delete", Some(_), None) => true,
        _ => false,
    };
    fits && (target.subresource.is_some() || target.kind.verbs.contains(&verb))
}
