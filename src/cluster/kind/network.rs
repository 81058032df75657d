//! The network `kind`, which all kind clusters share. It stays when a cluster goes.

use std::collections::HashMap;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptionsBuilder;
use sha1::{Digest, Sha1};

use super::error::KindError;
use super::files::Log;

const NAME: &str = "kind";
const MTU: &str = "com.docker.network.driver.mtu";
const SUBNET_ATTEMPTS_MAX: u32 = 5;

/// The network's name: kind's own variable names another.
pub fn name(variable: &dyn Fn(&str) -> Option<String>) -> String {
    variable("KIND_EXPERIMENTAL_DOCKER_NETWORK").unwrap_or_else(|| NAME.to_owned())
}

/// Makes sure that the network exists.
pub async fn ensure(docker: &Docker, name: &str, log: &Log) -> Result<(), KindError> {
    let failed = || KindError::docker(format!("make the network `{name}`"));
    if !ids(docker, name).await.map_err(failed())?.is_empty() {
        return Ok(());
    }
    let mtu = bridge_mtu(docker).await;
    let mut has_ipv6 = true;
    let mut attempt = 0;
    loop {
        let subnet = has_ipv6.then(|| subnet(name, attempt));
        let made = docker.create_network(request(name, mtu.as_deref(), subnet.as_deref())).await;
        match made.map_err(|error| (judge(&error), error)) {
            Ok(_) | Err((Refusal::Exists, _)) => break,
            Err((Refusal::NoIpv6, error)) if has_ipv6 => {
                log.line(&format!("the network does without IPv6: {error}"));
                has_ipv6 = false;
            }
            Err((Refusal::Overlaps, error)) if attempt < SUBNET_ATTEMPTS_MAX => {
                // Somebody may have made it at the same time.
                if !ids(docker, name).await.map_err(failed())?.is_empty() {
                    break;
                }
                log.line(&format!("another subnet is tried: {error}"));
                attempt += 1;
            }
            Err((_, error)) => return Err(failed()(error)),
        }
    }
    remove_duplicates(docker, name).await.map_err(failed())
}

/// What the engine meant by a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Exists,
    NoIpv6,
    Overlaps,
    Other,
}

fn judge(error: &Error) -> Refusal {
    let text = error.to_string();
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if has(&["already exists"]) {
        Refusal::Exists
    } else if has(&["ip6tables", "Cannot read IPv6 setup for bridge"]) {
        Refusal::NoIpv6
    } else if has(&["Pool overlaps", "networks have overlapping"]) {
        Refusal::Overlaps
    } else {
        Refusal::Other
    }
}

/// kind's own subnet first, then others that depend on nothing but the name and the attempt.
fn subnet(name: &str, attempt: u32) -> String {
    if attempt == 0 && name == NAME {
        return "fc00:f853:ccd:e793::/64".to_owned();
    }
    let hash = Sha1::digest(format!("{name}{attempt}"));
    let part = |at: usize| u16::from_be_bytes([hash[at], hash[at + 1]]);
    format!("fc00:{:x}:{:x}:{:x}::/64", part(0), part(2), part(4))
}

fn request(name: &str, mtu: Option<&str>, subnet: Option<&str>) -> NetworkCreateRequest {
    let masquerade = ("com.docker.network.bridge.enable_ip_masquerade".to_owned(), "true".to_owned());
    let options = std::iter::once(masquerade).chain(mtu.map(|mtu| (MTU.to_owned(), mtu.to_owned())));
    let ipam = subnet.map(|subnet| Ipam {
        driver: Some("default".into()),
        config: Some(vec![IpamConfig { subnet: Some(subnet.to_owned()), ..IpamConfig::default() }]),
        // Empty, as the docker command that kind calls says it.
        options: Some(std::collections::HashMap::new()),
    });
    NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".into()),
        enable_ipv6: Some(subnet.is_some()),
        ipam,
        options: Some(options.collect()),
        ..NetworkCreateRequest::default()
    }
}

/// The networks of exactly this name: Docker lets there be several.
async fn ids(docker: &Docker, name: &str) -> Result<Vec<String>, Error> {
    let filters = HashMap::from([("name", vec![format!("^{name}$")])]);
    let networks = docker.list_networks(Some(ListNetworksOptionsBuilder::new().filters(&filters).build())).await?;
    let exact = networks.into_iter().filter(|network| network.name.as_deref() == Some(name));
    let mut found: Vec<_> = exact.filter_map(|network| Some((network.created, network.id?))).collect();
    found.sort_by(|one, other| one.0.cmp(&other.0).then_with(|| one.1.cmp(&other.1)));
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// Of several that were made at the same time, the first stays. One that is in use cannot be removed, and is not.
async fn remove_duplicates(docker: &Docker, name: &str) -> Result<(), Error> {
    for id in ids(docker, name).await?.into_iter().skip(1) {
        let _ = docker.remove_network(&id).await;
    }
    Ok(())
}

async fn bridge_mtu(docker: &Docker) -> Option<String> {
    let bridge = docker.inspect_network("bridge", None).await.ok()?;
    bridge.options?.remove(MTU)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        fn check(message: &str, expected: Refusal) {
            let error = Error::DockerResponseServerError { status_code: 500, message: message.into() };
            assert_eq!(judge(&error), expected, "{message}");
        }
        check("network with name kind already exists", Refusal::Exists);
        check("ip6tables failed: ip6tables --wait -t nat", Refusal::NoIpv6);
        check("Cannot read IPv6 setup for bridge br-1", Refusal::NoIpv6);
        check("Pool overlaps with other one on this address space", Refusal::Overlaps);
        check("cannot create network: networks have overlapping IPv6", Refusal::Overlaps);
        check("could not find an available, non-overlapping IPv4 address pool", Refusal::Other);
    }

    #[test]
    fn subnets() {
        assert_eq!(subnet("kind", 0), "fc00:f853:ccd:e793::/64");
        assert_ne!(subnet("kind", 1), subnet("kind", 2));
        assert_eq!(subnet("other", 1), subnet("other", 1));
    }
}
