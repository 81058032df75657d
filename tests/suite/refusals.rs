//! What the API refuses, and how: in Kubernetes' own shape, over HTTP/2 too.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tutorial::cluster::embedded::registry::Writer;
use tutorial::cluster::embedded::schema;

use super::embedded::{ADMIN, Server};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test]
async fn what_is_not_served_is_not_found_whatever_the_method() {
    let server = Server::start().await;
    for path in [
        "/apis/batch/v1/namespaces/default/jobs",
        "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
        "/apis/nope.io/v1/things/one",
        "/api/v1/namespaces/default/nopes",
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = server.call(method, path, &JSON, "{}").await;
            assert_eq!(answer.status, 404, "{method} {path}: {:?}", answer.json());
        }
    }
    let answer = server.call("PUT", "/version", &JSON, "{}").await;
    assert_eq!((answer.status, &answer.json()["reason"]), (405, &json!("MethodNotAllowed")));
    assert_eq!(server.call_as("", "PUT", "/version", &JSON, "{}").await.status, 401);
    assert_eq!(server.call_as("", "GET", "/version", &[], "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_over_http_two_come_whole() {
    let server = Server::start().await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(server.connect_http_two().await))
            .await
            .unwrap();
    tokio::spawn(connection);
    let pod = json!({"kind": "Pod", "metadata": {"name": "p", "annotations": {"a": "x".repeat(60_000)}}}).to_string();
    for (path, token, code) in
        [("/api/v1/namespaces/default/pods", "", 401), ("/apis/batch/v1/namespaces/default/jobs", ADMIN, 404)]
    {
        for turn in 0..200 {
            let mut request = Request::post(format!("https://localhost{path}"));
            if !token.is_empty() {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let request = request.body(Full::new(Bytes::from(pod.clone())).boxed()).unwrap();
            let response = sender.send_request(request).await.unwrap_or_else(|error| panic!("{path} {turn}: {error}"));
            assert_eq!(response.status().as_u16(), code, "{path} {turn}");
            let body = response.into_body().collect().await.unwrap_or_else(|error| panic!("{path} {turn}: {error}"));
            if code == 401 {
                let status: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
                assert_eq!(status["reason"], "Unauthorized", "{path} {turn}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_nobody_wants_is_taken_in_after_the_answer() {
    let server = Server::start().await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(server.connect_http_two().await))
            .await
            .unwrap();
    tokio::spawn(connection);
    let (pieces, source) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = Box::pin(futures_util::stream::unfold(source, |mut source| async move {
        source.recv().await.map(|piece| (Ok::<_, Infallible>(Frame::data(piece)), source))
    }));
    let request =
        Request::post("https://localhost/api/v1/namespaces/default/pods").body(StreamBody::new(frames)).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status().as_u16(), 401);
    response.into_body().collect().await.unwrap();
    // The stream still stands: a server that had reset it would end the body's source.
    for turn in 0..64 {
        pieces.send(Bytes::from(vec![b'x'; 16 << 10])).await.unwrap_or_else(|_| panic!("reset at piece {turn}"));
    }
}

async fn post(server: &Server, path: &str, body: Value) -> (u16, Value) {
    let answer = server.call("POST", path, &JSON, body.to_string()).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn questions_about_access_ask_for_something() {
    let server = Server::start().await;
    let (status, answer) =
        post(&server, "/apis/authorization.k8s.io/v1/subjectaccessreviews", json!({"spec": {}})).await;
    assert_eq!(
        (status, answer["message"].as_str().unwrap()),
        (
            422,
            "SubjectAccessReview.authorization.k8s.io \"\" is invalid: [spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified, spec.user: Invalid value: \"\": at least one of user or group must be specified]"
        )
    );
    let asked =
        json!({"spec": {"groups": ["system:masters"], "resourceAttributes": {"verb": "create", "resource": "pods"}}});
    let (status, answer) = post(&server, "/apis/authorization.k8s.io/v1/subjectaccessreviews", asked).await;
    assert_eq!((status, &answer["status"]["allowed"]), (201, &json!(true)));
}

#[tokio::test]
async fn tokens_are_for_whom_they_are_asked_for() {
    let server = Server::start().await;
    let account = json!({"metadata": {"name": "robot", "namespace": "default"}});
    server.registry.create(schema::by_kind("v1", "ServiceAccount").unwrap(), account, &Writer::new("test")).unwrap();
    let path = "/api/v1/namespaces/default/serviceaccounts/robot/token";
    let who = async |answer: &Value| {
        let token = answer["status"]["token"].as_str().unwrap().to_owned();
        server.call_as(&token, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", &JSON, "{}").await.status
    };
    let (status, answer) = post(&server, path, json!({"spec": {}})).await;
    assert_eq!((status, who(&answer).await), (201, 201));
    let (status, answer) = post(&server, path, json!({"spec": {"audiences": ["vault"]}})).await;
    assert_eq!((status, &answer["spec"]["audiences"], who(&answer).await), (201, &json!(["vault"]), 401));
    let bound = json!({"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}}});
    let (status, answer) = post(&server, path, bound).await;
    assert_eq!((status, &answer["reason"]), (400, &json!("BadRequest")));
}

#[tokio::test]
async fn pods_are_evicted_and_those_without_a_host_have_no_commands() {
    let server = Server::start().await;
    let pod = json!({"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "a", "image": "i"}]}});
    server.registry.create(schema::by_kind("v1", "Pod").unwrap(), pod, &Writer::new("test")).unwrap();
    let path = "/api/v1/namespaces/default/pods/p";
    let answer = server.call("POST", &format!("{path}/exec?command=ls"), &[], "").await;
    assert_eq!((answer.status, &answer.json()["message"]), (400, &json!("pod p does not have a host assigned")));
    let answer = server.call("GET", &format!("{path}/log"), &[], "").await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    let eviction = |name: &str| json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    assert_eq!(post(&server, &format!("{path}/eviction"), json!({"kind": "Pod", "apiVersion": "v1"})).await.0, 400);
    assert_eq!(post(&server, &format!("{path}/eviction"), eviction("other")).await.0, 400);
    let (status, answer) = post(&server, &format!("{path}/eviction"), eviction("p")).await;
    assert_eq!((status, &answer["status"]), (201, &json!("Success")));
    assert_eq!(server.call("GET", path, &[], "").await.status, 404);
    let listed = server.call("GET", "/api/v1", &[], "").await.json();
    let found = listed["resources"].as_array().unwrap().iter().find(|one| one["name"] == "pods/eviction").cloned();
    assert_eq!(found.unwrap()["kind"], "Eviction");
}
