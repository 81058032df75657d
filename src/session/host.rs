//! What the process was given: its terminal, settings, environment, runtime. Made once, passed down.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use super::scripts::Scene;
use crate::error::{Exit, Failure};
use crate::settings::Settings;
use crate::ui::{Interruptions, Ui};
use crate::workspace::environment;

/// The process's surroundings.
#[derive(Debug)]
pub struct Host {
    pub ui: Ui,
    pub settings: Settings,
    /// The learner's environment, without what a session added to it.
    pub environment: BTreeMap<String, String>,
    /// `TUTORIAL_DIR`: the workspace of the shell that this runs in.
    pub session_directory: Option<PathBuf>,
    pub current_directory: PathBuf,
    /// This binary.
    pub program: PathBuf,
    pub runtime: tokio::runtime::Runtime,
    pub interruptions: Interruptions,
}

impl Host {
    /// Looks around.
    pub fn of_this_process() -> std::io::Result<Self> {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let variable = |name: &str| variables.get(name).cloned();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let program = std::env::current_exe()?;
        Ok(Self {
            ui: Ui::from_environment(variable),
            settings: Settings::from_environment(variable),
            session_directory: variable("TUTORIAL_DIR").filter(|path| !path.is_empty()).map(PathBuf::from),
            environment: environment::without_session(&variables),
            current_directory: std::env::current_dir()?,
            program: program.canonicalize().unwrap_or(program),
            interruptions: Interruptions::listen(runtime.handle()),
            runtime,
        })
    }

    /// The surroundings of a session that nobody sits in front of, with a home of its own.
    pub fn apart(&self, home: PathBuf) -> std::io::Result<Self> {
        Ok(Self {
            ui: self.ui.unattended(),
            settings: Settings { home: home.clone(), ..self.settings.clone() },
            environment: self.environment.clone(),
            session_directory: None,
            current_directory: home,
            program: self.program.clone(),
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
            interruptions: self.interruptions.clone(),
        })
    }

    /// Runs a future to its end. As a trait object, so that it is compiled once, and not for each way that the runtime
    /// could run it.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let future: Pin<Box<dyn Future<Output = T> + '_>> = Box::pin(future);
        self.runtime.block_on(future)
    }

    /// Where scripts of a lesson run, and what they see.
    pub fn scene<'a>(&'a self, directory: &'a Path, added: &'a [(String, String)]) -> Scene<'a> {
        Scene { directory, inherited: &self.environment, added, interruptions: Some(&self.interruptions) }
    }

    /// Ends what the session does where the learner pressed Ctrl-C and the session goes on.
    pub fn stop_if_interrupted(&self) -> Result<(), Failure> {
        if self.interruptions.was_caught() { Err(Failure::new("").exit(Exit::Interrupted)) } else { Ok(()) }
    }

    /// Seconds since 1970.
    pub fn now() -> i64 {
        Self::now_ms() / 1000
    }

    /// Milliseconds since 1970.
    pub fn now_ms() -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}
