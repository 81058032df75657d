//! The one integration-test binary; each module is a family.

#[path = "suite/course.rs"]
mod course;

#[path = "suite/render.rs"]
mod render;

#[path = "suite/architecture.rs"]
mod architecture;

#[path = "suite/background.rs"]
mod background;
