//! The image registry: the part of the OCI distribution protocol that werf, Docker and the agent use.
