//! Accepting connections.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::super::registry::Registry;
use super::PodAccess;

/// What the API is told by the process that serves it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// May do everything.
    pub admin_token: String,
    /// May only read, Secrets among it.
    pub read_only_token: String,
    /// The certificate authority in PEM, for `kube-root-ca.crt` and the like.
    pub certificate_authority_pem: String,
    /// Where snapshots are kept.
    pub snapshots: PathBuf,
}

/// The API server: shared by all its connections.
pub struct Server {
    pub(super) registry: Arc<Registry>,
    pub(super) pods: Arc<dyn PodAccess>,
    pub(super) settings: Settings,
}

/// Serves until the future is dropped.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    registry: Arc<Registry>,
    pods: Arc<dyn PodAccess>,
    settings: Settings,
) -> std::io::Result<()> {
    let _server = Arc::new(Server { registry, pods, settings });
    let _tls = tokio_rustls::TlsAcceptor::from(tls);
    loop {
        let (_connection, _) = listener.accept().await?;
    }
}
