//! What is there of a cluster before anything is done, and whether it may be touched: pure.

use std::path::{Path, PathBuf};

use bollard::Docker;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::ListContainersOptionsBuilder;

use super::error::KindError;
use super::node::{self, LABEL_CLUSTER, LABEL_DIRECTORY, LABEL_OURS, LABEL_OWNER, LABEL_ROLE, Role};
use super::owner;

/// A node's container, ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub id: String,
    pub name: String,
    pub role: Role,
    pub is_running: bool,
}

/// Which cluster is meant, and who means it.
#[derive(Debug, Clone, Copy)]
pub struct Meant<'a> {
    pub name: &'a str,
    pub directory: &'a Path,
    /// As [`owner::of_this_process`] has it.
    pub owner: &'a str,
}

/// All containers of the engine.
pub async fn containers(docker: &Docker) -> Result<Vec<ContainerSummary>, KindError> {
    let all = ListContainersOptionsBuilder::new().all(true).build();
    docker.list_containers(Some(all)).await.map_err(KindError::docker("list its containers"))
}

/// The cluster's nodes, the control plane first, if all of them are ours; none where there is none. `workers` are
/// those that are wanted, whose names have to be free.
pub fn nodes(containers: &[ContainerSummary], meant: Meant<'_>, workers: u8) -> Result<Vec<Seen>, KindError> {
    let name = meant.name;
    let of_cluster = |container: &&ContainerSummary| label(container, LABEL_CLUSTER) == Some(name);
    let mut nodes = Vec::new();
    for container in containers.iter().filter(of_cluster) {
        if label(container, LABEL_OURS) != Some(name) {
            return Err(KindError::MadeByKind { name: name.to_owned() });
        }
        if is_anothers(container, meant.owner) {
            return Err(KindError::Another { name: name.to_owned() });
        }
        if let Some(other) = other_directory(container, meant.directory) {
            return Err(KindError::Elsewhere { name: name.to_owned(), directory: other });
        }
        nodes.push(seen(container));
    }
    let wanted: Vec<String> = node::names(name, workers).into_iter().map(|(name, _)| name).collect();
    let foreign = containers.iter().filter(|container| !of_cluster(container)).map(container_name);
    if let Some(container) = foreign.into_iter().find(|name| wanted.contains(name)) {
        return Err(KindError::Foreign { container });
    }
    nodes.sort_by_key(|node| (node.role != Role::ControlPlane, node.name.len(), node.name.clone()));
    Ok(nodes)
}

/// The containers of this cluster that are ours, whatever else there is.
pub fn ours(containers: &[ContainerSummary], meant: Meant<'_>) -> Vec<Seen> {
    let is_ours = |container: &&ContainerSummary| {
        let has = |label_name| label(container, label_name) == Some(meant.name);
        has(LABEL_CLUSTER)
            && has(LABEL_OURS)
            && !is_anothers(container, meant.owner)
            && other_directory(container, meant.directory).is_none()
    };
    containers.iter().filter(is_ours).map(seen).collect()
}

fn label<'c>(container: &'c ContainerSummary, name: &str) -> Option<&'c str> {
    container.labels.as_ref()?.get(name).map(String::as_str)
}

/// Whether another user, or the same on another machine that has this engine too, has made a container.
fn is_anothers(container: &ContainerSummary, own: &str) -> bool {
    label(container, LABEL_OWNER).is_some_and(|owner| !owner::is_same(owner, own))
}

/// Whether there is a container of this name.
pub fn is_there(containers: &[ContainerSummary], name: &str) -> bool {
    containers.iter().any(|container| container_name(container) == name)
}

/// The workspace that a container belongs to, if it is another one and still there. What a workspace that is gone
/// has left is anybody's; one that may not be looked at is not gone.
fn other_directory(container: &ContainerSummary, directory: &Path) -> Option<PathBuf> {
    let of_container = PathBuf::from(label(container, LABEL_DIRECTORY)?);
    (of_container != directory && of_container.try_exists().unwrap_or(true)).then_some(of_container)
}

fn container_name(container: &ContainerSummary) -> String {
    let name = container.names.iter().flatten().next().map(String::as_str).unwrap_or_default();
    name.trim_start_matches('/').to_owned()
}

fn seen(container: &ContainerSummary) -> Seen {
    let is_worker = label(container, LABEL_ROLE) == Some(Role::Worker.name());
    Seen {
        id: container.id.clone().unwrap_or_default(),
        name: container_name(container),
        role: if is_worker { Role::Worker } else { Role::ControlPlane },
        is_running: container.state == Some(ContainerSummaryStateEnum::RUNNING),
    }
}

/// What to do with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing is there: make it.
    Make,
    /// It was made, or its control plane was: start what is stopped and finish what is missing.
    Finish,
    /// Half of a node is of no use: remove what is ours, and make it anew.
    MakeAnew,
}

/// How far the cluster once was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    Nothing,
    /// The control plane's kubeadm came to its end.
    Initialised,
    /// It could be worked with, and a learner's work may be in it.
    Finished,
}

/// Decides. A cluster that was once finished is used as it is, with however many workers.
pub fn plan(nodes: &[Seen], workers: u8, past: Past) -> Plan {
    let count = |role: Role| nodes.iter().filter(|node| node.role == role).count();
    let (has_control_plane, has_workers) =
        (count(Role::ControlPlane) == 1, count(Role::Worker) == usize::from(workers));
    match past {
        _ if nodes.is_empty() => Plan::Make,
        Past::Finished if has_control_plane => Plan::Finish,
        Past::Initialised if has_control_plane && has_workers => Plan::Finish,
        _ => Plan::MakeAnew,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant() -> Meant<'static> {
        Meant { name: "t", directory: Path::new("/ours"), owner: "1@a" }
    }

    fn container(name: &str, labels: &[(&str, &str)]) -> ContainerSummary {
        ContainerSummary {
            id: Some(format!("id of {name}")),
            names: Some(vec![format!("/{name}")]),
            labels: Some(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()),
            state: Some(ContainerSummaryStateEnum::RUNNING),
            ..ContainerSummary::default()
        }
    }

    #[test]
    fn nothing_is_touched_that_is_not_ours() {
        fn check(containers: &[ContainerSummary], expected: Result<&[&str], &str>) {
            let found = nodes(containers, meant(), 1).map_err(|error| error.to_string());
            let names = found.as_ref().map(|nodes| nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>());
            assert_eq!(names.as_deref().map_err(|error| error.as_str()), expected);
        }
        let ours = [(LABEL_CLUSTER, "t"), (LABEL_OURS, "t"), (LABEL_DIRECTORY, "/ours"), (LABEL_ROLE, "worker")];
        let control_plane = [(LABEL_CLUSTER, "t"), (LABEL_OURS, "t"), (LABEL_ROLE, "control-plane")];
        let kinds = [(LABEL_CLUSTER, "t"), (LABEL_ROLE, "control-plane")];
        let moved = [(LABEL_CLUSTER, "t"), (LABEL_OURS, "t"), (LABEL_DIRECTORY, "/a/directory/that/is/gone")];
        let elsewhere = [(LABEL_CLUSTER, "t"), (LABEL_OURS, "t"), (LABEL_DIRECTORY, "/")];
        check(&[], Ok(&[]));
        check(
            &[container("t-worker", &ours), container("t-control-plane", &control_plane)],
            Ok(&["t-control-plane", "t-worker"]),
        );
        check(&[container("other", &[(LABEL_CLUSTER, "other")])], Ok(&[]));
        check(&[container("t-control-plane", &moved)], Ok(&["t-control-plane"]));
        check(
            &[container("t-control-plane", &kinds)],
            Err("the kind cluster `t` exists already, and was not made by tutorial"),
        );
        check(&[container("t-worker", &[])], Err("the container `t-worker` exists already, and is not ours"));
        // A name that this cluster does not need.
        check(&[container("t-worker2", &[])], Ok(&[]));
        let mixed = [container("t-control-plane", &ours), container("t-worker", &[]), container("other", &elsewhere)];
        let found: Vec<String> = super::ours(&mixed, meant()).into_iter().map(|node| node.name).collect();
        assert_eq!(found, ["t-control-plane"]);
        check(&[container("t-control-plane", &elsewhere)], Err("the kind cluster `t` belongs to another workspace"));
        // A name that is too long cannot be looked up, which does not mean that nothing is there.
        let hidden = format!("/{}", "a".repeat(300));
        let hidden = [(LABEL_CLUSTER, "t"), (LABEL_OURS, "t"), (LABEL_DIRECTORY, hidden.as_str())];
        check(&[container("t-control-plane", &hidden)], Err("the kind cluster `t` belongs to another workspace"));
        // The same path on another machine, or of another user, is another directory.
        let own = [(LABEL_CLUSTER, "t"), (LABEL_OURS, "t"), (LABEL_OWNER, "1@a"), (LABEL_DIRECTORY, "/gone")];
        check(&[container("t-control-plane", &own)], Ok(&["t-control-plane"]));
        for owner in ["2@a", "1@b"] {
            let anothers = [(LABEL_CLUSTER, "t"), (LABEL_OURS, "t"), (LABEL_OWNER, owner), (LABEL_DIRECTORY, "/ours")];
            let anothers = [container("t-control-plane", &anothers)];
            check(&anothers, Err("the kind cluster `t` was made by another user, or from another machine"));
            assert_eq!(super::ours(&anothers, meant()), []);
        }
    }

    #[test]
    fn what_is_there_is_finished_or_made_anew() {
        let node = |role| Seen { id: String::new(), name: String::new(), role, is_running: true };
        let (control_plane, worker) = (node(Role::ControlPlane), node(Role::Worker));
        let alone = std::slice::from_ref(&control_plane);
        assert_eq!(plan(&[], 0, Past::Nothing), Plan::Make);
        assert_eq!(plan(&[], 0, Past::Finished), Plan::Make);
        assert_eq!(plan(alone, 0, Past::Initialised), Plan::Finish);
        assert_eq!(plan(alone, 0, Past::Nothing), Plan::MakeAnew);
        assert_eq!(plan(alone, 1, Past::Initialised), Plan::MakeAnew);
        assert_eq!(plan(alone, 1, Past::Finished), Plan::Finish);
        assert_eq!(plan(&[control_plane.clone(), worker.clone()], 1, Past::Initialised), Plan::Finish);
        assert_eq!(plan(&[control_plane, worker.clone()], 0, Past::Finished), Plan::Finish);
        assert_eq!(plan(&[worker], 1, Past::Finished), Plan::MakeAnew);
    }
}
