//! From watch events to stories: one for each object (pods of one ReplicaSet together, in no order), made of its
//! distinct states in their order. Left out is what is random or a matter of pace: names' suffixes, uids, addresses,
//! times, how often a back-off was told, and counts on the way, which `counts` compares; here they are compared at each scene's end.

use std::collections::BTreeMap;

use serde_json::Value;

/// Stories by title.
pub fn stories(events: &[Value]) -> BTreeMap<String, Vec<String>> {
    let names = Names::of(events);
    let mut stories: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut pods: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut ends = Ends::default();
    for event in events {
        if let Some(scene) = event["scene"].as_str() {
            ends.next_scene(scene, &mut stories);
            continue;
        }
        let name = event["name"].as_str().unwrap_or_default();
        ends.observe(event);
        match event["kind"].as_str().unwrap_or_default() {
            "Namespace" => push(stories.entry("Namespace".into()).or_default(), namespace(event)),
            "Deployment" => push(stories.entry("Deployment".into()).or_default(), deployment(event, &names)),
            "ReplicaSet" => {
                push(stories.entry(format!("ReplicaSet {}", names.short(name))).or_default(), replica_set(event));
            }
            // Kubernetes writes the grace period down to zero before it removes a pod: a write of its own storage's.
            "Pod" if event["event"] == "MODIFIED" && event["grace"] == 0 => {}
            "Pod" => push(pods.entry(name.into()).or_default(), pod(event)),
            "Event" if event["event"] != "DELETED" => {
                let line = names.shorten(&format!("{} {}", text(event, "reason"), text(event, "message")));
                tell(&mut stories, &mut told, event, line, &names);
            }
            _ => {}
        }
    }
    ends.next_scene("", &mut stories);
    together(&mut stories, "Pods", pods, &names);
    together(&mut stories, "Events of pods", told, &names);
    stories
}

/// Events of Deployments and ReplicaSets are stories of their own; those of pods are kept by pod.
fn tell(
    stories: &mut BTreeMap<String, Vec<String>>,
    pods: &mut BTreeMap<String, Vec<String>>,
    event: &Value,
    line: String,
    names: &Names,
) {
    let Some((kind, name)) = text(event, "on").split_once('/') else { return };
    let story = match kind {
        "Deployment" => stories.entry("Events of the Deployment".into()).or_default(),
        "ReplicaSet" => stories.entry(format!("Events of ReplicaSet {}", names.short(name))).or_default(),
        _ => pods.entry(name.into()).or_default(),
    };
    // A back-off is told again and again, in between whatever else is told.
    if kind != "Pod" || !story.contains(&line) {
        story.push(line);
    }
}

/// The stories of each ReplicaSet's pods, sorted, because which pod is which is random.
fn together(
    stories: &mut BTreeMap<String, Vec<String>>,
    title: &str,
    pods: BTreeMap<String, Vec<String>>,
    names: &Names,
) {
    let mut sets: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for (name, lines) in pods {
        let set = name.rsplit_once('-').map_or("", |(set, _)| set);
        sets.entry(format!("{title} of ReplicaSet {}", names.short(set))).or_default().push(lines);
    }
    for (title, mut pods) in sets {
        pods.sort();
        stories.insert(title, pods.join(&"--".to_owned()));
    }
}

fn push(story: &mut Vec<String>, line: String) {
    if story.last() != Some(&line) {
        story.push(line);
    }
}

fn text<'a>(event: &'a Value, key: &str) -> &'a str {
    event[key].as_str().unwrap_or_default()
}

fn conditions(status: &Value) -> Vec<String> {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut lines: Vec<String> = conditions
        .map(|condition| {
            let part = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
            format!("{}={} {} {:?}", part("type"), part("status"), part("reason"), part("message"))
        })
        .collect();
    lines.sort();
    lines
}

fn namespace(event: &Value) -> String {
    let conditions = conditions(&event["status"]).join(", ");
    format!("{} {} {} {conditions}", text(event, "event"), event["status"]["phase"], event["spec"])
}

fn deployment(event: &Value, names: &Names) -> String {
    let line = format!(
        "{}generation {} observed {} replicas {} revision {}: {}",
        if event["event"] == "DELETED" { "DELETED " } else { "" },
        event["generation"],
        event["status"]["observedGeneration"],
        event["replicas"],
        event["annotations"]["deployment.kubernetes.io/revision"],
        conditions(&event["status"]).join(", "),
    );
    names.shorten(&line)
}

fn replica_set(event: &Value) -> String {
    let annotation = |key: &str| event["annotations"][format!("deployment.kubernetes.io/{key}")].to_string();
    format!(
        "{}generation {} replicas {} of {} at most {}, revision {}, before {}",
        if event["event"] == "DELETED" { "DELETED " } else { "" },
        event["generation"],
        event["replicas"],
        annotation("desired-replicas"),
        annotation("max-replicas"),
        annotation("revision"),
        annotation("revision-history"),
    )
}

fn pod(event: &Value) -> String {
    let status = &event["status"];
    let ready = status["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let containers: Vec<String> = status["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|container| {
            let state = container["state"].as_object().and_then(|state| state.iter().next());
            let (state, detail) = state.map_or(("", &Value::Null), |(state, detail)| (state.as_str(), detail));
            let restarted = container["restartCount"] != 0;
            format!(
                "{state} {}{} ready {}{}",
                detail["reason"].as_str().unwrap_or_default(),
                detail.get("exitCode").map_or(String::new(), |code| format!(" {code}")),
                container["ready"],
                if restarted { " again" } else { "" },
            )
        })
        .collect();
    format!(
        "{}{} Ready={} {}: {}{}",
        if event["event"] == "DELETED" { "DELETED " } else { "" },
        text(status, "phase"),
        ready.map_or("", |ready| text(ready, "status")),
        ready.map_or("", |ready| text(ready, "reason")),
        containers.join(", "),
        if event["deleting"] == true { format!(", deleting, grace {}", event["grace"]) } else { String::new() },
    )
}

/// Counts at the ends of scenes.
#[derive(Default)]
struct Ends {
    scene: String,
    last: BTreeMap<String, String>,
}

impl Ends {
    fn observe(&mut self, event: &Value) {
        let count = |list: &Value| list.as_array().map_or(0, Vec::len);
        let line = match text(event, "kind") {
            "Deployment" => {
                let counts = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
                format!("Deployment {:?}", counts.map(|key| event["status"][key].as_i64().unwrap_or(0)))
            }
            "Endpoints" => {
                let subsets = event["subsets"].as_array().into_iter().flatten();
                let counts: Vec<_> = subsets
                    .map(|subset| {
                        (count(&subset["addresses"]), count(&subset["notReady"]), subset["ports"].to_string())
                    })
                    .collect();
                format!("Endpoints {counts:?}")
            }
            "EndpointSlice" => {
                let ends = event["endpoints"].as_array().into_iter().flatten();
                let mut ends: Vec<_> = ends.map(|end| end["conditions"].to_string()).collect();
                ends.sort();
                format!("EndpointSlice {ends:?} {}", event["ports"])
            }
            _ => return,
        };
        let gone = if event["event"] == "DELETED" { "DELETED " } else { "" };
        self.last.insert(text(event, "kind").into(), format!("{gone}{line}"));
    }

    fn next_scene(&mut self, scene: &str, stories: &mut BTreeMap<String, Vec<String>>) {
        if !self.scene.is_empty() {
            let story = stories.entry("Ends of scenes".into()).or_default();
            story.push(format!("## {}", self.scene));
            story.extend(self.last.values().cloned());
        }
        self.scene = scene.into();
    }
}

/// ReplicaSets by the order in which they came.
pub struct Names(Vec<String>);

impl Names {
    pub fn of(events: &[Value]) -> Self {
        let sets = events.iter().filter(|event| event["kind"] == "ReplicaSet" && event["event"] == "ADDED");
        Self(sets.map(|event| text(event, "name").to_owned()).collect())
    }

    pub fn short(&self, set: &str) -> String {
        let at = self.0.iter().position(|name| name == set);
        at.map_or_else(|| set.to_owned(), |at| format!("#{}", at + 1))
    }

    /// A message without what is random in it.
    fn shorten(&self, message: &str) -> String {
        let mut message = message.to_owned();
        for name in &self.0 {
            let pod = regex::Regex::new(&format!("{name}-[a-z0-9]{{5}}")).unwrap();
            message = pod.replace_all(&message, format!("{}-pod", self.short(name))).into_owned();
            message = message.replace(name, &self.short(name));
        }
        let uid = regex::Regex::new(r"\([0-9a-f-]{36}\)").unwrap();
        message = uid.replace_all(&message, "(uid)").into_owned();
        // Whether the registry is away or has no such image is the scenery, not the play.
        let pull = regex::Regex::new(r"(failed to resolve reference \S+:) .*").unwrap();
        pull.replace_all(&message, "$1 …").into_owned()
    }
}
