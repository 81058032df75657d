//! What Go's `encoding/json` says of a text that is no JSON.

/// Far beyond what `serde_json` reads, and deeper than any object is.
const NESTED: &str = "exceeded max depth";

/// The words for `error`, which parsing `body` gave.
pub fn go_json_error(error: &serde_json::Error, body: &[u8]) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".into();
    }
    let text = error.to_string();
    if text.starts_with(NESTED) || text.starts_with("recursion limit") {
        return NESTED.into();
    }
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let Some(byte) = line.get(error.column().saturating_sub(1)) else { return text };
    let what = text.split(" at line").next().unwrap_or(&text);
    let place = match what {
        "trailing characters" => "after top-level value",
        "invalid escape" => "in string escape code",
        "key must be a string" | "trailing comma" => "looking for beginning of object key string",
        "expected `:`" => "after object key",
        "expected `,` or `}`" => "after object key:value pair",
        "expected `,` or `]`" => "after array element",
        "invalid number" => "in numeric literal",
        _ if what.starts_with("control character") => "in string literal",
        _ => "looking for beginning of value",
    };
    format!("invalid character {} {place}", quoted(*byte))
}

/// As Go quotes a character.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".into(),
        b'\n' => "'\\n'".into(),
        b'\t' => "'\\t'".into(),
        byte if byte.is_ascii_graphic() || byte == b' ' => format!("'{}'", char::from(byte)),
        byte => format!("'\\x{byte:02x}'"),
    }
}
