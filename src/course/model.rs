//! A course as its author wrote it, after every mistake has been ruled out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::check::Check;
use crate::markdown::Block;

/// A course: a directory with `course.yaml` and one Markdown file per lesson.
#[derive(Debug, Clone)]
pub struct Course {
    pub id: String,
    pub title: String,
    pub description: String,
    pub objectives: Vec<String>,
    /// What the sandbox must offer.
    pub sandbox: SandboxNeeds,
    /// Programs that the course uses, `git` among them.
    pub tools: Vec<Tool>,
    /// Names that the course declares beyond the standard ones, with their values where it gives them.
    pub variables: Vec<(String, Option<String>)>,
    /// The directory name of the learner's repository inside the workspace.
    pub repository: String,
    pub lessons: Vec<Lesson>,
    pub source: Source,
}

/// Where a course's files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Compiled into the binary; files by their path inside the course, `COURSE_DIR` is a copy of them.
    BuiltIn,
    /// A directory on disk.
    Directory(PathBuf),
}

/// `sandbox:` in `course.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxNeeds {
    /// `PROJECT`, the prefix of namespaces and releases.
    pub project: String,
    /// Environment name (`development`) to the `NodePort` of its page.
    pub environments: BTreeMap<String, u16>,
    /// Which sandboxes the course runs on; empty means all.
    pub kinds: Vec<String>,
}

/// A program that the course uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    pub name: String,
    /// The least version, `2.18`.
    pub version_min: Option<String>,
    /// Without it the course still works, on what is built in.
    pub optional: bool,
}

/// One Markdown file: an introduction and steps.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// The file's stem, `01-first-commit`.
    pub id: String,
    pub title: String,
    /// How long it takes, in minutes.
    pub minutes: Option<u32>,
    /// Prose before the first step.
    pub introduction: Vec<Block>,
    pub steps: Vec<Step>,
}

/// A step's id, unique in its course.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub String);

impl std::fmt::Display for StepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is read, done and checked in one go.
#[derive(Debug, Clone)]
pub struct Step {
    pub id: StepId,
    pub title: String,
    /// Prose and the fences that are shown, in order.
    pub body: Vec<Part>,
    /// Hidden; run before the step and on reset, may run twice.
    pub setup: Vec<Script>,
    pub cleanup: Vec<Script>,
    pub checks: Vec<Check>,
    /// `NAME: command`, run when the step passes, kept as variables.
    pub saves: Vec<Save>,
    /// The author's solution; `None` means the run, type and file parts of `body` in order.
    pub solution: Option<Script>,
    /// Other right answers.
    pub alternatives: Vec<NamedScript>,
    /// Nearly right answers that must not pass.
    pub wrongs: Vec<NamedScript>,
    pub hints: Vec<Hint>,
    /// Shown after the step passes.
    pub debrief: Vec<Block>,
    /// Where it stands, `file:line`.
    pub location: String,
}

impl Course {
    /// All steps in order, with the lesson of each.
    pub fn steps(&self) -> impl Iterator<Item = (&Lesson, &Step)> {
        self.lessons.iter().flat_map(|lesson| lesson.steps.iter().map(move |step| (lesson, step)))
    }

    /// The step of an id.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps().map(|(_, step)| step).find(|step| step.id == *id)
    }
}

impl Step {
    /// Whether the learner has something to do that a check can look at.
    pub fn asks_for_action(&self) -> bool {
        self.solution.is_some() || self.body.iter().any(|part| matches!(part, Part::Type(_) | Part::File(_)))
    }

    /// Whether the parts that are shown make up a solution.
    pub fn has_implied_solution(&self) -> bool {
        self.body.iter().any(|part| matches!(part, Part::Run(_) | Part::Type(_) | Part::File(_)))
    }

    /// The questions that the step asks.
    pub fn quizzes(&self) -> impl Iterator<Item = &Quiz> {
        self.body.iter().filter_map(|part| match part {
            Part::Quiz(quiz) => Some(quiz),
            _ => None,
        })
    }
}

/// What a step shows, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Prose(Block),
    /// Offered to run with one key.
    Run(Script),
    /// The learner is to type it.
    Type(Script),
    /// To the clipboard.
    Copy(Script),
    /// A file to write, relative to the learner's repository.
    File(FilePart),
    /// Sample output.
    Expect {
        language: String,
        text: String,
    },
    Quiz(Quiz),
}

impl Part {
    /// The element that shows the part; a quiz is asked, not shown.
    pub fn block(&self) -> Option<Block> {
        let code = |language: &str, text: &str, label: Option<String>| {
            let text = text.trim_end_matches('\n').to_owned();
            Some(Block::Code { language: language.to_owned(), text, label })
        };
        match self {
            Self::Prose(block) => Some(block.clone()),
            Self::Run(script) => code("sh", &script.text, Some("run this".into())),
            Self::Type(script) => code("sh", &script.text, Some("type this".into())),
            Self::Copy(script) => code("", &script.text, Some("copy this".into())),
            Self::File(file) => {
                let label = match file.mode {
                    FileMode::Write => file.path.clone(),
                    FileMode::Append => format!("add to {}", file.path),
                    FileMode::Patch => format!("change {}", file.path),
                };
                code(&file.language, &file.text, Some(label))
            }
            Self::Expect { language, text } => code(language, text, Some("what you should see".into())),
            Self::Quiz(_) => None,
        }
    }
}

/// A file that the step shows, and that the learner or the program writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    pub path: String,
    pub language: String,
    /// The content with its last line break, or the diff.
    pub text: String,
    pub mode: FileMode,
    /// `file:line` of its fence.
    pub location: String,
}

impl FilePart {
    /// Whether a file that is there is changed; else it is written whole.
    pub fn is_change(&self) -> bool {
        self.mode != FileMode::Write
    }
}

/// What is done with a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    Write,
    Append,
    /// `text` is a unified diff.
    Patch,
}

/// A shell script of a lesson. Variables reach it as environment variables; what is shown has them replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub text: String,
    /// `file:line` of its fence.
    pub location: String,
}

/// An answer beside the solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedScript {
    pub name: String,
    pub script: Script,
}

/// A variable that is kept when the step passes: the output of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save {
    pub name: String,
    pub command: String,
    /// `file:line` of its entry.
    pub location: String,
}

/// One hint; they are given in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Shown only while the check of this name fails.
    pub when: Option<String>,
    pub content: Vec<Block>,
}

/// A question with its options, one right at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiz {
    pub question: String,
    pub options: Vec<QuizOption>,
}

/// An answer to choose, and what is said when it is chosen. Texts are Markdown of one paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuizOption {
    pub text: String,
    pub right: bool,
    pub explanation: String,
}
