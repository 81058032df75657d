//! Mistakes in the shell scripts of a course, as the shell itself tells them: `sh -n` reads and runs nothing.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::course::check::Probe;
use crate::course::diagnostics::Place;
use crate::course::model::{Part, Step};
use crate::course::{Course, Diagnostic, Severity};

/// What the shell says of all scripts that stand in fences of their own.
pub fn mistakes(course: &Course) -> Vec<Diagnostic> {
    course.steps().flat_map(|(_, step)| scripts(step)).filter_map(|(text, location)| mistake(text, location)).collect()
}

/// The scripts of a step with the places of their fences.
fn scripts(step: &Step) -> Vec<(&str, &str)> {
    let shown = step.body.iter().filter_map(|part| match part {
        Part::Run(script) | Part::Type(script) => Some(script),
        _ => None,
    });
    let named = step.alternatives.iter().chain(&step.wrongs).map(|answer| &answer.script);
    let scripts = shown.chain(&step.setup).chain(&step.cleanup).chain(&step.solution).chain(named);
    let checks = step.checks.iter().filter_map(|check| match &check.probe {
        Probe::Shell { script } => Some((script.as_str(), check.location.as_str())),
        _ => None,
    });
    scripts.map(|script| (script.text.as_str(), script.location.as_str())).chain(checks).collect()
}

fn mistake(script: &str, location: &str) -> Option<Diagnostic> {
    let mut child = Command::new("sh")
        .arg("-n")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .env("LC_ALL", "C")
        .spawn()
        .ok()?;
    // A shell that gave up reading has said why.
    let _ = child.stdin.take()?.write_all(script.as_bytes());
    let output = child.wait_with_output().ok()?;
    if output.status.success() {
        return None;
    }
    let (number, reason) = complaint(&String::from_utf8_lossy(&output.stderr));
    let (path, fence_line) = location.rsplit_once(':')?;
    let number = number.clamp(1, script.lines().count().max(1));
    let text = script.lines().nth(number - 1).unwrap_or_default().to_owned();
    let place = Place {
        path: path.to_owned(),
        line: fence_line.parse::<usize>().ok()? + number,
        column: 1,
        span: 0..text.len(),
        text,
    };
    Some(Diagnostic {
        severity: Severity::Error,
        message: format!("the shell cannot read this: {reason}"),
        place: Some(place),
        help: None,
    })
}

/// The line and the reason in `sh: 3: Syntax error: …` or `sh: line 3: syntax error …`.
fn complaint(said: &str) -> (usize, String) {
    let line = said.lines().next().unwrap_or_default();
    let mut parts = line.splitn(3, ": ");
    let (_, number, reason) = (parts.next(), parts.next().unwrap_or_default(), parts.next());
    let number = number.trim_start_matches("line ").parse();
    match (number, reason) {
        (Ok(number), Some(reason)) => (number, reason.trim_start_matches("Syntax error: ").to_owned()),
        _ => (1, line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_complain_in_two_ways() {
        fn check(said: &str, expected: (usize, &str)) {
            let (line, reason) = complaint(said);
            assert_eq!((line, reason.as_str()), expected);
        }
        check("sh: 3: Syntax error: Unterminated quoted string\n", (3, "Unterminated quoted string"));
        check(
            "sh: line 2: syntax error near unexpected token `)'\nsh: line 2: `)'\n",
            (2, "syntax error near unexpected token `)'"),
        );
        check("something else", (1, "something else"));
    }

    #[test]
    fn a_script_that_cannot_be_read_is_told_at_its_line() {
        assert_eq!(mistake("echo \"$x\"\nif true; then\n  echo\nfi\n", "a.md:10"), None);
        let found = mistake("true\n)\n", "a.md:10").and_then(|mistake| mistake.place).expect("a mistake with a place");
        assert_eq!((found.path.as_str(), found.line, found.text.as_str()), ("a.md", 12, ")"));
    }
}
