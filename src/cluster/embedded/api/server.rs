//! Accepting connections: TLS, HTTP/1.1 and HTTP/2, bounded in number and time.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::super::registry::Registry;
use super::super::status::Status;
use super::body::RequestBody;
use super::{PodAccess, answer, handle};

/// What the API is told by the process that serves it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// May do everything.
    pub admin_token: String,
    /// May only read, Secrets among it.
    pub read_only_token: String,
    /// The certificate authority in PEM.
    pub certificate_authority_pem: String,
    /// Where snapshots are kept.
    pub snapshots: PathBuf,
}

/// More connections than any learner's tools open; each costs TLS buffers.
const CONNECTIONS_MAX: usize = 1024;
/// Watches over all connections; each costs a stream.
const WATCHES_MAX: usize = 4096;
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
const HEADER_TIME_MAX: Duration = Duration::from_secs(30);
const STREAMS_MAX: u32 = 250;

/// The API server: shared by all its connections.
pub struct Server {
    pub(super) registry: Arc<Registry>,
    pub(super) pods: Arc<dyn PodAccess>,
    pub(super) settings: Settings,
    pub(super) watches: Arc<Semaphore>,
    pub(super) started: Instant,
}

impl Server {
    pub fn new(registry: Arc<Registry>, pods: Arc<dyn PodAccess>, settings: Settings) -> Arc<Self> {
        let watches = Arc::new(Semaphore::new(WATCHES_MAX));
        Arc::new(Self { registry, pods, settings, watches, started: Instant::now() })
    }
}

/// Serves until the future is dropped; connections that are open then go on until their clients leave.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    registry: Arc<Registry>,
    pods: Arc<dyn PodAccess>,
    settings: Settings,
) -> std::io::Result<()> {
    let server = Server::new(registry, pods, settings);
    let acceptor = TlsAcceptor::from(tls);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) if is_passing(&error) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        // One too many is closed at once: an answer would cost what the bound is to save.
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else { continue };
        let (server, acceptor) = (Arc::clone(&server), acceptor.clone());
        tokio::spawn(async move {
            serve_connection(connection, &acceptor, server).await;
            drop(permit);
        });
    }
}

/// Errors of one connection, or of a moment without free descriptors.
fn is_passing(error: &std::io::Error) -> bool {
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    matches!(error.kind(), std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::ConnectionReset)
        || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}

async fn serve_connection(connection: TcpStream, acceptor: &TlsAcceptor, server: Arc<Server>) {
    let _ = connection.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIME_MAX, acceptor.accept(connection)).await else { return };
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let server = Arc::clone(&server);
        async move {
            let answered = AssertUnwindSafe(handle::handle(server, RequestBody::of(request))).catch_unwind().await;
            Ok::<_, Infallible>(answered.unwrap_or_else(|_| answer::status(&panicked())))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIME_MAX).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(64 << 10)
        .keep_alive_interval(Duration::from_secs(60));
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

fn panicked() -> Status {
    Status::new(500, "InternalError", "Internal error occurred: this request met a mistake of the embedded cluster")
}
