//! What goes on while a cluster is made, in a learner's words.

use std::fmt;
use std::time::Duration;

/// A part of the work. Some go on at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Engine,
    Image,
    Network,
    Nodes,
    Boot,
    Init,
    Cni,
    Storage,
    Join,
    Ready,
    Registry,
    Access,
    Start,
}

impl Phase {
    pub const ALL: [Self; 13] = [
        Self::Engine,
        Self::Image,
        Self::Network,
        Self::Nodes,
        Self::Boot,
        Self::Init,
        Self::Cni,
        Self::Storage,
        Self::Join,
        Self::Ready,
        Self::Registry,
        Self::Access,
        Self::Start,
    ];

    /// What is being done, as the end of "I am …".
    pub fn doing(self) -> &'static str {
        match self {
            Self::Engine => "looking for Docker",
            Self::Image => "getting the node image",
            Self::Network => "making the nodes' network",
            Self::Nodes => "making the nodes",
            Self::Boot => "waiting for the nodes to boot",
            Self::Init => "starting Kubernetes' control plane",
            Self::Cni => "giving the pods a network",
            Self::Storage => "giving the pods storage",
            Self::Join => "joining the worker nodes",
            Self::Ready => "waiting for the cluster to be ready",
            Self::Registry => "starting the image registry",
            Self::Access => "making the keys to the cluster",
            Self::Start => "starting the cluster that was stopped",
        }
    }
}

/// How far a phase is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Begun,
    /// Bytes that were fetched, of those that are known of so far.
    Moved {
        bytes: u64,
        of_bytes: u64,
    },
    Finished,
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub phase: Phase,
    pub step: Step,
    /// Since the call.
    pub elapsed: Duration,
    /// What else is to be known, such as that another image was taken.
    pub note: Option<String>,
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.phase.doing())?;
        if let Step::Moved { bytes, of_bytes } = self.step {
            const MEGABYTE: u64 = 1_000_000;
            write!(formatter, " ({} of {} MB)", bytes / MEGABYTE, of_bytes.max(bytes) / MEGABYTE)?;
        }
        match &self.note {
            Some(note) => write!(formatter, ": {note}"),
            None => Ok(()),
        }
    }
}

/// Who is told.
pub type Told<'a> = &'a (dyn Fn(Progress) + Send + Sync);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let progress = |step, note: Option<&str>| Progress {
            phase: Phase::Image,
            step,
            elapsed: Duration::ZERO,
            note: note.map(str::to_owned),
        };
        assert_eq!(progress(Step::Begun, None).to_string(), "getting the node image");
        let moved = Step::Moved { bytes: 120_000_000, of_bytes: 400_000_000 };
        assert_eq!(progress(moved, None).to_string(), "getting the node image (120 of 400 MB)");
        let note = "kindest/node:v1.34.2 is here";
        assert_eq!(progress(Step::Finished, Some(note)).to_string(), format!("getting the node image: {note}"));
    }
}
