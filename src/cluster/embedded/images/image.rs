//! An image as the node sees it: its configuration and the files that its layers brought.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::store::{ImageError, ImageStore};

/// Layers that unpack to more than this are refused.
const IMAGE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Absolute path to content, for every regular file.
pub type FileTree = BTreeMap<String, Bytes>;

/// A pulled image.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// The manifest's digest.
    pub digest: String,
    /// The base that the label `dev.tutorial.base` names; empty where there is none.
    pub base: String,
    /// `NAME=value`, in order.
    pub environment: Vec<(String, String)>,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub working_directory: String,
    /// As the image states it: a number or a name, with or without a group; empty for root.
    pub user: String,
    pub files: Arc<FileTree>,
}

/// An image's name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `localhost:5001`; empty for Docker Hub's short names.
    pub host: String,
    /// `demo-app`, `library/nginx` without its `library/`.
    pub name: String,
    /// A tag or a digest; `latest` where none is given.
    pub version: String,
}

impl Reference {
    /// Takes an image's name apart; `None` for a name that cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        };
        let (host, name) = match path.split_once('/') {
            Some((host, name)) if host.contains(['.', ':']) || host == "localhost" => (host, name),
            _ => ("", path),
        };
        let host = if matches!(host, "docker.io" | "index.docker.io") { "" } else { host };
        let name = name.strip_prefix("library/").filter(|_| host.is_empty()).unwrap_or(name);
        let part_fits = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte))
        };
        let version = digest.or(tag).unwrap_or("latest");
        let tag_fits = tag.is_none_or(is_tag);
        (tag_fits && name.split('/').all(part_fits) && !version.is_empty()).then(|| Self {
            host: host.into(),
            name: name.into(),
            version: version.into(),
        })
    }
}

fn is_tag(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|byte| plain(byte) || byte == b'.' || byte == b'-')
}

impl ImageStore {
    /// Reads an image of this registry.
    pub fn pull(&self, name: &str, version: &str) -> Result<Image, ImageError> {
        let manifest = self.manifest(name, version)?;
        let parsed = parse(&manifest.body)?;
        if let Some(inner) = parsed.get("manifests").and_then(Value::as_array) {
            let first = inner.first().and_then(|entry| entry.get("digest")).and_then(Value::as_str);
            return match first {
                Some(digest) if digest != version => self.pull(name, digest),
                _ => Err(ImageError::Manifest("an index without manifests".into())),
            };
        }
        let digest_at = |value: &Value| value.get("digest").and_then(Value::as_str).unwrap_or_default().to_owned();
        let config = parse(&self.blob(&digest_at(&parsed["config"]))?)?;
        let mut files = FileTree::new();
        let mut unpacked = 0;
        for layer in parsed.get("layers").and_then(Value::as_array).into_iter().flatten() {
            unpack(&self.blob(&digest_at(layer))?, &mut files, &mut unpacked)?;
        }
        Ok(from_config(manifest.digest, &config["config"], files))
    }
}

fn parse(body: &[u8]) -> Result<Value, ImageError> {
    serde_json::from_slice(body).map_err(|error| ImageError::Manifest(error.to_string()))
}

fn from_config(digest: String, config: &Value, files: FileTree) -> Image {
    let texts = |key: &str| -> Vec<String> {
        let list = config.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let environment =
        texts("Env").iter().filter_map(|pair| pair.split_once('=')).map(|(n, v)| (n.into(), v.into())).collect();
    let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    Image {
        digest,
        base: text("/Labels/dev.tutorial.base"),
        environment,
        entrypoint: texts("Entrypoint"),
        command: texts("Cmd"),
        working_directory: text("/WorkingDir"),
        user: text("/User"),
        files: Arc::new(files),
    }
}

/// Lays a layer over the files: later entries replace, `.wh.` entries remove.
fn unpack(layer: &[u8], files: &mut FileTree, unpacked: &mut u64) -> Result<(), ImageError> {
    let gzip = layer.starts_with(&[0x1f, 0x8b]);
    let reader: Box<dyn std::io::Read> =
        if gzip { Box::new(flate2::read::GzDecoder::new(layer)) } else { Box::new(layer) };
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = absolute(&entry.path()?.to_string_lossy());
        let (directory, name) = path.rsplit_once('/').unwrap_or_default();
        if name == ".wh..wh..opq" {
            remove_below(files, directory);
        } else if let Some(hidden) = name.strip_prefix(".wh.") {
            let path = format!("{directory}/{hidden}");
            files.remove(&path);
            remove_below(files, &path);
        } else if entry.header().entry_type().is_file() {
            *unpacked += entry.size();
            if *unpacked > IMAGE_BYTES_MAX {
                return Err(ImageError::Manifest("the image is too large for the embedded sandbox".into()));
            }
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            files.insert(path, content.into());
        }
    }
    Ok(())
}

fn remove_below(files: &mut FileTree, directory: &str) {
    let prefix = format!("{directory}/");
    files.retain(|path, _| !path.starts_with(&prefix));
}

/// `./a//b/../c` as `/a/c`; nothing leaves the root.
fn absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
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
