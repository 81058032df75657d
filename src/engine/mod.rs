//! The Docker engine: found as the docker command finds it, asked whether it answers, spoken to in a version that
//! both know. What is wrong with it is told with what to do.
//!
//! Place: a leaf, for whoever needs containers or images. It starts nothing and changes nothing.

mod discover;
#[cfg(test)]
pub mod played;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bollard::models::SystemVersion;
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};

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

/// What somebody else gave as the reason: an engine, a registry, the system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Reason(pub String);

/// Why no engine can be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing is there: not a single socket.
    #[error("Docker is not installed, or its engine is not running")]
    Absent,
    /// It is there and does not answer.
    #[error("the Docker engine at {address}{why} does not answer")]
    Silent { address: String, why: String, source: Reason },
    #[error("you may not use the Docker engine at {address}")]
    Forbidden { address: String },
    #[error("the Docker engine at {address}{why} can only be reached by {scheme}, which is not supported")]
    Unsupported { address: String, why: String, scheme: &'static str },
    #[error("the Docker context `{name}`{why} does not exist")]
    NoContext { name: String, why: String },
    #[error("the Docker engine is {version}, which is too old")]
    TooOld { version: String },
    #[error(
        "the Docker engine is {version}, which speaks no API older than {oldest}; {known} is the newest known here"
    )]
    TooNew { version: String, oldest: String, known: String },
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
            Self::TooNew { .. } => format!("install a newer tutorial, {embedded}"),
            Self::NotLinux { .. } => {
                format!("switch Docker Desktop to Linux containers (in the menu of its icon), {embedded}")
            }
        })
    }
}

/// Finds the engine that answers first, in the order of the docker command, then of the usual other places.
pub async fn connect(environment: &BTreeMap<String, String>) -> Result<Engine, EngineError> {
    connect_within(environment, PING_TIME_MAX).await
}

/// The environment of this process. What is no text is nothing that an engine is found by.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The docker command's own configuration, `config.json`; null where there is none that can be read.
pub fn docker_configuration(environment: &BTreeMap<String, String>) -> serde_json::Value {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")));
    let text = directory.and_then(|directory| std::fs::read(directory.join("config.json")).ok());
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// The same with a limit for each place.
async fn connect_within(environment: &BTreeMap<String, String>, time_max: Duration) -> Result<Engine, EngineError> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    let user = rustix::process::getuid().as_raw();
    let places = discover::places(&variable, &|path| std::fs::read_to_string(path).ok(), user)?;
    first_that_answers(places, time_max).await
}

async fn first_that_answers(places: Vec<Place>, time_max: Duration) -> Result<Engine, EngineError> {
    let mut first_error = None;
    for place in places {
        match try_place(&place, time_max).await {
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

async fn try_place(place: &Place, time_max: Duration) -> Result<Engine, EngineError> {
    let silent =
        |cause: String| EngineError::Silent { address: place.address.clone(), why: place.why(), source: Reason(cause) };
    let docker = match place.address.split_once("://") {
        // One that may not be looked at is there.
        Some(("unix", path)) if !std::path::Path::new(path).try_exists().unwrap_or(true) => {
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
    let negotiated = tokio::time::timeout(time_max, async {
        // Asked once: bollard's own negotiation would ask the same again, and an engine may take a second to say it.
        let version = docker.version().await?;
        let spoken = spoken(&version);
        let docker = docker.with_request_modifier(move |request| in_version(request, spoken));
        Ok::<_, bollard::errors::Error>((docker, version))
    });
    let (docker, version) = match negotiated.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) if is_forbidden(&error) => {
            return Err(EngineError::Forbidden { address: place.address.clone() });
        }
        Ok(Err(error)) => return Err(silent(innermost(&error))),
        Err(_) => return Err(silent(format!("no answer within {} seconds", time_max.as_secs_f64()))),
    };
    judge(&version)?;
    Ok(Engine { docker, place: place.clone(), version })
}

/// The newest version of the API that both know.
fn spoken(version: &SystemVersion) -> ClientVersion {
    let numbers = |api: &str| {
        let (major, minor) = api.split_once('.')?;
        Some((major.parse::<usize>().ok()?, minor.parse::<usize>().ok()?))
    };
    let known = (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version);
    let engines = version.api_version.as_deref().and_then(numbers).unwrap_or(known);
    let (major_version, minor_version) = engines.min(known);
    ClientVersion { major_version, minor_version }
}

/// Puts the version that was negotiated before a request's path. bollard writes it there itself, and then joins the
/// path to the address, which takes it out again; without it an engine speaks its own newest version.
fn in_version(mut request: BollardRequest, version: ClientVersion) -> BollardRequest {
    let mut parts = request.uri().clone().into_parts();
    let path = parts.path_and_query.as_ref().map_or("/", |path| path.as_str());
    let prefix = format!("/v{version}");
    if !path.starts_with(&format!("{prefix}/")) {
        parts.path_and_query = format!("{prefix}{path}").parse().ok();
        if let Ok(uri) = http::Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

fn unsupported(place: &Place, scheme: &'static str) -> EngineError {
    EngineError::Unsupported { address: place.address.clone(), why: place.why(), scheme }
}

/// Whether an engine of this version can carry a node.
fn judge(version: &SystemVersion) -> Result<(), EngineError> {
    if let Some(system) = version.os.as_deref().filter(|system| !system.eq_ignore_ascii_case("linux")) {
        return Err(EngineError::NotLinux { system: system.to_owned() });
    }
    let read = |api: &str| {
        let (major, minor) = api.split_once('.')?;
        Some((major.parse::<u64>().ok()?, minor.parse::<u64>().ok()?))
    };
    let known = API_DEFAULT_VERSION.to_string();
    let own = |otherwise: &str| version.version.clone().unwrap_or_else(|| otherwise.into());
    match (version.api_version.as_deref().and_then(read), version.min_api_version.as_deref()) {
        (Some(api), _) if api < OLDEST_API => Err(EngineError::TooOld { version: own("old") }),
        (_, Some(oldest)) if read(oldest) > read(&known) => {
            Err(EngineError::TooNew { version: own("new"), oldest: oldest.to_owned(), known })
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
    let is_permission = |io: &std::io::Error| io.kind() == std::io::ErrorKind::PermissionDenied;
    if matches!(error, bollard::errors::Error::IOError { err } if is_permission(err)) {
        return true;
    }
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.downcast_ref::<std::io::Error>().is_some_and(is_permission) {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, Write};
    use std::os::unix::net::UnixListener;
    use std::sync::{Arc, Mutex};

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

    #[test]
    fn an_engine_that_speaks_only_newer_versions_is_named() {
        let version = SystemVersion {
            api_version: Some("1.99".into()),
            min_api_version: Some("1.98".into()),
            version: Some("99.0.0".into()),
            os: Some("linux".into()),
            ..Default::default()
        };
        let error = judge(&version).expect_err("nothing in common");
        let expected = format!(
            "the Docker engine is 99.0.0, which speaks no API older than 1.98; {API_DEFAULT_VERSION} is the newest \
             known here"
        );
        assert_eq!(error.to_string(), expected);
        let fitting = SystemVersion { min_api_version: Some("1.44".into()), ..version };
        judge(&fitting).expect("both know 1.44 to 1.53");
    }

    /// Answers each request as an engine of API 1.44 would, and keeps the first lines of all requests.
    fn engine_of_api_1_44(listener: &UnixListener, asked: &Arc<Mutex<Vec<String>>>) {
        while let Ok((mut stream, _)) = listener.accept() {
            let asked = Arc::clone(asked);
            std::thread::spawn(move || {
                let mut lines = std::io::BufReader::new(stream.try_clone().expect("a second handle")).lines();
                while let Some(Ok(first)) = lines.next() {
                    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                    asked.lock().expect("not poisoned").push(first);
                    let body = r#"{"Version":"25.0.0","ApiVersion":"1.44","MinAPIVersion":"1.24","Os":"linux"}"#;
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
                    let length = body.len();
                    if write!(stream, "{head}\r\ncontent-length: {length}\r\n\r\n{body}").is_err() {
                        return;
                    }
                }
            });
        }
    }

    #[tokio::test]
    async fn requests_name_the_version_that_both_know() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("docker.sock");
        let (listener, asked) = (UnixListener::bind(&socket).expect("a socket"), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || engine_of_api_1_44(&listener, &kept));
        let environment = BTreeMap::from([("DOCKER_HOST".to_owned(), format!("unix://{}", socket.display()))]);
        let engine = connect(&environment).await.expect("it answers");
        engine.docker.info().await.expect("an answer");
        let asked = asked.lock().expect("not poisoned");
        assert_eq!(*asked, ["GET /version HTTP/1.1", "GET /v1.44/info HTTP/1.1"]);
    }

    #[tokio::test]
    async fn sockets_that_do_not_answer() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("docker.sock");
        let environment = BTreeMap::from([("DOCKER_HOST".to_owned(), format!("unix://{}", socket.display()))]);
        let cause = async |time_max| {
            let error = connect_within(&environment, time_max).await.expect_err("nobody answers");
            let EngineError::Silent { source, .. } = error else { panic!("{error}") };
            source.0
        };
        // One that nobody listens to any more, and one where somebody does and says nothing.
        drop(UnixListener::bind(&socket).expect("a socket"));
        assert!(cause(PING_TIME_MAX).await.contains("refused"));
        std::fs::remove_file(&socket).expect("it is there");
        let _listener = UnixListener::bind(&socket).expect("a socket");
        assert_eq!(cause(Duration::from_millis(50)).await, "no answer within 0.05 seconds");
    }

    #[tokio::test]
    async fn a_socket_that_answers_is_taken_after_one_that_does_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let runtime = directory.path().join("runtime");
        let live = directory.path().join(".colima/default/docker.sock");
        std::fs::create_dir_all(live.parent().expect("a parent")).expect("a directory");
        std::fs::create_dir_all(&runtime).expect("a directory");
        drop(UnixListener::bind(runtime.join("docker.sock")).expect("a socket"));
        let listener = UnixListener::bind(&live).expect("a socket");
        std::thread::spawn(move || engine_of_api_1_44(&listener, &Arc::default()));
        let variables = [("HOME", directory.path()), ("XDG_RUNTIME_DIR", &runtime)];
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, path)| path.display().to_string());
        let places = discover::places(&variable, &|_| None, 0).expect("places");
        // Whatever engine this machine has.
        let places = places.into_iter().filter(|place| place.address.contains(&*directory.path().to_string_lossy()));
        let found = first_that_answers(places.collect(), PING_TIME_MAX).await.expect("one answers");
        assert_eq!(found.place.address, format!("unix://{}", live.display()));
    }

    #[test]
    fn no_permission_is_seen_through_the_layers() {
        let refused = |kind: std::io::ErrorKind| bollard::errors::Error::IOError { err: kind.into() };
        assert!(is_forbidden(&refused(std::io::ErrorKind::PermissionDenied)));
        assert!(!is_forbidden(&refused(std::io::ErrorKind::ConnectionRefused)));
    }

    #[test]
    fn why_an_engine_does_not_answer_is_told() {
        let error = EngineError::Silent {
            address: "unix:///s".into(),
            why: String::new(),
            source: Reason("connection refused".into()),
        };
        assert_eq!(crate::error::Failure::from(error).causes, ["connection refused"]);
    }
}
