//! Who makes clusters: the user and the machine, as a label says it. An engine may be shared by several of both, on
//! which a directory's path alone proves nothing.

use sha2::{Digest, Sha256};

/// `1000@6f1c…`: the user's number and what tells this machine from others, or the number alone where nothing does.
pub fn of_this_process() -> String {
    let user = rustix::process::getuid().as_raw();
    let files = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
    let machine = files.iter().find_map(|file| std::fs::read_to_string(file).ok());
    name(user, machine.as_deref().map(str::trim).unwrap_or_default())
}

/// The machine's number is confidential, so its hash stands for it.
fn name(user: u32, machine: &str) -> String {
    if machine.is_empty() {
        return user.to_string();
    }
    let hash = Sha256::digest(format!("tutorial {machine}"));
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{user}@{hash}")
}

/// Whether two names may mean the same user on the same machine.
pub fn is_same(one: &str, other: &str) -> bool {
    let (one_user, one_machine) = one.split_once('@').unwrap_or((one, ""));
    let (other_user, other_machine) = other.split_once('@').unwrap_or((other, ""));
    let is_unknown = one_machine.is_empty() || other_machine.is_empty();
    one_user == other_user && (is_unknown || one_machine == other_machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_machines() {
        let here = name(1000, "abc");
        assert!(is_same(&here, &name(1000, "abc")));
        assert!(is_same(&here, &name(1000, "")));
        assert!(!is_same(&here, &name(1000, "abd")));
        assert!(!is_same(&here, &name(1001, "abc")));
        assert!(!is_same(&name(1, ""), &name(2, "")));
        assert!(!here.contains("abc"), "{here}");
    }
}
