//! The kinds that are served, in the order of Kubernetes' own discovery.

use super::Kind;

const ALL_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const NAMESPACE_VERBS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

const BASE: Kind = Kind {
    group: "",
    version: "v1",
    name: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    definition: "",
};

pub(super) static KINDS: [Kind; 12] = [
    Kind {
        name: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short_names: &["cm"],
        definition: "io.k8s.api.core.v1.ConfigMap",
        ..BASE
    },
    Kind {
        name: "Endpoints",
        plural: "endpoints",
        singular: "endpoints",
        short_names: &["ep"],
        definition: "io.k8s.api.core.v1.Endpoints",
        ..BASE
    },
    Kind {
        name: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        definition: "io.k8s.api.core.v1.Event",
        ..BASE
    },
    Kind {
        name: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        namespaced: false,
        verbs: NAMESPACE_VERBS,
        subresources: &["finalize", "status"],
        definition: "io.k8s.api.core.v1.Namespace",
        ..BASE
    },
    Kind {
        name: "Node",
        plural: "nodes",
        singular: "node",
        short_names: &["no"],
        namespaced: false,
        subresources: &["status"],
        definition: "io.k8s.api.core.v1.Node",
        ..BASE
    },
    Kind {
        name: "Pod",
        plural: "pods",
        singular: "pod",
        short_names: &["po"],
        categories: &["all"],
        subresources: &["attach", "binding", "eviction", "exec", "log", "portforward", "proxy", "status"],
        definition: "io.k8s.api.core.v1.Pod",
        ..BASE
    },
    Kind { name: "Secret", plural: "secrets", singular: "secret", definition: "io.k8s.api.core.v1.Secret", ..BASE },
    Kind {
        name: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short_names: &["sa"],
        subresources: &["token"],
        definition: "io.k8s.api.core.v1.ServiceAccount",
        ..BASE
    },
    Kind {
        name: "Service",
        plural: "services",
        singular: "service",
        short_names: &["svc"],
        categories: &["all"],
        subresources: &["proxy", "status"],
        definition: "io.k8s.api.core.v1.Service",
        ..BASE
    },
    Kind {
        group: "apps",
        name: "Deployment",
        plural: "deployments",
        singular: "deployment",
        short_names: &["deploy"],
        categories: &["all"],
        subresources: &["scale", "status"],
        definition: "io.k8s.api.apps.v1.Deployment",
        ..BASE
    },
    Kind {
        group: "apps",
        name: "ReplicaSet",
        plural: "replicasets",
        singular: "replicaset",
        short_names: &["rs"],
        categories: &["all"],
        subresources: &["scale", "status"],
        definition: "io.k8s.api.apps.v1.ReplicaSet",
        ..BASE
    },
    Kind {
        group: "discovery.k8s.io",
        name: "EndpointSlice",
        plural: "endpointslices",
        singular: "endpointslice",
        definition: "io.k8s.api.discovery.v1.EndpointSlice",
        ..BASE
    },
];
