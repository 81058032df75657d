//! What is stored: blobs by digest, manifests by digest, tags that point at manifests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// The largest manifest; the distribution specification asks for at least 4 MiB.
const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why an image could not be stored or found.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("invalid repository name: {0}")]
    Name(String),
    #[error("invalid tag or digest: {0}")]
    Reference(String),
    #[error("provided digest did not match uploaded content")]
    Digest,
    #[error("manifest invalid: {0}")]
    Manifest(String),
    #[error("unknown: {0}")]
    Unknown(String),
    #[error("the registry's directory cannot be used: {0}")]
    Io(#[from] io::Error),
}

/// A manifest as it was pushed.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub digest: String,
    pub media_type: String,
    pub body: Bytes,
}

/// The registry's files.
#[derive(Debug)]
pub struct ImageStore {
    directory: PathBuf,
    uploads: AtomicU64,
    /// Tags are read, changed and written under it.
    tags: Mutex<()>,
}

impl ImageStore {
    /// Opens or makes the registry in `directory`; what unfinished uploads left is removed.
    pub fn open(directory: &Path) -> Result<Self, ImageError> {
        let uploads = directory.join("uploads");
        if uploads.exists() {
            std::fs::remove_dir_all(&uploads)?;
        }
        for part in ["blobs", "uploads", "repositories"] {
            std::fs::create_dir_all(directory.join(part))?;
        }
        Ok(Self { directory: directory.into(), uploads: AtomicU64::new(0), tags: Mutex::new(()) })
    }

    /// Begins an upload and returns its id.
    pub fn begin_upload(&self) -> Result<String, ImageError> {
        let id = format!("{:x}-{:016x}", self.uploads.fetch_add(1, Ordering::Relaxed), fastrand::u64(..));
        std::fs::write(self.upload_path(&id)?, b"")?;
        Ok(id)
    }

    /// Appends to an upload and returns its length.
    pub fn append_upload(&self, id: &str, chunk: &[u8]) -> Result<u64, ImageError> {
        use std::io::Write as _;
        let path = self.upload_path(id)?;
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(|_| ImageError::Unknown(format!("upload {id}")))?;
        file.write_all(chunk)?;
        Ok(file.metadata()?.len())
    }

    /// How much of an upload is there.
    pub fn upload_length(&self, id: &str) -> Result<u64, ImageError> {
        let path = self.upload_path(id)?;
        Ok(std::fs::metadata(path).map_err(|_| ImageError::Unknown(format!("upload {id}")))?.len())
    }

    /// Ends an upload: its content must have this digest.
    pub fn finish_upload(&self, id: &str, digest: &str) -> Result<(), ImageError> {
        let path = self.upload_path(id)?;
        let content = std::fs::read(&path).map_err(|_| ImageError::Unknown(format!("upload {id}")))?;
        let stored = self.put_blob(digest, &content);
        std::fs::remove_file(&path)?;
        stored
    }

    /// Stores a blob under the digest that its content must have.
    pub fn put_blob(&self, digest: &str, content: &[u8]) -> Result<(), ImageError> {
        if digest_of(content) != digest {
            return Err(ImageError::Digest);
        }
        let path = self.blob_path(digest)?;
        if !path.exists() {
            self.write_whole(&path, content)?;
        }
        Ok(())
    }

    pub fn blob(&self, digest: &str) -> Result<Bytes, ImageError> {
        let path = self.blob_path(digest)?;
        std::fs::read(path).map(Bytes::from).map_err(|_| ImageError::Unknown(format!("blob {digest}")))
    }

    pub fn blob_length(&self, digest: &str) -> Result<u64, ImageError> {
        let path = self.blob_path(digest)?;
        Ok(std::fs::metadata(path).map_err(|_| ImageError::Unknown(format!("blob {digest}")))?.len())
    }

    /// Stores a manifest and, where `reference` is a tag, points the tag at it. What it refers to must be there.
    pub fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        body: &[u8],
    ) -> Result<String, ImageError> {
        check_name(name)?;
        if body.len() > MANIFEST_BYTES_MAX {
            return Err(ImageError::Manifest("it is too large".into()));
        }
        let manifest: serde_json::Value =
            serde_json::from_slice(body).map_err(|error| ImageError::Manifest(error.to_string()))?;
        let parts = manifest.get("layers").and_then(serde_json::Value::as_array).into_iter().flatten();
        for part in parts.chain(manifest.get("config")) {
            let digest = part.get("digest").and_then(serde_json::Value::as_str).unwrap_or_default();
            if self.blob_length(digest).is_err() {
                return Err(ImageError::Manifest(format!("blob unknown to registry: {digest}")));
            }
        }
        let digest = digest_of(body);
        self.put_blob(&digest, body)?;
        let directory = self.repository(name).join("manifests");
        std::fs::create_dir_all(&directory)?;
        self.write_whole(&directory.join(file_name(&digest)), media_type.as_bytes())?;
        if reference.contains(':') {
            if reference != digest {
                return Err(ImageError::Digest);
            }
        } else {
            check_tag(reference)?;
            let _tags = self.tags.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let directory = self.repository(name).join("tags");
            std::fs::create_dir_all(&directory)?;
            self.write_whole(&directory.join(reference), digest.as_bytes())?;
        }
        Ok(digest)
    }

    /// The manifest that a tag or digest names.
    pub fn manifest(&self, name: &str, reference: &str) -> Result<Manifest, ImageError> {
        check_name(name)?;
        let unknown = || ImageError::Unknown(format!("manifest {name}:{reference}"));
        let digest = if reference.contains(':') {
            reference.to_owned()
        } else {
            check_tag(reference)?;
            let path = self.repository(name).join("tags").join(reference);
            std::fs::read_to_string(path).map_err(|_| unknown())?
        };
        check_digest(&digest)?;
        let path = self.repository(name).join("manifests").join(file_name(&digest));
        let media_type = std::fs::read_to_string(path).map_err(|_| unknown())?;
        Ok(Manifest { body: self.blob(&digest)?, digest, media_type })
    }

    /// Removes a tag, or a manifest with all tags that point at it.
    pub fn delete_manifest(&self, name: &str, reference: &str) -> Result<(), ImageError> {
        let manifest = self.manifest(name, reference)?;
        let _tags = self.tags.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let tags = self.repository(name).join("tags");
        if !reference.contains(':') {
            std::fs::remove_file(tags.join(reference))?;
            return Ok(());
        }
        std::fs::remove_file(self.repository(name).join("manifests").join(file_name(&manifest.digest)))?;
        for entry in std::fs::read_dir(&tags).into_iter().flatten().flatten() {
            if std::fs::read_to_string(entry.path()).is_ok_and(|digest| digest == manifest.digest) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The repository's tags, sorted; `None` where there is no such repository.
    pub fn tags(&self, name: &str) -> Result<Option<Vec<String>>, ImageError> {
        check_name(name)?;
        let directory = self.repository(name);
        if !directory.join("manifests").exists() {
            return Ok(None);
        }
        Ok(Some(sorted_names(&directory.join("tags"))))
    }

    /// Every repository's name, sorted.
    pub fn catalog(&self) -> Vec<String> {
        let names = sorted_names(&self.directory.join("repositories"));
        let mut names: Vec<String> = names.into_iter().map(|name| name.replace('+', "/")).collect();
        names.sort();
        names
    }

    /// Repository names hold no `+`, so that it can stand for the slash in a file's name.
    fn repository(&self, name: &str) -> PathBuf {
        self.directory.join("repositories").join(name.replace('/', "+"))
    }

    fn blob_path(&self, digest: &str) -> Result<PathBuf, ImageError> {
        check_digest(digest)?;
        Ok(self.directory.join("blobs").join(file_name(digest)))
    }

    fn upload_path(&self, id: &str) -> Result<PathBuf, ImageError> {
        let fits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if fits { Ok(self.directory.join("uploads").join(id)) } else { Err(ImageError::Unknown("upload".into())) }
    }

    /// Written aside and renamed, so that a file is there as a whole or not at all.
    fn write_whole(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let aside = self.directory.join("uploads").join(format!("{:016x}", fastrand::u64(..)));
        std::fs::write(&aside, content)?;
        std::fs::rename(&aside, path)
    }
}

/// `sha256:<hex>` of some content.
pub fn digest_of(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    hash.iter().fold(String::from("sha256:"), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

fn sorted_names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn file_name(digest: &str) -> String {
    digest.replace(':', "-")
}

fn check_digest(digest: &str) -> Result<(), ImageError> {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    let fits = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if fits { Ok(()) } else { Err(ImageError::Reference(digest.into())) }
}

fn check_tag(tag: &str) -> Result<(), ImageError> {
    let fits = !tag.is_empty()
        && tag.len() <= 128
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if fits { Ok(()) } else { Err(ImageError::Reference(tag.into())) }
}

fn check_name(name: &str) -> Result<(), ImageError> {
    let part_fits = |part: &str| {
        !part.is_empty()
            && part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte))
    };
    if name.len() <= 200 && name.split('/').all(part_fits) { Ok(()) } else { Err(ImageError::Name(name.into())) }
}
