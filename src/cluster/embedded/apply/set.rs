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

    /// Adds what lies below a step.
    pub fn join(&mut self, step: &Step, inner: Self) {
        if inner.is_empty() {
            return;
        }
        match self.children.get_mut(step) {
            Some(place) => *place = place.union(&inner),
            None => {
                self.children.insert(step.clone(), inner);
            }
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

    /// Takes out the members that are members of `other`.
    pub fn take_out(&mut self, other: &Self) {
        self.member &= !other.member;
        self.take_out_below(other, Self::take_out);
    }

    /// Takes out the members that lie in `other` or below one of its members.
    pub fn take_out_recursively(&mut self, other: &Self) {
        if other.member {
            *self = Self::default();
        } else {
            self.take_out_below(other, Self::take_out_recursively);
        }
    }

    fn take_out_below(&mut self, other: &Self, take_out: impl Fn(&mut Self, &Self)) {
        for (step, theirs) in &other.children {
            let Some(child) = self.children.get_mut(step) else { continue };
            take_out(child, theirs);
            if child.is_empty() {
                self.children.remove(step);
            }
        }
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
                map.insert(step.text(), child.to_fields());
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
    /// As `fieldsV1` writes it.
    fn text(&self) -> String {
        match self {
            Self::Field(name) => ["f:", name].concat(),
            Self::Key(keys) => ["k:", keys].concat(),
            Self::Value(value) => ["v:", value].concat(),
            Self::Index(index) => format!("i:{index}"),
        }
    }

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
