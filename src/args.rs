//! The command line: what can be said, parsed once into types. `commands` carries it out.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Effects, Styles};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Yellow.on_default());

const TEMPLATE: &str = "\
{about}

{usage-heading} {usage}

Learn
  start        Begin a course, or go on where you were
  verify       Check the current step
  hint         Show the next hint
  run          Write the step's files and run its commands
  answer       Answer the step's question, by its letter
  solve        Show the step's solution, then apply it
  status       Show how far you are
  shell        Open a shell with the sandbox's kubectl and werf
  open         Open the page of the deployed application

Move
  next, back   Go to the next step, or back to the one before
  goto STEP    Go to any step; git and cluster are brought to its start
  skip         Apply the solution and go on
  reset        Back to the start of this step, or of the course
  undo         Take back the last reset, solve, skip or goto
  history      Show what was run for you
  report       Show what you did, for an instructor

Sandbox
  cluster      Start, stop or look at the sandbox by itself
  env          Print the session's environment as export lines
  stop         End the sandbox, keep the progress
  remove       Remove a course's workspace and its sandbox

Other
  list         List the courses
  doctor       Check what is installed
  author       Write courses of your own
  completions  Print a completion script for your shell

{options}

`tutorial COMMAND --help` says more about a command.
";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "tutorial",
    bin_name = "tutorial",
    version,
    about = "Interactive tutorials on a sandbox Kubernetes cluster, in your own terminal.",
    help_template = TEMPLATE,
    styles = STYLES,
    disable_help_subcommand = true,
    max_term_width = 100,
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Begin a course, or go on where you were
    Start(StartArgs),
    /// Check the current step: exit 0 when every check passes, 1 when not yet
    Verify(VerifyArgs),
    /// Show how far you are
    Status(StatusArgs),
    /// Go to the next step; refuses while this step's checks fail
    Next(WorkspaceArgs),
    /// Go back to the step before; git and cluster stay as they are
    Back(WorkspaceArgs),
    /// Go to a step; git and cluster are brought into the state that it starts from
    Goto(GotoArgs),
    /// Apply the step's solution and go on
    Skip(WorkspaceArgs),
    /// Show the step's next hint
    Hint(WorkspaceArgs),
    /// Show the step's solution, then apply it
    Solve(SolveArgs),
    /// Do what the step offers: write its files, run its commands
    Run(WorkspaceArgs),
    /// Answer the step's question, by the letter of the answer
    Answer(AnswerArgs),
    /// Put git and cluster back to the start of this step, or of the course
    Reset(ResetArgs),
    /// Take back the last reset, solve, skip, goto, or run that changed a file
    Undo(UndoArgs),
    /// Show what was run for you, step by step
    History(HistoryArgs),
    /// Show what you did, for an instructor: each step's end, checks, hints, answers
    Report(ReportArgs),
    /// Open a shell with the sandbox's KUBECONFIG and PATH
    Shell(WorkspaceArgs),
    /// Print the session's environment as export lines: eval "$(tutorial env)"
    Env(WorkspaceArgs),
    /// Open the page of the deployed application
    Open(OpenArgs),
    /// List the courses, or the steps of one
    List(ListArgs),
    /// Check what is installed: found, needed, and how to get it
    Doctor(DoctorArgs),
    /// The sandbox cluster by itself, without a course
    Cluster(ClusterArgs),
    /// End the sandbox; the progress stays
    Stop(WorkspaceArgs),
    /// Remove a course's workspace and its sandbox
    Remove(RemoveArgs),
    /// Write courses: make one, find its mistakes, show it
    Author(AuthorArgs),
    /// Print a completion script for your shell
    Completions(CompletionsArgs),
}

/// Which workspace a command means.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct WorkspaceArgs {
    /// The workspace; without it the one you are in, else the one you used last
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct StartArgs {
    /// A course's id, or the path of a course's directory
    #[arg(value_name = "COURSE|PATH")]
    pub course: Option<String>,
    /// Where the cluster comes from
    #[arg(long, value_enum)]
    pub sandbox: Option<Sandbox>,
    /// The workspace's directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub cluster: SandboxArgs,
    /// The kind cluster's name; without it the course's
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Also write the kind cluster's context into your own kubeconfig
    #[arg(long)]
    pub export_kubeconfig: bool,
    /// Play every step by its solution, without asking; exit 0 only if every check passed
    #[arg(long)]
    pub autoplay: bool,
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
}

/// Where the cluster comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sandbox {
    /// Built into this program; starts in under a second
    Embedded,
    /// A kind cluster in Docker
    Kind,
    /// A cluster that you have
    Existing,
}

impl Sandbox {
    /// The one that the word stands for.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Embedded, Self::Kind, Self::Existing].into_iter().find(|sandbox| sandbox.name() == name)
    }

    /// The word for it, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Kind => "kind",
            Self::Existing => "existing",
        }
    }
}

/// What a sandbox that is not built in needs to be told.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct SandboxArgs {
    /// The node image of a kind cluster
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// A kind cluster's nodes beside the control plane
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub workers: Option<u8>,
    /// The context in your kubeconfig that leads to a cluster that exists
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// The registry that a cluster that exists pulls images from, and that you can push to
    #[arg(long, value_name = "HOST:PORT")]
    pub registry: Option<String>,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct VerifyArgs {
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Check again whenever something changes, until all checks pass
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
    /// Show the exact observation behind each check
    #[arg(long)]
    pub explain: bool,
    /// Check this step instead of the current one
    #[arg(long, value_name = "STEP")]
    pub step: Option<String>,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct StatusArgs {
    /// Print the progress as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct GotoArgs {
    /// The step's id, or its number as `status` shows it
    #[arg(value_name = "STEP")]
    pub step: String,
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct SolveArgs {
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
    /// Only show the solution
    #[arg(long)]
    pub show: bool,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct AnswerArgs {
    /// The letters of all that is right: `b`, `a c`
    #[arg(value_name = "LETTER", required = true)]
    pub letters: Vec<String>,
    /// Which question, where the step asks several; without it the first that is open
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub question: Option<u8>,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct ResetArgs {
    /// How far back
    #[arg(value_enum, default_value = "step")]
    pub what: ResetTo,
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
}

/// How far `reset` goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResetTo {
    /// The start of the current step
    Step,
    /// The start of the course
    Course,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct UndoArgs {
    /// Take back the last undo
    #[arg(long)]
    pub redo: bool,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct HistoryArgs {
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct ReportArgs {
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct OpenArgs {
    /// The environment, `production` for example; without it all that answer are listed
    pub environment: Option<String>,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct ListArgs {
    /// A course's id or path, to list its lessons and steps
    pub course: Option<String>,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct DoctorArgs {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct RemoveArgs {
    /// The course; without it the workspace you are in, else the one you used last
    pub course: Option<String>,
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
    /// Go on where the sandbox cannot be reached, and leave behind what is there of it
    #[arg(long)]
    pub forget: bool,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct CompletionsArgs {
    /// Your shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct ClusterArgs {
    #[command(subcommand)]
    pub command: ClusterCommand,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct AuthorArgs {
    #[command(subcommand)]
    pub command: AuthorCommand,
}

/// For those who write courses.
#[derive(Debug, Clone, Subcommand)]
pub enum AuthorCommand {
    /// Make a small course that can be played, to be rewritten
    New(AuthorNewArgs),
    /// Tell every mistake of a course, at its place: exit 3 when there is an error
    Check(AuthorCheckArgs),
    /// Prove a course: each step's checks fail before its solution and pass after it
    Test(AuthorTestArgs),
    /// Make a course of a Killercoda scenario; what cannot be translated is told line by line
    Import(AuthorImportArgs),
    /// Show a course, a lesson or a step as the learner will read it
    Preview(AuthorPreviewArgs),
}

#[derive(Debug, Clone, ClapArgs)]
pub struct AuthorNewArgs {
    /// The course's directory; its name becomes the course's id
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The course's title
    #[arg(long)]
    pub title: Option<String>,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct AuthorCheckArgs {
    /// Courses: directories, or ids of built-in ones
    #[arg(value_name = "COURSE", required = true)]
    pub courses: Vec<String>,
    /// Print the mistakes as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct AuthorTestArgs {
    /// Courses: directories, or ids of built-in ones
    #[arg(value_name = "COURSE", required = true)]
    pub courses: Vec<String>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// Where the cluster comes from
    #[arg(long, value_enum)]
    pub sandbox: Option<Sandbox>,
    #[command(flatten)]
    pub cluster: SandboxArgs,
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
    /// How many sessions share the work; without it as many as pay
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub jobs: Option<u8>,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct AuthorImportArgs {
    /// The scenario's directory, with its `index.json`
    #[arg(value_name = "SCENARIO")]
    pub scenario: PathBuf,
    /// The course's directory; its name becomes the course's id
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct AuthorPreviewArgs {
    /// A course's directory, or the id of a built-in one
    pub course: String,
    /// A step's or a lesson's id; without it all of them
    pub step: Option<String>,
    /// Show hints, checks and solutions too
    #[arg(long)]
    pub all: bool,
    /// Show it anew whenever a file changes
    #[arg(long)]
    pub watch: bool,
}

/// The sandbox by itself.
#[derive(Debug, Clone, Subcommand)]
pub enum ClusterCommand {
    /// Start the sandbox; returns when it answers
    Start(ClusterStartArgs),
    /// End it; its data stays
    Stop(ClusterNameArgs),
    /// Say whether it runs, and where
    Status(ClusterStatusArgs),
    /// Print its kubeconfig
    Kubeconfig(ClusterNameArgs),
    /// Print the log of its background process
    Logs(ClusterNameArgs),
    /// End it and delete its data
    Delete(ClusterDeleteArgs),
}

/// Which sandbox is meant.
#[derive(Debug, Clone, ClapArgs)]
pub struct ClusterNameArgs {
    /// The sandbox's name; without it `tutorial`
    #[arg(long)]
    pub name: Option<String>,
    /// The sandbox of the workspace in this directory
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct ClusterStatusArgs {
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub name: ClusterNameArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct ClusterStartArgs {
    /// Where the cluster comes from
    #[arg(long, value_enum)]
    pub sandbox: Option<Sandbox>,
    /// The node image of a kind cluster
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// A kind cluster's nodes beside the control plane
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub workers: Option<u8>,
    #[command(flatten)]
    pub name: ClusterNameArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct ClusterDeleteArgs {
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
    /// Go on where it cannot be reached, and leave behind what is there of it
    #[arg(long)]
    pub forget: bool,
    #[command(flatten)]
    pub name: ClusterNameArgs,
}
