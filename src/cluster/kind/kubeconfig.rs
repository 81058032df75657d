//! The administrator's kubeconfig, and clients made of it.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::error::KindError;

/// One request's limit. The API server of a machine that is out of breath takes its time.
const TIME_MAX: Duration = Duration::from_secs(30);

const UNREADABLE: KindError = KindError::NodeImage { what: "kubeconfig" };

/// kubeadm's kubeconfig as kind gives it out: the cluster, the user and the context are called `kind-NAME`, the
/// server is where the node's port is published.
pub fn rewrite(administrator: &str, name: &str, address: &str) -> Result<String, KindError> {
    let config: Value = serde_yaml::from_str(administrator).map_err(|_| UNREADABLE)?;
    let name = format!("kind-{name}");
    let mut cluster = config["clusters"][0]["cluster"].clone();
    let user = config["users"][0]["user"].clone();
    if !cluster.is_object() || !user.is_object() {
        return Err(UNREADABLE);
    }
    cluster["server"] = json!(format!("https://{address}"));
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    });
    Ok(serde_yaml::to_string(&config).expect("plain data with string keys"))
}

/// A client by a kubeconfig's text.
pub async fn client(text: &str, time_max: Option<Duration>) -> Result<kube::Client, KindError> {
    let kubeconfig = Kubeconfig::from_yaml(text).map_err(|_| UNREADABLE)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|_| UNREADABLE)?;
    // The loader takes HTTPS_PROXY even for the loopback.
    config.proxy_url = None;
    config.connect_timeout = Some(time_max.unwrap_or(TIME_MAX));
    config.read_timeout = Some(time_max.unwrap_or(TIME_MAX));
    config.write_timeout = Some(time_max.unwrap_or(TIME_MAX));
    kube::Client::try_from(config).map_err(KindError::api("a new connection"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_address() {
        let admin = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: QQ==\n    server: \
                     https://t-control-plane:6443\n  name: t\ncontexts: []\nusers:\n- name: kubernetes-admin\n  \
                     user:\n    client-certificate-data: QQ==\n";
        let text = rewrite(admin, "t", "127.0.0.1:4242").expect("a kubeconfig");
        let config: Value = serde_yaml::from_str(&text).expect("YAML");
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://127.0.0.1:4242");
        assert_eq!(config["clusters"][0]["cluster"]["certificate-authority-data"], "QQ==");
        assert_eq!(config["current-context"], "kind-t");
        assert_eq!(config["users"][0]["name"], "kind-t");
        assert!(rewrite("no: kubeconfig", "t", "127.0.0.1:4242").is_err());
        assert!(rewrite("{", "t", "127.0.0.1:4242").is_err());
    }
}
