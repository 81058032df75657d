//! JSON as Go's encoder writes it: four spaces, sorted keys, `<`, `>` and `&` escaped.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// For people.
pub fn pretty(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer).expect("a value with string keys can be written");
    escape(&String::from_utf8_lossy(&bytes)) + "\n"
}

/// On one line.
pub fn compact(value: &Value) -> String {
    escape(&value.to_string())
}

/// Outside of strings these characters do not occur.
fn escape(text: &str) -> String {
    text.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}
