//! An engine that fails when it is told to: a socket before the real one's, which passes on all that is said, in both
//! directions, until a request comes that it has been told to answer otherwise.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

const ENGINE: &str = "/var/run/docker.sock";
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The engine ends: every connection is cut, and nobody listens any more.
    Stop,
    /// It is answered so, this many times.
    Answer { status: u16, message: &'static str, times: usize },
}

/// The first request whose method is this and whose path contains all of these.
#[derive(Debug, Clone)]
struct Rule {
    method: &'static str,
    path: Vec<String>,
    fault: Fault,
}

pub struct Proxy {
    shared: Arc<Shared>,
    _directory: tempfile::TempDir,
}

struct Shared {
    socket: std::path::PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    /// Both ends of every connection.
    streams: Vec<UnixStream>,
    met: usize,
    is_stopped: bool,
}

impl Proxy {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let shared = Arc::new(Shared { socket, state: Mutex::default() });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if own.state.lock().expect("no panic").is_stopped {
                    break;
                }
                let own = Arc::clone(&own);
                std::thread::spawn(move || own.serve(stream));
            }
        });
        Self { shared, _directory: directory }
    }

    /// One that fails at the first request of this method whose path contains these.
    pub fn that_fails(method: &'static str, path: &[&str], fault: Fault) -> Self {
        let proxy = Self::new();
        proxy.fail(method, path, fault);
        proxy
    }

    pub fn fail(&self, method: &'static str, path: &[&str], fault: Fault) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.shared.state.lock().expect("no panic").rules.push(Rule { method, path, fault });
    }

    /// For `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.shared.socket.display())
    }

    pub fn stop(&self) {
        self.shared.stop();
    }

    /// How many requests were answered otherwise than the engine would have.
    pub fn met(&self) -> usize {
        self.shared.state.lock().expect("no panic").met
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn serve(&self, mut client: UnixStream) {
        let Some(head) = read_head(&mut client) else { return };
        match self.fault_for(&head) {
            Some(Fault::Stop) => return self.stop(),
            Some(Fault::Answer { status, message, .. }) => return answer(client, status, message),
            None => {}
        }
        let Ok(mut engine) = UnixStream::connect(ENGINE) else { return };
        let ends = (client.try_clone(), engine.try_clone(), client.try_clone(), engine.try_clone());
        let (Ok(mut from_client), Ok(mut to_engine), Ok(kept_client), Ok(kept_engine)) = ends else { return };
        {
            let mut state = self.state.lock().expect("no panic");
            if state.is_stopped {
                return;
            }
            state.streams.extend([kept_client, kept_engine]);
        }
        if to_engine.write_all(&head).is_err() {
            return;
        }
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from_client, &mut to_engine);
            let _ = to_engine.shutdown(Shutdown::Write);
        });
        let _ = std::io::copy(&mut engine, &mut client);
        let _ = client.shutdown(Shutdown::Both);
    }

    fn fault_for(&self, head: &[u8]) -> Option<Fault> {
        let head = String::from_utf8_lossy(head);
        let mut words = head.split_whitespace();
        let (method, path) = (words.next()?, words.next()?);
        let mut state = self.state.lock().expect("no panic");
        let found = state.rules.iter_mut().find(|rule| {
            let has_more = !matches!(rule.fault, Fault::Answer { times: 0, .. });
            has_more && rule.method == method && rule.path.iter().all(|part| path.contains(part.as_str()))
        })?;
        if let Fault::Answer { times, .. } = &mut found.fault {
            *times -= 1;
        }
        let fault = found.fault.clone();
        state.met += 1;
        Some(fault)
    }

    fn stop(&self) {
        let streams = {
            let mut state = self.state.lock().expect("no panic");
            state.is_stopped = true;
            std::mem::take(&mut state.streams)
        };
        for stream in streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // The listener wakes up and goes; its socket stays, as that of an engine that was killed.
        let _ = UnixStream::connect(&self.socket);
    }
}

/// A request up to the empty line, and whatever came with it. bollard makes a connection for each.
fn read_head(client: &mut UnixStream) -> Option<Vec<u8>> {
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let length = client.read(&mut buffer).ok().filter(|length| *length > 0)?;
        head.extend_from_slice(&buffer[..length]);
        if head.len() > HEAD_BYTES_MAX {
            return None;
        }
    }
    Some(head)
}

/// An error as the engine gives it. What else is sent is heard to its end, else the client would learn of a cut.
fn answer(mut client: UnixStream, status: u16, message: &str) {
    let body = serde_json::json!({"message": message}).to_string();
    let text = format!(
        "HTTP/1.1 {status} Error\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = client.write_all(text.as_bytes());
    let _ = client.shutdown(Shutdown::Write);
    let _ = std::io::copy(&mut client, &mut std::io::sink());
}
