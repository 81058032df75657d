//! The embedded sandbox: a Kubernetes-compatible API server with controllers and a kubelet in one
//! background process.
//!
//! `schema` ← `store`, `apply`, `patch`, `admission` ← `registry` (the only writer) ← `api`, `controllers`,
//! `node`. Store, apply, patch and admission are synchronous and take `now`; controllers and node write
//! through the registry and so meet the same conflicts as kubectl.

pub mod admission;
pub mod api;
pub mod apply;
pub mod controllers;
pub mod events;
pub mod images;
pub mod node;
pub mod patch;
pub mod process;
pub mod registry;
pub mod schema;
pub mod status;
pub mod store;
