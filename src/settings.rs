//! What the environment decides, read once at the start and passed down as arguments.

use std::path::PathBuf;

/// The program's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where workspaces live: `TUTORIAL_HOME`, else `~/tutorial`.
    pub home: PathBuf,
    /// By how much the embedded cluster's back-offs, deadlines and probe periods are shortened:
    /// `TUTORIAL_TIME_FACTOR`, 1 where absent.
    pub time_factor: f64,
    /// The language in which lessons are wanted, `de` or `pt-BR`: `TUTORIAL_LANGUAGE`, else the locale's.
    pub language: Option<String>,
}

impl Settings {
    /// Reads the settings from environment variables; `variable` is `std::env::var` outside tests.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let home = variable("TUTORIAL_HOME").filter(|home| !home.is_empty()).map_or_else(
            || PathBuf::from(variable("HOME").unwrap_or_else(|| ".".into())).join("tutorial"),
            PathBuf::from,
        );
        let time_factor = variable("TUTORIAL_TIME_FACTOR")
            .and_then(|factor| factor.parse().ok())
            .filter(|factor: &f64| factor.is_finite() && *factor >= 1.0)
            .unwrap_or(1.0);
        Self { home, time_factor, language: language(&variable) }
    }
}

/// The locale's language by the order that POSIX gives the variables; `C` and `POSIX` name none.
fn language(variable: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let locale = ["TUTORIAL_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()))?;
    let language = locale.split(['.', '@']).next().unwrap_or_default().replace('_', "-");
    (!matches!(language.as_str(), "" | "C" | "POSIX")).then_some(language)
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn the_language_comes_from_the_locale() {
        fn check(variables: &[(&str, &str)], expected: Option<&str>) {
            let variable =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(Settings::from_environment(variable).language.as_deref(), expected, "{variables:?}");
        }
        check(&[], None);
        check(&[("LANG", "C.UTF-8")], None);
        check(&[("LANG", "de_DE.UTF-8")], Some("de-DE"));
        check(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "pt_BR@euro")], Some("pt-BR"));
        check(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "")], Some("de-DE"));
        check(&[("LANG", "de_DE.UTF-8"), ("TUTORIAL_LANGUAGE", "ru")], Some("ru"));
    }
}
