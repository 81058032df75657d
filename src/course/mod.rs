//! Courses: the parser from Markdown and YAML to types that cannot be wrong.

pub mod check;
pub mod model;
