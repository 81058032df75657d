//! The plain types of a declarative check, as lessons write them. `checks` evaluates them; nothing here
//! touches a cluster or a file.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// One check of a step: what it looks at and what it expects.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub name: String,
    /// How long to await the expected state; `None` is a single observation.
    pub within: Option<Duration>,
    /// The author's message for a failure, with `{expected}` and `{actual}`.
    pub otherwise: Option<String>,
    pub probe: Probe,
    /// Where it stands in the lesson, `file:line`.
    pub location: String,
}

/// What a check looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    Git(GitProbe),
    Kubernetes(KubernetesProbe),
    Release(ReleaseProbe),
    Http(HttpProbe),
    File(FileProbe),
    Command(CommandProbe),
    /// `sh check`: exit 0 passed; 126, 127, a signal or the time limit: broken; else not yet.
    Shell {
        script: String,
    },
}

/// The learner's repository, read with gix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GitProbe {
    /// The branch (or other revision) that the other fields speak of; HEAD where absent.
    pub branch: Option<String>,
    /// The commit that the branch must point at (any revision).
    pub head: Option<String>,
    /// Index and work tree equal HEAD, untracked files included (ignored ones apart).
    pub clean: Option<bool>,
    /// The branch exists (or must not).
    pub exists: Option<bool>,
    /// The branch is the one checked out.
    pub current: Option<bool>,
    /// Paths that the branch's tree must contain.
    pub contains_file: Vec<String>,
    /// Paths that the branch's tree must not contain.
    pub lacks_file: Vec<String>,
    /// Path to regular expression, on the content in the branch's tree.
    pub file_matches: BTreeMap<String, String>,
    /// Regular expression on the tip's message.
    pub message_matches: Option<String>,
    /// The branch has commits that this revision lacks, and contains it.
    pub ahead_of: Option<String>,
    /// A tag that must exist and, with `branch`, point at its tip.
    pub tag: Option<String>,
    /// The least number of commits reachable from the branch.
    pub commits_min: Option<u64>,
}

/// Objects of the cluster, any kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KubernetesProbe {
    pub kind: String,
    pub api_version: Option<String>,
    pub name: Option<String>,
    pub namespace: Option<String>,
    /// A label selector, where several objects are meant.
    pub selector: Option<String>,
    /// Rolled out (Deployment, …), Ready (Pod), or simply there.
    pub ready: Option<bool>,
    pub absent: Option<bool>,
    pub count: Option<u64>,
    /// Field path (`spec.replicas`, `spec.ports[0].nodePort`, `metadata.labels['a.b/c']`) to its value.
    pub fields: BTreeMap<String, Value>,
}

/// The latest record of a release, as Helm and werf keep it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReleaseProbe {
    pub name: String,
    /// The namespace; the release's name where absent.
    pub namespace: Option<String>,
    pub status: Option<String>,
    pub revision: Option<u64>,
    pub revision_min: Option<u64>,
    pub absent: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpProbe {
    pub url: String,
    pub status: Option<u16>,
    pub contains: Option<String>,
    pub not_contains: Option<String>,
    /// Nothing answers there.
    pub unreachable: Option<bool>,
}

/// A file of the work tree.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileProbe {
    pub path: String,
    pub exists: Option<bool>,
    pub contains: Option<String>,
    pub not_contains: Option<String>,
    pub matches: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommandProbe {
    pub run: String,
    pub exit: Option<i32>,
    pub stdout_matches: Option<String>,
    pub stderr_matches: Option<String>,
}
