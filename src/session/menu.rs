//! What the learner is offered after a step's text: pure, from the situation alone.

/// What a learner can choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    GoOn,
    AnswerQuiz,
    Shell,
    Run,
    Copy,
    Check,
    Hint,
    Solve,
    Skip,
    Reset,
    Undo,
    Back,
    ShowAgain,
    Quit,
}

/// What the menu depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact about the step, and all may be combined")]
pub struct Situation {
    pub passed: bool,
    pub has_checks: bool,
    pub open_quizzes: usize,
    pub commands: usize,
    /// The commands have been run in this session.
    pub ran: bool,
    pub files: usize,
    /// No file is written, only changed.
    pub only_changes: bool,
    /// There is something for the clipboard.
    pub copies: bool,
    pub hints_shown: usize,
    pub hints: usize,
    pub has_solution: bool,
    /// Something was done for the learner that can be taken back.
    pub can_undo: bool,
    pub is_first: bool,
    pub is_last: bool,
}

impl Situation {
    /// Whether every hint has been shown, and there is one.
    pub fn has_shown_hints(&self) -> bool {
        self.hints > 0 && self.hints_shown >= self.hints
    }
}

/// What is offered, the likeliest first.
pub fn menu(situation: Situation) -> Vec<Action> {
    let to_do = situation.has_checks && !situation.passed;
    let mut actions = Vec::new();
    let mut offer = |wanted: bool, action: Action| {
        if wanted {
            actions.push(action);
        }
    };
    let offers = situation.commands + situation.files > 0;
    let to_run = offers && !situation.ran && !situation.passed;
    offer(to_run && !situation.has_checks, Action::Run);
    offer(situation.open_quizzes > 0 && !to_do, Action::AnswerQuiz);
    offer(!to_do, Action::GoOn);
    offer(to_do, Action::Shell);
    offer(offers && (situation.has_checks || !to_run), Action::Run);
    offer(situation.copies, Action::Copy);
    offer(situation.has_checks, Action::Check);
    offer(to_do && situation.hints > 0, Action::Hint);
    offer(to_do && situation.has_solution, Action::Solve);
    offer(to_do, Action::Skip);
    offer(!to_do, Action::Shell);
    offer(situation.has_checks, Action::Reset);
    offer(situation.can_undo, Action::Undo);
    offer(!situation.is_first, Action::Back);
    offer(true, Action::ShowAgain);
    offer(true, Action::Quit);
    actions
}

/// What stands above the menu.
pub fn prompt(situation: Situation) -> &'static str {
    if situation.passed && situation.has_checks { "Well done. What next?" } else { "What next?" }
}

/// How an action is offered.
pub fn label(action: Action, situation: Situation) -> String {
    let count = |number: usize, one: &str, many: &str| {
        if number == 1 { one.to_owned() } else { format!("{many} ({number})") }
    };
    match action {
        Action::GoOn if situation.is_last => "Finish".into(),
        Action::GoOn => "Go on".into(),
        Action::AnswerQuiz => count(situation.open_quizzes, "Answer the question", "Answer the questions"),
        Action::Shell => "Open a shell here".into(),
        Action::Run if situation.commands == 0 => {
            if situation.only_changes {
                count(situation.files, "Make the change for me", "Make the changes for me")
            } else {
                count(situation.files, "Write the file for me", "Write the files for me")
            }
        }
        Action::Run if situation.files == 0 => count(situation.commands, "Run the command", "Run the commands"),
        Action::Run => "Write the files and run the commands".into(),
        Action::Copy => "Copy to the clipboard".into(),
        Action::Check => "Check this step".into(),
        Action::Hint if situation.has_shown_hints() => {
            count(situation.hints, "Read the hint again", "Read the hints again")
        }
        Action::Hint => format!("Hint ({} of {})", situation.hints_shown + 1, situation.hints),
        Action::Solve => "Show the solution and apply it".into(),
        Action::Skip => "Skip this step (applies the solution)".into(),
        Action::Reset => "Put the step back to its start".into(),
        Action::Undo => "Take back what was done for you".into(),
        Action::Back => "Go back a step".into(),
        Action::ShowAgain => "Show the step again".into(),
        Action::Quit => "Quit; your progress is kept".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_action_stands_first() {
        fn check(situation: Situation, first: &[Action]) {
            let found = menu(situation);
            assert_eq!(&found[..first.len()], first, "{situation:?}");
            assert_eq!(found.last(), Some(&Action::Quit));
        }
        let reading = Situation { is_first: true, ..Situation::default() };
        check(reading, &[Action::GoOn, Action::Shell, Action::ShowAgain]);
        check(Situation { commands: 1, ..reading }, &[Action::Run, Action::GoOn, Action::Shell]);
        check(Situation { commands: 1, ran: true, ..reading }, &[Action::GoOn, Action::Run, Action::Shell]);
        check(Situation { open_quizzes: 1, ..reading }, &[Action::AnswerQuiz, Action::GoOn]);
        check(Situation { open_quizzes: 1, commands: 1, ..reading }, &[Action::Run, Action::AnswerQuiz, Action::GoOn]);
        let doing = Situation { has_checks: true, has_solution: true, commands: 2, hints: 3, ..Situation::default() };
        check(
            doing,
            &[Action::Shell, Action::Run, Action::Check, Action::Hint, Action::Solve, Action::Skip, Action::Reset],
        );
        check(
            Situation { commands: 0, files: 1, open_quizzes: 1, ..doing },
            &[Action::Shell, Action::Run, Action::Check],
        );
        let read = Situation { hints_shown: 3, can_undo: true, ..doing };
        check(read, &[Action::Shell, Action::Run, Action::Check, Action::Hint, Action::Solve]);
        assert_eq!(label(Action::Hint, read), "Read the hints again (3)");
        assert!(menu(read).contains(&Action::Undo) && !menu(doing).contains(&Action::Undo));
        check(Situation { passed: true, ..doing }, &[Action::GoOn, Action::Run, Action::Check, Action::Shell]);
        check(Situation { passed: true, open_quizzes: 1, ..doing }, &[Action::AnswerQuiz, Action::GoOn]);
    }
}
