//! A pod on this node: its stages from the sandbox to the end, and its status, of which it is the only writer.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::events::{Telling, reference};
use super::super::registry::{Deletion, Entry};
use super::container::{self, Live};
use super::log::Log;
use super::status::{self, ContainerView, PodView, Stage, Terminated};
use super::volumes::{self, VolumeFiles};
use super::web::{Answer, Query};
use super::{Shared, kind, status_writer};

/// How long a changed ConfigMap takes to reach the pods that mount it; a real kubelet takes up to a minute more.
const SOURCES_AFTER_SECONDS: f64 = 20.0;
/// From the moment that a pod is bound to when a volume whose source is missing is told of.
const MOUNT_AFTER_SECONDS: f64 = 0.4;
/// What stopping the containers and clearing up after them takes the kubelet at the least.
const STOPPING_SECONDS: f64 = 0.5;

/// The log of a container's last run, and of the one before.
type Logs = (Arc<Log>, Option<Arc<Log>>);

/// A pod that is bound to this node.
#[derive(Debug)]
pub struct Pod {
    pub shared: Arc<Shared>,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    object: Mutex<Value>,
    state: Mutex<PodView>,
    live: Mutex<HashMap<usize, Live>>,
    /// The logs of each container's last run and of the one before.
    logs: Mutex<HashMap<usize, Logs>>,
    volumes: Mutex<Arc<VolumeFiles>>,
    /// Set where the pod is to go: `Some(seconds)` by its grace period, `None` as long as it stays.
    ending: watch::Sender<Option<i64>>,
    sources: watch::Sender<u64>,
    /// Counts the changes of the containers' images.
    definitions: watch::Sender<u64>,
    /// Counts what happens to the containers.
    progress: watch::Sender<u64>,
    /// The containers whose start has been tried.
    attempted: Mutex<BTreeSet<usize>>,
}

impl Pod {
    pub fn new(shared: Arc<Shared>, entry: &Entry, object: Value) -> Arc<Self> {
        let state = initial_view(&object);
        Arc::new(Self {
            shared,
            namespace: entry.namespace.to_string(),
            name: entry.name.to_string(),
            uid: entry.uid.to_string(),
            ending: watch::Sender::new(ending(&object)),
            object: Mutex::new(object),
            state: Mutex::new(state),
            live: Mutex::default(),
            logs: Mutex::default(),
            volumes: Mutex::default(),
            sources: watch::Sender::new(0),
            definitions: watch::Sender::new(0),
            progress: watch::Sender::new(0),
            attempted: Mutex::default(),
        })
    }

    /// The object was written.
    pub fn changed(&self, entry: &Entry) {
        let object = entry.value();
        let ending = ending(&object);
        let before = std::mem::replace(&mut *lock(&self.object), object.clone());
        if images(&before) != images(&object) {
            self.definitions.send_modify(|count| *count += 1);
        }
        if ending.is_some() {
            self.ending.send_if_modified(|before| std::mem::replace(before, ending) != ending);
        }
    }

    /// Returns once the container is to run another image.
    pub async fn other_image(&self, index: usize, image: &str) {
        let mut definitions = self.definitions.subscribe();
        let _ = definitions.wait_for(|_| self.spec(index)["image"] != image).await;
    }

    /// Returns once every container before this one has been tried: the kubelet starts them one after the other.
    pub async fn turn_of(&self, index: usize) {
        let first = if self.is_init(index) { index } else { lock(&self.state).init_containers.len() };
        let mut progress = self.progress.subscribe();
        let tried = || (first..index).all(|before| lock(&self.attempted).contains(&before));
        let _ = progress.wait_for(|_| tried()).await;
    }

    /// The container was started, or could not be.
    pub fn attempted(&self, index: usize) {
        if lock(&self.attempted).insert(index) {
            self.progress.send_modify(|count| *count += 1);
        }
    }

    /// Returns once the container runs and its startup probe has passed.
    async fn started(&self, index: usize) {
        let mut progress = self.progress.subscribe();
        let _ = progress.wait_for(|_| self.view(index).started).await;
    }

    /// The object is gone without this node's doing.
    pub fn abandon(&self) {
        self.ending.send_replace(Some(0));
    }

    /// A ConfigMap or Secret was written.
    pub fn source_changed(&self, entry: &Entry) {
        if *entry.namespace == *self.namespace {
            self.sources.send_modify(|count| *count += 1);
        }
    }

    pub fn object(&self) -> Value {
        lock(&self.object).clone()
    }

    pub fn address(&self) -> String {
        lock(&self.state).address.clone()
    }

    /// Returns once the pod is to go.
    pub async fn ended(&self) {
        let mut ending = self.ending.subscribe();
        let _ = ending.wait_for(Option::is_some).await;
    }

    pub fn sources(&self) -> watch::Receiver<u64> {
        self.sources.subscribe()
    }

    /// What the container runs at the moment.
    pub fn live(&self, index: usize) -> Option<Live> {
        lock(&self.live).get(&index).cloned()
    }

    pub fn set_live(&self, index: usize, live: Option<Live>) {
        if let Some(live) = &live {
            lock(&self.logs).insert(index, (Arc::clone(&live.log), live.previous.clone()));
        }
        match live {
            Some(live) => lock(&self.live).insert(index, live),
            None => lock(&self.live).remove(&index),
        };
    }

    /// Gives the container its ports and shows what it runs.
    ///
    /// # Errors
    /// The first port that another container of the pod listens on.
    pub fn claim(&self, index: usize, live: &Live) -> Result<(), u16> {
        let mut all = lock(&self.live);
        let wanted = live.ports();
        let taken = all.iter().filter(|(other, _)| **other != index).flat_map(|(_, other)| other.ports());
        if let Some(port) = taken.into_iter().find(|port| wanted.contains(port)) {
            return Err(port);
        }
        lock(&self.logs).insert(index, (Arc::clone(&live.log), live.previous.clone()));
        all.insert(index, live.clone());
        Ok(())
    }

    /// The container's log, or that of the run before; of a container that has ended, too.
    pub fn log(&self, index: usize, previous: bool) -> Option<Arc<Log>> {
        let logs = lock(&self.logs);
        let (last, before) = logs.get(&index)?;
        if previous { before.clone() } else { Some(Arc::clone(last)) }
    }

    pub fn volumes(&self) -> Arc<VolumeFiles> {
        Arc::clone(&lock(&self.volumes))
    }

    /// Changes what the status shows of a container and writes it.
    pub fn update(&self, index: usize, change: impl FnOnce(&mut ContainerView)) {
        {
            let mut state = lock(&self.state);
            let inits = state.init_containers.len();
            let view =
                if index < inits { &mut state.init_containers[index] } else { &mut state.containers[index - inits] };
            change(view);
        }
        self.progress.send_modify(|count| *count += 1);
        self.publish();
    }

    pub fn view(&self, index: usize) -> ContainerView {
        let state = lock(&self.state);
        let inits = state.init_containers.len();
        if index < inits { state.init_containers[index].clone() } else { state.containers[index - inits].clone() }
    }

    /// The container's part of the spec; init containers are counted first.
    pub fn spec(&self, index: usize) -> Value {
        let object = lock(&self.object);
        let list = |key: &str| object["spec"][key].as_array().cloned().unwrap_or_default();
        let inits = list("initContainers");
        if index < inits.len() {
            inits[index].clone()
        } else {
            list("containers").get(index - inits.len()).cloned().unwrap_or_default()
        }
    }

    pub fn is_init(&self, index: usize) -> bool {
        index < lock(&self.state).init_containers.len()
    }

    /// Whether it is an init container that goes on beside the others.
    pub fn is_sidecar(&self, index: usize) -> bool {
        lock(&self.state).init_containers.get(index).is_some_and(|view| view.is_sidecar)
    }

    /// Tells an event about a container.
    pub fn tell(&self, index: usize, telling: &Telling) {
        let part = if self.is_init(index) { "initContainers" } else { "containers" };
        let field = format!("spec.{part}{{{}}}", self.view(index).name);
        let about = reference(kind("Pod"), &lock(&self.object), &field);
        self.shared.kubelet.tell(&about, telling, Timestamp::now());
    }

    fn tell_of_pod(&self, telling: &Telling) {
        let about = reference(kind("Pod"), &lock(&self.object), "");
        self.shared.kubelet.tell(&about, telling, Timestamp::now());
    }

    /// The number of a port that a probe gives by number or by name.
    pub fn port(&self, index: usize, port: &Value) -> u16 {
        let by_name = || {
            let spec = self.spec(index);
            let ports = spec["ports"].as_array().cloned().unwrap_or_default();
            ports.iter().find(|candidate| candidate["name"] == *port).and_then(|found| found["containerPort"].as_u64())
        };
        port.as_u64().or_else(by_name).and_then(|port| u16::try_from(port).ok()).unwrap_or(0)
    }

    pub fn listens(&self, port: u16) -> bool {
        lock(&self.live).values().any(|live| live.site.as_ref().is_some_and(|site| site.listens(port)))
    }

    /// Whether something takes connections there, be it only in pretence.
    pub fn accepts(&self, port: u16) -> bool {
        lock(&self.live).values().any(|live| live.ports().contains(&port))
    }

    /// Answers a query by the container that listens on its port, and writes its access log.
    pub fn answer(&self, query: &Query<'_>, now: Timestamp) -> Option<Answer> {
        let live = lock(&self.live)
            .values()
            .find(|live| live.site.as_ref().is_some_and(|site| site.listens(query.port)))
            .cloned()?;
        let answer = live.site.as_ref()?.answer(query, now)?;
        if let Some(line) = &answer.log {
            live.log.write(line, now);
        }
        Some(answer)
    }

    /// Writes the status, where it changed.
    pub fn publish(&self) {
        let now = Timestamp::now();
        // The view is read under each attempt's own revision: a later view is never written over by an earlier one.
        let written =
            self.shared.registry.modify(kind("Pod"), &self.namespace, &self.name, &status_writer(), false, |live| {
                let mut pod = live.clone();
                if pod["metadata"]["uid"] == self.uid.as_str() {
                    let view = lock(&self.state).clone();
                    pod["status"] = status::compute(&view, live, now);
                }
                Ok(pod)
            });
        drop(written); // a pod that is gone has no status
    }

    /// The containers have ended for good.
    pub fn is_over(&self) -> bool {
        lock(&self.state).over
    }

    fn never_restarts(&self) -> bool {
        lock(&self.object)["spec"]["restartPolicy"] != "Always"
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The images of all containers, init containers first.
fn images(object: &Value) -> Vec<&Value> {
    let list = |key: &str| object["spec"][key].as_array().into_iter().flatten().map(|container| &container["image"]);
    list("initContainers").chain(list("containers")).collect()
}

fn ending(object: &Value) -> Option<i64> {
    object.pointer("/metadata/deletionTimestamp")?;
    Some(object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30))
}

/// A new pod's view, or the one that its status shows where the node has been started anew.
fn initial_view(object: &Value) -> PodView {
    let moment = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    let views = |specs: &str, statuses: &str| -> Vec<ContainerView> {
        let before = object["status"][statuses].as_array().cloned().unwrap_or_default();
        let specs = object["spec"][specs].as_array().cloned().unwrap_or_default();
        specs
            .iter()
            .map(|spec| container_view(spec, before.iter().find(|status| status["name"] == spec["name"])))
            .collect()
    };
    let mut init_containers = views("initContainers", "initContainerStatuses");
    for (view, spec) in
        init_containers.iter_mut().zip(object["spec"]["initContainers"].as_array().into_iter().flatten())
    {
        view.is_sidecar = spec["restartPolicy"] == "Always";
    }
    let text = |key: &str| object["status"][key].as_str().map(str::to_owned);
    PodView {
        started: moment(&object["status"]["startTime"]).unwrap_or_else(Timestamp::now),
        address: object["status"]["podIP"].as_str().unwrap_or_default().into(),
        initialized: init_containers.is_empty(),
        init_containers,
        containers: views("containers", "containerStatuses"),
        over: matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed")),
        failure: text("reason").zip(text("message")).filter(|_| object["status"]["phase"] == "Failed"),
    }
}

fn container_view(spec: &Value, before: Option<&Value>) -> ContainerView {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let moment = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    let restarts =
        before.and_then(|status| status["restartCount"].as_u64()).and_then(|count| u32::try_from(count).ok());
    let since = before.and_then(|status| moment(&status["state"]["running"]["startedAt"]));
    ContainerView {
        name: text(&spec["name"]),
        image: text(&spec["image"]),
        image_id: String::new(),
        container_id: before.map(|status| text(&status["containerID"])).unwrap_or_default(),
        stage: match since {
            Some(since) => Stage::Running { since },
            None => Stage::Waiting { reason: "ContainerCreating", message: String::new() },
        },
        last: None,
        ready: false,
        started: false,
        restarts: restarts.unwrap_or(0),
        is_sidecar: false,
    }
}

/// Walks the pod through its life.
pub async fn run(pod: Arc<Pod>) {
    let mut ending = pod.ending.subscribe();
    tokio::select! {
        () = live(Arc::clone(&pod)) => {}
        () = expire(&pod) => {}
        _ = ending.wait_for(Option::is_some) => {}
    }
    let _ = ending.wait_for(Option::is_some).await;
    end(&pod).await;
}

const TOO_LONG: &str = "Pod was active on the node longer than the specified deadline";

/// Ends the pod when it has been active for too long.
async fn expire(pod: &Arc<Pod>) {
    deadline(pod).await;
    fail(pod, "DeadlineExceeded", TOO_LONG).await;
}

/// Returns when `activeDeadlineSeconds` are over; never without them.
async fn deadline(pod: &Pod) {
    let Some(seconds) = pod.object()["spec"]["activeDeadlineSeconds"].as_f64() else {
        return std::future::pending().await;
    };
    let begun = lock(&pod.state).started;
    let active = Duration::try_from(Timestamp::now().duration_since(begun)).unwrap_or_default();
    tokio::time::sleep(pod.shared.scaled(seconds).saturating_sub(active)).await;
}

/// Ends the pod for good, whatever its containers do.
async fn fail(pod: &Arc<Pod>, reason: &'static str, message: &str) {
    if lock(&pod.state).over {
        return;
    }
    pod.tell_of_pod(&Telling::normal(reason, message));
    let all = {
        let state = lock(&pod.state);
        state.init_containers.len() + state.containers.len()
    };
    stop(pod, 0..all);
    tokio::time::sleep(pod.shared.scaled(STOPPING_SECONDS)).await;
    {
        let mut state = lock(&pod.state);
        state.over = true;
        state.failure = Some((reason.into(), message.into()));
    }
    pod.publish();
    super::scheduler::retry(&pod.shared);
}

/// Stops those of the containers that run.
fn stop(pod: &Pod, indexes: impl Iterator<Item = usize>) {
    for index in indexes {
        let Some(live) = pod.live(index) else { continue };
        pod.tell(index, &Telling::normal("Killing", format!("Stopping container {}", pod.view(index).name)));
        live.log.end();
        pod.set_live(index, None);
        // nginx ends well when it is told to; what does not listen is killed
        let code = if live.site.is_some() { 0 } else { 137 };
        pod.update(index, |view| {
            view.ready = false;
            view.started = false;
            if let Stage::Running { since } = view.stage {
                view.stage = Stage::Terminated(Terminated {
                    exit_code: code,
                    reason: if code == 0 { "Completed" } else { "Error" },
                    message: String::new(),
                    started: since,
                    finished: Timestamp::now(),
                    container_id: view.container_id.clone(),
                });
            }
        });
    }
}

/// From the sandbox to the last container; returns when no container will start again.
async fn live(pod: Arc<Pod>) {
    if lock(&pod.state).over {
        return;
    }
    let inits = lock(&pod.state).init_containers.len();
    if inits > 0 {
        let mut state = lock(&pod.state);
        state.initialized = false;
        for view in &mut state.containers {
            view.stage = Stage::Waiting { reason: "PodInitializing", message: String::new() };
        }
    }
    pod.publish();
    set_up_volumes(&pod).await;
    let address = pod.address();
    if address.is_empty() {
        let address = pod.shared.next_address();
        lock(&pod.state).address = address;
    }
    let mut sidecars = JoinSet::new();
    for index in 0..inits {
        if pod.is_sidecar(index) {
            sidecars.spawn(container::run(Arc::clone(&pod), index));
            pod.started(index).await;
        } else if !container::run(Arc::clone(&pod), index).await {
            end_of_containers(&pod, sidecars).await;
            return;
        }
    }
    lock(&pod.state).initialized = true;
    let count = lock(&pod.state).containers.len();
    let mut tasks = JoinSet::new();
    for index in inits..inits + count {
        tasks.spawn(container::run(Arc::clone(&pod), index));
    }
    tasks.spawn(follow_sources(Arc::clone(&pod)));
    let mut left = count;
    while left > 0 && tasks.join_next().await.is_some() {
        left -= 1;
    }
    if pod.never_restarts() {
        end_of_containers(&pod, sidecars).await;
    }
}

/// The containers that count have ended for good: the sidecars go after them.
async fn end_of_containers(pod: &Arc<Pod>, mut sidecars: JoinSet<bool>) {
    sidecars.shutdown().await;
    let inits = lock(&pod.state).init_containers.len();
    stop(pod, (0..inits).filter(|index| pod.is_sidecar(*index)));
    lock(&pod.state).over = true;
    pod.publish();
    super::scheduler::retry(&pod.shared); // its share of the node is free
}

/// Waits until every volume's source is there. A source that comes within a moment, as one that stands further down in
/// the same manifest, is not told as missing: the kubelet's own first attempt is no sooner.
async fn set_up_volumes(pod: &Arc<Pod>) {
    let mut sources = pod.sources.subscribe();
    let first_attempt = tokio::time::Instant::now() + pod.shared.scaled(MOUNT_AFTER_SECONDS);
    loop {
        sources.borrow_and_update();
        match volumes::resolve(&pod.shared.registry, &pod.object()) {
            Ok(files) => {
                *lock(&pod.volumes) = Arc::new(files);
                return;
            }
            Err(_) if tokio::time::Instant::now() < first_attempt => {
                let _ = tokio::time::timeout_at(first_attempt, sources.changed()).await;
            }
            Err(missing) => {
                let message = format!("MountVolume.SetUp failed for volume \"{}\" : {}", missing.volume, missing.why);
                pod.tell_of_pod(&Telling::warning("FailedMount", message));
                let again = pod.shared.scaled(30.0).max(Duration::from_millis(100));
                let _ = tokio::time::timeout(again, sources.changed()).await;
            }
        }
    }
}

/// Brings changed ConfigMaps and Secrets to the containers that mount them. Never returns.
async fn follow_sources(pod: Arc<Pod>) -> bool {
    let mut sources = pod.sources.subscribe();
    while sources.changed().await.is_ok() {
        tokio::time::sleep(pod.shared.scaled(SOURCES_AFTER_SECONDS)).await;
        let Ok(files) = volumes::resolve(&pod.shared.registry, &pod.object()) else { continue };
        if *pod.volumes() == files {
            continue;
        }
        *lock(&pod.volumes) = Arc::new(files);
        let indexes: Vec<usize> = lock(&pod.live).keys().copied().collect();
        for index in indexes {
            container::refresh_files(&pod, index);
        }
    }
    std::future::pending().await
}

/// Takes the pod down: containers stop, the last status is written, the object goes.
async fn end(pod: &Arc<Pod>) {
    let running: Vec<usize> = lock(&pod.live).keys().copied().collect();
    for index in &running {
        pod.tell(*index, &Telling::normal("Killing", format!("Stopping container {}", pod.view(*index).name)));
    }
    pod.publish(); // the kubelet has seen the deletion
    for index in running {
        if let Some(live) = pod.live(index) {
            live.log.end();
        }
        pod.set_live(index, None);
    }
    tokio::time::sleep(pod.shared.scaled(STOPPING_SECONDS)).await;
    let now = Timestamp::now();
    {
        let mut state = lock(&pod.state);
        state.over = true;
        let state = &mut *state;
        for view in state.init_containers.iter_mut().chain(&mut state.containers) {
            view.ready = false;
            view.started = false;
            view.stage = match &view.stage {
                Stage::Running { since } => Stage::Terminated(Terminated {
                    exit_code: 0,
                    reason: "Completed",
                    message: String::new(),
                    started: *since,
                    finished: now,
                    container_id: view.container_id.clone(),
                }),
                Stage::Waiting { .. } => match view.last.take() {
                    Some(last) => Stage::Terminated(last),
                    None => Stage::Terminated(never_ran(state.started, now)),
                },
                Stage::Terminated(ended) => Stage::Terminated(ended.clone()),
            };
        }
    }
    pod.publish();
    let deletion =
        Deletion { grace_period_seconds: Some(0), precondition_uid: Some(pod.uid.clone()), ..Deletion::default() };
    // gone already is as good
    let _ = pod.shared.registry.delete(kind("Pod"), &pod.namespace, &pod.name, &deletion);
}

fn never_ran(started: Timestamp, now: Timestamp) -> Terminated {
    Terminated {
        exit_code: 137,
        reason: "ContainerStatusUnknown",
        message: "The container could not be located when the pod was terminated".into(),
        started,
        finished: now,
        container_id: String::new(),
    }
}
