//! The `expires` directive: how long a client may keep an answer.

use jiff::{SignedDuration, Timestamp};

/// What `expires` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expires {
    Off,
    Epoch,
    Max,
    /// So many seconds after the answer; below zero: not at all.
    After(i64),
}

impl Expires {
    /// From the directive's words; `None` for what nginx refuses.
    pub fn parse(words: &[String]) -> Option<Self> {
        let word = words.last()?.as_str();
        match word {
            "off" => return Some(Self::Off),
            "epoch" => return Some(Self::Epoch),
            "max" => return Some(Self::Max),
            _ => {}
        }
        let (sign, rest) = word.strip_prefix('-').map_or((1, word), |rest| (-1, rest));
        let mut total: i64 = 0;
        let mut number = String::new();
        for c in rest.chars() {
            if c.is_ascii_digit() {
                number.push(c);
                continue;
            }
            let unit = match c {
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 86_400,
                'w' => 604_800,
                'M' => 2_592_000,
                'y' => 31_536_000,
                _ => return None,
            };
            total = total.checked_add(std::mem::take(&mut number).parse::<i64>().ok()?.checked_mul(unit)?)?;
        }
        if !number.is_empty() {
            total = total.checked_add(number.parse().ok()?)?;
        }
        (!rest.is_empty() && total <= 10 * 366 * 86_400).then_some(Self::After(sign * total))
    }

    /// The headers that say so.
    pub fn headers(self, now: Timestamp) -> Vec<(String, String)> {
        let (time, control) = match self {
            Self::Off => return Vec::new(),
            Self::Epoch => ("Thu, 01 Jan 1970 00:00:01 GMT".to_owned(), "no-cache".to_owned()),
            Self::Max => ("Thu, 31 Dec 2037 23:55:55 GMT".to_owned(), "max-age=315360000".to_owned()),
            Self::After(seconds) => {
                let time = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
                let control = if seconds < 0 { "no-cache".into() } else { format!("max-age={seconds}") };
                (super::site::http_date(time), control)
            }
        };
        vec![("Expires".into(), time), ("Cache-Control".into(), control)]
    }
}
