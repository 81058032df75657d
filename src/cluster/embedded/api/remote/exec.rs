//! `exec` and `attach`: a command's three streams over WebSocket channels or SPDY streams.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use hyper::Request;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::super::super::registry::{Entry, errors};
use super::super::super::status::Status;
use super::super::access::{ExecRequest, ExecStreams, PodAccess};
use super::super::answer::Answer;
use super::super::body::RequestBody;
use super::super::handle::Context;
use super::super::pods;
use super::super::query::Query;
use super::spdy;
use super::transport::{self, Socket, Upgrade};

const WEB_SOCKET_PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
const SPDY_PROTOCOLS: [&str; 3] = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io"];
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const CLOSE: u8 = 255;
const STREAMS_TIME_MAX: Duration = Duration::from_secs(10);

/// Checks the request, answers with the upgrade, and serves it in a task of its own.
pub(super) fn answer(
    context: &Context,
    mut request: Request<RequestBody>,
    pod: Arc<Entry>,
    attach: bool,
) -> Result<Answer, Status> {
    let wanted = exec_request(&context.query, &pod, attach)?;
    let upgrade = Upgrade::choose(request.headers(), &WEB_SOCKET_PROTOCOLS, &SPDY_PROTOCOLS)?
        .ok_or_else(|| errors::bad_request("Upgrade request required"))?;
    let access = Arc::clone(&context.server.pods);
    let on_upgrade = transport::on_upgrade(&mut request);
    let answered = upgrade.answer();
    let sends =
        Sends { stdin: wanted.stdin, stdout: context.query.flag("stdout"), stderr: context.query.flag("stderr") };
    tokio::spawn(async move {
        let Ok(upgraded) = on_upgrade.await else { return };
        let command = Command::start(access, pod, wanted, attach);
        match upgrade {
            Upgrade::WebSocket { .. } => over_web_socket(transport::web_socket(upgraded).await, command).await,
            Upgrade::Spdy { .. } => over_spdy(transport::plain_pipe(upgraded), command, sends).await,
        }
    });
    Ok(answered)
}

fn exec_request(query: &Query, pod: &Entry, attach: bool) -> Result<ExecRequest, Status> {
    let object = pod.value();
    let container = pods::container(pod, &object, query.get("container"))?;
    let command: Vec<String> = query.all("command").map(Into::into).collect();
    if command.is_empty() && !attach {
        return Err(errors::bad_request("you must specify at least 1 command for the container"));
    }
    let phase = object.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    if !attach && matches!(phase, "Succeeded" | "Failed") {
        let message = format!("cannot exec into a container in a completed pod; current phase is {phase}");
        return Err(errors::bad_request(message));
    }
    Ok(ExecRequest { container, command, stdin: query.flag("stdin"), tty: query.flag("tty") })
}

/// Which streams the client opens.
#[derive(Debug, Clone, Copy)]
struct Sends {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

/// A command that runs, with this side's ends of its streams. Dropped, it is ended.
struct Command {
    stdin: Option<mpsc::Sender<Bytes>>,
    stdout: mpsc::Receiver<Bytes>,
    stderr: mpsc::Receiver<Bytes>,
    task: JoinHandle<Value>,
}

impl Drop for Command {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Command {
    fn start(access: Arc<dyn PodAccess>, pod: Arc<Entry>, request: ExecRequest, attach: bool) -> Self {
        let (stdin, stdin_of_command) = mpsc::channel(16);
        let (stdout_of_command, stdout) = mpsc::channel(16);
        let (stderr_of_command, stderr) = mpsc::channel(16);
        let streams = ExecStreams { stdin: stdin_of_command, stdout: stdout_of_command, stderr: stderr_of_command };
        let stdin = request.stdin.then_some(stdin);
        let task = tokio::spawn(async move {
            let command = request.command.clone();
            let ended = if attach {
                access.attach(pod, request, streams).await
            } else {
                access.exec(pod, request, streams).await
            };
            outcome(ended, &command)
        });
        Self { stdin, stdout, stderr, task }
    }

    /// The next thing that the command says; `None` once it has ended and all is said.
    async fn next(&mut self) -> Option<(u8, Bytes)> {
        tokio::select! {
            Some(bytes) = self.stdout.recv() => Some((STDOUT, bytes)),
            Some(bytes) = self.stderr.recv() => Some((STDERR, bytes)),
            else => None,
        }
    }

    async fn outcome(&mut self) -> Value {
        (&mut self.task).await.unwrap_or_else(|_| {
            Status::new(500, "InternalError", "Internal error occurred: the command was interrupted").to_value()
        })
    }
}

/// What the error channel says at the end.
fn outcome(ended: Result<i32, Status>, command: &[String]) -> Value {
    match ended {
        Ok(0) => json!({"metadata": {}, "status": "Success"}),
        Ok(code) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!(
                "command terminated with non-zero exit code: error executing command [{}], exit code {code}",
                command.join(" ")
            ),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Err(status) => status.to_value(),
    }
}

async fn over_web_socket(socket: Socket, mut command: Command) {
    let (mut sink, source) = socket.split();
    // Apart from the output, so that a command that waits for one can always do the other.
    let mut input = tokio::spawn(listen(source, command.stdin.take()));
    loop {
        tokio::select! {
            said = command.next() => {
                let Some((channel, bytes)) = said else { break };
                if sink.send(Message::Binary(on_channel(channel, &bytes))).await.is_err() {
                    return;
                }
            }
            _ = &mut input => return,
        }
    }
    let outcome = command.outcome().await.to_string();
    let _ = sink.send(Message::Binary(on_channel(ERROR, outcome.as_bytes()))).await;
    let _ = sink.send(transport::farewell()).await;
    // The client answers the close; without waiting for that, its last bytes could be lost with the connection.
    let _ = timeout(Duration::from_secs(2), input).await;
}

/// Hands on what the client sends, until it goes.
async fn listen(mut source: SplitStream<Socket>, mut stdin: Option<mpsc::Sender<Bytes>>) {
    while let Some(Ok(message)) = source.next().await {
        match message {
            Message::Binary(message) => match message.first() {
                Some(&STDIN) if message.len() > 1 => {
                    if let Some(sender) = &stdin
                        && sender.send(message.slice(1..)).await.is_err()
                    {
                        stdin = None;
                    }
                }
                Some(&CLOSE) if message.get(1) == Some(&STDIN) => stdin = None,
                _ => {}
            },
            Message::Close(_) => return,
            _ => {}
        }
    }
}

fn on_channel(channel: u8, bytes: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(bytes.len() + 1);
    message.put_u8(channel);
    message.put_slice(bytes);
    message.freeze()
}

async fn over_spdy(pipe: transport::Pipe, mut command: Command, sends: Sends) {
    let mut opened = spdy::start(pipe.chunks, pipe.frames);
    let mut wanted = vec!["error"];
    wanted.extend(sends.stdin.then_some("stdin"));
    wanted.extend(sends.stdout.then_some("stdout"));
    wanted.extend(sends.stderr.then_some("stderr"));
    let mut streams: HashMap<String, spdy::Stream> = HashMap::new();
    while !wanted.iter().all(|name| streams.contains_key(*name)) {
        let Ok(Some(stream)) = timeout(STREAMS_TIME_MAX, opened.recv()).await else { return };
        streams.insert(stream.header("streamtype").to_owned(), stream);
    }
    if let (Some(mut stdin), Some(sender)) = (streams.remove("stdin"), command.stdin.take()) {
        tokio::spawn(async move {
            while let Some(bytes) = stdin.input.recv().await {
                if sender.send(bytes).await.is_err() {
                    return;
                }
            }
        });
    }
    loop {
        tokio::select! {
            said = command.next() => {
                let Some((channel, bytes)) = said else { break };
                let stream = streams.get(if channel == STDOUT { "stdout" } else { "stderr" });
                if let Some(stream) = stream
                    && !stream.output.write(&bytes).await
                {
                    return;
                }
            }
            more = opened.recv() => if more.is_none() { return },
        }
    }
    for name in ["stdout", "stderr"] {
        if let Some(stream) = streams.get(name) {
            stream.output.close().await;
        }
    }
    if let Some(stream) = streams.get("error") {
        stream.output.write(command.outcome().await.to_string().as_bytes()).await;
        stream.output.close().await;
    }
    // The client closes the connection once it has read all.
    let _ = timeout(Duration::from_secs(2), async { while opened.recv().await.is_some() {} }).await;
}
