//! The course on real clusters: one that tutorial makes by kind's means, and one that the real kind made.
//!
//! Slow, so they run where TUTORIAL_DOCKER_TESTS=1 or TUTORIAL_REQUIRE_DOCKER=1 is set; with the latter, that no engine
//! answers is a failure.
