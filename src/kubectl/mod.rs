//! The built-in kubectl, for machines that have none: the commands that a learner meets, in kubectl's own words
//! and tables.
//!
//! Place: a program of its own under the name `kubectl`; it knows the cluster by its kubeconfig alone, as the real
//! one does. Invariant: what it does not do is an error that says so and where the real one is.

mod apply;
mod change;
mod connection;
mod create;
mod delete;
mod describe;
mod error;
mod flags;
mod get;
mod logs;
mod manifests;
mod merge;
mod output;
mod rollout;
mod select;
mod stream;
mod system;
mod wait;

use std::pin::Pin;

use error::KubectlError;
use flags::{Arguments, Flag};

/// What a command returns: its exit code.
type Outcome = Result<u8, KubectlError>;

/// Where the real one is.
const REAL: &str = "https://kubernetes.io/docs/tasks/tools/ has the real kubectl";

/// A command with the flags that it has beside the general ones.
struct Command {
    name: &'static str,
    flags: &'static [Flag],
    about: &'static str,
}

const COMMANDS: &[Command] = &[
    Command { name: "get", flags: get::FLAGS, about: "Display one or many resources" },
    Command { name: "describe", flags: describe::FLAGS, about: "Show details of a resource or group of resources" },
    Command { name: "logs", flags: logs::FLAGS, about: "Print the logs of a container in a pod" },
    Command { name: "events", flags: get::EVENT_FLAGS, about: "List events" },
    Command { name: "apply", flags: apply::FLAGS, about: "Apply a configuration to a resource by file name or stdin" },
    Command { name: "create", flags: create::FLAGS, about: "Create a resource from a file, from stdin, or by name" },
    Command { name: "delete", flags: delete::FLAGS, about: "Delete resources by file names, stdin, names, or labels" },
    Command { name: "scale", flags: change::SCALE_FLAGS, about: "Set a new size for a deployment or replica set" },
    Command { name: "rollout", flags: rollout::FLAGS, about: "Manage the rollout of a resource" },
    Command { name: "label", flags: change::LABEL_FLAGS, about: "Update the labels on a resource" },
    Command { name: "annotate", flags: change::LABEL_FLAGS, about: "Update the annotations on a resource" },
    Command { name: "patch", flags: change::PATCH_FLAGS, about: "Update fields of a resource" },
    Command { name: "set", flags: change::SET_FLAGS, about: "Set the image of containers (set image)" },
    Command { name: "wait", flags: wait::FLAGS, about: "Wait for a condition on one or many resources" },
    Command { name: "port-forward", flags: stream::FORWARD_FLAGS, about: "Forward local ports to a pod" },
    Command { name: "exec", flags: stream::EXEC_FLAGS, about: "Execute a command in a container" },
    Command { name: "api-resources", flags: system::RESOURCES_FLAGS, about: "Print the kinds that the server has" },
    Command { name: "api-versions", flags: &[], about: "Print the API versions that the server has" },
    Command { name: "cluster-info", flags: &[], about: "Display cluster information" },
    Command { name: "config", flags: system::CONFIG_FLAGS, about: "Show or change the kubeconfig" },
    Command { name: "version", flags: system::VERSION_FLAGS, about: "Print the client and server version information" },
];

/// Commands of the real one that this one has not.
const ABSENT: &[&str] = &[
    "alpha",
    "attach",
    "auth",
    "autoscale",
    "certificate",
    "completion",
    "cordon",
    "cp",
    "debug",
    "diff",
    "drain",
    "edit",
    "explain",
    "expose",
    "kustomize",
    "plugin",
    "proxy",
    "replace",
    "run",
    "taint",
    "top",
    "uncordon",
];

/// Runs as `kubectl`; answers the exit code.
pub fn main(arguments: &[String]) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("error: {error}"));
            return 1;
        }
    };
    // As a trait object it is compiled once, and not for each way that the runtime could run it.
    let run: Pin<Box<dyn Future<Output = _> + '_>> = Box::pin(run(arguments));
    match runtime.block_on(run) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error.told());
            error.exit()
        }
    }
}

async fn run(arguments: &[String]) -> Outcome {
    let Some(position) = flags::command_position(arguments) else {
        output::print(&help());
        return Ok(0);
    };
    let name = arguments[position].as_str();
    if matches!(name, "help" | "--help" | "-h") {
        output::print(&help());
        return Ok(0);
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Err(unknown(name));
    };
    let mut rest = arguments.to_vec();
    rest.remove(position);
    let arguments = flags::parse(command.name, &rest, command.flags)?;
    if arguments.is_set("help") {
        output::print(&command_help(command));
        return Ok(0);
    }
    match command.name {
        "get" => get::run(&arguments).await,
        "events" => get::events(&arguments).await,
        "describe" => describe::run(&arguments).await,
        "logs" => logs::run(&arguments).await,
        "apply" => apply::run(&arguments).await,
        "create" => create::run(&arguments).await,
        "delete" => delete::run(&arguments).await,
        "scale" => change::scale(&arguments).await,
        "rollout" => rollout::run(&arguments).await,
        "label" => change::label(&arguments, "labels").await,
        "annotate" => change::label(&arguments, "annotations").await,
        "patch" => change::patch(&arguments).await,
        "set" => change::set(&arguments).await,
        "wait" => wait::run(&arguments).await,
        "port-forward" => stream::forward(&arguments).await,
        "exec" => stream::exec(&arguments).await,
        "api-resources" => system::api_resources(&arguments).await,
        "api-versions" => system::api_versions(&arguments).await,
        "cluster-info" => system::cluster_info(&arguments).await,
        "config" => system::config(&arguments),
        _ => system::version(&arguments).await,
    }
}

fn unknown(name: &str) -> KubectlError {
    if ABSENT.contains(&name) {
        return KubectlError::Absent { what: format!("`kubectl {name}`") };
    }
    let names = COMMANDS.iter().map(|command| command.name);
    let near = names.filter(|known| strsim::damerau_levenshtein(known, name) <= 2).collect();
    KubectlError::UnknownCommand { name: name.to_owned(), near }
}

fn help() -> String {
    let mut text = String::from(
        "kubectl controls the Kubernetes cluster manager.\n\n\
         This is the small kubectl that is built into tutorial; it has these commands:\n\n",
    );
    for command in COMMANDS {
        text.push_str(&format!("  {:<15} {}\n", command.name, command.about));
    }
    text.push_str(&format!("\n{REAL}.\n"));
    text
}

fn command_help(command: &Command) -> String {
    let mut text = format!("{}.\n\nUsage:\n  kubectl {} [options]\n\nOptions:\n", command.about, command.name);
    for flag in command.flags.iter().chain(flags::GENERAL) {
        let short = flag.short.map(|short| format!("-{short}, ")).unwrap_or_default();
        let value = if flag.takes_value { "=…" } else { "" };
        text.push_str(&format!("    {short}--{}{value}\n", flag.long));
    }
    text
}

/// For what only looks at its arguments.
fn positionals(arguments: &Arguments) -> Vec<&str> {
    arguments.positional.iter().map(String::as_str).collect()
}
