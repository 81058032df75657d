//! What the API asks of the node about a running pod: its logs, a command in it, a connection to it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::super::registry::Entry;
use super::super::status::Status;

/// The query of `/log`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// The container's name; the API has chosen the only one where the client named none.
    pub container: String,
    pub follow: bool,
    pub previous: bool,
    pub timestamps: bool,
    pub tail_lines: Option<u64>,
    pub limit_bytes: Option<u64>,
    /// Lines written at this time (seconds since 1970) or later.
    pub since_seconds_1970: Option<i64>,
}

/// The query of `/exec` and `/attach`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecRequest {
    pub container: String,
    /// Empty for `/attach`.
    pub command: Vec<String>,
    pub stdin: bool,
    pub tty: bool,
}

/// The three streams of a command. A receiver that is gone means that the client went away.
#[derive(Debug)]
pub struct ExecStreams {
    /// Ends where the client closed its end, or at once where it sends none.
    pub stdin: mpsc::Receiver<Bytes>,
    pub stdout: mpsc::Sender<Bytes>,
    pub stderr: mpsc::Sender<Bytes>,
}

/// A connection to a port of a pod.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Implemented by the node.
pub trait PodAccess: Send + Sync + 'static {
    /// The container's log: what there is, and with `follow` what comes, until the container ends.
    fn logs(&self, pod: Arc<Entry>, options: LogOptions) -> BoxFuture<'_, Result<BoxStream<'static, Bytes>, Status>>;

    /// Runs a command in a container and returns its exit code. An error is told as the kubelet's failure to start it.
    fn exec(&self, pod: Arc<Entry>, request: ExecRequest, streams: ExecStreams) -> BoxFuture<'_, Result<i32, Status>>;

    /// Joins the container's own streams until it ends or the client goes.
    fn attach(&self, pod: Arc<Entry>, request: ExecRequest, streams: ExecStreams)
    -> BoxFuture<'_, Result<i32, Status>>;

    /// Connects to a port that the pod listens on.
    fn connect(&self, pod: Arc<Entry>, port: u16) -> BoxFuture<'_, Result<Box<dyn Duplex>, Status>>;
}

/// A cluster without a node, for tests of the API alone: every answer is a refusal.
#[derive(Debug, Clone, Copy)]
pub struct NoPods;

fn refused() -> Status {
    Status::new(503, "ServiceUnavailable", "no node runs in this cluster")
}

impl PodAccess for NoPods {
    fn logs(&self, _pod: Arc<Entry>, _options: LogOptions) -> BoxFuture<'_, Result<BoxStream<'static, Bytes>, Status>> {
        Box::pin(async { Err(refused()) })
    }

    fn exec(
        &self,
        _pod: Arc<Entry>,
        _request: ExecRequest,
        _streams: ExecStreams,
    ) -> BoxFuture<'_, Result<i32, Status>> {
        Box::pin(async { Err(refused()) })
    }

    fn attach(
        &self,
        _pod: Arc<Entry>,
        _request: ExecRequest,
        _streams: ExecStreams,
    ) -> BoxFuture<'_, Result<i32, Status>> {
        Box::pin(async { Err(refused()) })
    }

    fn connect(&self, _pod: Arc<Entry>, _port: u16) -> BoxFuture<'_, Result<Box<dyn Duplex>, Status>> {
        Box::pin(async { Err(refused()) })
    }
}
