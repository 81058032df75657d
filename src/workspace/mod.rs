//! The workspace on disk: progress, the repository, snapshots, the environment of its shells.
