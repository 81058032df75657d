//! `tutorial answer`: answers a question of the step where no menu is.

use crate::args::AnswerArgs;
use crate::error::{Exit, Failure};
use crate::session::{Host, Session};

pub fn run(host: &Host, arguments: &AnswerArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, &arguments.workspace)?;
    let letters: Vec<char> =
        arguments.letters.iter().flat_map(|word| word.chars()).filter(|letter| *letter != ',').collect();
    let question = arguments.question.map(|number| usize::from(number) - 1);
    let is_right = session.answer_quiz(question, &letters)?;
    Ok(if is_right { Exit::Done } else { Exit::NotYet })
}
