//! The kubeconfigs: a server on 127.0.0.1 and a credential that is asked of this program, which starts the cluster
//! where it is not running. So plain kubectl works after a reboot.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::identity::Identity;

/// What a kubeconfig lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    All,
    ReadOnly,
}

/// How a kubeconfig's user proves who they are.
#[derive(Debug, Clone, Copy)]
pub enum Proof<'a> {
    /// By calling this program; starts the cluster where it is not running.
    Program { program: &'a Path, directory: &'a Path },
    /// By the token itself, for whoever has made sure that the cluster runs.
    Token,
}

/// The kubeconfig's text. JSON is YAML, and kubectl reads it as such.
pub fn render(name: &str, identity: &Identity, access: Access, proof: Proof<'_>) -> String {
    let (user, token) = match access {
        Access::All => ("admin", &identity.admin_token),
        Access::ReadOnly => ("reader", &identity.read_only_token),
    };
    let credentials = match proof {
        Proof::Token => json!({"token": token}),
        Proof::Program { program, directory } => json!({"exec": exec(program, directory, access)}),
    };
    let user = format!("{name}-{user}");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {
            "server": format!("https://127.0.0.1:{}", identity.port),
            "certificate-authority-data": STANDARD.encode(&identity.certificates.authority),
        }}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    });
    serde_yaml::to_string(&config).expect("plain data with string keys")
}

fn exec(program: &Path, directory: &Path, access: Access) -> Value {
    let mut arguments = vec!["cluster", "credential", "--directory"];
    let directory = directory.to_string_lossy();
    arguments.push(&directory);
    if access == Access::ReadOnly {
        arguments.push("--read-only");
    }
    json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": program.to_string_lossy(),
        "args": arguments,
        "interactiveMode": "Never",
        "provideClusterInfo": false,
        "installHint": "install `tutorial` again: this cluster is part of it",
    })
}
