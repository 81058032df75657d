//! Dockerfiles, as far as they need nothing to run: one `FROM`, files, and metadata.

use std::collections::BTreeMap;

use super::fault::Fault;

/// A Dockerfile whose variables are filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dockerfile {
    /// The base image.
    pub base: String,
    /// What follows, in order.
    pub steps: Vec<Step>,
}

/// One instruction after `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The instruction as written, on one line.
    pub text: String,
    /// What it does.
    pub instruction: Instruction,
}

/// What an instruction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// `COPY` and local `ADD`.
    Copy {
        /// Paths and globs, relative to the context.
        sources: Vec<String>,
        /// Where to.
        destination: String,
        /// `--chmod`, an octal mode.
        mode: Option<u32>,
    },
    /// `ENV`.
    Env(Vec<(String, String)>),
    /// `LABEL`.
    Label(Vec<(String, String)>),
    /// `EXPOSE`; each with its protocol.
    Expose(Vec<String>),
    /// `WORKDIR`.
    WorkingDirectory(String),
    /// `USER`.
    User(String),
    /// `VOLUME`.
    Volume(Vec<String>),
    /// `STOPSIGNAL`.
    StopSignal(String),
    /// `CMD`.
    Command(Vec<String>),
    /// `ENTRYPOINT`.
    Entrypoint(Vec<String>),
    /// `ARG`: nothing remains of it.
    Argument,
}

/// Reads a Dockerfile; `arguments` are those of `werf.yaml`.
///
/// # Errors
/// An instruction that the embedded werf does not carry out, or text that is no Dockerfile.
pub fn parse(text: &str, arguments: &BTreeMap<String, String>) -> Result<Dockerfile, Fault> {
    let mut dockerfile = Dockerfile::default();
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    for (line, text) in logical_lines(text) {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
        let name = word.to_ascii_uppercase();
        let rest = rest.trim();
        if dockerfile.base.is_empty() && name != "FROM" && name != "ARG" {
            return Err(Fault::invalid(format!(
                "dockerfile parse error line {line}: no build stage in current context"
            )));
        }
        let instruction = match name.as_str() {
            "FROM" => {
                if !dockerfile.base.is_empty() {
                    return Err(unsupported(line, "a second FROM (multi-stage builds)"));
                }
                dockerfile.base = base_image(rest, &variables, line)?;
                variables.clear();
                continue;
            }
            "ARG" => {
                declare(rest, arguments, &mut variables);
                if dockerfile.base.is_empty() {
                    continue;
                }
                Instruction::Argument
            }
            "COPY" | "ADD" => copy(&name, &substitute(rest, &variables), line)?,
            "ENV" => {
                let pairs = pairs(&substitute(rest, &variables));
                variables.extend(pairs.iter().cloned());
                Instruction::Env(pairs)
            }
            "LABEL" => Instruction::Label(pairs(&substitute(rest, &variables))),
            "EXPOSE" => Instruction::Expose(words(&substitute(rest, &variables)).into_iter().map(port).collect()),
            "WORKDIR" => Instruction::WorkingDirectory(substitute(rest, &variables)),
            "USER" => Instruction::User(substitute(rest, &variables)),
            "VOLUME" => Instruction::Volume(json_words(rest).unwrap_or_else(|| words(&substitute(rest, &variables)))),
            "STOPSIGNAL" => Instruction::StopSignal(substitute(rest, &variables)),
            "CMD" => Instruction::Command(command(rest)),
            "ENTRYPOINT" => Instruction::Entrypoint(command(rest)),
            "MAINTAINER" => Instruction::Label(vec![("maintainer".into(), rest.to_owned())]),
            "RUN" => {
                return Err(unsupported(
                    line,
                    "RUN, for it has no containers to run commands in: COPY what the command would make",
                ));
            }
            "HEALTHCHECK" => return Err(unsupported(line, "HEALTHCHECK, which Kubernetes ignores: use a probe")),
            "ONBUILD" | "SHELL" => return Err(unsupported(line, &name)),
            _ => {
                return Err(Fault::invalid(format!("dockerfile parse error line {line}: unknown instruction: {word}")));
            }
        };
        dockerfile.steps.push(Step { text, instruction });
    }
    if dockerfile.base.is_empty() {
        return Err(Fault::invalid("file with no instructions"));
    }
    Ok(dockerfile)
}

fn unsupported(line: usize, what: &str) -> Fault {
    Fault::Unsupported {
        what: format!("line {line} of the Dockerfile: {what}"),
        instead: Some(
            "COPY files that are ready, or let the real werf and Docker build it: `tutorial start --sandbox kind`"
                .into(),
        ),
    }
}

/// Instructions, each on one line and with the number of its first, without comments.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') || trimmed.is_empty() {
            continue;
        }
        let (start, mut logical) = open.take().unwrap_or((index + 1, String::new()));
        if let Some(part) = trimmed.strip_suffix('\\') {
            logical.push_str(part);
            open = Some((start, logical));
        } else {
            logical.push_str(trimmed);
            lines.push((start, logical));
        }
    }
    lines.extend(open);
    lines
}

fn base_image(rest: &str, variables: &BTreeMap<String, String>, line: usize) -> Result<String, Fault> {
    let rest = substitute(rest, variables);
    let words: Vec<&str> = rest.split_whitespace().filter(|word| !word.starts_with("--platform=")).collect();
    match words.as_slice() {
        [image] => Ok((*image).to_owned()),
        [image, keyword, _] if keyword.eq_ignore_ascii_case("as") => Ok((*image).to_owned()),
        _ => Err(Fault::invalid(format!(
            "dockerfile parse error line {line}: FROM requires either one or three arguments"
        ))),
    }
}

fn declare(rest: &str, arguments: &BTreeMap<String, String>, variables: &mut BTreeMap<String, String>) {
    let (name, default) = rest.split_once('=').map_or((rest, None), |(name, value)| (name, Some(value)));
    let value =
        arguments.get(name.trim()).cloned().or_else(|| default.map(|text| unquote(&substitute(text, variables))));
    variables.insert(name.trim().to_owned(), value.unwrap_or_default());
}

fn copy(name: &str, rest: &str, line: usize) -> Result<Instruction, Fault> {
    let mut mode = None;
    let mut rest = rest.trim();
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        let (key, value) = flag.split_once('=').unwrap_or((flag, ""));
        match key {
            // Files belong to root in the sandbox, where nothing looks at owners.
            "chown" | "link" => {}
            "chmod" => {
                mode = Some(u32::from_str_radix(value, 8).map_err(|_| {
                    Fault::invalid(format!("dockerfile parse error line {line}: invalid chmod parameter: '{value}'"))
                })?);
            }
            "from" => return Err(unsupported(line, &format!("{name} --from"))),
            _ => return Err(unsupported(line, &format!("{name} --{key}"))),
        }
        rest = after.trim_start();
    }
    if rest.contains("<<") {
        return Err(unsupported(line, "here-documents"));
    }
    let mut paths = json_words(rest).unwrap_or_else(|| words(rest));
    let destination = paths.pop().unwrap_or_default();
    if paths.is_empty() {
        return Err(Fault::invalid(format!(
            "dockerfile parse error line {line}: {name} requires at least two arguments, but only one was provided. Destination could not be determined"
        )));
    }
    if name == "ADD" {
        let is_remote = |path: &&String| path.contains("://") || path.starts_with("git@");
        let is_archive =
            |path: &&String| [".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"].iter().any(|end| path.ends_with(end));
        if paths.iter().any(|path| is_remote(&path) || is_archive(&path)) {
            return Err(unsupported(line, "ADD of an address or an archive"));
        }
    }
    Ok(Instruction::Copy { sources: paths, destination, mode })
}

fn port(text: String) -> String {
    if text.contains('/') { text } else { format!("{text}/tcp") }
}

fn command(rest: &str) -> Vec<String> {
    json_words(rest).unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into(), rest.to_owned()])
}

fn json_words(rest: &str) -> Option<Vec<String>> {
    rest.starts_with('[').then(|| serde_json::from_str(rest).ok()).flatten()
}

/// Words between spaces; quotes hold a word together and go.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, letter) if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (Some('"') | None, '\\') => word.extend(letters.next()),
            _ => word.push(letter),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn unquote(text: &str) -> String {
    words(text).join(" ")
}

/// `KEY=value …`, or the old `KEY value`.
fn pairs(text: &str) -> Vec<(String, String)> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (key, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        return vec![(key.to_owned(), value.trim().to_owned())];
    }
    words(text)
        .into_iter()
        .map(|word| {
            word.split_once('=').map_or((word.clone(), String::new()), |(key, value)| (key.into(), value.into()))
        })
        .collect()
}

/// Fills in `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`; `\$` stays a dollar.
fn substitute(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        if let Some(before) = before.strip_suffix('\\') {
            filled.push_str(before);
            filled.push('$');
            rest = after;
            continue;
        }
        filled.push_str(before);
        if let Some((inside, behind)) = after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            let end = inside.find(':').unwrap_or(inside.len());
            let value = variables.get(&inside[..end]).filter(|value| !value.is_empty());
            match (&inside[end..].get(..2), value) {
                (Some(":-"), None) | (Some(":+"), Some(_)) => filled.push_str(&inside[end + 2..]),
                (Some(":+"), None) => {}
                (_, value) => filled.push_str(value.map_or("", String::as_str)),
            }
            rest = behind;
            continue;
        }
        let length = after.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(after.len());
        if length == 0 {
            filled.push('$');
        }
        filled.push_str(variables.get(&after[..length]).map_or("", String::as_str));
        rest = &after[length..];
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<Instruction> {
        let dockerfile = parse(&format!("FROM a\n{text}"), &BTreeMap::new()).expect(text);
        dockerfile.steps.into_iter().map(|step| step.instruction).collect()
    }

    #[test]
    fn instructions() {
        let text = |text: &str| text.to_owned();
        let check = |input: &str, expected: Instruction| assert_eq!(steps(input), [expected], "{input}");
        let copy = |sources: &[&str], destination: &str| Instruction::Copy {
            sources: sources.iter().map(|source| (*source).to_owned()).collect(),
            destination: destination.to_owned(),
            mode: None,
        };
        check("COPY public /usr/share/nginx/html", copy(&["public"], "/usr/share/nginx/html"));
        check("copy --chown=1:1 a b \\\n  # between\n  c/", copy(&["a", "b"], "c/"));
        check("ADD [\"a b\", \"/c\"]", copy(&["a b"], "/c"));
        check("ENV A=1 B=\"x y\"", Instruction::Env(vec![(text("A"), text("1")), (text("B"), text("x y"))]));
        check("ENV A some words", Instruction::Env(vec![(text("A"), text("some words"))]));
        check("EXPOSE 80 53/udp", Instruction::Expose(vec![text("80/tcp"), text("53/udp")]));
        check("CMD nginx -g x", Instruction::Command(vec![text("/bin/sh"), text("-c"), text("nginx -g x")]));
        check("CMD [\"nginx\"]", Instruction::Command(vec![text("nginx")]));
    }

    #[test]
    fn variables() {
        let dockerfile = parse(
            "ARG TAG=1\nFROM nginx:${TAG}\nARG DIR=public\nENV X=$DIR\nCOPY ${DIR} /${X}/${NONE:-y}",
            &BTreeMap::from([("TAG".to_owned(), "1.29-alpine".to_owned())]),
        )
        .expect("parses");
        assert_eq!(dockerfile.base, "nginx:1.29-alpine");
        let Some(Instruction::Copy { sources, destination, .. }) =
            dockerfile.steps.last().map(|step| &step.instruction)
        else {
            panic!("no COPY");
        };
        assert_eq!((sources[0].as_str(), destination.as_str()), ("public", "/public/y"));
    }

    #[test]
    fn what_is_not_done_says_what_to_do() {
        let check = |text: &str, expected: &str| {
            let fault = parse(text, &BTreeMap::new()).expect_err(text).to_string();
            assert!(fault.contains(expected), "{fault}");
        };
        check("FROM a\nRUN false", "line 2 of the Dockerfile: RUN, for it has no containers to run commands in");
        check("FROM a\nFROM b", "a second FROM");
        check("FROM a\nCOPY --from=x a b", "COPY --from");
        check("FROM a\nADD https://example.org/x /x", "ADD of an address or an archive");
        check("FROM a\nCOPPY a b", "dockerfile parse error line 2: unknown instruction: COPPY");
        check("COPY a b", "no build stage");
        check("# nothing", "file with no instructions");
        check("FROM a\nCOPY a", "requires at least two arguments");
    }
}
