//! What a plain word means to Go's YAML library, and so which texts must be quoted. The rules are those of go-yaml
//! v2, on which Helm and Kubernetes stand: YAML 1.1, with octal and binary numbers and underscores between digits.

/// What an unquoted scalar is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Word {
    /// `~`, `null` or nothing at all.
    Null,
    /// `yes`, `true`, `on`, … and their opposites.
    Truth(bool),
    /// A whole number.
    Signed(i64),
    /// A whole number above the signed ones.
    Unsigned(u64),
    /// Any other number.
    Float(f64),
    /// A date, which JSON knows as text only.
    Time,
    /// A text.
    Text,
}

/// Reads a plain scalar.
pub fn resolve(word: &str) -> Word {
    if let Some(known) = named(word) {
        return known;
    }
    match word.as_bytes().first() {
        Some(b'.') => go_float(word).map_or(Word::Text, Word::Float),
        Some(b'+' | b'-' | b'0'..=b'9') => number(word),
        _ => Word::Text,
    }
}

/// Whether a text that is meant as one cannot stand unquoted.
pub fn is_ambiguous(text: &str) -> bool {
    resolve(text) != Word::Text || is_sexagesimal(text)
}

fn named(word: &str) -> Option<Word> {
    Some(match word {
        "" | "~" | "null" | "Null" | "NULL" => Word::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Word::Truth(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Word::Truth(false),
        ".nan" | ".NaN" | ".NAN" => Word::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Word::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Word::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

fn number(word: &str) -> Word {
    if is_time(word) {
        return Word::Time;
    }
    let plain = word.replace('_', "");
    let (negative, digits) = match plain.as_bytes().first() {
        Some(b'-') => (true, &plain[1..]),
        Some(b'+') => (false, &plain[1..]),
        _ => (false, plain.as_str()),
    };
    if let Some(value) = whole(digits) {
        let value = i128::from(value);
        let value = if negative { -value } else { value };
        if let Ok(signed) = i64::try_from(value) {
            return Word::Signed(signed);
        }
        if let Ok(unsigned) = u64::try_from(value)
            && !plain.starts_with('+')
        {
            return Word::Unsigned(unsigned);
        }
    }
    go_float(&plain).map_or(Word::Text, Word::Float)
}

/// Digits in the base that their prefix names; a leading zero is octal.
fn whole(digits: &str) -> Option<u64> {
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with('+') { None } else { u64::from_str_radix(digits, base).ok() }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn go_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(mantissa, exponent)| {
        (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
    });
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let well = (!before.is_empty() || !after.is_empty())
        && all_digits(before)
        && all_digits(after)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(exponent));
    if well { text.parse().ok() } else { None }
}

/// `2001-1-2`, alone or before a time of day.
fn is_time(word: &str) -> bool {
    let Some((date, rest)) = split_date(word) else { return false };
    let [year, month, day] = date;
    let (Ok(year), Ok(month), Ok(day)) = (i16::try_from(year), i8::try_from(month), i8::try_from(day)) else {
        return false;
    };
    if jiff::civil::Date::new(year, month, day).is_err() {
        return false;
    }
    let zoned = rest.strip_prefix(['T', 't']);
    match (zoned, rest.strip_prefix(' ')) {
        _ if rest.is_empty() => true,
        (Some(clock), _) => zone_start(clock).is_some_and(|at| is_clock(&clock[..at])),
        (None, Some(clock)) => is_clock(clock),
        (None, None) => false,
    }
}

fn split_date(word: &str) -> Option<([u32; 3], &str)> {
    let (year, rest) = word.split_once('-')?;
    let (month, rest) = rest.split_once('-')?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (day, rest) = rest.split_at(end);
    let number = |text: &str, widths: std::ops::RangeInclusive<usize>| {
        let digits = widths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| digits)
    };
    Some(([number(year, 4..=4)?, number(month, 1..=2)?, number(day, 1..=2)?], rest))
}

/// Where the zone of a time of day begins: `Z` or `+01:00`.
fn zone_start(clock: &str) -> Option<usize> {
    if clock.ends_with('Z') {
        return Some(clock.len() - 1);
    }
    let at = clock.rfind(['+', '-'])?;
    let zone = &clock.as_bytes()[at + 1..];
    matches!(zone, [h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit())).then_some(at)
}

fn is_clock(clock: &str) -> bool {
    let mut parts = clock.split(':');
    let mut below = |limit: u32| {
        let part = parts.next().unwrap_or_default();
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        digits && part.parse::<u32>().is_ok_and(|number| number < limit)
    };
    if !below(24) || !below(60) {
        return false;
    }
    let seconds = parts.next().unwrap_or_default();
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let well = (1..=2).contains(&whole.len()) && whole.parse::<u32>().is_ok_and(|number| number < 60);
    well && !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit()) && parts.next().is_none()
}

/// `12:30:45`: a number to base 60 in YAML 1.1. Go's library reads it as a text and yet quotes it, for others' sake.
fn is_sexagesimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let loose = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let rest: Vec<&str> = parts.collect();
    let minute = |part: &&str| match part.as_bytes() {
        [one] => one.is_ascii_digit(),
        [ten, one] => (b'0'..=b'5').contains(ten) && one.is_ascii_digit(),
        _ => false,
    };
    first.starts_with(|letter: char| letter.is_ascii_digit())
        && loose(first)
        && !rest.is_empty()
        && rest.iter().all(minute)
        && loose(fraction)
}
