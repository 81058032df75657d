//! The kinds that a cluster knows, as its discovery says: a leaf for all who name kinds as people do.

use serde_json::Value;

/// The whole discovery in two answers.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// What a name has that a path cannot have; of a valid name, nothing.
const NAME: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b':');

/// A kind of objects that the cluster serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
    pub singular: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub verbs: Vec<String>,
    pub namespaced: bool,
}

impl Resource {
    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`, `pods`.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Where a list of it is; `None` of a kind with namespaces means all of them.
    pub fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let api = self.api_version();
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/{api}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{api}/{}", self.plural),
        }
    }

    /// Where one object is.
    pub fn object(&self, namespace: &str, name: &str) -> String {
        let name = percent_encoding::utf8_percent_encode(name, NAME);
        format!("{}/{name}", self.collection(Some(namespace)))
    }

    /// Whether a word means it: plural, singular, kind or short name, in any case.
    fn is_called(&self, word: &str) -> bool {
        let short = || self.short_names.iter().any(|name| name == word);
        self.plural == word || self.singular == word || self.kind.to_lowercase() == word || short()
    }
}

/// All kinds of a cluster, the core group first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    pub resources: Vec<Resource>,
}

impl Discovery {
    /// Asks a cluster for its kinds.
    pub async fn fetch(client: &kube::Client) -> Result<Self, kube::Error> {
        let (core, groups) = tokio::try_join!(get(client, "/api", AGGREGATED), get(client, "/apis", AGGREGATED))?;
        let mut resources = Vec::new();
        for (answer, is_core) in [(core, true), (groups, false)] {
            if answer["kind"] == "APIGroupDiscoveryList" {
                resources.extend(aggregated(&answer));
            } else {
                resources.extend(one_by_one(client, &answer, is_core).await?);
            }
        }
        Ok(Self { resources })
    }

    /// The kind that a word means: `deploy`, `Deployment`, `deployments.apps`, `deployments.v1.apps`.
    pub fn find(&self, word: &str) -> Option<&Resource> {
        let word = word.to_lowercase();
        if let Some(found) = self.resources.iter().find(|resource| resource.is_called(&word)) {
            return Some(found);
        }
        let (name, rest) = word.split_once('.')?;
        let fits = |resource: &&Resource| {
            let with_version = format!("{}.{}", resource.version, resource.group);
            resource.is_called(name) && (resource.group == rest || with_version == rest || resource.version == rest)
        };
        self.resources.iter().find(fits)
    }

    /// The kind of an object by its `apiVersion` and `kind`.
    pub fn of(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.kind == kind && resource.api_version() == api_version)
    }
}

async fn get(client: &kube::Client, path: &str, accept: &str) -> Result<Value, kube::Error> {
    let request = http::Request::get(path).header("accept", accept).body(Vec::new());
    client.request(request.map_err(kube::Error::HttpError)?).await
}

fn aggregated(answer: &Value) -> Vec<Resource> {
    let mut resources = Vec::new();
    for group in list(&answer["items"]) {
        let group_name = text(&group["metadata"]["name"]);
        // The first version is the preferred one.
        for version in list(&group["versions"]).iter().take(1) {
            let version_name = text(&version["version"]);
            resources.extend(list(&version["resources"]).iter().map(|resource| Resource {
                group: group_name.clone(),
                version: version_name.clone(),
                kind: text(&resource["responseKind"]["kind"]),
                plural: text(&resource["resource"]),
                singular: text(&resource["singularResource"]),
                short_names: texts(&resource["shortNames"]),
                categories: texts(&resource["categories"]),
                verbs: texts(&resource["verbs"]),
                namespaced: resource["scope"] == "Namespaced",
            }));
        }
    }
    resources
}

/// The older way, of servers that do not answer in one.
async fn one_by_one(client: &kube::Client, answer: &Value, is_core: bool) -> Result<Vec<Resource>, kube::Error> {
    let versions: Vec<String> = if is_core {
        list(&answer["versions"]).iter().map(|version| format!("/api/{}", text(version))).collect()
    } else {
        let preferred = |group: &Value| format!("/apis/{}", text(&group["preferredVersion"]["groupVersion"]));
        list(&answer["groups"]).iter().map(preferred).collect()
    };
    let mut resources = Vec::new();
    for path in versions {
        let found = get(client, &path, "application/json").await?;
        let api_version = text(&found["groupVersion"]);
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        for resource in list(&found["resources"]).iter().filter(|resource| !text(&resource["name"]).contains('/')) {
            resources.push(Resource {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: text(&resource["kind"]),
                plural: text(&resource["name"]),
                singular: text(&resource["singularName"]),
                short_names: texts(&resource["shortNames"]),
                categories: texts(&resource["categories"]),
                verbs: texts(&resource["verbs"]),
                namespaced: resource["namespaced"] == true,
            });
        }
    }
    Ok(resources)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn discovery() -> Discovery {
        let core = json!({"items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [
            {"resource": "pods", "responseKind": {"kind": "Pod"}, "scope": "Namespaced", "singularResource": "pod",
             "shortNames": ["po"], "verbs": ["get"], "categories": ["all"]},
            {"resource": "events", "responseKind": {"kind": "Event"}, "scope": "Namespaced", "singularResource": "event"},
            {"resource": "namespaces", "responseKind": {"kind": "Namespace"}, "scope": "Cluster", "shortNames": ["ns"]}
        ]}]}]});
        let groups = json!({"items": [{"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": [
            {"resource": "deployments", "responseKind": {"kind": "Deployment"}, "scope": "Namespaced",
             "singularResource": "deployment", "shortNames": ["deploy"]}
        ]}]}, {"metadata": {"name": "events.k8s.io"}, "versions": [{"version": "v1", "resources": [
            {"resource": "events", "responseKind": {"kind": "Event"}, "scope": "Namespaced", "singularResource": "event"}
        ]}]}]});
        Discovery { resources: [aggregated(&core), aggregated(&groups)].concat() }
    }

    #[test]
    fn names_of_kinds() {
        fn check(word: &str, expected: Option<&str>) {
            let discovery = discovery();
            assert_eq!(discovery.find(word).map(Resource::qualified).as_deref(), expected, "{word}");
        }
        check("pods", Some("pods"));
        check("Pod", Some("pods"));
        check("po", Some("pods"));
        check("deploy", Some("deployments.apps"));
        check("Deployment", Some("deployments.apps"));
        check("deployments.apps", Some("deployments.apps"));
        check("deployment.v1.apps", Some("deployments.apps"));
        check("events", Some("events"));
        check("events.events.k8s.io", Some("events.events.k8s.io"));
        check("ns", Some("namespaces"));
        check("foo", None);
        check("pods.apps", None);
    }

    #[test]
    fn paths() {
        let discovery = discovery();
        let path = |word: &str| discovery.find(word).map(|resource| resource.object("demo", "web")).unwrap_or_default();
        assert_eq!(path("deploy"), "/apis/apps/v1/namespaces/demo/deployments/web");
        assert_eq!(path("po"), "/api/v1/namespaces/demo/pods/web");
        assert_eq!(path("ns"), "/api/v1/namespaces/web");
    }
}
