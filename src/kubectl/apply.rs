//! `kubectl apply`: on the client by three-way merge, or by the server.

use serde_json::Value;

use super::connection::{Body, Connection};
use super::error::KubectlError;
use super::flags::{Arguments, Flag, optional, switch, value};
use super::manifests::{self, Manifest};
use super::merge::{self, LAST_APPLIED};
use super::select;
use super::{Outcome, output};
use crate::discovery::Resource;

pub const FLAGS: &[Flag] = &[
    manifests::FILENAME,
    manifests::RECURSIVE,
    value("field-manager", None),
    value("output", Some('o')),
    value("selector", Some('l')),
    value("kustomize", Some('k')),
    optional("dry-run", "unchanged"),
    optional("validate", "strict"),
    switch("server-side", None),
    switch("force-conflicts", None),
    switch("force", None),
    switch("overwrite", None),
    switch("prune", None),
    switch("all", None),
    switch("wait", None),
];

const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// What is not sent for real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRun {
    No,
    Client,
    Server,
}

impl DryRun {
    pub fn of(arguments: &Arguments) -> Result<Self, KubectlError> {
        match arguments.value("dry-run") {
            None | Some("none") => Ok(Self::No),
            Some("client" | "unchanged") => Ok(Self::Client),
            Some("server") => Ok(Self::Server),
            Some(other) => Err(KubectlError::other(format!(
                "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
            ))),
        }
    }

    pub fn remark(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }

    /// As a query of a request.
    pub fn query(self) -> &'static str {
        if self == Self::Server { "&dryRun=All" } else { "" }
    }
}

pub async fn run(arguments: &Arguments) -> Outcome {
    for flag in ["prune", "kustomize"] {
        if arguments.value(flag).is_some() {
            return Err(KubectlError::Absent { what: format!("`apply --{flag}`") });
        }
    }
    if arguments.values("filename").is_empty() {
        return Err(KubectlError::other("must specify one of -f and -k"));
    }
    let dry_run = DryRun::of(arguments)?;
    let manifests = manifests::read(arguments)?;
    let connection = Connection::open(arguments).await?;
    let mut errors = Vec::new();
    for manifest in &manifests {
        let applied = match resource_of(&connection, manifest).await {
            Ok(resource) => {
                let one = One { connection: &connection, resource, manifest, dry_run, arguments };
                if arguments.is_set("server-side") { one.on_server().await } else { one.on_client().await }
            }
            Err(error) => Err(error),
        };
        match applied {
            Ok(done) => output::line(&format!("{done}{}", dry_run.remark())),
            Err(error) => errors.push(error),
        }
    }
    KubectlError::of(errors).map_or(Ok(0), Err)
}

/// The kind that a manifest is of.
pub async fn resource_of(connection: &Connection, manifest: &Manifest) -> Result<Resource, KubectlError> {
    let (api_version, kind) = (manifest.text("apiVersion"), manifest.text("kind"));
    let discovery = connection.discovery().await?;
    discovery.of(api_version, kind).cloned().ok_or_else(|| {
        let namespace = manifest.object["metadata"]["namespace"].as_str().unwrap_or_default();
        KubectlError::other(format!(
            "resource mapping not found for name: \"{}\" namespace: \"{namespace}\" from \"{}\": no matches for kind \"{kind}\" in version \"{api_version}\"\nensure CRDs are installed first",
            manifest.name(),
            manifest.source
        ))
    })
}

/// The manifest's object with its namespace filled in, and that namespace.
pub fn placed(
    connection: &Connection,
    resource: &Resource,
    manifest: &Manifest,
    asked: Option<&str>,
) -> Result<(Value, String), KubectlError> {
    let mut object = manifest.object.clone();
    if !resource.namespaced {
        return Ok((object, String::new()));
    }
    let own = object["metadata"]["namespace"].as_str().map(str::to_owned);
    if let (Some(own), Some(asked)) = (&own, asked)
        && own != asked
    {
        return Err(KubectlError::other(format!(
            "the namespace from the provided object \"{own}\" does not match the namespace \"{asked}\". You must pass '--namespace={own}' to perform this operation."
        )));
    }
    let namespace = own.unwrap_or_else(|| connection.namespace.clone());
    object["metadata"]["namespace"] = namespace.clone().into();
    Ok((object, namespace))
}

/// One object on its way to the cluster.
struct One<'a> {
    connection: &'a Connection,
    resource: Resource,
    manifest: &'a Manifest,
    dry_run: DryRun,
    arguments: &'a Arguments,
}

impl One<'_> {
    async fn on_client(&self) -> Result<String, KubectlError> {
        let (object, namespace) =
            placed(self.connection, &self.resource, self.manifest, self.arguments.value("namespace"))?;
        let name = self.manifest.name();
        let label = select::label(&self.resource, name);
        if name.is_empty() {
            return Err(KubectlError::other(format!(
                "error when retrieving current configuration of: resource name may not be empty, from \"{}\"",
                self.manifest.source
            )));
        }
        let path = self.resource.object(&namespace, name);
        let manager = self.arguments.value("field-manager").unwrap_or("kubectl-client-side-apply");
        let query = format!("?fieldManager={manager}{}&fieldValidation=Strict", self.dry_run.query());
        match self.connection.get(&path).await {
            Err(error) if error.is_not_found() => {
                if self.dry_run != DryRun::Client {
                    let collection = self.resource.collection(Some(&namespace));
                    let context = format!("error when creating \"{}\"", self.manifest.source);
                    let created =
                        self.connection.post(&format!("{collection}{query}"), &merge::annotated(&object)).await;
                    created.map_err(|error| error.while_doing(&context))?;
                }
                Ok(format!("{label} created"))
            }
            // The name itself may be what is wrong; then creating says so.
            Err(error) => Err(error),
            Ok(live) => {
                let patch = self.patch(&object, &live);
                let is_empty = patch.as_object().is_none_or(serde_json::Map::is_empty);
                if is_empty {
                    return Ok(format!("{label} unchanged"));
                }
                if self.dry_run == DryRun::Client {
                    return Ok(format!("{label} configured"));
                }
                let content_type = if merge::is_strategic(&self.resource.group) { STRATEGIC } else { MERGE };
                let context =
                    format!("error when applying patch:\n{patch}\nto:\nResource: \"{}\"", self.resource.qualified());
                let patched = self.connection.patch(&format!("{path}{query}"), content_type, &patch).await;
                let patched = patched.map_err(|error| error.while_doing(&context))?;
                let is_same = patched["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"];
                Ok(format!("{label} {}", if is_same { "unchanged" } else { "configured" }))
            }
        }
    }

    fn patch(&self, object: &Value, live: &Value) -> Value {
        let noted = &live["metadata"]["annotations"][LAST_APPLIED];
        if noted.is_null() {
            output::complain(&format!(
                "Warning: resource {}/{} is missing the kubectl.kubernetes.io/last-applied-configuration annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.",
                self.resource.plural,
                self.manifest.name()
            ));
        }
        let original = noted.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let modified = merge::annotated(object);
        let mut patch = merge::three_way(&original, &modified, live, merge::is_strategic(&self.resource.group));
        // The file's status is not the file's to say.
        if let Some(map) = patch.as_object_mut() {
            map.remove("status");
        }
        patch
    }

    async fn on_server(&self) -> Result<String, KubectlError> {
        let (object, namespace) =
            placed(self.connection, &self.resource, self.manifest, self.arguments.value("namespace"))?;
        let manager = self.arguments.value("field-manager").unwrap_or("kubectl");
        let force = self.arguments.is_set("force-conflicts");
        let path = format!(
            "{}?fieldManager={manager}&force={force}&fieldValidation=Strict{}",
            self.resource.object(&namespace, self.manifest.name()),
            self.dry_run.query()
        );
        let body = Body::of(APPLY, &object);
        let applied = self.connection.call(http::Method::PATCH, &path, "application/json", Some(body)).await;
        match applied {
            Ok(_) => Ok(format!("{} serverside-applied", select::label(&self.resource, self.manifest.name()))),
            Err(error) if error.reason() == Some("Conflict") => Err(conflict(&error)),
            Err(error) => Err(error),
        }
    }
}

/// A conflict of field managers, with kubectl's advice.
fn conflict(error: &KubectlError) -> KubectlError {
    KubectlError::other(format!(
        "{}\nPlease review the fields above--they currently have other managers. Here\nare the ways you can resolve this warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the `--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to remove references to the fields that should keep their\n  current managers.\n* You may co-own fields by updating your manifest to match the existing\n  value; in this case, you'll become the manager if the other manager(s)\n  stop managing the field (remove it from their configuration).\nSee https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts",
        error.message()
    ))
}
