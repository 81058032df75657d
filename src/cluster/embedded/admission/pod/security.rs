//! The rules of security contexts.

use serde_json::{Map, Value};

use super::super::super::status::Cause;
use super::super::{invalid, items, required, text};
use super::one_of;

const IDENTITY_RULE: &str = "must be between 0 and 2147483647, inclusive";
const SYSCTL_RULE: &str = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
/// The fields of a container's security context as Go prints them.
const GO_FIELDS: &[(&str, &str)] = &[
    ("Capabilities", "capabilities"),
    ("Privileged", "privileged"),
    ("SELinuxOptions", "seLinuxOptions"),
    ("WindowsOptions", "windowsOptions"),
    ("RunAsUser", "runAsUser"),
    ("RunAsGroup", "runAsGroup"),
    ("RunAsNonRoot", "runAsNonRoot"),
    ("ReadOnlyRootFilesystem", "readOnlyRootFilesystem"),
    ("AllowPrivilegeEscalation", "allowPrivilegeEscalation"),
    ("ProcMount", "procMount"),
    ("SeccompProfile", "seccompProfile"),
    ("AppArmorProfile", "appArmorProfile"),
];

pub(super) fn pod(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(context) = spec.get("securityContext").filter(|context| context.is_object()) else { return };
    let path = format!("{path}.securityContext");
    identity(context.get("fsGroup"), &format!("{path}.fsGroup"), causes);
    identity(context.get("runAsUser"), &format!("{path}.runAsUser"), causes);
    identity(context.get("runAsGroup"), &format!("{path}.runAsGroup"), causes);
    for (index, group) in items(context, "supplementalGroups").iter().enumerate() {
        identity(Some(group), &format!("{path}.supplementalGroups[{index}]"), causes);
    }
    sysctls(context, &path, causes);
    one_of(context, "fsGroupChangePolicy", &path, &["Always", "OnRootMismatch"], causes);
    profiles(context, &path, causes);
    one_of(context, "supplementalGroupsPolicy", &path, &["Merge", "Strict"], causes);
}

pub(super) fn container(container: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(context) = container.get("securityContext").filter(|context| context.is_object()) else { return };
    let path = format!("{path}.securityContext");
    identity(context.get("runAsUser"), &format!("{path}.runAsUser"), causes);
    identity(context.get("runAsGroup"), &format!("{path}.runAsGroup"), causes);
    one_of(context, "procMount", &path, &["Default", "Unmasked"], causes);
    profiles(context, &path, causes);
    let privileged = context.get("privileged") == Some(&Value::Bool(true));
    if context.get("allowPrivilegeEscalation") == Some(&Value::Bool(false)) {
        let adds = context.pointer("/capabilities/add").and_then(Value::as_array);
        if privileged {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            causes.push(invalid_context(&path, context, detail));
        }
        if adds.is_some_and(|added| added.iter().any(|capability| capability == "CAP_SYS_ADMIN")) {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            causes.push(invalid_context(&path, context, detail));
        }
    }
}

fn identity(value: Option<&Value>, field: &str, causes: &mut Vec<Cause>) {
    if let Some(number) = value.and_then(Value::as_i64)
        && !(0..=i64::from(i32::MAX)).contains(&number)
    {
        causes.push(invalid(field, &number.into(), IDENTITY_RULE));
    }
}

fn sysctls(context: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (index, sysctl) in items(context, "sysctls").iter().enumerate() {
        let name = text(sysctl, "name");
        let field = format!("{path}.sysctls[{index}].name");
        let fits = |part: &str| {
            let bytes = part.as_bytes();
            let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            edge(bytes.first())
                && edge(bytes.last())
                && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(byte))
        };
        if name.is_empty() {
            causes.push(required(field, ""));
        } else if name.len() > 253 || !name.split(['.', '/']).all(fits) {
            causes.push(invalid(field, &name.into(), SYSCTL_RULE));
        }
    }
}

fn profiles(context: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (key, word) in [("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")] {
        let Some(profile) = context.get(key).filter(|profile| profile.is_object()) else { continue };
        let path = format!("{path}.{key}");
        one_of(profile, "type", &path, &["Localhost", "RuntimeDefault", "Unconfined"], causes);
        let (kind, local) = (text(profile, "type"), text(profile, "localhostProfile"));
        let field = format!("{path}.localhostProfile");
        if kind == "Localhost" && local.is_empty() {
            causes.push(required(field, &format!("must be set when {word} type is Localhost")));
        } else if kind != "Localhost" && profile.get("localhostProfile").is_some_and(Value::is_string) {
            causes.push(invalid(field, &local.into(), &format!("can only be set when {word} type is Localhost")));
        }
    }
}

/// The whole context is shown, by its fields in Go.
fn invalid_context(path: &str, context: &Value, detail: &str) -> Cause {
    let shown: Vec<String> = GO_FIELDS
        .iter()
        .map(|(go, key)| format!("{go:?}:{}", context.get(*key).map_or_else(|| "null".into(), capitalised)))
        .collect();
    Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {{{}}}: {detail}", shown.join(",")),
        field: path.into(),
    }
}

/// As Go's encoder prints a struct without JSON names.
fn capitalised(value: &Value) -> String {
    let Value::Object(members) = value else { return value.to_string() };
    let renamed: Map<String, Value> =
        members.iter().map(|(key, value)| (key[..1].to_uppercase() + &key[1..], value.clone())).collect();
    Value::Object(renamed).to_string()
}
