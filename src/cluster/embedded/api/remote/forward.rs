//! `portforward`: connections to a pod's ports, as SPDY streams (bare or inside a WebSocket) or WebSocket channels.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use hyper::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::super::super::registry::{Entry, errors};
use super::super::super::status::Status;
use super::super::access::{Duplex, PodAccess};
use super::super::answer::Answer;
use super::super::body::RequestBody;
use super::super::handle::Context;
use super::spdy::{self, Stream};
use super::transport::{self, Socket, Upgrade};

const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const CHANNELS: &str = "v4.channel.k8s.io";
const SPDY_PROTOCOL: &str = "portforward.k8s.io";
/// Streams whose partner has not come yet.
const WAITING_STREAMS_MAX: usize = 64;

pub(super) fn answer(context: &Context, mut request: Request<RequestBody>, pod: Arc<Entry>) -> Result<Answer, Status> {
    let upgrade = Upgrade::choose(request.headers(), &[TUNNEL, CHANNELS], &[SPDY_PROTOCOL])?
        .ok_or_else(|| errors::bad_request("Upgrade request required"))?;
    let ports: Vec<u16> =
        context.query.all("ports").flat_map(|list| list.split(',')).filter_map(|port| port.parse().ok()).collect();
    let channels = matches!(&upgrade, Upgrade::WebSocket { protocol, .. } if protocol == CHANNELS);
    if channels && ports.is_empty() {
        return Err(errors::bad_request("query parameter \"ports\" is required"));
    }
    let access = Arc::clone(&context.server.pods);
    let on_upgrade = transport::on_upgrade(&mut request);
    let answered = upgrade.answer();
    tokio::spawn(async move {
        let Ok(upgraded) = on_upgrade.await else { return };
        match upgrade {
            Upgrade::WebSocket { .. } if channels => {
                over_channels(transport::web_socket(upgraded).await, &access, &pod, &ports).await;
            }
            Upgrade::WebSocket { .. } => {
                over_spdy(transport::tunnel_pipe(transport::web_socket(upgraded).await), &access, &pod).await;
            }
            Upgrade::Spdy { .. } => over_spdy(transport::plain_pipe(upgraded), &access, &pod).await,
        }
    });
    Ok(answered)
}

/// Each connection is a pair of streams of one request id: one for data, one for an error message.
async fn over_spdy(pipe: transport::Pipe, access: &Arc<dyn PodAccess>, pod: &Arc<Entry>) {
    let mut opened = spdy::start(pipe.chunks, pipe.frames);
    let mut waiting: HashMap<String, Stream> = HashMap::new();
    while let Some(stream) = opened.recv().await {
        let request = stream.header("requestid").to_owned();
        let Some(partner) = waiting.remove(&request) else {
            if waiting.len() >= WAITING_STREAMS_MAX {
                return;
            }
            waiting.insert(request, stream);
            continue;
        };
        let (data, error) = if stream.header("streamtype") == "data" { (stream, partner) } else { (partner, stream) };
        let (access, pod) = (Arc::clone(access), Arc::clone(pod));
        tokio::spawn(async move {
            if let Err(message) = forward(data, access, &pod).await {
                error.output.write(message.as_bytes()).await;
            }
            error.output.close().await;
        });
    }
}

async fn forward(mut data: Stream, access: Arc<dyn PodAccess>, pod: &Arc<Entry>) -> Result<(), String> {
    let port = data.header("port").to_owned();
    let connection = match port.parse() {
        Ok(port) => access.connect(Arc::clone(pod), port).await,
        Err(_) => Err(errors::bad_request(format!("unable to parse {port:?} as a port"))),
    };
    let connection = match connection {
        Ok(connection) => connection,
        Err(status) => {
            data.output.close().await;
            return Err(failure(&port, pod, &status));
        }
    };
    let (mut reader, mut writer) = tokio::io::split(connection);
    let output = data.output.clone();
    let down = async move {
        let mut buffer = BytesMut::with_capacity(16 << 10);
        loop {
            buffer.clear();
            match reader.read_buf(&mut buffer).await {
                Ok(length) if length > 0 && output.write(&buffer).await => {}
                _ => break,
            }
        }
        output.close().await;
    };
    let up = async move {
        while let Some(bytes) = data.input.recv().await {
            if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                break;
            }
        }
        let _ = writer.shutdown().await;
    };
    // Once the pod has said all, the client is not waited for: it waits for the error stream's end itself.
    let up = tokio::spawn(up);
    down.await;
    up.abort();
    Ok(())
}

/// As the kubelet words it.
fn failure(port: &str, pod: &Entry, status: &Status) -> String {
    format!("error forwarding port {port} to pod {}, uid : {}", pod.name, status.message)
}

/// Channels `2n` (data) and `2n + 1` (error) for the n-th port; each begins with the port's number.
async fn over_channels(socket: Socket, access: &Arc<dyn PodAccess>, pod: &Arc<Entry>, ports: &[u16]) {
    let (mut sink, source) = socket.split();
    let (outgoing, mut frames) = mpsc::channel::<Bytes>(32);
    let mut writers: HashMap<u8, mpsc::Sender<Bytes>> = HashMap::new();
    for (at, port) in ports.iter().enumerate().take(64) {
        let Ok(channel) = u8::try_from(at * 2) else { break };
        for channel in [channel, channel + 1] {
            if sink.send(Message::Binary(on_channel(channel, &port.to_le_bytes()))).await.is_err() {
                return;
            }
        }
        match access.connect(Arc::clone(pod), *port).await {
            Ok(connection) => {
                writers.insert(channel, pump(connection, channel, outgoing.clone()));
            }
            Err(status) => {
                let message = failure(&port.to_string(), pod, &status);
                let _ = sink.send(Message::Binary(on_channel(channel + 1, message.as_bytes()))).await;
            }
        }
    }
    drop(outgoing);
    let mut input = tokio::spawn(distribute(source, writers));
    loop {
        tokio::select! {
            frame = frames.recv() => {
                let Some(frame) = frame else { break };
                if sink.send(Message::Binary(frame)).await.is_err() {
                    break;
                }
            }
            _ = &mut input => return,
        }
    }
    let _ = sink.send(transport::farewell()).await;
    input.abort();
}

/// Hands on what the client sends on each channel, until it goes.
async fn distribute(mut source: SplitStream<Socket>, mut writers: HashMap<u8, mpsc::Sender<Bytes>>) {
    while let Some(Ok(message)) = source.next().await {
        match message {
            Message::Binary(message) if !message.is_empty() => {
                if let Some(writer) = writers.get(&message[0])
                    && writer.send(message.slice(1..)).await.is_err()
                {
                    writers.remove(&message[0]);
                }
            }
            Message::Close(_) => return,
            _ => {}
        }
    }
}

/// Moves bytes between a connection and a channel in a task of its own.
fn pump(connection: Box<dyn Duplex>, channel: u8, outgoing: mpsc::Sender<Bytes>) -> mpsc::Sender<Bytes> {
    let (sender, mut incoming) = mpsc::channel::<Bytes>(32);
    let (mut reader, mut writer) = tokio::io::split(connection);
    tokio::spawn(async move {
        while let Some(bytes) = incoming.recv().await {
            if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    });
    tokio::spawn(async move {
        let mut buffer = BytesMut::with_capacity(16 << 10);
        loop {
            buffer.clear();
            match reader.read_buf(&mut buffer).await {
                Ok(length) if length > 0 && outgoing.send(on_channel(channel, &buffer)).await.is_ok() => {}
                _ => return,
            }
        }
    });
    sender
}

fn on_channel(channel: u8, bytes: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(bytes.len() + 1);
    message.put_u8(channel);
    message.put_slice(bytes);
    message.freeze()
}
