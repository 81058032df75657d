//! The rules of probes and lifecycle handlers, and of the ports that they name.

use serde_json::Value;

use super::super::super::status::Cause;
use super::super::{forbidden, invalid, items, required, text};
use super::{negative, one_of};

const HEADER_RULE: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";

pub(super) fn lifecycle(lifecycle: &Value, path: &str, grace: i64, causes: &mut Vec<Cause>) {
    for key in ["postStart", "preStop"] {
        if let Some(found) = lifecycle.get(key).filter(|handler| handler.is_object()) {
            handler(found, &["exec", "httpGet", "tcpSocket", "sleep"], &format!("{path}.{key}"), grace, causes);
        }
    }
}

pub(super) fn probe(probe: &Value, path: &str, kind: &str, causes: &mut Vec<Cause>) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], path, 0, causes);
    for key in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        if let Some(value) = probe.get(key).and_then(Value::as_i64)
            && value < 0
        {
            causes.push(negative(format!("{path}.{key}"), value));
        }
    }
    let grace = probe.get("terminationGracePeriodSeconds").and_then(Value::as_i64);
    if let Some(grace) = grace {
        let field = format!("{path}.terminationGracePeriodSeconds");
        if grace <= 0 {
            causes.push(invalid(field.clone(), &grace.into(), "must be greater than 0"));
        }
        if kind == "readinessProbe" {
            causes.push(invalid(field, &grace.into(), "must not be set for readinessProbes"));
        }
    }
    let threshold = probe.get("successThreshold").and_then(Value::as_i64).unwrap_or(1);
    if kind != "readinessProbe" && threshold != 1 {
        causes.push(invalid(format!("{path}.successThreshold"), &threshold.into(), "must be 1"));
    }
}

fn handler(handler: &Value, kinds: &[&str], path: &str, grace: i64, causes: &mut Vec<Cause>) {
    let mut found = 0;
    for kind in kinds {
        let Some(action) = handler.get(*kind).filter(|action| action.is_object()) else { continue };
        let path_of = format!("{path}.{kind}");
        if found > 0 {
            causes.push(forbidden(path_of, "may not specify more than 1 handler type"));
            continue;
        }
        found += 1;
        match *kind {
            "exec" if items(action, "command").is_empty() => {
                causes.push(required(format!("{path_of}.command"), ""));
            }
            "httpGet" => http_get(action, &path_of, causes),
            "tcpSocket" => port(action, &path_of, causes),
            "grpc" => {
                let number = action.get("port").and_then(Value::as_i64).unwrap_or(0);
                causes.extend(port_number(format!("{path_of}.port"), number));
            }
            "sleep" => {
                let seconds = action.get("seconds").and_then(Value::as_i64).unwrap_or(0);
                if seconds < 0 || seconds > grace {
                    let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                    causes.push(invalid(path_of, &seconds.into(), &detail));
                }
            }
            _ => {}
        }
    }
    if found == 0 {
        causes.push(required(path, "must specify a handler type"));
    }
}

fn http_get(action: &Value, path: &str, causes: &mut Vec<Cause>) {
    if text(action, "path").is_empty() {
        causes.push(required(format!("{path}.path"), ""));
    }
    port(action, path, causes);
    one_of(action, "scheme", path, &["HTTP", "HTTPS"], causes);
    for header in items(action, "httpHeaders") {
        let name = text(header, "name");
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            causes.push(invalid(format!("{path}.httpHeaders"), &name.into(), HEADER_RULE));
        }
    }
}

fn port(action: &Value, path: &str, causes: &mut Vec<Cause>) {
    let field = format!("{path}.port");
    match action.get("port") {
        Some(Value::String(name)) => {
            causes.extend(port_name(name).iter().map(|rule| invalid(field.clone(), &name.clone().into(), rule)));
        }
        number => causes.extend(port_number(field, number.and_then(Value::as_i64).unwrap_or(0))),
    }
}

/// A port between 1 and 65535.
pub fn port_number(field: String, number: i64) -> Option<Cause> {
    (!(1..=65535).contains(&number)).then(|| invalid(field, &number.into(), "must be between 1 and 65535, inclusive"))
}

/// The rules of an IANA service name that a port's name breaks.
pub fn port_name(name: &str) -> Vec<&'static str> {
    let mut broken = Vec::new();
    if name.len() > 15 {
        broken.push("must be no more than 15 characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        broken.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        broken.push("must contain at least one letter (a-z)");
    }
    if name.contains("--") {
        broken.push("must not contain consecutive hyphens");
    }
    if name.starts_with('-') || name.ends_with('-') {
        broken.push("must not begin or end with a hyphen");
    }
    broken
}
