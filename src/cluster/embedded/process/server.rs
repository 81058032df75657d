//! The background process itself.

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::super::images::ImageStore;
use super::super::node::Node;
use super::super::registry::{Options, Registry};
use super::super::store::Notice;
use super::super::{api, controllers, images, node};
use super::client::{Running, program_bytes, version};
use super::files::Files;
use super::identity::Identity;
use super::kubeconfig::{self, Access, Proof};
use super::{ProcessError, Reported, journal, ports};
use crate::cluster::{ClusterSpec, Connection};

/// So often the process looks whether its directory is still there.
const VANISHED_EVERY: Duration = Duration::from_secs(1);
/// The API server works little for one learner; two workers keep a slow answer from delaying the others.
const WORKERS: usize = 2;
const STACK_BYTES: usize = 1 << 20;

/// The main function of the background process: serves the cluster in a directory until it is told to end, or the
/// directory vanishes. A failure is also left in the directory, for whoever started the process.
pub fn serve(directory: &Path) -> Result<(), ProcessError> {
    // Where the process was started by a terminal's, this makes it independent of both.
    let _ = rustix::process::setsid();
    let files = Files::new(directory);
    let Some(mut lock) = files.try_lock("lock")? else {
        return Err(ProcessError::AlreadyServed { directory: files.directory().to_owned() });
    };
    let served = files.remove("running.json").and_then(|()| {
        claim(&mut lock).map_err(ProcessError::write(&files.path("lock")))?;
        run(&files)
    });
    match &served {
        Ok(()) => journal::write(files.directory(), "ended"),
        Err(error) => journal::write(files.directory(), &format!("failed: {error}")),
    }
    let _ = files.remove("running.json");
    served.map_err(|error| {
        let reported = Reported::of(error);
        let _ = files.write("failure.json", &reported);
        ProcessError::Failed(reported)
    })
}

/// Writes the process's number into the lock that it holds.
fn claim(lock: &mut std::fs::File) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(format!("{}\n", std::process::id()).as_bytes())
}

fn run(files: &Files) -> Result<(), ProcessError> {
    let spec: ClusterSpec =
        files.read("spec.json")?.ok_or_else(|| ProcessError::Absent { directory: files.directory().to_owned() })?;
    let mut identity = Identity::load_or_make(files)?;
    let sockets = Sockets::open(&spec, &mut identity, files)?;
    identity.save(files)?;
    let program = std::env::current_exe().map_err(ProcessError::Runtime)?;
    let connection = write_connection(files, &spec, &identity, &program)?;
    let registry = Registry::open(&files.path("data"), &Options::default())
        .map_err(|error| ProcessError::Store(Reported::of(error)))?;
    for notice in registry.notices() {
        journal::write(files.directory(), &notice.to_string());
        if let Notice::Damaged { copy, .. } = notice {
            // Left for the next command, whoever started this process by then.
            files.write_text("damaged", &format!("{}\n", copy.display()))?;
        }
    }
    let running = Running {
        process: std::process::id(),
        version: version().into(),
        program_bytes: program_bytes(&program),
        spec,
        connection,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(4)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(ProcessError::Runtime)?;
    let ended = runtime.block_on(serve_all(files, &identity, sockets, registry, &running));
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

/// Every port that the process listens on.
struct Sockets {
    api: TcpListener,
    registry: TcpListener,
    nodes: BTreeMap<u16, TcpListener>,
}

impl Sockets {
    /// Listens where the cluster listened before, if that is free, and notes in the identity where it listens now.
    fn open(spec: &ClusterSpec, identity: &mut Identity, files: &Files) -> Result<Self, ProcessError> {
        let moved = |what: &str, before: u16, now: u16| {
            if before != 0 && before != now {
                journal::write(files.directory(), &format!("port {before} is taken: {what} is on port {now} now"));
            }
        };
        let (port, api) = ports::listen([identity.port])?;
        moved("the API server", identity.port, port);
        let (registry_port, registry) = ports::listen([identity.registry_port])?;
        moved("the image registry", identity.registry_port, registry_port);
        let mut nodes = BTreeMap::new();
        let mut node_ports = BTreeMap::new();
        for node_port in &spec.node_ports {
            let kept = identity.node_ports.get(node_port).copied().unwrap_or(0);
            let (port, listener) = ports::listen([*node_port, kept])?;
            moved("its NodePort", *node_port, port);
            nodes.insert(*node_port, listener);
            node_ports.insert(*node_port, port);
        }
        (identity.port, identity.registry_port, identity.node_ports) = (port, registry_port, node_ports);
        Ok(Self { api, registry, nodes })
    }
}

/// Writes the kubeconfigs and `connection.json`.
fn write_connection(
    files: &Files,
    spec: &ClusterSpec,
    identity: &Identity,
    program: &Path,
) -> Result<Connection, ProcessError> {
    let proof = Proof::Program { program, directory: files.directory() };
    for (file, access, proof) in [
        ("kubeconfig", Access::All, proof),
        ("kubeconfig-readonly", Access::ReadOnly, proof),
        ("kubeconfig-direct", Access::All, Proof::Token),
        ("kubeconfig-readonly-direct", Access::ReadOnly, Proof::Token),
    ] {
        files.write_text(file, &kubeconfig::render(&spec.name, identity, access, proof))?;
    }
    let connection = Connection {
        kubeconfig: files.path("kubeconfig"),
        kubeconfig_readonly: files.path("kubeconfig-readonly"),
        registry: format!("localhost:{}", identity.registry_port),
        host: crate::cluster::this_machine(),
        node_ports: identity.node_ports.clone(),
        kind: "embedded".into(),
        version: "v1.34.2+tutorial".into(),
    };
    files.write("connection.json", &connection)?;
    Ok(connection)
}

async fn serve_all(
    files: &Files,
    identity: &Identity,
    sockets: Sockets,
    registry: Arc<Registry>,
    running: &Running,
) -> Result<(), ProcessError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ProcessError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ProcessError::Runtime)?;
    let settings = api::Settings {
        admin_token: identity.admin_token.clone(),
        read_only_token: identity.read_only_token.clone(),
        certificate_authority_pem: identity.certificates.authority.clone(),
        snapshots: files.path("snapshots"),
    };
    let listener = asynchronous(sockets.api)?;
    let tls = identity.certificates.server_config()?;
    let options = controllers::Options {
        time_factor: running.spec.time_factor,
        certificate_authority_pem: identity.certificates.authority.clone(),
        api_port: identity.port,
    };
    let _controllers = controllers::start(Arc::clone(&registry), options);
    let images = Arc::new(ImageStore::open(&files.path("images")).map_err(ProcessError::Images)?);
    let _images = tokio::spawn(images::serve(asynchronous(sockets.registry)?, Arc::clone(&images)));
    let mut node_ports = BTreeMap::new();
    for (node_port, listener) in sockets.nodes {
        node_ports.insert(node_port, asynchronous(listener)?);
    }
    let options =
        node::Options { registry_port: identity.registry_port, node_ports, time_factor: running.spec.time_factor };
    let pods: Arc<dyn api::PodAccess> = Arc::new(Node::start(Arc::clone(&registry), images, options));
    let served = tokio::spawn(api::serve(listener, tls, registry, pods, settings));
    files.write("running.json", running)?;
    journal::write(files.directory(), &format!("serving on https://127.0.0.1:{}", identity.port));
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = vanished(files.directory()) => Ok(()),
        ended = served => match ended {
            Ok(Err(error)) => Err(ProcessError::Runtime(error)),
            Ok(Ok(())) => Ok(()),
            Err(error) => Err(ProcessError::Runtime(std::io::Error::other(error))),
        },
    }
}

fn asynchronous(listener: TcpListener) -> Result<tokio::net::TcpListener, ProcessError> {
    listener.set_nonblocking(true).map_err(ProcessError::Runtime)?;
    tokio::net::TcpListener::from_std(listener).map_err(ProcessError::Runtime)
}

/// Returns once the directory is no longer the one that it was.
async fn vanished(directory: &Path) {
    let inode = |path: &Path| std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
    let first = inode(directory);
    while inode(directory) == first {
        tokio::time::sleep(VANISHED_EVERY).await;
    }
}
