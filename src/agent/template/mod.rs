//! Helm's templates on the engine of `gtmpl-ng`: named templates, `include` and `tpl`, Helm's functions with
//! Helm's semantics, and errors with Helm's texts and positions.
//!
//! The engine's functions are plain `fn` pointers, so the set of templates that `include` looks into stands in
//! a thread-local for as long as a rendering lasts; a rendering owns its thread.

mod functions;
mod rewrite;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use gtmpl_ng::{Context, ExecError, ParseError, Template, Value};

pub use rewrite::actions;
use rewrite::{Rewritten, rewrite};

/// Around what the chart's author says through `fail` and `required`.
const AUTHOR_START: &str = "\u{1}author:";
const AUTHOR_END: &str = "\u{2}";

/// How deep `include` and `tpl` may nest.
const NESTING_MAX: usize = 64;

/// The stack of the rendering thread, in bytes: room for templates that nest as deep as they may.
const STACK_SIZE_BYTES: usize = 256 * 1024 * 1024;

/// One template of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, which is its path below the chart's name: `demo-app/templates/service.yaml`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Renders the named templates over one context each.
///
/// # Errors
/// Helm's text for the first template, in order, that does not parse or fails.
pub fn render(sources: Vec<Source>, jobs: Vec<(String, serde_json::Value)>) -> Result<Vec<String>, String> {
    let work = move || {
        let set = Rc::new(Set::parse(sources)?);
        ACTIVE.set(Some(set.clone()));
        let outputs = jobs
            .iter()
            .map(|(name, context)| {
                let output = set.execute(name, functions::from_json(context));
                output.map(|output| output.replace("<no value>", "")).map_err(|fault| outermost(&fault))
            })
            .collect();
        ACTIVE.set(None);
        outputs
    };
    std::thread::Builder::new()
        .stack_size(STACK_SIZE_BYTES)
        .spawn(work)
        .map_err(|error| error.to_string())?
        .join()
        .unwrap_or_else(|_| Err("the template engine stopped unexpectedly".into()))
}

/// Helm's text of a failure: of what the author says, only that and where the outermost template stood.
fn outermost(fault: &str) -> String {
    let Some((_, rest)) = fault.split_once(AUTHOR_START) else { return format!("template: {fault}") };
    let message = rest.split(AUTHOR_END).next().unwrap_or(rest);
    let place = fault.split(": ").next().unwrap_or_default();
    format!("execution error at ({place}): {message}")
}

thread_local! {
    static ACTIVE: RefCell<Option<Rc<Set>>> = const { RefCell::new(None) };
    static FAILED: RefCell<Option<Failed>> = const { RefCell::new(None) };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// What failed last, as only the function knows it.
#[derive(Debug, Clone)]
enum Failed {
    /// A call of this function.
    Function(&'static str),
    /// The field chain with this number, of the template that is being executed.
    Site(usize),
}

/// All templates of a chart, parsed as often as they are nested.
struct Set {
    sources: Vec<Source>,
    rewritten: Vec<Rewritten>,
    /// Which source a `define` stands in.
    definitions: HashMap<String, usize>,
    idle: RefCell<Vec<Template>>,
}

impl Set {
    fn parse(sources: Vec<Source>) -> Result<Self, String> {
        let rewritten: Vec<Rewritten> = sources.iter().map(|source| rewrite(&source.text)).collect();
        let mut definitions = HashMap::new();
        for (number, source) in sources.iter().enumerate() {
            definitions.extend(defined(&source.text).into_iter().map(|name| (name, number)));
        }
        definitions.extend(sources.iter().enumerate().map(|(number, source)| (source.name.clone(), number)));
        let set = Self { sources, rewritten, definitions, idle: RefCell::default() };
        let template = set.template()?;
        set.idle.borrow_mut().push(template);
        Ok(set)
    }

    /// A template that holds the whole set.
    fn template(&self) -> Result<Template, String> {
        let mut template = Template::default();
        template.add_funcs(functions::FUNCTIONS);
        for (source, rewritten) in self.sources.iter().zip(&self.rewritten) {
            template
                .add_template(source.name.clone(), rewritten.text.clone())
                .map_err(|error| parse_error(&source.name, &error))?;
        }
        Ok(template)
    }

    /// Renders one template of the set; the error is Go's, without its leading `template: `.
    fn execute(&self, name: &str, data: Value) -> Result<String, String> {
        if !self.definitions.contains_key(name) {
            return Err(format!("no template {name:?} associated with template \"gotpl\""));
        }
        if DEPTH.get() >= NESTING_MAX {
            return Err(format!("rendering template has a nested reference name: {name}: unable to execute template"));
        }
        let idle = self.idle.borrow_mut().pop();
        let mut template = idle.map_or_else(|| self.template(), Ok)?;
        name.clone_into(&mut template.name);
        DEPTH.set(DEPTH.get() + 1);
        let output = template.render(&Context::from(data));
        DEPTH.set(DEPTH.get() - 1);
        self.idle.borrow_mut().push(template);
        output.map_err(|error| self.describe(name, &error))
    }

    /// Go's text for an error of execution: `FILE:LINE:COLUMN: executing NAME at <EXPRESSION>: CAUSE`.
    fn describe(&self, name: &str, error: &ExecError) -> String {
        let Some(structured) = error.as_structured() else { return format!("{name}: {error}") };
        let context = &structured.context;
        let template = if context.name.is_empty() { name } else { &context.name };
        let number = self.definitions.get(template).or_else(|| self.definitions.get(name)).copied().unwrap_or_default();
        let (source, rewritten) = (&self.sources[number], &self.rewritten[number]);
        let action = rewritten.original(context.line, context.col).unwrap_or(0..0);
        let (offset, expression) = match FAILED.take() {
            Some(Failed::Site(site)) => {
                rewritten.sites.get(site).map_or((action.start, String::new()), |site| (site.offset, site.text.clone()))
            }
            Some(Failed::Function(function)) => command(&source.text, action, function),
            None => {
                let text = source.text[action.clone()].trim_matches(['{', '}', '-', ' ']).to_owned();
                (action.start + source.text[action].find(&text).unwrap_or(0), text)
            }
        };
        let before = &source.text[..offset];
        let line = before.matches('\n').count() + 1;
        let column = offset - before.rfind('\n').map_or(0, |found| found + 1);
        let message = cause(&structured.message);
        format!("{}:{line}:{column}: executing {template:?} at <{}>: {message}", source.name, shorten(&expression))
    }
}

/// Renders a template of the active set, for `include`.
fn include(name: &str, data: Value) -> Result<String, String> {
    let set = ACTIVE.with_borrow(Clone::clone).ok_or("no templates")?;
    set.execute(name, data)
}

/// Renders a text with the active set's templates, for `tpl`.
fn evaluate(text: &str, data: Value) -> Result<String, String> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let set = ACTIVE.with_borrow(Clone::clone).ok_or("no templates")?;
    if DEPTH.get() >= NESTING_MAX {
        return Err("tpl nests too deep".into());
    }
    let mut sources = set.sources.clone();
    sources.push(Source { name: "gotpl".into(), text: text.into() });
    let inner = Rc::new(Set::parse(sources)?);
    ACTIVE.set(Some(inner.clone()));
    let output = inner.execute("gotpl", data);
    ACTIVE.set(Some(set));
    output
}

/// The names that a text defines.
fn defined(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for keyword in ["define", "block"] {
        for (at, _) in text.match_indices(keyword) {
            let before = text[..at].trim_end_matches([' ', '-', '\t']);
            let after = text[at + keyword.len()..].trim_start();
            let quoted = after.strip_prefix('"').and_then(|rest| rest.split_once('"'));
            if let (true, Some((name, _))) = (before.ends_with("{{"), quoted) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// The command of an action that calls `function`, and where it starts.
fn command(text: &str, action: std::ops::Range<usize>, function: &str) -> (usize, String) {
    let action_text = &text[action.clone()];
    let is_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '$' | '"');
    let found = action_text
        .match_indices(function)
        .map(|(at, _)| at)
        .find(|at| !action_text[..*at].ends_with(is_word) && !action_text[at + function.len()..].starts_with(is_word));
    let at = found.unwrap_or(0);
    let mut depth = 0;
    let mut quoted = None;
    let mut end = action_text.len();
    for (index, letter) in action_text[at..].char_indices() {
        match (quoted, letter) {
            (Some(quote), letter) if quote == letter => quoted = None,
            (None, '"' | '`') => quoted = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') if depth > 0 => depth -= 1,
            (None, ')' | '|' | '}') if depth == 0 => {
                end = at + index;
                break;
            }
            _ => {}
        }
    }
    (action.start + at, action_text[at..end].trim_end_matches([' ', '-', '\n', '\t']).to_owned())
}

/// Go cuts the expression after twenty characters.
fn shorten(expression: &str) -> String {
    expression.replace('\n', " ")
}

/// The engine's messages in Go's words, where they differ.
fn cause(message: &str) -> String {
    match message {
        "only maps and objects have fields" => "can't evaluate field in this type".into(),
        message => message.strip_prefix("template ").map_or_else(
            || message.to_owned(),
            |rest| {
                rest.strip_suffix(" not defined")
                    .map_or_else(|| message.to_owned(), |name| format!("template {name:?} not defined"))
            },
        ),
    }
}

/// Helm's text for a template that does not parse.
fn parse_error(name: &str, error: &gtmpl_ng::TemplateError) -> String {
    let gtmpl_ng::TemplateError::ParseError(ParseError::WithContext(context, message)) = error else {
        return format!("parse error at ({name}): {error}");
    };
    let words: Vec<&str> = message.split(' ').collect();
    let message = match words.as_slice() {
        ["function", function, "not", "defined"] if functions::KNOWN_BUT_ABSENT.contains(function) => {
            format!("function {function:?} is not available in the embedded werf")
        }
        ["function", function, "not", "defined"] => format!("function {function:?} not defined"),
        _ => message.clone(),
    };
    format!("parse error at ({name}:{}): {message}", context.line)
}

#[cfg(test)]
mod tests;
