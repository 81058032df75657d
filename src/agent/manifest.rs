//! Rendered texts as resources, and resources as the text that `render` prints and a release keeps.

use serde_json::{Value, json};

use super::chart::Rendered;
use super::fault::Fault;
use super::yaml;

/// One resource of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The template that it comes from.
    pub source: String,
    /// The object, with `metadata.annotations` and `metadata.labels` present.
    pub object: Value,
}

/// What a resource is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// The namespace that it names; none means the release's, or none at all.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Identity {
    /// The object's identity.
    pub fn of(object: &Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            namespace: Some(text("/metadata/namespace")).filter(|namespace| !namespace.is_empty()),
            name: text("/metadata/name"),
        }
    }

    /// `Deployment/demo-app`.
    pub fn short(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// The API group; empty for the core.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

impl Resource {
    /// The resource's identity.
    pub fn identity(&self) -> Identity {
        Identity::of(&self.object)
    }

    /// An annotation's text.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.object.get("metadata")?.get("annotations")?.get(name)?.as_str()
    }

    /// The moments at which a hook runs; empty for a resource that is none.
    pub fn hook_events(&self) -> Vec<&str> {
        self.annotation("helm.sh/hook").map_or(Vec::new(), |events| events.split(',').map(str::trim).collect())
    }

    /// The place among its stage's resources: `werf.io/weight`, or `helm.sh/hook-weight` of a hook.
    pub fn weight(&self) -> i32 {
        let weight = self.annotation("werf.io/weight").or_else(|| self.annotation("helm.sh/hook-weight"));
        weight.and_then(|weight| weight.trim().parse().ok()).unwrap_or(0)
    }

    /// Adds labels or annotations, `key=value` each.
    pub fn mark(&mut self, field: &str, pairs: &[String]) {
        for (key, value) in pairs.iter().filter_map(|pair| pair.split_once('=')) {
            self.object["metadata"][field][key] = value.into();
        }
    }

    /// The text between the `---` lines.
    pub fn text(&self) -> String {
        format!("# Source: {}\n{}", self.source, yaml::write(&self.object))
    }
}

/// Refuses a chart that has one resource twice, or its own namespace among them, as nelm does.
///
/// # Errors
/// Which ones.
pub fn refuse_duplicates(resources: &[Resource], namespace: &str) -> Result<(), Fault> {
    let own = resources.iter().map(Resource::identity).find(|one| one.kind == "Namespace" && one.name == namespace);
    if own.is_some() {
        return Err(Fault::invalid(format!(
            "release namespace {namespace:?} cannot be deployed as part of the release"
        ))
        .within("validate for no duplicated resources"));
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut twice = Vec::new();
    for resource in resources {
        let identity = resource.identity();
        let elsewhere = identity.namespace.as_deref().unwrap_or(namespace).to_owned();
        let key = (identity.group().to_owned(), identity.kind.clone(), elsewhere.clone(), identity.name.clone());
        if !seen.insert(key) {
            let suffix = if elsewhere == namespace { String::new() } else { format!(" (namespace: {elsewhere})") };
            twice.push(format!("{}{suffix}", identity.short()));
        }
    }
    if twice.is_empty() {
        return Ok(());
    }
    twice.dedup();
    Err(Fault::invalid(format!("duplicated resources found: {}", twice.join(", ")))
        .within("validate for no duplicated resources"))
}

/// The release's manifest: all resources but the hooks.
pub fn manifest(resources: &[Resource]) -> String {
    let texts: Vec<String> =
        resources.iter().filter(|resource| resource.hook_events().is_empty()).map(Resource::text).collect();
    texts.join("---\n")
}

/// What `werf render` prints.
pub fn printed(resources: &[Resource]) -> String {
    resources.iter().map(|resource| format!("---\n{}", resource.text())).collect()
}

/// The resources of a release's manifest, whether Helm or werf wrote it.
pub fn parse_manifest(manifest: &str) -> Vec<Resource> {
    let mut resources = Vec::new();
    for document in documents(manifest) {
        let source = document.lines().find_map(|line| line.strip_prefix("# Source: ")).unwrap_or_default();
        if let Ok(object @ Value::Object(_)) = yaml::parse(&document) {
            resources.push(Resource { source: source.to_owned(), object });
        }
    }
    resources
}

/// The resources of rendered templates; `NOTES.txt` and empty documents are none.
///
/// # Errors
/// Text that is no YAML or no resource, with its lines.
pub fn parse(rendered: &[Rendered], chart_path: &str) -> Result<Vec<Resource>, Fault> {
    let mut resources = Vec::new();
    for template in rendered.iter().filter(|template| !template.source.ends_with("NOTES.txt")) {
        let texts = documents(&template.text);
        for (number, text) in texts.iter().filter(|text| !is_blank(text)).enumerate() {
            let what = || {
                format!(
                    "convert rendered templates to installable resources for chart at {chart_path:?}: parse YAML resource #{} for {:?}",
                    number + 1,
                    template.source
                )
            };
            let object = read(text).map_err(|error| Fault::invalid(error).within(what()))?;
            for object in flatten_lists(object) {
                let object = complete(object).map_err(|error| Fault::invalid(error).within(what()))?;
                resources.push(Resource { source: template.source.clone(), object });
            }
        }
    }
    Ok(resources)
}

fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            documents.push(String::new());
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
        }
    }
    documents
}

fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
}

fn read(text: &str) -> Result<Value, String> {
    let text = text.trim_start_matches('\n');
    match yaml::parse(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(snippet(text, 1, 1, "string was used where mapping is expected")),
        Err(error) => {
            let (line, column) = position(&error).unwrap_or((1, 1));
            match line_without_colon(text) {
                Some(line) => Err(snippet(text, line, 1, "non-map value is specified")),
                None => Err(snippet(text, line, column, &plain_message(&error))),
            }
        }
    }
}

/// A top-level line that is neither a key nor anything else of a map.
fn line_without_colon(text: &str) -> Option<usize> {
    let is_stray = |line: &str| {
        line.starts_with(|letter: char| letter.is_ascii_alphanumeric()) && !line.contains(':') && !line.contains('#')
    };
    text.lines().position(is_stray).map(|index| index + 1)
}

/// The `line N column M` of the parser's message.
fn position(error: &str) -> Option<(usize, usize)> {
    let after = error.rsplit_once("line ")?.1;
    let mut numbers = after.split(|letter: char| !letter.is_ascii_digit()).filter(|word| !word.is_empty());
    Some((numbers.next()?.parse().ok()?, numbers.next().and_then(|column| column.parse().ok()).unwrap_or(1)))
}

fn plain_message(error: &str) -> String {
    error.split(" at line ").next().unwrap_or(error).to_owned()
}

/// The lines around a mistake, as werf's YAML library shows them.
fn snippet(text: &str, line: usize, column: usize, message: &str) -> String {
    const AROUND: usize = 3;
    let mut shown = format!("[{line}:{column}] {message}");
    for (index, content) in text.lines().enumerate() {
        let number = index + 1;
        if number + AROUND < line || number > line + AROUND {
            continue;
        }
        let mark = if number == line { '>' } else { ' ' };
        shown.push_str(&format!("\n{mark}{number:>3} | {content}"));
        if number == line {
            shown.push_str(&format!("\n{}^", " ".repeat(6 + column)));
        }
    }
    shown
}

/// The items of a `List`, or the object itself.
fn flatten_lists(object: Value) -> Vec<Value> {
    let is_list = object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind == "List");
    match object.get("items") {
        Some(Value::Array(items)) if is_list => items.clone(),
        _ => vec![object],
    }
}

/// The object with its annotations and labels present; their values are texts.
fn complete(mut object: Value) -> Result<Value, String> {
    for (pointer, what) in [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")] {
        let present = object.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        if !present {
            return Err(format!("the resource has no {what}"));
        }
    }
    for key in ["annotations", "labels"] {
        let entries = &mut object["metadata"][key];
        if entries.is_null() {
            *entries = json!({});
        }
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Resource>, String> {
        let rendered = Rendered { source: "demo-app/templates/deployment.yaml".into(), text: text.into() };
        parse(&[rendered], ".helm").map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_resource_is_printed_as_werf_prints_it() {
        let resources = parsed(
            "# x\n---\nkind: Service\napiVersion: v1\nmetadata: {name: demo-app}\nspec:\n  ports:\n  - port: 80\n",
        )
        .expect("parses");
        assert_eq!(
            printed(&resources),
            "---\n# Source: demo-app/templates/deployment.yaml\napiVersion: v1\nkind: Service\nmetadata:\n  annotations: {}\n  labels: {}\n  name: demo-app\nspec:\n  ports:\n  - port: 80\n"
        );
        assert_eq!(parse_manifest(&manifest(&resources)), resources);
    }

    #[test]
    fn text_that_is_no_resource_is_shown() {
        assert_eq!(
            parsed("apiVersion: apps/v1\nkind Deployment\nmetadata:\n  name: demo-app\n  labels: {app: demo-app}\nspec:\n"),
            Err("convert rendered templates to installable resources for chart at \".helm\": parse YAML resource #1 for \"demo-app/templates/deployment.yaml\": [2:1] non-map value is specified\n   1 | apiVersion: apps/v1\n>  2 | kind Deployment\n       ^\n   3 | metadata:\n   4 |   name: demo-app\n   5 |   labels: {app: demo-app}".into())
        );
        assert!(parsed("just text").is_err());
        assert!(parsed("kind: Service\napiVersion: v1\n").is_err());
        assert_eq!(parsed("\n# nothing\n---\n"), Ok(Vec::new()));
    }
}
