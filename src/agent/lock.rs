//! The lock of a release: two deployments of one release at once would each undo the other's half. It is kept as werf
//! keeps it, as a lease in an annotation of the namespace's `werf-synchronization`, renewed while its holder works,
//! so that a holder that was killed is waited for no longer than the lease.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::cluster::Cluster;
use super::fault::Fault;
use super::output::Output;

/// How long a lease holds without being renewed, in seconds.
const LEASE_S: i64 = 10;

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(3);

/// How often a waiting one looks.
const LOOK: Duration = Duration::from_millis(200);

/// One release's lock.
pub struct Lock<'a> {
    cluster: &'a Cluster,
    path: String,
    name: String,
    annotation: String,
    holder: String,
}

impl<'a> Lock<'a> {
    /// The lock of a release in its namespace.
    pub fn of(cluster: &'a Cluster, namespace: &str, release: &str) -> Self {
        let name = format!("release/{release}");
        let digest = Sha256::digest(name.as_bytes());
        let digest: String = digest.iter().take(28).map(|byte| format!("{byte:02x}")).collect();
        Self {
            cluster,
            path: format!("/api/v1/namespaces/{namespace}/configmaps/werf-synchronization"),
            annotation: format!("lockgate.io/{digest}"),
            holder: format!("{}-{}", std::process::id(), jiff::Timestamp::now().as_nanosecond()),
            name,
        }
    }

    /// Does the work while the lock is held; whoever holds it already is waited for, and said.
    ///
    /// # Errors
    /// What the work fails with, or what keeps the lock from being taken.
    pub async fn hold<T>(&self, output: &Output, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        if !self.acquire(output).await.map_err(|fault| fault.within("acquire release lock"))? {
            return work.await;
        }
        let result = tokio::select! {
            result = work => result,
            fault = self.renew() => Err(fault),
        };
        self.release().await;
        result
    }

    /// Takes the lock; answers false where there is nothing to keep it in, and so nothing to deploy over.
    async fn acquire(&self, output: &Output) -> Result<bool, Fault> {
        let mut said = false;
        loop {
            let Some(object) = self.cluster.get(&self.path).await? else { return Ok(false) };
            let now_s = jiff::Timestamp::now().as_second();
            match lease(&object, &self.annotation) {
                Some((holder, expires_s)) if holder != self.holder && expires_s > now_s => {
                    if !said {
                        output.line(&format!("Waiting for locked {:?}", self.name));
                        said = true;
                    }
                    tokio::time::sleep(LOOK).await;
                }
                _ => {
                    if self.write(object, Some(now_s + LEASE_S)).await? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Renews the lease for ever; answers only when it is lost.
    async fn renew(&self) -> Fault {
        loop {
            tokio::time::sleep(RENEWAL).await;
            // The namespace goes, or the cluster does not answer: the work itself will say so.
            let Ok(Some(object)) = self.cluster.get(&self.path).await else { continue };
            let now_s = jiff::Timestamp::now().as_second();
            match lease(&object, &self.annotation) {
                Some((holder, expires_s)) if holder != self.holder && expires_s > now_s => {
                    return Fault::invalid(format!("locker has lost the lease for lock {:?}", self.name));
                }
                // A conflict is another release's lease in the same object; the next round is in time.
                _ => drop(self.write(object, Some(now_s + LEASE_S)).await),
            }
        }
    }

    async fn release(&self) {
        const TRIES: usize = 5;
        for _ in 0..TRIES {
            let Ok(Some(object)) = self.cluster.get(&self.path).await else { return };
            let own = lease(&object, &self.annotation).is_some_and(|(holder, _)| holder == self.holder);
            if !own || self.write(object, None).await.unwrap_or(true) {
                return;
            }
        }
    }

    /// Writes the lease over the object as it was read; answers false where another was quicker.
    async fn write(&self, mut object: Value, expires_s: Option<i64>) -> Result<bool, Fault> {
        let annotations = &mut object["metadata"]["annotations"];
        if annotations.is_null() {
            *annotations = json!({});
        }
        match expires_s {
            Some(expires_s) => {
                let record = json!({
                    "ExpireAtTimestamp": expires_s, "SharedHoldersCount": 0,
                    "LockHandle": { "UUID": self.holder, "LockName": self.name },
                });
                annotations[&self.annotation] = record.to_string().into();
            }
            None => {
                if let Some(annotations) = annotations.as_object_mut() {
                    annotations.remove(&self.annotation);
                }
            }
        }
        match self.cluster.replace(&self.path, &object).await {
            Ok(_) => Ok(true),
            Err(fault) if matches!(fault.root(), Fault::Api { code: 409 | 404, .. }) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

/// Who holds the lock, and until when.
fn lease(object: &Value, annotation: &str) -> Option<(String, i64)> {
    let text = object.pointer("/metadata/annotations")?.get(annotation)?.as_str()?;
    let record: Value = serde_json::from_str(text).ok()?;
    let holder = record.pointer("/LockHandle/UUID")?.as_str()?.to_owned();
    Some((holder, record.get("ExpireAtTimestamp")?.as_i64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_read_from_its_annotation() {
        let record = r#"{"ExpireAtTimestamp":7,"LockHandle":{"UUID":"a","LockName":"release/x"}}"#;
        let object = json!({"metadata": {"annotations": {"lockgate.io/1": record, "lockgate.io/2": ""}}});
        assert_eq!(lease(&object, "lockgate.io/1"), Some(("a".to_owned(), 7)));
        assert_eq!(lease(&object, "lockgate.io/2"), None);
        assert_eq!(lease(&json!({}), "lockgate.io/1"), None);
    }
}
