//! The API over HTTP/1.1 and HTTP/2 on TLS: routes, authentication, negotiation, watches, discovery.
//!
//! Place: above the registry, through which it reads and writes; what concerns a running pod it asks of the node
//! through [`PodAccess`].
//! Invariants: whatever is not served answers a Kubernetes `Status`, never a wrong success; without credentials
//! nothing but the version and the health checks is told; every body, stream and queue is bounded.

mod access;
mod admin;
mod answer;
mod auth;
mod body;
mod decode;
mod discovery;
mod handle;
mod health;
mod list;
mod negotiate;
mod objects;
mod openapi;
#[cfg(test)]
mod parser_tests;
mod pods;
mod query;
mod remote;
mod reviews;
mod route;
mod scale;
mod selector;
mod server;
mod table;
mod token;
mod watch;

pub use access::{Duplex, ExecRequest, ExecStreams, LogOptions, NoPods, PodAccess};
pub use health::VERSION;
pub use server::{Server, Settings, serve};
