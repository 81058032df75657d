//! Reads `course.yaml`.

use std::collections::BTreeMap;
use std::ops::Range;

use super::diagnostics::Report;
use super::fence::Spanned;
use super::model::{SandboxNeeds, Tool};
use super::source::SourceFile;
use super::variables::{environment_suffix, is_name};
use super::yaml::{Fields, Kind, Node, Reader, Region};

pub(super) const KEYS: [&str; 9] =
    ["id", "title", "description", "objectives", "lessons", "repository", "sandbox", "tools", "variables"];

/// What `course.yaml` says, as far as it could be understood.
#[derive(Debug, Default)]
pub struct Manifest {
    pub id: String,
    pub title: String,
    pub description: String,
    pub objectives: Vec<String>,
    pub lessons: Vec<Spanned>,
    /// Where the key `lessons` stands.
    pub lessons_span: Range<usize>,
    pub repository: String,
    pub sandbox: SandboxNeeds,
    pub tools: Vec<Tool>,
    pub variables: Vec<(String, Option<String>)>,
}

impl Manifest {
    /// The variables that are there before any step saves one.
    pub fn standard_variables(&self) -> Vec<String> {
        let mut names: Vec<String> = ["REGISTRY", "PROJECT", "COURSE_DIR"].map(str::to_owned).into();
        for environment in self.sandbox.environments.keys() {
            let suffix = environment_suffix(environment);
            names.extend([format!("URL_{suffix}"), format!("NODE_PORT_{suffix}")]);
        }
        names
    }
}

/// Reads the file.
pub fn read(file: &SourceFile, report: &mut Report) -> Manifest {
    let node = Region::new(file, 0..file.text.len(), 0).parse(report);
    let mut reader = Reader { file, report };
    let Some(node) = node else {
        if reader.report.count() == 0 {
            reader.error(&(0..0), "`course.yaml` is empty").help("it needs `id`, `title` and `lessons`");
        }
        return Manifest::default();
    };
    let Some(fields) = Fields::open(&node, "`course.yaml`", &KEYS, &mut reader) else { return Manifest::default() };
    read_fields(&fields, &mut reader)
}

fn read_fields(fields: &Fields, reader: &mut Reader) -> Manifest {
    let id = fields.required_text("id", reader).unwrap_or_default();
    if let Some(node) = fields.get("id") {
        directory_name(&id, "the id", node, reader);
    }
    let repository = fields.text("repository", reader).unwrap_or_else(|| "demo-app".into());
    if let Some(node) = fields.get("repository") {
        directory_name(&repository, "the repository's name", node, reader);
    }
    let mut sandbox = fields.get("sandbox").map(|node| read_sandbox(node, reader)).unwrap_or_default();
    if sandbox.project.is_empty() {
        sandbox.project.clone_from(&repository);
    }
    let lessons_node = fields.require("lessons", reader);
    Manifest {
        id,
        title: fields.required_text("title", reader).unwrap_or_default(),
        description: fields.text("description", reader).unwrap_or_default().trim().to_owned(),
        objectives: fields.texts("objectives", reader),
        lessons: lessons_node.map(|node| read_lessons(node, reader)).unwrap_or_default(),
        lessons_span: fields.key_span("lessons"),
        repository,
        sandbox,
        tools: fields.get("tools").map(|node| read_tools(node, reader)).unwrap_or_default(),
        variables: fields.get("variables").map(|node| read_variables(node, reader)).unwrap_or_default(),
    }
}

/// A name that directories, namespaces and clusters can bear.
fn directory_name(name: &str, what: &str, node: &Node, reader: &mut Reader) {
    let well_formed = name.len() <= 50
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && !name.ends_with('-')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !well_formed {
        reader
            .error(&node.span, format!("`{name}` cannot be {what}"))
            .help("use small letters, digits and dashes, 50 characters at most");
    }
}

fn read_lessons(node: &Node, reader: &mut Reader) -> Vec<Spanned> {
    let Kind::Sequence(items) = &node.kind else {
        reader.mistyped::<()>("`lessons`", "a list of lessons", node);
        return Vec::new();
    };
    let mut lessons: Vec<Spanned> = Vec::new();
    for item in items {
        let Some(name) = reader.text("a lesson", item) else { continue };
        let stem = name.strip_suffix(".md").unwrap_or(&name).to_owned();
        if lessons.iter().any(|(known, _)| *known == stem) {
            reader.error(&item.span, format!("the lesson `{stem}` stands twice in the list"));
        } else if stem.contains(['/', '\\']) || stem.starts_with('.') {
            reader.error(&item.span, format!("`{name}` is no file at the top of the course"));
        } else {
            lessons.push((stem, item.span.clone()));
        }
    }
    if items.is_empty() {
        reader.error(&node.span, "the course has no lesson");
    }
    lessons
}

fn read_sandbox(node: &Node, reader: &mut Reader) -> SandboxNeeds {
    let Some(fields) = Fields::open(node, "`sandbox`", &["project", "environments", "kinds"], reader) else {
        return SandboxNeeds::default();
    };
    let project = fields.text("project", reader).unwrap_or_default();
    if let Some(node) = fields.get("project") {
        directory_name(&project, "a project", node, reader);
    }
    let kinds = fields.texts("kinds", reader);
    for kind in &kinds {
        if !SANDBOXES.contains(&kind.as_str()) {
            let span = fields.get("kinds").map(|node| node.span.clone()).unwrap_or_default();
            reader.error(&span, format!("there is no sandbox `{kind}`")).suggest(kind, SANDBOXES);
        }
    }
    let environments = fields.get("environments").map(|node| read_environments(node, reader)).unwrap_or_default();
    SandboxNeeds { project, environments, kinds }
}

const SANDBOXES: [&str; 3] = ["embedded", "kind", "existing"];

fn read_environments(node: &Node, reader: &mut Reader) -> BTreeMap<String, u16> {
    let Some(fields) = Fields::any(node, "`environments`", reader) else { return BTreeMap::new() };
    let mut environments = BTreeMap::new();
    for (name, span, value) in fields.entries() {
        directory_name(name, "an environment", &Node { span: span.clone(), kind: value.kind.clone() }, reader);
        // The range that Kubernetes gives NodePorts by default.
        let port = reader.number(&format!("the NodePort of `{name}`"), value, 30_000..=32_767);
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { continue };
        if environments.values().any(|known| *known == port) {
            reader.error(&value.span, format!("two environments have the NodePort {port}"));
        }
        environments.insert((*name).to_owned(), port);
    }
    environments
}

fn read_tools(node: &Node, reader: &mut Reader) -> Vec<Tool> {
    let Kind::Sequence(items) = &node.kind else {
        reader.mistyped::<()>("`tools`", "a list", node);
        return Vec::new();
    };
    items.iter().filter_map(|item| read_tool(item, reader)).collect()
}

fn read_tool(node: &Node, reader: &mut Reader) -> Option<Tool> {
    if let Some(name) = node.text() {
        return Some(Tool { name: name.to_owned(), version_min: None, optional: false });
    }
    let fields = Fields::open(node, "a tool", &["name", "version_min", "optional"], reader)?;
    let version_min = fields.text("version_min", reader);
    if let (Some(version), Some(node)) = (&version_min, fields.get("version_min"))
        && !version.split('.').all(|part| part.parse::<u32>().is_ok())
    {
        reader.error(&node.span, format!("`{version}` is no version")).help("write it like `\"2.18\"`");
    }
    let name = fields.required_text("name", reader);
    Some(Tool { name: name?, version_min, optional: fields.boolean("optional", reader).unwrap_or(false) })
}

/// A list of names, or a mapping of names to values.
fn read_variables(node: &Node, reader: &mut Reader) -> Vec<(String, Option<String>)> {
    let named: Vec<(&Node, Option<&Node>)> = match &node.kind {
        Kind::Sequence(items) => items.iter().map(|item| (item, None)).collect(),
        Kind::Mapping(entries) => entries.iter().map(|(key, value)| (key, Some(value))).collect(),
        Kind::Scalar { .. } => {
            reader.mistyped::<()>("`variables`", "a list of names or a mapping of names to values", node);
            Vec::new()
        }
    };
    let mut variables: Vec<(String, Option<String>)> = Vec::new();
    for (name_node, value) in named {
        let Some(name) = reader.text("a variable's name", name_node) else { continue };
        if !is_name(&name) {
            reader
                .error(&name_node.span, format!("`{name}` cannot name a variable"))
                .help("use letters, digits and `_`");
        } else if variables.iter().any(|(known, _)| *known == name) {
            reader.error(&name_node.span, format!("the variable `{name}` is declared twice"));
        } else {
            let value = value.and_then(|value| reader.text(&format!("the value of `{name}`"), value));
            variables.push((name, value));
        }
    }
    variables
}
