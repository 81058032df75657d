//! A container from the pull to the last exit: starts, probes, restarts with back-off.

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
use super::pull::{self, Pulled};
use super::status::{Stage, Terminated};
use super::volumes;
use super::web::Site;

/// The first back-off and the longest, in Kubernetes' seconds.
const BACK_OFF_SECONDS: f64 = 10.0;
const BACK_OFF_SECONDS_MAX: f64 = 300.0;

/// What runs in a container.
#[derive(Debug, Clone)]
pub struct Live {
    pub site: Option<Arc<Site>>,
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

/// Runs the container until it will not start again; true where its last exit was 0.
pub async fn run(pod: Arc<Pod>, index: usize) -> bool {
    let mut back_off: f64 = 0.0;
    let mut previous = None;
    let mut resumed = matches!(pod.view(index).stage, Stage::Running { .. });
    loop {
        let pulled = pull_image(&pod, index, resumed).await;
        let live = create(&pod, index, &pulled, previous.take()).await;
        let started = if resumed { started_before(&pod, index) } else { Timestamp::now() };
        let (code, message) = start(&pod, index, &pulled, &live, started, resumed).await;
        resumed = false;
        live.log.end();
        let ended = Terminated {
            exit_code: code,
            reason: if code == 0 { "Completed" } else { "Error" },
            message,
            started,
            finished: Timestamp::now(),
            container_id: pod.view(index).container_id,
        };
        pod.update(index, |view| {
            view.ready = false;
            view.started = false;
            view.stage = Stage::Terminated(ended.clone());
        });
        if !restarts(&pod, index, code) {
            return code == 0;
        }
        let lasted = ended.finished.duration_since(ended.started).as_secs_f64() * pod.shared.time_factor;
        if lasted >= 2.0 * BACK_OFF_SECONDS_MAX {
            back_off = 0.0;
        }
        if back_off > 0.0 {
            wait_before_restart(&pod, index, back_off, &ended).await;
        }
        back_off = if back_off == 0.0 { BACK_OFF_SECONDS } else { (back_off * 2.0).min(BACK_OFF_SECONDS_MAX) };
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
    let spec = pod.spec(index);
    let image = spec["image"].as_str().unwrap_or_default().to_owned();
    let always = spec["imagePullPolicy"] == "Always";
    let mut back_off = BACK_OFF_SECONDS;
    loop {
        match pull::pull(&pod.shared, &image, always) {
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
            Err(why) => back_off = pull_failed(pod, index, &image, &why, back_off).await,
        }
    }
}

/// Tells of the failure, waits, and returns the next back-off.
async fn pull_failed(pod: &Arc<Pod>, index: usize, image: &str, why: &str, back_off: f64) -> f64 {
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
        match environment {
            Ok(environment) => {
                let files = files(pod, &spec, &pulled.image.files, &environment);
                return Live {
                    site: None,
                    log: Arc::default(),
                    previous,
                    environment: Arc::new(environment),
                    files: Arc::new(files),
                    image_files: Arc::clone(&pulled.image.files),
                    written: Arc::default(),
                };
            }
            Err(why) => {
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
    let mut files = volumes::lay_over(image, spec, &pod.volumes());
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

/// Starts the container and runs it to its end; returns its exit code and a message.
async fn start(
    pod: &Arc<Pod>,
    index: usize,
    pulled: &Pulled,
    live: &Live,
    started: Timestamp,
    resumed: bool,
) -> (i32, String) {
    let spec = pod.spec(index);
    let words = |key: &str| -> Vec<String> {
        let list = spec[key].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let program = program::decide(pulled.base, &pulled.image, &words("command"), &words("args"));
    let name = pod.view(index).name;
    if !resumed {
        pod.tell(index, &Telling::normal("Created", format!("Created container: {name}")));
        pod.tell(index, &Telling::normal("Started", format!("Started container {name}")));
    }
    let mut live = live.clone();
    // What ends at once is never shown as running: nobody is to take it for available in between.
    let ends_at_once = matches!(&program, Program::Script(statements) if !statements.iter().any(Statement::takes_time));
    let failed = match &program {
        Program::Web => match Site::start(Arc::clone(&live.files), &pod.name, started) {
            Ok(site) => {
                live.site = Some(Arc::new(site));
                None
            }
            Err(error) => Some(format!("nginx: {error}")),
        },
        Program::Unsupported(why) => Some(why.clone()),
        Program::Script(_) | Program::Idle => None,
    };
    pod.set_live(index, Some(live.clone()));
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
    let result = if let Some(line) = failed {
        live.log.write(&line, Timestamp::now());
        let code = if matches!(program, Program::Web) { 1 } else { 127 };
        (code, String::new())
    } else {
        let (kill, mut killed) = mpsc::channel(1);
        let _probes = spawn_probes(pod, index, &spec, &kill);
        tokio::select! {
            code = execute(pod, &program, &live) => (code, String::new()),
            Some(why) = killed.recv() => {
                let message = format!("Container {name} failed {why} probe, will be restarted");
                pod.tell(index, &Telling::normal("Killing", message));
                // nginx ends well when it is told to; a shell does not listen
                (if matches!(program, Program::Web) { 0 } else { 137 }, String::new())
            }
        }
    };
    pod.set_live(index, None);
    result
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
