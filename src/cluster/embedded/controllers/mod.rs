//! Controllers: pure plans over a snapshot, carried out by one driver.
//!
//! Place: above the registry, to which they write as any client does, and so meet the same conflicts.
//! Invariants: a plan is a function of its snapshot and the clock; one task carries plans out, one after the other;
//! while nothing changes and no deadline is due, nothing runs; every retry waits longer than the one before.

mod change;
mod clock;
mod deployment;
mod driver;
mod endpoints;
mod garbage;
mod namespace;
mod object;
mod queue;
mod replica_set;
mod route;
mod sync;

pub use driver::{Controllers, Options, start};
