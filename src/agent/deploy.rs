//! Carrying a deployment out: the plan from the cluster's answers, the revision's record, the operations stage by
//! stage, and what is printed of them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::cluster::{Cluster, Mode};
use super::fault::Fault;
use super::history::{self, History};
use super::manifest::{Identity, Resource, parse_manifest};
use super::output::Output;
use super::plan::{Action, Operation, Owner, decide, is_owned, marked, prunable};
use super::track::{Target, Tracker};
use crate::release::{Release, Status};

/// One deployment on its way.
pub struct Deployment<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Where it is told.
    pub output: &'a Output,
    /// Whose the resources are.
    pub owner: Owner<'a>,
    /// How long it may take, in seconds; 0 is as long as it takes.
    pub timeout_s: u64,
    /// Whether resources of others are taken over.
    pub force_adoption: bool,
    /// How many revisions are kept; 0 keeps all.
    pub history_max: usize,
}

/// What a deployment did, in the order in which it was done.
#[derive(Debug, Default)]
pub struct Report {
    completed: Vec<String>,
    failed: Vec<String>,
    canceled: Vec<String>,
}

impl Deployment<'_> {
    /// What is to be done so that the resources are there, and those of earlier revisions gone.
    ///
    /// # Errors
    /// The cluster refuses what cannot be, or does not answer.
    pub async fn plan(&self, resources: &[Resource], history: &History) -> Result<Vec<Operation>, Fault> {
        let mut operations = Vec::new();
        let since = history.last_deployed().map_or(0, |release| release.version);
        let earlier: Vec<Resource> = history
            .0
            .iter()
            .filter(|release| release.version >= since)
            .flat_map(|release| parse_manifest(&release.manifest))
            .collect();
        for identity in prunable(&earlier, resources) {
            let Ok(path) = self.cluster.path(&identity, self.owner.namespace).await else { continue };
            if let Some(live) = self.cluster.get(&path).await?.filter(|live| is_owned(&self.owner, live)) {
                let action = Action::Delete { live };
                operations.push(Operation { identity, path, object: Value::Null, action, weight: i32::MIN });
            }
        }
        let main: Vec<&Resource> = resources.iter().filter(|resource| resource.hook_events().is_empty()).collect();
        for planned in join_all(main.into_iter().map(|resource| self.plan_one(resource))).await {
            operations.push(planned?);
        }
        Ok(operations)
    }

    async fn plan_one(&self, resource: &Resource) -> Result<Operation, Fault> {
        let identity = resource.identity();
        let object = marked(resource, &self.owner);
        let path = self.cluster.path(&identity, self.owner.namespace).await?;
        let live = self.cluster.get(&path).await?;
        let trial = match &live {
            Some(_) => Some(self.cluster.apply(&path, &object, Mode::DryRun).await),
            None => None,
        };
        let action = decide(&identity, &self.owner, live, trial, self.force_adoption)?;
        // Namespaces and definitions come before what needs them, whatever their weight.
        let early = matches!(identity.kind.as_str(), "Namespace" | "CustomResourceDefinition");
        let weight = if early { i32::MIN + 1 } else { resource.weight() };
        Ok(Operation { identity, path, object, action, weight })
    }

    /// Makes `release` the newest revision: records it, carries the operations out, and awaits readiness.
    ///
    /// # Errors
    /// What failed; the revision is marked so.
    pub async fn install(
        &self,
        release: Release,
        operations: &[Operation],
        history: &History,
        auto_rollback: bool,
    ) -> Result<(), Fault> {
        let mut report = Report::default();
        let deadline = (self.timeout_s > 0).then(|| Instant::now() + Duration::from_secs(self.timeout_s));
        let mut tracker = Tracker::new(self.cluster, self.output, deadline);
        let namespaces: BTreeSet<String> =
            operations.iter().map(|operation| self.target(operation).namespace).collect();
        for namespace in namespaces.iter().filter(|namespace| !namespace.is_empty()) {
            tracker.note_pods(namespace).await;
        }
        let track_all = history.last().is_some_and(|last| last.info.status != Status::Deployed);
        let rollback_to = if auto_rollback { history.last_deployed().cloned() } else { None };
        let attempt = Attempt { track_all, show_failure: rollback_to.is_none() };
        let mut result = self.run(release.clone(), operations, history, attempt, &mut tracker, &mut report).await;
        if let (Err(_), Some(target)) = (&result, rollback_to)
            && let Err(fault) = self.roll_back_after(&target, &mut tracker, &mut report).await
        {
            result = result.map_err(|cause| Fault::invalid(format!("{cause}; roll back: {fault}")));
        }
        report.show(self.output);
        result.map_err(|fault| {
            fault
                .within("execute operation")
                .within("wait for operations completion")
                .within("execute release install plan")
                .within(format!("failed release {:?} (namespace: {:?})", self.owner.release, self.owner.namespace))
        })
    }

    async fn roll_back_after(
        &self,
        target: &Release,
        tracker: &mut Tracker<'_>,
        report: &mut Report,
    ) -> Result<(), Fault> {
        let history = History::read(self.cluster, self.owner.namespace, self.owner.release).await?;
        let resources = parse_manifest(&target.manifest);
        let operations = self.plan(&resources, &history).await?;
        let release = next_revision(target, &history, Status::PendingRollback);
        let attempt = Attempt { track_all: true, show_failure: true };
        self.run(release, &operations, &history, attempt, tracker, report).await
    }

    async fn run(
        &self,
        mut release: Release,
        operations: &[Operation],
        history: &History,
        attempt: Attempt,
        tracker: &mut Tracker<'_>,
        report: &mut Report,
    ) -> Result<(), Fault> {
        if let Err(fault) = history::create(self.cluster, &release).await {
            report.canceled = operations.iter().filter_map(line).collect();
            return Err(fault);
        }
        let result = self.run_stages(&release, operations, attempt, tracker, report).await;
        let status = if result.is_ok() { Status::Deployed } else { Status::Failed };
        history::set_status(self.cluster, &mut release, status).await?;
        if result.is_ok() {
            for earlier in history.0.iter().filter(|earlier| earlier.info.status == Status::Deployed) {
                history::set_status(self.cluster, &mut earlier.clone(), Status::Superseded).await?;
            }
        }
        let surplus = history.surplus(self.history_max);
        history::forget(self.cluster, self.owner.namespace, self.owner.release, &surplus).await?;
        result
    }

    async fn run_stages(
        &self,
        release: &Release,
        operations: &[Operation],
        attempt: Attempt,
        tracker: &mut Tracker<'_>,
        report: &mut Report,
    ) -> Result<(), Fault> {
        let upgrade = release.version > 1;
        self.run_hooks(release, if upgrade { "pre-upgrade" } else { "pre-install" }, tracker).await?;
        let mut weights: Vec<i32> = operations.iter().map(|operation| operation.weight).collect();
        weights.sort_unstable();
        weights.dedup();
        for weight in weights {
            let stage: Vec<&Operation> = operations.iter().filter(|operation| operation.weight == weight).collect();
            if let Err(fault) = self.run_stage(&stage, attempt, tracker, report).await {
                let later = operations.iter().filter(|operation| operation.weight > weight);
                report.canceled.extend(later.filter_map(line));
                return Err(fault);
            }
        }
        self.run_hooks(release, if upgrade { "post-upgrade" } else { "post-install" }, tracker).await
    }

    async fn run_stage(
        &self,
        stage: &[&Operation],
        attempt: Attempt,
        tracker: &mut Tracker<'_>,
        report: &mut Report,
    ) -> Result<(), Fault> {
        for (position, operation) in stage.iter().enumerate() {
            let Some(line) = line(operation) else { continue };
            if let Err(fault) = self.carry_out(operation).await {
                report.failed.push(line);
                report.canceled.extend(stage[position + 1..].iter().filter_map(|operation| self::line(operation)));
                let others = stage.iter().filter(|other| other.identity != operation.identity);
                let others = others.filter(|other| attempt.track_all || other.verb().is_some());
                let applied: Vec<Target> = others.map(|other| self.target(other)).collect();
                if !applied.is_empty() {
                    tracker.glance(applied).await;
                }
                return Err(fault);
            }
            report.completed.push(line);
        }
        let tracked = stage.iter().filter(|operation| attempt.track_all || operation.verb().is_some());
        tracker.follow(tracked.map(|operation| self.target(operation)).collect(), attempt.show_failure).await
    }

    async fn carry_out(&self, operation: &Operation) -> Result<(), Fault> {
        let short = operation.identity.short();
        match &operation.action {
            Action::Delete { .. } => self
                .cluster
                .delete(&operation.path)
                .await
                .map_err(|fault| fault.within(format!("delete resource {short:?}")).within("delete resource")),
            _ => {
                self.cluster.apply(&operation.path, &operation.object, Mode::Real).await.map(|_| ()).map_err(|fault| {
                    let verb = operation.verb().unwrap_or("Apply").to_lowercase();
                    fault.within(format!("server-side apply resource {short:?}")).within(format!("{verb} resource"))
                })
            }
        }
    }

    fn target(&self, operation: &Operation) -> Target {
        Target {
            identity: operation.identity.clone(),
            path: operation.path.clone(),
            namespace: operation.identity.namespace.clone().unwrap_or_else(|| self.owner.namespace.to_owned()),
            absent: matches!(operation.action, Action::Delete { .. }),
        }
    }

    /// Runs the hooks of one moment, one after another by weight, each awaited.
    async fn run_hooks(&self, release: &Release, event: &str, tracker: &mut Tracker<'_>) -> Result<(), Fault> {
        let mut hooks: Vec<_> =
            release.hooks.iter().filter(|hook| hook.events.iter().any(|one| one == event)).collect();
        hooks.sort_by_key(|hook| hook.weight);
        for hook in hooks {
            let Some(resource) = parse_manifest(&hook.manifest).into_iter().next() else { continue };
            let identity = resource.identity();
            let path = self.cluster.path(&identity, self.owner.namespace).await?;
            let has_policy = |policy: &str| hook.delete_policies.iter().any(|one| one == policy);
            if hook.delete_policies.is_empty() || has_policy("before-hook-creation") {
                self.cluster.delete(&path).await?;
                self.await_absence(&path).await?;
            }
            let object = marked(&resource, &self.owner);
            self.cluster
                .apply(&path, &object, Mode::Real)
                .await
                .map_err(|fault| fault.within(format!("run hook {:?}", identity.short())))?;
            let target =
                Target { identity, path: path.clone(), namespace: self.owner.namespace.to_owned(), absent: false };
            let result = tracker.follow(vec![target], true).await;
            if has_policy(if result.is_ok() { "hook-succeeded" } else { "hook-failed" }) {
                self.cluster.delete(&path).await?;
            }
            result?;
        }
        Ok(())
    }

    /// Waits, for a bounded time, until there is nothing at the path.
    pub async fn await_absence(&self, path: &str) -> Result<(), Fault> {
        let start = Instant::now();
        while self.cluster.get(path).await?.is_some() {
            if start.elapsed() > Duration::from_secs(60) {
                return Err(Fault::invalid(format!("{path} is still there after 60 seconds")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Makes the namespace and, in it, werf's lock, unless they are there.
    ///
    /// # Errors
    /// The cluster refuses or does not answer.
    pub async fn prepare_namespace(&self) -> Result<(), Fault> {
        let namespace = self.owner.namespace;
        if self.cluster.get(&format!("/api/v1/namespaces/{namespace}")).await?.is_none() {
            let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
            match self.cluster.create("/api/v1/namespaces", &object).await {
                Err(fault) if !is_conflict(&fault) => {
                    return Err(fault.within(format!("create namespace {namespace:?}")));
                }
                _ => {}
            }
        }
        let lock = format!("/api/v1/namespaces/{namespace}/configmaps/werf-synchronization");
        if self.cluster.get(&lock).await?.is_none() {
            let object =
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "werf-synchronization" } });
            // A namespace that is being deleted refuses; what follows says so better.
            let _ = self.cluster.create(&format!("/api/v1/namespaces/{namespace}/configmaps"), &object).await;
        }
        Ok(())
    }
}

fn is_conflict(fault: &Fault) -> bool {
    matches!(fault.root(), Fault::Api { code: 409, .. })
}

/// How one attempt is followed.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    /// Whether resources that need no change are awaited too: after a failure they may not be well.
    track_all: bool,
    show_failure: bool,
}

fn line(operation: &Operation) -> Option<String> {
    Some(format!("{}: {}", operation.verb()?, operation.identity.short()))
}

impl Report {
    fn show(&self, output: &Output) {
        for (title, lines) in [
            ("Completed operations", &self.completed),
            ("Failed operations", &self.failed),
            ("Canceled operations", &self.canceled),
        ] {
            if !lines.is_empty() {
                output.frame(title, lines);
            }
        }
    }
}

/// A copy of an earlier revision as the next one.
pub fn next_revision(target: &Release, history: &History, status: Status) -> Release {
    let mut release = target.clone();
    release.version = history.next_revision();
    release.info.status = status;
    release.info.last_deployed = jiff::Timestamp::now().to_string();
    release
}

/// The path of an identity of a release's record, for those who only delete.
pub async fn existing_path(cluster: &Cluster, identity: &Identity, namespace: &str) -> Option<String> {
    let path = cluster.path(identity, namespace).await.ok()?;
    cluster.get(&path).await.ok().flatten().map(|_| path)
}
