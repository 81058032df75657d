//! Objects, one revision, bounded history, watch, a durable log.
