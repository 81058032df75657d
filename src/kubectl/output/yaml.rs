//! YAML as kubectl writes it: sorted keys, lists not indented, double quotes around what would else be read as
//! something other than a string, blocks for several lines.

use serde_json::Value;

/// An object as a document.
pub fn document(value: &Value) -> String {
    let mut text = String::new();
    node(value, 0, &mut text);
    text
}

fn node(value: &Value, indentation: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                text.push_str(&" ".repeat(indentation));
                entry(key, value, indentation, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                text.push_str(&" ".repeat(indentation));
                list_item(item, indentation, text);
            }
        }
        scalar => {
            text.push_str(&scalar_text(scalar, indentation));
            text.push('\n');
        }
    }
}

fn entry(key: &str, value: &Value, indentation: usize, text: &mut String) {
    text.push_str(&scalar_text(&Value::String(key.to_owned()), indentation));
    text.push(':');
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            node(value, indentation + 2, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            node(value, indentation, text);
        }
        scalar => {
            text.push(' ');
            text.push_str(&scalar_text(scalar, indentation + 2));
            text.push('\n');
        }
    }
}

fn list_item(item: &Value, indentation: usize, text: &mut String) {
    text.push_str("- ");
    match item {
        Value::Object(map) if !map.is_empty() => {
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    text.push_str(&" ".repeat(indentation + 2));
                }
                entry(key, value, indentation + 2, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(&" ".repeat(indentation + 2));
                }
                list_item(item, indentation + 2, text);
            }
        }
        scalar => {
            text.push_str(&scalar_text(scalar, indentation + 2));
            text.push('\n');
        }
    }
}

fn scalar_text(value: &Value, indentation: usize) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(boolean) => boolean.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(string) => string_text(string, indentation),
        Value::Array(_) => "[]".into(),
        Value::Object(_) => "{}".into(),
    }
}

fn string_text(string: &str, indentation: usize) -> String {
    let is_printable = !string.chars().any(|character| character.is_control() && character != '\n');
    if string.contains('\n') && is_printable && !string.starts_with([' ', '\n']) {
        return literal(string, indentation);
    }
    if string.is_empty() || !is_printable || string.contains('\n') || reads_as_other(string) {
        return serde_json::to_string(string).unwrap_or_default();
    }
    if needs_quotes(string) {
        return format!("'{}'", string.replace('\'', "''"));
    }
    string.to_owned()
}

fn literal(string: &str, indentation: usize) -> String {
    let sign = match (string.ends_with('\n'), string.ends_with("\n\n")) {
        (false, _) => "|-",
        (true, false) => "|",
        (true, true) => "|+",
    };
    let body = string.strip_suffix('\n').unwrap_or(string);
    let mut text = sign.to_owned();
    for line in body.split('\n') {
        text.push('\n');
        if !line.is_empty() {
            text.push_str(&" ".repeat(indentation));
            text.push_str(line);
        }
    }
    text
}

/// A plain scalar of this text would be a number, a boolean, a null or a time.
fn reads_as_other(string: &str) -> bool {
    let lower = string.to_lowercase();
    let is_word = matches!(
        lower.as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null" | "~" | ".nan" | ".inf" | "-.inf" | "+.inf"
    );
    let digits = string.strip_prefix(['-', '+']).unwrap_or(string);
    let starts_as_number = digits.starts_with(|character: char| character.is_ascii_digit() || character == '.');
    let is_number = starts_as_number && (string.replace('_', "").parse::<f64>().is_ok() || is_based_number(digits));
    let is_time = string.len() >= 10
        && string.as_bytes()[..10].iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_word || is_number || is_time || is_sexagesimal(digits)
}

fn is_based_number(digits: &str) -> bool {
    let based = |prefix: &str, radix: u32| {
        digits
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix) || c == '_'))
    };
    based("0x", 16) || based("0b", 2) || based("0o", 8)
}

/// `22:30`, which older YAML reads in base 60.
fn is_sexagesimal(digits: &str) -> bool {
    digits.contains(':')
        && digits.split(':').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn needs_quotes(string: &str) -> bool {
    let first = string.chars().next().unwrap_or(' ');
    let is_indicator = matches!(
        first,
        '!' | '&' | '*' | '{' | '}' | '[' | ']' | ',' | '#' | '|' | '>' | '@' | '`' | '"' | '\'' | '%' | ' '
    );
    let starts_as_item = matches!(first, '-' | '?' | ':') && string[1..].chars().next().is_none_or(|next| next == ' ');
    is_indicator
        || starts_as_item
        || string.ends_with([' ', ':'])
        || string.contains(": ")
        || string.contains(" #")
        || string.starts_with("---")
        || string == "="
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars() {
        fn check(string: &str, expected: &str) {
            assert_eq!(string_text(string, 2), expected, "{string}");
        }
        check("web", "web");
        check("1", "\"1\"");
        check("True", "\"True\"");
        check("2026-11-23T11:09:36Z", "\"2026-11-23T11:09:36Z\"");
        check("", "\"\"");
        check("a: b", "'a: b'");
        check("nginx:1.29-alpine", "nginx:1.29-alpine");
        check("25%", "25%");
        check("*", "'*'");
        check("10.96.0.1", "10.96.0.1");
        check("hello\n", "|\n  hello");
        check("a\nb", "|-\n  a\n  b");
        check("-", "'-'");
        check("0x1F", "\"0x1F\"");
        check("it's", "it's");
        check("1e3", "\"1e3\"");
    }

    #[test]
    fn documents() {
        let value = json!({"a": [{"b": 1, "c": ["x"]}, "z"], "d": {}, "e": [], "f": {"g": null}});
        assert_eq!(document(&value), "a:\n- b: 1\n  c:\n  - x\n- z\nd: {}\ne: []\nf:\n  g: null\n");
    }
}
