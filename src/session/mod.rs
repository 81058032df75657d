//! The session: state on disk, moves, provisioning, snapshots; every command is a short run over it.
