//! The revisions of a release in its namespace: the Secrets that hold them, and which are kept.

use super::cluster::Cluster;
use super::fault::Fault;
use crate::release::{Release, Status, secret_name};

/// How many revisions are kept.
pub const REVISIONS_MAX: usize = 5;

/// All revisions of a release, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History(pub Vec<Release>);

impl History {
    /// Reads the revisions of a release.
    ///
    /// # Errors
    /// The cluster does not answer, or a record is damaged.
    pub async fn read(cluster: &Cluster, namespace: &str, release: &str) -> Result<Self, Fault> {
        let path = format!("/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm%2Cname%3D{release}");
        let secrets = cluster.list(&path).await?;
        let mut releases = secrets.iter().map(Release::from_secret).collect::<Result<Vec<_>, _>>()?;
        releases.sort_by_key(|release| release.version);
        Ok(Self(releases))
    }

    /// The newest revision.
    pub fn last(&self) -> Option<&Release> {
        self.0.last()
    }

    /// The newest revision that went well.
    pub fn last_deployed(&self) -> Option<&Release> {
        self.0
            .iter()
            .rev()
            .find(|release| release.info.status == Status::Deployed)
            .or_else(|| self.0.iter().rev().find(|release| release.info.status == Status::Superseded))
    }

    /// A revision by its number.
    pub fn revision(&self, number: u32) -> Option<&Release> {
        self.0.iter().find(|release| release.version == number)
    }

    /// The number of the next revision.
    pub fn next_revision(&self) -> u32 {
        self.last().map_or(1, |release| release.version + 1)
    }

    /// The revisions that go when one more is added: the oldest, but never the one that is deployed.
    pub fn surplus(&self, kept_max: usize) -> Vec<u32> {
        if kept_max == 0 {
            return Vec::new();
        }
        let kept = self.last_deployed().map(|release| release.version);
        let over = (self.0.len() + 1).saturating_sub(kept_max);
        let candidates = self.0.iter().map(|release| release.version).filter(|version| Some(*version) != kept);
        candidates.take(over).collect()
    }
}

/// Writes a new revision.
///
/// # Errors
/// The cluster does not answer or refuses.
pub async fn create(cluster: &Cluster, release: &Release) -> Result<(), Fault> {
    let secret = release.to_secret(now_s())?;
    let path = format!("/api/v1/namespaces/{}/secrets", release.namespace);
    cluster.create(&path, &secret).await.map(|_| ()).map_err(|fault| {
        let revision = char::from_u32(release.version).map_or_else(String::new, |letter| format!("{letter:?}"));
        let revision = if release.version < 7 { format!("'\\x{:02x}'", release.version) } else { revision };
        fault
            .within("failed to create")
            .within("create")
            .within(format!(
                "create release {:?} (namespace: {:?}, revision: {revision})",
                release.name, release.namespace
            ))
            .within("create release")
    })
}

/// Gives a revision another status; `modified_at` stays where a later revision only supersedes it.
///
/// # Errors
/// The cluster does not answer or refuses.
pub async fn set_status(cluster: &Cluster, release: &mut Release, status: Status) -> Result<(), Fault> {
    let path = format!("/api/v1/namespaces/{}/secrets/{}", release.namespace, release.secret_name());
    let mut modified_at = now_s();
    if status == Status::Superseded {
        let old = cluster.get(&path).await?;
        let label =
            old.as_ref().and_then(|secret| secret.pointer("/metadata/labels/modifiedAt")?.as_str()?.parse().ok());
        modified_at = label.unwrap_or(modified_at);
    }
    release.info.status = status;
    release.info.last_deployed = jiff::Timestamp::now().to_string();
    cluster.replace(&path, &release.to_secret(modified_at)?).await.map(|_| ())
}

/// Takes revisions away.
///
/// # Errors
/// The cluster does not answer or refuses.
pub async fn forget(cluster: &Cluster, namespace: &str, release: &str, revisions: &[u32]) -> Result<(), Fault> {
    for revision in revisions {
        cluster.delete(&format!("/api/v1/namespaces/{namespace}/secrets/{}", secret_name(release, *revision))).await?;
    }
    Ok(())
}

fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Info;

    fn history(statuses: &[(u32, Status)]) -> History {
        let release = |(version, status): &(u32, Status)| Release {
            version: *version,
            info: Info { status: *status, ..Info::default() },
            ..Release::default()
        };
        History(statuses.iter().map(release).collect())
    }

    #[test]
    fn five_revisions_are_kept_and_the_deployed_one() {
        use Status::{Deployed, Failed, Superseded};
        let check = |statuses: &[(u32, Status)], expected: &[u32]| {
            assert_eq!(history(statuses).surplus(REVISIONS_MAX), expected, "{statuses:?}");
        };
        check(&[(1, Superseded), (2, Deployed)], &[]);
        check(&[(1, Superseded), (2, Superseded), (3, Failed), (4, Failed), (5, Deployed)], &[1]);
        check(&[(1, Deployed), (2, Failed), (3, Failed), (4, Failed), (5, Failed)], &[2]);
    }
}
