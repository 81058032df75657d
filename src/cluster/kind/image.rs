//! The node image: used where it is here, else fetched with its progress told, else another that is here.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{CreateImageOptionsBuilder, ListImagesOptionsBuilder};
use futures_util::StreamExt;

use super::error::KindError;
use super::files::Log;
use super::version::KubernetesVersion;
use crate::engine::Reason;

/// The image of kind 0.33.0, by digest, so that it is the same for everybody.
const DEFAULT: &str = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5";
/// The newest whose kubelet takes cgroup v1.
const DEFAULT_FOR_CGROUP_1: &str =
    "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d";
const REPOSITORY: &str = "kindest/node";
/// The first whose kubelet refuses cgroup v1.
pub const FIRST_WITHOUT_CGROUP_1: u64 = 35;
const RETRIES_MAX: u64 = 4;
/// A fetch of which nothing is heard for as long has stalled.
const STALL_TIME_MAX: Duration = Duration::from_secs(300);

/// What an image is asked for as: `repository[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

impl Reference {
    pub fn read(text: &str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        // A colon before a slash belongs to a port.
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.to_owned())),
            _ => (rest, None),
        };
        Self { repository: repository.to_owned(), tag, digest }
    }

    /// What to fetch, as the API wants it: a repository, and a tag or a digest.
    fn to_fetch(&self) -> (&str, &str) {
        (&self.repository, self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest"))
    }

    /// Without the digest, as `docker load` names what it loads.
    fn local(&self) -> Option<String> {
        self.digest.as_ref()?;
        self.tag.as_ref().map(|tag| format!("{}:{tag}", self.repository))
    }
}

/// An image to make nodes of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeImage {
    /// What containers are made of.
    pub reference: String,
    /// What is to be told, if it is not the one that was asked for.
    pub note: Option<String>,
}

/// Makes sure that the node image is here. `told` gets the bytes that are fetched, and those that are known of.
pub async fn ensure_node_image(
    docker: &Docker,
    wanted: Option<&str>,
    is_cgroup_1: bool,
    log: &Log,
    told: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<NodeImage, KindError> {
    let reference = wanted.unwrap_or(if is_cgroup_1 { DEFAULT_FOR_CGROUP_1 } else { DEFAULT });
    if let Some(reference) = present(docker, reference).await? {
        return Ok(NodeImage { reference, note: None });
    }
    let local = if wanted.is_none() { newest_local(docker, is_cgroup_1).await } else { None };
    // Whoever has another one does not wait for a network that is not there.
    let retries_max = if local.is_some() { 0 } else { RETRIES_MAX };
    match fetch(docker, reference, retries_max, log, told).await {
        Ok(()) => Ok(NodeImage { reference: reference.to_owned(), note: None }),
        Err(error) => match local {
            Some(local) => {
                let note = Some(format!("{local} is taken, since {} cannot be fetched", short(reference)));
                Ok(NodeImage { reference: local, note })
            }
            None => Err(error),
        },
    }
}

/// Makes sure that another image is here.
pub async fn ensure(docker: &Docker, references: &[&str], log: &Log) -> Result<String, KindError> {
    for reference in references {
        if let Some(reference) = present(docker, reference).await? {
            return Ok(reference);
        }
    }
    let reference = references.first().copied().unwrap_or_default();
    fetch(docker, reference, RETRIES_MAX, log, &|_, _| {}).await?;
    Ok(reference.to_owned())
}

/// The name under which an image is here, if it is.
async fn present(docker: &Docker, reference: &str) -> Result<Option<String>, KindError> {
    for name in std::iter::once(reference.to_owned()).chain(Reference::read(reference).local()) {
        match docker.inspect_image(&name).await {
            Ok(_) => return Ok(Some(name)),
            // That the engine does not know it, or not by such a name, is an answer; none is not.
            Err(bollard::errors::Error::DockerResponseServerError { .. }) => {}
            Err(error) => return Err(KindError::docker(format!("look for the image {name}"))(error)),
        }
    }
    Ok(None)
}

async fn newest_local(docker: &Docker, is_cgroup_1: bool) -> Option<String> {
    let filters = HashMap::from([("reference", vec![REPOSITORY])]);
    let images = docker.list_images(Some(ListImagesOptionsBuilder::new().filters(&filters).build())).await.ok()?;
    newest(images.into_iter().flat_map(|image| image.repo_tags), is_cgroup_1)
}

/// The newest version among tags, of those whose kubelet can run here.
fn newest(tags: impl Iterator<Item = String>, is_cgroup_1: bool) -> Option<String> {
    let versions = tags.filter_map(|tag| {
        let version = KubernetesVersion::read(tag.strip_prefix(REPOSITORY)?.strip_prefix(':')?)?;
        let patch: u64 = version.text.rsplit('.').next()?.parse().unwrap_or(0);
        Some((version.minor, patch, tag))
    });
    let usable = versions.filter(|(minor, ..)| !is_cgroup_1 || *minor < FIRST_WITHOUT_CGROUP_1);
    usable.max().map(|(_, _, tag)| tag)
}

/// `kindest/node:v1.37.0`, for people.
fn short(reference: &str) -> &str {
    reference.split('@').next().unwrap_or(reference)
}

async fn fetch(
    docker: &Docker,
    reference: &str,
    retries_max: u64,
    log: &Log,
    told: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<(), KindError> {
    let mut retries = 0;
    loop {
        let cause = match fetch_once(docker, reference, told).await {
            Ok(()) => return Ok(()),
            Err(cause) => cause,
        };
        log.line(&format!("{reference} cannot be fetched: {cause}"));
        if retries >= retries_max || !is_worth_a_retry(&cause) {
            return Err(KindError::Image { image: short(reference).to_owned(), source: Reason(cause) });
        }
        retries += 1;
        tokio::time::sleep(Duration::from_secs(retries)).await;
    }
}

/// Whether another attempt can end otherwise: not where the registry has answered that there is no such image.
fn is_worth_a_retry(cause: &str) -> bool {
    let cause = cause.to_lowercase();
    let is_final =
        ["not found", "manifest unknown", "access denied", "toomanyrequests", "no space left", "unauthorized"];
    !is_final.iter().any(|text| cause.contains(text))
}

async fn fetch_once(docker: &Docker, reference: &str, told: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<(), String> {
    let parsed = Reference::read(reference);
    let (repository, tag) = parsed.to_fetch();
    let options = CreateImageOptionsBuilder::new().from_image(repository).tag(tag).build();
    let mut stream = std::pin::pin!(docker.create_image(Some(options), None, None));
    let mut layers = Layers::default();
    let stalled = |_| format!("nothing came for {} seconds", STALL_TIME_MAX.as_secs());
    while let Some(line) = tokio::time::timeout(STALL_TIME_MAX, stream.next()).await.map_err(stalled)? {
        let line = line.map_err(|error| error.to_string())?;
        if let Some(message) = line.error_detail.as_ref().and_then(|detail| detail.message.clone()) {
            return Err(message);
        }
        if let Some((bytes, of_bytes)) = layers.add(&line) {
            told(bytes, of_bytes);
        }
    }
    // The tag that people know it by, which a fetch by digest does not set.
    if let (Some(tag), Some(_)) = (&parsed.tag, &parsed.digest) {
        let options = bollard::query_parameters::TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        let _ = docker
            .tag_image(&format!("{repository}@{}", parsed.digest.as_deref().unwrap_or_default()), Some(options))
            .await;
    }
    Ok(())
}

/// How much of each layer has come.
#[derive(Debug, Default)]
struct Layers(HashMap<String, (u64, u64)>);

impl Layers {
    /// What has come and what is known of, if the line changed it.
    fn add(&mut self, line: &CreateImageInfo) -> Option<(u64, u64)> {
        let id = line.id.clone()?;
        let status = line.status.as_deref()?;
        let detail = line.progress_detail.as_ref();
        let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        match status {
            "Downloading" => {
                let total = detail.and_then(|detail| number(detail.total))?;
                let current = detail.and_then(|detail| number(detail.current)).unwrap_or(0);
                self.0.insert(id, (current, total));
            }
            "Download complete" | "Pull complete" => {
                let layer = self.0.get_mut(&id)?;
                layer.0 = layer.1;
            }
            _ => return None,
        }
        Some(self.0.values().fold((0, 0), |(bytes, of_bytes), layer| (bytes + layer.0, of_bytes + layer.1)))
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn the_default_images_are_those_that_kind_releases_with() {
        let default = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5";
        assert_eq!(DEFAULT, default);
        for (image, minor) in [(DEFAULT, 37), (DEFAULT_FOR_CGROUP_1, FIRST_WITHOUT_CGROUP_1 - 1)] {
            let reference = Reference::read(image);
            assert_eq!(reference.repository, REPOSITORY);
            let version = reference.tag.as_deref().and_then(KubernetesVersion::read).expect("a version");
            assert_eq!(version.minor, minor, "{image}");
            let digest = reference.digest.expect("the same image for everybody");
            let digits = digest.strip_prefix("sha256:").expect("a digest");
            assert!(digits.len() == 64 && digits.chars().all(|digit| digit.is_ascii_hexdigit()), "{digest}");
        }
    }

    #[test]
    fn why_an_image_cannot_be_fetched_is_told() {
        let error = KindError::Image { image: "i".into(), source: Reason("manifest unknown".into()) };
        assert_eq!(crate::error::Failure::from(error).causes, ["manifest unknown"]);
        let engine = KindError::Engine(crate::engine::EngineError::Absent);
        assert!(crate::error::Failure::from(engine).causes.is_empty(), "its text is not told twice");
    }

    #[test]
    fn references() {
        fn check(text: &str, fetched: (&str, &str), local: Option<&str>) {
            let reference = Reference::read(text);
            assert_eq!(reference.to_fetch(), fetched, "{text}");
            assert_eq!(reference.local().as_deref(), local, "{text}");
        }
        check("kindest/node", ("kindest/node", "latest"), None);
        check("kindest/node:v1.34.2", ("kindest/node", "v1.34.2"), None);
        check("kindest/node:v1@sha256:ab", ("kindest/node", "sha256:ab"), Some("kindest/node:v1"));
        check("localhost:5000/node", ("localhost:5000/node", "latest"), None);
        check("localhost:5000/node:1@sha256:ab", ("localhost:5000/node", "sha256:ab"), Some("localhost:5000/node:1"));
    }

    #[test]
    fn the_newest_that_can_run() {
        fn check(tags: &[&str], is_cgroup_1: bool, expected: Option<&str>) {
            let tags = tags.iter().map(|tag| format!("kindest/node:{tag}"));
            let expected = expected.map(|tag| format!("kindest/node:{tag}"));
            assert_eq!(newest(tags, is_cgroup_1), expected);
        }
        let tags = ["v1.9.11", "v1.34.2", "v1.34.11", "v1.36.0", "latest", "<none>"];
        check(&tags, false, Some("v1.36.0"));
        check(&tags, true, Some("v1.34.11"));
        check(&["latest"], true, None);
    }

    #[test]
    fn what_has_come_of_the_layers() {
        let mut layers = Layers::default();
        let mut add = |id: &str, status: &str, current: i64, total: i64| {
            layers.add(&CreateImageInfo {
                id: Some(id.into()),
                status: Some(status.into()),
                progress_detail: Some(ProgressDetail { current: Some(current), total: Some(total) }),
                ..CreateImageInfo::default()
            })
        };
        assert_eq!(add("a", "Pulling fs layer", 0, 0), None);
        assert_eq!(add("a", "Downloading", 10, 100), Some((10, 100)));
        assert_eq!(add("b", "Downloading", 5, 50), Some((15, 150)));
        assert_eq!(add("a", "Extracting", 5, 100), None);
        assert_eq!(add("a", "Pull complete", 0, 0), Some((105, 150)));
        assert_eq!(add("c", "Already exists", 0, 0), None);
    }

    #[test]
    fn what_the_registry_denies_is_not_asked_again() {
        assert!(is_worth_a_retry("dial tcp: lookup registry-1.docker.io: i/o timeout"));
        assert!(!is_worth_a_retry("manifest for kindest/node:v9 not found: manifest unknown"));
        assert!(!is_worth_a_retry("toomanyrequests: You have reached your pull rate limit"));
    }
}
