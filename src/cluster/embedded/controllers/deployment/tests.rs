use super::*;

/// A little world: plans are carried out on plain values, pods become available at once or never.
struct World {
    deployment: Value,
    sets: Vec<Value>,
    told: Vec<String>,
    healthy: fn(&Value) -> bool,
    second: i64,
    written: i64,
    progress: Option<(Value, Timestamp)>,
}

impl World {
    fn new(spec: Value) -> Self {
        let mut spec = spec;
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
        spec["template"]["metadata"]["labels"]["app"] = "web".into();
        for (key, value) in [("progressDeadlineSeconds", json!(600)), ("revisionHistoryLimit", json!(10))] {
            object::map_mut(&mut spec, &[]).entry(key).or_insert(value);
        }
        object::map_mut(&mut spec, &["strategy"]).entry("type").or_insert("RollingUpdate".into());
        if spec["strategy"]["type"] == "RollingUpdate" {
            let rolling = json!({"maxSurge": "25%", "maxUnavailable": "25%"});
            object::map_mut(&mut spec, &["strategy"]).entry("rollingUpdate").or_insert(rolling);
        }
        let metadata = json!({"name": "web", "namespace": "n", "uid": "d", "generation": 1});
        let deployment = json!({"metadata": metadata, "spec": spec, "status": {}});
        Self {
            deployment,
            sets: Vec::new(),
            told: Vec::new(),
            healthy: |_| true,
            second: 0,
            written: 0,
            progress: None,
        }
    }

    fn clock(&self) -> Clock {
        Clock { now: Timestamp::from_second(1_700_000_000 + self.second).unwrap(), factor: 1.0 }
    }

    fn change(&mut self, change: impl Fn(&mut Value)) {
        change(&mut self.deployment["spec"]);
        let generation = number(&self.deployment, "/metadata/generation").unwrap();
        self.deployment["metadata"]["generation"] = (generation + 1).into();
    }

    /// One pass; returns whether it wrote anything.
    fn pass(&mut self) -> bool {
        let condition = object::condition(&self.deployment["status"], "Progressing").cloned();
        if condition.as_ref() != self.progress.as_ref().map(|(known, _)| known) {
            self.progress = condition.map(|condition| (condition, self.clock().now));
        }
        let snapshot = Snapshot {
            deployment: self.deployment.clone(),
            replica_sets: self.sets.clone(),
            pods: Vec::new(),
            taken_names: HashSet::new(),
            progressed_at: self.progress.as_ref().map(|(_, at)| *at),
        };
        let plan = plan(&snapshot, &self.clock());
        let wrote = !plan.changes.is_empty();
        for change in plan.changes {
            self.carry_out(change);
        }
        wrote
    }

    fn carry_out(&mut self, change: Change) {
        match change {
            Change::Create { mut object, .. } => {
                self.written += 1;
                let created = Timestamp::from_second(1_700_000_000 + self.written).unwrap();
                object["metadata"]["uid"] = format!("set-{}", self.written).into();
                object["metadata"]["creationTimestamp"] = object::whole_seconds(created).into();
                object["metadata"]["generation"] = 1.into();
                self.sets.push(object);
            }
            Change::Update { object, subresource: "status", .. } => self.deployment = object,
            Change::Update { object, .. } => {
                let at = self.sets.iter().position(|set| object::name(set) == object::name(&object)).unwrap();
                self.sets[at] = object;
            }
            Change::Delete { name, .. } => self.sets.retain(|set| object::name(set) != name),
            Change::Tell { telling, .. } => self.told.push(telling.message),
            Change::Merge { .. } => {}
        }
    }

    /// What the ReplicaSets' controller and the kubelet would do.
    fn run_pods(&mut self) -> bool {
        let mut changed = false;
        for set in &mut self.sets {
            let wanted = set["spec"]["replicas"].clone();
            let generation = set["metadata"]["generation"].clone();
            let available = if (self.healthy)(set) { wanted.clone() } else { json!(0) };
            let status = json!({
                "replicas": wanted, "readyReplicas": available, "availableReplicas": available,
                "observedGeneration": generation,
            });
            changed |= set.get("status") != Some(&status);
            set["status"] = status;
        }
        changed
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            while self.pass() {}
            if !self.run_pods() {
                return;
            }
        }
        panic!("the roll-out does not come to rest: {:?}", self.told);
    }

    fn sizes(&self) -> Vec<i64> {
        self.sets.iter().map(|set| set["spec"]["replicas"].as_i64().unwrap()).collect()
    }

    /// The messages, with ReplicaSets by their number.
    fn story(&mut self) -> Vec<String> {
        let names: Vec<String> = self.sets.iter().map(|set| object::name(set).to_owned()).collect();
        let told = std::mem::take(&mut self.told).into_iter();
        told.map(|mut message| {
            for (at, name) in names.iter().enumerate() {
                message = message.replace(&format!("replica set {name}"), &format!("{at}"));
            }
            message
        })
        .collect()
    }

    fn progressing(&self) -> &str {
        let condition = object::condition(&self.deployment["status"], "Progressing");
        condition.map_or("", |condition| condition["reason"].as_str().unwrap())
    }
}

fn image(name: &'static str) -> impl Fn(&mut Value) {
    move |spec| spec["template"]["spec"]["containers"][0]["image"] = name.into()
}

fn rolled(replicas: i64) -> World {
    let containers = json!([{"name": "web", "image": "one"}]);
    let mut world = World::new(json!({"replicas": replicas, "template": {"spec": {"containers": containers}}}));
    world.settle();
    world
}

#[test]
fn the_first_roll_out() {
    let mut world = rolled(2);
    assert_eq!(world.story(), ["Scaled up 0 from 0 to 2"]);
    assert_eq!(world.progressing(), "NewReplicaSetAvailable");
    assert_eq!(world.deployment["metadata"]["annotations"][annotations::REVISION], "1");
    assert_eq!(world.sets[0]["metadata"]["annotations"][annotations::MAX], "3");
    let status = &world.deployment["status"];
    assert_eq!((&status["updatedReplicas"], &status["availableReplicas"]), (&json!(2), &json!(2)));
}

#[test]
fn a_rolling_update_goes_one_by_one() {
    let mut world = rolled(2);
    world.story();
    world.change(image("two"));
    world.settle();
    let expected = [
        "Scaled up 1 from 0 to 1",
        "Scaled down 0 from 2 to 1",
        "Scaled up 1 from 1 to 2",
        "Scaled down 0 from 1 to 0",
    ];
    assert_eq!(world.story(), expected);
    assert_eq!(world.sizes(), [0, 2]);
}

#[test]
fn a_broken_template_leaves_the_old_pods_serving_and_runs_out_of_time() {
    let mut world = rolled(2);
    world.change(|spec| spec["progressDeadlineSeconds"] = 8.into());
    world.healthy = |set| set["spec"]["template"]["spec"]["containers"][0]["image"] != "broken";
    world.change(image("broken"));
    world.settle();
    assert_eq!((world.sizes(), world.progressing()), (vec![2, 1], "ReplicaSetUpdated"));
    world.second += 9;
    world.settle();
    assert_eq!(world.progressing(), "ProgressDeadlineExceeded");
    world.story();

    world.change(image("one"));
    world.settle();
    assert_eq!(world.story(), ["Scaled down 1 from 1 to 0"]);
    assert_eq!((world.sizes(), world.progressing()), (vec![2, 0], "NewReplicaSetAvailable"));
    let annotations = &world.sets[0]["metadata"]["annotations"];
    assert_eq!(
        (&annotations[annotations::REVISION], &annotations[annotations::REVISION_HISTORY]),
        (&json!("3"), &json!("1"))
    );
    assert_eq!(world.deployment["metadata"]["annotations"][annotations::REVISION], "3");
}

#[test]
fn scaling_in_the_middle_keeps_the_proportion() {
    let mut world = rolled(10);
    world.healthy = |set| set["spec"]["template"]["spec"]["containers"][0]["image"] != "broken";
    world.change(image("broken"));
    world.settle();
    assert_eq!(world.sizes(), [8, 5]);
    world.change(|spec| spec["replicas"] = 15.into());
    world.settle();
    assert_eq!(world.sizes().iter().sum::<i64>(), 19);
    assert_eq!(world.sizes(), [12, 7]);
}

#[test]
fn recreate_ends_the_old_ones_first() {
    let mut world = rolled(3);
    world.change(|spec| spec["strategy"] = json!({"type": "Recreate"}));
    world.change(image("two"));
    world.story();
    world.settle();
    assert_eq!(world.story(), ["Scaled down 0 from 3 to 0", "Scaled up 1 from 0 to 3"]);
}

#[test]
fn a_pause_holds_the_template_but_not_the_size() {
    let mut world = rolled(2);
    world.change(|spec| spec["paused"] = true.into());
    world.settle();
    assert_eq!(world.progressing(), "DeploymentPaused");
    world.change(image("two"));
    world.change(|spec| spec["replicas"] = 3.into());
    world.settle();
    assert_eq!(world.sizes(), [3]);
    world.change(|spec| spec["paused"] = Value::Null);
    world.settle();
    assert_eq!((world.sizes(), world.progressing()), (vec![0, 3], "NewReplicaSetAvailable"));
}

#[test]
fn old_replica_sets_beyond_the_limit_go() {
    let mut world = rolled(1);
    world.change(|spec| spec["revisionHistoryLimit"] = 1.into());
    for name in ["two", "three", "four"] {
        world.change(image(name));
        world.settle();
    }
    assert_eq!(world.sets.len(), 2);
}

#[test]
fn the_deadline_of_a_roll_out_begins_with_it() {
    let mut world = rolled(2);
    world.second += 10_000;
    world.healthy = |set| set["spec"]["template"]["spec"]["containers"][0]["image"] != "broken";
    world.change(image("broken"));
    world.pass();
    assert_eq!(world.progressing(), "NewReplicaSetCreated");
    world.settle();
    assert_eq!(world.progressing(), "ReplicaSetUpdated");
}
