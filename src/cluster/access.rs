//! Clients by a kubeconfig.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};

/// One request's limit.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// A client of the current context.
pub async fn client(kubeconfig: Kubeconfig) -> Result<kube::Client, Box<dyn std::error::Error + Send + Sync>> {
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(Box::new)?;
    // The loader takes HTTPS_PROXY even for the loopback.
    if config.cluster_url.host().is_some_and(|host| matches!(host, "127.0.0.1" | "localhost" | "::1" | "[::1]")) {
        config.proxy_url = None;
    }
    config.connect_timeout = Some(CONNECT_TIME_MAX);
    config.read_timeout = Some(REQUEST_TIME_MAX);
    config.write_timeout = Some(REQUEST_TIME_MAX);
    Ok(kube::Client::try_from(config).map_err(Box::new)?)
}
