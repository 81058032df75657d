//! The commands over a project: converge, plan, render, lint, rollback, dismiss.

use std::collections::BTreeMap;

use super::arguments::Options;
use super::chart::{Chart, Occasion};
use super::cluster::Cluster;
use super::deploy::{Deployment, existing_path, next_revision};
use super::difference;
use super::fault::{Context, Fault};
use super::history::{self, History};
use super::lock::Lock;
use super::manifest::{self, Identity, Resource, parse_manifest};
use super::output::Output;
use super::plan::Owner;
use super::project::{Building, Project};
use super::values::WERF_VERSION;
use crate::release::{Hook, Info, Release, Status};

/// What Kubernetes serves, for a rendering that asks no cluster.
const KNOWN_API_VERSIONS: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "apps/v1",
    "authentication.k8s.io/v1",
    "authorization.k8s.io/v1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "certificates.k8s.io/v1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "events.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1",
    "networking.k8s.io/v1",
    "node.k8s.io/v1",
    "policy/v1",
    "rbac.authorization.k8s.io/v1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1",
    "apiextensions.k8s.io/v1",
];

/// A project with the cluster that it goes to.
struct Session<'a> {
    project: Project,
    options: &'a Options,
    output: &'a Output,
}

/// What a chart rendered to.
struct Rendering {
    chart: Chart,
    resources: Vec<Resource>,
    notes: String,
}

impl<'a> Session<'a> {
    fn open(options: &'a Options, output: &'a Output) -> Result<Self, Fault> {
        Ok(Self { project: Project::open(options, output)?, options, output })
    }

    async fn connect(&self) -> Result<Cluster, Fault> {
        Cluster::connect(self.options.kubeconfig.as_deref(), self.options.context.as_deref()).await
    }

    fn deployment<'b>(&'b self, cluster: &'b Cluster) -> Deployment<'b> {
        Deployment {
            cluster,
            output: self.output,
            owner: Owner {
                release: &self.project.release,
                namespace: &self.project.namespace,
                project: &self.project.configuration.project,
                environment: self.project.environment.as_deref(),
            },
            timeout_s: self.options.timeout_s,
            force_adoption: self.options.force_adoption,
            history_max: self.options.history_max.unwrap_or(history::REVISIONS_MAX),
        }
    }

    /// `release "demo" (namespace: "demo")`, as most lines have it.
    fn named(&self) -> String {
        format!("release {:?} (namespace: {:?})", self.project.release, self.project.namespace)
    }

    /// Renders the chart; `cluster` is asked only what templates ask for.
    async fn render(
        &self,
        building: Building,
        cluster: Option<&Cluster>,
        history: &History,
    ) -> Result<Rendering, Fault> {
        let images = self.project.images(self.options.repository.as_deref(), building, self.output).await?;
        self.render_with(&images, cluster, history).await
    }

    async fn render_with(
        &self,
        images: &[super::values::BuiltImage],
        cluster: Option<&Cluster>,
        history: &History,
    ) -> Result<Rendering, Fault> {
        let project = &self.project;
        let directory = &project.configuration.chart_directory;
        let chart = Chart::load(&project.repository, directory, &project.configuration.project)
            .within(format!("load chart at {directory:?}"))
            .within("render chart")?;
        let all = chart.all_values(&project.layers(self.options, images)?);
        // Templates would be told that there is nothing where the cluster was not asked.
        if cluster.is_some() && chart.calls("lookup") {
            return Err(Fault::unsupported("the template function `lookup`").within("render chart"));
        }
        let known = KNOWN_API_VERSIONS.iter().map(|version| (*version).to_owned()).collect();
        let (mut version, mut api_versions) = ("v1.34.2".to_owned(), known);
        if let Some(cluster) = cluster.filter(|_| chart.mentions("Capabilities")) {
            version = cluster.version().await?;
            api_versions = cluster.api_versions().await?;
        }
        let occasion = Occasion {
            release: &project.release,
            namespace: &project.namespace,
            revision: history.next_revision(),
            upgrade: history.last().is_some(),
            kubernetes_version: &version,
            api_versions: &api_versions,
        };
        let rendered = chart.render(&all, &occasion).within("render chart")?;
        let notes = rendered.iter().find(|one| one.source.ends_with("templates/NOTES.txt"));
        let notes = notes.map(|notes| notes.text.trim_end().to_owned()).unwrap_or_default();
        let mut resources = manifest::parse(&rendered, directory).within("render chart")?;
        manifest::refuse_duplicates(&resources, &project.namespace).within("locally validate resources")?;
        for resource in &mut resources {
            resource.mark("labels", &self.options.add_labels);
            resource.mark("annotations", &self.options.add_annotations);
        }
        Ok(Rendering { chart, resources, notes })
    }

    fn new_release(&self, rendering: &Rendering, history: &History) -> Release {
        let now = jiff::Timestamp::now().to_string();
        let project = &self.project;
        let mut annotations = BTreeMap::from([
            ("project.werf.io/name".to_owned(), project.configuration.project.clone()),
            ("werf.io/version".to_owned(), WERF_VERSION.to_owned()),
        ]);
        annotations.extend(project.environment.iter().map(|name| ("project.werf.io/env".to_owned(), name.clone())));
        Release {
            name: project.release.clone(),
            info: Info {
                first_deployed: history
                    .0
                    .first()
                    .map_or_else(|| now.clone(), |first| first.info.first_deployed.clone()),
                last_deployed: now,
                status: if history.0.is_empty() { Status::PendingInstall } else { Status::PendingUpgrade },
                notes: rendering.notes.clone(),
                annotations,
                ..Info::default()
            },
            chart: rendering.chart.record(),
            config: None,
            manifest: manifest::manifest(&rendering.resources),
            hooks: hooks(&rendering.resources),
            version: history.next_revision(),
            namespace: project.namespace.clone(),
        }
    }
}

fn hooks(resources: &[Resource]) -> Vec<Hook> {
    let hooks = resources.iter().filter(|resource| !resource.hook_events().is_empty());
    hooks
        .map(|resource| {
            let identity = resource.identity();
            let policies = resource.annotation("helm.sh/hook-delete-policy").unwrap_or_default();
            Hook {
                name: identity.name,
                kind: identity.kind,
                path: resource.source.clone(),
                manifest: resource.text(),
                events: resource.hook_events().into_iter().map(str::to_owned).collect(),
                last_run: serde_json::json!({ "started_at": "", "completed_at": "", "phase": "" }),
                weight: resource.weight(),
                delete_policies: policies
                    .split(',')
                    .map(str::trim)
                    .filter(|one| !one.is_empty())
                    .map(str::to_owned)
                    .collect(),
            }
        })
        .collect()
}

/// Whether images that are not there are built.
fn building(options: &Options) -> Building {
    if options.require_built_images { Building::Refused } else { Building::Allowed }
}

/// `werf converge`.
///
/// # Errors
/// Whatever keeps the release from being as the commit has it.
pub async fn converge(options: &Options, output: &Output) -> Result<u8, Fault> {
    let session = Session::open(options, output)?;
    let images = session.project.images(options.repository.as_deref(), building(options), output).await?;
    let cluster = session.connect().await?;
    let deployment = session.deployment(&cluster);
    deployment.prepare_namespace().await?;
    output.line(&format!("Start {}", session.named()));
    let lock = Lock::of(&cluster, &session.project.namespace, &session.project.release);
    let work = Box::pin(async {
        let history = History::read(&cluster, &session.project.namespace, &session.project.release).await?;
        let rendering = session.render_with(&images, Some(&cluster), &history).await?;
        let operations = deployment.plan(&rendering.resources, &history).await?;
        let release = session.new_release(&rendering, &history);
        let nothing = operations.iter().all(|operation| operation.verb().is_none());
        let same = history.last().is_some_and(|last| {
            last.info.status == Status::Deployed
                && last.manifest == release.manifest
                && last.hooks.len() == release.hooks.len()
        });
        if nothing && same {
            return Ok(false);
        }
        deployment.install(release, &operations, &history, options.auto_rollback).await?;
        Ok(true)
    });
    let result = lock.hold(output, work).await.map_err(|fault: Fault| fault.within("release install"))?;
    if result {
        output.line(&format!("Succeeded {}", session.named()));
    } else {
        output.line(&format!("Skipped {}: cluster resources already as desired", session.named()));
    }
    Ok(0)
}

/// `werf plan`.
///
/// # Errors
/// What keeps the plan from being made.
pub async fn plan(options: &Options, output: &Output) -> Result<u8, Fault> {
    const CHANGED: u8 = 2;
    let session = Session::open(options, output)?;
    let images = session.project.images(options.repository.as_deref(), building(options), output).await?;
    let cluster = session.connect().await?;
    let name = format!("{:?} (namespace: {:?})", session.project.release, session.project.namespace);
    output.line(&format!("Planning release install {name}"));
    let operations = async {
        let history = History::read(&cluster, &session.project.namespace, &session.project.release).await?;
        let rendering = session.render_with(&images, Some(&cluster), &history).await?;
        session.deployment(&cluster).plan(&rendering.resources, &history).await
    }
    .await
    .map_err(|fault: Fault| fault.within("release install plan"))?;
    let mut summary = Vec::new();
    for verb in ["Create", "Update", "Apply", "Delete"] {
        let planned: Vec<_> = operations.iter().filter(|operation| operation.verb() == Some(verb)).collect();
        if !planned.is_empty() {
            summary.push(format!("- {}: {} resources", verb.to_lowercase(), planned.len()));
        }
        for (index, operation) in planned.into_iter().enumerate() {
            if summary.len() == 1 && index == 0 {
                output.line("");
            }
            output.frame(&format!("{verb} {}", operation.identity.short()), &difference::lines(operation));
        }
    }
    if summary.is_empty() {
        output.line(&format!("No changes planned for release {name}"));
        return Ok(0);
    }
    output.line(&format!("Planned changes summary for release {name}:\n{}\n", summary.join("\n")));
    Ok(if options.exit_code { CHANGED } else { 0 })
}

/// `werf render`.
///
/// # Errors
/// What keeps the chart from being rendered.
pub async fn render(options: &Options, output: &Output) -> Result<u8, Fault> {
    let quiet = output.quiet();
    let session = Session::open(options, &quiet)?;
    let rendering = session
        .render(Building::Stub, None, &History::default())
        .await
        .map_err(|fault| fault.within("chart render"))?;
    output.data(&manifest::printed(&rendering.resources));
    Ok(0)
}

/// `werf lint`.
///
/// # Errors
/// What is wrong with the chart.
pub async fn lint(options: &Options, output: &Output) -> Result<u8, Fault> {
    let session = Session::open(options, output)?;
    let images = session.project.images(options.repository.as_deref(), Building::Stub, output).await?;
    session.render_with(&images, None, &History::default()).await.map_err(|fault| fault.within("chart lint"))?;
    Ok(0)
}

/// `werf helm get-autogenerated-values`.
///
/// # Errors
/// What keeps the images from being known.
pub async fn autogenerated_values(options: &Options, output: &Output) -> Result<u8, Fault> {
    let quiet = output.quiet();
    let project = Project::open(options, &quiet)?;
    let images = project.images(options.repository.as_deref(), Building::Stub, &quiet).await?;
    let layers = project.layers(options, &images)?;
    output.data(&super::yaml::write(&layers[0]));
    Ok(0)
}

/// `werf helm get-release` and `get-namespace`.
///
/// # Errors
/// There is no project.
pub fn project_name(options: &Options, output: &Output, of: impl Fn(&Project) -> String) -> Result<u8, Fault> {
    let project = Project::open(options, &output.quiet())?;
    output.data(&format!("{}\n", of(&project)));
    Ok(0)
}

/// `werf build`.
///
/// # Errors
/// What keeps the images from being built.
pub async fn build(options: &Options, output: &Output) -> Result<u8, Fault> {
    let project = Project::open(options, output)?;
    project.images(options.repository.as_deref(), building(options), output).await?;
    Ok(0)
}

/// `werf rollback`.
///
/// # Errors
/// There is no such revision, or it does not become ready.
pub async fn rollback(options: &Options, output: &Output) -> Result<u8, Fault> {
    let session = Session::open(options, output)?;
    let cluster = session.connect().await?;
    let deployment = session.deployment(&cluster);
    output.line(&format!("Start rollback of {}", session.named()));
    let lock = Lock::of(&cluster, &session.project.namespace, &session.project.release);
    let work = Box::pin(async {
        let history = History::read(&cluster, &session.project.namespace, &session.project.release).await?;
        let target = match options.revision {
            Some(revision) => history
                .revision(revision)
                .ok_or_else(|| Fault::invalid(format!("not found revision {revision} for {}", session.named())))?,
            None => rollback_target(&history).ok_or_else(|| {
                Fault::invalid(format!("not found successfully deployed revision for {}", session.named()))
            })?,
        };
        let resources = parse_manifest(&target.manifest);
        let operations = deployment.plan(&resources, &history).await?;
        let release = next_revision(target, &history, Status::PendingRollback);
        deployment.install(release, &operations, &history, false).await
    });
    lock.hold(output, work).await.map_err(|fault: Fault| fault.within("release install"))?;
    output.line(&format!("Succeeded rollback of {}", session.named()));
    Ok(0)
}

/// The last revision that went well, other than the one that is deployed now.
fn rollback_target(history: &History) -> Option<&Release> {
    let last = history.last()?;
    let well = |release: &&Release| matches!(release.info.status, Status::Deployed | Status::Superseded);
    history.0.iter().rev().filter(|release| release.version != last.version).find(well)
}

/// `werf dismiss`.
///
/// # Errors
/// The cluster refuses or does not answer.
pub async fn dismiss(options: &Options, output: &Output) -> Result<u8, Fault> {
    let session = Session::open(options, output)?;
    let cluster = session.connect().await?;
    let lock = Lock::of(&cluster, &session.project.namespace, &session.project.release);
    lock.hold(output, uninstall(&session, &cluster, output)).await?;
    delete_namespace(&session, &cluster).await
}

/// Takes the release away, where there is one.
async fn uninstall(session: &Session<'_>, cluster: &Cluster, output: &Output) -> Result<(), Fault> {
    let Project { namespace, release, .. } = &session.project;
    let history = History::read(cluster, namespace, release).await?;
    let Some(last) = history.last() else {
        output.line(&format!("Skipped {} uninstall: no release found", session.named()));
        return Ok(());
    };
    output.line(&format!("Deleting {}", session.named()));
    let mut resources: Vec<Identity> = parse_manifest(&last.manifest).iter().map(Resource::identity).collect();
    resources.sort_by_key(|identity| uninstall_order(&identity.kind));
    let mut doomed = Vec::new();
    for identity in &resources {
        if let Some(path) = existing_path(cluster, identity, namespace).await {
            doomed.push((format!("{}/{}", cluster.plural(identity).await?, identity.name), path));
        }
    }
    let start = std::time::Instant::now();
    let names: Vec<&str> = doomed.iter().map(|(name, _)| name.as_str()).collect();
    let title = format!("Waiting for resources elimination: {}", names.join(", "));
    if !doomed.is_empty() {
        output.line(&format!("┌ {title}"));
    }
    for (_, path) in &doomed {
        cluster.delete(path).await.within("release uninstall")?;
    }
    for (_, path) in &doomed {
        session.deployment(cluster).await_absence(path).await.within("release uninstall")?;
    }
    if !doomed.is_empty() {
        output.line(&format!("└ {title} ({:.2} seconds)", start.elapsed().as_secs_f64()));
    }
    let revisions: Vec<u32> = history.0.iter().map(|release| release.version).collect();
    history::forget(cluster, namespace, release, &revisions).await?;
    output.line(&format!("release {release:?} uninstalled\n\nUninstalled {}", session.named()));
    Ok(())
}

async fn delete_namespace(session: &Session<'_>, cluster: &Cluster) -> Result<u8, Fault> {
    let namespace = &session.project.namespace;
    if session.options.with_namespace && cluster.get(&format!("/api/v1/namespaces/{namespace}")).await?.is_some() {
        session.output.line(&format!("Deleting release namespace {namespace:?}"));
        cluster.delete(&format!("/api/v1/namespaces/{namespace}")).await?;
        session.output.line(&format!("Deleted release namespace {namespace:?}"));
    }
    Ok(0)
}

/// Helm's order of uninstalling: what leads traffic in goes first, what others stand on last.
fn uninstall_order(kind: &str) -> usize {
    const ORDER: &[&str] = &[
        "Ingress",
        "Service",
        "CronJob",
        "Job",
        "StatefulSet",
        "HorizontalPodAutoscaler",
        "Deployment",
        "ReplicaSet",
        "ReplicationController",
        "Pod",
        "DaemonSet",
        "RoleBinding",
        "Role",
        "ClusterRoleBinding",
        "ClusterRole",
        "CustomResourceDefinition",
        "ServiceAccount",
        "PersistentVolumeClaim",
        "PersistentVolume",
        "StorageClass",
        "ConfigMap",
        "Secret",
        "PodDisruptionBudget",
        "LimitRange",
        "ResourceQuota",
        "NetworkPolicy",
        "Namespace",
    ];
    ORDER.iter().position(|one| *one == kind).unwrap_or(0)
}
