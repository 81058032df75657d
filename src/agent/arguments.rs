//! The command line of werf and its `WERF_*` environment: what the agent acts on, what it may leave alone, and what
//! it refuses by name.

use super::fault::Fault;

/// What the options say, with the environment underneath.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Options {
    /// `--env`.
    pub environment: Option<String>,
    /// `--repo`.
    pub repository: Option<String>,
    /// `--dev`.
    pub development: bool,
    /// `--loose-giterminism`.
    pub loose: bool,
    /// `--timeout`, in seconds; 0 is none.
    pub timeout_s: u64,
    /// `--auto-rollback`.
    pub auto_rollback: bool,
    /// `--set`.
    pub set: Vec<String>,
    /// `--set-string`.
    pub set_string: Vec<String>,
    /// `--values`.
    pub values: Vec<String>,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// `--release`.
    pub release: Option<String>,
    /// `--kube-context`.
    pub context: Option<String>,
    /// `--kube-config`.
    pub kubeconfig: Option<String>,
    /// `--force-adoption`.
    pub force_adoption: bool,
    /// `--exit-code`.
    pub exit_code: bool,
    /// `--revision`.
    pub revision: Option<u32>,
    /// `--with-namespace`.
    pub with_namespace: bool,
    /// `--dir`.
    pub directory: Option<String>,
    /// `--git-work-tree`.
    pub work_tree: Option<String>,
    /// `--log-color-mode`.
    pub colour_mode: Option<String>,
    /// `--format` of `slugify`, `--output` of `helm`.
    pub format: Option<String>,
    /// `--all-namespaces`.
    pub all_namespaces: bool,
    /// `--all`.
    pub all: bool,
    /// `--short`.
    pub short: bool,
    /// `--max`.
    pub max: Option<usize>,
    /// `--help`.
    pub help: bool,
    /// The words that are no options.
    pub words: Vec<String>,
}

/// Options with a value that change nothing that the agent does.
const HARMLESS_VALUES: &[&str] = &[
    "cache-repo",
    "config",
    "container-registry-mirror",
    "deploy-report-path",
    "docker-config",
    "giterminism-config",
    "home-dir",
    "hooks-status-progress-period",
    "kube-api-server",
    "kube-burst-limit",
    "kube-ca-path",
    "kube-qps-limit",
    "log-terminal-width",
    "network-parallelism",
    "parallel-tasks-limit",
    "platform",
    "releases-history-max",
    "resources-filter",
    "save-build-report-path",
    "secondary-repo",
    "ssh-key",
    "status-progress-period",
    "synchronization",
    "tmp-dir",
    "build-report-path",
    "log-time-format",
    "release-storage",
];

/// Options without a value that change nothing that the agent does.
const HARMLESS_FLAGS: &[&str] = &[
    "atomic",
    "color",
    "debug",
    "debug-templates",
    "disable-auto-host-cleanup",
    "ignore-secret-key",
    "insecure-registry",
    "log-debug",
    "log-pretty",
    "log-project-dir",
    "log-quiet",
    "log-time",
    "log-verbose",
    "no-color",
    "no-install-crds",
    "parallel",
    "require-built-images",
    "save-build-report",
    "save-deploy-report",
    "show-build-stages",
    "skip-build",
    "skip-tls-verify-kube",
    "skip-tls-verify-registry",
    "validate",
    "without-images",
    "show-only-digests",
    "skip-dependencies-repo-refresh",
    "virtual-merge",
];

/// Options of werf that the agent does not have.
const REFUSED: &[&str] = &[
    "add-annotation",
    "add-custom-tag",
    "add-label",
    "branch",
    "dev-branch",
    "final-repo",
    "follow",
    "introspect-before-error",
    "introspect-error",
    "introspect-stage",
    "kube-config-base64",
    "kube-token",
    "rollback-graph-path",
    "save-graph-path",
    "secret-values",
    "set-docker-config-json-value",
    "set-file",
    "set-json",
    "set-runtime-json",
    "tag",
    "templates",
    "use-custom-tag",
    "use-deploy-report",
    "deploy-graph-path",
    "include-crds",
    "show-only",
    "config-templates-dir",
];

/// Reads the words after the command; `variable` is `std::env::var` outside tests, `variables` all names that start
/// with a prefix, in order.
///
/// # Errors
/// A word that no option is, or one that the agent refuses.
pub fn parse(
    words: &[String],
    variable: impl Fn(&str) -> Option<String>,
    variables: impl Fn(&str) -> Vec<String>,
) -> Result<Options, Fault> {
    let mut options = from_environment(variable, variables)?;
    let mut words = words.iter().cloned();
    while let Some(word) = words.next() {
        if word == "--" {
            options.words.extend(words);
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
            options.take(name, value, &mut words)?;
        } else if let Some(short) = word.strip_prefix('-').filter(|short| !short.is_empty()) {
            let mut letters = short.chars();
            while let Some(letter) = letters.next() {
                let name = short_name(letter, &options)
                    .ok_or_else(|| Fault::Usage(format!("unknown shorthand flag: {letter:?} in {word}")))?;
                if takes_value(name) {
                    let rest = letters.as_str().trim_start_matches('=');
                    options.take(name, Some(rest.to_owned()).filter(|rest| !rest.is_empty()), &mut words)?;
                    break;
                }
                options.take(name, None, &mut words)?;
            }
        } else {
            options.words.push(word);
        }
    }
    Ok(options)
}

fn short_name(letter: char, options: &Options) -> Option<&'static str> {
    let in_slugify = options.words.first().is_some_and(|word| word == "slugify");
    Some(match letter {
        't' => "timeout",
        'R' => "auto-rollback",
        'n' => "namespace",
        'A' => "all-namespaces",
        'a' => "all",
        'q' => "short",
        'm' => "max",
        'o' => "output",
        'f' if in_slugify => "format",
        'f' => "values",
        'L' => "log-quiet",
        'p' => "parallel",
        'Z' => "skip-build",
        'h' => "help",
        _ => return None,
    })
}

fn takes_value(name: &str) -> bool {
    const VALUES: &[&str] = &[
        "env",
        "repo",
        "timeout",
        "set",
        "set-string",
        "values",
        "namespace",
        "release",
        "kube-context",
        "kube-config",
        "revision",
        "dir",
        "git-work-tree",
        "log-color-mode",
        "format",
        "output",
        "max",
    ];
    VALUES.contains(&name) || HARMLESS_VALUES.contains(&name)
}

impl Options {
    fn take(
        &mut self,
        name: &str,
        value: Option<String>,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), Fault> {
        if takes_value(name) {
            let value = value
                .or_else(|| rest.next())
                .ok_or_else(|| Fault::Usage(format!("flag needs an argument: --{name}")))?;
            return self.set_value(name, value);
        }
        let on = match value.as_deref() {
            None | Some("true" | "1" | "yes") => true,
            Some("false" | "0" | "no") => false,
            Some(other) => return Err(Fault::Usage(format!("invalid argument {other:?} for \"--{name}\" flag"))),
        };
        match name {
            "dev" => self.development = on,
            "loose-giterminism" => self.loose = on,
            "auto-rollback" => self.auto_rollback = on,
            "force-adoption" => self.force_adoption = on,
            "exit-code" => self.exit_code = on,
            "with-namespace" => self.with_namespace = on,
            "all-namespaces" => self.all_namespaces = on,
            "all" => self.all = on,
            "short" => self.short = on,
            "help" => self.help = on,
            name if HARMLESS_FLAGS.contains(&name) => {}
            name if REFUSED.contains(&name) => return Err(Fault::unsupported(format!("the option --{name}"))),
            name => return Err(unknown(name)),
        }
        Ok(())
    }

    fn set_value(&mut self, name: &str, value: String) -> Result<(), Fault> {
        let number = || {
            let whole = value.trim_end_matches('s');
            whole.parse::<u64>().map_err(|_| Fault::Usage(format!("invalid argument {value:?} for \"--{name}\" flag")))
        };
        match name {
            "timeout" => self.timeout_s = number()?,
            "revision" => self.revision = Some(u32::try_from(number()?).unwrap_or(u32::MAX)),
            "max" => self.max = Some(usize::try_from(number()?).unwrap_or(usize::MAX)),
            "env" => self.environment = Some(value).filter(|value| !value.is_empty()),
            "repo" => self.repository = Some(value).filter(|value| !value.is_empty()),
            "set" => self.set.push(value),
            "set-string" => self.set_string.push(value),
            "values" => self.values.push(value),
            "namespace" => self.namespace = Some(value),
            "release" => self.release = Some(value),
            "kube-context" => self.context = Some(value),
            "kube-config" => self.kubeconfig = Some(value),
            "dir" => self.directory = Some(value),
            "git-work-tree" => self.work_tree = Some(value),
            "log-color-mode" => self.colour_mode = Some(value),
            "format" | "output" => self.format = Some(value),
            _ => {}
        }
        Ok(())
    }
}

fn unknown(name: &str) -> Fault {
    const FLAGS: &[&str] = &[
        "env",
        "repo",
        "timeout",
        "set",
        "set-string",
        "values",
        "namespace",
        "release",
        "kube-context",
        "kube-config",
        "revision",
        "dir",
        "dev",
        "auto-rollback",
        "force-adoption",
        "exit-code",
        "with-namespace",
        "all-namespaces",
    ];
    let near = FLAGS
        .iter()
        .map(|flag| (strsim::damerau_levenshtein(flag, name), flag))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let suggestion = near.map_or_else(String::new, |(_, flag)| format!(" (did you mean --{flag}?)"));
    Fault::Usage(format!("unknown flag: --{name}{suggestion}"))
}

fn from_environment(
    variable: impl Fn(&str) -> Option<String>,
    variables: impl Fn(&str) -> Vec<String>,
) -> Result<Options, Fault> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let on = |name: &str| variable(name).is_some_and(|value| matches!(value.as_str(), "1" | "true" | "yes" | "on"));
    let list = |prefix: &str| variables(prefix).iter().filter_map(|name| variable(name)).collect::<Vec<_>>();
    let timeout_s = match variable("WERF_TIMEOUT") {
        Some(value) => value
            .parse()
            .map_err(|_| Fault::Usage(format!("bad WERF_TIMEOUT={value}: expected a number of seconds")))?,
        None => 0,
    };
    Ok(Options {
        environment: variable("WERF_ENV"),
        repository: variable("WERF_REPO"),
        development: on("WERF_DEV"),
        loose: on("WERF_LOOSE_GITERMINISM"),
        timeout_s,
        auto_rollback: on("WERF_AUTO_ROLLBACK"),
        set: list("WERF_SET_").into_iter().collect(),
        values: list("WERF_VALUES_").into_iter().collect(),
        namespace: variable("WERF_NAMESPACE"),
        release: variable("WERF_RELEASE"),
        context: variable("WERF_KUBE_CONTEXT"),
        kubeconfig: variable("WERF_KUBE_CONFIG"),
        force_adoption: on("WERF_FORCE_ADOPTION"),
        exit_code: on("WERF_EXIT_CODE"),
        directory: variable("WERF_DIR"),
        work_tree: variable("WERF_GIT_WORK_TREE"),
        colour_mode: variable("WERF_LOG_COLOR_MODE"),
        ..Options::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str], variables: &[(&str, &str)]) -> Result<Options, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let list = |prefix: &str| {
            variables.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(key, _)| (*key).to_owned()).collect()
        };
        parse(&words, find, list).map_err(|fault| fault.to_string())
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let options = read(
            &["--env", "production", "--timeout=20", "-R", "--log-color-mode", "off", "--insecure-registry"],
            &[("WERF_ENV", "development"), ("WERF_REPO", "localhost:1/x"), ("WERF_SET_A", "a=1"), ("WERF_DEV", "true")],
        )
        .expect("reads");
        assert_eq!(options.environment.as_deref(), Some("production"));
        assert_eq!(options.repository.as_deref(), Some("localhost:1/x"));
        assert_eq!((options.timeout_s, options.auto_rollback, options.development), (20, true, true));
        assert_eq!(options.set, ["a=1"]);
    }

    #[test]
    fn mistakes_are_named() {
        let check =
            |words: &[&str], expected: &str| assert_eq!(read(words, &[]), Err(expected.to_owned()), "{words:?}");
        check(&["--evn", "x"], "unknown flag: --evn (did you mean --env?)");
        check(&["--env"], "flag needs an argument: --env");
        check(&["--timeout", "soon"], "invalid argument \"soon\" for \"--timeout\" flag");
        check(&["--follow"], "the embedded werf does not support the option --follow");
        check(&["-x"], "unknown shorthand flag: 'x' in -x");
    }
}
