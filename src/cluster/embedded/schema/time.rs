//! What Go's `time.Parse` says of a text that is no time: the first part of the layout that does not fit.

/// The mistake of a time, or of one with microseconds.
pub(super) fn mistake(text: &str, micro: bool) -> Option<String> {
    let layout = if micro { "2006-01-02T15:04:05.000000Z07:00" } else { "2006-01-02T15:04:05Z07:00" };
    let (rest, part) = match unfit(text, micro) {
        Some(found) => found,
        None if text.parse::<jiff::Timestamp>().is_ok() => return None,
        None => return Some(format!("parsing time {text:?}: day out of range")),
    };
    Some(format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {part:?}"))
}

/// What is left where a part does not fit, and that part.
fn unfit(text: &str, micro: bool) -> Option<(&str, &'static str)> {
    const PARTS: &[(&str, usize)] = &[
        ("2006", 4),
        ("-", 0),
        ("01", 2),
        ("-", 0),
        ("02", 2),
        ("T", 0),
        ("15", 2),
        (":", 0),
        ("04", 2),
        (":", 0),
        ("05", 2),
    ];
    let mut rest = text;
    for (part, digits) in PARTS {
        let length = if *digits == 0 { part.len() } else { *digits };
        let fits = rest.get(..length).is_some_and(|start| {
            if *digits == 0 { start == *part } else { start.bytes().all(|byte| byte.is_ascii_digit()) }
        });
        if !fits {
            return Some((rest, part));
        }
        rest = &rest[length..];
    }
    let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if micro && digits != 6 {
        return Some((rest, ".000000"));
    }
    if digits > 0 {
        rest = &rest[digits + 1..];
    }
    let zone = rest.as_bytes();
    let offset = zone.len() == 6
        && matches!(zone[0], b'+' | b'-')
        && zone[3] == b':'
        && [1, 2, 4, 5].iter().all(|at| zone[*at].is_ascii_digit());
    (rest != "Z" && !offset).then_some((rest, "Z07:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_that_does_not_fit_is_named() {
        let check = |text: &str, micro: bool, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(rest, part)| format!("cannot parse {rest:?} as {part:?}"));
            let found = mistake(text, micro);
            assert_eq!(found.as_deref().and_then(|found| found.split(": ").last()), expected.as_deref(), "{text}");
        };
        check("2026-01-01T00:00:00Z", false, None);
        check("2026-01-01T00:00:00.5Z", false, None);
        check("2026-01-01T01:00:00+01:00", false, None);
        check("2026-01-01T00:00:00.000000Z", true, None);
        check("x", false, Some(("x", "2006")));
        check("2026-01-01", false, Some(("", "T")));
        check("2026-01-01T00:00:00", false, Some(("", "Z07:00")));
        check("2026-01-01T00:00:00Z", true, Some(("Z", ".000000")));
    }
}
