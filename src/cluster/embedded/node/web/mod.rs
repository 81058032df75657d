//! The built-in web server: what an image built from `nginx` runs. It reads nginx's configuration and serves the
//! container's files as nginx would; what it does not know of the configuration fails the start, by name.

mod config;
mod expires;
mod mime;
mod serve;
mod site;
mod syntax;
#[cfg(test)]
mod tests;

pub use config::ConfigError;
pub use serve::serve_connection;
pub use site::{Answer, Query, Site};
