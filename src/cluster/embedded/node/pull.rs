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
    /// As the container names it.
    pub name: String,
}

/// When an image is fetched: `imagePullPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Always,
    IfNotPresent,
    Never,
}

/// Why there is no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// containerd's text, without `failed to pull and unpack image "…": `.
    Pull(String),
    /// It is not there, and may not be fetched.
    NeverPulled,
    /// The name cannot be one; the text says why.
    Name(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Pull(why)
    }
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

/// Pulls; but for `Always`, an image that was pulled before is taken as it was. The known images are on the machine from
/// the beginning.
///
/// # Errors
/// Why there is none.
pub fn pull(shared: &Shared, name: &str, policy: Policy) -> Result<Pulled, Refusal> {
    let reference = Reference::parse(name).ok_or_else(|| Refusal::Name(misnamed(name)))?;
    match pull_known(shared, &reference, name, policy) {
        Err(Refusal::Pull(_)) if policy == Policy::Never => Err(Refusal::NeverPulled),
        pulled => pulled,
    }
}

fn pull_known(shared: &Shared, reference: &Reference, name: &str, policy: Policy) -> Result<Pulled, Refusal> {
    let always = policy == Policy::Always;
    if reference.host.is_empty() || is_known_registry(&reference.host) {
        let full = if reference.host.is_empty() {
            reference.name.clone()
        } else {
            format!("{}/{}", reference.host, reference.name)
        };
        let Some(base) = program::base(&full, &reference.version) else {
            let why = if program::is_known(&full) { not_found(reference) } else { denied(reference) };
            return Err(why.into());
        };
        let image = Image {
            files: Arc::new(base_files(base, &full)),
            base: format!("{full}:{}", reference.version),
            user: program::user(&full).into(),
            ..Image::default()
        };
        return Ok(Pulled { image, base, full_name: canonical(reference), present: !always, name: name.into() });
    }
    let ours = [format!("localhost:{}", shared.registry_port), format!("127.0.0.1:{}", shared.registry_port)];
    if !ours.contains(&reference.host) {
        return Err(unreachable(reference).into());
    }
    let full_name = canonical(reference);
    let mut kept = lock(&shared.pulled);
    let before = kept.get(&full_name).filter(|_| !always).map(|kept| kept.digest.clone());
    let present = before.is_some();
    let digest = if let Some(digest) = before {
        digest
    } else if policy == Policy::Never {
        return Err(Refusal::NeverPulled);
    } else {
        let manifest = shared.images.manifest(&reference.name, &reference.version);
        manifest.map_err(|error| refused(reference, &error))?.digest
    };
    if let Some(kept) = kept.get(&full_name).filter(|kept| kept.digest == digest)
        && let Some(files) = kept.files.upgrade()
    {
        let image = Image { files, ..kept.image.clone() };
        return Ok(Pulled { image, base: kept.base, full_name, present, name: name.into() });
    }
    let (image, base) = fetch(shared, reference, &digest)?;
    let without_files = Image { files: Arc::default(), ..image.clone() };
    let files = Arc::downgrade(&image.files);
    kept.insert(full_name.clone(), Kept { digest, image: without_files, base, files });
    Ok(Pulled { image, base, full_name, present, name: name.into() })
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
    let name = base_reference.as_ref().map_or("", |base| base.name.as_str());
    image.base = base_reference.as_ref().map(|base| format!("{}:{}", base.name, base.version)).unwrap_or_default();
    let mut files = base_files(base, name);
    if image.user.is_empty() {
        image.user = program::user(name).into();
    }
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

fn not_found(reference: &Reference) -> String {
    format!("failed to resolve reference \"{0}\": {0}: not found", canonical(reference))
}

/// Why a name cannot be an image's, as the reference package of containerd words it.
fn misnamed(name: &str) -> String {
    let path = name.split('@').next().unwrap_or(name);
    let (host, rest) = path.split_once('/').unwrap_or(("", path));
    let is_host = host.contains(['.', ':']) || host == "localhost";
    let remote = if is_host { rest } else { path };
    let repository = remote.split(':').next().unwrap_or(remote);
    if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let library = if is_host || repository.contains('/') { "" } else { "library/" };
        return format!("invalid reference format: repository name ({library}{repository}) must be lowercase");
    }
    "invalid reference format".into()
}

fn refused(reference: &Reference, error: &ImageError) -> String {
    match error {
        ImageError::Unknown(_) | ImageError::Name(_) => not_found(reference),
        other => format!("failed to resolve reference \"{}\": {other}", canonical(reference)),
    }
}

/// What the base brings: nginx' welcome page and its default server.
fn base_files(base: Base, name: &str) -> FileTree {
    if base != Base::Web {
        return FileTree::new();
    }
    let files = [
        ("/etc/nginx/conf.d/default.conf", DEFAULT_SERVER),
        ("/etc/nginx/nginx.conf", NGINX_CONF),
        ("/usr/share/nginx/html/index.html", WELCOME),
        ("/usr/share/nginx/html/50x.html", ERROR_PAGE),
    ];
    let mut files: BTreeMap<_, _> =
        files.into_iter().map(|(path, text)| (path.to_owned(), Bytes::from_static(text.as_bytes()))).collect();
    if name == program::UNPRIVILEGED {
        let server = DEFAULT_SERVER.replace("80;", "8080;");
        files.insert("/etc/nginx/conf.d/default.conf".into(), server.into());
    }
    files
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
