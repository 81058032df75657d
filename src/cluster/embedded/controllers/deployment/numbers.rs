//! The arithmetic of a roll-out.

use serde_json::Value;

use super::super::object::{number, text};

pub fn replicas(deployment: &Value) -> i64 {
    number(deployment, "/spec/replicas").unwrap_or(1)
}

/// How many pods may be there beyond the replicas.
pub fn max_surge(deployment: &Value) -> i64 {
    bounds(deployment).0
}

/// How many of the replicas may be unavailable.
pub fn max_unavailable(deployment: &Value) -> i64 {
    bounds(deployment).1.min(replicas(deployment))
}

/// Surge rounds up, unavailability down; where both come to nothing, one may be unavailable.
fn bounds(deployment: &Value) -> (i64, i64) {
    if text(deployment, "/spec/strategy/type") != "RollingUpdate" {
        return (0, 0);
    }
    let replicas = replicas(deployment);
    let part = |name: &str, up: bool| {
        let value = deployment.pointer(&format!("/spec/strategy/rollingUpdate/{name}"));
        resolve(value.unwrap_or(&Value::Null), replicas, up)
    };
    let (surge, unavailable) = (part("maxSurge", true), part("maxUnavailable", false));
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// A number, or a percentage of the replicas.
fn resolve(value: &Value, replicas: i64, round_up: bool) -> i64 {
    if let Some(number) = value.as_i64() {
        return number;
    }
    let percent: i64 = value.as_str().and_then(|text| text.strip_suffix('%')?.parse().ok()).unwrap_or(0);
    let hundredths = percent.saturating_mul(replicas);
    if round_up { (hundredths + 99).div_euclid(100) } else { hundredths.div_euclid(100) }
}

/// The size that the new ReplicaSet may take, where the others have `others` pods and it has `own`.
pub fn new_size(deployment: &Value, others: i64, own: i64) -> i64 {
    let replicas = replicas(deployment);
    if text(deployment, "/spec/strategy/type") == "Recreate" {
        return replicas;
    }
    let room = replicas + max_surge(deployment) - others - own;
    if room <= 0 { own } else { own + room.min(replicas - own) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn surge_rounds_up_and_unavailability_down() {
        let check = |replicas: i64, surge: Value, unavailable: Value, expected: (i64, i64)| {
            let rolling = json!({"maxSurge": surge, "maxUnavailable": unavailable});
            let strategy = json!({"type": "RollingUpdate", "rollingUpdate": rolling});
            let deployment = json!({"spec": {"replicas": replicas, "strategy": strategy}});
            assert_eq!((max_surge(&deployment), max_unavailable(&deployment)), expected, "{deployment}");
        };
        check(2, json!("25%"), json!("25%"), (1, 0));
        check(4, json!("25%"), json!("25%"), (1, 1));
        check(10, json!("25%"), json!("25%"), (3, 2));
        check(1, json!(0), json!(0), (0, 1));
        check(3, json!(2), json!(5), (2, 3));
        check(0, json!("25%"), json!("25%"), (0, 0));
    }

    #[test]
    fn the_new_one_grows_into_the_room() {
        let check = |replicas: i64, others: i64, own: i64, expected: i64| {
            let rolling = json!({"maxSurge": 1, "maxUnavailable": 0});
            let strategy = json!({"type": "RollingUpdate", "rollingUpdate": rolling});
            let deployment = json!({"spec": {"replicas": replicas, "strategy": strategy}});
            assert_eq!(new_size(&deployment, others, own), expected, "{replicas} {others} {own}");
        };
        check(2, 0, 0, 2);
        check(2, 2, 0, 1);
        check(2, 1, 1, 2);
        check(2, 2, 1, 1);
        check(3, 5, 1, 1);
    }
}
