//! What a new cluster begins with: the system namespaces and the API server's own Service.

use serde_json::json;

use super::super::schema;
use super::{Registry, StoreError, Writer, service};

const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

impl Registry {
    /// Makes what is not there.
    pub(super) fn bootstrap(&self) -> Result<(), StoreError> {
        let writer = Writer::new("kube-apiserver");
        let made = |result: Result<_, super::Status>| match result {
            Err(status) if status.reason == "InternalError" => {
                Err(StoreError::Write { path: "objects.log".into(), source: std::io::Error::other(status.message) })
            }
            _ => Ok(()),
        };
        if let Some(kind) = schema::by_kind("v1", "Namespace") {
            for name in NAMESPACES.iter().filter(|name| self.get(kind, "", name).is_none()) {
                made(self.create(kind, json!({"metadata": {"name": name}}), &writer))?;
            }
        }
        let Some(kind) = schema::by_kind("v1", "Service") else { return Ok(()) };
        if self.get(kind, "default", "kubernetes").is_none() {
            let service = json!({
                "metadata": {
                    "name": "kubernetes", "namespace": "default",
                    "labels": {"component": "apiserver", "provider": "kubernetes"},
                },
                "spec": {
                    "clusterIP": service::API_SERVER_ADDRESS,
                    "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
                },
            });
            made(self.create(kind, service, &writer))?;
        }
        Ok(())
    }
}
