//! Plays the scenes: the writes that kubectl made, each when the cluster has come to where it was in the recording.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tutorial::cluster::embedded::controllers;
use tutorial::cluster::embedded::images::ImageStore;
use tutorial::cluster::embedded::node::{self, Node};
use tutorial::cluster::embedded::registry::{
    Deletion, Entry, EventKind, Next, PatchKind, Propagation, Registry, Subscription, Writer,
};
use tutorial::cluster::embedded::schema::{self, Kind};

const NAMESPACE: &str = "trace-a";
/// The recording took two minutes.
const TIME_FACTOR: f64 = 10.0;
const PATIENCE: Duration = Duration::from_secs(15);

/// Plays all scenes and returns the watch events, cut as the recording's are.
pub async fn play() -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let stage = Stage::new(directory.path());
    stage.first_roll_out().await;
    stage.rolling_update().await;
    stage.failing_probe().await;
    stage.scale().await;
    stage.missing_image().await;
    stage.crash().await;
    stage.restart().await;
    stage.delete_pods().await;
    stage.pause().await;
    stage.recreate().await;
    stage.delete().await;
    stage.events.lock().unwrap().clone()
}

struct Stage {
    registry: Arc<Registry>,
    events: Arc<Mutex<Vec<Value>>>,
}

fn kind(name: &str) -> &'static Kind {
    schema::kinds().iter().find(|kind| kind.name == name).unwrap()
}

fn set_env(version: &str) -> Value {
    container(json!({"env": [{"name": "VERSION", "value": version}]}))
}

fn container(mut change: Value) -> Value {
    change["name"] = "web".into();
    json!({"spec": {"template": {"spec": {"containers": [change]}}}})
}

impl Stage {
    fn new(directory: &std::path::Path) -> Self {
        let registry = Registry::in_memory();
        let events = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(record(registry.subscribe(), Arc::clone(&events)));
        let options = controllers::Options {
            time_factor: TIME_FACTOR,
            certificate_authority_pem: "certificates".into(),
            api_port: 6443,
        };
        controllers::start(Arc::clone(&registry), options);
        let images = Arc::new(ImageStore::open(directory).unwrap());
        let options = node::Options {
            registry_port: 5001,
            node_ports: std::collections::BTreeMap::new(),
            time_factor: TIME_FACTOR,
        };
        Node::start(Arc::clone(&registry), images, options);
        Self { registry, events }
    }

    fn scene(&self, name: &str) {
        self.events.lock().unwrap().push(json!({"scene": name}));
    }

    fn patch(&self, kind_of_patch: PatchKind, body: &Value) {
        let writer = Writer::new("kubectl");
        self.registry.patch(kind("Deployment"), NAMESPACE, "web", kind_of_patch, body, &writer, false).unwrap();
    }

    fn strategic(&self, body: &Value) {
        self.patch(PatchKind::Strategic, body);
    }

    fn deployment(&self) -> Value {
        self.registry.get(kind("Deployment"), NAMESPACE, "web").map_or(Value::Null, |entry| entry.value())
    }

    fn pods(&self) -> Vec<Value> {
        self.registry.list(kind("Pod"), Some(NAMESPACE)).iter().map(|entry| entry.value()).collect()
    }

    fn progressing(&self) -> String {
        let deployment = self.deployment();
        let conditions = deployment["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.into_iter().find(|condition| condition["type"] == "Progressing");
        found.map_or_else(String::new, |condition| condition["reason"].as_str().unwrap_or_default().to_owned())
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "{what}: {:#}\n{:#?}", self.deployment()["status"], self.pods());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// As `kubectl rollout status`, and until no pod is ending any more.
    async fn rolled_out(&self) {
        self.until("the roll-out is complete", |stage| {
            let deployment = stage.deployment();
            let (status, wanted) = (&deployment["status"], &deployment["spec"]["replicas"]);
            status["observedGeneration"] == deployment["metadata"]["generation"]
                && ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|count| status[count] == *wanted)
                && stage.pods().iter().all(|pod| pod["metadata"].get("deletionTimestamp").is_none())
                && stage.pods().len() == usize::try_from(wanted.as_u64().unwrap_or(0)).unwrap()
        })
        .await;
        self.quiet().await;
    }

    /// Until nothing was written for a while.
    async fn quiet(&self) {
        let mut revision = self.registry.revision();
        let mut since = Instant::now();
        while since.elapsed() < Duration::from_millis(60) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if self.registry.revision() != revision {
                (revision, since) = (self.registry.revision(), Instant::now());
            }
        }
    }

    /// As `kubectl rollout undo`: the template of the ReplicaSet before the present one.
    fn undo(&self) {
        let sets = self.registry.list(kind("ReplicaSet"), Some(NAMESPACE));
        let mut sets: Vec<Value> = sets.iter().map(|entry| entry.value()).collect();
        let revision = |set: &Value| {
            let text = set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap();
            text.parse::<u64>().unwrap()
        };
        sets.sort_by_key(revision);
        let mut template = sets[sets.len() - 2]["spec"]["template"].clone();
        template["metadata"]["labels"].as_object_mut().unwrap().remove("pod-template-hash");
        self.patch(PatchKind::Json, &json!([{"op": "replace", "path": "/spec/template", "value": template}]));
    }

    async fn first_roll_out(&self) {
        let writer = Writer::new("kubectl-client-side-apply");
        self.registry.create(kind("Namespace"), json!({"metadata": {"name": NAMESPACE}}), &writer).unwrap();
        self.quiet().await;
        self.scene("apply a Deployment of two replicas and a NodePort Service");
        let probe = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1});
        let deployment = json!({
            "metadata": {"name": "web", "namespace": NAMESPACE, "labels": {"app": "web"}},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{
                    "name": "web", "image": "nginx:1.29-alpine", "ports": [{"containerPort": 80}],
                    "env": [{"name": "VERSION", "value": "1"}], "readinessProbe": probe,
                }]},
            }},
        });
        let service = json!({
            "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "nodePort": 30080}]},
        });
        self.registry.create(kind("Deployment"), deployment, &writer).unwrap();
        self.registry.create(kind("Service"), service, &writer).unwrap();
        self.rolled_out().await;
    }

    async fn rolling_update(&self) {
        self.scene("rolling update: the env variable changes");
        self.strategic(&set_env("2"));
        self.rolled_out().await;
    }

    async fn failing_probe(&self) {
        self.scene("a readiness probe that fails, progress deadline 8 s");
        let mut change = container(json!({"readinessProbe": {"httpGet": {"path": "/nope"}}}));
        change["spec"]["progressDeadlineSeconds"] = 8.into();
        self.strategic(&change);
        self.until("the deadline passes", |stage| stage.progressing() == "ProgressDeadlineExceeded").await;
        self.scene("rollout undo");
        self.undo();
        self.rolled_out().await;
    }

    async fn scale(&self) {
        self.scene("scale to 4, then to 1");
        for replicas in [4, 1] {
            self.patch(PatchKind::Merge, &json!({"spec": {"replicas": replicas}}));
            self.rolled_out().await;
        }
    }

    fn waits_for(&self, reason: &str, restarts: u64) -> bool {
        self.pods().iter().any(|pod| {
            let container = &pod["status"]["containerStatuses"][0];
            container["state"]["waiting"]["reason"] == reason && container["restartCount"] == restarts
        })
    }

    async fn missing_image(&self) {
        self.scene("an image that is not there");
        self.strategic(&container(json!({"image": "localhost:5001/nothing:1"})));
        self.until("the deadline passes", |stage| stage.progressing() == "ProgressDeadlineExceeded").await;
        self.until("the image is not there", |stage| stage.waits_for("ImagePullBackOff", 0)).await;
        self.undo();
        self.rolled_out().await;
    }

    async fn crash(&self) {
        self.scene("a container that exits with 1");
        self.strategic(&container(json!({"command": ["sh", "-c", "exit 1"]})));
        self.until("the deadline passes", |stage| stage.progressing() == "ProgressDeadlineExceeded").await;
        self.until("it crashed twice", |stage| stage.waits_for("CrashLoopBackOff", 2)).await;
        self.undo();
        self.rolled_out().await;
    }

    async fn restart(&self) {
        self.scene("restart");
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": "2026-11-23T10:52:40Z"});
        self.strategic(&json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}));
        self.rolled_out().await;
    }

    async fn delete_pods(&self) {
        self.scene("a pod deleted by hand");
        let doomed: Vec<Value> = self.pods();
        let deletion = Deletion { propagation: Some(Propagation::Background), ..Deletion::default() };
        for pod in &doomed {
            let name = pod["metadata"]["name"].as_str().unwrap();
            self.registry.delete(kind("Pod"), NAMESPACE, name, &deletion).unwrap();
        }
        self.until("they are gone", |stage| {
            let pods = stage.pods();
            !pods.iter().any(|pod| doomed.iter().any(|gone| gone["metadata"]["uid"] == pod["metadata"]["uid"]))
        })
        .await;
        self.rolled_out().await;
    }

    async fn pause(&self) {
        self.scene("pause, change twice, resume");
        self.strategic(&json!({"spec": {"paused": true}}));
        self.quiet().await;
        for version in ["3", "4"] {
            self.strategic(&set_env(version));
            self.quiet().await;
        }
        self.strategic(&json!({"spec": {"paused": null}}));
        self.rolled_out().await;
    }

    async fn recreate(&self) {
        self.scene("Recreate strategy");
        let strategy = json!([{"op": "replace", "path": "/spec/strategy", "value": {"type": "Recreate"}}]);
        self.patch(PatchKind::Json, &strategy);
        self.quiet().await;
        self.strategic(&set_env("5"));
        self.rolled_out().await;
    }

    async fn delete(&self) {
        self.scene("delete the Deployment");
        let deletion = Deletion { propagation: Some(Propagation::Background), ..Deletion::default() };
        self.registry.delete(kind("Deployment"), NAMESPACE, "web", &deletion).unwrap();
        self.until("the pods are gone", |stage| stage.pods().is_empty()).await;
        self.quiet().await;
        self.scene("delete the namespace");
        self.registry.delete(kind("Namespace"), "", NAMESPACE, &deletion).unwrap();
        self.until("the namespace is gone", |stage| stage.registry.get(kind("Namespace"), "", NAMESPACE).is_none())
            .await;
        self.quiet().await;
    }
}

async fn record(mut subscription: Subscription, events: Arc<Mutex<Vec<Value>>>) {
    loop {
        let Next::Event(event) = subscription.next().await else { panic!("the history is long enough") };
        if let Some(cut) = cut(event.kind, &event.entry) {
            events.lock().unwrap().push(cut);
        }
    }
}

/// An event as the recording has it.
fn cut(event: EventKind, entry: &Entry) -> Option<Value> {
    if &*entry.namespace != NAMESPACE && !(entry.kind.name == "Namespace" && &*entry.name == NAMESPACE) {
        return None;
    }
    let object = entry.value();
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let event = match event {
        EventKind::Added => "ADDED",
        EventKind::Modified => "MODIFIED",
        EventKind::Deleted => "DELETED",
    };
    let mut line = json!({"event": event, "kind": entry.kind.name, "name": &*entry.name});
    if entry.deleting {
        line["deleting"] = true.into();
        line["grace"] = metadata["deletionGracePeriodSeconds"].clone();
    }
    let more = match entry.kind.name {
        "Namespace" => json!({"status": status, "spec": object["spec"]}),
        "Deployment" | "ReplicaSet" => json!({
            "generation": metadata["generation"], "replicas": object["spec"]["replicas"],
            "annotations": metadata["annotations"], "status": status,
        }),
        "Pod" => json!({"status": status}),
        "Event" => {
            let about = &object["involvedObject"];
            let on = format!("{}/{}", about["kind"].as_str().unwrap(), about["name"].as_str().unwrap());
            json!({"type": object["type"], "reason": object["reason"], "message": object["message"], "on": on})
        }
        "Endpoints" => {
            let subsets = object["subsets"].as_array().cloned().unwrap_or_default();
            let subsets: Vec<Value> = subsets
                .iter()
                .map(|subset| {
                    json!({
                        "addresses": subset["addresses"], "notReady": subset["notReadyAddresses"],
                        "ports": subset["ports"],
                    })
                })
                .collect();
            json!({"subsets": subsets})
        }
        "EndpointSlice" => json!({"endpoints": object["endpoints"], "ports": object["ports"]}),
        _ => return None,
    };
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Some(line)
}
