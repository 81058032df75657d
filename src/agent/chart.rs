//! The chart: `.helm` of the commit, and what it renders to.

use serde_json::{Value, json};

use super::fault::{Context, Fault};
use super::ignore::Patterns;
use super::repository::Repository;
use super::template::{self, Source};
use super::{values, yaml};
use crate::release::{Chart as Record, File, Metadata};

/// The helper that werf adds to every chart; it defines nothing that a chart needs here.
const WERF_HELPERS: &str = "{{- /* Added by werf to every chart. */ -}}\n";

/// A chart as it stands in the commit.
#[derive(Debug, Clone)]
pub struct Chart {
    /// `Chart.yaml`, completed: the name is the project's.
    pub metadata: Metadata,
    /// `values.yaml`.
    pub values: Value,
    templates: Vec<Source>,
    files: Vec<(String, Vec<u8>)>,
}

/// What a rendering is told of the release.
#[derive(Debug, Clone)]
pub struct Occasion<'a> {
    /// The release's name.
    pub release: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The revision that is being made.
    pub revision: u32,
    /// Whether there is an earlier one.
    pub upgrade: bool,
    /// The cluster's version, `v1.34.2`.
    pub kubernetes_version: &'a str,
    /// What the cluster serves, `apps/v1`, ….
    pub api_versions: &'a [String],
}

/// One rendered template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The template's path below the chart's name.
    pub source: String,
    /// Its output.
    pub text: String,
}

impl Chart {
    /// Reads the chart below `directory`.
    ///
    /// # Errors
    /// Files that differ from the commit, and what the embedded werf does not do: subcharts, secret values.
    pub fn load(repository: &Repository, directory: &str, project: &str) -> Result<Self, Fault> {
        let prefix = format!("{directory}/");
        let ignored = match repository.read_text(&format!("{prefix}.helmignore")) {
            Ok(text) => Patterns::parse(&text),
            Err(_) => Patterns::default(),
        };
        repository
            .require_committed(|path| path.strip_prefix(&prefix).is_some_and(|path| !ignored.matches(path)))
            .within("unable to load chart directory")
            .within("unable to load chart directory")
            .within("load chart dir")?;
        let mut chart = Self {
            metadata: Metadata::default(),
            values: json!({}),
            templates: vec![Source {
                name: format!("{project}/templates/_werf_helpers.tpl"),
                text: WERF_HELPERS.into(),
            }],
            files: Vec::new(),
        };
        for full in repository.paths() {
            let Some(path) = full.strip_prefix(&prefix).filter(|path| !ignored.matches(path)) else { continue };
            chart.add(path, repository.read(full)?, project)?;
        }
        chart.complete_metadata(project);
        chart.templates.sort_by(|one, other| helm_order(&one.name, &other.name));
        Ok(chart)
    }

    fn add(&mut self, path: &str, content: Vec<u8>, project: &str) -> Result<(), Fault> {
        let text = || String::from_utf8_lossy(&content).into_owned();
        let unreadable = |what: &str, error: &str| {
            Fault::invalid(format!("cannot load {what}: error converting YAML to JSON: yaml: {error}"))
        };
        match path {
            "Chart.yaml" => {
                let value = yaml::parse(&text()).map_err(|error| unreadable("Chart.yaml", &error))?;
                if value.get("dependencies").and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
                    return Err(Fault::unsupported("chart dependencies"));
                }
                self.metadata = serde_json::from_value(value)
                    .map_err(|error| Fault::invalid(format!("cannot load Chart.yaml: {error}")))?;
            }
            "values.yaml" => {
                let value = yaml::parse_values(&text()).map_err(|error| unreadable("values.yaml", &error))?;
                self.values = if value.is_null() { json!({}) } else { value };
                if !self.values.is_object() {
                    return Err(Fault::invalid("cannot load values.yaml: it is not a map of values"));
                }
            }
            "secret-values.yaml" => return Err(Fault::unsupported("secret values (secret-values.yaml)")),
            "values.schema.json" => return Err(Fault::unsupported("a schema of values (values.schema.json)")),
            path if path.starts_with("crds/") => {
                return Err(Fault::Unsupported {
                    what: "custom resource definitions in crds/".into(),
                    instead: Some("put them into templates/, where they are applied before what needs them".into()),
                });
            }
            path if path.starts_with("charts/") => return Err(Fault::unsupported("subcharts (charts/)")),
            path if path.starts_with("secret/") => return Err(Fault::unsupported("secret files (secret/)")),
            path if path.starts_with("templates/") => {
                self.templates.push(Source { name: format!("{project}/{path}"), text: text() });
            }
            ".helmignore" | "Chart.lock" => {}
            _ => self.files.push((path.to_owned(), content)),
        }
        Ok(())
    }

    fn complete_metadata(&mut self, project: &str) {
        let metadata = &mut self.metadata;
        project.clone_into(&mut metadata.name);
        if metadata.version.is_empty() {
            metadata.version = "1.0.0".into();
        }
        if metadata.api_version.is_empty() {
            metadata.api_version = "v2".into();
        }
    }

    /// Renders every template that is no partial; the answer is in the order of their names.
    ///
    /// # Errors
    /// Helm's text for what does not parse or fails.
    pub fn render(&self, all_values: &Value, occasion: &Occasion) -> Result<Vec<Rendered>, Fault> {
        let jobs: Vec<(String, Value)> = self
            .templates
            .iter()
            .filter(|template| !template.name.rsplit('/').next().is_some_and(|name| name.starts_with('_')))
            .map(|template| (template.name.clone(), self.context(all_values, occasion, &template.name)))
            .collect();
        let names: Vec<String> = jobs.iter().map(|(name, _)| name.clone()).collect();
        let outputs = template::render(self.templates.clone(), jobs).map_err(|text| {
            Fault::invalid(format!(
                "{text}\nUse --debug --debug-templates (or $WERF_DEBUG and $WERF_DEBUG_TEMPLATES environment variables) to get more details about this error."
            ))
            .within(format!("render resources for chart {:?}", self.metadata.name))
        })?;
        let mut rendered: Vec<Rendered> =
            names.into_iter().zip(outputs).map(|(source, text)| Rendered { source, text }).collect();
        rendered.sort_by(|one, other| one.source.cmp(&other.source));
        Ok(rendered)
    }

    fn context(&self, all_values: &Value, occasion: &Occasion, template: &str) -> Value {
        let files: serde_json::Map<String, Value> = self
            .files
            .iter()
            .map(|(path, content)| (path.clone(), String::from_utf8_lossy(content).into_owned().into()))
            .collect();
        let version = occasion.kubernetes_version;
        let mut numbers = version.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or("1"), numbers.next().unwrap_or("0"));
        let metadata = &self.metadata;
        let mut chart = json!({
            "Name": metadata.name, "Version": metadata.version, "AppVersion": metadata.app_version,
            "Description": metadata.description, "Type": metadata.kind, "APIVersion": metadata.api_version,
            "IsRoot": true,
        });
        for (key, value) in &metadata.other {
            let mut letters = key.chars();
            let name: String =
                letters.next().into_iter().flat_map(char::to_uppercase).chain(letters.as_str().chars()).collect();
            chart[name] = value.clone();
        }
        json!({
            "Values": all_values,
            "Chart": chart,
            "Release": {
                "Name": occasion.release, "Namespace": occasion.namespace, "Revision": occasion.revision,
                "IsInstall": !occasion.upgrade, "IsUpgrade": occasion.upgrade, "Service": "Helm",
            },
            "Capabilities": {
                "KubeVersion": { "Version": version, "GitVersion": version, "Major": major, "Minor": minor },
                "APIVersions": occasion.api_versions,
                "HelmVersion": { "Version": "v3.19.2" },
            },
            "Template": { "Name": template, "BasePath": format!("{}/templates", metadata.name) },
            "Files": files,
            "Subcharts": {},
        })
    }

    /// Whether a template has this word.
    pub fn mentions(&self, word: &str) -> bool {
        self.templates.iter().any(|template| template.text.contains(word))
    }

    /// Whether a template calls this function.
    pub fn calls(&self, function: &str) -> bool {
        let is_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '$' | '-' | '"');
        self.templates.iter().any(|template| {
            template::actions(&template.text).any(|action| {
                action.match_indices(function).any(|(at, _)| {
                    !action[..at].ends_with(is_word) && !action[at + function.len()..].starts_with(is_word)
                })
            })
        })
    }

    /// All values that templates see: the chart's, then each layer over it.
    pub fn all_values(&self, layers: &[Value]) -> Value {
        let mut all = self.values.clone();
        for layer in layers {
            values::merge(&mut all, layer);
        }
        all
    }

    /// The chart as the release's record keeps it.
    pub fn record(&self) -> Record {
        let below = format!("{}/", self.metadata.name);
        Record {
            metadata: self.metadata.clone(),
            lock: None,
            templates: self
                .templates
                .iter()
                .map(|template| {
                    File::new(template.name.strip_prefix(&below).unwrap_or(&template.name), template.text.as_bytes())
                })
                .collect(),
            values: self.values.clone(),
            schema: None,
            files: self.files.iter().map(|(path, content)| File::new(path, content)).collect(),
        }
    }
}

/// The order in which Helm parses and renders templates, and so which mistake it tells first: the deepest path first,
/// and among equals the last name.
fn helm_order(one: &str, other: &str) -> std::cmp::Ordering {
    let depth = |name: &str| name.matches('/').count();
    depth(other).cmp(&depth(one)).then_with(|| other.cmp(one))
}

#[cfg(test)]
#[path = "chart_tests.rs"]
mod tests;
