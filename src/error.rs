//! How failures are told: what failed, what caused it, what to do next. Leaf modules define their own
//! error enums and implement [`Explain`]; only this module formats them.

use std::error::Error;
use std::fmt;

/// The remedy for a full disk.
pub const DISK_FULL: &str = "free some disk space, then try again; nothing of yours is lost";

/// What a process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or every check passed.
    Done = 0,
    /// A check does not pass yet, or the operation failed.
    NotYet = 1,
    /// Wrong usage.
    Usage = 2,
    /// A broken lesson or check: the author's fault, not the learner's.
    Broken = 3,
    /// Interrupted by the user.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that knows its remedy.
pub trait Explain: Error + Send + Sync + 'static {
    /// The next thing to try, as a sentence that may hold commands in backticks.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The exit code that this error ends the process with.
    fn exit(&self) -> Exit {
        Exit::NotYet
    }
}

/// A failure on its way to the user: any [`Explain`] with its chain of causes.
#[derive(Debug)]
pub struct Failure {
    /// What failed.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// How the process ends.
    pub exit: Exit,
}

impl Failure {
    /// A failure without a cause below it.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), hint: None, exit: Exit::NotYet }
    }

    /// The same failure with a cause added below those it has.
    #[must_use]
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// The same failure with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure with another exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The text for stderr: `error:`, `caused by:` and `hint:` lines, without colours.
    pub fn render(&self) -> String {
        use fmt::Write;
        let mut text = format!("error: {}\n", self.message);
        for cause in &self.causes {
            let _ = writeln!(text, "caused by: {cause}");
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "hint: {hint}");
        }
        text
    }
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        let mut is_full = false;
        while let Some(cause) = source {
            causes.push(cause.to_string());
            let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            is_full |= kind == Some(std::io::ErrorKind::StorageFull);
            source = cause.source();
        }
        // Wherever a disk is full, the remedy is the same.
        let hint = if is_full { Some(DISK_FULL.into()) } else { error.hint() };
        Self { message: error.to_string(), causes, hint, exit: error.exit() }
    }
}
