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
    /// `--config`, the path of `werf.yaml`.
    pub config: Option<String>,
    /// `--require-built-images`.
    pub require_built_images: bool,
    /// `--releases-history-max`; 0 keeps all.
    pub history_max: Option<usize>,
    /// `--add-label`, `key=value` each.
    pub add_labels: Vec<String>,
    /// `--add-annotation`, `key=value` each.
    pub add_annotations: Vec<String>,
    /// `--filter` of `helm list`, a regular expression.
    pub filter: Option<String>,
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
    "container-registry-mirror",
    "docker-config",
    "home-dir",
    "hooks-status-progress-period",
    "kube-burst-limit",
    "kube-qps-limit",
    "log-terminal-width",
    "network-parallelism",
    "parallel-tasks-limit",
    "secondary-repo",
    "ssh-key",
    "status-progress-period",
    "synchronization",
    "tmp-dir",
    "log-time-format",
];

/// Options without a value that change nothing that the agent does.
const HARMLESS_FLAGS: &[&str] = &[
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
    "show-build-stages",
    "skip-build",
    "skip-tls-verify-registry",
    "skip-dependencies-repo-refresh",
];

/// Options of werf that the agent does not have: with one of them a deployment would not be what was asked for.
const REFUSED: &[&str] = &[
    "atomic",
    "build-report-path",
    "deploy-report-path",
    "giterminism-config",
    "include-crds",
    "kube-api-server",
    "kube-ca-path",
    "kube-tls-server",
    "kube-tls-server-name",
    "platform",
    "release-storage",
    "release-storage-sql-connection",
    "resources-filter",
    "save-build-report",
    "save-build-report-path",
    "save-deploy-report",
    "save-uninstall-report",
    "show-only-digests",
    "skip-tls-verify-kube",
    "uninstall-report-path",
    "validate",
    "virtual-merge",
    "without-images",
    "set-literal",
    "set-root-json",
    "secret-values-dir",
    "chart-provenance-strategy",
    "extra-apiversions",
    "kube-version",
    "add-custom-tag",
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
        'Z' => "require-built-images",
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
        "config",
        "releases-history-max",
        "add-label",
        "add-annotation",
        "filter",
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
        if REFUSED.contains(&name) {
            return Err(Fault::unsupported(format!("the option --{name}")));
        }
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
            "loose-giterminism" if on => return Err(Fault::unsupported(LOOSE)),
            "loose-giterminism" => {}
            "require-built-images" => self.require_built_images = on,
            "auto-rollback" => self.auto_rollback = on,
            "force-adoption" => self.force_adoption = on,
            "exit-code" => self.exit_code = on,
            "with-namespace" => self.with_namespace = on,
            "all-namespaces" => self.all_namespaces = on,
            "all" => self.all = on,
            "short" => self.short = on,
            "help" => self.help = on,
            name if HARMLESS_FLAGS.contains(&name) => {}
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
            "config" => self.config = Some(value),
            "releases-history-max" => self.history_max = Some(usize::try_from(number()?).unwrap_or(usize::MAX)),
            "add-label" => self.add_labels.push(pair(name, value)?),
            "add-annotation" => self.add_annotations.push(pair(name, value)?),
            "filter" => self.filter = Some(value),
            "dir" => self.directory = Some(value),
            "git-work-tree" => self.work_tree = Some(value),
            "log-color-mode" => self.colour_mode = Some(value),
            "format" | "output" => self.format = Some(value),
            _ => {}
        }
        Ok(())
    }
}

/// What has no counterpart here: the agent reads the commit, and the work tree with `--dev`.
const LOOSE: &str = "the option --loose-giterminism; --dev deploys what is in the work tree";

/// `key=value`, as labels and annotations are given.
fn pair(name: &str, value: String) -> Result<String, Fault> {
    match value.split_once('=') {
        Some((key, _)) if !key.is_empty() => Ok(value),
        _ => Err(Fault::Usage(format!("invalid argument {value:?} for \"--{name}\" flag: expected KEY=VALUE"))),
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
        "config",
        "require-built-images",
        "releases-history-max",
        "add-label",
        "add-annotation",
    ];
    let near = FLAGS
        .iter()
        .map(|flag| (strsim::damerau_levenshtein(flag, name), flag))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let suggestion = near.map_or_else(String::new, |(_, flag)| format!(" (did you mean --{flag}?)"));
    Fault::Usage(format!("unknown flag: --{name}{suggestion}"))
}

/// Options that may be given many times: `WERF_SECRET_VALUES_1`, `WERF_SECRET_VALUES_2`, ….
const NUMBERED: &[&str] =
    &["add-custom-tag", "secret-values", "set-file", "set-json", "set-literal", "set-runtime-json"];

/// The environment variable of an option.
fn variable_name(option: &str) -> String {
    format!("WERF_{}", option.replace('-', "_").to_uppercase())
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
    let switch = |name: &str| on(&variable_name(name));
    for name in REFUSED.iter().copied().filter(|name| !NUMBERED.contains(name)) {
        let name = variable_name(name);
        if variable(&name).is_some_and(|value| !matches!(value.as_str(), "0" | "false" | "no" | "off")) {
            return Err(Fault::unsupported(format!("the environment variable {name}")));
        }
    }
    for prefix in NUMBERED.iter().map(|name| format!("{}_", variable_name(name))) {
        if let Some(name) = variables(&prefix).into_iter().find(|name| variable(name).is_some()) {
            return Err(Fault::unsupported(format!("the environment variable {name}")));
        }
    }
    if on("WERF_LOOSE_GITERMINISM") {
        return Err(Fault::unsupported(LOOSE));
    }
    let history_max = match variable("WERF_RELEASES_HISTORY_MAX") {
        Some(value) => Some(
            value
                .parse()
                .map_err(|_| Fault::Usage(format!("bad WERF_RELEASES_HISTORY_MAX={value}: expected a number")))?,
        ),
        None => None,
    };
    let pairs = |prefix: &str, name: &str| {
        list(prefix).into_iter().map(|value| pair(name, value)).collect::<Result<Vec<_>, _>>()
    };
    // WERF_SET_STRING_X and the others of their kind begin like WERF_SET_X.
    let longer = ["WERF_SET_STRING_", "WERF_SET_FILE_", "WERF_SET_JSON_", "WERF_SET_DOCKER_", "WERF_SET_LITERAL_"];
    let set = variables("WERF_SET_").into_iter().filter(|name| !longer.iter().any(|other| name.starts_with(other)));
    let set = set.filter_map(|name| variable(&name)).collect();
    Ok(Options {
        config: variable("WERF_CONFIG"),
        require_built_images: switch("require-built-images"),
        history_max,
        add_labels: pairs("WERF_ADD_LABEL_", "add-label")?,
        add_annotations: pairs("WERF_ADD_ANNOTATION_", "add-annotation")?,
        set_string: list("WERF_SET_STRING_"),
        environment: variable("WERF_ENV"),
        repository: variable("WERF_REPO"),
        development: on("WERF_DEV"),
        timeout_s,
        auto_rollback: on("WERF_AUTO_ROLLBACK"),
        set,
        values: list("WERF_VALUES_"),
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
        check(&["--set-file=a=b"], "the embedded werf does not support the option --set-file");
        check(&["--set-json", "a=1"], "the embedded werf does not support the option --set-json");
        check(&["--show-only=a"], "the embedded werf does not support the option --show-only");
        check(&["--kube-api-server=x"], "the embedded werf does not support the option --kube-api-server");
        check(&["--save-deploy-report"], "the embedded werf does not support the option --save-deploy-report");
        check(&["--loose-giterminism"], &format!("the embedded werf does not support {LOOSE}"));
        check(&["--add-label", "x"], "invalid argument \"x\" for \"--add-label\" flag: expected KEY=VALUE");
        check(&["-x"], "unknown shorthand flag: 'x' in -x");
    }

    #[test]
    fn the_environment_is_done_or_refused() {
        let variables = [
            ("WERF_SET_STRING_A", "a=1"),
            ("WERF_SET_B", "b=2"),
            ("WERF_ADD_LABEL_X", "team=a"),
            ("WERF_CONFIG", "x.yaml"),
            ("WERF_SAVE_DEPLOY_REPORT", "0"),
            ("WERF_RELEASES_HISTORY_MAX", "2"),
            ("WERF_REQUIRE_BUILT_IMAGES", "1"),
        ];
        let options = read(&[], &variables).expect("reads");
        assert_eq!((options.set, options.set_string), (vec!["b=2".to_owned()], vec!["a=1".to_owned()]));
        assert_eq!((options.add_labels, options.config), (vec!["team=a".to_owned()], Some("x.yaml".to_owned())));
        assert_eq!((options.history_max, options.require_built_images), (Some(2), true));
        for (name, value) in [
            ("WERF_KUBE_API_SERVER", "x"),
            ("WERF_SAVE_DEPLOY_REPORT", "1"),
            ("WERF_SECRET_VALUES_1", "x"),
            ("WERF_SET_FILE_A", "a=b"),
        ] {
            let expected = format!("the embedded werf does not support the environment variable {name}");
            assert_eq!(read(&[], &[(name, value)]), Err(expected));
        }
        assert!(read(&[], &[("WERF_LOOSE_GITERMINISM", "1")]).is_err());
    }
}
