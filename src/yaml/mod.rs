//! YAML as Helm and Kubernetes read and write it, which is YAML 1.1 by way of JSON: `yes` and `on` are truths, `0123` is octal,
//! keys are sorted, lists are not indented. What Go's `sigs.k8s.io/yaml` does is the measure.

mod read;
mod words;
mod write;

pub use read::{Document, Repeated, parse, parse_document, parse_strict, parse_values};
pub use write::{write, write_indented};
