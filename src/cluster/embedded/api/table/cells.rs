//! The cells of each kind.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::super::super::schema::Kind;
use super::pod;

pub(super) fn of(kind: &Kind, object: &Value, now: Timestamp) -> Vec<Value> {
    match kind.name {
        "Pod" => pod::cells(object, now),
        "Event" => event(object, now),
        "Deployment" => deployment(object, now),
        "ReplicaSet" => replica_set(object, now),
        "Service" => service(object, now),
        "Node" => node(object, now),
        "Endpoints" => named(object, vec![endpoints(object).into(), age(object, now).into()]),
        "EndpointSlice" => endpoint_slice(object, now),
        "Namespace" => named(object, vec![text(object, "/status/phase").into(), age(object, now).into()]),
        "ConfigMap" => {
            let count = members(object, "/data") + members(object, "/binaryData");
            named(object, vec![count.into(), age(object, now).into()])
        }
        "Secret" => {
            let count = members(object, "/data");
            named(object, vec![text(object, "/type").into(), count.into(), age(object, now).into()])
        }
        "ServiceAccount" => named(object, vec![list(object, "/secrets").len().into(), age(object, now).into()]),
        "Lease" => named(object, vec![text(object, "/spec/holderIdentity").into(), age(object, now).into()]),
        "StatefulSet" => stateful_set(object, now),
        "DaemonSet" => daemon_set(object, now),
        "Job" => job(object, now),
        "CronJob" => cron_job(object, now),
        "Ingress" => ingress(object, now),
        "PersistentVolumeClaim" => claim(object, now),
        _ => named(object, vec![age(object, now).into()]),
    }
}

fn named(object: &Value, mut rest: Vec<Value>) -> Vec<Value> {
    rest.insert(0, text(object, "/metadata/name").into());
    rest
}

pub(super) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn integer(object: &Value, path: &str) -> i64 {
    object.pointer(path).and_then(Value::as_i64).unwrap_or(0)
}

pub(super) fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    object.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn members(object: &Value, path: &str) -> usize {
    object.pointer(path).and_then(Value::as_object).map_or(0, Map::len)
}

pub(super) fn none_if_empty(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

pub(super) fn age(object: &Value, now: Timestamp) -> String {
    since(text(object, "/metadata/creationTimestamp"), now)
}

/// How long ago a time was; `<unknown>` where there is none.
fn since(time: &str, now: Timestamp) -> String {
    time.parse().map_or_else(|_| "<unknown>".into(), |at| duration(at, now))
}

/// A duration as `kubectl` shortens it (apimachinery's `HumanDuration`).
pub(super) fn duration(from: Timestamp, to: Timestamp) -> String {
    human(to.duration_since(from).as_secs())
}

fn human(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |unit: i64, name: &str, part: i64, part_name: &str| {
        let rest = seconds % unit / part;
        let whole = seconds / unit;
        if rest == 0 { format!("{whole}{name}") } else { format!("{whole}{name}{rest}{part_name}") }
    };
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, "d", HOUR, "h"),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// Names and images of a template's containers, comma-separated.
fn containers(object: &Value, path: &str) -> (String, String) {
    let containers = list(object, path);
    let join = |member: &str| containers.iter().map(|container| text(container, member)).collect::<Vec<_>>().join(",");
    (join("/name"), join("/image"))
}

/// A label selector as it is written on a command line.
fn selector(selector: &Value) -> String {
    let mut parts: Vec<String> = labels(selector.get("matchLabels"));
    for expression in list(selector, "/matchExpressions") {
        let values: Vec<&str> = list(expression, "/values").iter().filter_map(Value::as_str).collect();
        let (key, values) = (text(expression, "/key"), values.join(","));
        parts.push(match text(expression, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    if parts.is_empty() { "<none>".into() } else { parts.join(",") }
}

fn labels(labels: Option<&Value>) -> Vec<String> {
    let labels = labels.and_then(Value::as_object);
    labels.into_iter().flatten().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect()
}

fn label_text(object: &Value, path: &str) -> String {
    let labels = labels(object.pointer(path));
    if labels.is_empty() { "<none>".into() } else { labels.join(",") }
}

fn selector_of(object: &Value) -> String {
    selector(object.pointer("/spec/selector").unwrap_or(&Value::Null))
}

fn deployment(object: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(object, "/spec/template/spec/containers");
    let ready = format!("{}/{}", integer(object, "/status/readyReplicas"), integer(object, "/spec/replicas"));
    named(
        object,
        vec![
            ready.into(),
            integer(object, "/status/updatedReplicas").into(),
            integer(object, "/status/availableReplicas").into(),
            age(object, now).into(),
            names.into(),
            images.into(),
            selector_of(object).into(),
        ],
    )
}

fn replica_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(object, "/spec/template/spec/containers");
    named(
        object,
        vec![
            integer(object, "/spec/replicas").into(),
            integer(object, "/status/replicas").into(),
            integer(object, "/status/readyReplicas").into(),
            age(object, now).into(),
            names.into(),
            images.into(),
            selector_of(object).into(),
        ],
    )
}

fn stateful_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(object, "/spec/template/spec/containers");
    let ready = format!("{}/{}", integer(object, "/status/readyReplicas"), integer(object, "/spec/replicas"));
    named(object, vec![ready.into(), age(object, now).into(), names.into(), images.into()])
}

fn daemon_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(object, "/spec/template/spec/containers");
    named(
        object,
        vec![
            integer(object, "/status/desiredNumberScheduled").into(),
            integer(object, "/status/currentNumberScheduled").into(),
            integer(object, "/status/numberReady").into(),
            integer(object, "/status/updatedNumberScheduled").into(),
            integer(object, "/status/numberAvailable").into(),
            label_text(object, "/spec/template/spec/nodeSelector").into(),
            age(object, now).into(),
            names.into(),
            images.into(),
            selector_of(object).into(),
        ],
    )
}

fn job(object: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(object, "/spec/template/spec/containers");
    let holds = |kind: &str| {
        list(object, "/status/conditions")
            .iter()
            .any(|condition| text(condition, "/type") == kind && text(condition, "/status") == "True")
    };
    let found = [
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
    ];
    let status = found.iter().find(|(kind, _)| holds(kind)).map_or("Running", |(_, word)| *word);
    let wanted = object.pointer("/spec/completions").and_then(Value::as_i64).unwrap_or(1);
    let started: Option<Timestamp> = text(object, "/status/startTime").parse().ok();
    let ended = text(object, "/status/completionTime").parse().unwrap_or(now);
    named(
        object,
        vec![
            status.into(),
            format!("{}/{wanted}", integer(object, "/status/succeeded")).into(),
            started.map(|started| duration(started, ended)).unwrap_or_default().into(),
            age(object, now).into(),
            names.into(),
            images.into(),
            selector_of(object).into(),
        ],
    )
}

fn cron_job(object: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(object, "/spec/jobTemplate/spec/template/spec/containers");
    let last = text(object, "/status/lastScheduleTime");
    let suspended = object.pointer("/spec/suspend").and_then(Value::as_bool).unwrap_or(false);
    named(
        object,
        vec![
            text(object, "/spec/schedule").into(),
            none_if_empty(text(object, "/spec/timeZone")).into(),
            if suspended { "True" } else { "False" }.into(),
            list(object, "/status/active").len().into(),
            if last.is_empty() { "<none>".into() } else { since(last, now) }.into(),
            age(object, now).into(),
            names.into(),
            images.into(),
            "<none>".into(),
        ],
    )
}

fn service(object: &Value, now: Timestamp) -> Vec<Value> {
    let kind = text(object, "/spec/type");
    let external: Vec<&str> = list(object, "/spec/externalIPs").iter().filter_map(Value::as_str).collect();
    let external = match kind {
        "ExternalName" => text(object, "/spec/externalName").to_owned(),
        "LoadBalancer" => {
            let mut addresses: Vec<&str> =
                list(object, "/status/loadBalancer/ingress")
                    .iter()
                    .map(|ingress| {
                        if text(ingress, "/ip").is_empty() { text(ingress, "/hostname") } else { text(ingress, "/ip") }
                    })
                    .collect();
            addresses.extend(&external);
            if addresses.is_empty() { "<pending>".into() } else { addresses.join(",") }
        }
        _ => external.join(","),
    };
    let ports: Vec<String> = list(object, "/spec/ports")
        .iter()
        .map(|port| {
            let (number, node, protocol) =
                (integer(port, "/port"), integer(port, "/nodePort"), text(port, "/protocol"));
            if node > 0 { format!("{number}:{node}/{protocol}") } else { format!("{number}/{protocol}") }
        })
        .collect();
    named(
        object,
        vec![
            kind.into(),
            none_if_empty(text(object, "/spec/clusterIP")).into(),
            none_if_empty(&external).into(),
            none_if_empty(&ports.join(",")).into(),
            age(object, now).into(),
            label_text(object, "/spec/selector").into(),
        ],
    )
}

fn node(object: &Value, now: Timestamp) -> Vec<Value> {
    let ready = list(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == "Ready");
    let mut status = match ready.map(|condition| text(condition, "/status")) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if object.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true) {
        status.push_str(",SchedulingDisabled");
    }
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let roles: Vec<&str> =
        labels.into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/")).collect();
    let address = |kind: &str| {
        let found = list(object, "/status/addresses").iter().find(|address| text(address, "/type") == kind);
        none_if_empty(found.map_or("", |address| text(address, "/address"))).to_owned()
    };
    let info = |key: &str| match text(object, &format!("/status/nodeInfo/{key}")) {
        "" => "<unknown>".to_owned(),
        value => value.to_owned(),
    };
    named(
        object,
        vec![
            status.into(),
            none_if_empty(&roles.join(",")).into(),
            age(object, now).into(),
            text(object, "/status/nodeInfo/kubeletVersion").into(),
            address("InternalIP").into(),
            address("ExternalIP").into(),
            info("osImage").into(),
            info("kernelVersion").into(),
            info("containerRuntimeVersion").into(),
        ],
    )
}

const SHOWN_MAX: usize = 3;

/// The first three, and how many more.
fn shortened(all: &[String], empty: &str) -> String {
    match all.len() {
        0 => empty.into(),
        count if count <= SHOWN_MAX => all.join(","),
        count => format!("{} + {} more...", all[..SHOWN_MAX].join(","), count - SHOWN_MAX),
    }
}

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in list(object, "/subsets") {
        let addresses: Vec<&str> = list(subset, "/addresses").iter().map(|address| text(address, "/ip")).collect();
        let ports = list(subset, "/ports");
        if ports.is_empty() {
            all.extend(addresses.iter().map(|address| (*address).to_owned()));
        }
        for port in ports {
            all.extend(addresses.iter().map(|address| format!("{address}:{}", integer(port, "/port"))));
        }
    }
    shortened(&all, "<none>")
}

fn endpoint_slice(object: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = list(object, "/ports")
        .iter()
        .map(|port| match integer(port, "/port") {
            0 => "*".to_owned(),
            number => number.to_string(),
        })
        .collect();
    let addresses: Vec<String> = list(object, "/endpoints")
        .iter()
        .flat_map(|endpoint| list(endpoint, "/addresses"))
        .filter_map(|address| address.as_str().map(Into::into))
        .collect();
    named(
        object,
        vec![
            text(object, "/addressType").into(),
            shortened(&ports, "<unset>").into(),
            shortened(&addresses, "<unset>").into(),
            age(object, now).into(),
        ],
    )
}

fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    let first_of = |paths: [&str; 3]| {
        paths.iter().map(|path| text(object, path)).find(|time| !time.is_empty()).unwrap_or_default().to_owned()
    };
    let first = since(&first_of(["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"]), now);
    let last = if text(object, "/series/lastObservedTime").is_empty() {
        let last = first_of(["/lastTimestamp", "/deprecatedLastTimestamp", "/eventTime"]);
        if last.is_empty() { first.clone() } else { since(&last, now) }
    } else {
        since(text(object, "/series/lastObservedTime"), now)
    };
    let count = [integer(object, "/series/count"), integer(object, "/count"), integer(object, "/deprecatedCount")];
    let count = count.into_iter().find(|count| *count > 0).unwrap_or(1);
    let about = object.get("involvedObject").or_else(|| object.get("regarding")).unwrap_or(&Value::Null);
    let (kind, name) = (text(about, "/kind").to_lowercase(), text(about, "/name"));
    let source = object.get("source").or_else(|| object.get("deprecatedSource")).unwrap_or(&Value::Null);
    let component = match text(source, "/component") {
        "" => text(object, "/reportingComponent"),
        component => component,
    };
    let host = match text(source, "/host") {
        "" => text(object, "/reportingInstance"),
        host => host,
    };
    let message = match text(object, "/message") {
        "" => text(object, "/note"),
        message => message,
    };
    vec![
        last.into(),
        text(object, "/type").into(),
        text(object, "/reason").into(),
        if name.is_empty() { kind } else { format!("{kind}/{name}") }.into(),
        text(about, "/fieldPath").into(),
        if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") }.into(),
        message.trim().into(),
        first.into(),
        count.into(),
        text(object, "/metadata/name").into(),
    ]
}

fn ingress(object: &Value, now: Timestamp) -> Vec<Value> {
    let hosts: Vec<String> = list(object, "/spec/rules")
        .iter()
        .map(|rule| text(rule, "/host"))
        .filter(|host| !host.is_empty())
        .map(Into::into)
        .collect();
    let addresses: Vec<&str> = list(object, "/status/loadBalancer/ingress")
        .iter()
        .map(|ingress| if text(ingress, "/ip").is_empty() { text(ingress, "/hostname") } else { text(ingress, "/ip") })
        .collect();
    let ports = if list(object, "/spec/tls").is_empty() { "80" } else { "80, 443" };
    named(
        object,
        vec![
            none_if_empty(text(object, "/spec/ingressClassName")).into(),
            shortened(&hosts, "*").into(),
            addresses.join(",").into(),
            ports.into(),
            age(object, now).into(),
        ],
    )
}

fn claim(object: &Value, now: Timestamp) -> Vec<Value> {
    let modes: Vec<&str> = list(object, "/status/accessModes")
        .iter()
        .filter_map(Value::as_str)
        .map(|mode| match mode {
            "ReadWriteOnce" => "RWO",
            "ReadOnlyMany" => "ROX",
            "ReadWriteMany" => "RWX",
            "ReadWriteOncePod" => "RWOP",
            other => other,
        })
        .collect();
    let phase = if text(object, "/metadata/deletionTimestamp").is_empty() {
        text(object, "/status/phase")
    } else {
        "Terminating"
    };
    named(
        object,
        vec![
            phase.into(),
            text(object, "/spec/volumeName").into(),
            text(object, "/status/capacity/storage").into(),
            modes.join(",").into(),
            text(object, "/spec/storageClassName").into(),
            match text(object, "/spec/volumeAttributesClassName") {
                "" => "<unset>",
                class => class,
            }
            .into(),
            age(object, now).into(),
            match text(object, "/spec/volumeMode") {
                "" => "<unset>",
                mode => mode,
            }
            .into(),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn durations_are_shortened_as_kubectl_does() {
        let check = |seconds: i64, expected: &str| assert_eq!(human(seconds), expected, "{seconds}");
        check(-5, "<invalid>");
        check(-1, "0s");
        check(0, "0s");
        check(119, "119s");
        check(120, "2m");
        check(347, "5m47s");
        check(600, "10m");
        check(10_799, "179m");
        check(10_860, "3h1m");
        check(28_800, "8h");
        check(172_800, "2d");
        check(176_400, "2d1h");
        check(691_200, "8d");
        check(63_072_000 + 86_400, "2y1d");
        check(252_288_000, "8y");
    }
}
