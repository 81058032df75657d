//! Functions of Sprig that the engine's library has with another order of arguments or another answer.

use gtmpl_ng::{FuncError, NumberKind, Value};
use regex::Regex;

use super::{Answer, argument, exactly, fault, integer, string};

/// A regular expression of Go's; `must` is whether a mistake in it is told.
fn pattern(text: &str, must: bool) -> Result<Option<Regex>, FuncError> {
    match Regex::new(text) {
        Ok(pattern) => Ok(Some(pattern)),
        Err(_) if !must => Ok(None),
        Err(_) if text.matches('[').count() > text.matches(']').count() => {
            fault(format!("error parsing regexp: missing closing ]: `{}`", &text[text.rfind('[').unwrap_or(0)..]))
        }
        Err(error) => {
            let message = error.to_string();
            let message = message.rsplit("error: ").next().unwrap_or(&message).to_owned();
            fault(format!("error parsing regexp: {message}: `{text}`"))
        }
    }
}

pub fn regex_match(arguments: &[Value]) -> Answer {
    matched(arguments, false)
}

pub fn must_regex_match(arguments: &[Value]) -> Answer {
    matched(arguments, true)
}

fn matched(arguments: &[Value], must: bool) -> Answer {
    exactly(arguments, 2)?;
    let pattern = pattern(string(&arguments[0])?, must)?;
    let text = string(&arguments[1])?;
    Ok(Value::Bool(pattern.is_some_and(|pattern| pattern.is_match(text))))
}

/// `regexReplaceAll PATTERN TEXT REPLACEMENT`, `$1` in the replacement as Go has it.
pub fn regex_replace_all(arguments: &[Value]) -> Answer {
    replaced(arguments, false)
}

pub fn regex_replace_all_literal(arguments: &[Value]) -> Answer {
    replaced(arguments, true)
}

fn replaced(arguments: &[Value], literal: bool) -> Answer {
    exactly(arguments, 3)?;
    let Some(pattern) = pattern(string(&arguments[0])?, true)? else { return Ok(Value::Nil) };
    let (text, replacement) = (string(&arguments[1])?, string(&arguments[2])?);
    Ok(Value::String(if literal {
        pattern.replace_all(text, regex::NoExpand(replacement)).into_owned()
    } else {
        pattern.replace_all(text, replacement).into_owned()
    }))
}

/// Words in capitals, underscores, dashes and spaces between them gone; what leads is kept.
pub fn camelcase(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    let text = string(&arguments[0])?;
    let is_connector = |letter: char| matches!(letter, '_' | '-') || letter.is_whitespace();
    let body = text.trim_start_matches(is_connector);
    let mut camel = text[..text.len() - body.len()].to_owned();
    for word in body.split(is_connector).filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        camel.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        let rest = letters.as_str();
        let mixed = rest.chars().any(char::is_lowercase);
        camel.push_str(&if mixed { rest.to_owned() } else { rest.to_lowercase() });
    }
    Ok(Value::String(camel))
}

pub fn snakecase(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    Ok(Value::String(connected(string(&arguments[0])?, '_')))
}

pub fn kebabcase(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    Ok(Value::String(connected(string(&arguments[0])?, '-')))
}

/// Words in small letters with `connector` between them: `HTTPServer` is two.
fn connected(text: &str, connector: char) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::new();
    for (at, letter) in letters.iter().copied().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1).copied();
        if matches!(letter, '_' | '-') || letter.is_whitespace() {
            out.push(connector);
            continue;
        }
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || before.is_uppercase() && after.is_some_and(char::is_lowercase)
            });
        if starts_word {
            out.push(connector);
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// The first letter of each word in small.
pub fn untitle(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    let mut start = true;
    let text = string(&arguments[0])?.chars().flat_map(|letter| {
        let lower = start;
        start = letter.is_whitespace();
        if lower { letter.to_lowercase().collect::<Vec<_>>() } else { vec![letter] }
    });
    Ok(Value::String(text.collect()))
}

/// Bytes from a start to an end; a negative start is the text's, a negative end, or one too far, its end.
pub fn substr(arguments: &[Value]) -> Answer {
    exactly(arguments, 3)?;
    let (start, end, text) = (integer(&arguments[0])?, integer(&arguments[1])?, string(&arguments[2])?);
    let start = usize::try_from(start).unwrap_or(0);
    let end = usize::try_from(end).ok().filter(|end| *end <= text.len()).unwrap_or(text.len());
    match text.get(start..end) {
        Some(part) => Ok(Value::from(part)),
        None => fault(format!("slice bounds out of range [{start}:{end}]")),
    }
}

/// Both ends cut: `abbrevboth LEFT RIGHT TEXT`, as goutils has it.
pub fn abbrevboth(arguments: &[Value]) -> Answer {
    exactly(arguments, 3)?;
    let (left, right, text) = (integer(&arguments[0])?, integer(&arguments[1])?, string(&arguments[2])?);
    if right < 4 || left > 0 && right < 7 {
        return Ok(Value::from(text));
    }
    let (left, width) = (usize::try_from(left).unwrap_or(0), usize::try_from(right).unwrap_or(0));
    let letters: Vec<char> = text.chars().collect();
    let length = letters.len();
    if length <= width {
        return Ok(Value::from(text));
    }
    let mut offset = left.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    let part = |from: usize, to: usize| letters[from..to].iter().collect::<String>();
    Ok(Value::String(if offset <= 4 {
        format!("{}...", part(0, width - 3))
    } else if offset + width - 3 < length {
        let rest = &letters[offset..];
        format!("...{}...", rest[..width - 6].iter().collect::<String>())
    } else {
        format!("...{}", part(length - (width - 3), length))
    }))
}

/// Numbers with spaces between them, as the shell's `seq` counts them.
pub fn seq(arguments: &[Value]) -> Answer {
    const COUNT_MAX: i64 = 100_000;
    let numbers = arguments.iter().map(integer).collect::<Result<Vec<_>, _>>()?;
    let (start, step, end) = match numbers.as_slice() {
        [end] => (1, if *end < 1 { -1 } else { 1 }, *end),
        [start, end] => (*start, if end < start { -1 } else { 1 }, *end),
        [start, step, end] => (*start, *step, *end),
        _ => return Ok(Value::from("")),
    };
    if step == 0 || step > 0 && end < start || step < 0 && end > start {
        return Ok(Value::from(""));
    }
    if end.saturating_sub(start).saturating_abs() / step.saturating_abs() > COUNT_MAX {
        return fault("too many numbers");
    }
    let count = (end - start) / step;
    let texts: Vec<String> = (0..=count).map(|at| (start + at * step).to_string()).collect();
    Ok(Value::String(texts.join(" ")))
}

/// The shortest path with the same meaning.
fn cleaned(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".into(),
        (false, path) => path,
    }
}

pub fn clean(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    Ok(Value::String(cleaned(string(&arguments[0])?)))
}

pub fn base(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    let path = string(&arguments[0])?;
    let trimmed = path.trim_end_matches('/');
    Ok(Value::from(match (path.is_empty(), trimmed.is_empty()) {
        (true, _) => ".",
        (false, true) => "/",
        (false, false) => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }))
}

pub fn dir(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    let path = string(&arguments[0])?;
    Ok(Value::String(cleaned(path.rfind('/').map_or("", |at| &path[..=at]))))
}

/// Any value as a whole number; what is none is 0.
fn whole(value: &Value) -> i64 {
    match value {
        Value::Bool(truth) => i64::from(*truth),
        Value::Number(number) => match number.kind() {
            NumberKind::Signed(signed) => signed,
            NumberKind::Unsigned(unsigned) => i64::try_from(unsigned).unwrap_or(i64::MAX),
            #[allow(clippy::cast_possible_truncation, reason = "Sprig truncates as well")]
            NumberKind::Float(float) => float as i64,
        },
        Value::String(text) => written(text),
        _ => 0,
    }
}

/// The number that a text spells: hexadecimal and octal by their prefixes, a fraction cut off.
fn written(text: &str) -> i64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let parsed = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => i64::from_str_radix(&digits[2..], 16),
        [b'0', b'b' | b'B', ..] => i64::from_str_radix(&digits[2..], 2),
        [b'0', b'o' | b'O', ..] => i64::from_str_radix(&digits[2..], 8),
        [b'0', _, ..] => i64::from_str_radix(&digits[1..], 8),
        _ => digits.parse(),
    };
    parsed.map_or(0, |number| sign * number)
}

pub fn int(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    Ok(Value::from(whole(&arguments[0])))
}

pub fn atoi(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    Ok(Value::from(string(&arguments[0])?.parse::<i64>().unwrap_or(0)))
}

/// An octal number as a decimal one.
pub fn to_decimal(arguments: &[Value]) -> Answer {
    exactly(arguments, 1)?;
    Ok(Value::from(i64::from_str_radix(&arguments[0].to_string(), 8).unwrap_or(0)))
}

fn folded(arguments: &[Value], fold: impl Fn(i64, i64) -> i64) -> Value {
    let mut numbers = arguments.iter().map(whole);
    let first = numbers.next().unwrap_or(0);
    Value::from(numbers.fold(first, fold))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn add(arguments: &[Value]) -> Answer {
    Ok(folded(arguments, i64::wrapping_add))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn add1(arguments: &[Value]) -> Answer {
    Ok(Value::from(whole(argument(arguments, 0)).wrapping_add(1)))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn mul(arguments: &[Value]) -> Answer {
    Ok(folded(arguments, i64::wrapping_mul))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn max(arguments: &[Value]) -> Answer {
    Ok(folded(arguments, i64::max))
}

#[allow(clippy::unnecessary_wraps, reason = "the engine's signature")]
pub fn min(arguments: &[Value]) -> Answer {
    Ok(folded(arguments, i64::min))
}

pub fn sub(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    Ok(folded(arguments, i64::wrapping_sub))
}

pub fn div(arguments: &[Value]) -> Answer {
    divided(arguments, i64::checked_div)
}

pub fn modulo(arguments: &[Value]) -> Answer {
    divided(arguments, i64::checked_rem)
}

fn divided(arguments: &[Value], divide: impl Fn(i64, i64) -> Option<i64>) -> Answer {
    exactly(arguments, 2)?;
    match divide(whole(&arguments[0]), whole(&arguments[1])) {
        Some(number) => Ok(Value::from(number)),
        None => fault("runtime error: integer divide by zero"),
    }
}

/// Lines of at most so many letters, broken at spaces.
pub fn wrap(arguments: &[Value]) -> Answer {
    exactly(arguments, 2)?;
    let width = usize::try_from(integer(&arguments[0])?).unwrap_or(1).max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in string(&arguments[1])?.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    Ok(Value::String(lines.join("\n")))
}

/// What a value's types must be for a function whose arguments Go declares: `s` a text, `i` a whole number, `m` a map,
/// `b` a truth, `*` anything.
pub fn signature(name: &str) -> Option<&'static str> {
    Some(match name {
        "upper" | "lower" | "untitle" | "title" | "trim" | "nospace" | "initials" | "snakecase" | "camelcase"
        | "kebabcase" | "swapcase" | "shuffle" | "b64enc" | "b64dec" | "b32enc" | "b32dec" | "sha1sum"
        | "sha256sum" | "sha512sum" | "adler32sum" | "base" | "dir" | "clean" | "ext" | "isAbs" | "atoi"
        | "regexQuoteMeta" | "semver" | "fromYaml" | "fromYamlArray" | "fromJson" | "fromJsonArray" => "s",
        "trimAll" | "trimSuffix" | "trimPrefix" | "contains" | "hasPrefix" | "hasSuffix" | "split" | "splitList"
        | "regexMatch" | "mustRegexMatch" | "regexFind" | "mustRegexFind" | "semverCompare" => "ss",
        "trunc" | "indent" | "nindent" | "repeat" | "abbrev" | "wrap" => "is",
        "substr" | "abbrevboth" => "iis",
        "plural" | "regexFindAll" | "mustRegexFindAll" | "regexSplit" | "mustRegexSplit" => "ssi",
        "replace"
        | "regexReplaceAll"
        | "mustRegexReplaceAll"
        | "regexReplaceAllLiteral"
        | "mustRegexReplaceAllLiteral" => "sss",
        "splitn" => "sis",
        "until" => "i",
        "untilStep" => "iii",
        "hasKey" | "get" | "unset" => "ms",
        "set" => "ms*",
        "ternary" => "**b",
        "toYaml" | "toJson" | "toString" | "len" | "not" => "*",
        _ => return None,
    })
}
