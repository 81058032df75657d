//! The image registry: the part of the OCI distribution protocol that werf, Docker and the agent use, and the node's
//! own view of what is in it.
//!
//! Blobs and manifests are content-addressed files in the cluster's directory; what is there is whole and has the
//! digest that it is named by.

mod image;
mod server;
mod store;
#[cfg(test)]
mod tests;

pub use image::{FileTree, Image, Reference};
pub use server::serve;
pub use store::{ImageError, ImageStore, Manifest};
