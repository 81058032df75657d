//! Tokens of service accounts, as `kubectl create token` asks for them: JSON web tokens signed with a key that is
//! derived from the administrator's secret, so that nothing more need be kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::auth::equal;
use super::server::Settings;

/// Whom a token is meant for where nobody else is named: this API.
pub(super) const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// A token for a service account, valid until a time (seconds since 1970).
pub(super) fn issue(
    namespace: &str,
    name: &str,
    uid: &str,
    audiences: &[String],
    now: i64,
    expires: i64,
    settings: &Settings,
) -> String {
    let header = BASE64.encode(json!({"alg": "HS256", "typ": "JWT"}).to_string());
    let claims = json!({
        "aud": audiences,
        "exp": expires, "iat": now, "nbf": now,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}},
        "sub": format!("system:serviceaccount:{namespace}:{name}"),
    });
    let signed = format!("{header}.{}", BASE64.encode(claims.to_string()));
    let signature = signature(&signed, settings);
    format!("{signed}.{signature}")
}

/// The namespace and name of the account that a token for this API was issued to.
pub(super) fn verify(token: &str, settings: &Settings) -> Option<(String, String)> {
    let (signed, given) = token.rsplit_once('.')?;
    if settings.admin_token.is_empty() || !equal(given, &signature(signed, settings)) {
        return None;
    }
    let claims: Value = serde_json::from_slice(&BASE64.decode(signed.split_once('.')?.1).ok()?).ok()?;
    if claims.get("exp")?.as_i64()? < jiff::Timestamp::now().as_second() {
        return None;
    }
    if !claims.get("aud")?.as_array()?.iter().any(|audience| audience == AUDIENCE) {
        return None; // meant for somebody else
    }
    let owner = claims.get("kubernetes.io")?;
    let namespace = owner.get("namespace")?.as_str()?;
    Some((namespace.into(), owner.pointer("/serviceaccount/name")?.as_str()?.into()))
}

/// HMAC-SHA256 (RFC 2104).
fn signature(text: &str, settings: &Settings) -> String {
    let key = Sha256::digest(format!("service account tokens\0{}", settings.admin_token));
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(&key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    BASE64.encode(outer)
}
