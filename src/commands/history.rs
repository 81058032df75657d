//! `tutorial history`: what was run for the learner, step by step.

use crate::args::HistoryArgs;
use crate::error::{Exit, Failure};
use crate::session::history::{Deed, Entry};
use crate::session::{Host, Session};

pub fn run(host: &Host, arguments: &HistoryArgs) -> Result<Exit, Failure> {
    let session = Session::open(host, &arguments.workspace)?;
    let entries = session.history();
    if arguments.json {
        host.ui.line(&serde_json::to_string_pretty(&entries).expect("plain data with string keys"));
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        let style = host.ui.conversation_style();
        host.ui.say(&style.commands("Nothing was run here yet by `tutorial`; your shell has its own history."));
    }
    host.ui.data(&render(host, &entries));
    Ok(Exit::Done)
}

fn render(host: &Host, entries: &[Entry]) -> String {
    let style = host.ui.style();
    let mut text = String::new();
    let mut step = "";
    for entry in entries {
        if entry.step != step {
            let gap = if step.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{}\n", style.accent(&entry.step)));
            step = &entry.step;
        }
        let sign = match entry.what {
            Deed::Ran | Deed::Solved => style.accent("$"),
            Deed::Wrote => style.accent("wrote"),
            Deed::Restored => style.warning("put back:"),
        };
        let by = if entry.what == Deed::Solved { style.dim("  (the solution)") } else { String::new() };
        for (number, line) in entry.text.lines().enumerate() {
            let by = if number == 0 { by.as_str() } else { "" };
            text.push_str(&format!("  {sign} {line}{by}\n"));
        }
    }
    text
}
