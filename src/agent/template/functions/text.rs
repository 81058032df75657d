//! Functions of texts, as Sprig has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gtmpl_ng::Value;

use super::{Answer, argument, as_text, exactly, fault, integer, is_nil, string};

/// Go's `%q`.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            letter if (letter as u32) < 0x20 || letter as u32 == 0x7f => {
                quoted.push_str(&format!("\\x{:02x}", letter as u32));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

fn each(arguments: &[Value], quote: impl Fn(&str) -> String) -> Value {
    let words: Vec<String> =
        arguments.iter().filter(|value| !is_nil(value)).map(|value| quote(&value.to_string())).collect();
    Value::String(words.join(" "))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn quote(arguments: &[Value]) -> Answer {
    Ok(each(arguments, quoted))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn squote(arguments: &[Value]) -> Answer {
    Ok(each(arguments, |text| format!("'{text}'")))
}

pub fn to_string(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    Ok(Value::String(as_text(&arguments[0])))
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter(|item| !is_nil(item)).map(as_text).collect(),
        nil if is_nil(nil) => Vec::new(),
        other => vec![as_text(other)],
    }
}

fn list(items: impl IntoIterator<Item = String>) -> Value {
    Value::Array(items.into_iter().map(Value::String).collect())
}

pub fn to_strings(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    Ok(list(texts(&arguments[0])))
}

pub fn indent(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    let pad = " ".repeat(usize::try_from(integer(&arguments[0])?.clamp(0, 10_000)).unwrap_or(0));
    Ok(Value::String(format!("{pad}{}", string(&arguments[1])?.replace('\n', &format!("\n{pad}")))))
}

pub fn nindent(arguments: &[Value]) -> Answer {
    let indented = indent(arguments)?;
    Ok(Value::String(format!("\n{indented}")))
}

pub fn trim_prefix(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    let (prefix, text) = (string(&arguments[0])?, string(&arguments[1])?);
    Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)))
}

pub fn trim_suffix(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    let (suffix, text) = (string(&arguments[0])?, string(&arguments[1])?);
    Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)))
}

pub fn trim_all(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    let cut: Vec<char> = string(&arguments[0])?.chars().collect();
    Ok(Value::from(string(&arguments[1])?.trim_matches(cut.as_slice())))
}

pub fn title(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    let mut start = true;
    let titled: String = string(&arguments[0])?
        .chars()
        .flat_map(|letter| {
            let upper = start;
            start = !(letter.is_alphanumeric() || letter == '_');
            if upper { letter.to_uppercase().collect::<Vec<_>>() } else { vec![letter] }
        })
        .collect();
    Ok(Value::String(titled))
}

pub fn trunc(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    let (length, text) = (integer(&arguments[0])?, string(&arguments[1])?);
    let count = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    let letters: Vec<char> = text.chars().collect();
    let kept = match (letters.len() > count, length < 0) {
        (false, _) => letters.as_slice(),
        (true, true) => &letters[letters.len() - count..],
        (true, false) => &letters[..count],
    };
    Ok(Value::String(kept.iter().collect()))
}

pub fn join(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    Ok(Value::String(texts(&arguments[1]).join(string(&arguments[0])?)))
}

fn numbered(parts: impl Iterator<Item = String>) -> Value {
    Value::Map(parts.enumerate().map(|(number, part)| (format!("_{number}"), Value::String(part))).collect())
}

pub fn split(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    Ok(numbered(string(&arguments[1])?.split(string(&arguments[0])?).map(Into::into)))
}

pub fn splitn(arguments: &[Value]) -> Answer {
    exactly(arguments, 3)?;
    let count = usize::try_from(integer(&arguments[1])?).unwrap_or(usize::MAX);
    Ok(numbered(string(&arguments[2])?.splitn(count, string(&arguments[0])?).map(Into::into)))
}

pub fn split_list(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    Ok(list(string(&arguments[1])?.split(string(&arguments[0])?).map(Into::into)))
}

pub fn sort_alpha(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    let mut words = texts(&arguments[0]);
    words.sort();
    Ok(list(words))
}

pub fn replace(arguments: &[Value]) -> Answer {
    exactly(arguments, 3)?;
    let (old, new, text) = (string(&arguments[0])?, string(&arguments[1])?, string(&arguments[2])?);
    if text.len().saturating_mul(new.len().max(1)) > 64 * 1024 * 1024 {
        return fault("the result is too long");
    }
    Ok(Value::String(text.replace(old, new)))
}

pub fn regex_quote_meta(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    Ok(Value::String(regex::escape(string(&arguments[0])?)))
}

pub fn adler32sum(arguments: &[Value]) -> Answer {
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in string(argument(arguments, 0))?.bytes() {
        low = (low + u32::from(byte)) % 65521;
        high = (high + low) % 65521;
    }
    Ok(Value::String(((high << 16) | low).to_string()))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn cat(arguments: &[Value]) -> Answer {
    Ok(each(arguments, str::to_owned))
}

/// What is no base64 is told in the text itself, as Sprig does.
pub fn b64dec(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    let text = string(&arguments[0])?;
    let plain: String = text.chars().filter(|letter| !matches!(letter, '\n' | '\r')).collect();
    match STANDARD.decode(&plain) {
        Ok(bytes) => Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) => {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                _ => plain.len() / 4 * 4,
            };
            Ok(Value::String(format!("illegal base64 data at input byte {at}")))
        }
    }
}
