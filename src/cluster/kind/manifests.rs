//! What the node image brings for the pods' network and for storage: pure.

use serde::Deserialize;
use serde_json::{Value, json};

use super::kubeadm::POD_SUBNET;

/// The objects of the pods' network. The manifest asks for what it wants done to it by two phrases in it.
pub fn network(manifest: &str, control_plane: &str) -> Result<Vec<Value>, serde_yaml::Error> {
    let mut text = manifest.to_owned();
    if text.contains("would you kindly template this file") {
        for placeholder in ["{{ .PodSubnet }}", "{{.PodSubnet}}"] {
            text = text.replace(placeholder, POD_SUBNET);
        }
    }
    let mut objects = objects(&text)?;
    if text.contains("would you kindly patch this file") {
        for object in objects.iter_mut().filter(|object| object["kind"] == "DaemonSet") {
            let environment = &mut object["spec"]["template"]["spec"]["containers"][0]["env"];
            let variable = json!({"name": "CONTROL_PLANE_ENDPOINT", "value": format!("{control_plane}:6443")});
            match environment.as_array_mut() {
                Some(variables) => variables.push(variable),
                None => *environment = json!([variable]),
            }
        }
    }
    Ok(objects)
}

/// The objects of the storage: those of the image, else a class that makes directories on the node.
pub fn storage(manifest: &str) -> Result<Vec<Value>, serde_yaml::Error> {
    let objects = objects(manifest)?;
    if !objects.is_empty() {
        return Ok(objects);
    }
    Ok(vec![json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/host-path",
    })])
}

/// The Deployments among objects, by namespace and name: they are awaited.
pub fn deployments(objects: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value, fallback: &str| value.as_str().unwrap_or(fallback).to_owned();
    objects
        .iter()
        .filter(|object| object["kind"] == "Deployment")
        .map(|object| (text(&object["metadata"]["namespace"], "default"), text(&object["metadata"]["name"], "")))
        .collect()
}

fn objects(text: &str) -> Result<Vec<Value>, serde_yaml::Error> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = Value::deserialize(document)?;
        match value["items"].as_array() {
            Some(items) if value["kind"] == "List" => objects.extend(items.iter().cloned()),
            _ if value.is_object() => objects.push(value),
            _ => {}
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAEMON_SET: &str = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: kindnet}\nspec: {template: {spec: \
                              {containers: [{name: cni, args: ['{{ .PodSubnet }}']}]}}}\n";

    #[test]
    fn the_manifest_asks_for_what_is_done_to_it() {
        fn check(comments: &str, argument: &str, has_variable: bool) {
            let objects = network(&format!("{comments}{DAEMON_SET}---\n"), "t-control-plane").expect("YAML");
            assert_eq!(objects.len(), 1);
            let container = &objects[0]["spec"]["template"]["spec"]["containers"][0];
            assert_eq!(container["args"][0], argument, "{comments}");
            let variable = json!({"name": "CONTROL_PLANE_ENDPOINT", "value": "t-control-plane:6443"});
            assert_eq!(container["env"][0] == variable, has_variable, "{comments}");
        }
        check("", "{{ .PodSubnet }}", false);
        check("# would you kindly template this file\n", "10.244.0.0/16", false);
        check("# would you kindly patch this file\n", "{{ .PodSubnet }}", true);
    }

    #[test]
    fn there_is_always_a_storage_class() {
        assert_eq!(storage("").expect("YAML")[0]["metadata"]["name"], "standard");
        let own = storage("kind: StorageClass\nmetadata: {name: own}\n").expect("YAML");
        assert_eq!(own[0]["metadata"]["name"], "own");
        let objects = storage("kind: Deployment\nmetadata: {name: p, namespace: s}\n").expect("YAML");
        assert_eq!(deployments(&objects), [("s".to_owned(), "p".to_owned())]);
    }
}
