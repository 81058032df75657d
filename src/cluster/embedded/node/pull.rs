//! From an image's name to what a container needs of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::super::images::{FileTree, Image, ImageError, Reference};
use super::Shared;
use super::pod::lock;
use super::program::{self, Base};

/// A pulled image and what it is built on.
#[derive(Debug, Clone)]
pub struct Pulled {
    pub image: Image,
    pub base: Base,
    /// As a container's status names it, `docker.io/library/nginx:1.29-alpine`.
    pub full_name: String,
    /// It was there already: nothing had to be fetched.
    pub present: bool,
}

/// An image that was pulled before. Its files are kept for as long as some container has them.
#[derive(Debug)]
pub struct Kept {
    /// What the tag pointed at.
    digest: String,
    image: Image,
    base: Base,
    files: Weak<FileTree>,
}

/// Pulls; without `always`, an image that was pulled before is taken as it was. The error is containerd's text, without `failed to pull and unpack image "…": `.
pub fn pull(shared: &Shared, name: &str, always: bool) -> Result<Pulled, String> {
    let reference = Reference::parse(name)
        .ok_or_else(|| format!("failed to parse image name {name:?}: invalid reference format"))?;
    if reference.host.is_empty() || is_known_registry(&reference.host) {
        let full = if reference.host.is_empty() {
            reference.name.clone()
        } else {
            format!("{}/{}", reference.host, reference.name)
        };
        let Some(base) = program::base(&full, &reference.version) else { return Err(denied(&reference)) };
        let image = Image { files: Arc::new(base_files(base)), ..Image::default() };
        return Ok(Pulled { image, base, full_name: canonical(&reference), present: !always });
    }
    let ours = [format!("localhost:{}", shared.registry_port), format!("127.0.0.1:{}", shared.registry_port)];
    if !ours.contains(&reference.host) {
        return Err(unreachable(&reference));
    }
    let full_name = canonical(&reference);
    let mut kept = lock(&shared.pulled);
    let before = kept.get(&full_name).filter(|_| !always).map(|kept| kept.digest.clone());
    let present = before.is_some();
    let digest = if let Some(digest) = before {
        digest
    } else {
        let manifest = shared.images.manifest(&reference.name, &reference.version);
        manifest.map_err(|error| refused(&reference, &error))?.digest
    };
    if let Some(kept) = kept.get(&full_name).filter(|kept| kept.digest == digest)
        && let Some(files) = kept.files.upgrade()
    {
        let image = Image { files, ..kept.image.clone() };
        return Ok(Pulled { image, base: kept.base, full_name, present });
    }
    let (image, base) = fetch(shared, &reference, &digest)?;
    let without_files = Image { files: Arc::default(), ..image.clone() };
    let files = Arc::downgrade(&image.files);
    kept.insert(full_name.clone(), Kept { digest, image: without_files, base, files });
    Ok(Pulled { image, base, full_name, present })
}

/// Reads an image of this registry and lays it over its base.
fn fetch(shared: &Shared, reference: &Reference, digest: &str) -> Result<(Image, Base), String> {
    let mut image = shared.images.pull(&reference.name, digest).map_err(|error| refused(reference, &error))?;
    let base_reference = Reference::parse(&image.base);
    let base = base_reference.as_ref().and_then(|base| program::base(&base.name, &base.version)).ok_or_else(|| {
        format!(
            "the embedded sandbox runs images built from nginx, busybox and the like; this one is built from {:?} (tutorial start --sandbox kind runs any image)",
            image.base
        )
    })?;
    let mut files = base_files(base);
    files.extend(image.files.iter().map(|(path, content)| (path.clone(), content.clone())));
    image.files = Arc::new(files);
    Ok((image, base))
}

fn is_known_registry(host: &str) -> bool {
    matches!(host, "registry.k8s.io" | "k8s.gcr.io")
}

fn canonical(reference: &Reference) -> String {
    let separator = if reference.version.starts_with("sha256:") { '@' } else { ':' };
    let path = match (reference.host.as_str(), reference.name.contains('/')) {
        ("", false) => format!("docker.io/library/{}", reference.name),
        ("", true) => format!("docker.io/{}", reference.name),
        (host, _) => format!("{host}/{}", reference.name),
    };
    format!("{path}{separator}{}", reference.version)
}

fn denied(reference: &Reference) -> String {
    format!(
        "failed to resolve reference \"{}\": pull access denied, repository does not exist or may require authorization: the embedded sandbox has no network; it knows nginx, busybox, alpine, redis and what is in its own registry (--sandbox kind pulls any image)",
        canonical(reference)
    )
}

fn unreachable(reference: &Reference) -> String {
    format!(
        "failed to resolve reference \"{}\": failed to do request: Head \"https://{}/v2/{}/manifests/{}\": dial tcp: lookup {}: no such host",
        canonical(reference),
        reference.host,
        reference.name,
        reference.version,
        reference.host.split(':').next().unwrap_or_default()
    )
}

fn refused(reference: &Reference, error: &ImageError) -> String {
    match error {
        ImageError::Unknown(_) | ImageError::Name(_) => {
            format!("failed to resolve reference \"{0}\": {0}: not found", canonical(reference))
        }
        other => format!("failed to resolve reference \"{}\": {other}", canonical(reference)),
    }
}

/// What the base brings: nginx' welcome page and its default server.
fn base_files(base: Base) -> FileTree {
    if base != Base::Web {
        return FileTree::new();
    }
    let files = [
        ("/etc/nginx/conf.d/default.conf", DEFAULT_SERVER),
        ("/etc/nginx/nginx.conf", NGINX_CONF),
        ("/usr/share/nginx/html/index.html", WELCOME),
        ("/usr/share/nginx/html/50x.html", ERROR_PAGE),
    ];
    files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), Bytes::from_static(text.as_bytes())))
        .collect::<BTreeMap<_, _>>()
}

const DEFAULT_SERVER: &str = "server {
    listen       80;
    listen  [::]:80;
    server_name  localhost;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }

    error_page   500 502 503 504  /50x.html;
    location = /50x.html {
        root   /usr/share/nginx/html;
    }
}
";

const NGINX_CONF: &str = "worker_processes  auto;

events {
    worker_connections  1024;
}

http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;
    include /etc/nginx/conf.d/*.conf;
}
";

const WELCOME: &str = "<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>This page is served by the tutorial's built-in web server, in nginx' place.</p>
</body>
</html>
";

const ERROR_PAGE: &str = "<!DOCTYPE html>
<html>
<head>
<title>Error</title>
</head>
<body>
<h1>An error occurred.</h1>
</body>
</html>
";
