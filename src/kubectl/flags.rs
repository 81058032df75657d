//! Arguments as kubectl reads them: flags anywhere, `-n demo`, `-ndemo`, `-n=demo`, `--namespace demo`,
//! `--watch=false`, and what stands behind `--`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::KubectlError;

/// A flag.
#[derive(Debug)]
pub struct Flag {
    pub long: &'static str,
    pub short: Option<char>,
    pub takes_value: bool,
    /// What the flag alone means, where it may stand alone although it takes a value.
    pub alone: Option<&'static str>,
}

/// A flag that is there or not.
pub const fn switch(long: &'static str, short: Option<char>) -> Flag {
    Flag { long, short, takes_value: false, alone: None }
}

/// A flag with a value.
pub const fn value(long: &'static str, short: Option<char>) -> Flag {
    Flag { long, short, takes_value: true, alone: None }
}

/// A flag that may stand alone, or with `=value`.
pub const fn optional(long: &'static str, alone: &'static str) -> Flag {
    Flag { long, short: None, takes_value: true, alone: Some(alone) }
}

/// The flags that every command has.
pub const GENERAL: &[Flag] = &[
    value("namespace", Some('n')),
    value("kubeconfig", None),
    value("context", None),
    value("cluster", None),
    value("user", None),
    value("server", Some('s')),
    value("token", None),
    value("as", None),
    value("request-timeout", None),
    value("v", Some('v')),
    switch("warnings-as-errors", None),
    switch("insecure-skip-tls-verify", None),
    switch("help", Some('h')),
];

/// Parsed arguments of a command.
#[derive(Debug, Default)]
pub struct Arguments {
    pub command: &'static str,
    values: BTreeMap<&'static str, Vec<String>>,
    pub positional: Vec<String>,
    /// What stands behind `--`.
    pub rest: Vec<String>,
}

impl Arguments {
    /// The last value of a flag.
    pub fn value(&self, long: &str) -> Option<&str> {
        self.values.get(long)?.last().map(String::as_str)
    }

    /// All values of a flag that may be repeated.
    pub fn values(&self, long: &str) -> &[String] {
        self.values.get(long).map_or(&[], Vec::as_slice)
    }

    /// A switch that is on.
    pub fn is_set(&self, long: &str) -> bool {
        self.value(long).is_some_and(|value| value != "false")
    }

    /// A switch that is on unless it is turned off.
    pub fn is_not_off(&self, long: &str) -> bool {
        self.value(long) != Some("false")
    }

    pub fn number(&self, long: &str) -> Result<Option<i64>, KubectlError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| self.invalid(long, text, "strconv.ParseInt: parsing: invalid syntax"))
        };
        self.value(long).map(parse).transpose()
    }

    /// `30s`, `1h30m`, `0`.
    pub fn duration(&self, long: &str) -> Result<Option<Duration>, KubectlError> {
        let parse = |text: &str| duration(text).ok_or_else(|| self.invalid(long, text, "time: invalid duration"));
        self.value(long).map(parse).transpose()
    }

    fn invalid(&self, long: &str, text: &str, why: &str) -> KubectlError {
        KubectlError::Usage {
            message: format!("invalid argument \"{text}\" for \"--{long}\" flag: {why}"),
            command: self.command,
        }
    }

    /// A usage error of this command.
    pub fn usage(&self, message: impl Into<String>) -> KubectlError {
        KubectlError::Usage { message: message.into(), command: self.command }
    }
}

fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let amount: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        let seconds = match &rest[..end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(amount * seconds).ok()?)?;
        rest = &rest[end..];
    }
    Some(total)
}

/// Where the command's name stands: the first word that is neither a flag nor a flag's value.
pub fn command_position(words: &[String]) -> Option<usize> {
    let mut index = 0;
    while let Some(word) = words.get(index) {
        if !word.starts_with('-') || word == "--help" || word == "-h" {
            return Some(index);
        }
        let takes_next = GENERAL.iter().filter(|flag| flag.takes_value).any(|flag| {
            *word == format!("--{}", flag.long) || flag.short.is_some_and(|short| *word == format!("-{short}"))
        });
        index += if takes_next { 2 } else { 1 };
    }
    None
}

/// Parses the arguments behind a command's name.
pub fn parse(command: &'static str, words: &[String], flags: &'static [Flag]) -> Result<Arguments, KubectlError> {
    let mut arguments = Arguments { command, ..Arguments::default() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            arguments.rest = words.cloned().collect();
            break;
        } else if let Some(long) = word.strip_prefix("--") {
            parse_long(&mut arguments, long, &mut words, flags)?;
        } else if word.len() > 1 && word.starts_with('-') {
            parse_short(&mut arguments, word, &mut words, flags)?;
        } else {
            arguments.positional.push(word.clone());
        }
    }
    Ok(arguments)
}

fn parse_long<'w>(
    arguments: &mut Arguments,
    word: &str,
    words: &mut impl Iterator<Item = &'w String>,
    flags: &'static [Flag],
) -> Result<(), KubectlError> {
    let (name, attached) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (word, None),
    };
    let flag = flags
        .iter()
        .chain(GENERAL)
        .find(|flag| flag.long == name)
        .ok_or_else(|| arguments.usage(format!("unknown flag: --{name}")))?;
    let value = match (attached, flag.takes_value, flag.alone) {
        (Some(value), ..) => value,
        (None, false, _) => "true".to_owned(),
        (None, true, Some(alone)) => alone.to_owned(),
        (None, true, None) => {
            words.next().cloned().ok_or_else(|| arguments.usage(format!("flag needs an argument: --{name}")))?
        }
    };
    arguments.values.entry(flag.long).or_default().push(value);
    Ok(())
}

fn parse_short<'w>(
    arguments: &mut Arguments,
    word: &str,
    words: &mut impl Iterator<Item = &'w String>,
    flags: &'static [Flag],
) -> Result<(), KubectlError> {
    let mut rest = &word[1..];
    while let Some(short) = rest.chars().next() {
        let flag = flags
            .iter()
            .chain(GENERAL)
            .find(|flag| flag.short == Some(short))
            .ok_or_else(|| arguments.usage(format!("unknown shorthand flag: '{short}' in {word}")))?;
        rest = &rest[short.len_utf8()..];
        if !flag.takes_value {
            let (value, after) = match rest.strip_prefix('=') {
                Some(value) => (value, ""),
                None => ("true", rest),
            };
            arguments.values.entry(flag.long).or_default().push(value.to_owned());
            rest = after;
            continue;
        }
        let value = match rest.strip_prefix('=').unwrap_or(rest) {
            "" => words
                .next()
                .cloned()
                .ok_or_else(|| arguments.usage(format!("flag needs an argument: '{short}' in {word}")))?,
            attached => attached.to_owned(),
        };
        arguments.values.entry(flag.long).or_default().push(value);
        break;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        value("output", Some('o')),
        switch("watch", Some('w')),
        switch("all-namespaces", Some('A')),
        optional("dry-run", "unchanged"),
    ];

    #[test]
    fn words() {
        fn check(line: &str, expected: &str) {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let shown = match parse("get", &words, FLAGS) {
                Ok(arguments) => {
                    let values: Vec<String> =
                        arguments.values.iter().map(|(name, values)| format!("{name}={}", values.join("+"))).collect();
                    format!("{} | {} | {}", values.join(" "), arguments.positional.join(" "), arguments.rest.join(" "))
                }
                Err(error) => error.told(),
            };
            assert_eq!(shown, expected, "{line}");
        }
        check("pods -o yaml -n demo", "namespace=demo output=yaml | pods | ");
        check("pods -oyaml --namespace=demo web", "namespace=demo output=yaml | pods web | ");
        check("pods -Aw -o=json", "all-namespaces=true output=json watch=true | pods | ");
        check("pods --watch=false -- sh -c x", "watch=false | pods | sh -c x");
        check("-f - --dry-run", "error: unknown shorthand flag: 'f' in -f\nSee 'kubectl get --help' for usage.");
        check("--dry-run a", "dry-run=unchanged | a | ");
        check("--nope", "error: unknown flag: --nope\nSee 'kubectl get --help' for usage.");
        check("-o", "error: flag needs an argument: 'o' in -o\nSee 'kubectl get --help' for usage.");
    }

    #[test]
    fn durations() {
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(duration(text).map(|duration| u64::try_from(duration.as_millis()).unwrap()), expected, "{text}");
        }
        check("30s", Some(30_000));
        check("1h30m", Some(5_400_000));
        check("0", Some(0));
        check("1.5s", Some(1500));
        check("x", None);
    }
}
