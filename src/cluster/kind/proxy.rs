//! Proxy variables for the nodes: the host's, else those of Docker's own configuration, with what must never go
//! through a proxy added.

use serde_json::Value;

use super::kubeadm::{POD_SUBNET, SERVICE_SUBNET};

const NAMES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/// `NAME=value`, in both cases; nothing where there is no proxy.
pub fn variables(
    variable: &dyn Fn(&str) -> Option<String>,
    docker_config: &Value,
    network_subnets: &[String],
    nodes: &[String],
) -> Vec<String> {
    let configured = |name: &str| {
        let key = match name {
            "HTTP_PROXY" => "httpProxy",
            "HTTPS_PROXY" => "httpsProxy",
            _ => "noProxy",
        };
        docker_config["proxies"]["default"][key].as_str().map(str::to_owned)
    };
    let value = |name: &str| {
        let set = variable(name).or_else(|| variable(&name.to_lowercase())).or_else(|| configured(name));
        set.filter(|value| !value.is_empty())
    };
    if value("HTTP_PROXY").is_none() && value("HTTPS_PROXY").is_none() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for name in NAMES {
        let value = if name == "NO_PROXY" {
            let mut parts: Vec<String> = value(name).into_iter().collect();
            parts.extend([SERVICE_SUBNET.to_owned(), POD_SUBNET.to_owned()]);
            parts.extend_from_slice(network_subnets);
            parts.extend_from_slice(nodes);
            parts.extend([".svc", ".svc.cluster", ".svc.cluster.local"].map(str::to_owned));
            Some(parts.join(","))
        } else {
            value(name)
        };
        if let Some(value) = value {
            found.extend([format!("{name}={value}"), format!("{}={value}", name.to_lowercase())]);
        }
    }
    found
}

/// A proxy that listens on the machine's own loopback, where no node reaches it.
pub fn on_loopback(variables: &[String]) -> Option<&str> {
    let proxies = variables.iter().filter_map(|variable| variable.split_once('='));
    proxies.filter(|(name, _)| !name.eq_ignore_ascii_case("NO_PROXY")).map(|(_, value)| value).find(|value| {
        let host = value.split("://").last().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        ["127.", "localhost", "[::1]"].iter().any(|start| host.starts_with(start))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_nodes_are_told() {
        fn check(variables_set: &[(&str, &str)], config: &Value, expected: &[&str]) {
            let variable =
                |name: &str| variables_set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            let found = variables(&variable, config, &["172.18.0.0/16".to_owned()], &["t-control-plane".to_owned()]);
            assert_eq!(found, expected, "{variables_set:?}");
        }
        check(&[], &json!({}), &[]);
        check(&[("NO_PROXY", "a")], &json!({}), &[]);
        let never = "10.96.0.0/16,10.244.0.0/16,172.18.0.0/16,t-control-plane,.svc,.svc.cluster,.svc.cluster.local";
        let (upper, lower) = (format!("NO_PROXY=a,{never}"), format!("no_proxy=a,{never}"));
        check(
            &[("https_proxy", "http://p:1"), ("NO_PROXY", "a")],
            &json!({}),
            &["HTTPS_PROXY=http://p:1", "https_proxy=http://p:1", &upper, &lower],
        );
        let (upper, lower) = (format!("NO_PROXY={never}"), format!("no_proxy={never}"));
        check(
            &[],
            &json!({"proxies": {"default": {"httpProxy": "http://p:1"}}}),
            &["HTTP_PROXY=http://p:1", "http_proxy=http://p:1", &upper, &lower],
        );
    }

    #[test]
    fn a_proxy_that_no_node_reaches() {
        let on = |value: &str| on_loopback(&[format!("HTTP_PROXY={value}"), "NO_PROXY=127.0.0.1".into()]).is_some();
        assert!(on("http://127.0.0.1:3128"));
        assert!(on("http://me:secret@localhost:3128"));
        assert!(!on("http://proxy.example:3128"));
    }
}
