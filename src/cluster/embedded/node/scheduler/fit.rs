//! Whether a pod fits on the node, in the scheduler's words. Pure.
//!
//! The order and the texts are those of the plugins of kube-scheduler: the first that refuses is told, and of the
//! resources all that are short.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::super::admission;

/// What keeps a pod off the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// `Insufficient cpu`; several where several resources are short.
    pub reasons: Vec<String>,
    /// Whether it would help if other pods went.
    pub is_passing: bool,
    /// The pod is refused before any node is looked at.
    pub before_nodes: bool,
}

impl Obstacle {
    fn lasting(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()], is_passing: false, before_nodes: false }
    }

    fn passing(reason: impl Into<String>) -> Self {
        Self { is_passing: true, ..Self::lasting(reason) }
    }

    /// What `FailedScheduling` tells of a cluster with this one node.
    pub fn message(&self) -> String {
        let mut reasons = self.reasons.clone();
        if !self.before_nodes {
            reasons = reasons.iter().map(|reason| format!("1 {reason}")).collect();
        }
        reasons.sort();
        let preemption = if self.is_passing {
            "No preemption victims found for incoming pod"
        } else {
            "Preemption is not helpful for scheduling"
        };
        format!(
            "0/1 nodes are available: {}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 {preemption}.",
            reasons.join(", ")
        )
    }
}

/// What keeps the pod off the node. `occupants` are the pods that run on it.
pub fn obstacle(pod: &Value, node: &Value, occupants: &[Value]) -> Option<Obstacle> {
    missing_claim(pod)
        .or_else(|| cordoned(pod, node))
        .or_else(|| tainted(pod, node))
        .or_else(|| wrong_node(pod, node))
        .or_else(|| taken_ports(pod, occupants))
        .or_else(|| short_resources(pod, node, occupants))
        .or_else(|| without_topology(pod, node))
        .or_else(|| wrong_company(pod, node, occupants))
}

/// A claim cannot be there: the cluster has none.
fn missing_claim(pod: &Value) -> Option<Obstacle> {
    let claim = items(pod, "/spec/volumes").find_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())?;
    let reason = format!("persistentvolumeclaim \"{claim}\" not found");
    Some(Obstacle { before_nodes: true, ..Obstacle::lasting(reason) })
}

fn cordoned(pod: &Value, node: &Value) -> Option<Obstacle> {
    let cordon = serde_json::json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
    let refused = node.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) && !tolerates(pod, &cordon);
    refused.then(|| Obstacle::lasting("node(s) were unschedulable"))
}

fn tainted(pod: &Value, node: &Value) -> Option<Obstacle> {
    let taint =
        items(node, "/spec/taints").find(|taint| taint["effect"] != "PreferNoSchedule" && !tolerates(pod, taint))?;
    let text = |key: &str| taint[key].as_str().unwrap_or_default();
    Some(Obstacle::lasting(format!("node(s) had untolerated taint {{{}: {}}}", text("key"), text("value"))))
}

/// Whether some toleration of the pod is for the taint.
pub fn tolerates(pod: &Value, taint: &Value) -> bool {
    items(pod, "/spec/tolerations").any(|toleration| is_for(toleration, taint))
}

/// Whether a toleration is for a taint.
pub fn is_for(toleration: &Value, taint: &Value) -> bool {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let (key, effect) = (text(toleration, "key"), text(toleration, "effect"));
    (key.is_empty() || text(taint, "key") == key)
        && (effect.is_empty() || text(taint, "effect") == effect)
        && (toleration["operator"] == "Exists" || text(toleration, "value") == text(taint, "value"))
}

fn wrong_node(pod: &Value, node: &Value) -> Option<Obstacle> {
    let labels = &node["metadata"]["labels"];
    let mut selected = pod.pointer("/spec/nodeSelector").and_then(Value::as_object).into_iter().flatten();
    let required = pod.pointer("/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution");
    let fits = selected.all(|(key, value)| labels.get(key) == Some(value))
        && required.filter(|required| required.is_object()).is_none_or(|required| {
            items(required, "/nodeSelectorTerms").any(|term| {
                let name = serde_json::json!({"metadata.name": node["metadata"]["name"]});
                let (expressions, fields) = (items(term, "/matchExpressions"), items(term, "/matchFields"));
                let mut all = expressions.map(|one| (one, labels)).chain(fields.map(|one| (one, &name))).peekable();
                // a term that asks for nothing selects nothing
                all.peek().is_some() && all.all(|(expression, labels)| holds(expression, labels))
            })
        });
    (!fits).then(|| Obstacle::lasting("node(s) didn't match Pod's node affinity/selector"))
}

/// Whether a requirement on a node's labels holds.
fn holds(expression: &Value, labels: &Value) -> bool {
    let found = expression["key"].as_str().and_then(|key| labels.get(key)).and_then(Value::as_str);
    let mut values = items(expression, "/values").filter_map(Value::as_str);
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    match expression["operator"].as_str().unwrap_or_default() {
        "In" => found.is_some_and(|found| values.any(|value| value == found)),
        "NotIn" => found.is_none_or(|found| values.all(|value| value != found)),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => number(found).zip(number(values.next())).is_some_and(|(found, bound)| found > bound),
        "Lt" => number(found).zip(number(values.next())).is_some_and(|(found, bound)| found < bound),
        _ => false,
    }
}

fn taken_ports(pod: &Value, occupants: &[Value]) -> Option<Obstacle> {
    let wanted = host_ports(pod);
    let clash = |one: &HostPort, other: &HostPort| {
        let any = |address: &str| address.is_empty() || address == "0.0.0.0";
        one.0 == other.0 && one.1 == other.1 && (any(&one.2) || any(&other.2) || one.2 == other.2)
    };
    let taken = occupants.iter().flat_map(host_ports).any(|theirs| wanted.iter().any(|ours| clash(ours, &theirs)));
    taken.then(|| Obstacle::passing("node(s) didn't have free ports for the requested pod ports"))
}

/// Number, protocol, address.
type HostPort = (u64, String, String);

fn host_ports(pod: &Value) -> Vec<HostPort> {
    let sidecars = items(pod, "/spec/initContainers").filter(|container| container["restartPolicy"] == "Always");
    items(pod, "/spec/containers")
        .chain(sidecars)
        .flat_map(|container| items(container, "/ports"))
        .filter_map(|port| {
            let number = port["hostPort"].as_u64().filter(|number| *number > 0)?;
            let text = |key: &str| port[key].as_str().map(str::to_owned);
            Some((number, text("protocol").unwrap_or_else(|| "TCP".into()), text("hostIP").unwrap_or_default()))
        })
        .collect()
}

fn short_resources(pod: &Value, node: &Value, occupants: &[Value]) -> Option<Obstacle> {
    let has = |resource: &str| quantity(&node["status"]["allocatable"][resource]);
    let (mut reasons, mut is_passing) = (Vec::new(), true);
    let room = has("pods").unwrap_or(f64::MAX);
    #[allow(clippy::cast_precision_loss, reason = "a node has no 2^52 pods")]
    if occupants.len() as f64 + 1.0 > room {
        reasons.push("Too many pods".to_owned());
    }
    for resource in resources(pod) {
        let asked = requested(pod, &resource);
        // what a node does not state it has none of; a node that states nothing at all has not told yet
        let has = has(&resource).unwrap_or(if node["status"]["allocatable"].is_object() { 0.0 } else { f64::MAX });
        let taken: f64 = occupants.iter().map(|other| requested(other, &resource)).sum();
        if asked > 0.0 && asked + taken > has {
            is_passing &= asked <= has;
            reasons.push(format!("Insufficient {resource}"));
        }
    }
    (!reasons.is_empty()).then_some(Obstacle { reasons, is_passing, before_nodes: false })
}

/// The names of what the pod asks for.
fn resources(pod: &Value) -> BTreeSet<String> {
    items(pod, "/spec/containers")
        .chain(items(pod, "/spec/initContainers"))
        .filter_map(|container| container.pointer("/resources/requests").and_then(Value::as_object))
        .flat_map(|requests| requests.keys().cloned())
        .collect()
}

/// What a pod asks for: its containers and sidecars together, or the largest of its other init containers with the
/// sidecars before it.
pub fn requested(pod: &Value, resource: &str) -> f64 {
    let of = |container: &Value| quantity(&container["resources"]["requests"][resource]).unwrap_or(0.0);
    let (mut sidecars, mut largest) = (0.0, 0.0_f64);
    for container in items(pod, "/spec/initContainers") {
        if container["restartPolicy"] == "Always" {
            sidecars += of(container);
        } else {
            largest = largest.max(sidecars + of(container));
        }
    }
    let together: f64 = items(pod, "/spec/containers").map(of).sum();
    let overhead = pod.pointer("/spec/overhead").map_or(0.0, |overhead| quantity(&overhead[resource]).unwrap_or(0.0));
    largest.max(sidecars + together) + overhead
}

fn without_topology(pod: &Value, node: &Value) -> Option<Obstacle> {
    let lacks = items(pod, "/spec/topologySpreadConstraints").any(|constraint| {
        let key = constraint["topologyKey"].as_str().unwrap_or_default();
        constraint["whenUnsatisfiable"] != "ScheduleAnyway" && node["metadata"]["labels"].get(key).is_none()
    });
    let reason = "node(s) didn't match pod topology spread constraints (missing required label)";
    lacks.then(|| Obstacle::lasting(reason))
}

/// Affinity and anti-affinity between pods, on a single node: a topology holds all pods or none.
fn wrong_company(pod: &Value, node: &Value, occupants: &[Value]) -> Option<Obstacle> {
    let shares = |term: &Value| {
        let key = term["topologyKey"].as_str().unwrap_or_default();
        node["metadata"]["labels"].get(key).is_some()
    };
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let affinity = format!("/spec/affinity/podAffinity/{required}");
    let against = format!("/spec/affinity/podAntiAffinity/{required}");
    for term in items(pod, &affinity) {
        let found = occupants.iter().any(|other| is_meant(term, pod, other));
        // the first of a group whose members look for each other may go anywhere
        let first = is_meant(term, pod, pod);
        if !shares(term) || !(found || first) {
            return Some(Obstacle::lasting("node(s) didn't match pod affinity rules"));
        }
    }
    let refuses =
        |one: &Value, other: &Value| items(one, &against).any(|term| shares(term) && is_meant(term, one, other));
    if occupants.iter().any(|other| refuses(pod, other)) {
        return Some(Obstacle::passing("node(s) didn't match pod anti-affinity rules"));
    }
    let refused = occupants.iter().any(|other| refuses(other, pod));
    refused.then(|| Obstacle::passing("node(s) didn't satisfy existing pods anti-affinity rules"))
}

/// Whether a term of `owner` means `other`: by its labels, in the namespaces that the term names.
fn is_meant(term: &Value, owner: &Value, other: &Value) -> bool {
    let namespace = |pod: &Value| pod["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
    let mut named = items(term, "/namespaces").filter_map(Value::as_str).peekable();
    let everywhere = term["namespaceSelector"].is_object();
    let there = if named.peek().is_some() {
        named.any(|name| name == namespace(other))
    } else {
        everywhere || namespace(owner) == namespace(other)
    };
    there
        && term["labelSelector"].is_object()
        && admission::selector_matches(&term["labelSelector"], &other["metadata"]["labels"])
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn quantity(value: &Value) -> Option<f64> {
    admission::quantity(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node() -> Value {
        json!({"metadata": {"name": "n", "labels": {"a": "1", "kubernetes.io/hostname": "n"}}, "status": {"allocatable": {
            "cpu": "4", "memory": "8Gi", "ephemeral-storage": "50Gi", "pods": "3"}}})
    }

    fn why(spec: &Value, occupants: &[Value]) -> Option<(String, bool)> {
        let pod = json!({"metadata": {"namespace": "d", "labels": {"app": "web"}}, "spec": spec});
        obstacle(&pod, &node(), occupants).map(|obstacle| (obstacle.reasons.join(", "), obstacle.is_passing))
    }

    fn asks(requests: &Value) -> Value {
        json!({"containers": [{"resources": {"requests": requests}}]})
    }

    fn affinity(kind: &str, rule: &Value) -> Value {
        json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": rule}}})
    }

    fn check(spec: &Value, occupants: &[Value], expected: Option<(&str, bool)>) {
        let expected = expected.map(|(reason, is_passing)| (reason.to_owned(), is_passing));
        assert_eq!(why(spec, occupants), expected, "{spec}");
    }

    #[test]
    fn resources_are_counted_with_those_of_the_others() {
        let other = |cpu: &str| json!({"spec": asks(&json!({"cpu": cpu}))});
        check(&json!({}), &[], None);
        check(&asks(&json!({"cpu": "2"})), &[other("1500m")], None);
        check(&asks(&json!({"cpu": "2"})), &[other("2500m")], Some(("Insufficient cpu", true)));
        check(&asks(&json!({"cpu": "5"})), &[], Some(("Insufficient cpu", false)));
        check(
            &asks(&json!({"memory": "9Gi", "cpu": "9"})),
            &[],
            Some(("Insufficient cpu, Insufficient memory", false)),
        );
        check(&asks(&json!({"ephemeral-storage": "1Ti"})), &[], Some(("Insufficient ephemeral-storage", false)));
        check(&asks(&json!({"example.com/gpu": "1"})), &[], Some(("Insufficient example.com/gpu", false)));
        check(&json!({}), &[json!({}), json!({}), json!({})], Some(("Too many pods", true)));
        let sidecar = json!({"initContainers": [{"restartPolicy": "Always", "resources": {"requests": {"cpu": "3"}}}],
            "containers": [{"resources": {"requests": {"cpu": "2"}}}]});
        check(&sidecar, &[], Some(("Insufficient cpu", false)));
    }

    #[test]
    fn the_node_is_to_be_the_right_one() {
        let wrong = Some(("node(s) didn't match Pod's node affinity/selector", false));
        check(&json!({"nodeSelector": {"a": "1"}}), &[], None);
        check(&json!({"nodeSelector": {"a": "2"}}), &[], wrong);
        let term = |key: &str, operator: &str, values: &[&str]| {
            let expression = json!({"key": key, "operator": operator, "values": values});
            affinity("nodeAffinity", &json!({"nodeSelectorTerms": [{"matchExpressions": [expression]}]}))
        };
        check(&term("a", "In", &["1", "2"]), &[], None);
        check(&term("a", "NotIn", &["1"]), &[], wrong);
        check(&term("b", "Exists", &[]), &[], wrong);
        check(&term("b", "DoesNotExist", &[]), &[], None);
        check(&term("a", "Gt", &["0"]), &[], None);
        check(&term("a", "Lt", &["1"]), &[], wrong);
    }

    #[test]
    fn ports_of_the_host_and_claims() {
        let port = json!({"containers": [{"ports": [{"hostPort": 80, "containerPort": 80}]}]});
        check(&port, &[], None);
        let taken = Some(("node(s) didn't have free ports for the requested pod ports", true));
        check(&port, &[json!({"spec": port})], taken);
        let claim = json!({"volumes": [{"persistentVolumeClaim": {"claimName": "nope"}}]});
        check(&claim, &[], Some(("persistentvolumeclaim \"nope\" not found", false)));
        assert_eq!(
            obstacle(&json!({"spec": claim}), &node(), &[]).unwrap().message(),
            "0/1 nodes are available: persistentvolumeclaim \"nope\" not found. no new claims to deallocate, \
             preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        );
    }

    #[test]
    fn pods_that_want_each_other_and_pods_that_do_not() {
        let term = json!([{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}]);
        let database = json!({"metadata": {"namespace": "d", "labels": {"app": "db"}}});
        let elsewhere = json!({"metadata": {"namespace": "e", "labels": {"app": "db"}}});
        let near = affinity("podAffinity", &term);
        check(&near, &[], Some(("node(s) didn't match pod affinity rules", false)));
        check(&near, std::slice::from_ref(&elsewhere), Some(("node(s) didn't match pod affinity rules", false)));
        check(&near, std::slice::from_ref(&database), None);
        let far = affinity("podAntiAffinity", &term);
        check(&far, std::slice::from_ref(&elsewhere), None);
        check(&far, std::slice::from_ref(&database), Some(("node(s) didn't match pod anti-affinity rules", true)));
        let own = json!([{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}]);
        check(&affinity("podAffinity", &own), &[], None);
        let jealous = json!({"metadata": {"namespace": "d"}, "spec": affinity("podAntiAffinity", &own)});
        check(&json!({}), &[jealous], Some(("node(s) didn't satisfy existing pods anti-affinity rules", true)));
    }

    #[test]
    fn taints_and_cordons() {
        let mut node = node();
        node["spec"] = json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]});
        let pod = |tolerations: Value| json!({"spec": {"tolerations": tolerations}});
        let refused = obstacle(&pod(json!([])), &node, &[]).unwrap();
        assert_eq!(refused.reasons, ["node(s) had untolerated taint {k: v}"]);
        assert_eq!(obstacle(&pod(json!([{"key": "k", "value": "v"}])), &node, &[]), None);
        assert_eq!(obstacle(&pod(json!([{"operator": "Exists"}])), &node, &[]), None);
        node["spec"] = json!({"unschedulable": true});
        assert_eq!(obstacle(&pod(json!([])), &node, &[]).unwrap().reasons, ["node(s) were unschedulable"]);
    }
}
