//! Images into the nodes, without a registry: Docker's own export, or an archive, into each node's containerd.

use std::path::PathBuf;

use bollard::Docker;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use tokio::io::AsyncReadExt;

use super::error::KindError;
use super::exec::Node;

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// An archive as `docker save` writes it, or of the OCI's layout.
    Archive(PathBuf),
    /// An image that Docker has, by a name of its.
    Docker(String),
}

const CHUNK_BYTES: usize = 256 * 1024;

/// Imports an image into a node.
pub async fn into_node(docker: &Docker, node: Node<'_>, source: &ImageSource) -> Result<(), KindError> {
    let config = node.script("read containerd's configuration", "containerd config dump", Vec::new(), None).await?;
    let snapshotter = snapshotter(&config).unwrap_or("overlayfs").to_owned();
    let import = |options: &[&str]| {
        let command = ["ctr", "--namespace=k8s.io", "images", "import"];
        let options = options.iter().copied().chain(["--digests"]);
        let mut command: Vec<String> = command.into_iter().chain(options).map(str::to_owned).collect();
        command.extend([format!("--snapshotter={snapshotter}"), "-".to_owned()]);
        command
    };
    match node.feed("ctr images import", import(&["--all-platforms"]), open(docker, source).await?).await {
        // The containerd image store of Docker 29 exports the list of all platforms, and the content of one.
        Err(KindError::Command { tail, .. }) if tail.iter().any(|line| line.contains("content digest")) => {
            node.feed("ctr images import", import(&[]), open(docker, source).await?).await
        }
        outcome => outcome,
    }
    .map(drop)
}

async fn open<'a>(
    docker: &'a Docker,
    source: &'a ImageSource,
) -> Result<BoxStream<'a, Result<Bytes, KindError>>, KindError> {
    match source {
        ImageSource::Docker(name) => {
            let failed = move || KindError::docker(format!("export the image {name}"));
            docker.inspect_image(name).await.map_err(failed())?;
            Ok(docker.export_image(name).map_err(move |error| failed()(error)).boxed())
        }
        ImageSource::Archive(path) => {
            let unreadable = |source| KindError::Read { path: path.clone(), source };
            let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
            let chunks = futures_util::stream::try_unfold(file, |mut file| async move {
                let mut chunk = vec![0; CHUNK_BYTES];
                let length = file.read(&mut chunk).await?;
                chunk.truncate(length);
                Ok::<_, std::io::Error>((length > 0).then(|| (Bytes::from(chunk), file)))
            });
            Ok(chunks.map_err(unreadable).boxed())
        }
    }
}

/// The snapshotter in containerd's configuration, whose place depends on its version.
fn snapshotter(config: &str) -> Option<&str> {
    let sections = [
        "plugins.\"io.containerd.cri.v1.images\"",
        "plugins.'io.containerd.cri.v1.images'",
        "plugins.\"io.containerd.grpc.v1.cri\".containerd",
    ];
    let mut is_inside = false;
    for line in config.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            is_inside = sections.contains(&section.trim_end_matches(']'));
        } else if is_inside && let Some((name, value)) = line.split_once('=') {
            let value = value.trim().trim_matches(['"', '\'']);
            if name.trim() == "snapshotter" && !value.is_empty() {
                return Some(value);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshotters() {
        fn check(config: &str, expected: Option<&str>) {
            assert_eq!(snapshotter(config), expected, "{config}");
        }
        check("[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n  snapshotter = \"overlayfs\"\n", Some("overlayfs"));
        check("  [plugins.'io.containerd.cri.v1.images']\n    snapshotter = 'native'\n", Some("native"));
        check("[plugins.\"other\"]\n  snapshotter = \"native\"\n", None);
        check("", None);
    }
}
