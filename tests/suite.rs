//! The one integration-test binary; each module is a family.
#![allow(
    clippy::items_after_statements,
    clippy::needless_for_each,
    clippy::type_complexity,
    clippy::zero_sized_map_values,
    reason = "a scene reads best with what it needs beside it"
)]

#[path = "suite/architecture.rs"]
mod architecture;
#[path = "suite/author.rs"]
mod author;
#[path = "suite/background.rs"]
mod background;
#[path = "suite/course.rs"]
mod course;
#[path = "suite/engine.rs"]
mod engine;
#[path = "suite/helm.rs"]
mod helm;
#[path = "suite/kind.rs"]
mod kind;
#[path = "suite/proof.rs"]
mod proof;
#[path = "suite/real_cluster.rs"]
mod real_cluster;
#[path = "suite/render.rs"]
mod render;

#[path = "suite/embedded.rs"]
mod embedded;

#[path = "suite/requests.rs"]
mod requests;

#[path = "suite/kubectl.rs"]
mod kubectl;

#[path = "suite/refusals.rs"]
mod refusals;
#[path = "suite/remote.rs"]
mod remote;
#[path = "suite/session.rs"]
mod session;

#[path = "suite/hostile.rs"]
mod hostile;

#[path = "suite/durability.rs"]
mod durability;

#[path = "suite/commands.rs"]
mod commands;
#[path = "suite/exactness.rs"]
mod exactness;
#[path = "suite/exec.rs"]
mod exec;
#[path = "suite/kubectl_builtin.rs"]
mod kubectl_builtin;
#[path = "suite/rollouts.rs"]
mod rollouts;
#[path = "suite/werf.rs"]
mod werf;
#[path = "suite/werf_releases.rs"]
mod werf_releases;
#[path = "suite/werf_scenes.rs"]
mod werf_scenes;

#[path = "suite/broken.rs"]
mod broken;
#[path = "suite/faults.rs"]
mod faults;
#[path = "suite/learner.rs"]
mod learner;
#[path = "suite/sample_app.rs"]
mod sample_app;
#[path = "suite/terminal.rs"]
mod terminal;

#[path = "suite/mistakes.rs"]
mod mistakes;

#[path = "suite/transcripts.rs"]
mod transcripts;
