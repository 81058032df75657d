//! The columns of kinds that the course seldom shows; shorter descriptions than Kubernetes'.

use super::super::super::schema::Kind;
use super::columns::{AGE, Column, NAME, integer, text};

pub(super) fn of(kind: &Kind) -> &'static [Column] {
    match kind.name {
        "StatefulSet" => STATEFUL_SET,
        "DaemonSet" => DAEMON_SET,
        "Job" => JOB,
        "CronJob" => CRON_JOB,
        "Ingress" => INGRESS,
        "PersistentVolumeClaim" => CLAIM,
        "Lease" => LEASE,
        _ => NAME_AND_AGE,
    }
}

const NAME_AND_AGE: &[Column] = &[text("Name", 0, NAME), text("Age", 0, AGE)];

const STATEFUL_SET: &[Column] = &[
    text("Name", 0, NAME),
    text("Ready", 0, "Number of the pod with ready state"),
    text("Age", 0, AGE),
    text("Containers", 1, "Names of each container in the template."),
    text("Images", 1, "Images referenced by each container in the template."),
];

const DAEMON_SET: &[Column] = &[
    text("Name", 0, NAME),
    integer("Desired", "Number of nodes that should run the daemon pod."),
    integer("Current", "Number of nodes that run a daemon pod."),
    integer("Ready", "Number of nodes whose daemon pod is ready."),
    integer("Up-to-date", "Number of nodes that run the updated daemon pod."),
    integer("Available", "Number of nodes whose daemon pod is available."),
    text("Node Selector", 0, "Nodes that the daemon pod runs on."),
    text("Age", 0, AGE),
    text("Containers", 1, "Names of each container in the template."),
    text("Images", 1, "Images referenced by each container in the template."),
    text("Selector", 1, "Label selector for pods."),
];

const JOB: &[Column] = &[
    text("Name", 0, NAME),
    text("Status", 0, "Status of the job."),
    text("Completions", 0, "Succeeded pods of those that are wanted."),
    text("Duration", 0, "Time required to complete the job."),
    text("Age", 0, AGE),
    text("Containers", 1, "Names of each container in the template."),
    text("Images", 1, "Images referenced by each container in the template."),
    text("Selector", 1, "Label selector for pods."),
];

const CRON_JOB: &[Column] = &[
    text("Name", 0, NAME),
    text("Schedule", 0, "The schedule in Cron format."),
    text("Timezone", 0, "The time zone of the schedule."),
    text("Suspend", 0, "Whether later executions are suspended."),
    integer("Active", "Jobs that run now."),
    text("Last Schedule", 0, "When the job was last scheduled."),
    text("Age", 0, AGE),
    text("Containers", 1, "Names of each container in the template."),
    text("Images", 1, "Images referenced by each container in the template."),
    text("Selector", 1, "Label selector for pods."),
];

const INGRESS: &[Column] = &[
    text("Name", 0, NAME),
    text("Class", 0, "The name of the IngressClass resource associated with this ingress."),
    text("Hosts", 0, "Hosts that incoming requests are matched against."),
    text("Address", 0, "Addresses of the load balancer."),
    text("Ports", 0, "Ports of TLS configurations that open."),
    text("Age", 0, AGE),
];

const CLAIM: &[Column] = &[
    text("Name", 0, NAME),
    text("Status", 0, "The current phase of the claim."),
    text("Volume", 0, "The volume that the claim is bound to."),
    text("Capacity", 0, "The resources of the volume."),
    text("Access Modes", 0, "How the volume may be mounted."),
    text("StorageClass", 0, "The storage class that the claim asks for."),
    text("VolumeAttributesClass", 0, "The attributes class of the claim."),
    text("Age", 0, AGE),
    text("VolumeMode", 1, "Filesystem or Block."),
];

const LEASE: &[Column] =
    &[text("Name", 0, NAME), text("Holder", 0, "The identity of the holder of the lease."), text("Age", 0, AGE)];
