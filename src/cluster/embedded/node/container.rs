//! A container from the pull to the last exit: starts, probes, restarts with back-off.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::events::Telling;
use super::super::images::FileTree;
use super::environment::{self, Environment};
use super::log::Log;
use super::pod::Pod;
use super::probe::{self, Outcome};
use super::program::{self, Program, Statement};
use super::pull::{self, Policy, Pulled, Refusal};
use super::status::{Stage, Terminated};
use super::web::Site;
use super::{hooks, network, security, volumes};

/// The first back-off and the longest, in Kubernetes' seconds.
const BACK_OFF_SECONDS: f64 = 10.0;
const BACK_OFF_SECONDS_MAX: f64 = 300.0;

/// What runs in a container.
#[derive(Debug, Clone)]
pub struct Live {
    pub site: Option<Arc<Site>>,
    /// Where a server that is only pretended takes connections.
    pretended_port: Option<u16>,
    /// The known image that this one is, or is built from: `nginx:1.29-alpine`.
    pub base: String,
    pub log: Arc<Log>,
    /// The log of the run before this one.
    pub previous: Option<Arc<Log>>,
    pub environment: Arc<Environment>,
    pub files: Arc<FileTree>,
    /// The image's own files, under what is mounted.
    image_files: Arc<FileTree>,
    /// What was copied into the container while it runs.
    written: Arc<FileTree>,
}

impl Live {
    /// Where the container can be reached.
    pub fn ports(&self) -> BTreeSet<u16> {
        let served = self.site.as_ref().map(|site| site.ports()).unwrap_or_default();
        served.into_iter().chain(self.pretended_port).collect()
    }
}

/// How a run came to its end.
#[derive(Debug, Default)]
struct End {
    code: i32,
    /// It begins anew at once, whatever the restart policy says: its definition has changed.
    is_replaced: bool,
}

/// Runs the container until it will not start again; true where its last exit was 0.
pub async fn run(pod: Arc<Pod>, index: usize) -> bool {
    let mut back_off: f64 = 0.0;
    let mut previous = None;
    let mut resumed = matches!(pod.view(index).stage, Stage::Running { .. });
    loop {
        let pulled = pull_image(&pod, index, resumed).await;
        let live = create(&pod, index, &pulled, previous.take()).await;
        let started = if resumed { started_before(&pod, index) } else { Timestamp::now() };
        if !resumed {
            pod.turn_of(index).await;
        }
        let End { code, is_replaced } = start(&pod, index, &pulled, &live, started, resumed).await;
        resumed = false;
        live.log.end();
        let ended = Terminated {
            exit_code: code,
            reason: if code == 0 { "Completed" } else { "Error" },
            message: String::new(),
            started,
            finished: Timestamp::now(),
            container_id: pod.view(index).container_id,
        };
        // an init container that has done its work counts as ready
        let is_done = code == 0 && pod.is_init(index) && !pod.is_sidecar(index);
        pod.update(index, |view| {
            view.ready = is_done;
            view.started = false;
            view.stage = Stage::Terminated(ended.clone());
        });
        if !is_replaced && !restarts(&pod, index, code) {
            return code == 0;
        }
        let lasted = ended.finished.duration_since(ended.started).as_secs_f64() * pod.shared.time_factor;
        if is_replaced || lasted >= 2.0 * BACK_OFF_SECONDS_MAX {
            back_off = 0.0;
        }
        if back_off > 0.0 {
            tokio::select! {
                () = wait_before_restart(&pod, index, back_off, &ended) => {}
                () = pod.other_image(index, &pulled.name) => back_off = 0.0,
            }
        }
        back_off = if is_replaced {
            0.0
        } else if back_off == 0.0 {
            BACK_OFF_SECONDS
        } else {
            (back_off * 2.0).min(BACK_OFF_SECONDS_MAX)
        };
        previous = Some(Arc::clone(&live.log));
        pod.update(index, |view| {
            view.last = Some(ended);
            view.restarts += 1;
        });
    }
}

fn started_before(pod: &Pod, index: usize) -> Timestamp {
    match pod.view(index).stage {
        Stage::Running { since } => since,
        _ => Timestamp::now(),
    }
}

fn restarts(pod: &Pod, index: usize, code: i32) -> bool {
    match pod.object()["spec"]["restartPolicy"].as_str() {
        _ if pod.is_sidecar(index) => true,
        Some("Never") => false,
        Some("OnFailure") => code != 0,
        _ => code != 0 || !pod.is_init(index),
    }
}

async fn wait_before_restart(pod: &Arc<Pod>, index: usize, seconds: f64, ended: &Terminated) {
    let name = pod.view(index).name;
    let place = format!("{}_{}({})", pod.name, pod.namespace, pod.uid);
    pod.tell(
        index,
        &Telling::warning("BackOff", format!("Back-off restarting failed container {name} in pod {place}")),
    );
    let message = format!("back-off {seconds}s restarting failed container={name} pod={place}");
    let message = if seconds >= 60.0 {
        message.replace(&format!("{seconds}s"), &format!("{}m{}s", (seconds / 60.0).floor(), seconds % 60.0))
    } else {
        message
    };
    pod.update(index, |view| {
        view.last = Some(ended.clone());
        view.stage = Stage::Waiting { reason: "CrashLoopBackOff", message };
    });
    tokio::time::sleep(pod.shared.scaled(seconds)).await;
}

async fn pull_image(pod: &Arc<Pod>, index: usize, resumed: bool) -> Pulled {
    let mut back_off = BACK_OFF_SECONDS;
    loop {
        let spec = pod.spec(index);
        let image = spec["image"].as_str().unwrap_or_default().to_owned();
        let policy = match spec["imagePullPolicy"].as_str() {
            Some("Always") => Policy::Always,
            Some("Never") if !resumed => Policy::Never,
            _ => Policy::IfNotPresent,
        };
        match pull::pull(&pod.shared, &image, policy) {
            Ok(pulled) => {
                if !resumed && pulled.present {
                    let message = format!("Container image \"{image}\" already present on machine");
                    pod.tell(index, &Telling::normal("Pulled", message));
                } else if !resumed {
                    pod.tell(index, &Telling::normal("Pulling", format!("Pulling image \"{image}\"")));
                    let size: usize = pulled.image.files.values().map(Bytes::len).sum();
                    let message = format!(
                        "Successfully pulled image \"{image}\" in 1ms (1ms including waiting). Image size: {size} bytes."
                    );
                    pod.tell(index, &Telling::normal("Pulled", message));
                }
                return pulled;
            }
            Err(refusal) => {
                pod.attempted(index);
                tokio::select! {
                    next = pull_failed(pod, index, &image, refusal, back_off) => back_off = next,
                    () = pod.other_image(index, &image) => back_off = BACK_OFF_SECONDS,
                }
            }
        }
    }
}

/// Tells of the failure, waits, and returns the next back-off.
async fn pull_failed(pod: &Arc<Pod>, index: usize, image: &str, refusal: Refusal, back_off: f64) -> f64 {
    let (told, reason, message) = match refusal {
        Refusal::Pull(why) => {
            return pull_refused(pod, index, image, &why, back_off).await;
        }
        Refusal::NeverPulled => (
            "ErrImageNeverPull",
            "ErrImageNeverPull",
            format!("Container image \"{image}\" is not present with pull policy of Never"),
        ),
        Refusal::Name(why) => (
            "InspectFailed",
            "InvalidImageName",
            format!("Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": {why}"),
        ),
    };
    pod.tell(index, &Telling::warning(told, message.clone()));
    pod.tell(index, &Telling::warning("Failed", format!("Error: {reason}")));
    pod.update(index, |view| view.stage = Stage::Waiting { reason, message });
    tokio::time::sleep(pod.shared.scaled(BACK_OFF_SECONDS)).await;
    back_off
}

/// The same of a registry that does not give the image.
async fn pull_refused(pod: &Arc<Pod>, index: usize, image: &str, why: &str, back_off: f64) -> f64 {
    let why = format!("failed to pull and unpack image \"{image}\": {why}");
    pod.tell(index, &Telling::normal("Pulling", format!("Pulling image \"{image}\"")));
    pod.tell(index, &Telling::warning("Failed", format!("Failed to pull image \"{image}\": {why}")));
    pod.tell(index, &Telling::warning("Failed", "Error: ErrImagePull"));
    pod.update(index, |view| view.stage = Stage::Waiting { reason: "ErrImagePull", message: why.clone() });
    tokio::time::sleep(pod.shared.scaled(1.0)).await;
    pod.tell(index, &Telling::normal("BackOff", format!("Back-off pulling image \"{image}\"")));
    pod.tell(index, &Telling::warning("Failed", "Error: ImagePullBackOff"));
    let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {why}");
    pod.update(index, |view| view.stage = Stage::Waiting { reason: "ImagePullBackOff", message });
    tokio::time::sleep(pod.shared.scaled(back_off)).await;
    (back_off * 2.0).min(BACK_OFF_SECONDS_MAX)
}

/// Makes the container: its environment and files; waits where something that it refers to is not there.
async fn create(pod: &Arc<Pod>, index: usize, pulled: &Pulled, previous: Option<Arc<Log>>) -> Live {
    let spec = pod.spec(index);
    let mut sources = pod.sources();
    loop {
        sources.borrow_and_update();
        let environment =
            environment::resolve(&pod.shared.registry, &pod.object(), &spec, &pulled.image.environment, &pod.address());
        let allowed = |environment| match security::refusal(&spec, &pod.object(), &pulled.image) {
            None => Ok(environment),
            Some(why) => Err(why),
        };
        match environment.and_then(allowed) {
            Ok(environment) => {
                let files = files(pod, &spec, &pulled.image.files, &environment);
                return Live {
                    site: None,
                    pretended_port: None,
                    base: pulled.image.base.clone(),
                    log: Arc::default(),
                    previous,
                    environment: Arc::new(environment),
                    files: Arc::new(files),
                    image_files: Arc::clone(&pulled.image.files),
                    written: Arc::default(),
                };
            }
            Err(why) => {
                pod.attempted(index);
                pod.tell(index, &Telling::warning("Failed", format!("Error: {why}")));
                pod.update(index, |view| {
                    view.stage = Stage::Waiting { reason: "CreateContainerConfigError", message: why };
                });
                let again = pod.shared.scaled(10.0).max(Duration::from_millis(100));
                let _ = tokio::time::timeout(again, sources.changed()).await;
            }
        }
    }
}

/// The container's files: image, mounts, and nginx' templates filled in as its entry point does.
fn files(pod: &Pod, spec: &serde_json::Value, image: &FileTree, environment: &Environment) -> FileTree {
    let mut files = volumes::lay_over(&network::with_files(image, &pod.object(), &pod.address()), spec, &pod.volumes());
    let templates: Vec<(String, Bytes)> = files
        .range("/etc/nginx/templates/".to_owned()..)
        .take_while(|(path, _)| path.starts_with("/etc/nginx/templates/"))
        .filter_map(|(path, content)| {
            let name = path.strip_prefix("/etc/nginx/templates/")?.strip_suffix(".template")?;
            let text = environment::substitute(&String::from_utf8_lossy(content), environment);
            Some((format!("/etc/nginx/conf.d/{name}"), text.into()))
        })
        .collect();
    files.extend(templates);
    files
}

/// Files that are copied into containers are kept in memory.
const WRITTEN_BYTES_MAX: usize = 16 << 20;

/// Writes files into the running container, where nothing is mounted that is read only.
///
/// # Errors
/// The path that cannot be written, and why.
pub fn write_files(pod: &Arc<Pod>, index: usize, files: FileTree) -> Result<(), String> {
    let Some(mut live) = pod.live(index) else { return Err("the container is not running".into()) };
    let spec = pod.spec(index);
    for path in files.keys() {
        if volumes::is_read_only(path, &spec, &pod.object()) {
            return Err(format!("can't open '{path}': Read-only file system"));
        }
    }
    let mut written = FileTree::clone(&live.written);
    written.extend(files);
    if written.values().map(Bytes::len).sum::<usize>() > WRITTEN_BYTES_MAX {
        return Err("No space left on device (the embedded sandbox keeps 16 MiB of what is copied)".into());
    }
    live.written = Arc::new(written);
    pod.set_live(index, Some(live));
    refresh_files(pod, index);
    Ok(())
}

/// Mounted files changed: a running web server serves them from now on.
pub fn refresh_files(pod: &Arc<Pod>, index: usize) {
    let Some(mut live) = pod.live(index) else { return };
    let mut files = files(pod, &pod.spec(index), &live.image_files, &live.environment);
    files.extend(live.written.iter().map(|(path, content)| (path.clone(), content.clone())));
    let files = Arc::new(files);
    live.site = live.site.map(|site| Arc::new(site.with_files(Arc::clone(&files))));
    live.files = files;
    pod.set_live(index, Some(live));
}

/// The web server reads its configuration anew: from now on it is this one.
pub fn replace_site(pod: &Arc<Pod>, index: usize, site: Site) {
    let Some(mut live) = pod.live(index) else { return };
    live.site = Some(Arc::new(site));
    pod.set_live(index, Some(live));
}

/// Starts the container and runs it to its end.
async fn start(pod: &Arc<Pod>, index: usize, pulled: &Pulled, live: &Live, started: Timestamp, resumed: bool) -> End {
    let spec = pod.spec(index);
    let words = |key: &str| -> Vec<String> {
        let list = spec[key].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|word| word.as_str()).map(|word| environment::expand(word, &live.environment)).collect()
    };
    let (command, args) = (words("command"), words("args"));
    let program = program::decide(pulled.base, &pulled.image, &command, &args, &live.environment);
    let name = pod.view(index).name;
    if !resumed {
        pod.tell(index, &Telling::normal("Created", format!("Created container: {name}")));
        pod.tell(index, &Telling::normal("Started", format!("Started container {name}")));
    }
    let mut live = live.clone();
    // What ends at once is never shown as running: nobody is to take it for available in between.
    let ends_at_once = matches!(&program, Program::Script(statements) if !statements.iter().any(Statement::takes_time));
    let mut failed = prepare(pod, &spec, &program, &mut live, started).err();
    if failed.is_none()
        && let Err(port) = pod.claim(index, &live)
    {
        failed = Some(taken(port));
        live.site = None;
    }
    if failed.is_some() {
        pod.set_live(index, Some(live.clone()));
    }
    pod.attempted(index);
    if failed.is_none() && !resumed && !hooks::post_start(pod, index, &spec).await {
        pod.set_live(index, None);
        return End { code: stopped(&program), is_replaced: false };
    }
    let probed = |kind: probe::Kind| spec.get(kind.key()).filter(|probe| probe.is_object()).cloned();
    let waits_for_startup = probed(probe::Kind::Startup).is_some();
    pod.update(index, |view| {
        view.image.clone_from(&pulled.full_name);
        view.image_id = image_id(pulled);
        if !resumed || view.container_id.is_empty() {
            view.container_id = container_id();
        }
        if failed.is_none() && !ends_at_once {
            view.stage = Stage::Running { since: started };
            view.started = !waits_for_startup;
            view.ready = !waits_for_startup && probed(probe::Kind::Readiness).is_none();
        }
    });
    let end = if let Some(line) = failed {
        live.log.write(&line, Timestamp::now());
        let code = if matches!(program, Program::Unsupported(_)) { 127 } else { 1 };
        End { code, is_replaced: false }
    } else {
        let (kill, mut killed) = mpsc::channel(1);
        let _probes = spawn_probes(pod, index, &spec, &kill);
        tokio::select! {
            code = execute(pod, &program, &live) => End { code, is_replaced: false },
            () = pod.other_image(index, &pulled.name) => {
                let message = format!("Container {name} definition changed, will be restarted");
                pod.tell(index, &Telling::normal("Killing", message));
                End { code: stopped(&program), is_replaced: true }
            }
            Some(why) = killed.recv() => {
                let message = format!("Container {name} failed {why} probe, will be restarted");
                pod.tell(index, &Telling::normal("Killing", message));
                End { code: stopped(&program), is_replaced: false }
            }
        }
    };
    pod.set_live(index, None);
    end
}

/// The exit code of what is told to stop: nginx ends well, a shell does not listen.
fn stopped(program: &Program) -> i32 {
    if matches!(program, Program::Web) { 0 } else { 137 }
}

/// Gets the program ready to listen.
///
/// # Errors
/// What it writes before it ends.
fn prepare(
    pod: &Pod,
    spec: &serde_json::Value,
    program: &Program,
    live: &mut Live,
    started: Timestamp,
) -> Result<(), String> {
    match program {
        Program::Web => {
            let site =
                Site::start(Arc::clone(&live.files), &pod.name, started).map_err(|error| format!("nginx: {error}"))?;
            if let Some(why) = security::web_obstacle(spec, &pod.object(), live) {
                return Err(format!("nginx: [emerg] {why}"));
            }
            live.site = Some(Arc::new(site));
        }
        Program::Unsupported(why) => return Err(why.clone()),
        Program::Idle => {
            let name = live.base.split(':').next().unwrap_or_default();
            let set = |key: &str| live.environment.get(key).is_some_and(|value| !value.is_empty());
            if name == "postgres" && !set("POSTGRES_PASSWORD") && !set("POSTGRES_HOST_AUTH_METHOD") {
                return Err("Error: Database is uninitialized and superuser password is not specified.\n       You must specify POSTGRES_PASSWORD to a non-empty value for the\n       superuser. For example, \"-e POSTGRES_PASSWORD=password\" on \"docker run\".".into());
            }
            live.pretended_port = program::server_port(name);
        }
        Program::Script(_) => {}
    }
    Ok(())
}

/// What nginx writes where another container of the pod has its port: it tries five times.
fn taken(port: u16) -> String {
    let once = format!("nginx: [emerg] bind() to 0.0.0.0:{port} failed (98: Address already in use)\n");
    format!("{}nginx: [emerg] still could not bind()", once.repeat(5))
}

/// Startup first, then readiness and liveness. Dropping the set ends them.
fn spawn_probes(
    pod: &Arc<Pod>,
    index: usize,
    spec: &serde_json::Value,
    kill: &mpsc::Sender<&'static str>,
) -> JoinSet<()> {
    let probe = |kind: probe::Kind| spec.get(kind.key()).filter(|probe| probe.is_object()).cloned();
    let (startup, readiness, liveness) =
        (probe(probe::Kind::Startup), probe(probe::Kind::Readiness), probe(probe::Kind::Liveness));
    let mut tasks = JoinSet::new();
    let (pod, kill) = (Arc::clone(pod), kill.clone());
    tasks.spawn(async move {
        if let Some(startup) = startup {
            let told = kill.clone();
            let mut passed = false;
            probe::run(Arc::clone(&pod), index, probe::Kind::Startup, startup, |outcome| {
                passed = outcome == Outcome::Passing;
                if !passed {
                    let _ = told.try_send("startup");
                }
                false
            })
            .await;
            if !passed {
                return;
            }
            let ready = readiness.is_none();
            pod.update(index, |view| {
                view.started = true;
                view.ready = ready;
            });
        }
        let mut both = JoinSet::new();
        if let Some(readiness) = readiness {
            let shown = Arc::clone(&pod);
            both.spawn(probe::run(Arc::clone(&pod), index, probe::Kind::Readiness, readiness, move |outcome| {
                let ready = outcome == Outcome::Passing;
                if shown.view(index).ready != ready {
                    shown.update(index, |view| view.ready = ready);
                }
                true
            }));
        }
        if let Some(liveness) = liveness {
            both.spawn(probe::run(Arc::clone(&pod), index, probe::Kind::Liveness, liveness, move |outcome| {
                if outcome == Outcome::Failing {
                    let _ = kill.try_send("liveness");
                }
                outcome == Outcome::Passing
            }));
        }
        while both.join_next().await.is_some() {}
    });
    tasks
}

/// Runs to the end and returns the exit code; a server has no end of its own.
async fn execute(pod: &Pod, program: &Program, live: &Live) -> i32 {
    let Program::Script(statements) = program else { return std::future::pending().await };
    for statement in statements {
        match statement {
            Statement::Print(text) => live.log.write(text, Timestamp::now()),
            Statement::Sleep(Duration::MAX) => std::future::pending().await,
            Statement::Sleep(time) => {
                let factor = pod.shared.time_factor;
                tokio::time::sleep(time.div_f64(factor).min(Duration::from_secs(3600 * 24 * 365))).await;
            }
            Statement::Exit(code) => return *code,
            Statement::Cat(path) => {
                if let Some(content) = live.files.get(path) {
                    live.log.write(&String::from_utf8_lossy(content), Timestamp::now());
                } else {
                    live.log.write(&format!("cat: can't open '{path}': No such file or directory"), Timestamp::now());
                    return 1;
                }
            }
        }
    }
    0
}

fn image_id(pulled: &Pulled) -> String {
    let name = pulled.full_name.rsplit_once(['@', ':']).map_or(pulled.full_name.as_str(), |(name, _)| name);
    if pulled.image.digest.is_empty() {
        format!("{name}@sha256:{:064x}", 0)
    } else {
        format!("{name}@{}", pulled.image.digest)
    }
}

fn container_id() -> String {
    format!(
        "tutorial://{:016x}{:016x}{:016x}{:016x}",
        fastrand::u64(..),
        fastrand::u64(..),
        fastrand::u64(..),
        fastrand::u64(..)
    )
}
