//! What goes wrong in the agent, in werf's own words: a chain of contexts that ends in a cause, printed on one
//! line as `Error: outer: inner: cause`.

use std::fmt;

use thiserror::Error;

use crate::error::{Exit, Explain};

/// Two paragraphs that werf puts behind every refusal of uncommitted files.
const GITERMINISM_ADVICE: &str = "\n\nYou may be interested in the development mode (activated by the --dev option), which allows working with project files without doing redundant commits during debugging and development.\n\nTo provide a strong guarantee of reproducibility, werf reads the configuration and build's context files from the project git repository, and eliminates external dependencies. We strongly recommend following this approach, but if necessary, you can allow the reading of specific files directly from the file system and enable the features that require careful use.";

/// Why a command of the agent failed.
#[derive(Debug, Error)]
pub enum Fault {
    /// A cause with what was being done when it struck.
    #[error("{what}: {cause}")]
    Within {
        /// What was being done.
        what: String,
        /// What struck.
        cause: Box<Fault>,
    },
    /// There is no git work tree here.
    #[error(
        "unable to get git work tree: werf requires a git work tree for the project to exist: unable to find a valid .git in the current directory {0:?} or parent directories, you may also specify git work tree explicitly with --git-work-tree option (or WERF_GIT_WORK_TREE env var)"
    )]
    NoWorkTree(String),
    /// Git could not be read.
    #[error("{0}")]
    Git(String),
    /// Files that the deployment depends on differ from the commit.
    #[error("{}{GITERMINISM_ADVICE}", uncommitted(.untracked, .paths))]
    Uncommitted {
        /// Whether git does not know them at all.
        untracked: bool,
        /// Which, sorted; never empty.
        paths: Vec<String>,
    },
    /// A file that must be in the commit is not.
    #[error("the file {0:?} not found in the project git repository")]
    Missing(String),
    /// The request's or a file's content is wrong; the text is werf's.
    #[error("{0}")]
    Invalid(String),
    /// What the embedded werf does not do although werf does.
    #[error("the embedded werf does not support {what}")]
    Unsupported {
        /// The command, option or instruction.
        what: String,
        /// What to do instead, where there is more to say than to take the real werf.
        instead: Option<String>,
    },
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The Kubernetes API refused; the message is its own.
    #[error("{message}")]
    Api {
        /// The HTTP status.
        code: u16,
        /// The machine-readable reason.
        reason: String,
        /// The API server's message.
        message: String,
    },
    /// The cluster does not answer.
    #[error("kubernetes cluster unreachable: {0}")]
    Unreachable(String),
    /// The Docker engine, which builds images for a real cluster, does not answer.
    #[error("cannot build images: {message}")]
    Engine {
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The registry refused or does not answer.
    #[error("{0}")]
    Registry(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Fault {
    /// The same fault with what was being done in front.
    #[must_use]
    pub fn within(self, what: impl Into<String>) -> Self {
        Self::Within { what: what.into(), cause: Box::new(self) }
    }

    /// The fault below all contexts.
    pub fn root(&self) -> &Self {
        match self {
            Self::Within { cause, .. } => cause.root(),
            root => root,
        }
    }

    /// A fault whose text is werf's.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    /// A command, option or instruction that the embedded werf does not have.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), instead: None }
    }

    /// Whether the API answered that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self.root(), Self::Api { code: 404, .. })
    }
}

impl Explain for Fault {
    fn hint(&self) -> Option<String> {
        match self.root() {
            Self::Unsupported { instead: Some(instead), .. } => Some(instead.clone()),
            Self::Unsupported { .. } => {
                Some("the real werf does: install it and start the course with `tutorial start --sandbox kind`".into())
            }
            Self::Engine { hint, .. } => hint.clone(),
            Self::Unreachable(_) => Some("`tutorial cluster status` says whether the sandbox is running".into()),
            _ => None,
        }
    }

    fn exit(&self) -> Exit {
        Exit::NotYet
    }
}

/// Adds what was being done to an error on its way up.
pub trait Context<T> {
    /// Prefixes the error.
    fn within(self, what: impl Into<String>) -> Result<T, Fault>;
}

impl<T, E: Into<Fault>> Context<T> for Result<T, E> {
    fn within(self, what: impl Into<String>) -> Result<T, Fault> {
        self.map_err(|error| error.into().within(what))
    }
}

impl From<crate::release::ReleaseError> for Fault {
    fn from(error: crate::release::ReleaseError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// werf's sentence on uncommitted files: one file by name, several as a list.
fn uncommitted(untracked: &bool, paths: &[String]) -> impl fmt::Display {
    let (one, many) = if *untracked { ("untracked file", "untracked files") } else { ("file", "files") };
    match paths {
        [path] => format!("the {one} {path:?} must be committed"),
        paths => {
            let list: String = paths.iter().map(|path| format!(" - {path}\n")).collect();
            format!("the following {many} must be committed:\n\n{}", list.trim_end())
        }
    }
}
