//! The embedded werf agent: converge, plan, render, dismiss, rollback, lint, version, helm, from the commit.
