//! Quantities of resources, `500m`, `1.5Gi`: read, compared, and written in the one form that Kubernetes gives each.

/// A quantity as a whole number of nano-units, with the family of suffixes that it was written with.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nano: i128,
    family: Family,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// `n`, `u`, `m`, none, `k`, `M`, …
    Decimal,
    /// `e3`, `E-3`.
    Exponent,
    /// `Ki`, `Mi`, …
    Binary,
}

const NANO: i128 = 1_000_000_000;
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
/// Kubernetes' quantities are capped at what 64 bits hold.
const LARGEST: i128 = i64::MAX as i128 * NANO;

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.nano.partial_cmp(&other.nano)
    }
}

impl Quantity {
    /// Reads a quantity; `None` where it is none. What is finer than a nano-unit is rounded up.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
        let (number, suffix) = digits.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let (family, multiplier, exponent) = suffix_of(suffix)?;
        let magnitude = nano_units(whole, fraction, multiplier, exponent)?;
        Some(Self { nano: if negative { -magnitude } else { magnitude }, family })
    }

    /// For comparisons of what is not worth more digits.
    #[allow(clippy::cast_precision_loss)]
    pub fn to_f64(self) -> f64 {
        self.nano as f64 / NANO as f64
    }

    /// Rounded up to thousandths, as what containers ask for is kept.
    #[must_use]
    pub fn rounded_to_milli(self) -> Self {
        const MICRO: i128 = NANO / 1000;
        let up = i128::from(self.nano.rem_euclid(MICRO) != 0);
        Self { nano: (self.nano.div_euclid(MICRO) + up) * MICRO, family: self.family }
    }

    pub fn is_negative(self) -> bool {
        self.nano < 0
    }

    pub fn is_zero(self) -> bool {
        self.nano == 0
    }

    /// Whether it is a whole number of units.
    pub fn is_whole(self) -> bool {
        self.nano % NANO == 0
    }

    /// The whole units, rounded up.
    pub fn units(self) -> i64 {
        let units = self.nano.div_euclid(NANO) + i128::from(self.nano.rem_euclid(NANO) != 0);
        i64::try_from(units).unwrap_or(if units < 0 { i64::MIN } else { i64::MAX })
    }

    fn binary(self) -> String {
        let (mut units, mut index) = (self.nano / NANO, 0);
        while units != 0 && units % 1024 == 0 && index + 1 < BINARY.len() {
            units /= 1024;
            index += 1;
        }
        format!("{units}{}", BINARY[index])
    }

    fn decimal(self) -> String {
        let (mut number, mut exponent) = (self.nano, -9);
        while number != 0 && number % 1000 == 0 && (exponent < 18 || self.family == Family::Exponent) {
            number /= 1000;
            exponent += 3;
        }
        if number == 0 {
            return "0".into();
        }
        if self.family == Family::Exponent {
            return if exponent == 0 { number.to_string() } else { format!("{number}e{exponent}") };
        }
        let suffix = DECIMAL.iter().find(|(_, known)| *known == exponent).map_or("", |(suffix, _)| suffix);
        format!("{number}{suffix}")
    }
}

/// The form that Kubernetes writes: no fraction, the largest suffix of its family that needs none.
impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let small = self.nano.abs() < 1024 * NANO;
        let text = match self.family {
            Family::Binary if !small && self.is_whole() => self.binary(),
            Family::Binary => Self { family: Family::Decimal, ..*self }.decimal(),
            Family::Decimal | Family::Exponent => self.decimal(),
        };
        f.write_str(&text)
    }
}

/// The family, what to multiply with, and the power of ten.
fn suffix_of(suffix: &str) -> Option<(Family, i128, i32)> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Some((Family::Decimal, 1, *exponent));
    }
    if let Some(index) = BINARY.iter().position(|known| *known == suffix) {
        return Some((Family::Binary, 1 << (10 * index), 0));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((Family::Exponent, 1, exponent))
}

fn nano_units(whole: &str, fraction: &str, multiplier: i128, exponent: i32) -> Option<i128> {
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let scale = exponent.checked_add(9)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    if digits.is_empty() {
        return Some(0);
    }
    // A number of more digits than 64 bits hold is capped, or finer than can be kept.
    let (kept, dropped) = digits.split_at(digits.len().min(19));
    let scale = scale.checked_add(i32::try_from(dropped.len()).ok()?)?;
    let number: i128 = kept.parse::<i128>().ok()? * multiplier;
    if scale > 28 {
        return Some(LARGEST);
    }
    if scale < -38 {
        return Some(1);
    }
    let power = 10_i128.pow(scale.unsigned_abs().min(38));
    let units = if scale >= 0 { number.saturating_mul(power) } else { (number + power - 1) / power };
    Some(units.min(LARGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(Quantity::parse(text).map(|quantity| quantity.to_string()).as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn quantities_are_written_in_one_form() {
        check("1000m", "1");
        check("0.5", "500m");
        check(".5", "500m");
        check("1.50", "1500m");
        check("1024Mi", "1Gi");
        check("0.5Gi", "512Mi");
        check("1000Ki", "1000Ki");
        check("1e3", "1e3");
        check("1000e3", "1e6");
        check("1000000", "1M");
        check("010", "10");
        check("1E", "1E");
        check("0", "0");
        check("-1", "-1");
        check("0.0001", "100u");
        check("100m", "100m");
        check("512", "512");
        check("1.5Ki", "1536");
        check("128Mi", "128Mi");
        check("0.1Ki", "102400m");
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "x", "1x", "1.2.3", "Mi", "-", "1 Mi", "1mi", "."] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[-+0-9.eEKMGinum]{0,40}") {
            if let Some(quantity) = Quantity::parse(&text) {
                let written = quantity.to_string();
                prop_assert_eq!(Quantity::parse(&written).map(|again| again.to_string()), Some(written));
            }
        }
    }
}
