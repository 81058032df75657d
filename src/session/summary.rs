//! What the learner has done, once the course is over.

use std::fmt::Write;

use super::{Session, state};

impl Session<'_> {
    /// What was done, at the end.
    pub fn summary(&self) -> String {
        let ui = &self.host.ui;
        let style = ui.style();
        let (done, total) = state::counts(&self.course, &self.progress);
        let records = || state::places(&self.course).map(|place| self.progress.step(place.id()));
        let solved = records().filter(|record| record.solved).count();
        let answers: Vec<bool> = records().flat_map(|record| record.quizzes.into_values()).collect();
        let mut text = format!("\n{}\n\n", style.good(&format!("You have finished {}.", self.course.title)));
        let _ = write!(text, "  {done} of {total} steps done");
        let skipped = state::skipped(&self.course, &self.progress);
        if skipped > 0 {
            let _ = write!(text, ", {skipped} skipped");
        }
        if solved > skipped {
            let solved = solved - skipped;
            let _ = write!(text, ", {solved} with the solution");
        }
        text.push('\n');
        let open: usize = state::places(&self.course).map(|place| self.open_questions(place.id())).sum();
        if answers.len() + open > 0 {
            let right = answers.iter().filter(|right| **right).count();
            let _ = write!(text, "  {right} of {} questions right at the first try", answers.len() + open);
            text.push_str(&if open == 0 { "\n".to_owned() } else { format!(", {open} left open\n") });
        }
        if !self.course.objectives.is_empty() {
            text.push_str("\nYou can now\n");
            for objective in &self.course.objectives {
                let _ =
                    writeln!(text, "{}", ui.wrapped(&format!("  {} {}", style.good("✓"), style.commands(objective))));
            }
        }
        let end = "The sandbox still runs: play with it in `tutorial shell`. `tutorial stop` ends it, `tutorial remove` \
                   removes everything.";
        let _ = writeln!(text, "\n{}", ui.wrapped(&style.commands(end)));
        text
    }
}
