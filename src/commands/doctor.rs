//! `tutorial doctor`: what is installed, what is needed, how to get it.

use crate::args::DoctorArgs;
use crate::error::{Exit, Failure};
use crate::session::Host;

pub fn run(_host: &Host, _arguments: &DoctorArgs) -> Result<Exit, Failure> {
    Err(Failure::new("`doctor` is not available yet"))
}
