//! `tutorial cluster`: the sandbox by itself.

use std::path::PathBuf;

use serde_json::json;

use crate::args::{ClusterArgs, ClusterCommand, ClusterStartArgs};
use crate::cluster::embedded::process;
use crate::cluster::{ClusterSpec, Connection};
use crate::error::{Exit, Failure};
use crate::session::sandbox::{Sandbox, refuse_unready};
use crate::session::Host;

pub fn run(host: &Host, arguments: &ClusterArgs) -> Result<Exit, Failure> {
    match &arguments.command {
        ClusterCommand::Start(arguments) => start(host, arguments),
        ClusterCommand::Stop(name) => stop(host, &name.name),
        ClusterCommand::Status(arguments) => status(host, &arguments.name.name, arguments.json),
        ClusterCommand::Kubeconfig(name) => print_file(host, &name.name, "kubeconfig"),
        ClusterCommand::Logs(name) => print_file(host, &name.name, "log"),
        ClusterCommand::Delete(arguments) => delete(host, &arguments.name.name, arguments.yes),
        ClusterCommand::Serve { directory } => serve(host, directory),
        ClusterCommand::Credential { directory } => credential(host, directory),
    }
}
