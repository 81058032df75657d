//! What a container is told of the network: the files of name resolution, and the variables of Services. Pure but for
//! the registry that it reads.

use serde_json::Value;

use super::super::images::FileTree;
use super::super::registry::Registry;
use super::environment::Environment;
use super::kind;

/// The cluster's name server, as a pod's `resolv.conf` names it.
const NAME_SERVER: &str = "10.96.0.10";

/// The image's files with those that the kubelet writes.
pub fn with_files(image: &FileTree, pod: &Value, address: &str) -> FileTree {
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let hostname = hostname(pod);
    let namespace = text("/metadata/namespace");
    let full = match text("/spec/subdomain") {
        "" => hostname.clone(),
        subdomain => format!("{hostname}.{subdomain}.{namespace}.svc.cluster.local\t{hostname}"),
    };
    let mut hosts = format!(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n\
         {address}\t{full}\n"
    );
    let aliases = pod.pointer("/spec/hostAliases").and_then(Value::as_array).cloned().unwrap_or_default();
    if !aliases.is_empty() {
        hosts.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in aliases {
        let names = alias["hostnames"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let names: Vec<&str> = names.collect();
        hosts.push_str(&format!("{}\t{}\n", alias["ip"].as_str().unwrap_or_default(), names.join("\t")));
    }
    let resolution = format!(
        "search {namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver {NAME_SERVER}\noptions ndots:5\n"
    );
    let mut files = image.clone();
    for (path, content) in
        [("/etc/hostname", format!("{hostname}\n")), ("/etc/hosts", hosts), ("/etc/resolv.conf", resolution)]
    {
        files.insert(path.into(), content.into());
    }
    files
}

/// What the pod calls itself.
pub fn hostname(pod: &Value) -> String {
    let own = pod.pointer("/spec/hostname").and_then(Value::as_str).filter(|name| !name.is_empty());
    own.or_else(|| pod.pointer("/metadata/name").and_then(Value::as_str)).unwrap_or_default().into()
}

/// The variables by which a container finds the API and, unless its pod wants no links, its namespace's Services.
pub fn service_variables(registry: &Registry, pod: &Value) -> Environment {
    let mut variables = Environment::new();
    let namespace = pod.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    let links = pod.pointer("/spec/enableServiceLinks") != Some(&Value::Bool(false));
    let own = if links { registry.list(kind("Service"), Some(namespace)) } else { Vec::new() };
    let api = registry.get(kind("Service"), "default", "kubernetes");
    if api.is_none() {
        add(&mut variables, "kubernetes", "10.96.0.1", &[("https".into(), 443, "TCP".into())]);
    }
    for service in api.into_iter().chain(own) {
        let object = service.value();
        let address = object.pointer("/spec/clusterIP").and_then(Value::as_str).unwrap_or_default();
        if address.is_empty() || address == "None" {
            continue;
        }
        let ports: Vec<Port> = object["spec"]["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|port| {
                let text = |key: &str| port[key].as_str().unwrap_or_default().to_owned();
                let protocol = if text("protocol").is_empty() { "TCP".into() } else { text("protocol") };
                Some((text("name"), port["port"].as_u64()?, protocol))
            })
            .collect();
        add(&mut variables, &service.name, address, &ports);
    }
    variables
}

/// Name, number, protocol.
type Port = (String, u64, String);

fn add(variables: &mut Environment, service: &str, address: &str, ports: &[Port]) {
    let upper = |text: &str| text.to_ascii_uppercase().replace('-', "_");
    let name = upper(service);
    let Some((_, first, _)) = ports.first() else { return };
    variables.insert(format!("{name}_SERVICE_HOST"), address.into());
    variables.insert(format!("{name}_SERVICE_PORT"), first.to_string());
    for (index, (port_name, number, protocol)) in ports.iter().enumerate() {
        if !port_name.is_empty() {
            variables.insert(format!("{name}_SERVICE_PORT_{}", upper(port_name)), number.to_string());
        }
        let small = protocol.to_ascii_lowercase();
        let url = format!("{small}://{address}:{number}");
        if index == 0 {
            variables.insert(format!("{name}_PORT"), url.clone());
        }
        let prefix = format!("{name}_PORT_{number}_{}", protocol.to_ascii_uppercase());
        variables.insert(format!("{prefix}_PROTO"), small);
        variables.insert(format!("{prefix}_PORT"), number.to_string());
        variables.insert(format!("{prefix}_ADDR"), address.into());
        variables.insert(prefix, url);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::registry::Writer;
    use super::*;

    #[test]
    fn services_are_told_of_by_variables() {
        let registry = Registry::in_memory();
        let service = json!({"metadata": {"name": "my-web", "namespace": "default"}, "spec": {
            "clusterIP": "10.96.0.7", "ports": [{"name": "http", "port": 80}]}});
        registry.create(kind("Service"), service, &Writer::new("test")).expect("created");
        let variables = service_variables(&registry, &json!({"metadata": {"namespace": "default"}}));
        for (name, value) in [
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
            ("KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"),
            ("MY_WEB_SERVICE_HOST", "10.96.0.7"),
            ("MY_WEB_SERVICE_PORT_HTTP", "80"),
            ("MY_WEB_PORT", "tcp://10.96.0.7:80"),
            ("MY_WEB_PORT_80_TCP_ADDR", "10.96.0.7"),
        ] {
            assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}");
        }
        let pod = json!({"metadata": {"namespace": "default"}, "spec": {"enableServiceLinks": false}});
        let alone = service_variables(&registry, &pod);
        assert!(alone.contains_key("KUBERNETES_PORT") && !alone.contains_key("MY_WEB_PORT"), "{alone:?}");
    }

    #[test]
    fn hosts_has_the_pod_and_its_aliases() {
        let pod = json!({"metadata": {"name": "p", "namespace": "d"},
            "spec": {"hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]}});
        let files = with_files(&FileTree::new(), &pod, "10.244.0.5");
        let text = |path: &str| String::from_utf8_lossy(&files[path]).into_owned();
        assert_eq!(text("/etc/hostname"), "p\n");
        assert!(text("/etc/hosts").contains("10.244.0.5\tp\n"));
        assert!(text("/etc/hosts").ends_with("1.2.3.4\ta\tb\n"));
        assert!(text("/etc/resolv.conf").starts_with("search d.svc.cluster.local "));
    }
}
