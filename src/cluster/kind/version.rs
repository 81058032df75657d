//! The node image's Kubernetes version, which decides the form of kubeadm's configuration.

/// `v1.34.2` and such, of a node's `/kind/version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesVersion {
    /// As the image writes it.
    pub text: String,
    pub minor: u64,
}

impl KubernetesVersion {
    /// Reads a version of Kubernetes 1. `None` where it is none.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut numbers = text.strip_prefix('v').unwrap_or(text).split('.');
        let major = numbers.next()?;
        let minor: String = numbers.next()?.chars().take_while(char::is_ascii_digit).collect();
        (major == "1").then_some(Self { text: text.to_owned(), minor: minor.parse().ok()? })
    }

    /// Whether it is 1.`minor` or later.
    pub fn is_at_least(&self, minor: u64) -> bool {
        self.minor >= minor
    }

    /// The version of kubeadm's configuration: the newest that it takes without a complaint.
    pub fn kubeadm_api(&self) -> &'static str {
        match self.minor {
            36.. => "kubeadm.k8s.io/v1beta4",
            23..=35 => "kubeadm.k8s.io/v1beta3",
            _ => "kubeadm.k8s.io/v1beta2",
        }
    }

    /// The taint that keeps pods off a control plane.
    pub fn control_plane_taint(&self) -> &'static str {
        if self.is_at_least(24) { "node-role.kubernetes.io/control-plane" } else { "node-role.kubernetes.io/master" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(KubernetesVersion::read(text).map(|version| version.minor), expected, "{text}");
        }
        check("v1.34.2\n", Some(34));
        check("v1.37.0-alpha.1+abc", Some(37));
        check("1.20", Some(20));
        check("v1.21+", Some(21));
        check("v2.0.0", None);
        check("", None);
        check("nonsense", None);
    }
}
