//! The Docker engine: found as the docker command finds it, asked whether it answers, spoken to in a version that
//! both know. What is wrong with it is told with what to do.
//!
//! Place: a leaf, for whoever needs containers or images. It starts nothing and changes nothing.

mod discover;

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::SystemVersion;
use bollard::{API_DEFAULT_VERSION, Docker};

pub use discover::Place;

use crate::error::Explain;

/// How long one place may take to answer.
const PING_TIME_MAX: Duration = Duration::from_secs(5);
/// How long one request may take to be answered; starting a container on a machine that is out of breath takes long.
const REQUEST_SECONDS_MAX: u64 = 180;
/// The first API that knows all that a node needs: cgroup namespaces, version 20.10.
const OLDEST_API: (u64, u64) = (1, 41);

/// An engine that answers.
#[derive(Debug, Clone)]
pub struct Engine {
    pub docker: Docker,
    pub place: Place,
    pub version: SystemVersion,
}

impl Engine {
    /// Whether Podman stands behind the socket.
    pub fn is_podman(&self) -> bool {
        let components = self.version.components.iter().flatten();
        components.into_iter().any(|component| component.name.to_lowercase().contains("podman"))
    }

    /// The engine's own version, `28.2.2`.
    pub fn version(&self) -> &str {
        self.version.version.as_deref().unwrap_or("of an unknown version")
    }
}

/// Why no engine can be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing is there: not a single socket.
    #[error("Docker is not installed, or its engine is not running")]
    Absent,
    /// It is there and does not answer.
    #[error("the Docker engine at {address}{why} does not answer")]
    Silent { address: String, why: String, cause: String },
    #[error("you may not use the Docker engine at {address}")]
    Forbidden { address: String },
    #[error("the Docker engine at {address}{why} can only be reached by {scheme}, which is not supported")]
    Unsupported { address: String, why: String, scheme: &'static str },
    #[error("the Docker context `{name}`{why} does not exist")]
    NoContext { name: String, why: String },
    #[error("the Docker engine is {version}, which is too old")]
    TooOld { version: String },
    #[error("the Docker engine runs containers of {system}, not of Linux")]
    NotLinux { system: String },
}

impl Explain for EngineError {
    fn hint(&self) -> Option<String> {
        let embedded = "or use the sandbox that is built in: `--sandbox embedded`";
        Some(match self {
            Self::Absent => format!(
                "start Docker (Docker Desktop, `colima start`, `sudo systemctl start docker`) or get it from \
                 https://docs.docker.com/get-started/get-docker/, {embedded}"
            ),
            Self::Silent { why, .. } if !why.is_empty() => {
                format!("start it, or choose another engine: `unset DOCKER_HOST DOCKER_CONTEXT`, {embedded}")
            }
            Self::Silent { .. } => {
                format!("start Docker (`sudo systemctl start docker`, or Docker Desktop), {embedded}")
            }
            Self::Forbidden { .. } => {
                format!("`sudo usermod -aG docker $USER`, then log in again, {embedded}")
            }
            Self::Unsupported { .. } => {
                format!(
                    "choose a local engine, for example `export DOCKER_HOST=unix:///var/run/docker.sock`, {embedded}"
                )
            }
            Self::NoContext { .. } => format!("`docker context ls` shows those that exist, {embedded}"),
            Self::TooOld { .. } => format!("20.10 is the oldest that works; install the current one, {embedded}"),
            Self::NotLinux { .. } => {
                format!("switch Docker Desktop to Linux containers (in the menu of its icon), {embedded}")
            }
        })
    }
}

/// Finds the engine that answers first, in the order of the docker command, then of the usual other places.
pub async fn connect(environment: &BTreeMap<String, String>) -> Result<Engine, EngineError> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    let places = discover::places(&variable, &|path| std::fs::read_to_string(path).ok())?;
    let mut first_error = None;
    for place in places {
        match try_place(&place).await {
            Ok(engine) => return Ok(engine),
            // A socket that is not there is no reason to speak of it, unless somebody named it.
            Err(EngineError::Absent) => {}
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or(EngineError::Absent))
}

async fn try_place(place: &Place) -> Result<Engine, EngineError> {
    let silent = |cause: String| EngineError::Silent { address: place.address.clone(), why: place.why(), cause };
    let docker = match place.address.split_once("://") {
        Some(("unix", path)) if !std::path::Path::new(path).exists() => {
            return Err(if place.is_named() { silent("the socket is not there".into()) } else { EngineError::Absent });
        }
        Some(("unix", _)) => Docker::connect_with_unix(&place.address, REQUEST_SECONDS_MAX, API_DEFAULT_VERSION),
        Some(("tcp" | "http", _)) if place.is_secured => return Err(unsupported(place, "TLS")),
        Some(("tcp" | "http", _)) => {
            Docker::connect_with_http(&place.address, REQUEST_SECONDS_MAX, API_DEFAULT_VERSION)
        }
        Some(("ssh", _)) => return Err(unsupported(place, "ssh")),
        Some(("https", _)) => return Err(unsupported(place, "TLS")),
        Some(("npipe", _)) => return Err(unsupported(place, "a Windows pipe")),
        _ => return Err(unsupported(place, "an unknown way")),
    };
    let docker = docker.map_err(|error| silent(error.to_string()))?;
    let negotiated = tokio::time::timeout(PING_TIME_MAX, async {
        let docker = docker.negotiate_version().await?;
        let version = docker.version().await?;
        Ok::<_, bollard::errors::Error>((docker, version))
    });
    let (docker, version) = match negotiated.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) if is_forbidden(&error) => {
            return Err(EngineError::Forbidden { address: place.address.clone() });
        }
        Ok(Err(error)) => return Err(silent(innermost(&error))),
        Err(_) => return Err(silent(format!("no answer within {} seconds", PING_TIME_MAX.as_secs()))),
    };
    judge(&version)?;
    Ok(Engine { docker, place: place.clone(), version })
}

fn unsupported(place: &Place, scheme: &'static str) -> EngineError {
    EngineError::Unsupported { address: place.address.clone(), why: place.why(), scheme }
}

/// Whether an engine of this version can carry a node.
fn judge(version: &SystemVersion) -> Result<(), EngineError> {
    if let Some(system) = version.os.as_deref().filter(|system| !system.eq_ignore_ascii_case("linux")) {
        return Err(EngineError::NotLinux { system: system.to_owned() });
    }
    let api = version.api_version.as_deref().and_then(|api| {
        let (major, minor) = api.split_once('.')?;
        Some((major.parse::<u64>().ok()?, minor.parse::<u64>().ok()?))
    });
    match api {
        Some(api) if api < OLDEST_API => {
            Err(EngineError::TooOld { version: version.version.clone().unwrap_or_else(|| "old".into()) })
        }
        _ => Ok(()),
    }
}

/// What lies at the bottom of an error, which is what tells something.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn is_forbidden(error: &bollard::errors::Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied) {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_foreign_engines_are_refused() {
        fn check(api: &str, system: &str, expected: Option<&str>) {
            let version = SystemVersion {
                api_version: Some(api.into()),
                version: Some("19.03.1".into()),
                os: Some(system.into()),
                ..Default::default()
            };
            let found = judge(&version).err().map(|error| error.to_string());
            assert_eq!(found.as_deref(), expected, "{api} {system}");
        }
        check("1.41", "linux", None);
        check("1.53", "linux", None);
        check("1.40", "linux", Some("the Docker engine is 19.03.1, which is too old"));
        check("1.44", "windows", Some("the Docker engine runs containers of windows, not of Linux"));
    }

    #[tokio::test]
    async fn an_engine_that_was_named_and_is_down_is_told() {
        async fn check(variables: &[(&str, &str)], message: &str) {
            let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let error = connect(&environment).await.expect_err("nothing answers there");
            assert_eq!(error.to_string(), message);
            assert!(error.hint().is_some_and(|hint| hint.contains("--sandbox embedded")));
        }
        check(
            &[("DOCKER_HOST", "unix:///nowhere/docker.sock")],
            "the Docker engine at unix:///nowhere/docker.sock (by DOCKER_HOST) does not answer",
        )
        .await;
        check(
            &[("DOCKER_HOST", "ssh://me@far")],
            "the Docker engine at ssh://me@far (by DOCKER_HOST) can only be reached by ssh, which is not supported",
        )
        .await;
        check(
            &[("DOCKER_HOST", "tcp://127.0.0.1:1"), ("DOCKER_TLS_VERIFY", "1")],
            "the Docker engine at tcp://127.0.0.1:1 (by DOCKER_HOST) can only be reached by TLS, which is not supported",
        )
        .await;
        check(
            &[("DOCKER_CONTEXT", "far"), ("HOME", "/nowhere")],
            "the Docker context `far` (by DOCKER_CONTEXT) does not exist",
        )
        .await;
    }

    #[tokio::test]
    async fn a_stale_socket_does_not_answer() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("docker.sock");
        drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
        let environment = BTreeMap::from([("DOCKER_HOST".to_owned(), format!("unix://{}", socket.display()))]);
        let error = connect(&environment).await.expect_err("nobody listens any more");
        assert!(matches!(error, EngineError::Silent { .. }), "{error}");
    }
}
