//! Times as kubectl tells them.

use jiff::Timestamp;

/// How long ago, in at most two units: `5s`, `3m14s`, `20m`, `4d2h`.
pub fn since(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => human(now.as_second() - time.as_second()),
        Err(_) => "<unknown>".into(),
    }
}

/// Seconds in words, as `duration.HumanDuration` rounds them.
pub fn human(seconds: i64) -> String {
    if seconds < -1 {
        return "<invalid>".into();
    }
    let seconds = seconds.max(0);
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{large}{large_unit}") } else { format!("{large}{large_unit}{small}{small_unit}") }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// `Mon, 23 Nov 2026 11:09:36 +0000`, in the local time zone where it is known.
pub fn long(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => {
            let zoned = time.to_zoned(jiff::tz::TimeZone::system());
            zoned.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
        }
        Err(_) => "<unset>".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        fn check(seconds: i64, expected: &str) {
            assert_eq!(human(seconds), expected);
        }
        check(0, "0s");
        check(119, "119s");
        check(120, "2m");
        check(194, "3m14s");
        check(600, "10m");
        check(7260, "121m");
        check(10_800, "3h");
        check(11_000, "3h3m");
        check(90_000, "25h");
        check(180_000, "2d2h");
        check(1_000_000, "11d");
    }
}
