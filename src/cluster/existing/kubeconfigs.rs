//! The learner's kubeconfig, of which one context is taken.

use std::path::{Path, PathBuf};

use kube::config::Kubeconfig;

use super::{ExistingError, ExistingSpec};

/// A context and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub name: String,
    /// `https://127.0.0.1:6443`.
    pub server: String,
}

/// The contexts in the files that can be read, in their order.
pub fn contexts(files: &[PathBuf]) -> Vec<Context> {
    let config = merged(files);
    let server = |name: &str| {
        let cluster = config.contexts.iter().find(|context| context.name == name)?.context.as_ref()?.cluster.clone();
        config.clusters.iter().find(|named| named.name == cluster)?.cluster.as_ref()?.server.clone()
    };
    let context = |name: &str| Context { name: name.to_owned(), server: server(name).unwrap_or_default() };
    config.contexts.iter().map(|named| context(&named.name)).collect()
}

fn merged(files: &[PathBuf]) -> Kubeconfig {
    let readable = files.iter().filter_map(|file| Kubeconfig::read_from(file).ok());
    readable.fold(Kubeconfig::default(), |all, next| all.clone().merge(next).unwrap_or(all))
}

/// The context with its cluster and its user and nothing else; from the learner's files, else from our copy.
pub fn extract(spec: &ExistingSpec, copy: &Path) -> Result<Kubeconfig, ExistingError> {
    let config = merged(&spec.kubeconfigs);
    if let Some(found) = only(&config, &spec.context) {
        return Ok(found);
    }
    let kept = Kubeconfig::read_from(copy).ok().and_then(|config| only(&config, &spec.context));
    kept.ok_or_else(|| ExistingError::NoContext {
        context: spec.context.clone(),
        known: config.contexts.into_iter().map(|context| context.name).collect(),
    })
}

fn only(config: &Kubeconfig, name: &str) -> Option<Kubeconfig> {
    let named = config.contexts.iter().find(|context| context.name == name)?;
    let context = named.context.as_ref()?;
    let cluster = config.clusters.iter().find(|cluster| cluster.name == context.cluster)?;
    let user = context.user.as_ref().and_then(|user| config.auth_infos.iter().find(|known| known.name == *user));
    Some(Kubeconfig {
        clusters: vec![cluster.clone()],
        auth_infos: user.into_iter().cloned().collect(),
        contexts: vec![named.clone()],
        current_context: Some(name.to_owned()),
        kind: Some("Config".into()),
        api_version: Some("v1".into()),
        ..Kubeconfig::default()
    })
}

/// As a file has it.
pub fn text(config: &Kubeconfig) -> String {
    serde_yaml::to_string(config).expect("a kubeconfig that was read can be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_context_is_taken_from_several_files() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str| {
            let path = directory.path().join(name);
            let text = format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: {name}\nclusters:\n- name: c-{name}\n  cluster: \
                 {{server: 'https://{name}:1'}}\ncontexts:\n- name: {name}\n  context: {{cluster: c-{name}, user: \
                 u-{name}}}\nusers:\n- name: u-{name}\n  user: {{token: secret-{name}}}\n"
            );
            std::fs::write(&path, text).expect("a file");
            path
        };
        let files = vec![file("one"), file("two"), directory.path().join("absent")];
        let found: Vec<String> = contexts(&files).into_iter().map(|context| context.server).collect();
        assert_eq!(found, ["https://one:1", "https://two:1"]);
        let spec = ExistingSpec {
            context: "two".into(),
            kubeconfigs: files,
            directory: directory.path().to_owned(),
            registry: None,
            project: "demo".into(),
            namespaces: Vec::new(),
            node_ports: Vec::new(),
        };
        let taken = text(&extract(&spec, Path::new("/nowhere")).expect("a context"));
        assert!(taken.contains("secret-two") && !taken.contains("one"), "{taken}");
        let error = extract(&ExistingSpec { context: "three".into(), ..spec }, Path::new("/nowhere"));
        assert_eq!(error.expect_err("no context").to_string(), "there is no context `three` in your kubeconfig");
    }
}
