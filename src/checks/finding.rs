//! What one observation found, and how several expectations of one check become one finding.

use super::State;

/// One observation of a check.
#[derive(Debug, Clone)]
pub struct Finding {
    pub state: State,
    pub expected: String,
    pub actual: String,
    pub hint: String,
    /// What was asked and read, line by line.
    pub observation: Vec<String>,
    /// What a script of the lesson says is to be tried: it knows more than the author's `else`.
    pub remedy: Option<String>,
    /// Something is under way that may still bring what is expected; else waiting is of no use.
    pub in_progress: bool,
    /// What changes while something is under way that cannot be seen itself.
    pub trace: Option<String>,
}

impl Finding {
    /// The check itself is wrong.
    pub fn broken(expected: impl Into<String>, why: impl Into<String>) -> Self {
        Self::of(State::Broken, expected, why, "")
    }

    /// What the check looks at could not be reached.
    pub fn unreachable(expected: impl Into<String>, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of(State::Unreachable, expected, why, hint)
    }

    pub fn failed(expected: impl Into<String>, actual: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of(State::Failed, expected, actual, hint)
    }

    pub fn passed(expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Self::of(State::Passed, expected, actual, "")
    }

    fn of(state: State, expected: impl Into<String>, actual: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            state,
            expected: expected.into(),
            actual: actual.into(),
            hint: hint.into(),
            observation: Vec::new(),
            remedy: None,
            in_progress: true,
            trace: None,
        }
    }

    #[must_use]
    pub fn observing(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.observation.extend(lines.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn remedied_by(mut self, remedy: Option<String>) -> Self {
        self.remedy = remedy;
        self
    }

    #[must_use]
    pub fn traced_by(mut self, trace: Option<String>) -> Self {
        self.trace = trace;
        self
    }

    #[must_use]
    pub fn in_progress(mut self, in_progress: bool) -> Self {
        self.in_progress = in_progress;
        self
    }
}

/// One expectation of a check with what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    pub met: bool,
    pub expected: String,
    pub actual: String,
    pub hint: String,
}

impl Expectation {
    pub fn met(expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Self { met: true, expected: expected.into(), actual: actual.into(), hint: String::new() }
    }

    pub fn unmet(expected: impl Into<String>, actual: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { met: false, expected: expected.into(), actual: actual.into(), hint: hint.into() }
    }
}

/// All expectations as one finding: those that are not met are told, or where all are, all of them.
pub fn conclude(expectations: &[Expectation]) -> Finding {
    let unmet: Vec<&Expectation> = expectations.iter().filter(|expectation| !expectation.met).collect();
    let join = |parts: &[&Expectation], part: fn(&Expectation) -> &str| {
        let mut seen: Vec<&str> = Vec::new();
        for text in parts.iter().map(|expectation| part(expectation)) {
            if !text.is_empty() && !seen.contains(&text) {
                seen.push(text);
            }
        }
        seen.join("; ")
    };
    if expectations.is_empty() {
        return Finding::broken("", "the check expects nothing");
    }
    let Some(first) = unmet.first() else {
        let all: Vec<&Expectation> = expectations.iter().collect();
        return Finding::passed(join(&all, |one| &one.expected), join(&all, |one| &one.actual));
    };
    Finding::failed(join(&unmet, |one| &one.expected), join(&unmet, |one| &one.actual), &first.hint)
}
