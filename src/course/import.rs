//! Translates a Killercoda or Katacoda scenario into a course, as far as it goes: what could not be translated is told
//! line by line, and stays in the text for the author to find.
//!
//! A verb stands on the *closing* fence there (```` ```{{exec}} ````), which `CommonMark` does not take for one, so the
//! text is translated line by line, before any Markdown parser sees it.

use std::fmt::Write;

use serde_json::Value;

/// What a scenario became.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Names and contents of the course's files.
    pub files: Vec<(String, String)>,
    /// Files to copy: from where in the scenario, to where in the course.
    pub assets: Vec<(String, String)>,
    /// What the author must look at.
    pub notes: Vec<Note>,
}

/// Something that could not be translated.
#[derive(Debug, PartialEq, Eq)]
pub struct Note {
    /// `file:line` in the scenario.
    pub place: String,
    pub message: String,
}

/// Why nothing could be imported at all.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ImportError {
    #[error("there is no `index.json`")]
    NoIndex,
    #[error("`index.json` cannot be read: {0}")]
    BadIndex(String),
    #[error("`index.json` has no steps")]
    NoSteps,
}

impl crate::error::Explain for ImportError {
    fn hint(&self) -> Option<String> {
        Some("a scenario is a directory with `index.json` and the texts that it names".into())
    }

    fn exit(&self) -> crate::error::Exit {
        crate::error::Exit::Usage
    }
}

/// Translates the scenario whose files `read` returns; `id` becomes the course's.
pub fn import(id: &str, read: impl Fn(&str) -> Option<String>) -> Result<Imported, ImportError> {
    let index = read("index.json").ok_or(ImportError::NoIndex)?;
    let index: Value = serde_json::from_str(&index).map_err(|error| ImportError::BadIndex(error.to_string()))?;
    let details = &index["details"];
    let steps = details["steps"].as_array().filter(|steps| !steps.is_empty()).ok_or(ImportError::NoSteps)?;
    let mut scenario = Scenario { read: &read, imported: Imported::default(), text: String::new(), ids: Vec::new() };
    let title = text_of(&index["title"]).unwrap_or(id);
    let _ = write!(scenario.text, "---\ntitle: {}\n---\n", Value::from(title));
    scenario.assets(&details["assets"]);
    scenario.step(&details["intro"], "Introduction");
    for (number, step) in steps.iter().enumerate() {
        scenario.step(step, &format!("Step {}", number + 1));
    }
    scenario.step(&details["finish"], "The end");
    let description = text_of(&index["description"]).unwrap_or_default();
    let manifest = format!(
        "id: {id}\ntitle: {}\ndescription: {}\nrepository: work\nlessons:\n  - 01-scenario\n",
        Value::from(title),
        Value::from(description)
    );
    let Scenario { mut imported, text, .. } = scenario;
    imported.files = vec![("course.yaml".into(), manifest), ("01-scenario.md".into(), text)];
    Ok(imported)
}

struct Scenario<'r> {
    read: &'r dyn Fn(&str) -> Option<String>,
    imported: Imported,
    /// The lesson as far as it is written.
    text: String,
    ids: Vec<String>,
}

impl Scenario<'_> {
    fn note(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.imported.notes.push(Note { place: place.into(), message: message.into() });
    }

    /// Files that the scenario puts onto its host; a course's files are found under `COURSE_DIR`.
    fn assets(&mut self, assets: &Value) {
        let hosts = assets.as_object().into_iter().flatten();
        for asset in hosts.flat_map(|(_, files)| files.as_array().into_iter().flatten()) {
            let Some(file) = text_of(&asset["file"]) else { continue };
            if file.contains('*') {
                self.note("index.json", format!("copy the assets `{file}` to `assets/` by hand"));
            } else {
                self.imported.assets.push((format!("assets/{file}"), format!("assets/{file}")));
            }
            let target = text_of(&asset["target"]).unwrap_or("/root");
            let message =
                format!("the asset `{file}` went to `{target}`: let a `sh setup` copy it from `$COURSE_DIR/assets`");
            self.note("index.json", message);
        }
    }

    /// A step, where there is one: its scripts, its text, its check.
    fn step(&mut self, step: &Value, fallback: &str) {
        let title = text_of(&step["title"]).unwrap_or(fallback);
        let file = text_of(&step["text"]);
        if file.is_none() && step["title"].is_null() {
            return;
        }
        let id = self.unused_id(title);
        let _ = write!(self.text, "\n## {title} {{#{id}}}\n");
        for (key, verb) in [("background", "setup"), ("foreground", "run")] {
            if let Some(script) = self.script(step, key) {
                let _ = write!(self.text, "\n```sh {verb}\n{}\n```\n", script.trim_end());
            }
        }
        if let Some(file) = file {
            match (self.read)(file) {
                Some(text) => self.prose(file, &text),
                None => self.note("index.json", format!("there is no `{file}`")),
            }
        }
        if let Some(script) = self.script(step, "verify") {
            let _ = write!(
                self.text,
                "\n```sh check name=\"{id} is done\" else=\"Not yet: look at the step's text again.\"\n{}\n```\n",
                script.trim_end()
            );
            let name = text_of(&step["verify"]).unwrap_or_default();
            self.note(name, "the check says only that it fails: tell in `name` and `else` what is expected");
        }
    }

    fn script(&mut self, step: &Value, key: &str) -> Option<String> {
        let file = text_of(&step[key])?;
        let script = (self.read)(file);
        if let Some(script) = &script {
            for (number, line) in script.lines().enumerate() {
                self.note_foreign(file, number, line);
            }
        } else {
            self.note("index.json", format!("there is no `{file}`"));
        }
        script.filter(|script| !script.trim().is_empty())
    }

    fn unused_id(&mut self, title: &str) -> String {
        let words: Vec<String> = title
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        let stem = if words.is_empty() { "step".to_owned() } else { words.join("-") };
        let id = (1..=self.ids.len() + 1)
            .map(|number| if number == 1 { stem.clone() } else { format!("{stem}-{number}") })
            .find(|id| !self.ids.contains(id))
            .expect("there are more numbers than ids");
        self.ids.push(id.clone());
        id
    }

    /// A step's text, line by line.
    fn prose(&mut self, file: &str, text: &str) {
        self.text.push('\n');
        let mut fence: Option<Fence> = None;
        let mut details: Option<Details> = None;
        for (number, line) in text.lines().enumerate() {
            self.note_foreign(file, number, line);
            let line = &with_urls(line);
            if let Some(open) = &mut fence {
                match line.trim_start().strip_prefix(open.marks.as_str()).map(str::trim) {
                    Some(end) if end.is_empty() || end.starts_with("{{") => {
                        let done = open.close(end, details.as_ref());
                        if end.starts_with("{{") && verb_of(end).is_none() {
                            self.note(format!("{file}:{}", number + 1), format!("`{end}` is not known"));
                        }
                        fence = None;
                        self.put(&done, details.as_ref());
                    }
                    _ => open.lines.push(line.clone()),
                }
                continue;
            }
            if let Some(opened) = Fence::open(line) {
                fence = Some(opened);
                continue;
            }
            self.prose_line(file, number, line, &mut details);
        }
        if let Some(open) = fence {
            self.note(file, "a fence is never closed");
            let done = open.close("", details.as_ref());
            self.put(&done, details.as_ref());
        }
    }

    fn prose_line(&mut self, file: &str, number: usize, line: &str, details: &mut Option<Details>) {
        let place = || format!("{file}:{}", number + 1);
        if let Some(summary) = between(line, "<summary>", "</summary>") {
            let is_solution = summary.to_lowercase().contains("solution");
            *details = Some(Details { is_solution });
            if !is_solution {
                self.text.push_str("> [!HINT]\n");
            }
            return;
        }
        match line.trim() {
            "<details>" | "<br>" | "<br/>" | "<p>" | "</p>" => return,
            "</details>" => {
                *details = None;
                self.text.push('\n');
                return;
            }
            _ => {}
        }
        if let Some(title) = line.strip_prefix('#') {
            let title = title.trim_start_matches('#').trim();
            self.put(&format!("### {title}"), details.as_ref());
            return;
        }
        let (line, commands) = inline_commands(line);
        if line.contains("{{") && (line.contains("}}`") || line.contains("}}")) && !line.contains("{{ ") {
            self.note(place(), "a `{{…}}` that is not known stays as it is");
        }
        if line.trim_start().starts_with('<') && !line.trim_start().starts_with("<!--") {
            self.note(place(), "HTML is not shown in a terminal");
        }
        self.put(&line, details.as_ref());
        for (verb, command) in commands {
            self.put(&format!("\n```sh {verb}\n{command}\n```"), details.as_ref());
        }
    }

    /// Adds lines, as a quotation inside of a hint.
    fn put(&mut self, text: &str, details: Option<&Details>) {
        let is_hint = details.is_some_and(|details| !details.is_solution);
        for line in text.split('\n') {
            let quoted = if is_hint { format!("> {line}") } else { line.to_owned() };
            self.text.push_str(quoted.trim_end());
            self.text.push('\n');
        }
    }

    /// Tells what belongs to the scenario's own machine.
    fn note_foreign(&mut self, file: &str, number: usize, line: &str) {
        let place = format!("{file}:{}", number + 1);
        if line.contains("/root") {
            self.note(&place, "`/root` is the scenario's home: here commands run in the learner's repository");
        }
        if line.contains("docker run") && line.contains("registry") {
            self.note(&place, "the sandbox has a registry: `$REGISTRY`");
        } else if line.contains("localhost:5000") {
            self.note(&place, "the sandbox's registry is `$REGISTRY`");
        }
    }
}

/// `<details>`: a solution or a hint.
struct Details {
    is_solution: bool,
}

/// A fence that has been opened.
struct Fence {
    marks: String,
    info: String,
    lines: Vec<String>,
}

impl Fence {
    fn open(line: &str) -> Option<Self> {
        let line = line.trim_start();
        let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = line.chars().take_while(|c| *c == mark).count();
        let info = line[length..].trim();
        // ```` ```command```{{exec}} ```` on one line is inline code.
        (length >= 3 && !info.contains(mark)).then(|| Self {
            marks: mark.to_string().repeat(length),
            info: info.to_owned(),
            lines: Vec::new(),
        })
    }

    /// The fence with its verb, which the closing line or the place in a solution gave it.
    fn close(&self, end: &str, details: Option<&Details>) -> String {
        let language = self.info.split_whitespace().next().unwrap_or_default();
        let is_shell = matches!(language, "" | "sh" | "bash" | "shell" | "plain");
        let verb = match (verb_of(end), details) {
            (_, Some(details)) if details.is_solution && is_shell => Some("solve"),
            (_, Some(_)) | (None, None) => None,
            (verb, None) => verb,
        };
        let language = match verb {
            Some("run" | "solve") => "sh",
            Some(_) if language.is_empty() => "text",
            _ => language,
        };
        let verb = verb.map(|verb| format!(" {verb}")).unwrap_or_default();
        format!("{}{language}{verb}\n{}\n{}", self.marks, self.lines.join("\n"), self.marks)
    }
}

/// The verb of `{{exec}}` and its kin.
fn verb_of(mark: &str) -> Option<&'static str> {
    let word = mark.trim().strip_prefix("{{")?.split([' ', '}']).next()?;
    match word {
        "exec" | "execute" => Some("run"),
        "copy" => Some("copy"),
        _ => None,
    }
}

/// Takes the marks off of `` `command`{{exec}} ``; the commands come in fences of their own behind the line.
fn inline_commands(line: &str) -> (String, Vec<(&'static str, String)>) {
    let mut commands = Vec::new();
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("`{{") {
        let end = rest[at..].find("}}").map(|end| at + end + 2);
        let start = rest[..at].rfind('`');
        let (Some(end), Some(start)) = (end, start) else { break };
        let Some(verb) = verb_of(&rest[at + 1..end]) else { break };
        text.push_str(&rest[..=at]);
        let language_verb = if verb == "copy" { "copy" } else { "run" };
        commands.push((language_verb, rest[start + 1..at].to_owned()));
        rest = &rest[end..];
    }
    (text + rest, commands)
}

/// Replaces the addresses of the scenario's ports.
fn with_urls(line: &str) -> String {
    let mut text = line.to_owned();
    while let Some((whole, port)) = traffic(&text) {
        text = text.replace(&whole, &format!("http://localhost:{port}"));
    }
    text
}

/// The first address of a port, and the port: `{{TRAFFIC_HOST1_80}}`,
/// `https://[[HOST_SUBDOMAIN]]-80-[[KATACODA_HOST]].environments.katacoda.com`.
fn traffic(text: &str) -> Option<(String, String)> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    if let Some(at) = text.find("{{TRAFFIC_HOST") {
        let end = at + text[at..].find("}}")? + 2;
        let port = text[at..end - 2].rsplit('_').next().map(digits).unwrap_or_default();
        return (!port.is_empty()).then(|| (text[at..end].to_owned(), port));
    }
    let at = text.find("[[HOST_SUBDOMAIN]]-")?;
    let start = text[..at].rfind("http").filter(|start| !text[*start..at].contains(' ')).unwrap_or(at);
    let host_end = text[at..].find(|c: char| c.is_whitespace() || matches!(c, ')' | '/'));
    let end = host_end.map_or(text.len(), |end| at + end);
    let port = digits(&text[at + "[[HOST_SUBDOMAIN]]-".len()..]);
    (!port.is_empty()).then(|| (text[start..end].to_owned(), port))
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let inside = &text[text.find(start)? + start.len()..];
    Some(&inside[..inside.find(end)?])
}

fn text_of(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::tests::read;

    const INDEX: &str = r#"{
      "title": "Nodes: an overview", "description": "Look around",
      "details": {
        "intro": { "text": "intro.md", "background": "prepare.sh" },
        "steps": [
          { "title": "Look", "text": "look.md", "verify": "verify.sh" },
          { "title": "Look", "text": "missing.md" }
        ],
        "finish": { "text": "finish.md" },
        "assets": { "host01": [ { "file": "app.yaml", "target": "/root", "chmod": "+x" } ] }
      }
    }"#;

    const LOOK: &str = "# List them\n\nRun this:\n\n```\nkubectl get nodes\n```{{exec}}\n\nor `kubectl get pods`{{execute T2}} and copy `x y`{{copy}}.\n\n```yaml\na: 1\n```{{copy}}\n\nOpen {{TRAFFIC_HOST1_80}} or https://[[HOST_SUBDOMAIN]]-8080-[[KATACODA_HOST]].environments.katacoda.com/a now.\n\n<details>\n<summary>Tip</summary>\n\nLook *closer*:\n\n```\nkubectl get nodes -o wide\n```\n\n</details>\n\n<details><summary>Solution</summary>\n\n```bash\nkubectl get nodes > /root/nodes\n```\n\n</details>\n";

    fn scenario(name: &str) -> Option<String> {
        let text = match name {
            "index.json" => INDEX,
            "intro.md" => "Welcome.\n",
            "prepare.sh" => "docker run -d -p 5000:5000 registry:2\n",
            "look.md" => LOOK,
            "verify.sh" => "test -e /root/nodes\n",
            "finish.md" => "Bye. {{ .Values.x }} stays.\n",
            _ => return None,
        };
        Some(text.to_owned())
    }

    #[test]
    fn a_scenario_becomes_a_course() {
        let imported = import("nodes", scenario).expect("it can be imported");
        let lesson = &imported.files[1].1;
        let expected = [
            "---\ntitle: \"Nodes: an overview\"\n---\n",
            "## Introduction {#introduction}\n\n```sh setup\ndocker run",
            "## Look {#look}\n\n### List them\n",
            "```sh run\nkubectl get nodes\n```\n",
            "or `kubectl get pods` and copy `x y`.\n\n```sh run\nkubectl get pods\n```\n\n```sh copy\nx y\n```\n",
            "```yaml copy\na: 1\n```\n",
            "Open http://localhost:80 or http://localhost:8080/a now.",
            "> [!HINT]\n>\n> Look *closer*:\n>\n> ```\n> kubectl get nodes -o wide\n> ```\n",
            "```sh solve\nkubectl get nodes > /root/nodes\n```\n",
            "```sh check name=\"look is done\"",
            "## Look {#look-2}\n",
            "## The end {#the-end}\n\nBye. {{ .Values.x }} stays.\n",
        ];
        for part in expected {
            assert!(lesson.contains(part), "{part}\n----\n{lesson}");
        }
        let notes: Vec<String> =
            imported.notes.iter().map(|note| format!("{}: {}", note.place, note.message)).collect();
        let expected = [
            "index.json: the asset `app.yaml` went to `/root`: let a `sh setup` copy it from `$COURSE_DIR/assets`",
            "prepare.sh:1: the sandbox has a registry: `$REGISTRY`",
            "look.md:31: `/root` is the scenario's home: here commands run in the learner's repository",
            "verify.sh:1: `/root` is the scenario's home: here commands run in the learner's repository",
            "verify.sh: the check says only that it fails: tell in `name` and `else` what is expected",
            "index.json: there is no `missing.md`",
        ];
        assert_eq!(notes, expected);
        let (_, diagnostics) = read(lesson);
        assert!(!diagnostics.has_errors(), "{}", diagnostics.render(false));
    }

    #[test]
    fn what_is_no_scenario_is_told() {
        fn check(index: Option<&str>, expected: &str) {
            let outcome = import("x", |name| index.filter(|_| name == "index.json").map(str::to_owned));
            assert!(outcome.expect_err("it is none").to_string().starts_with(expected));
        }
        check(None, "there is no `index.json`");
        check(Some("{"), "`index.json` cannot be read");
        check(Some("{}"), "`index.json` has no steps");
        check(Some("[]"), "`index.json` has no steps");
    }
}
