//! The node: scheduler, pod stages, probes, logs, the built-in web server, the service proxy.
pub mod web;
