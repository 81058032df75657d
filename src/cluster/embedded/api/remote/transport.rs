//! Upgraded connections: plain bytes, or WebSocket messages.

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::BodyExt;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::super::super::registry::errors;
use super::super::super::status::Status;
use super::super::answer::{self, Answer};
use super::super::body::RequestBody;

/// How the client asks to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Upgrade {
    WebSocket { protocol: String, accept: String },
    Spdy { protocol: String },
}

const MESSAGE_BYTES_MAX: usize = 1 << 20;
const WAITING_FRAMES_MAX: usize = 32;

impl Upgrade {
    /// Chooses the first protocol of the client's that is served. `Ok(None)`: the request asks for no upgrade.
    pub fn choose(headers: &HeaderMap, web_socket: &[&str], spdy: &[&str]) -> Result<Option<Self>, Status> {
        let values = |name: &str| -> Vec<String> {
            let all = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            all.flat_map(|value| value.split(',')).map(|value| value.trim().to_owned()).collect()
        };
        let upgrades = values("upgrade");
        let asks = |protocol: &str| upgrades.iter().any(|upgrade| upgrade.eq_ignore_ascii_case(protocol));
        if asks("websocket") {
            let offered = values("sec-websocket-protocol");
            let protocol = offered.iter().find(|offer| web_socket.contains(&offer.as_str())).cloned();
            let protocol = protocol.ok_or_else(|| refused(&offered, web_socket))?;
            let key = values("sec-websocket-key").into_iter().next().unwrap_or_default();
            if key.is_empty() {
                return Err(errors::bad_request("the WebSocket handshake lacks its key"));
            }
            return Ok(Some(Self::WebSocket { protocol, accept: derive_accept_key(key.as_bytes()) }));
        }
        if asks("spdy/3.1") {
            let offered = values("x-stream-protocol-version");
            let protocol = offered.iter().find(|offer| spdy.contains(&offer.as_str())).cloned();
            let protocol = protocol.ok_or_else(|| refused(&offered, spdy))?;
            return Ok(Some(Self::Spdy { protocol }));
        }
        Ok(None)
    }

    /// `101 Switching Protocols`.
    pub fn answer(&self) -> Answer {
        let mut answered = answer::text(101, "");
        let headers = answered.headers_mut();
        headers.clear();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        match self {
            Self::WebSocket { protocol, accept } => {
                set("upgrade", "websocket");
                set("sec-websocket-accept", accept);
                set("sec-websocket-protocol", protocol);
            }
            Self::Spdy { protocol } => {
                set("upgrade", "SPDY/3.1");
                set("x-stream-protocol-version", protocol);
            }
        }
        *answered.body_mut() = http_body_util::Empty::new().boxed_unsync();
        answered
    }
}

fn refused(offered: &[String], served: &[&str]) -> Status {
    let message = format!(
        "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
        offered.join(", "),
        served.join(" ")
    );
    Status::new(403, "Forbidden", message)
}

pub(super) fn on_upgrade(request: &mut Request<RequestBody>) -> OnUpgrade {
    hyper::upgrade::on(request)
}

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(super) async fn web_socket(upgraded: Upgraded) -> Socket {
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(MESSAGE_BYTES_MAX));
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await
}

/// Closes a WebSocket as one whose work is done.
pub(super) fn farewell() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() }))
}

/// A connection as chunks in and frames out.
pub(super) struct Pipe {
    pub chunks: BoxStream<'static, Bytes>,
    pub frames: mpsc::Sender<Bytes>,
}

/// The upgraded connection's own bytes.
pub(super) fn plain_pipe(upgraded: Upgraded) -> Pipe {
    let (reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
    let (frames, mut outgoing) = mpsc::channel::<Bytes>(WAITING_FRAMES_MAX);
    tokio::spawn(async move {
        while let Some(frame) = outgoing.recv().await {
            if writer.write_all(&frame).await.is_err() {
                return;
            }
            if outgoing.is_empty() && writer.flush().await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    });
    let chunks = stream::unfold((reader, BytesMut::new()), |(mut reader, mut buffer)| async move {
        buffer.reserve(16 << 10);
        match reader.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some((buffer.split().freeze(), (reader, buffer))),
        }
    });
    Pipe { chunks: chunks.boxed(), frames }
}

/// Bytes inside binary WebSocket messages.
pub(super) fn tunnel_pipe(socket: Socket) -> Pipe {
    let (mut sink, source) = socket.split();
    let (frames, mut outgoing) = mpsc::channel::<Bytes>(WAITING_FRAMES_MAX);
    tokio::spawn(async move {
        while let Some(frame) = outgoing.recv().await {
            if sink.send(Message::Binary(frame)).await.is_err() {
                return;
            }
        }
        let _ = sink.send(farewell()).await;
    });
    let chunks = source
        .take_while(|message| std::future::ready(matches!(message, Ok(message) if !message.is_close())))
        .filter_map(|message| {
            std::future::ready(match message {
                Ok(Message::Binary(bytes)) => Some(bytes),
                _ => None,
            })
        });
    Pipe { chunks: chunks.boxed(), frames }
}
