//! The differences that stay between the embedded cluster and a real one, each with its reason.

use std::sync::atomic::{AtomicBool, Ordering};

use regex::Regex;

use super::observed::Difference;

/// A difference that is meant. All but the reason are regular expressions for the whole of what they speak of.
pub struct Known {
    pub path: &'static str,
    pub embedded: &'static str,
    pub kind: &'static str,
    pub reason: &'static str,
    met: AtomicBool,
}

#[allow(dead_code, reason = "there may be no entry")]
const fn known(path: &'static str, embedded: &'static str, kind: &'static str, reason: &'static str) -> Known {
    Known { path, embedded, kind, reason, met: AtomicBool::new(false) }
}

pub static KNOWN: [Known; 0] = [];

/// Whether a difference is one of the known ones, which is marked as met.
pub fn is_known(difference: &Difference) -> bool {
    let fits = |pattern: &str, text: &str| Regex::new(&format!("(?s)^(?:{pattern})$")).unwrap().is_match(text);
    let found = KNOWN.iter().find(|known| {
        fits(known.path, &difference.path)
            && fits(known.embedded, &difference.embedded)
            && fits(known.kind, &difference.kind)
    });
    found.inspect(|known| known.met.store(true, Ordering::Relaxed)).is_some()
}

/// The entries that no difference has met: they are to be taken out.
pub fn not_met() -> Vec<String> {
    let unmet = KNOWN.iter().filter(|known| !known.met.load(Ordering::Relaxed));
    unmet.map(|known| format!("{}: {}", known.path, known.reason)).collect()
}
