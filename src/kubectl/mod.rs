//! The built-in kubectl, for machines that have none.
