//! The learner's own shell, with the session's environment and a prompt that says where they are.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::verify::{Patience, Report};
use super::{Host, Session, state};
use crate::args::WorkspaceArgs;
use crate::error::Failure;
use crate::workspace::environment::quote;
use crate::workspace::{Workspace, WorkspaceError, files};

/// A shell whose start-up files we know how to add to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bash,
    Zsh,
    Fish,
    Other,
}

impl Kind {
    fn of(program: &str) -> Self {
        match Path::new(program).file_name().and_then(|name| name.to_str()) {
            Some("bash") => Self::Bash,
            Some("zsh") => Self::Zsh,
            Some("fish") => Self::Fish,
            _ => Self::Other,
        }
    }
}

/// What the prompt shows: written at every change of the progress, read by the prompt without a process.
fn prompt_file(workspace: &Workspace) -> PathBuf {
    workspace.directory().join("shell").join("prompt")
}

/// Touched by the prompt each time it is shown: a command has ended.
fn asked_file(workspace: &Workspace) -> PathBuf {
    workspace.directory().join("shell").join("asked")
}

/// The last request that was answered: the prompt waits for its own, a little while.
fn answered_file(workspace: &Workspace) -> PathBuf {
    workspace.directory().join("shell").join("answered")
}

/// What the prompt says once, above itself, of the step that `told_file` names.
fn notice_file(workspace: &Workspace) -> PathBuf {
    workspace.directory().join("shell").join("notice")
}

/// The step that this was last said of, by whichever open shell.
fn told_file(workspace: &Workspace) -> PathBuf {
    workspace.directory().join("shell").join("told")
}

/// How soon the end of a command is noticed.
const PROMPT_PERIOD: Duration = Duration::from_millis(15);

impl Session<'_> {
    /// Opens the learner's shell in the repository and returns when it ends.
    pub fn shell(&mut self) -> Result<ExitStatus, Failure> {
        let environment = self.ready_environment()?;
        let program =
            self.host.environment.get("SHELL").filter(|shell| !shell.is_empty()).map_or("/bin/sh", String::as_str);
        self.write_prompt();
        let _ = std::fs::remove_file(notice_file(&self.workspace));
        let arguments = write_startup(&self.workspace, Kind::of(program), &environment, &self.host.environment)?;
        let repository = self.workspace.repository();
        let scene = self.host.scene(&repository, &environment);
        let mut command = scene.command(program);
        command.args(&arguments.words).envs(arguments.variables.iter().map(|(name, value)| (name, value)));
        let _foreground = self.host.interruptions.foreground();
        let is_over = AtomicBool::new(false);
        let (host, root) = (self.host, self.workspace.root().to_owned());
        let status = std::thread::scope(|scope| {
            scope.spawn(|| keep_prompt_true(host, &root, &is_over));
            let status = command.status();
            is_over.store(true, Ordering::Relaxed);
            status
        });
        self.refresh();
        status.map_err(|error| {
            Failure::new(format!("the shell `{program}` could not be started"))
                .caused_by(error)
                .hint("set SHELL to a shell that is installed")
        })
    }

    /// Lets open shells say again that the step passes: it begins anew.
    pub(super) fn forget_told(&self) {
        let _ = std::fs::remove_file(told_file(&self.workspace));
    }

    /// Whether a shell has said, or is about to say, that this step passes.
    fn was_told(&self, step: &str) -> bool {
        std::fs::read_to_string(told_file(&self.workspace)).is_ok_and(|told| told == step)
    }

    /// Tells open shells where the learner is now. That this fails matters to nobody.
    pub fn write_prompt(&self) {
        self.write_prompt_with(false);
    }

    /// The same; `passes` puts a sign behind it.
    fn write_prompt_with(&self, passes: bool) {
        let file = prompt_file(&self.workspace);
        let Some(place) = state::place(&self.course, &self.progress.current) else { return };
        let sign = if passes { " ✓" } else { "" };
        let text = format!("{}/{}{sign}\n", place.number, place.steps);
        if !self.was_told(place.id()) {
            // What it says is of another step, which a shell left to another to say.
            let _ = std::fs::remove_file(notice_file(&self.workspace));
        }
        if file.parent().is_some_and(|directory| std::fs::create_dir_all(directory).is_ok()) {
            let _ = files::write_atomically(&file, text.as_bytes());
        }
    }
}

/// While a shell is open: after each of its commands the step's checks are looked at once, so that the prompt shows
/// whether they pass, and says so when they do for the first time.
fn keep_prompt_true(host: &Host, root: &Path, is_over: &AtomicBool) {
    // The terminal is the shell's: whoever else drew on it, a line of progress even, would wipe out its prompt.
    let Ok(silent) = host.apart(host.settings.home.clone()) else { return };
    let Ok(mut session) = Session::open(&silent, &WorkspaceArgs { dir: Some(root.to_owned()) }) else { return };
    let asked = asked_file(&session.workspace);
    let changed = || asked.metadata().and_then(|metadata| metadata.modified()).ok();
    let mut seen = None;
    while !is_over.load(Ordering::Relaxed) {
        std::thread::sleep(PROMPT_PERIOD);
        let now = changed();
        if now == seen {
            continue;
        }
        seen = now;
        let request = std::fs::read_to_string(&asked).unwrap_or_default();
        session.refresh();
        let id = session.progress.current.clone();
        let has_checks = session.place().is_ok_and(|place| !place.step.checks.is_empty());
        if let Ok(report) = session.observe(&id, Patience::Once) {
            let passes = has_checks && report.passed();
            session.write_prompt_with(passes);
            // Meanwhile the learner may have moved on in another shell.
            session.refresh();
            let is_here = session.progress.current == id;
            if passes && is_here && !session.progress.step(&id).settled && !session.was_told(&id) {
                let text = format!("{}\n", host.ui.wrapped(&notice(&report)));
                let _ = files::write_atomically(&told_file(&session.workspace), id.as_bytes());
                let _ = files::write_atomically(&notice_file(&session.workspace), text.as_bytes());
            }
        }
        let _ = files::write_atomically(&answered_file(&session.workspace), request.as_bytes());
    }
}

/// What is said when a step passes for the first time.
fn notice(report: &Report) -> String {
    let names: Vec<&str> = report.verdicts.iter().map(|verdict| verdict.name.as_str()).collect();
    format!("✓ This step passes: {}. `tutorial next` goes on, `exit` leaves this shell.", names.join("; "))
}

struct Arguments {
    words: Vec<String>,
    variables: Vec<(String, String)>,
}

fn write_startup(
    workspace: &Workspace,
    kind: Kind,
    environment: &[(String, String)],
    inherited: &std::collections::BTreeMap<String, String>,
) -> Result<Arguments, Failure> {
    let directory = workspace.directory().join("shell");
    std::fs::create_dir_all(&directory).map_err(WorkspaceError::write(&directory))?;
    let prompt = prompt_file(workspace).display().to_string();
    // Start-up files of the learner's may have set these anew.
    let exports = |separator: &str| -> String {
        let kept = environment.iter().filter(|(name, _)| name != "PATH");
        kept.fold(String::new(), |text, (name, value)| text + &format!("export {name}={}{separator}", quote(value)))
    };
    let bin = workspace.bin().display().to_string();
    let path = format!("case $PATH in {0}:*) ;; *) export PATH={0}:\"$PATH\" ;; esac\n", quote(&bin));
    let write = |name: &str, text: &str| -> Result<String, WorkspaceError> {
        let file = directory.join(name);
        files::write_atomically(&file, text.as_bytes())?;
        Ok(file.display().to_string())
    };
    let asked = asked_file(workspace).display().to_string();
    let answered = answered_file(workspace).display().to_string();
    let notice = notice_file(workspace).display().to_string();
    let read_prompt = read_prompt(&quote(&prompt), &quote(&asked), &quote(&answered), &quote(&notice));
    Ok(match kind {
        Kind::Bash => {
            let text = format!(
                "[ -f ~/.bashrc ] && . ~/.bashrc\n{}{path}\
                 _tutorial_prompt() {{\n  local status=$?\n{read_prompt}  return $status\n}}\n\
                 PROMPT_COMMAND=\"_tutorial_prompt${{PROMPT_COMMAND:+; $PROMPT_COMMAND}}\"\n\
                 PS1='\\[\\e[1;36m\\](tutorial ${{_tutorial_at}})\\[\\e[0m\\] '\"${{PS1:-\\\\$ }}\"\n",
                exports("\n")
            );
            Arguments { words: vec!["--rcfile".into(), write("bashrc", &text)?, "-i".into()], variables: Vec::new() }
        }
        Kind::Zsh => {
            let home = inherited.get("ZDOTDIR").or_else(|| inherited.get("HOME")).map_or("", String::as_str);
            let theirs = |name: &str| format!("[ -f {0}/{name} ] && . {0}/{name}\n", quote(home));
            write(".zshenv", &theirs(".zshenv"))?;
            let given = match inherited.get("ZDOTDIR") {
                Some(given) => format!("ZDOTDIR={}", quote(given)),
                None => "unset ZDOTDIR".into(),
            };
            let text = format!(
                "{given}\n{}{}{path}setopt prompt_subst\n\
                 _tutorial_prompt() {{\n{read_prompt}}}\nprecmd_functions+=(_tutorial_prompt)\n\
                 PROMPT='%B%F{{cyan}}(tutorial ${{_tutorial_at}})%f%b '\"$PROMPT\"\n",
                theirs(".zshrc"),
                exports("\n")
            );
            write(".zshrc", &text)?;
            Arguments { words: vec!["-i".into()], variables: vec![("ZDOTDIR".into(), directory.display().to_string())] }
        }
        Kind::Fish => {
            let text = format!(
                "set -gx PATH {} $PATH\nif functions -q fish_prompt\n  functions -c fish_prompt _tutorial_fish_prompt\n\
                 else\n  function _tutorial_fish_prompt; echo -n '> '; end\nend\nset -g _tutorial_n 0\nfunction fish_prompt\n\
                 {}  set_color -o cyan; echo -n '(tutorial '(cat {})') '; set_color normal\n  \
                 _tutorial_fish_prompt\nend\n",
                fish_quote(&bin),
                fish_await(&fish_quote(&asked), &fish_quote(&answered), &fish_quote(&notice)),
                fish_quote(&prompt),
            );
            let file = write("config.fish", &text)?;
            Arguments {
                words: vec!["-i".into(), "-C".into(), format!("source {}", fish_quote(&file))],
                variables: Vec::new(),
            }
        }
        Kind::Other => {
            let text = format!("{}{path}PS1='(tutorial) $ '\n", exports("\n"));
            let file = write("profile", &text)?;
            Arguments { words: vec!["-i".into()], variables: vec![("ENV".into(), file)] }
        }
    })
}

/// The prompt's part for bash and zsh: asks for a verdict, waits for it at most 0.6 s, says what there is to say once,
/// and reads what the prompt shows. Paths are quoted. Only waiting costs a process.
fn read_prompt(prompt: &str, asked: &str, answered: &str, notice: &str) -> String {
    format!(
        "  local line tries=0\n\
         \x20 _tutorial_n=$((_tutorial_n + 1))\n\
         \x20 echo \"$$.$_tutorial_n\" 2>/dev/null > {asked}\n\
         \x20 while line=; read -r line 2>/dev/null < {answered}; \
         [ \"$line\" != \"$$.$_tutorial_n\" ] && [ $tries -lt 20 ]; do sleep 0.03; tries=$((tries + 1)); done\n\
         \x20 if [ -s {notice} ]; then while read -r line; do printf '%s\\n' \"$line\"; done < {notice}; : > {notice}; fi\n\
         \x20 _tutorial_at=; read -r _tutorial_at 2>/dev/null < {prompt}\n"
    )
}

/// The same for fish.
fn fish_await(asked: &str, answered: &str, notice: &str) -> String {
    format!(
        "  set _tutorial_n (math $_tutorial_n + 1)\n  echo \"$fish_pid.$_tutorial_n\" > {asked}\n\
         \x20 for try in (seq 20)\n    test \"$(cat {answered} 2>/dev/null)\" = \"$fish_pid.$_tutorial_n\"; and break\n\
         \x20   sleep 0.03\n  end\n  if test -s {notice}; cat {notice}; true > {notice}; end\n"
    )
}

fn fish_quote(word: &str) -> String {
    format!("'{}'", word.replace('\\', "\\\\").replace('\'', "\\'"))
}
