//! The release record that Helm and werf keep in Secrets of type `helm.sh/release.v1`: a leaf that the agent
//! writes and checks read.
