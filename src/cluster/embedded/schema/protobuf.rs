//! Decodes the protobuf bodies that kubectl sends from 1.32 on: `k8s\0`, a `runtime.Unknown`, the message.
//! Driven by the table; no message type is known here.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::{Definition, FieldType, definition};

const MAGIC: &[u8] = b"k8s\0";
/// Messages nest at most this deep in the table; deeper input is hostile.
const DEPTH_MAX: usize = 64;

/// Decodes an `application/vnd.kubernetes.protobuf` body to JSON with `apiVersion` and `kind`.
///
/// # Errors
/// Says what is wrong: no magic number, a kind outside the table, a message that breaks off.
pub fn decode_protobuf(bytes: &[u8]) -> Result<Value, String> {
    let body = bytes
        .strip_prefix(MAGIC)
        .ok_or("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Reader::new(body) {
        match field? {
            (1, Wire::Bytes(type_meta)) => {
                for field in Reader::new(type_meta) {
                    match field? {
                        (1, Wire::Bytes(text)) => api_version = utf8(text)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(message)) => raw = message,
            _ => {}
        }
    }
    let definition = definition_of(&api_version, &kind)
        .ok_or_else(|| format!("no kind \"{kind}\" is registered for version \"{api_version}\""))?;
    let mut object = message(definition, raw, None, 0)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

fn definition_of(api_version: &str, kind: &str) -> Option<&'static Definition> {
    if kind == "DeleteOptions" || kind == "Status" {
        return definition(&format!("io.k8s.apimachinery.pkg.apis.meta.v1.{kind}"));
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("core", api_version));
    let short = group.strip_suffix(".k8s.io").unwrap_or(group);
    definition(&format!("io.k8s.api.{short}.{version}.{kind}"))
}

/// A decoded field: its number, and what the wire holds.
enum Wire<'a> {
    Number(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn number(&mut self) -> Result<u64, String> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.rest.split_first().ok_or("unexpected EOF")?;
            self.rest = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("proto: integer overflow".into())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("unexpected EOF")?;
        self.rest = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), String> {
        let tag = self.number()?;
        let number = u32::try_from(tag >> 3).map_err(|_| "proto: illegal tag".to_owned())?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.number()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes were taken"))),
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| "unexpected EOF".to_owned())?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Number(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes were taken")).into()),
            kind => return Err(format!("proto: illegal wireType {kind}")),
        };
        Ok((number, wire))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u32, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// `embedded` selects the fields of the embedded struct of that number; `None` those of the struct itself.
fn message(
    definition: &Definition,
    bytes: &[u8],
    embedded: Option<u32>,
    depth: usize,
) -> Result<Map<String, Value>, String> {
    if depth > DEPTH_MAX {
        return Err("proto: message nests too deeply".into());
    }
    let mut object = Map::new();
    for field in Reader::new(bytes) {
        let (number, wire) = field?;
        if embedded.is_none() && definition.fields.iter().any(|field| field.embedded == Some(number)) {
            if let Wire::Bytes(inner) = wire {
                object.extend(message(definition, inner, Some(number), depth + 1)?);
            }
            continue;
        }
        let Some(field) = definition.fields.iter().find(|field| field.number == number && field.embedded == embedded)
        else {
            continue;
        };
        match &field.field_type {
            FieldType::List(element) => {
                let item = value(element, &wire, depth)?;
                match object.entry(field.name.clone()).or_insert_with(|| json!([])) {
                    Value::Array(items) => items.push(item),
                    _ => return Err("proto: mixed field".into()),
                }
            }
            FieldType::Map(element) => {
                let Wire::Bytes(pair) = wire else { continue };
                let (key, item) = map_entry(element, pair, depth)?;
                match object.entry(field.name.clone()).or_insert_with(|| json!({})) {
                    Value::Object(map) => map.insert(key, item),
                    _ => return Err("proto: mixed field".into()),
                };
            }
            other => {
                let decoded = value(other, &wire, depth)?;
                if !is_zero(other, &decoded) {
                    object.insert(field.name.clone(), decoded);
                }
            }
        }
    }
    Ok(object)
}

/// Go's encoder writes zero values of fields that are not pointers; JSON's `omitempty` leaves most of them out.
fn is_zero(field_type: &FieldType, value: &Value) -> bool {
    match field_type {
        FieldType::String | FieldType::Bytes => value.as_str() == Some(""),
        FieldType::Struct(_) => value.as_object().is_some_and(Map::is_empty),
        FieldType::Time | FieldType::MicroTime | FieldType::IntOrString | FieldType::Any => value.is_null(),
        _ => false,
    }
}

fn map_entry(element: &FieldType, pair: &[u8], depth: usize) -> Result<(String, Value), String> {
    let (mut key, mut item) = (String::new(), None);
    for field in Reader::new(pair) {
        match field? {
            (1, Wire::Bytes(text)) => key = utf8(text)?,
            (2, wire) => item = Some(value(element, &wire, depth)?),
            _ => {}
        }
    }
    let empty = || if matches!(element, FieldType::String | FieldType::Bytes) { json!("") } else { json!({}) };
    Ok((key, item.unwrap_or_else(empty)))
}

#[expect(clippy::cast_possible_wrap, reason = "protobuf carries signed integers as two's complement")]
fn value(field_type: &FieldType, wire: &Wire<'_>, depth: usize) -> Result<Value, String> {
    match (field_type, wire) {
        (FieldType::Bool, Wire::Number(number)) => Ok((*number != 0).into()),
        (FieldType::Int32 | FieldType::Int64 | FieldType::Duration, Wire::Number(number)) => {
            Ok((*number as i64).into())
        }
        (FieldType::Float64, Wire::Fixed64(bits)) => Ok(f64::from_bits(*bits).into()),
        (FieldType::String, Wire::Bytes(text)) => Ok(utf8(text)?.into()),
        (FieldType::Bytes, Wire::Bytes(bytes)) => Ok(base64::engine::general_purpose::STANDARD.encode(bytes).into()),
        (FieldType::Quantity, Wire::Bytes(bytes)) => first_text(bytes),
        (FieldType::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes),
        (FieldType::Time, Wire::Bytes(bytes)) => time(bytes, false),
        (FieldType::MicroTime, Wire::Bytes(bytes)) => time(bytes, true),
        (FieldType::Any, Wire::Bytes(bytes)) => {
            let mut any = Value::Null;
            for field in Reader::new(bytes) {
                if let (1, Wire::Bytes(json)) = field? {
                    any = serde_json::from_slice(json).map_err(|error| error.to_string())?;
                }
            }
            Ok(any)
        }
        (FieldType::Struct(name), Wire::Bytes(bytes)) => {
            let definition = definition(name).ok_or("proto: unknown message")?;
            Ok(Value::Object(message(definition, bytes, None, depth + 1)?))
        }
        _ => Err("proto: wrong wireType".into()),
    }
}

fn first_text(bytes: &[u8]) -> Result<Value, String> {
    for field in Reader::new(bytes) {
        if let (1, Wire::Bytes(text)) = field? {
            return Ok(utf8(text)?.into());
        }
    }
    Ok("0".into())
}

#[expect(clippy::cast_possible_wrap, reason = "protobuf carries signed integers as two's complement")]
fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut text) = (false, 0_i64, String::new());
    for field in Reader::new(bytes) {
        match field? {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(value)) => number = value as i64,
            (3, Wire::Bytes(value)) => text = utf8(value)?,
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { number.into() })
}

#[expect(clippy::cast_possible_wrap, reason = "protobuf carries signed integers as two's complement")]
fn time(bytes: &[u8], micro: bool) -> Result<Value, String> {
    let (mut seconds, mut nanos) = (None, 0_i32);
    for field in Reader::new(bytes) {
        match field? {
            (1, Wire::Number(value)) => seconds = Some(value as i64),
            (2, Wire::Number(value)) => nanos = i32::try_from(value).unwrap_or(0),
            _ => {}
        }
    }
    let Some(seconds) = seconds else { return Ok(Value::Null) };
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|error| error.to_string())?;
    Ok(if micro { format!("{time:.6}") } else { format!("{time:.0}") }.into())
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "proto: invalid UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).expect("short")];
        out.extend(bytes);
        out
    }

    #[test]
    fn a_config_map_is_decoded() {
        let metadata = field(1, &field(1, b"page"));
        let data = field(2, &[field(1, b"a"), field(2, b"1")].concat());
        let type_meta = field(1, &[field(1, b"v1"), field(2, b"ConfigMap")].concat());
        let raw = field(2, &[metadata, data].concat());
        let body = [MAGIC.to_vec(), type_meta, raw].concat();
        assert_eq!(
            decode_protobuf(&body),
            Ok(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "page"}, "data": {"a": "1"}}))
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_protobuf(&[MAGIC, &bytes].concat());
        }
    }
}
