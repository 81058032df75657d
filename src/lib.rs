//! Interactive tutorials on a sandbox Kubernetes cluster.
//!
//! The folder list tells the story: a [`course`] is read from Markdown, a [`session`] plays it in a
//! [`workspace`] on a [`cluster`], [`checks`] observe what the learner made of it, the [`agent`] deploys
//! as werf does, and [`ui`] shows it all. `ARCHITECTURE.md` names the invariants.

pub mod agent;
pub mod args;
pub mod checks;
pub mod cluster;
pub mod commands;
pub mod course;
pub mod discovery;
pub mod doctor;
pub mod engine;
pub mod error;
pub mod kubectl;
pub mod markdown;
pub mod release;
pub mod session;
pub mod settings;
pub mod ui;
pub mod workspace;
pub mod yaml;
