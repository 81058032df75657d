//! The table of types, parsed once, when it is first asked for.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::OnceLock;

use serde_json::Value;

/// A struct type: its fields in the order of the Go source, those of embedded structs in place.
#[derive(Debug)]
pub struct Definition {
    pub name: String,
    pub fields: Vec<Field>,
    /// Server-side apply replaces it as a whole.
    pub atomic: bool,
    by_name: ByName<usize>,
}

/// Every write asks for hundreds of names. The tables are fixed, so that nobody can choose names that collide in them:
/// a fast hash will do.
type ByName<V> = HashMap<String, V, BuildHasherDefault<NameHasher>>;

/// rustc's `FxHash`, by words.
#[derive(Debug, Default, Clone, Copy)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

/// A field of a struct.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a property of its own in the generated table")]
pub struct Field {
    pub name: String,
    /// Protobuf field number; 0 where it is not part of the message.
    pub number: u32,
    pub field_type: FieldType,
    /// `patchStrategy` lists: `merge`, `replace`, `retainKeys`.
    pub merge: bool,
    pub retain_keys: bool,
    /// `patchMergeKey` of a list of objects.
    pub merge_key: Option<String>,
    /// How server-side apply treats it, for lists.
    pub list_type: ListType,
    /// Server-side apply replaces the map or struct as a whole.
    pub atomic: bool,
    /// Go's encoder leaves it out where it is zero or empty.
    pub omitted_if_zero: bool,
    /// A list, map or pointer that Go's encoder writes as null where it is not set.
    pub written_as_null: bool,
    /// A plain value that Go's encoder writes even where it is not set.
    pub required: bool,
    /// A struct that Go's encoder writes as `{}` even where nothing in it is set.
    pub always_written: bool,
    /// The default of a list key that is absent (`protocol: TCP`).
    pub default: Option<Value>,
    /// Embedded struct whose message is one of its own in protobuf, but whose fields stand here in JSON.
    pub embedded: Option<u32>,
}

/// `x-kubernetes-list-type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListType {
    Atomic,
    Set,
    Map(Vec<String>),
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldType {
    String,
    Bool,
    Int32,
    Int64,
    Float64,
    Bytes,
    Quantity,
    IntOrString,
    Time,
    MicroTime,
    Duration,
    /// Any JSON: `FieldsV1`, `RawExtension`.
    Any,
    List(Box<FieldType>),
    Map(Box<FieldType>),
    Struct(String),
}

impl Definition {
    /// The field of this JSON name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).map(|index| &self.fields[*index])
    }
}

impl FieldType {
    /// The struct that this type is, or is a list or map of.
    pub fn element(&self) -> Option<&'static Definition> {
        match self {
            Self::Struct(name) => definition(name),
            Self::List(element) | Self::Map(element) => element.element(),
            _ => None,
        }
    }
}

/// The struct of this name, `io.k8s.api.core.v1.Container`.
pub fn definition(name: &str) -> Option<&'static Definition> {
    static TABLE: OnceLock<ByName<Definition>> = OnceLock::new();
    TABLE.get_or_init(parse_table).get(name)
}

#[derive(serde::Deserialize)]
struct RawDefinition {
    #[serde(default, rename = "f")]
    fields: Option<Vec<RawField>>,
    #[serde(default, rename = "a")]
    atomic: bool,
    #[serde(default, rename = "d")]
    defaults: HashMap<String, Value>,
}

#[derive(Clone, serde::Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "as they stand in the generated table")]
struct RawField {
    #[serde(rename = "n")]
    name: String,
    #[serde(default, rename = "p")]
    number: u32,
    #[serde(rename = "t")]
    field_type: String,
    #[serde(default, rename = "s")]
    strategy: String,
    #[serde(default, rename = "k")]
    merge_key: String,
    #[serde(default, rename = "l")]
    list: String,
    #[serde(default, rename = "lk")]
    keys: Vec<String>,
    #[serde(default, rename = "a")]
    atomic: bool,
    #[serde(default, rename = "o")]
    omit: bool,
    #[serde(default, rename = "e")]
    null: bool,
    #[serde(default, rename = "r")]
    required: bool,
    #[serde(default, rename = "z")]
    zero: bool,
}

fn parse_table() -> ByName<Definition> {
    let raw: HashMap<String, RawDefinition> =
        serde_json::from_str(include_str!("definitions.json")).expect("the generated table is valid");
    raw.iter().map(|(name, definition)| (name.clone(), build(name, definition, &raw))).collect()
}

fn build(name: &str, raw: &RawDefinition, table: &HashMap<String, RawDefinition>) -> Definition {
    let mut fields = Vec::new();
    for field in raw.fields.iter().flatten() {
        if field.name.is_empty() {
            let embedded = table.get(&field.field_type).and_then(|inner| inner.fields.as_ref());
            for inner in embedded.into_iter().flatten() {
                fields.push(build_field(inner, raw, Some(field.number)));
            }
        } else {
            fields.push(build_field(field, raw, None));
        }
    }
    let by_name = fields.iter().enumerate().map(|(index, field)| (field.name.clone(), index)).collect();
    Definition { name: name.into(), fields, atomic: raw.atomic, by_name }
}

fn build_field(raw: &RawField, owner: &RawDefinition, embedded: Option<u32>) -> Field {
    let list_type = match raw.list.as_str() {
        "set" => ListType::Set,
        "map" => ListType::Map(raw.keys.clone()),
        _ => ListType::Atomic,
    };
    Field {
        name: raw.name.clone(),
        number: raw.number,
        field_type: parse_type(&raw.field_type),
        merge: raw.strategy.split(',').any(|strategy| strategy == "merge"),
        retain_keys: raw.strategy.split(',').any(|strategy| strategy == "retainKeys"),
        merge_key: (!raw.merge_key.is_empty()).then(|| raw.merge_key.clone()),
        list_type,
        atomic: raw.atomic,
        omitted_if_zero: raw.omit,
        written_as_null: raw.null,
        required: raw.required,
        always_written: raw.zero,
        default: owner.defaults.get(&raw.name).cloned(),
        embedded,
    }
}

fn parse_type(text: &str) -> FieldType {
    if let Some(element) = text.strip_prefix("[]") {
        return FieldType::List(Box::new(parse_type(element)));
    }
    if let Some(element) = text.strip_prefix("{}") {
        return FieldType::Map(Box::new(parse_type(element)));
    }
    match text {
        "string" => FieldType::String,
        "bool" => FieldType::Bool,
        "int32" => FieldType::Int32,
        "int64" => FieldType::Int64,
        "float64" => FieldType::Float64,
        "bytes" => FieldType::Bytes,
        "quantity" => FieldType::Quantity,
        "intstr" => FieldType::IntOrString,
        "time" => FieldType::Time,
        "microtime" => FieldType::MicroTime,
        "duration" => FieldType::Duration,
        "fields" | "raw" => FieldType::Any,
        name => FieldType::Struct(name.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds;
    use super::*;

    #[test]
    fn every_served_kind_is_in_the_table() {
        for kind in kinds() {
            assert!(definition(kind.definition).is_some(), "{}", kind.definition);
        }
    }

    #[test]
    fn a_containers_ports_are_a_map_list_and_merge_by_port() {
        let container = definition("io.k8s.api.core.v1.Container").expect("generated");
        let ports = container.field("ports").expect("generated");
        assert_eq!(ports.list_type, ListType::Map(vec!["containerPort".into(), "protocol".into()]));
        assert!(ports.merge);
        assert_eq!(ports.merge_key.as_deref(), Some("containerPort"));
    }

    #[test]
    fn embedded_structs_stand_in_their_owner() {
        let probe = definition("io.k8s.api.core.v1.Probe").expect("generated");
        assert_eq!(probe.field("httpGet").and_then(|field| field.embedded), Some(1));
        assert_eq!(probe.field("periodSeconds").and_then(|field| field.embedded), None);
    }
}
