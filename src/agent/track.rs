//! Waiting for what was applied: one loop of short polls that shows progress, notices readiness at once, and gives up
//! fast when pods fail.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cluster::Cluster;
use super::fault::Fault;
use super::manifest::Identity;
use super::output::Output;
use super::progress::{Row, State, table};
use super::watch::{Errors, Pods, is_present_set, readiness, workload_rows};

/// How often a table is shown while waiting.
const TABLE_PERIOD: Duration = Duration::from_secs(5);

/// How long nothing may change before waiting ends.
const QUIET_TIME_MAX: Duration = Duration::from_secs(240);

/// The pause between polls at first, and after [`EAGER_TIME`].
const POLL_EAGER: Duration = Duration::from_millis(15);
const POLL_PATIENT: Duration = Duration::from_millis(150);
const EAGER_TIME: Duration = Duration::from_secs(3);

/// How many characters of a log line fit the frame.
const LOG_WIDTH: usize = 138;

/// What is waited for.
#[derive(Debug, Clone)]
pub struct Target {
    /// Which object.
    pub identity: Identity,
    /// Its path.
    pub path: String,
    /// Its namespace.
    pub namespace: String,
    /// Whether it is to be gone.
    pub absent: bool,
}

/// Shows and remembers what is waited for, over the stages of one deployment.
pub struct Tracker<'a> {
    cluster: &'a Cluster,
    output: &'a Output,
    deadline: Option<Instant>,
    /// Rows of an earlier attempt, shown above.
    above: Vec<Row>,
    /// Ready resources that a table has shown already.
    shown: HashSet<String>,
    logged: HashMap<String, usize>,
    /// The uids of the pods that were there before anything was changed.
    pods_before: HashSet<String>,
}

/// One target while it is waited for.
struct Followed {
    target: Target,
    state: State,
    looked: bool,
    pods: Option<Pods>,
    errors: Errors,
    last: Value,
}

impl<'a> Tracker<'a> {
    /// A tracker that gives up at the deadline.
    pub fn new(cluster: &'a Cluster, output: &'a Output, deadline: Option<Instant>) -> Self {
        let (above, shown, logged, pods_before) = (Vec::new(), HashSet::new(), HashMap::new(), HashSet::new());
        Self { cluster, output, deadline, above, shown, logged, pods_before }
    }

    /// Takes note of a namespace's pods before anything is changed: those that come later are news.
    pub async fn note_pods(&mut self, namespace: &str) {
        // Where they cannot be listed, all of them are news.
        let pods = self.cluster.list(&format!("/api/v1/namespaces/{namespace}/pods")).await.unwrap_or_default();
        self.pods_before.extend(pods.iter().filter_map(|pod| Some(pod.pointer("/metadata/uid")?.as_str()?.to_owned())));
    }

    /// Waits until all targets are as desired. `show_failure` is off where a roll-back follows and shows it.
    ///
    /// # Errors
    /// A target that failed, the deadline, or a cluster that does not answer.
    pub async fn follow(&mut self, targets: Vec<Target>, show_failure: bool) -> Result<(), Fault> {
        if targets.is_empty() {
            return Ok(());
        }
        let mut followed: Vec<Followed> = targets.into_iter().map(Followed::new).collect();
        let start = Instant::now();
        let (mut shown_at, mut changed_at) = (start, start);
        if !self.above.is_empty() {
            self.show(&followed);
        }
        loop {
            let mut failure = None;
            for one in followed.iter_mut().filter(|one| one.state == State::Waiting) {
                let before = one.last.clone();
                if let Err(fault) = one.look(self.cluster, &self.pods_before).await {
                    failure.get_or_insert(fault);
                }
                if one.last != before {
                    changed_at = Instant::now();
                }
            }
            if failure.is_none() && followed.iter().all(|one| one.state != State::Waiting) {
                self.show(&followed);
                return Ok(());
            }
            if failure.is_none() {
                failure = self.timed_out(&followed, changed_at);
            }
            if let Some(fault) = failure {
                self.log(&followed).await;
                if show_failure {
                    self.show(&followed);
                } else {
                    self.above = rows(&followed, &HashSet::new());
                }
                return Err(fault);
            }
            if shown_at.elapsed() >= TABLE_PERIOD {
                shown_at = Instant::now();
                self.log(&followed).await;
                self.show(&followed);
            }
            let pause = if start.elapsed() < EAGER_TIME { POLL_EAGER } else { POLL_PATIENT };
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks once at targets that are no longer waited for, and shows how they stand.
    pub async fn glance(&mut self, targets: Vec<Target>) {
        let mut followed: Vec<Followed> = targets.into_iter().map(Followed::new).collect();
        for one in &mut followed {
            let _ = one.look(self.cluster, &self.pods_before).await;
        }
        self.show(&followed);
    }

    fn timed_out(&self, followed: &[Followed], changed_at: Instant) -> Option<Fault> {
        let waiting = followed.iter().find(|one| one.state == State::Waiting)?;
        let over = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let cause = if over {
            "context deadline exceeded".to_owned()
        } else if changed_at.elapsed() >= QUIET_TIME_MAX {
            format!("no activity for {} seconds", QUIET_TIME_MAX.as_secs())
        } else {
            return None;
        };
        let (goal, kind) = (waiting.target.goal(), waiting.target.identity.kind.to_lowercase());
        Some(
            Fault::invalid(cause)
                .within(format!("track resource {:?}", waiting.target.full()))
                .within(format!("track {kind}"))
                .within(format!("track resource {goal}")),
        )
    }

    fn show(&mut self, followed: &[Followed]) {
        let rows: Vec<Row> = self.above.iter().cloned().chain(rows(followed, &self.shown)).collect();
        for one in followed.iter().filter(|one| matches!(one.state, State::Ready | State::Absent)) {
            self.shown.insert(one.target.full());
        }
        let (gone, stay): (Vec<Row>, Vec<Row>) = {
            let absent: HashSet<String> =
                followed.iter().filter(|one| one.target.absent).map(|one| one.target.identity.short()).collect();
            rows.into_iter().partition(|row| absent.contains(&row.resource))
        };
        let mut lines = Vec::new();
        for (goal, rows) in [("READY", stay), ("ABSENT", gone)] {
            if !rows.is_empty() {
                lines.extend(table(goal, &rows, self.output));
            }
        }
        if !lines.is_empty() {
            self.output.frame("Progress status", &lines);
        }
    }

    /// Shows what pods that are not ready have written since the last time.
    async fn log(&mut self, followed: &[Followed]) {
        for one in followed {
            for pod in one.pods.iter().flat_map(|pods| &pods.pods) {
                let name = pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                let containers = pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
                for container in containers.filter_map(|container| container.get("name")?.as_str()) {
                    self.log_container(&one.target.namespace, name, container).await;
                }
            }
        }
    }

    async fn log_container(&mut self, namespace: &str, pod: &str, container: &str) {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/log?container={container}&limitBytes=65536");
        let Ok(text) = self.cluster.text(&path).await else { return };
        let known = self.logged.entry(format!("{namespace}/{pod}/{container}")).or_default();
        let new: Vec<&str> = text.lines().skip(*known).collect();
        *known += new.len();
        let lines: Vec<String> = new
            .iter()
            .flat_map(|line| {
                let letters: Vec<char> = line.chars().collect();
                letters.chunks(LOG_WIDTH).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>()
            })
            .collect();
        if !lines.is_empty() {
            self.output.frame(&format!("Logs for Pod/{pod}, container/{container}"), &lines);
        }
    }
}

fn rows(followed: &[Followed], shown: &HashSet<String>) -> Vec<Row> {
    let mut rows: Vec<(String, Vec<Row>)> = followed
        .iter()
        .filter(|one| !(one.state == State::Ready && shown.contains(&one.target.full())))
        .map(|one| (one.target.identity.short(), one.rows()))
        .collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows.into_iter().flat_map(|(_, rows)| rows).collect()
}

impl Target {
    /// `demo-app-production/Deployment/demo-app`.
    fn full(&self) -> String {
        format!("{}/{}", self.namespace, self.identity.short())
    }

    fn goal(&self) -> &'static str {
        if self.absent { "absence" } else { "readiness" }
    }
}

impl Followed {
    fn new(target: Target) -> Self {
        let (state, errors) = (State::Waiting, Errors::default());
        Self { target, state, looked: false, pods: None, errors, last: Value::Null }
    }

    fn rows(&self) -> Vec<Row> {
        let name = self.target.identity.short();
        match &self.pods {
            Some(pods) => workload_rows(&name, self.state, pods, &self.errors),
            None => vec![Row { resource: name, state: self.state, info: String::new() }],
        }
    }

    /// Looks at the object once; `Err` says that it failed for good.
    async fn look(&mut self, cluster: &Cluster, pods_before: &HashSet<String>) -> Result<(), Fault> {
        let object = cluster.get(&self.target.path).await?;
        let Some(object) = object else {
            if self.target.absent {
                self.state = State::Absent;
            }
            return Ok(());
        };
        if self.target.absent {
            self.last = object;
            return Ok(());
        }
        let ready = readiness(&object);
        let first = !std::mem::replace(&mut self.looked, true);
        let mut allowed = 1;
        let is_workload = object.pointer("/spec/selector").is_some() && object.pointer("/spec/template").is_some();
        // Until the controller has seen the change, the pods are those of the revision before.
        let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let is_seen = number("/status/observedGeneration") >= number("/metadata/generation");
        if is_workload && is_seen {
            let pods = present_pods(cluster, &self.target.namespace, &object).await?;
            allowed = pods.wanted.max(1);
            if ready != Ok(true) {
                let events = pod_events(cluster, &self.target.namespace).await?;
                self.errors.observe(&pods.pods, &events, jiff::Timestamp::now().as_second(), allowed + 1);
            }
            // Pods that served all the time are not news; of what was ready at the first look only new ones are.
            let waited_for = !(first && ready == Ok(true));
            if self.pods.is_some() || pods.have_new(pods_before) || (waited_for && !pods.are_ready()) {
                self.pods = Some(pods);
            }
        }
        self.last = object;
        match ready {
            Ok(true) => self.state = State::Ready,
            Ok(false) if self.errors.count() <= allowed => {}
            _ => {
                self.state = State::Failed;
                return Err(Fault::invalid(format!("waiting for resource {:?} readiness failed", self.target.full()))
                    .within(format!("track {}", self.target.identity.kind.to_lowercase()))
                    .within("track resource readiness"));
            }
        }
        Ok(())
    }
}

/// The pods of a workload as it is to be now, oldest first.
async fn present_pods(cluster: &Cluster, namespace: &str, workload: &Value) -> Result<Pods, Fault> {
    let labels = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{}%3D{}", key.replace('/', "%2F"), value.as_str().unwrap_or_default()))
        .collect();
    let query = format!("labelSelector={}", selector.join("%2C"));
    let uid = workload.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    let owned = |object: &Value, uid: &str| {
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        owners.is_some_and(|owners| owners.iter().any(|owner| owner.get("uid").and_then(Value::as_str) == Some(uid)))
    };
    let mut owner = uid.to_owned();
    if workload.get("kind").and_then(Value::as_str) == Some("Deployment") {
        let sets = cluster.list(&format!("/apis/apps/v1/namespaces/{namespace}/replicasets?{query}")).await?;
        let present = sets.iter().find(|set| owned(set, uid) && is_present_set(workload, set));
        present.and_then(|set| set.pointer("/metadata/uid")?.as_str()).unwrap_or_default().clone_into(&mut owner);
    }
    let mut pods = cluster.list(&format!("/api/v1/namespaces/{namespace}/pods?{query}")).await?;
    pods.retain(|pod| owned(pod, &owner) && pod.pointer("/metadata/deletionTimestamp").is_none());
    pods.sort_by_cached_key(|pod| {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text("/metadata/creationTimestamp"), text("/metadata/name"))
    });
    let wanted = workload.pointer("/spec/replicas").or_else(|| workload.pointer("/status/desiredNumberScheduled"));
    Ok(Pods { wanted: wanted.and_then(Value::as_u64).unwrap_or(1), pods })
}

async fn pod_events(cluster: &Cluster, namespace: &str) -> Result<Vec<Value>, Fault> {
    cluster.list(&format!("/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.kind%3DPod")).await
}
