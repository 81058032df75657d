//! The background process that the embedded cluster runs in: one lock, one port kept for the workspace's life, a
//! version handshake.
//!
//! Place: [`serve`] is the process; the other functions are its client side and run in whatever command needs the
//! cluster. Both sides meet in the cluster's directory alone (see [`files`]).
//! Invariants: whoever holds `lock` serves, and nobody else writes the data; `running.json` is written once the
//! process answers and names the holder of the lock; starts and stops of one directory are one after the other,
//! under `start.lock`; what holds a secret is readable by its owner alone.

mod administration;
mod certificates;
mod client;
mod credential;
mod error;
mod files;
mod identity;
mod journal;
mod kubeconfig;
mod ports;
mod server;
#[cfg(test)]
mod tests;

pub use administration::{restore, snapshot};
pub use client::{Status, ensure_running, status, stop};
pub use credential::credential;
pub use error::{ProcessError, Reported};
pub use server::serve;
