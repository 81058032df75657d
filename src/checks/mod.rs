//! Evaluates checks: reads git, the cluster, releases, pages, files; changes nothing.
