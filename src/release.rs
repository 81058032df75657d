//! The release record that Helm and werf keep in Secrets of type `helm.sh/release.v1`: a leaf that the agent
//! writes and checks read.
//!
//! A record is JSON, gzipped, in base64; the API carries it in base64 once more, as all Secret data. The field
//! names are those of Helm 3's `pkg/release`, so that Helm 3 and 4 list, show, roll back and uninstall what is
//! written here; fields that Helm leaves out when empty are left out here too.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::error::Explain;

/// The `type` of the Secrets that hold releases.
pub const SECRET_TYPE: &str = "helm.sh/release.v1";

/// The largest record that is decompressed, in bytes: a Secret holds one MiB, and text compresses well.
const RECORD_SIZE_MAX: u64 = 64 * 1024 * 1024;

/// Why a record could not be read or written.
#[derive(Debug, Error)]
pub enum ReleaseError {
    /// The Secret has no `data.release`.
    #[error("the Secret `{0}` holds no release")]
    NoRelease(String),
    /// Not base64, at the named layer.
    #[error("the release is not base64")]
    Base64(#[from] base64::DecodeError),
    /// Not gzip, or longer than is sensible.
    #[error("the release does not decompress")]
    Gzip(#[from] std::io::Error),
    /// Not a release's JSON.
    #[error("the release is not in Helm's format")]
    Json(#[from] serde_json::Error),
}

impl Explain for ReleaseError {}

/// How far a release has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// In the cluster, and the newest that is.
    Deployed,
    /// Removed, its record kept.
    Uninstalled,
    /// Was deployed; a newer one is now.
    Superseded,
    /// Did not become ready, or was refused.
    Failed,
    /// Being removed.
    Uninstalling,
    /// A first revision on its way.
    PendingInstall,
    /// A later revision on its way.
    PendingUpgrade,
    /// A roll-back on its way.
    PendingRollback,
    /// Nobody can say.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Status {
    /// As it stands in the record and in the label `status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// One revision of a release.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Release {
    /// The release's name.
    pub name: String,
    /// When and how it went.
    pub info: Info,
    /// What was rendered.
    pub chart: Chart,
    /// Values given on the command line; werf writes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// The rendered resources, each after `---` and its source.
    #[serde(deserialize_with = "null_is_default")]
    pub manifest: String,
    /// The rendered hooks.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub hooks: Vec<Hook>,
    /// The revision, from 1.
    pub version: u32,
    /// The namespace that the record lives in.
    pub namespace: String,
}

/// When and how a revision went. Times are RFC 3339, in UTC.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// When the release's first revision was made.
    pub first_deployed: String,
    /// When this revision last changed its status.
    pub last_deployed: String,
    /// When it was uninstalled, else empty.
    pub deleted: String,
    /// A sentence; werf writes none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How far it has come.
    pub status: Status,
    /// The rendered `NOTES.txt`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// What werf remembers of the deployment; Helm knows no such field and keeps none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
}

/// The chart as Helm packs it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Chart {
    /// `Chart.yaml`, as it stands there.
    pub metadata: Metadata,
    /// `Chart.lock`.
    pub lock: Option<Value>,
    /// The templates' sources.
    #[serde(deserialize_with = "null_is_default")]
    pub templates: Vec<File>,
    /// `values.yaml`, and what the dependencies export.
    pub values: Value,
    /// `values.schema.json`, in base64.
    pub schema: Option<String>,
    /// The chart's other files.
    #[serde(deserialize_with = "null_is_default")]
    pub files: Vec<File>,
}

/// What `Chart.yaml` says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// The chart's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// `v1` or `v2`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// The version of what it installs.
    #[serde(rename = "appVersion", skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    /// `application` or `library`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Fields that are carried as they are.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// One file of a chart; `data` is its content in base64.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct File {
    /// The path inside the chart.
    pub name: String,
    /// The content, in base64.
    #[serde(deserialize_with = "null_is_default")]
    pub data: String,
}

impl File {
    /// A file with this content.
    pub fn new(name: impl Into<String>, content: &[u8]) -> Self {
        Self { name: name.into(), data: STANDARD.encode(content) }
    }
}

/// A resource that runs at a moment of the release's life.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// The resource's name.
    pub name: String,
    /// The resource's kind.
    pub kind: String,
    /// The template that it comes from.
    pub path: String,
    /// The resource.
    pub manifest: String,
    /// The moments: `pre-install`, `post-upgrade`, …
    pub events: Vec<String>,
    /// When and how it last ran.
    pub last_run: Value,
    /// The place among the hooks of one moment, ascending.
    #[serde(skip_serializing_if = "is_zero")]
    pub weight: i32,
    /// When it is deleted.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub delete_policies: Vec<String>,
}

impl Release {
    /// The name of the Secret that holds this revision.
    pub fn secret_name(&self) -> String {
        secret_name(&self.name, self.version)
    }

    /// The content of `data.release`, as the API has it.
    pub fn encode(&self) -> Result<String, ReleaseError> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&serde_json::to_vec(self)?)?;
        Ok(STANDARD.encode(STANDARD.encode(gzip.finish()?)))
    }

    /// Reads the content of `data.release`. Records from before Helm 3.0, without gzip, are read as well.
    pub fn decode(data: &str) -> Result<Self, ReleaseError> {
        let packed = STANDARD.decode(STANDARD.decode(data.trim())?.trim_ascii())?;
        if !packed.starts_with(&[0x1f, 0x8b]) {
            return Ok(serde_json::from_slice(&packed)?);
        }
        let mut text = Vec::new();
        GzDecoder::new(packed.as_slice()).take(RECORD_SIZE_MAX).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The Secret that holds this revision. `modified_at` is in seconds since 1970.
    pub fn to_secret(&self, modified_at: i64) -> Result<Value, ReleaseError> {
        Ok(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.secret_name(),
                "namespace": self.namespace,
                "labels": {
                    "modifiedAt": modified_at.to_string(),
                    "name": self.name,
                    "owner": "helm",
                    "status": self.info.status.name(),
                    "version": self.version.to_string(),
                },
            },
            "type": SECRET_TYPE,
            "data": { "release": self.encode()? },
        }))
    }

    /// Reads the record out of a Secret.
    pub fn from_secret(secret: &Value) -> Result<Self, ReleaseError> {
        let data = secret.pointer("/data/release").and_then(Value::as_str).ok_or_else(|| {
            ReleaseError::NoRelease(secret.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("").to_owned())
        })?;
        Self::decode(data)
    }
}

/// The name of the Secret that holds a revision of a release.
pub fn secret_name(release: &str, revision: u32) -> String {
    format!("sh.helm.release.v1.{release}.v{revision}")
}

/// Helm writes `null` where Go has an empty slice or map.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Release {
        Release {
            name: "demo-app-production".into(),
            info: Info {
                first_deployed: "2026-11-23T10:36:44.1Z".into(),
                last_deployed: "2026-11-23T10:37:18.166770662Z".into(),
                status: Status::Deployed,
                annotations: BTreeMap::from([("werf.io/version".into(), "v2.65.4".into())]),
                ..Info::default()
            },
            chart: Chart {
                metadata: Metadata {
                    name: "demo-app".into(),
                    version: "1.0.0".into(),
                    api_version: "v2".into(),
                    ..Metadata::default()
                },
                templates: vec![File::new("templates/service.yaml", b"kind: Service\n")],
                values: json!({"replicas": 2}),
                ..Chart::default()
            },
            manifest: "---\n# Source: demo-app/templates/service.yaml\nkind: Service\n".into(),
            version: 3,
            namespace: "demo-app-production".into(),
            ..Release::default()
        }
    }

    #[test]
    fn a_record_survives_its_secret() {
        let secret = example().to_secret(1_795_430_208).expect("encodes");
        assert_eq!(Release::from_secret(&secret).expect("decodes"), example());
        assert_eq!(secret["metadata"]["name"], "sh.helm.release.v1.demo-app-production.v3");
        assert_eq!(
            secret["metadata"]["labels"],
            json!({"modifiedAt": "1795430208", "name": "demo-app-production", "owner": "helm", "status": "deployed",
                   "version": "3"})
        );
    }

    #[test]
    fn fields_are_those_of_helm() {
        let text = serde_json::to_string(&example()).expect("serialises");
        assert_eq!(
            text,
            r#"{"name":"demo-app-production","info":{"first_deployed":"2026-11-23T10:36:44.1Z","last_deployed":"2026-11-23T10:37:18.166770662Z","deleted":"","status":"deployed","annotations":{"werf.io/version":"v2.65.4"}},"chart":{"metadata":{"name":"demo-app","version":"1.0.0","apiVersion":"v2"},"lock":null,"templates":[{"name":"templates/service.yaml","data":"a2luZDogU2VydmljZQo="}],"values":{"replicas":2},"schema":null,"files":[]},"manifest":"---\n# Source: demo-app/templates/service.yaml\nkind: Service\n","version":3,"namespace":"demo-app-production"}"#
        );
    }

    #[test]
    fn what_helm_leaves_out_or_writes_as_null_is_read() {
        let release: Release = serde_json::from_str(
            r#"{"name":"a","info":{"status":"pending-rollback"},"chart":{"templates":null,"files":null,"values":null},"hooks":null,"version":1,"extra":1}"#,
        )
        .expect("reads");
        assert_eq!((release.info.status, release.chart.templates.len()), (Status::PendingRollback, 0));
        let unknown: Release = serde_json::from_str(r#"{"info":{"status":"odd"}}"#).expect("reads");
        assert_eq!(unknown.info.status, Status::Unknown);
    }

    #[test]
    fn damage_is_an_error() {
        for data in ["", "?", "YWJj", "SDRzSUFBQQ=="] {
            assert!(Release::decode(data).is_err(), "{data}");
        }
        assert!(matches!(Release::from_secret(&json!({})), Err(ReleaseError::NoRelease(_))));
    }
}
