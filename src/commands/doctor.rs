//! `tutorial doctor`: what is installed, what is needed, how to get it.

use serde::Serialize;

use crate::args::DoctorArgs;
use crate::doctor::{self, Finding, State, Surroundings};
use crate::error::{Exit, Failure};
use crate::session::Host;

#[allow(clippy::unnecessary_wraps, reason = "as all commands")]
pub fn run(host: &Host, arguments: &DoctorArgs) -> Result<Exit, Failure> {
    let findings = host.block_on(doctor::examine(&surroundings(host)));
    let ok = doctor::is_ok(&findings);
    if arguments.json {
        host.ui.line(&to_json(ok, &findings));
    } else {
        host.ui.data(&render(host, ok, &findings));
    }
    Ok(if ok { Exit::Done } else { Exit::NotYet })
}

/// Nothing of a course goes without git: where it is missing, that is said before anything else can fail by it.
pub fn require_git(host: &Host) -> Result<(), Failure> {
    let finding = host.block_on(doctor::git(&surroundings(host)));
    if finding.state != State::Missing {
        return Ok(());
    }
    Err(Failure::new(format!("git {} is needed to go on", finding.needed))
        .caused_by(format!("git: {}", finding.found))
        .hint(format!("{}; `tutorial doctor` checks it", finding.remedy)))
}

fn surroundings(host: &Host) -> Surroundings {
    let terminal = console::Term::stdout();
    let size = terminal.is_term().then(|| terminal.size());
    Surroundings {
        environment: host.environment.clone(),
        home: host.settings.home.clone(),
        program: host.program.clone(),
        terminal: size.map(|(rows, columns)| (usize::from(columns), usize::from(rows))),
    }
}

/// The documented form of `doctor --json`.
fn to_json(ok: bool, findings: &[Finding]) -> String {
    #[derive(Serialize)]
    struct Json<'f> {
        ok: bool,
        checks: &'f [Finding],
    }
    serde_json::to_string_pretty(&Json { ok, checks: findings }).expect("plain data with string keys")
}

fn render(host: &Host, ok: bool, findings: &[Finding]) -> String {
    let style = host.ui.style();
    let width = host.ui.width();
    let mut text = String::new();
    for finding in findings {
        let (sign, detail) = match finding.state {
            State::Ok => (style.good("✓"), String::new()),
            State::Warning => (style.dim("–"), format!("; {}", finding.needed)),
            State::Missing => (style.bad("✗"), format!("; needed: {}", finding.needed)),
        };
        let line = format!("{sign} {:<11} {}{}", finding.name, finding.found, style.commands(&detail));
        text.push_str(&crate::ui::hang(&line, width, 14));
        if finding.state != State::Ok && !finding.remedy.is_empty() {
            let remedy = format!("{}{}", " ".repeat(14), style.dim(&style.commands(&finding.remedy)));
            text.push_str(&crate::ui::hang(&remedy, width, 14));
        }
    }
    let conclusion = if ok {
        style.commands("\nYou can begin: `tutorial start`.\n")
    } else {
        "\nWhat is marked with ✗ is needed before you can begin.\n".to_owned()
    };
    text + &conclusion
}
