//! What goes wrong, in kubectl's words.

use serde_json::Value;

use super::REAL;
use crate::error::Explain;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum KubectlError {
    /// The API server's answer, a `Status`.
    #[error("{}", status_told(.0))]
    Status(Box<Value>),
    /// The same while doing something with an object of a file.
    #[error("{}", status_with_context(.status, .context))]
    StatusWhile { status: Box<Value>, context: String },
    #[error("The connection to the server {0} was refused - did you specify the right host or port?")]
    Refused(String),
    #[error("Unable to connect to the server: {0}")]
    Unreachable(String),
    #[error("error: {message}\nSee 'kubectl {command} --help' for usage.")]
    Usage { message: String, command: &'static str },
    #[error("error: unknown command \"{name}\" for \"kubectl\"{}", did_you_mean(.near))]
    UnknownCommand { name: String, near: Vec<&'static str> },
    #[error("error: {what} is not in the kubectl that is built into tutorial\n{REAL}")]
    Absent { what: String },
    #[error("error: the server doesn't have a resource type \"{0}\"")]
    UnknownKind(String),
    /// A command in a container ended with this code.
    #[error("command terminated with exit code {0}")]
    Exit(u8),
    /// Any other, already worded.
    #[error("error: {0}")]
    Other(String),
    /// Worded as it is, without a prefix.
    #[error("{0}")]
    Plain(String),
    /// Several, of which each is told.
    #[error("{}", .0.iter().map(KubectlError::told_among_others).collect::<Vec<_>>().join("\n"))]
    Several(Vec<KubectlError>),
}

impl Explain for KubectlError {}

impl KubectlError {
    pub fn told(&self) -> String {
        self.to_string()
    }

    /// One of several is not taken apart into its causes.
    fn told_among_others(&self) -> String {
        match self {
            Self::StatusWhile { status, context } if status["reason"] == "Invalid" => {
                let message = status["message"].as_str().unwrap_or_default();
                format!("Error from server (Invalid): {context}: {message}")
            }
            other => other.told(),
        }
    }

    pub fn exit(&self) -> u8 {
        if let Self::Exit(code) = self { *code } else { 1 }
    }

    pub fn other(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }

    /// The server says that there is no such object.
    pub fn is_not_found(&self) -> bool {
        self.reason() == Some("NotFound")
    }

    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Status(status) | Self::StatusWhile { status, .. } => status["reason"].as_str(),
            _ => None,
        }
    }

    /// The server's message alone.
    pub fn message(&self) -> String {
        match self {
            Self::Status(status) => status["message"].as_str().unwrap_or_default().to_owned(),
            other => other.told(),
        }
    }

    /// The same with what was being done.
    #[must_use]
    pub fn while_doing(self, context: &str) -> Self {
        match self {
            Self::Status(status) => Self::StatusWhile { status, context: context.to_owned() },
            other => other,
        }
    }

    /// One error of several, or none.
    pub fn of(mut errors: Vec<Self>) -> Option<Self> {
        match errors.len() {
            0 => None,
            1 => errors.pop(),
            _ => Some(Self::Several(errors)),
        }
    }
}

fn did_you_mean(near: &[&str]) -> String {
    if near.is_empty() {
        return String::new();
    }
    let names: Vec<String> = near.iter().map(|name| format!("\t{name}")).collect();
    format!("\n\nDid you mean this?\n{}", names.join("\n"))
}

fn status_told(status: &Value) -> String {
    let message = status["message"].as_str().unwrap_or_default();
    match status["reason"].as_str() {
        Some("Invalid") if status["details"]["causes"].as_array().is_some_and(|causes| !causes.is_empty()) => {
            invalid(&status["details"])
        }
        Some("Unauthorized") => "error: You must be logged in to the server (Unauthorized)".into(),
        Some(reason) if !reason.is_empty() => format!("Error from server ({reason}): {message}"),
        _ => format!("Error from server: {message}"),
    }
}

fn invalid(details: &Value) -> String {
    let start = match (details["kind"].as_str(), details["name"].as_str()) {
        (Some(kind), Some(name)) => format!("The {kind} \"{name}\" is invalid"),
        _ => "The request is invalid".into(),
    };
    let causes: Vec<String> = details["causes"].as_array().into_iter().flatten().map(cause).collect();
    match causes.as_slice() {
        [one] => format!("{start}: {one}"),
        several => format!("{start}: \n* {}", several.join("\n* ")),
    }
}

fn cause(cause: &Value) -> String {
    let message = cause["message"].as_str().unwrap_or_default();
    match cause["field"].as_str() {
        Some(field) if !field.is_empty() => format!("{field}: {message}"),
        _ => message.to_owned(),
    }
}

fn status_with_context(status: &Value, context: &str) -> String {
    let message = status["message"].as_str().unwrap_or_default();
    match status["reason"].as_str() {
        Some("Invalid") => status_told(status),
        Some(reason) if !reason.is_empty() => format!("Error from server ({reason}): {context}: {message}"),
        _ => format!("Error from server: {context}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn as_kubectl_says_it() {
        fn check(error: &KubectlError, expected: &str) {
            assert_eq!(error.told(), expected);
        }
        let status = |value: Value| KubectlError::Status(Box::new(value));
        check(
            &status(json!({"reason": "NotFound", "message": "pods \"nothing\" not found"})),
            "Error from server (NotFound): pods \"nothing\" not found",
        );
        check(
            &status(json!({"reason": "Invalid", "message": "…", "details": {"kind": "ConfigMap", "name": "bad name",
                "causes": [{"field": "metadata.name", "message": "Invalid value"}]}})),
            "The ConfigMap \"bad name\" is invalid: metadata.name: Invalid value",
        );
        check(
            &status(json!({"reason": "AlreadyExists", "message": "x already exists"}))
                .while_doing("error when creating \"a.yaml\""),
            "Error from server (AlreadyExists): error when creating \"a.yaml\": x already exists",
        );
        check(
            &KubectlError::UnknownCommand { name: "gt".into(), near: vec!["get"] },
            "error: unknown command \"gt\" for \"kubectl\"\n\nDid you mean this?\n\tget",
        );
    }
}
