//! For tests: an engine that is played on a socket of its own, as far as a scene needs it.
#![allow(clippy::missing_panics_doc, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use super::Engine;

/// Answers a request, `POST /containers/x/start`, by a status and a body of JSON.
type Play = dyn Fn(&str) -> (u16, String) + Send + Sync;

/// An engine of API 1.44, and what it was asked.
pub struct Played {
    directory: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Played {
    pub fn start(play: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("docker.sock")).expect("a socket");
        let (asked, play): (Arc<Mutex<Vec<String>>>, Arc<Play>) = (Arc::default(), Arc::new(play));
        let all = Arc::clone(&asked);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (all, play) = (Arc::clone(&all), Arc::clone(&play));
                std::thread::spawn(move || serve(stream, &all, play.as_ref()));
            }
        });
        Self { directory, asked }
    }

    pub async fn engine(&self) -> Engine {
        let address = format!("unix://{}", self.directory.path().join("docker.sock").display());
        super::connect(&BTreeMap::from([("DOCKER_HOST".to_owned(), address)])).await.expect("it answers")
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

fn serve(mut stream: UnixStream, asked: &Mutex<Vec<String>>, play: &Play) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a header");
            let Some((name, value)) = line.trim().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        reader.read_exact(&mut vec![0; length]).expect("a body");
        let request = first.replace("/v1.44/", "/");
        let request = request.split(['?', '\r']).next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
        let (status, body) = if request == "GET /version" {
            (200, r#"{"Version":"25.0.0","ApiVersion":"1.44","Os":"linux"}"#.to_owned())
        } else {
            asked.lock().expect("not poisoned").push(request.clone());
            play(&request)
        };
        let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        if write!(stream, "{head}\r\n\r\n{body}").is_err() {
            return;
        }
    }
}
