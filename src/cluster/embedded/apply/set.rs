//! Sets of fields, and their JSON form `fieldsV1`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A step of a field's path. The order is that of structured-merge-diff: fields, keys, values, indexes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A field of a struct or map, `f:name`.
    Field(String),
    /// An item of a list by its keys, `k:{"name":"web"}`; the keys as canonical JSON.
    Key(String),
    /// An item of a set by its value, `v:"x"`; the value as JSON.
    Value(String),
    /// An item of an atomic list, only in messages.
    Index(usize),
}

/// A set of fields: which are members, and what lies below them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// This very place is a member (`.` in `fieldsV1`).
    pub member: bool,
    pub children: BTreeMap<Step, FieldSet>,
}

impl FieldSet {
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// Adds the place at the end of `path`.
    pub fn insert(&mut self, path: &[Step]) {
        match path.split_first() {
            None => self.member = true,
            Some((first, rest)) => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    pub fn union(&self, other: &Self) -> Self {
        let mut result = self.clone();
        result.member |= other.member;
        for (step, child) in &other.children {
            let entry = result.children.entry(step.clone()).or_default();
            *entry = entry.union(child);
        }
        result
    }

    /// The members of `self` that are no members of `other`.
    pub fn difference(&self, other: &Self) -> Self {
        self.keep(other, |mine, theirs| mine && !theirs)
    }

    /// The members of both.
    pub fn intersection(&self, other: &Self) -> Self {
        self.keep(other, |mine, theirs| mine && theirs)
    }

    fn keep(&self, other: &Self, member: impl Fn(bool, bool) -> bool + Copy) -> Self {
        let nothing = Self::default();
        let children = self
            .children
            .iter()
            .map(|(step, child)| (step.clone(), child.keep(other.children.get(step).unwrap_or(&nothing), member)))
            .filter(|(_, child)| !child.is_empty())
            .collect();
        Self { member: member(self.member, other.member), children }
    }

    /// The members of `self` that lie neither in `other` nor below one of its members.
    pub fn recursive_difference(&self, other: &Self) -> Self {
        if other.member {
            return Self::default();
        }
        let nothing = Self::default();
        let children = self
            .children
            .iter()
            .map(|(step, child)| {
                let theirs = other.children.get(step).unwrap_or(&nothing);
                (step.clone(), child.recursive_difference(theirs))
            })
            .filter(|(_, child)| !child.is_empty())
            .collect();
        Self { member: self.member, children }
    }

    /// Every member's path, in order.
    pub fn paths(&self) -> Vec<Vec<Step>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    /// The members of a level come before what lies below them.
    fn collect(&self, prefix: &mut Vec<Step>, paths: &mut Vec<Vec<Step>>) {
        for (step, _) in self.children.iter().filter(|(_, child)| child.member) {
            let mut path = prefix.clone();
            path.push(step.clone());
            paths.push(path);
        }
        for (step, child) in &self.children {
            prefix.push(step.clone());
            child.collect(prefix, paths);
            prefix.pop();
        }
    }

    /// The place below `step`, where there is one.
    pub fn child(&self, step: &Step) -> Option<&Self> {
        self.children.get(step)
    }

    /// As `fieldsV1` writes it.
    pub fn to_fields(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".into(), Value::Object(Map::new()));
        }
        for (step, child) in &self.children {
            if !child.is_empty() {
                map.insert(step.to_string(), child.to_fields());
            }
        }
        Value::Object(map)
    }

    /// Reads `fieldsV1`; what is none is left out.
    pub fn from_fields(fields: &Value) -> Self {
        let mut set = Self::default();
        for (name, inner) in fields.as_object().into_iter().flatten() {
            if name == "." {
                set.member = true;
            } else if let Some(step) = Step::parse(name) {
                let mut child = Self::from_fields(inner);
                child.member |= inner.as_object().is_none_or(Map::is_empty);
                set.children.insert(step, child);
            }
        }
        set
    }
}

impl Step {
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest.into())),
            "k" => Some(Self::Key(canonical(rest)?)),
            "v" => Some(Self::Value(canonical(rest)?)),
            _ => None,
        }
    }
}

fn canonical(json: &str) -> Option<String> {
    serde_json::from_str::<Value>(json).ok().map(|value| value.to_string())
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(name) => write!(f, "f:{name}"),
            Self::Key(keys) => write!(f, "k:{keys}"),
            Self::Value(value) => write!(f, "v:{value}"),
            Self::Index(index) => write!(f, "i:{index}"),
        }
    }
}

/// A path as conflicts show it: `.spec.template.spec.containers[name="web"].image`.
pub fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name) => {
                text.push('.');
                text.push_str(name);
            }
            Step::Key(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let parts: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                text.push_str(&format!("[{}]", parts.join(",")));
            }
            Step::Value(value) => text.push_str(&format!("[={value}]")),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}
