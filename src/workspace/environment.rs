//! The environment of the session's shells and scripts: computed as pairs, exported as `export` lines, never
//! written into the learner's own configuration.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Workspace, WorkspaceError, files};

/// What the environment is computed from.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    pub workspace: &'a Workspace,
    /// Of the sandbox, where it is known by now.
    pub kubeconfig: Option<&'a Path>,
    /// `localhost:5001`.
    pub registry: Option<&'a str>,
    /// The course's project name.
    pub project: &'a str,
    /// The course's and the steps' variables.
    pub variables: &'a BTreeMap<String, String>,
    /// The learner's own environment.
    pub inherited: &'a BTreeMap<String, String>,
    /// What git's configuration has.
    pub git: &'a GitFacts,
}

/// What the learner has told git already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitFacts {
    pub has_name: bool,
    pub has_email: bool,
    /// What lessons rely on and git would do otherwise here, as a key and the value that it needs.
    pub differing: Vec<(&'static str, &'static str)>,
}

/// What lessons rely on: the key as git prints it, the key as it is said, the value. The first is said wherever the
/// learner's configuration does not say it; the others only where it says something else, since git's own default is
/// what lessons expect. A signature asks for a passphrase, and a hook of the learner's knows nothing of a lesson.
const RELIED_ON: [(&str, &str, &str); 7] = [
    ("init.defaultbranch", "init.defaultBranch", "main"),
    ("commit.gpgsign", "commit.gpgSign", "false"),
    ("tag.gpgsign", "tag.gpgSign", "false"),
    ("tag.forcesignannotated", "tag.forceSignAnnotated", "false"),
    ("core.hookspath", "core.hooksPath", ".git/hooks"),
    ("init.defaultrefformat", "init.defaultRefFormat", "files"),
    ("init.defaultobjectformat", "init.defaultObjectFormat", "sha1"),
];

impl GitFacts {
    /// What `git config --list` tells: a line for each entry, of which the last of a key holds.
    pub fn of(listing: &str) -> Self {
        let entries: BTreeMap<&str, &str> =
            listing.lines().map(|line| line.split_once('=').unwrap_or((line, "true"))).collect();
        let is_said = |key: &str| entries.get(key).is_some_and(|value| !value.is_empty());
        let differing = RELIED_ON.into_iter().filter(|(key, said, value)| match entries.get(key) {
            Some(found) => found != value,
            None => *said == "init.defaultBranch",
        });
        Self {
            has_name: is_said("user.name"),
            has_email: is_said("user.email"),
            differing: differing.map(|(_, said, value)| (said, value)).collect(),
        }
    }
}

/// The variables of the session, in the order of export; those of the learner's that stay are not among them.
pub fn session_variables(facts: &Facts<'_>) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: String| pairs.push((name.to_owned(), value));
    for (name, value) in facts.variables {
        set(name, value.clone());
    }
    set("TUTORIAL_DIR", text(facts.workspace.root()));
    set("PATH", path_with(&facts.workspace.bin(), facts.inherited.get("PATH").map_or("", String::as_str)));
    if let Some(kubeconfig) = facts.kubeconfig {
        set("KUBECONFIG", text(kubeconfig));
    }
    if let Some(registry) = facts.registry {
        set("WERF_REPO", format!("{registry}/{}", facts.project));
        set("WERF_INSECURE_REGISTRY", "1".into());
        set("WERF_SKIP_TLS_VERIFY_REGISTRY", "1".into());
    }
    // A repository around the workspace is not the learner's: git must not find it.
    set("GIT_CEILING_DIRECTORIES", text(facts.workspace.root()));
    set("WERF_TELEMETRY", "0".into());
    set("WERF_SYNCHRONIZATION", ":local".into());
    git_variables(facts.git, facts.inherited, &mut set);
    let added: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "PATH").collect();
    let added = added.join(" ");
    pairs.push((ADDED.into(), added));
    pairs
}

/// Names what a session added to the environment, so that a command inside it can tell it from the learner's own.
const ADDED: &str = "TUTORIAL_ADDED";

/// The environment as it was before a session added to it.
pub fn without_session(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut own = environment.clone();
    let Some(added) = own.remove(ADDED) else { return own };
    for name in added.split(' ') {
        own.remove(name);
    }
    // Our entries are the last ones: the learner's are those before them.
    let ours = added.split(' ').filter_map(|name| name.strip_prefix("GIT_CONFIG_KEY_")?.parse::<usize>().ok());
    if let Some(first) = ours.min().filter(|first| *first > 0) {
        own.insert("GIT_CONFIG_COUNT".into(), first.to_string());
    }
    own
}

fn git_variables(git: &GitFacts, inherited: &BTreeMap<String, String>, set: &mut impl FnMut(&str, String)) {
    let mut identity = |suffix: &str, value: &str| {
        for who in ["GIT_AUTHOR_", "GIT_COMMITTER_"] {
            let name = format!("{who}{suffix}");
            if inherited.get(&name).is_none_or(String::is_empty) {
                set(&name, value.to_owned());
            }
        }
    };
    if !git.has_name {
        identity("NAME", "Tutorial Learner");
    }
    if !git.has_email {
        identity("EMAIL", "learner@example.com");
    }
    if !git.differing.is_empty() {
        // The learner's own entries keep their numbers: ours are added behind them.
        let first = inherited.get("GIT_CONFIG_COUNT").and_then(|count| count.parse::<usize>().ok()).unwrap_or(0);
        set("GIT_CONFIG_COUNT", (first + git.differing.len()).to_string());
        for (number, (key, value)) in (first..).zip(&git.differing) {
            set(&format!("GIT_CONFIG_KEY_{number}"), (*key).into());
            set(&format!("GIT_CONFIG_VALUE_{number}"), (*value).into());
        }
    }
}

/// `PATH` with a directory first, and nowhere else.
fn path_with(first: &Path, path: &str) -> String {
    let rest = std::env::split_paths(path).filter(|entry| entry != first && !entry.as_os_str().is_empty());
    let entries: Vec<PathBuf> = std::iter::once(first.to_owned()).chain(rest).collect();
    // A colon in the workspace's path cannot be said in PATH; then it is left out.
    std::env::join_paths(&entries).map_or_else(|_| path.to_owned(), |path| lossy(&path))
}

/// The pairs as `export` lines that any POSIX shell reads.
pub fn export_lines(pairs: &[(String, String)]) -> String {
    pairs.iter().fold(String::new(), |text, (name, value)| text + &format!("export {name}={}\n", quote(value)))
}

/// A word for `sh`: as it is where it is plain, else in single quotes.
pub fn quote(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=@%+,".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Puts the programs of the session where its PATH looks first: links to this binary, renewed when it moved.
/// `names` are those wanted; others of ours are taken away.
pub fn link_programs(workspace: &Workspace, program: &Path, names: &[&str]) -> Result<(), WorkspaceError> {
    for name in ["tutorial", "werf", "kubectl"] {
        let link = workspace.bin().join(name);
        if !names.contains(&name) {
            if std::fs::symlink_metadata(&link).is_ok() {
                std::fs::remove_file(&link).map_err(WorkspaceError::write(&link))?;
            }
        } else if std::fs::read_link(&link).ok().as_deref() != Some(program) {
            let fresh = workspace.bin().join(format!(".{name}.{}", std::process::id()));
            let _ = std::fs::remove_file(&fresh);
            std::os::unix::fs::symlink(program, &fresh)
                .and_then(|()| std::fs::rename(&fresh, &link))
                .map_err(WorkspaceError::write(&link))?;
        }
    }
    Ok(())
}

/// Whether a program is in `path`, our own directory apart.
pub fn is_installed(name: &str, path: &str, ours: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::env::split_paths(path).filter(|directory| directory != ours).any(|directory| {
        let file = directory.join(name);
        file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    })
}

/// Writes the export lines where `tutorial shell` and editors find them; only when they changed.
pub fn write_environment(workspace: &Workspace, pairs: &[(String, String)]) -> Result<(), WorkspaceError> {
    let text = export_lines(pairs);
    let path = workspace.environment_file();
    if std::fs::read_to_string(&path).is_ok_and(|written| written == text) {
        return Ok(());
    }
    files::write_atomically(&path, text.as_bytes())
}

fn text(path: &Path) -> String {
    lossy(path.as_os_str())
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(inherited: &[(&str, &str)], git: &GitFacts) -> BTreeMap<String, String> {
        let workspace = Workspace::new("/home/a b/tutorial/course".into(), "app");
        let inherited = inherited.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let own = BTreeMap::from([("PROJECT".to_owned(), "demo".to_owned())]);
        let facts = Facts {
            workspace: &workspace,
            kubeconfig: Some(Path::new("/home/a b/kubeconfig")),
            registry: Some("localhost:5001"),
            project: "demo",
            variables: &own,
            inherited: &inherited,
            git,
        };
        session_variables(&facts).into_iter().collect()
    }

    #[test]
    fn path_has_our_directory_first_and_once() {
        let ours = "/home/a b/tutorial/course/.tutorial/bin";
        let check = |inherited: &str, expected: &str| {
            assert_eq!(variables(&[("PATH", inherited)], &GitFacts::default())["PATH"], expected);
        };
        check("/usr/bin:/bin", &format!("{ours}:/usr/bin:/bin"));
        check(&format!("/usr/bin:{ours}:/bin"), &format!("{ours}:/usr/bin:/bin"));
        check("", ours);
    }

    #[test]
    fn git_gets_only_what_it_lacks() {
        let nothing = GitFacts::of("");
        let unset = variables(&[], &nothing);
        assert_eq!(unset["GIT_AUTHOR_NAME"], "Tutorial Learner");
        assert_eq!(unset["GIT_COMMITTER_EMAIL"], "learner@example.com");
        assert_eq!(unset["GIT_CONFIG_COUNT"], "1");
        assert_eq!(unset["GIT_CONFIG_KEY_0"], "init.defaultBranch");
        let set = variables(&[], &GitFacts::of("user.name=Ada\nuser.email=ada@example.com\ninit.defaultbranch=main"));
        assert!(!set.keys().any(|name| name.starts_with("GIT_A") || name.starts_with("GIT_CO")), "{set:?}");
        let other = variables(&[("GIT_CONFIG_COUNT", "2"), ("GIT_AUTHOR_NAME", "Ada")], &nothing);
        assert_eq!(other["GIT_CONFIG_COUNT"], "3");
        assert_eq!(other["GIT_CONFIG_KEY_2"], "init.defaultBranch");
        assert_eq!(other.get("GIT_AUTHOR_NAME"), None);
    }

    #[test]
    fn what_lessons_rely_on_is_said_where_the_learner_said_otherwise() {
        fn check(listing: &str, expected: &[(&str, &str)]) {
            assert_eq!(GitFacts::of(listing).differing, expected, "{listing}");
        }
        let main = ("init.defaultBranch", "main");
        check("", &[main]);
        check("init.defaultbranch=main", &[]);
        check("init.defaultbranch=trunk", &[main]);
        check("init.defaultbranch=trunk\ninit.defaultbranch=main", &[]);
        check("init.defaultbranch=main\ncommit.gpgsign=false", &[]);
        check(
            "init.defaultbranch=main\ncommit.gpgsign\ntag.gpgsign=yes\ncore.hookspath=/home/ada/hooks",
            &[("commit.gpgSign", "false"), ("tag.gpgSign", "false"), ("core.hooksPath", ".git/hooks")],
        );
    }

    #[test]
    fn a_session_inside_a_session_sees_the_learners_own_environment() {
        for own in [vec![("HOME", "/h")], vec![("GIT_CONFIG_COUNT", "2"), ("GIT_AUTHOR_NAME", "Ada")]] {
            let own: BTreeMap<String, String> =
                own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let pairs: Vec<(&str, &str)> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let mut inside = own.clone();
            inside.extend(variables(&pairs, &GitFacts::of("commit.gpgsign=true")));
            let mut outside = without_session(&inside);
            outside.remove("PATH");
            assert_eq!(outside, own);
        }
    }

    #[test]
    fn words_are_quoted_for_sh() {
        fn check(word: &str, expected: &str) {
            assert_eq!(quote(word), expected);
        }
        check("plain/word-1.2:3", "plain/word-1.2:3");
        check("", "''");
        check("a b", "'a b'");
        check("it's", r"'it'\''s'");
        check("$HOME", "'$HOME'");
    }

    #[test]
    fn links_follow_the_binary() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::new(directory.path().join("w s"), "app");
        workspace.create().unwrap();
        let target = |name: &str| std::fs::read_link(workspace.bin().join(name)).ok();
        link_programs(&workspace, Path::new("/old/tutorial"), &["tutorial", "werf", "kubectl"]).unwrap();
        assert_eq!(target("kubectl"), Some("/old/tutorial".into()));
        link_programs(&workspace, Path::new("/new/tutorial"), &["tutorial", "werf"]).unwrap();
        assert_eq!(target("werf"), Some("/new/tutorial".into()));
        assert_eq!(target("kubectl"), None);
    }
}
