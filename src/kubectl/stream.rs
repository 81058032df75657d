//! `kubectl exec` and `port-forward`, over WebSocket channels.

use std::io::{Read, Write};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::connection::Connection;
use super::error::KubectlError;
use super::flags::{Arguments, Flag, switch, value};
use super::logs::pods_of;
use super::{Outcome, output, positionals};

pub const FORWARD_FLAGS: &[Flag] = &[value("address", None), value("pod-running-timeout", None)];
pub const EXEC_FLAGS: &[Flag] = &[
    value("container", Some('c')),
    value("pod-running-timeout", None),
    switch("stdin", Some('i')),
    switch("tty", Some('t')),
    switch("quiet", Some('q')),
];

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;
type Sender = SplitSink<Socket, Message>;
type Receiver = SplitStream<Socket>;

/// The channels of a command, and of a forwarded port.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
/// Says that a channel has ended.
const CLOSE: u8 = 255;

/// Opens a WebSocket with one of Kubernetes' protocols.
async fn open(connection: &Connection, path: &str, protocol: &'static str) -> Result<Socket, KubectlError> {
    let request = http::Request::get(path)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", tokio_tungstenite::tungstenite::handshake::client::generate_key())
        .header("sec-websocket-protocol", protocol)
        .body(kube::client::Body::empty())
        .map_err(|error| KubectlError::other(error.to_string()))?;
    let response = connection.exchange(request).await?;
    if response.status().as_u16() != 101 {
        return Err(KubectlError::other("unable to upgrade connection: the server does not speak WebSocket here"));
    }
    let upgraded = hyper::upgrade::on(response)
        .await
        .map_err(|error| KubectlError::other(format!("unable to upgrade connection: {error}")))?;
    Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
}

pub async fn exec(arguments: &Arguments) -> Outcome {
    let words = positionals(arguments);
    let Some(target) = words.first() else {
        return Err(KubectlError::other("pod, type/name or --filename must be specified"));
    };
    let command: Vec<&str> = if arguments.rest.is_empty() {
        words[1..].to_vec()
    } else {
        arguments.rest.iter().map(String::as_str).collect()
    };
    if command.is_empty() {
        return Err(KubectlError::other("you must specify at least one command for the container"));
    }
    if arguments.is_set("tty") {
        return Err(KubectlError::Absent { what: "`kubectl exec -t`".into() });
    }
    let connection = Connection::open(arguments).await?;
    let pods = pods_of(&connection, target).await?;
    let pod = pods.first().ok_or_else(|| KubectlError::other("no pod"))?;
    let containers: Vec<&str> =
        pod["spec"]["containers"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
    let container = arguments.value("container").or(containers.first().copied()).unwrap_or_default();
    if arguments.value("container").is_none() && containers.len() > 1 {
        output::complain(&format!("Defaulted container \"{container}\" out of: {}", containers.join(", ")));
    }
    let stdin = arguments.is_set("stdin");
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let words: Vec<String> = command.iter().map(|word| format!("command={}", encode(word))).collect();
    let path = format!(
        "{}/exec?container={}&stdin={stdin}&stdout=true&stderr=true&{}",
        pod_path(pod),
        encode(container),
        words.join("&")
    );
    let socket = open(&connection, &path, "v5.channel.k8s.io").await?;
    let (sender, receiver) = socket.split();
    let sending = if stdin { Some(tokio::spawn(send_stdin(sender))) } else { None };
    let outcome = receive(receiver).await;
    if let Some(sending) = sending {
        sending.abort();
    }
    outcome
}

fn pod_path(pod: &Value) -> String {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    format!("/api/v1/namespaces/{}/pods/{}", text("namespace"), text("name"))
}

async fn send_stdin(mut sender: Sender) {
    let (chunks, mut queue) = tokio::sync::mpsc::channel::<Vec<u8>>(4);
    // A thread of its own: reading cannot be interrupted, and ends with the process.
    std::thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = std::io::stdin().read(&mut buffer) {
            if chunks.blocking_send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    while let Some(chunk) = queue.recv().await {
        if sender.send(Message::Binary([&[STDIN], chunk.as_slice()].concat().into())).await.is_err() {
            break;
        }
    }
    let _ = sender.send(Message::Binary(vec![CLOSE, STDIN].into())).await;
    // The connection stays open for what the command still prints.
    std::future::pending::<()>().await;
}

/// Prints what comes until the command has ended.
async fn receive(mut receiver: Receiver) -> Outcome {
    while let Some(Ok(message)) = receiver.next().await {
        let Message::Binary(data) = message else { continue };
        match data.split_first() {
            Some((&STDOUT, text)) => {
                let mut stdout = std::io::stdout().lock();
                let _ = stdout.write_all(text).and_then(|()| stdout.flush());
            }
            Some((&STDERR, text)) => {
                let _ = std::io::stderr().lock().write_all(text);
            }
            Some((&ERROR, text)) => return ended(&serde_json::from_slice(text).unwrap_or_default()),
            _ => {}
        }
    }
    Ok(0)
}

/// The status that ends a command.
fn ended(status: &Value) -> Outcome {
    if status["status"] == "Success" {
        return Ok(0);
    }
    let causes = status["details"]["causes"].as_array();
    let code = causes.into_iter().flatten().find(|cause| cause["reason"] == "ExitCode");
    match code.and_then(|cause| cause["message"].as_str()?.parse().ok()) {
        Some(code) => Err(KubectlError::Exit(code)),
        None => Err(KubectlError::other(format!(
            "Internal error occurred: {}",
            status["message"].as_str().unwrap_or_default()
        ))),
    }
}

/// A local port and the port behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ports {
    local: u16,
    remote: u16,
}

pub async fn forward(arguments: &Arguments) -> Outcome {
    let words = positionals(arguments);
    let [target, ports @ ..] = words.as_slice() else {
        return Err(KubectlError::other(
            "TYPE/NAME and list of ports are required for port-forward\nSee 'kubectl port-forward -h' for help and examples",
        ));
    };
    if ports.is_empty() {
        return Err(KubectlError::other(
            "TYPE/NAME and list of ports are required for port-forward\nSee 'kubectl port-forward -h' for help and examples",
        ));
    }
    let connection = std::rc::Rc::new(Connection::open(arguments).await?);
    let pods = pods_of(&connection, target).await?;
    let pod = pods.into_iter().find(|pod| pod["status"]["phase"] == "Running").ok_or_else(|| {
        KubectlError::other("unable to forward port because pod is not running. Current status=Pending")
    })?;
    let mut listeners = Vec::new();
    for text in ports {
        let mut wanted = parse_ports(text)?;
        if let Some(name) = target.strip_prefix("svc/").or_else(|| target.strip_prefix("service/")) {
            wanted.remote = behind_service(&connection, name, wanted.remote).await?;
        }
        listeners.extend(listen(wanted).await?);
    }
    let path = pod_path(&pod);
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let accepting = listeners
                .into_iter()
                .map(|(listener, ports)| accept(connection.clone(), path.clone(), listener, ports));
            futures_util::future::join_all(accepting).await;
        })
        .await;
    Ok(0)
}

fn parse_ports(text: &str) -> Result<Ports, KubectlError> {
    let wrong = || KubectlError::other(format!("error parsing ports: invalid port specification \"{text}\""));
    let (local, remote) = text.split_once(':').unwrap_or((text, text));
    let remote: u16 = remote.parse().map_err(|_| wrong())?;
    let local: u16 = if local.is_empty() { 0 } else { local.parse().map_err(|_| wrong())? };
    if remote == 0 {
        return Err(KubectlError::other("error parsing ports: remote port must be > 0"));
    }
    Ok(Ports { local, remote })
}

/// The port of the pods that a Service's port leads to.
async fn behind_service(connection: &Connection, name: &str, port: u16) -> Result<u16, KubectlError> {
    let path = format!("/api/v1/namespaces/{}/services/{name}", connection.namespace);
    let service = connection.get(&path).await?;
    let ports = service["spec"]["ports"].as_array();
    let found = ports.into_iter().flatten().find(|candidate| candidate["port"] == port);
    let found =
        found.ok_or_else(|| KubectlError::other(format!("Service {name} does not have a service port {port}")))?;
    Ok(found["targetPort"].as_u64().and_then(|target| u16::try_from(target).ok()).unwrap_or(port))
}

async fn listen(wanted: Ports) -> Result<Vec<(TcpListener, Ports)>, KubectlError> {
    let first = TcpListener::bind(("127.0.0.1", wanted.local)).await.map_err(|error| {
        output::complain(&format!("Unable to listen on port {}: {error}", wanted.local));
        KubectlError::other(format!(
            "unable to listen on any of the requested ports: [{{{} {}}}]",
            wanted.local, wanted.remote
        ))
    })?;
    let local = first.local_addr().map_or(wanted.local, |address| address.port());
    let ports = Ports { local, ..wanted };
    output::line(&format!("Forwarding from 127.0.0.1:{local} -> {}", wanted.remote));
    let mut listeners = vec![(first, ports)];
    // Where there is no IPv6, the other is enough.
    if let Ok(second) = TcpListener::bind(("::1", local)).await {
        output::line(&format!("Forwarding from [::1]:{local} -> {}", wanted.remote));
        listeners.push((second, ports));
    }
    Ok(listeners)
}

async fn accept(connection: std::rc::Rc<Connection>, path: String, listener: TcpListener, ports: Ports) {
    while let Ok((stream, _)) = listener.accept().await {
        output::line(&format!("Handling connection for {}", ports.local));
        let (connection, path) = (connection.clone(), path.clone());
        tokio::task::spawn_local(async move {
            if let Err(error) = carry(&connection, &path, stream, ports.remote).await {
                output::complain(&error.told());
            }
        });
    }
}

/// Carries one connection over a WebSocket of its own.
async fn carry(connection: &Connection, path: &str, stream: TcpStream, port: u16) -> Result<(), KubectlError> {
    let socket = open(connection, &format!("{path}/portforward?ports={port}"), "v4.channel.k8s.io").await?;
    let (mut sender, mut receiver) = socket.split();
    let (mut reader, mut writer) = stream.into_split();
    let upwards = async {
        let mut buffer = vec![0; 32 * 1024];
        loop {
            let count = reader.read(&mut buffer).await.unwrap_or(0);
            if count == 0 {
                break;
            }
            let frame = [&[0], &buffer[..count]].concat();
            if sender.send(Message::Binary(frame.into())).await.is_err() {
                break;
            }
        }
        // The answer may still be under way.
        std::future::pending::<()>().await;
    };
    let downwards = async {
        // The first message of each channel says the port.
        let mut greeted = [false; 2];
        while let Some(Ok(message)) = receiver.next().await {
            let Message::Binary(data) = message else { continue };
            let Some((channel, data)) = data.split_first() else { continue };
            let Some(greeted) = greeted.get_mut(usize::from(*channel)) else { continue };
            if !std::mem::replace(greeted, true) {
                continue;
            }
            if *channel == 1 {
                return Err(KubectlError::other(format!(
                    "an error occurred forwarding: {}",
                    String::from_utf8_lossy(data)
                )));
            }
            if writer.write_all(data).await.is_err() {
                break;
            }
        }
        let _ = writer.shutdown().await;
        Ok(())
    };
    tokio::select! {
        () = upwards => Ok(()),
        outcome = downwards => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        fn check(text: &str, expected: Option<(u16, u16)>) {
            assert_eq!(parse_ports(text).ok().map(|ports| (ports.local, ports.remote)), expected, "{text}");
        }
        check("8080:80", Some((8080, 80)));
        check("80", Some((80, 80)));
        check(":80", Some((0, 80)));
        check("8080:0", None);
        check("x", None);
    }
}
