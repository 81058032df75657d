//! What a cluster keeps for its whole life: ports, tokens, certificates.

use std::collections::BTreeMap;

use super::certificates::Certificates;
use super::files::Files;
use super::{ProcessError, journal};

/// Ports, tokens and certificates; secret.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Of the API server, on 127.0.0.1.
    pub port: u16,
    /// Of the image registry.
    pub registry_port: u16,
    /// NodePort to the port on 127.0.0.1 that stands for it.
    #[serde(default)]
    pub node_ports: BTreeMap<u16, u16>,
    pub admin_token: String,
    pub read_only_token: String,
    pub certificates: Certificates,
}

const FILE: &str = "identity.json";
/// Where pictures of a registry are expected.
const REGISTRY_PORT: u16 = 5001;

impl Identity {
    /// The identity that a cluster has; `None` where it never ran.
    pub fn load(files: &Files) -> Result<Option<Self>, ProcessError> {
        files.read(FILE)
    }

    /// The identity that the cluster has, else a new one. A damaged file is replaced: nothing in it is the
    /// learner's, and the kubeconfigs are written anew.
    pub fn load_or_make(files: &Files) -> Result<Self, ProcessError> {
        match Self::load(files) {
            Ok(Some(identity)) if identity.certificates.server_config().is_ok() => return Ok(identity),
            Ok(Some(_)) | Err(ProcessError::Damaged { .. }) => {
                journal::write(files.directory(), "identity.json is damaged: made a new one");
            }
            Ok(None) => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            port: 0,
            registry_port: REGISTRY_PORT,
            node_ports: BTreeMap::new(),
            admin_token: new_token(),
            read_only_token: new_token(),
            certificates: Certificates::generate()?,
        })
    }

    pub fn save(&self, files: &Files) -> Result<(), ProcessError> {
        files.write(FILE, self)
    }
}

/// 256 random bits from the system, in hexadecimal.
fn new_token() -> String {
    let mut bytes = [0_u8; 32];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).expect("the system has randomness");
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}
