//! A user of a real cluster who may look at all and change nothing, for checks: a service account, a role, and a
//! policy of the API server's that lets writes through only where they are a dry run (`werf plan` in a check).
//!
//! Place: for whatever is a real cluster, kind's or one that exists. Invariant: the token is given away only after
//! the cluster has been seen to refuse a write of this user's. Before Kubernetes 1.30 there is no such policy, and
//! the role has nothing but reading.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use super::request;
use crate::discovery::{Discovery, Resource};
use crate::error::Explain;

const NAMESPACE: &str = "tutorial-system";
const NAME: &str = "tutorial-reader";
const USER: &str = "system:serviceaccount:tutorial-system:tutorial-reader";
const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const ROLE_BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 4] = ["create", "patch", "update", "delete"];
/// How long the API server may take to know a policy, and to fill in a token.
const TIME_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// Why there is no reader.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    #[error("the cluster did not let a read-only user be made")]
    Refused(#[source] Box<kube::Error>),
    #[error("the cluster gave no token to the read-only user within {seconds} seconds")]
    NoToken { seconds: u64 },
    #[error("the cluster does not keep the read-only user from writing")]
    Unbound,
    #[error("the cluster's kubeconfig cannot be used")]
    Kubeconfig(#[source] Box<kube::config::KubeconfigError>),
    #[error("the kubeconfig has no context `{context}`")]
    NoContext { context: String },
    #[error("cannot write {}", path.display())]
    Write { path: std::path::PathBuf, source: std::io::Error },
}

impl Explain for ReaderError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Refused(_) => "whoever runs the lessons has to be an administrator of the cluster \
                                 (`kubectl auth can-i '*' '*'`)"
                .into(),
            Self::NoToken { .. } | Self::Unbound => "run the command again; the cluster may just have started".into(),
            Self::Kubeconfig(_) | Self::NoContext { .. } => "`kubectl config get-contexts` shows what there is".into(),
            Self::Write { path, .. } => format!("check that {} can be written", path.display()),
        })
    }
}

impl From<kube::Error> for ReaderError {
    fn from(error: kube::Error) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// Makes the reader, or finds it as it was made, and returns its token.
pub async fn ensure(client: kube::Client) -> Result<String, ReaderError> {
    let client = &client;
    let discovery = Discovery::fetch(client).await?;
    let has_policies = discovery.find("validatingadmissionpolicies.v1.admissionregistration.k8s.io").is_some();
    let accounts = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts");
    let secrets = format!("/api/v1/namespaces/{NAMESPACE}/secrets");
    request::ensure(client, "/api/v1/namespaces", &json!({"metadata": {"name": NAMESPACE}})).await?;
    let account = json!({"metadata": {"name": NAME}});
    // The account before its secret, which the cluster removes where it does not find the account.
    if has_policies {
        let (policy, binding) = (policy(), policy_binding());
        tokio::try_join!(
            request::ensure(client, POLICIES, &policy),
            request::ensure(client, BINDINGS, &binding),
            request::ensure(client, &accounts, &account),
        )?;
    } else {
        request::ensure(client, &accounts, &account).await?;
    }
    let (role, binding, secret) = (role(&discovery, has_policies), role_binding(), secret());
    tokio::try_join!(
        request::ensure(client, ROLES, &role),
        request::ensure(client, ROLE_BINDINGS, &binding),
        request::ensure(client, &secrets, &secret),
    )?;
    let (token, ()) = tokio::try_join!(token(client, &secrets), is_bound(client))?;
    Ok(token)
}

/// Removes all that [`ensure`] made.
pub async fn remove(client: kube::Client) -> Result<(), ReaderError> {
    for collection in [ROLE_BINDINGS, ROLES] {
        request::delete(&client, &format!("{collection}/{NAME}")).await?;
    }
    request::delete(&client, &format!("/api/v1/namespaces/{NAMESPACE}")).await?;
    for collection in [BINDINGS, POLICIES] {
        request::delete(&client, &format!("{collection}/{NAME}")).await?;
    }
    Ok(())
}

/// The reader's kubeconfig: the same cluster, by the token. `context` is the current one where it is `None`.
///
/// # Panics
/// Never: plain data can be written.
pub fn kubeconfig(administrator: &Kubeconfig, context: Option<&str>, token: &str) -> Result<String, ReaderError> {
    let name = context.or(administrator.current_context.as_deref()).unwrap_or_default();
    let missing = || ReaderError::NoContext { context: name.to_owned() };
    let found = administrator.contexts.iter().find(|context| context.name == name).ok_or_else(missing)?;
    let cluster = found.context.as_ref().map(|context| context.cluster.clone()).ok_or_else(missing)?;
    let about = administrator.clusters.iter().find(|named| named.name == cluster).ok_or_else(missing)?;
    let user = format!("{name}-reader");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [about],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": cluster, "user": user}}],
        "current-context": name,
    });
    Ok(serde_yaml::to_string(&config).expect("plain data with string keys"))
}

/// Writes a kubeconfig for its owner alone, so that nobody ever sees half of it.
pub fn write(path: &Path, text: &str) -> Result<(), ReaderError> {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    let write = || -> std::io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let owner_alone = std::fs::Permissions::from_mode(0o600);
        let mut file = tempfile::Builder::new().prefix(".new-").permissions(owner_alone).tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| ReaderError::Write { path: path.to_owned(), source })
}

fn policy() -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["*"],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE", "DELETE", "CONNECT"],
                "resources": ["*/*"],
            }]},
            "matchConditions": [{"name": "the-reader", "expression": format!("request.userInfo.username == '{USER}'")}],
            "validations": [{
                "expression": "has(request.dryRun) && request.dryRun == true",
                "message": "a check may look, and may not change anything",
            }],
        },
    })
}

fn policy_binding() -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME, "validationActions": ["Deny"]},
    })
}

/// What the reader may do. With the policy: read all, and write (as a dry run) what lessons deploy, never the policy
/// itself. Without it: read; and of the core group only what is no door into a pod or a node, since a shell in a pod
/// is opened by reading.
fn role(discovery: &Discovery, has_policies: bool) -> Value {
    let mut rules = vec![json!({"nonResourceURLs": ["*"], "verbs": ["get"]})];
    if has_policies {
        rules.push(json!({"apiGroups": ["*"], "resources": ["*"], "verbs": READ}));
        let is_deployed = |resource: &&Resource| {
            let is_written = WRITE.iter().all(|verb| resource.verbs.iter().any(|found| found == verb));
            is_written && (resource.namespaced || resource.qualified() == "namespaces")
        };
        rules.extend(by_group(discovery, is_deployed, &WRITE));
    } else {
        rules.push(json!({"apiGroups": [""], "resources": ["pods/log", "*/status", "*/scale"], "verbs": READ}));
        rules.extend(by_group(discovery, |resource| resource.verbs.iter().any(|verb| verb == "get"), &READ));
    }
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": NAME},
        "rules": rules,
    })
}

fn by_group(discovery: &Discovery, filter: impl Fn(&&Resource) -> bool, verbs: &[&str]) -> Vec<Value> {
    let mut groups: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
    for resource in discovery.resources.iter().filter(filter) {
        groups.entry(&resource.group).or_default().push(&resource.plural);
    }
    let rule = |(group, resources)| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    groups.into_iter().map(rule).collect()
}

fn role_binding() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    })
}

/// A token that lives as long as the account: a course may rest for a month.
fn secret() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": NAME, "annotations": {"kubernetes.io/service-account.name": NAME}},
    })
}

/// The token, once the cluster has filled it in.
async fn token(client: &kube::Client, secrets: &str) -> Result<String, ReaderError> {
    let deadline = Instant::now() + TIME_MAX;
    loop {
        let secret = request::get(client, &format!("{secrets}/{NAME}")).await?;
        let token = secret["data"]["token"].as_str().and_then(|token| STANDARD.decode(token).ok());
        if let Some(token) = token.and_then(|token| String::from_utf8(token).ok()) {
            return Ok(token);
        }
        if Instant::now() > deadline {
            return Err(ReaderError::NoToken { seconds: TIME_MAX.as_secs() });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until the cluster refuses what the reader writes: a policy takes a moment to be known.
async fn is_bound(client: &kube::Client) -> Result<(), ReaderError> {
    let deadline = Instant::now() + TIME_MAX;
    let probes = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
    let probe = json!({"metadata": {"name": "tutorial-reader-probe"}});
    loop {
        let as_reader = [("impersonate-user", USER), ("impersonate-group", "system:serviceaccounts")];
        match request::create_as(client, &probes, &probe, &as_reader).await {
            // 403 by the role, 422 by the policy.
            Err(error) if matches!(request::code(&error), Some(403 | 422)) => return Ok(()),
            Err(error) if request::code(&error) != Some(409) => return Err(error.into()),
            _ => request::delete(client, &format!("{probes}/tutorial-reader-probe")).await?,
        }
        if Instant::now() > deadline {
            return Err(ReaderError::Unbound);
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(group: &str, plural: &str, namespaced: bool, verbs: &[&str]) -> Resource {
        Resource {
            group: group.into(),
            plural: plural.into(),
            namespaced,
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
            ..Resource::default()
        }
    }

    #[test]
    fn the_role_never_reaches_the_policy_or_into_a_pod() {
        let all = [&READ[..], &WRITE[..]].concat();
        let discovery = Discovery {
            resources: vec![
                resource("", "configmaps", true, &all),
                resource("", "namespaces", false, &all),
                resource("", "nodes", false, &all),
                resource("apps", "deployments", true, &all),
                resource("authorization.k8s.io", "localsubjectaccessreviews", true, &["create"]),
                resource("admissionregistration.k8s.io", "validatingadmissionpolicies", false, &all),
            ],
        };
        let rules = |has_policies| role(&discovery, has_policies)["rules"].as_array().expect("rules").clone();
        assert_eq!(
            rules(true)[2..],
            [
                json!({"apiGroups": [""], "resources": ["configmaps", "namespaces"], "verbs": WRITE}),
                json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": WRITE}),
            ]
        );
        let reading = rules(false);
        assert!(reading[1..].iter().all(|rule| rule["verbs"] == json!(READ)), "{reading:?}");
        assert!(reading.iter().all(|rule| rule["resources"] != json!(["*"])), "{reading:?}");
    }

    #[test]
    fn the_readers_kubeconfig() {
        let administrator = Kubeconfig::from_yaml(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: c\n  cluster: {server: \
             'https://127.0.0.1:1', certificate-authority-data: QQ==}\ncontexts:\n- name: a\n  context: {cluster: c, \
             user: u}\nusers:\n- name: u\n  user: {client-key-data: secret}\n",
        )
        .expect("a kubeconfig");
        let text = kubeconfig(&administrator, None, "t0ken").expect("a kubeconfig");
        assert!(!text.contains("secret"), "{text}");
        let reader = Kubeconfig::from_yaml(&text).expect("a kubeconfig");
        assert_eq!(reader.current_context.as_deref(), Some("a"));
        assert_eq!(reader.auth_infos[0].name, "a-reader");
        let error = kubeconfig(&administrator, Some("b"), "t").expect_err("there is no such context");
        assert_eq!(error.to_string(), "the kubeconfig has no context `b`");
    }
}
