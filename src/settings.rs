//! What the environment decides, read once at the start and passed down as arguments.

use std::path::PathBuf;

/// The program's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where workspaces live: `TUTORIAL_HOME`, else `~/tutorial`.
    pub home: PathBuf,
    /// By how much the embedded cluster's back-offs, deadlines and probe periods are shortened:
    /// `TUTORIAL_TIME_FACTOR`, 1 where absent.
    pub time_factor: f64,
}

impl Settings {
    /// Reads the settings from environment variables; `variable` is `std::env::var` outside tests.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let home = variable("TUTORIAL_HOME").filter(|home| !home.is_empty()).map_or_else(
            || PathBuf::from(variable("HOME").unwrap_or_else(|| ".".into())).join("tutorial"),
            PathBuf::from,
        );
        let time_factor = variable("TUTORIAL_TIME_FACTOR")
            .and_then(|factor| factor.parse().ok())
            .filter(|factor: &f64| factor.is_finite() && *factor >= 1.0)
            .unwrap_or(1.0);
        Self { home, time_factor }
    }
}
