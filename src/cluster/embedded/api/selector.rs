//! Label and field selectors: hand-written parsers with Kubernetes' words for what is wrong.

use serde_json::Value;

use super::super::registry::{Entry, errors};
use super::super::schema::Kind;
use super::super::status::Status;

/// Which objects a list or a watch is of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Missing,
    Greater,
    Less,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    path: String,
    equal: bool,
    value: String,
}

impl Selector {
    pub fn parse(kind: &Kind, labels: &str, fields: &str) -> Result<Self, Status> {
        let labels = Parser::new(labels)
            .requirements()
            .map_err(|why| errors::bad_request(format!("unable to parse requirement: {why}")))?;
        Ok(Self { labels, fields: parse_fields(kind, fields)? })
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Also asks for one name, as `watch` on an object's own path does.
    pub fn select_name(&mut self, name: &str) {
        self.fields.push(FieldRequirement { path: "metadata.name".into(), equal: true, value: name.into() });
    }

    /// The only name that can match, where the selector names one.
    pub fn name(&self) -> Option<&str> {
        let named = |field: &&FieldRequirement| field.equal && field.path == "metadata.name";
        self.fields.iter().find(named).map(|field| field.value.as_str())
    }

    pub fn matches(&self, entry: &Entry) -> bool {
        self.labels.iter().all(|requirement| requirement.matches(entry)) && self.matches_fields(entry)
    }

    fn matches_fields(&self, entry: &Entry) -> bool {
        let mut parsed: Option<Value> = None;
        self.fields.iter().all(|field| {
            let equal = match field.path.as_str() {
                "metadata.name" => *field.value == *entry.name,
                "metadata.namespace" => *field.value == *entry.namespace,
                path => field_text(parsed.get_or_insert_with(|| entry.value()), path) == field.value,
            };
            equal == field.equal
        })
    }
}

impl Requirement {
    fn matches(&self, entry: &Entry) -> bool {
        let value = entry.label(&self.key);
        let number = |text: &str| text.parse::<i64>().ok();
        let compare = |wanted: fn(&i64, &i64) -> bool| {
            let bound = self.values.first().and_then(|bound| number(bound));
            value.and_then(number).zip(bound).is_some_and(|(value, bound)| wanted(&value, &bound))
        };
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.iter().any(|wanted| wanted == value)),
            Operator::NotIn => !value.is_some_and(|value| self.values.iter().any(|wanted| wanted == value)),
            Operator::Exists => value.is_some(),
            Operator::Missing => value.is_none(),
            Operator::Greater => compare(i64::gt),
            Operator::Less => compare(i64::lt),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Symbol(&'static str),
    End,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Symbol(symbol) => symbol,
            Self::End => "",
        }
    }
}

const SYMBOLS: [&str; 9] = ["!=", "==", "=", "!", "(", ")", ",", ">", "<"];

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn new(text: &str) -> Self {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                tokens.push(Token::Symbol(symbol));
                rest = rest[symbol.len()..].trim_start();
                continue;
            }
            let end =
                rest.find(|letter: char| letter.is_whitespace() || "=!(),><".contains(letter)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = rest[end..].trim_start();
        }
        tokens.push(Token::End);
        Self { tokens, at: 0 }
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn requirements(mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        if *self.peek() == Token::End {
            return Ok(requirements);
        }
        loop {
            match self.peek() {
                Token::Word(_) | Token::Symbol("!") => requirements.push(self.requirement()?),
                other => return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.text())),
            }
            match self.take() {
                Token::End => return Ok(requirements),
                Token::Symbol(",") => {
                    if !matches!(self.peek(), Token::Word(_) | Token::Symbol("!")) {
                        return Err(format!("found '{}', expected: identifier after ','", self.peek().text()));
                    }
                }
                other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = *self.peek() == Token::Symbol("!");
        if negated {
            self.take();
        }
        let key = match self.take() {
            Token::Word(word) => word,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        check_key(&key)?;
        let simple = |operator| Ok(Requirement { key: key.clone(), operator, values: Vec::new() });
        if negated {
            return simple(Operator::Missing);
        }
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            return simple(Operator::Exists);
        }
        let (operator, several) = match self.take() {
            Token::Symbol("=" | "==") => (Operator::In, false),
            Token::Symbol("!=") => (Operator::NotIn, false),
            Token::Symbol(">") => (Operator::Greater, false),
            Token::Symbol("<") => (Operator::Less, false),
            Token::Word(word) if word == "in" => (Operator::In, true),
            Token::Word(word) if word == "notin" => (Operator::NotIn, true),
            other => return Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.text())),
        };
        let values = if several { self.value_set()? } else { vec![self.exact_value()?] };
        check_values(&key, operator, &values)?;
        Ok(Requirement { key, operator, values })
    }

    fn exact_value(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Symbol(",") => Ok(String::new()),
            Token::Word(_) => Ok(self.take().text().to_owned()),
            Token::Symbol(other) => Err(format!("found '{other}', expected: identifier")),
        }
    }

    fn value_set(&mut self) -> Result<Vec<String>, String> {
        match self.take() {
            Token::Symbol("(") => {}
            other => return Err(format!("found '{}' expected: '('", other.text())),
        }
        let mut values = Vec::new();
        loop {
            match self.take() {
                Token::Word(word) => values.push(word),
                Token::Symbol(",")
                    if values.is_empty() || self.tokens.get(self.at.wrapping_sub(2)) == Some(&Token::Symbol(",")) =>
                {
                    values.push(String::new());
                }
                Token::Symbol(",") => {}
                Token::Symbol(")") => {
                    if values.is_empty() || self.tokens.get(self.at.wrapping_sub(2)) == Some(&Token::Symbol(",")) {
                        values.push(String::new());
                    }
                    return Ok(values);
                }
                other => return Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
            }
        }
    }
}

fn name_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| inner(*byte))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    let prefix_fits =
        prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte));
    if name_part(name) && prefix_fits && prefix.len() <= 253 {
        return Ok(());
    }
    Err(format!(
        "key: Invalid value: {key:?}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start \
         and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation \
         is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    ))
}

fn check_values(key: &str, operator: Operator, values: &[String]) -> Result<(), String> {
    if matches!(operator, Operator::Greater | Operator::Less) {
        if values.iter().any(|value| value.parse::<i64>().is_err()) {
            return Err(format!(
                "values[0][{key}]: Invalid value: {:?}: for 'Gt', 'Lt' operators, the value must be an integer",
                values.first().map(String::as_str).unwrap_or_default()
            ));
        }
        return Ok(());
    }
    match values.iter().position(|value| !value.is_empty() && !name_part(value)) {
        None => Ok(()),
        Some(at) => Err(format!(
            "values[{at}][{key}]: Invalid value: {:?}: a valid label must be an empty string or consist of alphanumeric \
             characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
             'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            values[at]
        )),
    }
}

/// The fields that a kind can be selected by, besides its name and namespace.
fn selectable(kind: &Kind) -> &'static [&'static str] {
    match (kind.group, kind.name) {
        ("", "Pod") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "Event") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "Event") => &["regarding.kind", "regarding.name", "regarding.uid", "reason", "type"],
        ("", "Secret") => &["type"],
        ("", "Namespace") => &["status.phase"],
        ("", "Node") => &["spec.unschedulable"],
        ("", "Service") => &["spec.clusterIP", "spec.type"],
        ("apps", "ReplicaSet") => &["status.replicas"],
        ("batch", "Job") => &["status.successful"],
        _ => &[],
    }
}

fn parse_fields(kind: &Kind, text: &str) -> Result<Vec<FieldRequirement>, Status> {
    let mut requirements = Vec::new();
    for part in split_fields(text).into_iter().filter(|part| !part.is_empty()) {
        let (path, equal, value) = if let Some((path, value)) = part.split_once("!=") {
            (path, false, value)
        } else if let Some((path, value)) = part.split_once("==") {
            (path, true, value)
        } else if let Some((path, value)) = part.split_once('=') {
            (path, true, value)
        } else {
            return Err(errors::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'")));
        };
        let own = selectable(kind);
        if !matches!(path, "metadata.name" | "metadata.namespace") && !own.contains(&path) {
            return Err(errors::bad_request(if own.is_empty() {
                format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
            } else {
                format!("field label not supported: {path}")
            }));
        }
        requirements.push(FieldRequirement { path: path.into(), equal, value: unescape(value)? });
    }
    Ok(requirements)
}

/// At commas that no backslash precedes.
fn split_fields(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// As Kubernetes: a backslash may stand before itself, a comma and an equals sign only.
fn unescape(value: &str) -> Result<String, Status> {
    let mut plain = String::new();
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        let escaped = if letter == '\\' { letters.next() } else { Some(letter) };
        match escaped {
            Some(escaped) if letter != '\\' || matches!(escaped, '\\' | ',' | '=') => plain.push(escaped),
            other => {
                let sequence: String = std::iter::once('\\').chain(other).collect();
                return Err(errors::bad_request(format!(
                    "invalid field selector: invalid escape sequence: {sequence}"
                )));
            }
        }
    }
    Ok(plain)
}

/// A field as selectors see it: absent ones are empty, booleans and numbers are printed.
fn field_text(object: &Value, path: &str) -> String {
    let path = if path == "source" { "source.component" } else { path };
    let found = path.split('.').try_fold(object, |value, key| value.get(key));
    match found {
        None | Some(Value::Null) if matches!(path, "spec.unschedulable" | "spec.hostNetwork") => "false".into(),
        None | Some(Value::Null) if matches!(path, "status.replicas" | "status.successful") => "0".into(),
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_parse_or_say_why() {
        let check = |text: &str, expected: Result<usize, &str>| {
            let parsed = Parser::new(text).requirements();
            assert_eq!(parsed.as_ref().map(Vec::len).map_err(String::as_str), expected, "{text}");
        };
        check("", Ok(0));
        check("a", Ok(1));
        check("!a,b=c,d!=e,f==g", Ok(4));
        check("n in (1,2),m notin (x)", Ok(2));
        check("n in (1,,2,)", Ok(1));
        check("a>1,b<2", Ok(2));
        check("app.kubernetes.io/name=x", Ok(1));
        check("a=", Ok(1));
        check("a b c", Err("found 'b', expected: in, notin, =, ==, !=, gt, lt"));
        check(",", Err("found ',', expected: !, identifier, or 'end of string'"));
        check("a,", Err("found '', expected: identifier after ','"));
        check("a in b", Err("found 'b' expected: '('"));
        check("a=b c", Err("found 'c', expected: ',' or 'end of string'"));
        check("a in (", Err("found '', expected: ',', ')' or identifier"));
    }

    #[test]
    fn field_values_may_hold_escaped_commas() {
        assert_eq!(split_fields(r"a=b\,c,d=e"), [r"a=b\,c", "d=e"]);
        assert_eq!(unescape(r"b\,c\\").unwrap(), r"b,c\");
        for (value, sequence) in [(r"b\", r"\"), (r"b\c", r"\c")] {
            let message = unescape(value).unwrap_err().message;
            assert_eq!(message, format!("invalid field selector: invalid escape sequence: {sequence}"));
        }
    }
}
