//! The version and the health checks: all that is told without credentials.

use serde_json::json;

use super::answer::{self, Answer};
use super::query::Query;
use super::server::Server;

/// The version that the embedded cluster says it is.
pub const VERSION: &str = "v1.34.2+tutorial";

pub(super) fn version() -> Answer {
    answer::json(
        200,
        &json!({
            "major": "1", "minor": "34",
            "emulationMajor": "1", "emulationMinor": "34",
            "minCompatibilityMajor": "1", "minCompatibilityMinor": "33",
            "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "2025-11-11T00:00:00Z", "goVersion": "none (embedded)", "compiler": "rustc",
            "platform": platform(),
        }),
    )
}

fn platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let system = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
    format!("{system}/{architecture}")
}

const CHECKS: [&str; 3] = ["ping", "log", "store"];

/// The whole process answers or does not; the names of the checks are its own.
pub(super) fn health(_server: &Server, page: &str, check: &str, query: &Query) -> Answer {
    if !check.is_empty() && !CHECKS.contains(&check) {
        return answer::page_not_found();
    }
    if query.all("verbose").next().is_none() {
        return answer::text(200, "ok");
    }
    let mut lines: Vec<String> = CHECKS.iter().map(|check| format!("[+]{check} ok\n")).collect();
    lines.push(format!("{page} check passed\n"));
    answer::text(200, lines.concat())
}
