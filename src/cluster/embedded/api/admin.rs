//! Routes of the program's own, for the administrator's token alone: snapshots and the state of the process.

use http::{Method, Request};
use serde_json::{Value, json};

use super::super::registry::errors;
use super::super::status::Status;
use super::answer::{self, Answer};
use super::body::RequestBody;
use super::handle::Context;
use super::server::Server;

pub(super) async fn answer(context: &Context, request: &Request<RequestBody>, path: &str) -> Result<Answer, Status> {
    let segments: Vec<&str> = path.split('/').collect();
    match (request.method(), &segments[..]) {
        (&Method::GET, ["state"]) => Ok(answer::json(200, &state(&context.server))),
        (&Method::POST, ["snapshots", name]) => snapshot(context, name, false).await,
        (&Method::POST, ["snapshots", name, "restore"]) => snapshot(context, name, true).await,
        _ => Err(answer::unknown_resource()),
    }
}

async fn snapshot(context: &Context, name: &str, restore: bool) -> Result<Answer, Status> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(errors::bad_request(format!(
            "{name:?} is no name for a snapshot: use letters, digits, '-', '_', '.'"
        )));
    }
    let directory = context.server.settings.snapshots.clone();
    let path = directory.join(format!("{name}.snapshot"));
    let registry = std::sync::Arc::clone(&context.server.registry);
    let done = tokio::task::spawn_blocking(move || {
        if restore {
            return registry.restore(&path);
        }
        std::fs::create_dir_all(&directory)
            .map_err(|source| super::super::registry::StoreError::Write { path: directory, source })?;
        registry.snapshot(&path).map(|()| 0)
    });
    match done.await {
        Ok(Ok(changed)) => Ok(answer::json(200, &json!({"name": name, "changed": changed}))),
        Ok(Err(error)) => Err(errors::not_stored(&error)),
        Err(_) => Err(Status::new(500, "InternalError", "the snapshot was interrupted")),
    }
}

fn state(server: &Server) -> Value {
    let notices: Vec<String> = server.registry.notices().iter().map(ToString::to_string).collect();
    json!({
        "store": server.registry.figures(),
        "notices": notices,
        "memoryBytes": resident_bytes(),
        "uptimeSeconds": server.started.elapsed().as_secs(),
        "version": super::health::VERSION,
        "process": std::process::id(),
    })
}

/// Resident memory, where the system tells it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
