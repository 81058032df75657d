//! The rules of addresses, ranges and search domains.

use std::net::IpAddr;

use serde_json::Value;

use super::super::status::Cause;
use super::invalid;

pub const ADDRESS_RULE: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const RANGE_RULE: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
pub const SEARCH_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";

/// An IP address of either family.
pub fn address(field: &str, value: &Value) -> Option<Cause> {
    let parsed: Result<IpAddr, _> = value.as_str().unwrap_or_default().parse();
    parsed.is_err().then(|| invalid(field, value, ADDRESS_RULE))
}

/// A range, `10.0.0.0/8`.
pub fn range(field: &str, text: &str) -> Option<Cause> {
    let fits = text.split_once('/').is_some_and(|(address, bits)| {
        let most = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    });
    (!fits).then(|| invalid(field, &text.into(), RANGE_RULE))
}

/// An address that may stand behind a Service: nothing that means this machine or everybody.
pub fn endpoint(field: &str, value: &Value) -> Vec<Cause> {
    let text = value.as_str().unwrap_or_default();
    let Ok(address) = text.parse::<IpAddr>() else {
        return vec![invalid(field, value, "must be a valid IP address")];
    };
    let mut causes = Vec::new();
    let mut refuse = |detail: &str| causes.push(invalid(field, value, detail));
    if address.is_unspecified() {
        refuse(&format!("may not be unspecified ({text})"));
    }
    if address.is_loopback() {
        refuse("may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if link_local {
        refuse("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    let multicast = match address {
        IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
        IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
    };
    if multicast {
        refuse("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
    causes
}

/// A domain that names are looked up in; an underscore is allowed.
pub fn is_search_domain(domain: &str) -> bool {
    domain.split('.').all(|part| {
        let bytes = part.as_bytes();
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(byte))
    })
}
