//! What an image is made of: the Dockerfile, the files of the commit that it copies, and the tag that follows
//! from the two and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha224, Sha256};

use super::configuration::ImageConfiguration;
use super::dockerfile::{self, Dockerfile, Instruction};
use super::fault::{Context, Fault};
use super::ignore::{Patterns, is_glob, matches_path};
use super::repository::Repository;
use super::values::WERF_VERSION;

/// The label that names the base image, whose files the layers do not hold.
pub const BASE_LABEL: &str = "dev.tutorial.base";

/// What the Dockerfile is called in the archive that an engine builds from: no file of a learner's.
pub const DOCKERFILE: &str = ".tutorial.Dockerfile";

/// An image as the commit says it is to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The name in `werf.yaml`.
    pub name: String,
    /// The Dockerfile.
    pub dockerfile: Dockerfile,
    /// The build's arguments, from `werf.yaml`.
    pub arguments: BTreeMap<String, String>,
    text: String,
    context: String,
    ignored: Patterns,
}

/// An image ready to be pushed.
#[derive(Debug, Clone)]
pub struct Layers {
    /// 56 hexadecimal digits over instructions and files.
    pub digest: String,
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    content: Vec<u8>,
    mode: u32,
    symlink: bool,
}

/// The bytes that are pushed.
pub struct Pushable {
    /// The image's configuration.
    pub config: Vec<u8>,
    /// The one layer, a gzipped tar.
    pub layer: Vec<u8>,
}

impl Plan {
    /// Reads the Dockerfile and `.dockerignore` of an image.
    ///
    /// # Errors
    /// They differ from the commit, or hold what cannot be built.
    pub fn read(repository: &Repository, image: &ImageConfiguration) -> Result<Self, Fault> {
        let context = image.context.trim_start_matches("./").trim_matches('/');
        let context = if context == "." { String::new() } else { context.to_owned() };
        let path = join(&context, &image.dockerfile);
        let ignore_path = join(&context, ".dockerignore");
        let prefix = format!("unable to read dockerfile {:?}", image.dockerfile);
        let outer = format!(
            "unable to calculate images tree: unable to map dockerfile to images sets: unable to read dockerfile {}",
            image.dockerfile
        );
        repository.require_committed(|changed| changed == path).within(prefix.clone()).within(outer.clone())?;
        let text = repository.read_text(&path).within(prefix).within(outer.clone())?;
        repository
            .require_committed(|changed| changed == ignore_path)
            .within("unable to read .dockerignore")
            .within(outer.clone())?;
        let ignored =
            repository.read_text(&ignore_path).map_or_else(|_| Patterns::default(), |text| Patterns::parse(&text));
        let dockerfile = dockerfile::parse(&text, &image.arguments).within(outer)?;
        let arguments = image.arguments.clone();
        Ok(Self { name: image.name.clone(), dockerfile, arguments, text, context, ignored })
    }

    /// Gathers the files that the image copies.
    ///
    /// # Errors
    /// A file of the context differs from the commit, or a source matches nothing.
    pub fn gather(&self, repository: &Repository) -> Result<Layers, Fault> {
        repository.require_committed(|path| self.copies(path))?;
        let mut hash = Sha224::new();
        let mut feed = |part: &[u8]| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        feed(self.dockerfile.base.as_bytes());
        let mut files = BTreeMap::new();
        let mut directory = "/".to_owned();
        let mut missing = None;
        for step in &self.dockerfile.steps {
            feed(step.text.as_bytes());
            feed(format!("{:?}", step.instruction).as_bytes());
            match &step.instruction {
                Instruction::WorkingDirectory(path) => directory = absolute(&directory, path),
                Instruction::Copy { sources, destination, mode } => {
                    for (path, place) in
                        self.placed(repository, sources, &absolute_place(&directory, destination), &mut missing)
                    {
                        let symlink = repository.is_symlink(&path);
                        let own = if repository.is_executable(&path) { 0o755 } else { 0o644 };
                        let entry = Entry { content: repository.read(&path)?, mode: mode.unwrap_or(own), symlink };
                        feed(place.as_bytes());
                        feed(&entry.mode.to_le_bytes());
                        feed(&entry.content);
                        files.insert(place, entry);
                    }
                }
                _ => {}
            }
        }
        let digest = hex(&hash.finalize());
        if let Some(source) = missing {
            return Err(Fault::invalid(format!(
                "failed to build image for stage dockerfile with digest {digest}: error building stage dockerfile: error building dockerfile with docker-server-backend: failed to solve: failed to compute cache key: \"/{}\" not found: not found",
                source.trim_start_matches('/')
            )));
        }
        Ok(Layers { digest, files })
    }

    /// What an engine builds the image from: the context's files as they are in the commit, and the Dockerfile.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn archive(&self, repository: &Repository) -> Result<Vec<u8>, Fault> {
        let mut files = BTreeMap::new();
        for full in repository.paths() {
            let Some(path) = self.inside(full).filter(|path| !self.ignored.matches(path)) else { continue };
            let mode = if repository.is_executable(full) { 0o755 } else { 0o644 };
            let entry = Entry { content: repository.read(full)?, mode, symlink: repository.is_symlink(full) };
            files.insert(path.to_owned(), entry);
        }
        let entry = Entry { content: self.text.clone().into_bytes(), mode: 0o644, symlink: false };
        files.insert(DOCKERFILE.to_owned(), entry);
        archive(&files).map_err(|source| Fault::File { path: "context".into(), source })
    }

    /// What werf says of an image on its labels.
    pub fn labels<'a>(&'a self, layers: &'a Layers, project: &'a str, commit: &'a str) -> BTreeMap<&'a str, &'a str> {
        BTreeMap::from([
            ("werf", project),
            ("werf-image", self.name.as_str()),
            ("werf-version", WERF_VERSION),
            ("werf-stage-digest", layers.digest.as_str()),
            ("werf-project-repo-commit", commit),
        ])
    }

    /// Whether a path of the project goes into the image, or would if it were committed.
    fn copies(&self, path: &str) -> bool {
        let Some(path) = self.inside(path) else { return false };
        !self.ignored.matches(path)
            && self.dockerfile.steps.iter().any(|step| match &step.instruction {
                Instruction::Copy { sources, .. } => sources.iter().any(|source| matched(source, path).is_some()),
                _ => false,
            })
    }

    fn inside<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.context.is_empty() { Some(path) } else { path.strip_prefix(&self.context)?.strip_prefix('/') }
    }

    /// The copied files, as pairs of the project's path and the image's.
    fn placed(
        &self,
        repository: &Repository,
        sources: &[String],
        destination: &str,
        missing: &mut Option<String>,
    ) -> Vec<(String, String)> {
        let mut placed = Vec::new();
        for source in sources {
            let mut found = false;
            for full in repository.paths() {
                let Some(path) = self.inside(full).filter(|path| !self.ignored.matches(path)) else { continue };
                let Some(rest) = matched(source, path) else { continue };
                found = true;
                let name = path.rsplit('/').next().unwrap_or(path);
                let into_directory = destination.ends_with('/') || sources.len() > 1 || is_glob(source);
                let place = match (rest.is_empty(), into_directory) {
                    (true, true) => format!("{}/{name}", destination.trim_end_matches('/')),
                    (true, false) => destination.to_owned(),
                    (false, _) => format!("{}/{rest}", destination.trim_end_matches('/')),
                };
                placed.push((full.to_owned(), place.trim_start_matches('/').to_owned()));
            }
            if !found && !is_glob(source) && !source.trim_matches(['.', '/']).is_empty() {
                missing.get_or_insert_with(|| source.clone());
            }
        }
        placed
    }

    /// The image's configuration and layer. `created` is RFC 3339; labels of werf are added to the file's own.
    ///
    /// # Errors
    /// The layer cannot be packed.
    pub fn pack(&self, layers: &Layers, project: &str, commit: &str, created: &str) -> Result<Pushable, Fault> {
        let tar = layers.tar().map_err(|source| Fault::File { path: "layer".into(), source })?;
        let diff_id = format!("sha256:{}", hex(&Sha256::digest(&tar)));
        let layer = gzip(&tar).map_err(|source| Fault::File { path: "layer".into(), source })?;
        let mut config = self.container_config();
        config["Labels"][BASE_LABEL] = self.dockerfile.base.as_str().into();
        for (key, value) in self.labels(layers, project, commit) {
            config["Labels"][key] = value.into();
        }
        let history: Vec<Value> = self
            .dockerfile
            .steps
            .iter()
            .map(|step| json!({ "created": created, "created_by": step.text, "empty_layer": !matches!(step.instruction, Instruction::Copy { .. }) }))
            .collect();
        let config = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "created": created,
            "config": config,
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
            "history": history,
        });
        Ok(Pushable { config: config.to_string().into_bytes(), layer })
    }

    fn container_config(&self) -> Value {
        let mut config = json!({ "Labels": {} });
        let mut environment: Vec<(String, String)> = Vec::new();
        let mut directory = String::new();
        for step in &self.dockerfile.steps {
            match &step.instruction {
                Instruction::Env(pairs) => {
                    for (key, value) in pairs {
                        environment.retain(|(name, _)| name != key);
                        environment.push((key.clone(), value.clone()));
                    }
                }
                Instruction::Label(pairs) => {
                    for (key, value) in pairs {
                        config["Labels"][key] = value.as_str().into();
                    }
                }
                Instruction::Expose(ports) => ports.iter().for_each(|port| config["ExposedPorts"][port] = json!({})),
                Instruction::Volume(paths) => paths.iter().for_each(|path| config["Volumes"][path] = json!({})),
                Instruction::WorkingDirectory(path) => {
                    directory = absolute(if directory.is_empty() { "/" } else { &directory }, path);
                    config["WorkingDir"] = directory.as_str().into();
                }
                Instruction::User(user) => config["User"] = user.as_str().into(),
                Instruction::StopSignal(signal) => config["StopSignal"] = signal.as_str().into(),
                Instruction::Command(words) => config["Cmd"] = json!(words),
                Instruction::Entrypoint(words) => config["Entrypoint"] = json!(words),
                Instruction::Copy { .. } | Instruction::Argument => {}
            }
        }
        if !environment.is_empty() {
            config["Env"] = environment.iter().map(|(key, value)| format!("{key}={value}")).collect();
        }
        config
    }
}

impl Layers {
    fn tar(&self) -> std::io::Result<Vec<u8>> {
        archive(&self.files)
    }
}

/// A tar whose bytes depend on the files alone.
fn archive(files: &BTreeMap<String, Entry>) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut directories = BTreeSet::new();
    for (path, entry) in files {
        for (at, _) in path.match_indices('/') {
            if directories.insert(path[..at].to_owned()) {
                let mut header = header(tar::EntryType::Directory, 0o755, 0);
                builder.append_data(&mut header, format!("{}/", &path[..at]), std::io::empty())?;
            }
        }
        if entry.symlink {
            let mut header = header(tar::EntryType::Symlink, 0o777, 0);
            builder.append_link(&mut header, path, String::from_utf8_lossy(&entry.content).as_ref())?;
        } else {
            let mut header = header(tar::EntryType::Regular, entry.mode, entry.content.len() as u64);
            builder.append_data(&mut header, path, entry.content.as_slice())?;
        }
    }
    builder.into_inner()
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::io::Write;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes)?;
    gzip.finish()
}

/// What remains of a path below what a source matches: nothing for the file itself, `b/c` for a directory `a`.
fn matched<'a>(source: &str, path: &'a str) -> Option<&'a str> {
    let pattern: Vec<&str> = source.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let segments: Vec<&str> = path.split('/').collect();
    if pattern.is_empty() {
        return Some(path);
    }
    if !matches_path(&pattern, segments.get(..pattern.len())?) {
        return None;
    }
    let length: usize = segments[..pattern.len()].iter().map(|segment| segment.len() + 1).sum();
    Some(path.get(length..).unwrap_or_default())
}

fn join(directory: &str, path: &str) -> String {
    let path = path.trim_start_matches("./");
    if directory.is_empty() { path.to_owned() } else { format!("{directory}/{path}") }
}

fn absolute(directory: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{directory}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// As [`absolute`], a slash at the end kept: it says that the destination is a directory.
fn absolute_place(directory: &str, path: &str) -> String {
    let is_directory = path.ends_with('/') || path == "." || path.ends_with("/.");
    let place = absolute(directory, path);
    if is_directory && !place.ends_with('/') { format!("{place}/") } else { place }
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_match_as_in_docker() {
        let check = |source: &str, path: &str, expected: Option<&str>| {
            assert_eq!(matched(source, path), expected, "{source} {path}");
        };
        check("public", "public/css/a.css", Some("css/a.css"));
        check("public/", "public/a.html", Some("a.html"));
        check("./a.txt", "a.txt", Some(""));
        check(".", "x/y", Some("x/y"));
        check("*.html", "a.html", Some(""));
        check("*.html", "x/a.html", None);
        check("public", "publicity", None);
    }

    #[test]
    fn places() {
        assert_eq!(absolute_place("/app", "x/"), "/app/x/");
        assert_eq!(absolute_place("/app", "."), "/app/");
        assert_eq!(absolute_place("/", "/usr/../etc/a"), "/etc/a");
    }
}
