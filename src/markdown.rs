//! The flat elements that `course` makes from Markdown and `ui` renders: a leaf that both share.

/// A block of a lesson's prose, variables already replaced where the learner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    Heading {
        level: u8,
        content: Vec<Inline>,
    },
    Paragraph(Vec<Inline>),
    /// `start` is the first number of an ordered list, `None` for bullets.
    List {
        start: Option<u64>,
        items: Vec<ListItem>,
    },
    /// A fence or an indented block; `label` is shown above it (a file's path, `type this`).
    Code {
        language: String,
        text: String,
        label: Option<String>,
    },
    Quote(Vec<Block>),
    /// One of GitHub's five alerts.
    Alert {
        kind: AlertKind,
        content: Vec<Block>,
    },
    Table {
        alignments: Vec<Alignment>,
        header: Vec<Vec<Inline>>,
        rows: Vec<Vec<Vec<Inline>>>,
    },
    Rule,
}

/// An item of a list; `checked` is there for task-list items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListItem {
    pub checked: Option<bool>,
    pub content: Vec<Block>,
}

/// GitHub's five alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertKind {
    Note,
    Tip,
    Important,
    Warning,
    Caution,
}

/// How a table's column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    None,
    Left,
    Center,
    Right,
}

/// A piece of a paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inline {
    Text(String),
    Code(String),
    Emphasis(Vec<Inline>),
    Strong(Vec<Inline>),
    Strikethrough(Vec<Inline>),
    Link { url: String, content: Vec<Inline> },
    Image { url: String, alt: String },
    SoftBreak,
    HardBreak,
}
