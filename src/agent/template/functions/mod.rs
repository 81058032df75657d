//! The functions of a Helm template: Helm's own, Sprig's, and those of Go's templates.
//!
//! Where the engine's library differs from Sprig (`trimSuffix` that cuts more than once, `merge` that does not
//! go deep, …) there is one here. Each call passes through [`called`], which remembers the function that failed
//! and words the failure as Go does.

mod compare;
mod data;
mod flow;
mod sprig;
mod text;
mod version;

use std::collections::HashMap;

use gtmpl_ng::helm_functions as library;
use gtmpl_ng::{Func, FuncError, Number, NumberKind, Value};

use super::{FAILED, Failed};

/// What a function answers.
type Answer = Result<Value, FuncError>;

/// Functions of Helm that are not here: named so that the error can say it.
pub const KNOWN_BUT_ABSENT: &[&str] = &[
    "ago",
    "bcrypt",
    "buildCustomCert",
    "date",
    "dateInZone",
    "dateModify",
    "decryptAES",
    "derivePassword",
    "duration",
    "durationRound",
    "encryptAES",
    "fromToml",
    "genPrivateKey",
    "genSignedCertWithKey",
    "getHostByName",
    "htmlDate",
    "htmlDateInZone",
    "mustDateModify",
    "mustToDate",
    "osBase",
    "osClean",
    "osDir",
    "osExt",
    "osIsAbs",
    "randBytes",
    "randInt",
    "toDate",
    "toToml",
    "urlJoin",
    "urlParse",
    "werf_secret_file",
    "wrapWith",
];

/// Runs a function; a failure is worded `error calling NAME: …` and remembered.
fn called(name: &'static str, function: Func, arguments: &[Value]) -> Answer {
    check(name, arguments).and_then(|()| function(arguments)).map_err(|error| {
        FAILED.set(Some(Failed::Function(name)));
        FuncError::Generic(format!("error calling {name}: {error}"))
    })
}

/// Refuses what Go's declaration of the function does.
fn check(name: &str, arguments: &[Value]) -> Result<(), FuncError> {
    let Some(signature) = sprig::signature(name) else { return Ok(()) };
    if signature.len() != arguments.len() {
        return fault(format!("wrong number of args for {name}: want {} got {}", signature.len(), arguments.len()));
    }
    for (wanted, value) in signature.chars().zip(arguments) {
        let is_whole = matches!(value, Value::Number(number) if !matches!(number.kind(), NumberKind::Float(_)));
        let (fits, wanted) = match wanted {
            's' => (matches!(value, Value::String(_)), "string"),
            'i' => (is_whole, "int"),
            'm' => (matches!(value, Value::Map(_) | Value::Object(_)), "map[string]interface {}"),
            'b' => (matches!(value, Value::Bool(_)), "bool"),
            _ => (true, ""),
        };
        if !fits && is_nil(value) {
            return fault(format!("invalid value; expected {wanted}"));
        }
        if !fits {
            return fault(format!("wrong type for value; expected {wanted}; got {}", type_name(value)));
        }
    }
    Ok(())
}

macro_rules! functions {
    ($($name:literal => $function:expr,)*) => {
        /// All functions but the lazy `and` and `or`, which are the engine's.
        pub static FUNCTIONS: &[(&str, Func)] = &[
            ("_fields", flow::fields as Func),
            $(($name, {
                fn call(arguments: &[Value]) -> Answer {
                    called($name, $function, arguments)
                }
                call as Func
            }),)*
        ];
    };
}

functions! {
    "_method" => flow::method,
    "include" => flow::include,
    "tpl" => flow::tpl,
    "required" => flow::required,
    "fail" => flow::fail,
    "lookup" => flow::lookup,
    "default" => flow::default,
    "empty" => flow::empty,
    "coalesce" => flow::coalesce,
    "ternary" => flow::ternary,
    "all" => flow::all,
    "any" => flow::any,
    "index" => flow::index,
    "now" => flow::now,
    "unixEpoch" => flow::unix_epoch,
    "hello" => flow::hello,
    "typeOf" => flow::type_of,
    "typeIs" => flow::type_is,
    "typeIsLike" => flow::type_is,
    "kindOf" => flow::kind_of,
    "kindIs" => flow::kind_is,
    "deepEqual" => flow::deep_equal,
    "eq" => compare::eq,
    "ne" => compare::ne,
    "lt" => compare::lt,
    "le" => compare::le,
    "gt" => compare::gt,
    "ge" => compare::ge,
    "werf_image" => flow::removed,
    "quote" => text::quote,
    "squote" => text::squote,
    "toString" => text::to_string,
    "toStrings" => text::to_strings,
    "indent" => text::indent,
    "nindent" => text::nindent,
    "trimPrefix" => text::trim_prefix,
    "trimSuffix" => text::trim_suffix,
    "trimAll" => text::trim_all,
    "trimall" => text::trim_all,
    "title" => text::title,
    "trunc" => text::trunc,
    "join" => text::join,
    "split" => text::split,
    "splitn" => text::splitn,
    "splitList" => text::split_list,
    "sortAlpha" => text::sort_alpha,
    "replace" => text::replace,
    "regexQuoteMeta" => text::regex_quote_meta,
    "adler32sum" => text::adler32sum,
    "cat" => text::cat,
    "toYaml" => data::to_yaml,
    "mustToYaml" => data::to_yaml,
    "toYamlPretty" => data::to_yaml_pretty,
    "fromYaml" => data::from_yaml,
    "fromYamlArray" => data::from_yaml_array,
    "toJson" => data::to_json,
    "mustToJson" => data::to_json,
    "toRawJson" => data::to_raw_json,
    "mustToRawJson" => data::to_raw_json,
    "toPrettyJson" => data::to_pretty_json,
    "mustToPrettyJson" => data::to_pretty_json,
    "fromJson" => data::from_json_text,
    "mustFromJson" => data::from_json_text,
    "fromJsonArray" => data::from_json_array,
    "dict" => data::dict,
    "list" => library::utils::list,
    "tuple" => library::utils::list,
    "get" => data::get,
    "set" => data::set,
    "unset" => data::unset,
    "hasKey" => data::has_key,
    "keys" => data::keys,
    "values" => data::values,
    "pick" => library::dicts::pick,
    "omit" => library::dicts::omit,
    "pluck" => data::pluck,
    "dig" => data::dig,
    "merge" => data::merge,
    "mustMerge" => data::merge,
    "mergeOverwrite" => data::merge_overwrite,
    "mustMergeOverwrite" => data::merge_overwrite,
    "deepCopy" => data::deep_copy,
    "mustDeepCopy" => data::deep_copy,
    "first" => data::first,
    "mustFirst" => data::first,
    "last" => data::last,
    "mustLast" => data::last,
    "chunk" => data::chunk,
    "mustChunk" => data::chunk,
    "has" => data::has,
    "mustHas" => data::has,
    "compact" => data::compact,
    "mustCompact" => data::compact,
    "_shown" => version::shown,
    "semver" => version::semver,
    "semverCompare" => version::semver_compare,
    "len" => flow::len,
    "not" => flow::not,
    "trim" => library::string::trim,
    "lower" => library::string::lower,
    "upper" => library::string::upper,
    "untitle" => sprig::untitle,
    "repeat" => library::string::repeat,
    "substr" => sprig::substr,
    "nospace" => library::string::nospace,
    "abbrev" => library::string::abbrev,
    "abbrevboth" => sprig::abbrevboth,
    "initials" => library::string::initials,
    "randAlpha" => library::string::rand_alpha,
    "randNumeric" => library::string::rand_numeric,
    "randAlphaNum" => library::string::rand_alpha_num,
    "randAscii" => library::string::rand_ascii,
    "contains" => library::string::contains,
    "hasPrefix" => library::string::has_prefix,
    "hasSuffix" => library::string::has_suffix,
    "plural" => library::string::plural,
    "snakecase" => sprig::snakecase,
    "camelcase" => sprig::camelcase,
    "kebabcase" => sprig::kebabcase,
    "swapcase" => library::string::swapcase,
    "shuffle" => library::string::shuffle,
    "sha1sum" => library::crypto::sha1sum,
    "sha256sum" => library::crypto::sha256sum,
    "sha512sum" => library::crypto::sha512sum,
    "htpasswd" => library::crypto::htpasswd,
    "genCA" => library::certs::gen_ca,
    "genSelfSignedCert" => library::certs::gen_self_signed_cert,
    "genSignedCert" => library::certs::gen_signed_cert,
    "b64enc" => library::encoding::b64enc,
    "b64dec" => text::b64dec,
    "b32enc" => library::encoding::b32enc,
    "b32dec" => library::encoding::b32dec,
    "add" => sprig::add,
    "sub" => sprig::sub,
    "div" => sprig::div,
    "mod" => sprig::modulo,
    "mul" => sprig::mul,
    "add1" => sprig::add1,
    "max" => sprig::max,
    "biggest" => sprig::max,
    "min" => sprig::min,
    "addf" => library::math::addf,
    "add1f" => library::math::add1f,
    "subf" => library::math::subf,
    "divf" => library::math::divf,
    "mulf" => library::math::mulf,
    "maxf" => library::math::maxf,
    "minf" => library::math::minf,
    "floor" => library::math::floor,
    "ceil" => library::math::ceil,
    "round" => library::math::round,
    "atoi" => sprig::atoi,
    "float64" => library::types::float64,
    "int" => sprig::int,
    "int64" => sprig::int,
    "rest" => library::lists::rest,
    "mustRest" => library::lists::rest,
    "initial" => library::lists::initial,
    "mustInitial" => library::lists::initial,
    "append" => library::lists::append,
    "push" => library::lists::append,
    "mustAppend" => library::lists::append,
    "mustPush" => library::lists::append,
    "prepend" => library::lists::prepend,
    "mustPrepend" => library::lists::prepend,
    "concat" => library::lists::concat,
    "reverse" => library::lists::reverse,
    "mustReverse" => library::lists::reverse,
    "uniq" => library::lists::uniq,
    "mustUniq" => library::lists::uniq,
    "without" => library::lists::without,
    "mustWithout" => library::lists::without,
    "slice" => library::lists::slice,
    "mustSlice" => library::lists::slice,
    "until" => library::lists::until,
    "untilStep" => library::lists::until_step,
    "seq" => sprig::seq,
    "base" => sprig::base,
    "dir" => sprig::dir,
    "clean" => sprig::clean,
    "ext" => library::paths::ext,
    "isAbs" => library::paths::is_abs,
    "regexMatch" => sprig::regex_match,
    "mustRegexMatch" => sprig::must_regex_match,
    "regexFindAll" => library::regex::regex_find_all,
    "mustRegexFindAll" => library::regex::regex_find_all,
    "regexFind" => library::regex::regex_find,
    "mustRegexFind" => library::regex::regex_find,
    "regexReplaceAll" => sprig::regex_replace_all,
    "mustRegexReplaceAll" => sprig::regex_replace_all,
    "regexReplaceAllLiteral" => sprig::regex_replace_all_literal,
    "mustRegexReplaceAllLiteral" => sprig::regex_replace_all_literal,
    "regexSplit" => library::regex::regex_split,
    "mustRegexSplit" => library::regex::regex_split,
    "toDecimal" => sprig::to_decimal,
    "wrap" => sprig::wrap,
    "uuidv4" => library::misc::uuidv4,
}

/// A failure with this text.
fn fault<T>(text: impl Into<String>) -> Result<T, FuncError> {
    Err(FuncError::Generic(text.into()))
}

/// The argument at a position, nil where there is none.
fn argument(arguments: &[Value], position: usize) -> &Value {
    arguments.get(position).unwrap_or(&Value::Nil)
}

/// Fails as Go does unless there are exactly so many arguments.
fn exactly(arguments: &[Value], want: usize) -> Result<(), FuncError> {
    if arguments.len() == want {
        return Ok(());
    }
    fault(format!("wrong number of args: want {want} got {}", arguments.len()))
}

/// Whether a value is nothing at all.
fn is_nil(value: &Value) -> bool {
    matches!(value, Value::Nil | Value::NoValue)
}

/// The text that Sprig makes of any value.
fn as_text(value: &Value) -> String {
    if is_nil(value) { "<nil>".into() } else { value.to_string() }
}

/// The value as a string argument; Go refuses others.
fn string(value: &Value) -> Result<&str, FuncError> {
    match value {
        Value::String(text) => Ok(text),
        other if is_nil(other) => fault("invalid value; expected string"),
        other => fault(format!("wrong type for value; expected string; got {}", type_name(other))),
    }
}

/// The value as a whole number.
fn integer(value: &Value) -> Result<i64, FuncError> {
    match value {
        Value::Number(number) => Ok(match number.kind() {
            NumberKind::Signed(signed) => signed,
            NumberKind::Unsigned(unsigned) => i64::try_from(unsigned).unwrap_or(i64::MAX),
            #[allow(clippy::cast_possible_truncation, reason = "Sprig truncates as well")]
            NumberKind::Float(float) => float as i64,
        }),
        other => fault(format!("wrong type for value; expected int; got {}", type_name(other))),
    }
}

/// The entries of a map.
fn map(value: &Value) -> Result<&HashMap<String, Value>, FuncError> {
    match value {
        Value::Map(entries) | Value::Object(entries) => Ok(entries),
        other => fault(format!("wrong type for value; expected map[string]interface {{}}; got {}", type_name(other))),
    }
}

/// Go's name of the value's type.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::NoValue | Value::Nil => "nil",
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        Value::Object(_) | Value::Map(_) => "map[string]interface {}",
        Value::Array(_) => "[]interface {}",
        Value::Function(_) => "func",
        Value::Number(number) => match number.kind() {
            NumberKind::Float(_) => "float64",
            NumberKind::Signed(_) | NumberKind::Unsigned(_) => "int",
        },
    }
}

/// JSON as the engine's values; whole numbers stay whole.
pub fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        serde_json::Value::Number(number) => number.as_i64().map_or_else(
            || number.as_u64().map_or_else(|| float(number.as_f64().unwrap_or_default()), Value::from),
            Value::from,
        ),
        serde_json::Value::String(text) => Value::String(text.clone()),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(from_json).collect()),
        serde_json::Value::Object(entries) => {
            Value::Map(entries.iter().map(|(key, value)| (key.clone(), from_json(value))).collect())
        }
    }
}

/// A number of a values file, which is a float to Helm whole or not. The engine takes a zero that is one for true.
fn float(number: f64) -> Value {
    if number == 0.0 { Value::from(0) } else { Value::Number(Number::float(number)) }
}

/// The engine's values as JSON.
fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::NoValue | Value::Nil | Value::Function(_) => serde_json::Value::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::String(text) => text.clone().into(),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Object(entries) | Value::Map(entries) => {
            serde_json::Value::Object(entries.iter().map(|(key, value)| (key.clone(), to_json(value))).collect())
        }
        Value::Number(number) => match number.kind() {
            NumberKind::Signed(signed) => signed.into(),
            NumberKind::Unsigned(unsigned) => unsigned.into(),
            // Go writes a float without a fraction as a whole number.
            #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
            NumberKind::Float(float) if float.fract() == 0.0 && float.abs() < 1e18 => (float as i64).into(),
            NumberKind::Float(float) => float.into(),
        },
    }
}

/// JSON of a template's text as Go unmarshals it: every number a float.
fn from_json_of_text(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Number(number) => float(number.as_f64().unwrap_or_default()),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(from_json_of_text).collect()),
        serde_json::Value::Object(entries) => {
            Value::Map(entries.iter().map(|(key, value)| (key.clone(), from_json_of_text(value))).collect())
        }
        other => from_json(other),
    }
}
