//! Carries a plan out.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::plan::{self, Plan};
use super::{Kinds, Scope, SnapshotError, State, request, text};

/// The cluster, and what it knows.
pub struct Site<'a> {
    pub client: &'a kube::Client,
    pub kinds: &'a Kinds,
}

/// Something in a namespace may end slowly.
const GONE_TIME_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

impl Site<'_> {
    /// The namespaces in scope that were there, and no others; one that is about to go is awaited.
    pub async fn namespaces(&self, wanted: &State, scope: &Scope) -> Result<(), SnapshotError> {
        let api = || SnapshotError::api("a list of namespaces");
        let found = request::get(self.client, "/api/v1/namespaces").await.map_err(api())?;
        let mut going = Vec::new();
        for namespace in found["items"].as_array().cloned().unwrap_or_default() {
            let name = text(&namespace["metadata"]["name"]).to_owned();
            if !scope.holds(&name) {
                continue;
            }
            let path = format!("/api/v1/namespaces/{name}");
            if !wanted.namespaces.contains_key(&name) && name != "default" {
                request::delete(self.client, &path)
                    .await
                    .map_err(SnapshotError::api(format!("the end of the namespace {name}")))?;
                going.push(path);
            } else if !namespace["metadata"]["deletionTimestamp"].is_null() {
                going.push(path);
            }
        }
        for path in &going {
            self.await_gone(path).await?;
        }
        for (name, namespace) in &wanted.namespaces {
            let fresh = plan::essence(namespace);
            let failed = || SnapshotError::api(format!("the namespace {name}"));
            match request::create(self.client, "/api/v1/namespaces", &fresh).await {
                Err(error) if request::code(&error) == Some(409) => {
                    let path = format!("/api/v1/namespaces/{name}");
                    let live = request::get(self.client, &path).await.map_err(failed())?;
                    if plan::essence(&live)["metadata"] != fresh["metadata"] {
                        request::replace(self.client, &path, &fresh).await.map_err(failed())?;
                    }
                }
                other => drop(other.map_err(failed())?),
            }
        }
        Ok(())
    }

    pub async fn carry_out(&self, plan: &Plan) -> Result<(), SnapshotError> {
        let mut going = Vec::new();
        for object in &plan.delete {
            going.extend(self.delete(object).await?);
        }
        for path in &going {
            self.await_gone(path).await?;
        }
        for object in &plan.create {
            self.create(object).await?;
        }
        for (object, live) in &plan.replace {
            self.replace(object, live).await?;
        }
        Ok(())
    }

    async fn delete(&self, object: &Value) -> Result<Option<String>, SnapshotError> {
        let Some(path) = self.kinds.path(object) else { return Ok(None) };
        let failed = SnapshotError::api(format!("the end of {}", named(object)));
        request::delete(self.client, &format!("{path}?propagationPolicy=Background")).await.map_err(failed)?;
        Ok(Some(path))
    }

    pub async fn create(&self, object: &Value) -> Result<(), SnapshotError> {
        let (Some(collection), Some(path)) = (self.kinds.collection(object), self.kinds.path(object)) else {
            return Ok(());
        };
        let fresh = plan::creatable(object);
        match request::create(self.client, &collection, &fresh).await {
            // An address that another Service has by now.
            Err(error) if request::code(&error) == Some(422) && fresh["kind"] == "Service" => {
                let mut fresh = fresh;
                for name in ["clusterIP", "clusterIPs"] {
                    fresh["spec"].as_object_mut().map(|spec| spec.remove(name));
                }
                request::create(self.client, &collection, &fresh).await.map_err(refused(object))?;
            }
            // What a controller made meanwhile.
            Err(error) if request::code(&error) == Some(409) => {
                let live = request::get(self.client, &path).await.map_err(refused(object))?;
                let fresh = plan::update(object, &live);
                request::replace(self.client, &path, &fresh).await.map_err(refused(object))?;
            }
            other => drop(other.map_err(refused(object))?),
        }
        self.give_fields_back(object, &path).await
    }

    async fn replace(&self, object: &Value, live: &Value) -> Result<(), SnapshotError> {
        let Some(path) = self.kinds.path(object) else { return Ok(()) };
        let fresh = plan::update(object, live);
        if fresh["kind"] == "ReplicaSet" {
            // Its Deployment scales it; the annotations are set in the end.
            return Ok(());
        }
        match request::replace(self.client, &path, &fresh).await {
            // What cannot be changed is made anew.
            Err(error) if request::code(&error) == Some(422) => {
                self.delete(live).await?;
                self.await_gone(&path).await?;
                return self.create(object).await;
            }
            other => drop(other.map_err(refused(object))?),
        }
        self.give_fields_back(object, &path).await
    }

    /// Says again who set which fields: our own write would else be the owner of all of them, and what a chart does not
    /// have any more would stay.
    pub async fn give_fields_back(&self, object: &Value, path: &str) -> Result<(), SnapshotError> {
        let mut entries = plan::managed_fields(object);
        if entries.is_empty() {
            return Ok(());
        }
        let live = request::get(self.client, path).await.map_err(refused(object))?;
        let all = live["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        entries.extend(all.into_iter().filter(|entry| entry.get("subresource").is_some()));
        let patch = json!({"metadata": {"managedFields": entries}});
        request::merge(self.client, path, &patch).await.map(drop).map_err(refused(object))
    }

    async fn await_gone(&self, path: &str) -> Result<(), SnapshotError> {
        let deadline = Instant::now() + GONE_TIME_MAX;
        loop {
            match request::get(self.client, path).await {
                Err(error) if request::code(&error) == Some(404) => return Ok(()),
                Err(error) => return Err(SnapshotError::api(format!("a look at {path}"))(error)),
                Ok(_) if Instant::now() > deadline => {
                    return Err(SnapshotError::Slow { what: path.to_owned(), seconds: GONE_TIME_MAX.as_secs() });
                }
                Ok(_) => tokio::time::sleep(POLL).await,
            }
        }
    }
}

pub fn refused(object: &Value) -> impl FnOnce(kube::Error) -> SnapshotError {
    SnapshotError::api(named(object))
}

fn named(object: &Value) -> String {
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}
