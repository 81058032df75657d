//! `werf.yaml`: the project, how it deploys, and its images. Every document is checked; an unknown key is
//! refused in werf's words, with the document's lines.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fault::Fault;
use super::slug::{Purpose, slugify};
use super::yaml;

/// The names that the file goes by, the first that is there wins.
pub const FILE_NAMES: [&str; 2] = ["werf.yaml", "werf.yml"];

/// What `werf.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// The project's name.
    pub project: String,
    /// Where the chart is; `.helm` by default.
    pub chart_directory: String,
    /// The images, in the order of the file.
    pub images: Vec<ImageConfiguration>,
    namespace: Option<String>,
    release: Option<String>,
}

/// One `image:` document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfiguration {
    /// The image's name.
    pub name: String,
    /// The Dockerfile's path, relative to the context.
    pub dockerfile: String,
    /// The directory that is built, `.` by default.
    pub context: String,
    /// Build arguments.
    pub arguments: BTreeMap<String, String>,
}

impl Configuration {
    /// The namespace of an environment.
    pub fn namespace(&self, environment: Option<&str>) -> String {
        slugify(&self.fill(self.namespace.as_deref(), environment), Purpose::Namespace)
    }

    /// The release of an environment.
    pub fn release(&self, environment: Option<&str>) -> String {
        slugify(&self.fill(self.release.as_deref(), environment), Purpose::Release)
    }

    fn fill(&self, template: Option<&str>, environment: Option<&str>) -> String {
        let template =
            template.unwrap_or(if environment.is_some() { "[[ project ]]-[[ env ]]" } else { "[[ project ]]" });
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("[[") {
            filled.push_str(before);
            let Some((name, after)) = after.split_once("]]") else { break };
            match name.trim() {
                "project" => filled.push_str(&self.project),
                "env" => filled.push_str(environment.unwrap_or_default()),
                _ => {}
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// Reads the file; `shown_path` is what errors call it.
///
/// # Errors
/// What werf says to a key that it does not know, a missing or bad project name, a document that is no YAML.
pub fn parse(text: &str, shown_path: &str) -> Result<Configuration, Fault> {
    if text.contains("{{") {
        return Err(Fault::Unsupported {
            what: "Go templates ({{ … }}) in werf.yaml".into(),
            instead: Some("write the values out, or use the real werf: `tutorial start --sandbox kind`".into()),
        });
    }
    let mut configuration = Configuration { chart_directory: ".helm".into(), ..Configuration::default() };
    let mut has_meta = false;
    let mut image_documents: Vec<Document> = Vec::new();
    for document in documents(text) {
        let value = yaml::parse_strict(&document.text()).map_err(|error| {
            Fault::invalid(format!(
                "unable to parse werf config {shown_path}: {error}\n\n{}",
                document.shown(shown_path)
            ))
        })?;
        match value {
            Value::Null => {}
            Value::Object(entries) if entries.contains_key("project") || entries.contains_key("configVersion") => {
                if has_meta {
                    let what = "duplicate meta config section definition";
                    return Err(document.refuse(what, shown_path));
                }
                read_meta(&entries, &document, shown_path, &mut configuration)?;
                has_meta = true;
            }
            Value::Object(entries) => {
                let image = read_image(&entries, &document, shown_path)?;
                let same =
                    configuration.images.iter().zip(&image_documents).find(|(other, _)| other.name == image.name);
                if let Some((_, other)) = same {
                    let (lines, others): (String, String) = (document.numbered(), other.numbered());
                    return Err(Fault::invalid(format!("conflict between images names!\n\n{others}\n{lines}\n")));
                }
                configuration.images.push(image);
                image_documents.push(document);
            }
            _ => {
                return Err(document.refuse("cannot recognize type of config section!", shown_path));
            }
        }
    }
    if !has_meta {
        return Err(Fault::invalid(format!(
            "meta config section is not defined: add following example config section with required fields, e.g:\n\n```\nconfigVersion: 1\nproject: PROJECT_NAME\n```\n\n##############################################################################\n###           WARNING! Project name cannot be changed later without         ###\n###     rebuilding all stages and redeploying application                    ###\n##############################################################################\n\nFile: {shown_path}"
        )));
    }
    Ok(configuration)
}

fn read_meta(
    entries: &Map<String, Value>,
    document: &Document,
    shown_path: &str,
    configuration: &mut Configuration,
) -> Result<(), Fault> {
    const KNOWN: &[&str] = &["project", "configVersion", "deploy", "cleanup", "gitWorktree", "build"];
    document.require_known(entries, KNOWN, shown_path)?;
    let project = entries.get("project").and_then(Value::as_str).unwrap_or_default();
    if project.is_empty() {
        return Err(document.refuse("project name cannot be empty!", shown_path));
    }
    if !is_project_name(project) {
        return Err(document.refuse(
            &format!("bad project name `{project}` specified in config: invalid project name: expected regular expression \"^[a-z0-9]+(-[a-z0-9]+)*$\" and length not more than 50"),
            shown_path,
        ));
    }
    match entries.get("configVersion") {
        Some(Value::Number(number)) if number.as_i64() == Some(1) => {}
        Some(other) => {
            return Err(
                document.refuse(&format!("'configVersion: {other}' is not supported, expected: 1!"), shown_path)
            );
        }
        None => return Err(document.refuse("'configVersion' field is required!", shown_path)),
    }
    project.clone_into(&mut configuration.project);
    refuse_content(entries, &["build"])?;
    if let Some(Value::Object(deploy)) = entries.get("deploy") {
        const KNOWN: &[&str] =
            &["namespace", "helmRelease", "helmChartDir", "namespaceSlug", "helmReleaseSlug", "helmChartConfig"];
        document.require_known(deploy, KNOWN, shown_path)?;
        for key in ["namespaceSlug", "helmReleaseSlug"] {
            if deploy.get(key).is_some_and(|value| value != &Value::Bool(true)) {
                return Err(Fault::unsupported(format!("`{key}: false` in werf.yaml")));
            }
        }
        refuse_content(deploy, &["helmChartConfig"])?;
        let text = |key: &str| deploy.get(key).and_then(Value::as_str).map(str::to_owned);
        configuration.namespace = text("namespace");
        configuration.release = text("helmRelease");
        if let Some(directory) = text("helmChartDir") {
            directory.trim_start_matches("./").trim_end_matches('/').clone_into(&mut configuration.chart_directory);
        }
    }
    Ok(())
}

/// Refuses what the agent would have to leave undone.
fn refuse_content(entries: &Map<String, Value>, keys: &[&str]) -> Result<(), Fault> {
    let has_content = |value: &Value| match value {
        Value::Null => false,
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    match keys.iter().find(|key| entries.get(**key).is_some_and(has_content)) {
        Some(key) => Err(Fault::unsupported(format!("`{key}:` in werf.yaml"))),
        None => Ok(()),
    }
}

/// Lower case letters, digits and single dashes between them, at most 50 characters.
fn is_project_name(name: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    name.len() <= 50 && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

fn read_image(
    entries: &Map<String, Value>,
    document: &Document,
    shown_path: &str,
) -> Result<ImageConfiguration, Fault> {
    const KNOWN: &[&str] = &[
        "image",
        "dockerfile",
        "context",
        "args",
        "final",
        "platform",
        "contextAddFile",
        "contextAddFiles",
        "cacheVersion",
    ];
    if !entries.contains_key("image") {
        return Err(document.refuse("cannot recognize type of config section (part of YAML stream separated by three hyphens, https://yaml.org/spec/1.2/spec.html#id2800132):\n'configVersion' required for meta config section;\n'image' required for the image config sections;", shown_path));
    }
    for stapel in ["from", "fromImage", "git", "shell", "ansible", "import", "docker"] {
        if entries.contains_key(stapel) {
            return Err(Fault::unsupported(format!("Stapel images (`{stapel}:` in werf.yaml)")));
        }
    }
    for key in ["target", "secrets", "ssh", "network", "addHost", "dependencies", "staged", "imageSpec"] {
        if entries.contains_key(key) {
            return Err(Fault::unsupported(format!("`{key}:` of an image in werf.yaml")));
        }
    }
    document.require_known(entries, KNOWN, shown_path)?;
    refuse_content(entries, &["platform", "contextAddFile", "contextAddFiles", "cacheVersion"])?;
    if entries.get("final").is_some_and(|value| value != &Value::Bool(true)) {
        return Err(Fault::unsupported("`final: false` of an image in werf.yaml"));
    }
    let text = |key: &str| entries.get(key).and_then(Value::as_str).map(str::to_owned);
    let Some(dockerfile) = text("dockerfile").filter(|path| !path.is_empty()) else {
        return Err(Fault::unsupported("images without a `dockerfile:`"));
    };
    let arguments = entries.get("args").and_then(Value::as_object);
    Ok(ImageConfiguration {
        name: text("image").unwrap_or_default(),
        dockerfile,
        context: text("context").map_or_else(|| ".".into(), |context| context.trim_end_matches('/').to_owned()),
        arguments: arguments
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect(),
    })
}

/// One document of the file, with the number of its first line.
struct Document<'a> {
    first_line: usize,
    lines: Vec<&'a str>,
}

/// The documents between `---` lines. The text after the last line break counts as a line, as werf counts it.
fn documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = vec![Document { first_line: 1, lines: Vec::new() }];
    for (index, line) in text.split('\n').enumerate() {
        if line.trim_end() == "---" {
            documents.push(Document { first_line: index + 2, lines: Vec::new() });
        } else if let Some(document) = documents.last_mut() {
            document.lines.push(line);
        }
    }
    documents
}

impl Document<'_> {
    fn text(&self) -> String {
        self.lines.join("\n")
    }

    fn shown(&self, path: &str) -> String {
        format!("{path}\n\n{}\n", self.numbered())
    }

    /// The lines with their numbers in the file.
    fn numbered(&self) -> String {
        let lines = self.lines.iter().enumerate();
        lines.map(|(index, line)| format!("{:6}  {line}\n", self.first_line + index)).collect()
    }

    fn refuse(&self, what: &str, path: &str) -> Fault {
        Fault::invalid(format!("{what}\n\n{}", self.shown(path)))
    }

    fn require_known(&self, entries: &Map<String, Value>, known: &[&str], path: &str) -> Result<(), Fault> {
        let unknown: Vec<String> =
            entries.keys().filter(|key| !known.contains(&key.as_str())).map(|key| format!("`{key}`")).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(self.refuse(&format!("unknown fields: {}!", unknown.join(", ")), path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "project: demo-app\nconfigVersion: 1\n---\nimage: web\ndockerfile: Dockerfile\n";

    #[test]
    fn a_project_with_an_image() {
        let configuration = parse(PLAIN, "werf.yaml").expect("parses");
        assert_eq!(configuration.project, "demo-app");
        assert_eq!(configuration.images[0].name, "web");
        assert_eq!(configuration.namespace(Some("production")), "demo-app-production");
        assert_eq!(configuration.release(None), "demo-app");
    }

    #[test]
    fn names_from_the_deploy_section() {
        let text = "project: demo\nconfigVersion: 1\ndeploy:\n  namespace: \"x-[[ env ]]\"\n  helmRelease: '[[project]]'\n  helmChartDir: chart/\n";
        let configuration = parse(text, "werf.yaml").expect("parses");
        assert_eq!(configuration.namespace(Some("dev")), "x-dev");
        assert_eq!(configuration.release(Some("dev")), "demo");
        assert_eq!(configuration.chart_directory, "chart");
    }

    #[test]
    fn mistakes_are_refused_in_werfs_words() {
        let check = |text: &str, expected: &str| {
            let fault = parse(text, "<tmp>").expect_err(text);
            assert!(fault.to_string().starts_with(expected), "{fault}");
        };
        check(
            &format!("{PLAIN}foo: bar\n"),
            "unknown fields: `foo`!\n\n<tmp>\n\n     4  image: web\n     5  dockerfile: Dockerfile\n     6  foo: bar\n     7  \n\n",
        );
        check(
            &format!("{PLAIN}---\nimage: web\ndockerfile: Other\n"),
            "conflict between images names!\n\n     4  image: web\n     5  dockerfile: Dockerfile\n\n     7  image: web\n",
        );
        check(&format!("{PLAIN}---\nproject: b\nconfigVersion: 1\n"), "duplicate meta");
        check("configVersion: 1\n", "project name cannot be empty!");
        check("project: Demo\nconfigVersion: 1\n", "bad project name `Demo`");
        check("project: demo\n", "'configVersion' field is required!");
        check("image: web\ndockerfile: Dockerfile\n", "meta config section is not defined");
        check(
            "project: demo\nconfigVersion: 1\n---\nimage: a\nfrom: alpine\n",
            "the embedded werf does not support Stapel",
        );
        let meta = |extra: &str| format!("project: demo\nconfigVersion: 1\n{extra}");
        let image = |extra: &str| format!("{PLAIN}{extra}");
        for (text, named) in [
            (meta("deploy:\n  namespaceSlug: false\n"), "`namespaceSlug: false` in werf.yaml"),
            (meta("build:\n  platform: [linux/arm64]\n"), "`build:` in werf.yaml"),
            (image("contextAddFiles: [a]\n"), "`contextAddFiles:` in werf.yaml"),
            (image("platform: linux/arm64\n"), "`platform:` in werf.yaml"),
            (image("final: false\n"), "`final: false` of an image"),
        ] {
            check(&text, &format!("the embedded werf does not support {named}"));
        }
        check("project: {{ env }}\n", "the embedded werf does not support Go templates");
    }
}
