//! A project on its way to a deployment: the repository, `werf.yaml`, the names that follow from them, and the images,
//! found in the registry or built.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::arguments::Options;
use super::build::{Order, build_and_push};
use super::configuration::{self, Configuration, FILE_NAMES};
use super::fault::{Context, Fault};
use super::image::{Layers, Plan};
use super::output::{Output, Tone};
use super::registry::{Registry, Stored};
use super::repository::{Reading, Repository};
use super::slug::murmur3;
use super::values::{self, BuiltImage, Service};

/// A project and what it is deployed as.
pub struct Project {
    /// The commit's files.
    pub repository: Repository,
    /// `werf.yaml`.
    pub configuration: Configuration,
    /// The environment.
    pub environment: Option<String>,
    /// The namespace.
    pub namespace: String,
    /// The release.
    pub release: String,
}

/// Whether an image may be missing from the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Building {
    /// It is built and pushed.
    Allowed,
    /// It must be there: `--require-built-images`.
    Refused,
    /// A name stands for it: nothing is deployed.
    Stub,
}

impl Project {
    /// Opens the project of the current directory.
    ///
    /// # Errors
    /// What werf says to a directory without a project, or one whose `werf.yaml` is not committed or wrong.
    pub fn open(options: &Options, output: &Output) -> Result<Self, Fault> {
        let directory = options
            .directory
            .as_ref()
            .map_or_else(std::env::current_dir, |directory| Ok(std::path::PathBuf::from(directory)));
        let directory = directory.map_err(|source| Fault::File { path: ".".into(), source })?;
        let reading = if options.development { Reading::WorkTree } else { Reading::Commit };
        let work_tree = options.work_tree.as_deref().map(Path::new);
        let repository = Repository::open(&directory, work_tree, reading)?;
        let text = read_configuration(&repository, options.config.as_deref())?;
        let rendered = keep_rendered(&text);
        output.line(&format!("Using werf config render file: {rendered}"));
        let configuration = configuration::parse(&text, &rendered).within("unable to load werf config")?;
        output.line("");
        let environment = options.environment.clone();
        Ok(Self {
            namespace: options.namespace.clone().unwrap_or_else(|| configuration.namespace(environment.as_deref())),
            release: options.release.clone().unwrap_or_else(|| configuration.release(environment.as_deref())),
            repository,
            configuration,
            environment,
        })
    }

    /// The images, found by what they are made of, or built and pushed.
    ///
    /// # Errors
    /// Files of a context that are not committed, what cannot be built, a registry that does not answer.
    pub async fn images(
        &self,
        address: Option<&str>,
        building: Building,
        output: &Output,
    ) -> Result<Vec<BuiltImage>, Fault> {
        let configured = &self.configuration.images;
        if configured.is_empty() {
            return Ok(Vec::new());
        }
        let mut plans = Vec::new();
        for image in configured {
            plans.push(Plan::read(&self.repository, image)?);
        }
        let Some(address) = address else {
            if building == Building::Stub {
                return Ok(plans.iter().map(|plan| stub(&plan.name)).collect());
            }
            return Err(Fault::invalid("--repo=ADDRESS param required"));
        };
        let registry = Registry::at(address)?;
        let tags = registry.tags().await.within("unable to get the tags of the repo")?;
        let mut images = Vec::new();
        for (index, plan) in plans.iter().enumerate() {
            let title = format!("🛳️  ({}/{}) image {}", index + 1, plans.len(), plan.name);
            let frame = Frame { output, title, start: Instant::now() };
            frame.open();
            let result = self.image(plan, &registry, &tags, building, &frame).await;
            frame.close(result.is_ok());
            let stored =
                result.within(format!("unable to process image {:?}", plan.name)).within("unable to process images")?;
            self.note(&registry, &tags, &plan.name, &stored).await?;
            images.push(BuiltImage {
                name: plan.name.clone(),
                repository: registry.address.clone(),
                tag: stored.tag,
                digest: stored.digest,
            });
        }
        Ok(images)
    }

    async fn image(
        &self,
        plan: &Plan,
        registry: &Registry,
        tags: &[String],
        building: Building,
        frame: &Frame<'_>,
    ) -> Result<Stored, Fault> {
        let stage = "phase build on image NAME stage dockerfile handler failed".replace("NAME", &plan.name);
        let layers = plan.gather(&self.repository).within(stage.clone())?;
        if let Some(tag) = oldest(tags, &layers.digest) {
            let stored = registry.image(&tag).await.within(stage)?;
            frame.line(&format!("Use previously built image for {}/dockerfile", plan.name));
            frame.info("", &registry.address, &stored);
            return Ok(stored);
        }
        if building == Building::Refused {
            frame.line(&format!("Stage {}/dockerfile with digest {} is not built", plan.name, layers.digest));
            return Err(Fault::invalid("stages required")
                .within(format!("phase build before image {} stages handler failed", plan.name)));
        }
        self.refuse_hook_environment(&plan.name)?;
        self.build(plan, &layers, registry, frame).await.within(stage)
    }

    /// werf builds from a work tree of its own, and git's variables in a hook lead it to the wrong index.
    fn refuse_hook_environment(&self, image: &str) -> Result<(), Fault> {
        if std::env::var_os("GIT_INDEX_FILE").is_none() {
            return Ok(());
        }
        let commit = &self.repository.commit.hash;
        Err(Fault::invalid(format!(
            "phase build before image {image} stages handler failed: unable to create build context archive: unable to get or create archive: error creating archive for commit {commit:?}: unable to switch work tree to commit {commit}: git checkout command failed: exit status 128\nStdout:\n\nStderr:\nfatal: Unable to create '.git/index.lock': Not a directory\n\nGIT_INDEX_FILE is set, as git does for its hooks. Unset git's variables before werf: unset $(git rev-parse --local-env-vars)\n"
        )))
    }

    async fn build(
        &self,
        plan: &Plan,
        layers: &Layers,
        registry: &Registry,
        frame: &Frame<'_>,
    ) -> Result<Stored, Fault> {
        let start = Instant::now();
        let stage = format!("{}/dockerfile", plan.name);
        frame.line(&format!("┌ Building stage {stage}"));
        frame.line(&format!("│ {stage}  FROM {}", plan.dockerfile.base));
        for step in &plan.dockerfile.steps {
            frame.line(&format!("│ {stage}  {}", step.text));
        }
        let now = jiff::Timestamp::now();
        let tag = format!("{}-{}", layers.digest, now.as_millisecond());
        let (project, commit) = (&self.configuration.project, &self.repository.commit.hash);
        let store = format!("Store stage into {}", registry.address);
        let pushing = if registry.is_embedded().await? {
            let image = plan.pack(layers, project, commit, &now.to_string())?;
            frame.line(&format!("│ ┌ {store}"));
            let pushing = Instant::now();
            registry.push(&tag, &image).await?;
            pushing
        } else {
            let order = Order {
                repository: &registry.address,
                tag: &tag,
                context: plan.archive(&self.repository)?,
                labels: plan.labels(layers, project, commit),
                arguments: &plan.arguments,
            };
            let pushing = Instant::now();
            build_and_push(order, |line| frame.line(&format!("│ {stage}  {line}"))).await?;
            frame.line(&format!("│ ┌ {store}"));
            pushing
        };
        frame.line(&format!("│ └ {store} ({:.2} seconds)", pushing.elapsed().as_secs_f64()));
        let stored = registry.image(&tag).await?;
        frame.line("├ Info");
        frame.info("│ ", &registry.address, &stored);
        frame.line(&format!("└ Building stage {stage} ({:.2} seconds)", start.elapsed().as_secs_f64()));
        Ok(stored)
    }

    /// Leaves werf's notes in the registry: that the image is managed, and that this commit has it.
    async fn note(&self, registry: &Registry, tags: &[String], image: &str, stored: &Stored) -> Result<(), Fault> {
        let project = &self.configuration.project;
        let commit = &self.repository.commit.hash;
        let managed = format!("managed-image-{image}");
        let meta = format!("meta-{:08x}_{commit}_{}", murmur3(image.as_bytes()), stored.tag);
        for (tag, labels) in [
            (managed, json!({ "werf": project, "werf-managed-image": image })),
            (meta, json!({ "werf": project, "werf-image-metadata": image, "werf-project-repo-commit": commit })),
        ] {
            if !tags.contains(&tag) {
                registry.push_note(&tag, &labels).await.within("unable to publish image metadata")?;
            }
        }
        Ok(())
    }

    /// The values that lie over the chart's: files, then werf's own, then single ones.
    ///
    /// # Errors
    /// A file that is not committed or no YAML, an expression that is none.
    pub fn layers(&self, options: &Options, images: &[BuiltImage]) -> Result<Vec<Value>, Fault> {
        let mut layers = vec![values::service(&Service {
            project: &self.configuration.project,
            environment: self.environment.as_deref(),
            namespace: &self.namespace,
            repository: options.repository.as_deref().unwrap_or("REPO"),
            commit: &self.repository.commit,
            images,
        })];
        for path in &options.values {
            let path = path.trim_start_matches("./");
            self.repository
                .require_committed(|changed| changed == path)
                .within(format!("unable to read values file {path:?}"))?;
            let text = self.repository.read_text(path).within(format!("unable to read values file {path:?}"))?;
            layers.push(
                super::yaml::parse_values(&text)
                    .map_err(|error| Fault::invalid(format!("failed to parse {path}: {error}")))?,
            );
        }
        let mut single = json!({});
        for (expressions, as_text) in [(&options.set, false), (&options.set_string, true)] {
            for expression in expressions {
                values::set(&mut single, expression, as_text)?;
            }
        }
        layers.push(single);
        Ok(layers)
    }
}

/// Where werf's exceptions from giterminism stand.
const GITERMINISM_FILES: [&str; 2] = ["werf-giterminism.yaml", "werf-giterminism.yml"];

/// The text of `werf.yaml`, or of the file that `--config` names.
fn read_configuration(repository: &Repository, path: Option<&str>) -> Result<String, Fault> {
    let outer = |fault: Fault| {
        fault
            .within("unable to read werf config")
            .within("unable to render werf config")
            .within("unable to load werf config")
    };
    // It lets werf read what is not committed; without it being read, a deployment would follow other rules.
    if let Some(name) = GITERMINISM_FILES.into_iter().find(|name| repository.has(name)) {
        return Err(Fault::unsupported(name));
    }
    if let Some(path) = path {
        let path = path.trim_start_matches("./");
        repository.require_committed(|changed| changed == path).map_err(outer)?;
        return repository.read_text(path).map_err(outer);
    }
    repository.require_committed(|path| FILE_NAMES.contains(&path)).map_err(outer)?;
    let Some(name) = FILE_NAMES.into_iter().find(|name| repository.has(name)) else {
        return Err(outer(Fault::invalid(
            "no werf configuration file found (\"werf.yaml\", \"werf.yml\") in the project git repository",
        )));
    };
    repository.read_text(name).map_err(outer)
}

/// Leaves the configuration where errors point at; the same text has the same place.
fn keep_rendered(text: &str) -> String {
    let path = std::env::temp_dir().join(format!("werf-config-render-{:08x}", murmur3(text.as_bytes())));
    let written = std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    if written.is_ok() { path.display().to_string() } else { FILE_NAMES[0].to_owned() }
}

/// The tag of an image made of the same: the one that was pushed first.
fn oldest(tags: &[String], digest: &str) -> Option<String> {
    let matching = tags.iter().filter_map(|tag| {
        let time: u64 = tag.strip_prefix(digest)?.strip_prefix('-')?.parse().ok()?;
        Some((time, tag))
    });
    matching.min().map(|(_, tag)| tag.clone())
}

fn stub(name: &str) -> BuiltImage {
    BuiltImage { name: name.to_owned(), repository: "REPO".into(), tag: "TAG".into(), digest: "sha256:DIGEST".into() }
}

/// The frame of one image.
struct Frame<'a> {
    output: &'a Output,
    title: String,
    start: Instant,
}

impl Frame<'_> {
    fn open(&self) {
        self.output.line(&format!("┌ {}", self.output.paint(&self.title, Tone::Title)));
    }

    fn line(&self, text: &str) {
        self.output.line(&format!("│ {text}"));
    }

    fn info(&self, indent: &str, address: &str, stored: &Stored) {
        let id = stored.id.trim_start_matches("sha256:");
        let created = stored.created.replace('T', " ");
        let created = created.split(['.', 'Z']).next().unwrap_or_default();
        for (key, value) in [
            ("name", format!("{address}:{}", stored.tag)),
            ("id", id.chars().take(12).collect()),
            ("created", format!("{created} +0000 UTC")),
            ("size", size(stored.size)),
            ("commit", stored.commit.clone()),
            ("network", String::new()),
        ] {
            self.line(&format!("{indent}{key:>9}: {value}"));
        }
    }

    fn close(&self, well: bool) {
        let title = self.output.paint(&self.title, Tone::Title);
        let seconds = self.start.elapsed().as_secs_f64();
        let failed = if well { String::new() } else { format!(" {}", self.output.paint("FAILED", Tone::Bad)) };
        self.output.line(&format!("└ {title} ({seconds:.2} seconds){failed}\n"));
    }
}

/// A size in binary units.
fn size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut size = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
    let mut unit = units.next().unwrap_or("B");
    while size >= 1024.0 {
        let Some(larger) = units.next() else { break };
        size /= 1024.0;
        unit = larger;
    }
    format!("{size:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_tag_of_the_same_content_wins() {
        let tags =
            ["ab-20".to_owned(), "ab-3".to_owned(), "cd-1".to_owned(), "ab-x".to_owned(), "meta-ab_ab-1".to_owned()];
        assert_eq!(oldest(&tags, "ab"), Some("ab-3".to_owned()));
        assert_eq!(oldest(&tags, "ef"), None);
    }

    #[test]
    fn sizes() {
        assert_eq!((size(0), size(1536), size(128_240_000)), ("0.0 B".into(), "1.5 KiB".into(), "122.3 MiB".into()));
    }
}
