//! Where a Service's pods answer: one `Endpoints` object and one `EndpointSlice` for each Service with a selector.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::schema::Kind;
use super::change::Change;
use super::object::{self, is_deleting, is_ready, is_terminal, list, text};

const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";
const HEADLESS: &str = "service.kubernetes.io/headless";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const SLICE_MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SLICE_CONTROLLER: &str = "endpointslice-controller.k8s.io";

/// What a plan is made from.
#[derive(Debug)]
pub struct Snapshot {
    pub service: Value,
    /// The pods of its namespace that its selector selects.
    pub pods: Vec<Value>,
    pub endpoints: Option<Value>,
    /// The slices of this controller that bear its name.
    pub slices: Vec<Value>,
}

fn endpoints_kind() -> &'static Kind {
    object::kind("v1", "Endpoints")
}

fn slice_kind() -> &'static Kind {
    object::kind("discovery.k8s.io/v1", "EndpointSlice")
}

/// Decides what a Service's endpoints are to be. A Service without a selector has those that others make.
pub fn plan(snapshot: &Snapshot) -> Vec<Change> {
    let service = &snapshot.service;
    let selector = service.pointer("/spec/selector").and_then(Value::as_object);
    let external = text(service, "/spec/type") == "ExternalName";
    if external || is_deleting(service) || selector.is_none_or(Map::is_empty) {
        return Vec::new();
    }
    plan_endpoints(snapshot).into_iter().chain(plan_slice(snapshot)).collect()
}

fn plan_endpoints(snapshot: &Snapshot) -> Option<Change> {
    let subsets = subsets(snapshot);
    let labels = labels(&snapshot.service, [("endpoints.kubernetes.io/managed-by", "endpoint-controller")]);
    if let Some(before) = &snapshot.endpoints {
        let same_subsets = before.get("subsets").cloned().unwrap_or_else(|| json!([])) == subsets;
        if same_subsets && before["metadata"].get("labels").unwrap_or(&Value::Null) == &labels {
            return None;
        }
    }
    let mut endpoints = snapshot.endpoints.clone().unwrap_or_else(|| {
        json!({"metadata": {
            "name": object::name(&snapshot.service), "namespace": object::namespace(&snapshot.service),
        }})
    });
    endpoints["metadata"]["labels"] = labels;
    set_trigger(&mut endpoints, snapshot);
    let members = endpoints.as_object_mut().expect("an object of the registry");
    if subsets == json!([]) {
        members.remove("subsets");
    } else {
        members.insert("subsets".into(), subsets);
    }
    Some(write(endpoints_kind(), endpoints, snapshot.endpoints.is_some()))
}

fn write(kind: &'static Kind, object: Value, exists: bool) -> Change {
    if exists { Change::update(kind, object) } else { Change::Create { kind, object } }
}

/// The Service's own labels and the controller's.
fn labels<const N: usize>(service: &Value, own: [(&str, &str); N]) -> Value {
    let mut labels = service.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, value) in own {
        labels.insert(key.into(), value.into());
    }
    if text(service, "/spec/clusterIP") == "None" {
        labels.insert(HEADLESS.into(), "".into());
    } else {
        labels.remove(HEADLESS);
    }
    Value::Object(labels)
}

/// The latest change that led to these endpoints: a pod's, or the Service's creation.
fn set_trigger(endpoints: &mut Value, snapshot: &Snapshot) {
    let ready = |pod: &Value| object::time(object::condition(&pod["status"], "Ready")?, "/lastTransitionTime");
    let deleted = |pod: &Value| object::time(pod, "/metadata/deletionTimestamp");
    let created = object::created(&snapshot.service);
    let latest = snapshot.pods.iter().flat_map(|pod| [ready(pod), deleted(pod)]).flatten().fold(created, Ord::max);
    if latest != Timestamp::UNIX_EPOCH {
        object::map_mut(endpoints, &["metadata", "annotations"])
            .insert(TRIGGER.into(), object::whole_seconds(latest).into());
    }
}

fn address(pod: &Value) -> &str {
    text(pod, "/status/podIP")
}

fn target(pod: &Value) -> Value {
    json!({
        "kind": "Pod", "namespace": object::namespace(pod), "name": object::name(pod), "uid": object::uid(pod),
    })
}

fn publishes_unready(service: &Value) -> bool {
    service["spec"]["publishNotReadyAddresses"] == true
}

/// Addresses by the ports that they answer on, ordered by address.
fn subsets(snapshot: &Snapshot) -> Value {
    let unready_too = publishes_unready(&snapshot.service);
    let mut groups: BTreeMap<String, (Value, Vec<Value>, Vec<Value>)> = BTreeMap::new();
    let counted = snapshot
        .pods
        .iter()
        .filter(|pod| !is_terminal(pod) && !address(pod).is_empty() && (unready_too || !is_deleting(pod)));
    for pod in counted {
        let ports = ports(&snapshot.service, pod, false);
        if ports == json!([]) && list(&snapshot.service, "/spec/ports").next().is_some() {
            continue; // the pod has none of the Service's ports
        }
        let group = groups.entry(ports.to_string()).or_insert_with(|| (ports, Vec::new(), Vec::new()));
        let mut entry = json!({"ip": address(pod)});
        if let Some(hostname) = hostname(&snapshot.service, pod) {
            entry["hostname"] = hostname.into();
        }
        if !text(pod, "/spec/nodeName").is_empty() {
            entry["nodeName"] = text(pod, "/spec/nodeName").into();
        }
        entry["targetRef"] = target(pod);
        if is_ready(pod) || unready_too { group.1.push(entry) } else { group.2.push(entry) }
    }
    groups
        .into_values()
        .map(|(ports, mut ready, mut unready)| {
            let mut subset = json!({});
            for (key, addresses) in [("addresses", &mut ready), ("notReadyAddresses", &mut unready)] {
                addresses.sort_by(|one, other| text(one, "/ip").cmp(text(other, "/ip")));
                if !addresses.is_empty() {
                    subset[key] = Value::Array(std::mem::take(addresses));
                }
            }
            if ports != json!([]) {
                subset["ports"] = ports;
            }
            subset
        })
        .collect()
}

fn hostname<'a>(service: &Value, pod: &'a Value) -> Option<&'a str> {
    let hostname = text(pod, "/spec/hostname");
    (!hostname.is_empty() && text(pod, "/spec/subdomain") == object::name(service)).then_some(hostname)
}

/// The Service's ports as a pod has them; one that the pod does not name is left out. In a slice every port has a
/// name, be it empty.
fn ports(service: &Value, pod: &Value, always_named: bool) -> Value {
    list(service, "/spec/ports")
        .filter_map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            let mut entry = json!({});
            let name = text(port, "/name");
            if always_named || !name.is_empty() {
                entry["name"] = name.into();
            }
            if always_named {
                entry["protocol"] = protocol.into();
            }
            entry["port"] = find_port(port, pod, protocol)?.into();
            entry["protocol"] = protocol.into();
            if let Some(application) = port.get("appProtocol").filter(|value| !value.is_null()) {
                entry["appProtocol"] = application.clone();
            }
            Some(entry)
        })
        .collect()
}

fn find_port(port: &Value, pod: &Value, protocol: &str) -> Option<i64> {
    let target = &port["targetPort"];
    let Some(name) = target.as_str() else {
        return target.as_i64().filter(|number| *number != 0).or_else(|| port["port"].as_i64());
    };
    list(pod, "/spec/containers")
        .chain(list(pod, "/spec/initContainers").filter(|container| container["restartPolicy"] == "Always"))
        .flat_map(|container| list(container, "/ports"))
        .find(|candidate| candidate["name"] == name && candidate["protocol"].as_str().unwrap_or("TCP") == protocol)
        .and_then(|candidate| candidate["containerPort"].as_i64())
}

fn plan_slice(snapshot: &Snapshot) -> Option<Change> {
    let service = &snapshot.service;
    let before = snapshot.slices.first();
    let endpoints = slice_endpoints(snapshot, before);
    let ports = slice_ports(snapshot);
    let name = object::name(service);
    let labels = labels(service, [(SERVICE_NAME, name), (SLICE_MANAGED_BY, SLICE_CONTROLLER)]);
    if let Some(before) = before {
        let unchanged = before["endpoints"] == endpoints && before["ports"] == ports;
        if unchanged && before["metadata"]["labels"] == labels {
            return None;
        }
    }
    let mut slice = before.cloned().unwrap_or_else(|| {
        json!({
            "metadata": {
                "generateName": format!("{name}-"),
                "namespace": object::namespace(service),
                "ownerReferences": [object::controller_reference(object::kind("v1", "Service"), service)],
            },
            "addressType": "IPv4",
        })
    });
    slice["metadata"]["labels"] = labels;
    set_trigger(&mut slice, snapshot);
    slice["endpoints"] = endpoints;
    slice["ports"] = ports;
    Some(write(slice_kind(), slice, before.is_some()))
}

/// The endpoints in the order in which they came: those that are there already first.
fn slice_endpoints(snapshot: &Snapshot, before: Option<&Value>) -> Value {
    let mut pods: Vec<&Value> =
        snapshot.pods.iter().filter(|pod| !is_terminal(pod) && !address(pod).is_empty()).collect();
    let known: Vec<&str> =
        before.into_iter().flat_map(|slice| list(slice, "/endpoints")).map(|end| text(end, "/targetRef/uid")).collect();
    pods.sort_by_key(|pod| known.iter().position(|uid| *uid == object::uid(pod)).unwrap_or(known.len()));
    pods.into_iter().map(|pod| slice_endpoint(&snapshot.service, pod)).collect()
}

fn slice_endpoint(service: &Value, pod: &Value) -> Value {
    let serving = is_ready(pod);
    let terminating = is_deleting(pod);
    let ready = publishes_unready(service) || serving && !terminating;
    let mut endpoint = json!({
        "addresses": [address(pod)],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
    });
    if let Some(hostname) = hostname(service, pod) {
        endpoint["hostname"] = hostname.into();
    }
    endpoint["targetRef"] = target(pod);
    if !text(pod, "/spec/nodeName").is_empty() {
        endpoint["nodeName"] = text(pod, "/spec/nodeName").into();
    }
    endpoint
}

/// The ports of the first pod that has an address; without one there are none.
fn slice_ports(snapshot: &Snapshot) -> Value {
    let pod = snapshot.pods.iter().find(|pod| !is_terminal(pod) && !address(pod).is_empty());
    let ports = pod.map_or(Value::Null, |pod| ports(&snapshot.service, pod, true));
    if ports == json!([]) { Value::Null } else { ports }
}

/// The `Endpoints` of a Service that is gone.
pub fn plan_gone(endpoints: &Value) -> Vec<Change> {
    let managed = object::label(endpoints, "endpoints.kubernetes.io/managed-by") == Some("endpoint-controller");
    if managed { vec![Change::delete(endpoints_kind(), endpoints)] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, address: &str, ready: bool) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "n", "uid": name},
            "spec": {"nodeName": "node", "containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
            "status": {"phase": "Running", "podIP": address, "conditions": [
                {"type": "Ready", "status": if ready { "True" } else { "False" }},
            ]},
        })
    }

    fn snapshot(pods: Vec<Value>) -> Snapshot {
        let service = json!({
            "metadata": {"name": "web", "namespace": "n", "uid": "s", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http", "protocol": "TCP"}]},
        });
        Snapshot { service, pods, endpoints: None, slices: Vec::new() }
    }

    fn created(changes: &[Change]) -> Vec<&Value> {
        changes
            .iter()
            .map(|change| match change {
                Change::Create { object, .. } | Change::Update { object, .. } => object,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn ready_pods_are_addresses_and_others_are_not() {
        let changes = plan(&snapshot(vec![pod("b", "10.0.0.2", true), pod("a", "10.0.0.1", false)]));
        let [endpoints, slice] = created(&changes)[..] else { panic!("two objects") };
        let subset = &endpoints["subsets"][0];
        assert_eq!(subset["addresses"][0]["targetRef"]["name"], "b");
        assert_eq!(subset["notReadyAddresses"][0]["ip"], "10.0.0.1");
        assert_eq!(subset["ports"], json!([{"port": 8080, "protocol": "TCP"}]));
        assert_eq!(
            slice["endpoints"][1]["conditions"],
            json!({"ready": false, "serving": false, "terminating": false})
        );
        assert_eq!(slice["ports"], json!([{"name": "", "port": 8080, "protocol": "TCP"}]));
    }

    #[test]
    fn a_pod_that_is_being_deleted_serves_on_but_gets_nothing_new() {
        let mut ending = pod("a", "10.0.0.1", true);
        ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z".into();
        let changes = plan(&snapshot(vec![ending]));
        let [endpoints, slice] = created(&changes)[..] else { panic!("two objects") };
        assert_eq!(endpoints.get("subsets"), None);
        assert_eq!(slice["endpoints"][0]["conditions"], json!({"ready": false, "serving": true, "terminating": true}));
    }

    #[test]
    fn a_pod_without_the_named_port_is_no_address() {
        let mut nameless = pod("a", "10.0.0.1", true);
        nameless["spec"]["containers"][0]["ports"] = json!([{"name": "other", "containerPort": 8080}]);
        let changes = plan(&snapshot(vec![nameless]));
        let [endpoints, slice] = created(&changes)[..] else { panic!("two objects") };
        assert_eq!(endpoints.get("subsets"), None);
        assert_eq!((&slice["endpoints"][0]["addresses"][0], &slice["ports"]), (&json!("10.0.0.1"), &Value::Null));
    }

    #[test]
    fn nothing_changes_twice() {
        let mut snapshot = snapshot(vec![pod("a", "10.0.0.1", true)]);
        let changes = plan(&snapshot);
        let objects = created(&changes);
        (snapshot.endpoints, snapshot.slices) = (Some(objects[0].clone()), vec![objects[1].clone()]);
        assert_eq!(plan(&snapshot), []);
    }

    #[test]
    fn without_pods_there_is_an_empty_slice() {
        let changes = plan(&snapshot(Vec::new()));
        let [endpoints, slice] = created(&changes)[..] else { panic!("two objects") };
        assert_eq!(endpoints.get("subsets"), None);
        assert_eq!((&slice["endpoints"], &slice["ports"]), (&json!([]), &Value::Null));
    }
}
