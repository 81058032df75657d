//! The embedded werf agent: converge, plan, render, dismiss, rollback, lint, version, helm, from the commit.
//!
//! A deployment is decided by pure functions over four inputs: the commit's files ([`repository`]), the
//! images' tags ([`image`]), the previous release and the live objects ([`cluster`]). Thin functions
//! carry it out. What is printed, and where the agent differs from werf, is recorded in `tests/golden/werf`.

mod chart;
mod configuration;
mod fault;
mod ignore;
mod manifest;
mod repository;
mod slug;
mod template;
mod values;
mod yaml;

/// Runs as `werf`; answers the exit code.
pub fn main(_arguments: &[String]) -> u8 {
    eprintln!("Error: the embedded werf is not available yet");
    1
}
