//! Where an engine may be: pure, from the environment and the docker command's own files.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::EngineError;

/// An address that an engine may answer at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `unix:///var/run/docker.sock`, `tcp://127.0.0.1:2375`.
    pub address: String,
    /// Who named it.
    pub by: By,
    /// Whether it wants TLS.
    pub is_secured: bool,
}

/// Who named a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    DockerHost,
    DockerContext,
    CurrentContext(String),
    /// Nobody: it is where engines usually are.
    Custom,
}

impl Place {
    /// Whether somebody asked for this one, so that no other may be taken in its stead.
    pub fn is_named(&self) -> bool {
        self.by != By::Custom
    }

    /// The machine that it is on, if that is not this one.
    pub fn far_host(&self) -> Option<&str> {
        let (scheme, rest) = self.address.split_once("://")?;
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let is_near = host == "localhost" || host.starts_with("127.") || host == "[::1]";
        (scheme != "unix" && !is_near).then_some(host)
    }

    /// ` (by DOCKER_HOST)`, for a message.
    pub(super) fn why(&self) -> String {
        match &self.by {
            By::DockerHost => " (by DOCKER_HOST)".into(),
            By::DockerContext => " (by DOCKER_CONTEXT)".into(),
            By::CurrentContext(name) => format!(" (by your current Docker context, `{name}`)"),
            By::Custom => String::new(),
        }
    }
}

/// The places to ask, in order. `variable` is the environment, `read` gives a file's text where there is one, `user` is
/// the number of who asks.
pub fn places(
    variable: &dyn Fn(&str) -> Option<String>,
    read: &dyn Fn(&Path) -> Option<String>,
    user: u32,
) -> Result<Vec<Place>, EngineError> {
    let is_secured = variable("DOCKER_TLS_VERIFY").is_some() || variable("DOCKER_TLS").is_some();
    if let Some(host) = variable("DOCKER_HOST") {
        return Ok(vec![Place { address: with_scheme(&host), by: By::DockerHost, is_secured }]);
    }
    let home = variable("HOME").map(PathBuf::from);
    let config = variable("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".docker")));
    if let Some(name) = variable("DOCKER_CONTEXT").filter(|name| name != "default") {
        return context(&name, By::DockerContext, config.as_deref(), read).map(|place| vec![place]);
    }
    let current = config.as_ref().and_then(|config| read(&config.join("config.json")));
    let current = current.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let current = current.and_then(|config| Some(config["currentContext"].as_str()?.to_owned()));
    let is_default = variable("DOCKER_CONTEXT").is_some();
    if let Some(name) = current.filter(|name| !is_default && !name.is_empty() && name != "default") {
        return context(&name, By::CurrentContext(name.clone()), config.as_deref(), read).map(|place| vec![place]);
    }
    Ok(usual(variable, home.as_deref(), user))
}

/// Where engines listen when nobody says otherwise: the default, without root, Desktop, Colima, Rancher, OrbStack,
/// Podman.
fn usual(variable: &dyn Fn(&str) -> Option<String>, home: Option<&Path>, user: u32) -> Vec<Place> {
    let path = |name: &str| variable(name).map(PathBuf::from);
    let below = |directory: Option<&Path>, sockets: &[&str]| -> Vec<PathBuf> {
        directory.into_iter().flat_map(|directory| sockets.iter().map(|socket| directory.join(socket))).collect()
    };
    // Where nobody has logged in, as in a job or below sudo, the variable is not set and the directory is there.
    let runtime = path("XDG_RUNTIME_DIR").unwrap_or_else(|| PathBuf::from(format!("/run/user/{user}")));
    let settings = path("XDG_CONFIG_HOME").or_else(|| Some(home?.join(".config")));
    let mut sockets = vec![PathBuf::from("/var/run/docker.sock"), runtime.join("docker.sock")];
    sockets.extend(below(home, &[".docker/run/docker.sock", ".docker/desktop/docker.sock"]));
    sockets.extend(below(path("COLIMA_HOME").as_deref(), &["default/docker.sock"]));
    sockets.extend(below(home, &[".colima/default/docker.sock"]));
    sockets.extend(below(settings.as_deref(), &["colima/default/docker.sock"]));
    sockets.extend(below(home, &[".rd/docker.sock", ".orbstack/run/docker.sock"]));
    sockets.push(runtime.join("podman/podman.sock"));
    // A machine of Podman's: the current place on macOS, then those of earlier versions.
    sockets.extend(below(path("TMPDIR").as_deref(), &["podman/podman-machine-default-api.sock"]));
    let machine = home.map(|home| home.join(".local/share/containers/podman/machine"));
    let of_machine = ["podman.sock", "podman-machine-default/podman.sock", "qemu/podman.sock"];
    sockets.extend(below(machine.as_deref(), &of_machine));
    sockets.push("/run/podman/podman.sock".into());
    let place =
        |socket: PathBuf| Place { address: format!("unix://{}", socket.display()), by: By::Custom, is_secured: false };
    sockets.into_iter().map(place).collect()
}

/// The endpoint that a context's file names. The file lies in a directory called by the name's hash.
fn context(
    name: &str,
    by: By,
    config: Option<&Path>,
    read: &dyn Fn(&Path) -> Option<String>,
) -> Result<Place, EngineError> {
    let hash: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let directory = config.map(|config| config.join("contexts"));
    let text = directory.as_ref().and_then(|directory| read(&directory.join("meta").join(&hash).join("meta.json")));
    let about = text.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let address = about.and_then(|about| Some(about["Endpoints"]["docker"]["Host"].as_str()?.to_owned()));
    let certificate = directory.map(|directory| directory.join("tls").join(&hash).join("docker/ca.pem"));
    let is_secured = certificate.is_some_and(|certificate| read(&certificate).is_some());
    let place = Place { address: String::new(), by, is_secured };
    match address.filter(|address| !address.is_empty()) {
        Some(address) => Ok(Place { address: with_scheme(&address), ..place }),
        None => Err(EngineError::NoContext { name: name.to_owned(), why: place.why() }),
    }
}

/// A bare path is a socket; a bare `host:port` is TCP.
fn with_scheme(address: &str) -> String {
    if address.contains("://") {
        address.to_owned()
    } else if address.starts_with('/') {
        format!("unix://{address}")
    } else {
        format!("tcp://{address}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Vec<String> {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let read =
            |path: &Path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned());
        places(&variable, &read, 7)
            .expect("places")
            .into_iter()
            .map(|place| format!("{}{}", place.address, place.why()))
            .collect()
    }

    const META: &str = r#"{"Name":"colima","Endpoints":{"docker":{"Host":"unix:///h/.colima/docker.sock"}}}"#;
    /// The SHA-256 of `colima`.
    const META_FILE: &str =
        "/h/.docker/contexts/meta/f24fd3749c1368328e2b149bec149cb6795619f244c5b584e844961215dadd16/meta.json";

    #[test]
    fn who_is_named_is_asked_alone() {
        fn check(variables: &[(&str, &str)], files: &[(&str, &str)], expected: &str) {
            assert_eq!(found(variables, files), [expected], "{variables:?}");
        }
        let files = [(META_FILE, META), ("/h/.docker/config.json", r#"{"currentContext":"colima"}"#)];
        check(&[("HOME", "/h"), ("DOCKER_HOST", "tcp://h:1")], &files, "tcp://h:1 (by DOCKER_HOST)");
        check(&[("DOCKER_HOST", "/run/d.sock")], &files, "unix:///run/d.sock (by DOCKER_HOST)");
        check(&[("DOCKER_HOST", "127.0.0.1:2375")], &files, "tcp://127.0.0.1:2375 (by DOCKER_HOST)");
        check(
            &[("HOME", "/h"), ("DOCKER_CONTEXT", "colima")],
            &files[..1],
            "unix:///h/.colima/docker.sock (by DOCKER_CONTEXT)",
        );
        check(&[("HOME", "/h")], &files, "unix:///h/.colima/docker.sock (by your current Docker context, `colima`)");
    }

    #[test]
    fn engines_on_other_machines() {
        fn check(address: &str, expected: Option<&str>) {
            let place = Place { address: address.into(), by: By::DockerHost, is_secured: false };
            assert_eq!(place.far_host(), expected, "{address}");
        }
        check("unix:///var/run/docker.sock", None);
        check("tcp://127.0.0.1:2375", None);
        check("tcp://localhost:2375", None);
        check("tcp://[::1]:2375", None);
        check("tcp://build.example:2375", Some("build.example"));
        check("tcp://10.0.0.1:2375/", Some("10.0.0.1"));
    }

    #[test]
    fn nobody_named_asks_the_usual_places() {
        let variables = [("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/1")];
        let config = [("/h/.docker/config.json", r#"{"currentContext":"default"}"#)];
        let expected = [
            "unix:///var/run/docker.sock",
            "unix:///run/user/1/docker.sock",
            "unix:///h/.docker/run/docker.sock",
            "unix:///h/.docker/desktop/docker.sock",
            "unix:///h/.colima/default/docker.sock",
            "unix:///h/.config/colima/default/docker.sock",
            "unix:///h/.rd/docker.sock",
            "unix:///h/.orbstack/run/docker.sock",
            "unix:///run/user/1/podman/podman.sock",
            "unix:///h/.local/share/containers/podman/machine/podman.sock",
            "unix:///h/.local/share/containers/podman/machine/podman-machine-default/podman.sock",
            "unix:///h/.local/share/containers/podman/machine/qemu/podman.sock",
            "unix:///run/podman/podman.sock",
        ];
        assert_eq!(found(&variables, &config), expected);
        let of_nobody = [
            "unix:///var/run/docker.sock",
            "unix:///run/user/7/docker.sock",
            "unix:///run/user/7/podman/podman.sock",
            "unix:///run/podman/podman.sock",
        ];
        assert_eq!(found(&[("DOCKER_CONTEXT", "default")], &[]), of_nobody);
        let moved = [("COLIMA_HOME", "/c"), ("XDG_CONFIG_HOME", "/x"), ("TMPDIR", "/t")];
        for socket in [
            "unix:///c/default/docker.sock",
            "unix:///x/colima/default/docker.sock",
            "unix:///t/podman/podman-machine-default-api.sock",
        ] {
            assert!(found(&moved, &[]).iter().any(|place| place == socket), "{socket}");
        }
        // A damaged file of Docker's is Docker's affair.
        assert_eq!(found(&variables, &[("/h/.docker/config.json", "{")]), expected);
    }
}
