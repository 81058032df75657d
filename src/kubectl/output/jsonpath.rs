//! Kubernetes' JSONPath templates: `{.items[*].metadata.name}`, `{range …}…{end}`, filters, slices, `{"\n"}`.

use serde_json::Value;

use super::json;

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>, Vec<Part>),
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    All,
    Index(i64),
    Slice(Option<i64>, Option<i64>, i64),
    Several(Vec<String>),
    Recursive,
    Filter { path: Vec<Step>, operator: String, operand: Option<Operand> },
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Value(Value),
    Path(Vec<Step>),
}

/// Evaluates a template on an object. Errors are worded as kubectl does after `error: `.
pub fn evaluate(template: &str, object: &Value) -> Result<String, String> {
    let (parts, _) = parse(template.chars().collect::<Vec<_>>().as_slice(), 0, false)?;
    let mut text = String::new();
    write(&parts, object, object, &mut text)?;
    Ok(text)
}

fn write(parts: &[Part], root: &Value, current: &Value, text: &mut String) -> Result<(), String> {
    for part in parts {
        match part {
            Part::Text(plain) => text.push_str(plain),
            Part::Path(steps) => {
                let found = walk(steps, root, current)?;
                let shown: Vec<String> = found.iter().map(|value| show(value)).collect();
                text.push_str(&shown.join(" "));
            }
            Part::Range(steps, body) => {
                for value in walk(steps, root, current)? {
                    write(body, root, value, text)?;
                }
            }
        }
    }
    Ok(())
}

fn show(value: &Value) -> String {
    match value {
        Value::String(string) => string.clone(),
        Value::Null => String::new(),
        other => json::compact(other),
    }
}

/// The values that a path leads to. A field that is missing is no error, as with `--allow-missing-template-keys`.
fn walk<'v>(steps: &[Step], root: &'v Value, current: &'v Value) -> Result<Vec<&'v Value>, String> {
    let mut values = vec![current];
    for step in steps {
        let mut next = Vec::new();
        for value in values {
            follow(step, root, value, &mut next)?;
        }
        values = next;
    }
    Ok(values)
}

fn follow<'v>(step: &Step, root: &'v Value, value: &'v Value, next: &mut Vec<&'v Value>) -> Result<(), String> {
    match step {
        Step::Field(name) if name == "$" => next.push(root),
        Step::Field(name) => next.extend(value.get(name)),
        Step::Several(names) => next.extend(names.iter().filter_map(|name| value.get(name))),
        Step::All => match value {
            Value::Array(items) => next.extend(items),
            Value::Object(map) => next.extend(map.values()),
            _ => {}
        },
        Step::Index(index) => {
            let items = value.as_array().ok_or("is not array or slice")?;
            let found = position(*index, items.len()).and_then(|position| items.get(position));
            next.push(
                found.ok_or_else(|| format!("array index out of bounds: index {index}, length {}", items.len()))?,
            );
        }
        Step::Slice(from, to, by) => {
            let items = value.as_array().ok_or("is not array or slice")?;
            let bound = |bound: Option<i64>, default: usize| {
                bound.map_or(default, |bound| position(bound, items.len()).unwrap_or(0).min(items.len()))
            };
            let (from, to) = (bound(*from, 0), bound(*to, items.len()));
            let by = usize::try_from(*by).unwrap_or(1).max(1);
            next.extend(items.get(from..to).unwrap_or_default().iter().step_by(by));
        }
        Step::Recursive => descend(value, next),
        Step::Filter { path, operator, operand } => {
            for item in value.as_array().into_iter().flatten() {
                if holds(path, operator, operand.as_ref(), root, item)? {
                    next.push(item);
                }
            }
        }
    }
    Ok(())
}

fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index + length } else { index }).ok()
}

fn descend<'v>(value: &'v Value, next: &mut Vec<&'v Value>) {
    next.push(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| descend(item, next)),
        Value::Object(map) => map.values().for_each(|item| descend(item, next)),
        _ => {}
    }
}

fn holds(path: &[Step], operator: &str, operand: Option<&Operand>, root: &Value, item: &Value) -> Result<bool, String> {
    let found = walk(path, root, item)?;
    let Some(left) = found.first() else { return Ok(false) };
    let right = match operand {
        None => return Ok(true),
        Some(Operand::Value(value)) => value,
        Some(Operand::Path(path)) => match walk(path, root, item)?.first() {
            Some(value) => value,
            None => return Ok(false),
        },
    };
    let numbers = (left.as_f64(), right.as_f64());
    let order = match (numbers, left.as_str(), right.as_str()) {
        ((Some(left), Some(right)), ..) => left.partial_cmp(&right),
        (_, Some(left), Some(right)) => Some(left.cmp(right)),
        _ if *left == right => Some(std::cmp::Ordering::Equal),
        _ => None,
    };
    Ok(match operator {
        "==" => order.is_some_and(std::cmp::Ordering::is_eq),
        "!=" => !order.is_some_and(std::cmp::Ordering::is_eq),
        "<" => order.is_some_and(std::cmp::Ordering::is_lt),
        "<=" => order.is_some_and(std::cmp::Ordering::is_le),
        ">" => order.is_some_and(std::cmp::Ordering::is_gt),
        _ => order.is_some_and(std::cmp::Ordering::is_ge),
    })
}

/// Reads parts up to the end, or inside of a range up to its `{end}`; returns where it stopped.
fn parse(text: &[char], mut at: usize, inside_range: bool) -> Result<(Vec<Part>, usize), String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    while at < text.len() {
        if text[at] != '{' {
            plain.push(text[at]);
            at += 1;
            continue;
        }
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        let (action, after) = action(text, at + 1)?;
        at = after;
        let action = action.trim();
        if action == "end" {
            return if inside_range { Ok((parts, at)) } else { Err("not in range, nothing to end".into()) };
        } else if let Some(path) = action.strip_prefix("range") {
            let (body, after) = parse(text, at, true)?;
            at = after;
            parts.push(Part::Range(steps(path.trim())?, body));
        } else if action.starts_with(['"', '\'']) {
            parts.push(Part::Text(unquote(action)?));
        } else {
            parts.push(Part::Path(steps(action)?));
        }
    }
    if inside_range {
        return Err("unclosed range, missing {end}".into());
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok((parts, at))
}

/// What stands between braces, quotes respected.
fn action(text: &[char], from: usize) -> Result<(String, usize), String> {
    let mut quote = None;
    let mut inside = String::new();
    let mut at = from;
    while at < text.len() {
        let character = text[at];
        match quote {
            Some(_) if character == '\\' && at + 1 < text.len() => {
                inside.push(character);
                at += 1;
                inside.push(text[at]);
                at += 1;
                continue;
            }
            Some(open) if character == open => quote = None,
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None if character == '}' => return Ok((inside, at + 1)),
            _ => {}
        }
        inside.push(character);
        at += 1;
    }
    Err("unclosed action".into())
}

fn unquote(text: &str) -> Result<String, String> {
    let inside = text.get(1..text.len().saturating_sub(1)).ok_or("unterminated quoted string")?;
    let mut plain = String::new();
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some(other) => plain.push(other),
            None => return Err("unterminated quoted string".into()),
        }
    }
    Ok(plain)
}

/// Reads a path: `.a.b[0]`, `$.a`, `@.a`, `..name`, `['a','b']`.
fn steps(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    if let Some(after) = rest.strip_prefix('$') {
        steps.push(Step::Field("$".into()));
        rest = after;
    } else if let Some(after) = rest.strip_prefix('@') {
        rest = after;
    } else if !rest.starts_with(['.', '[']) {
        return Err(format!("unrecognized identifier {rest}"));
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("..") {
            steps.push(Step::Recursive);
            rest = after;
            if !rest.starts_with('[') {
                rest = field(rest, &mut steps);
            }
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = field(after, &mut steps);
        } else if let Some(after) = rest.strip_prefix('[') {
            let end = closing(after).ok_or("unterminated array")?;
            steps.push(bracket(after[..end].trim())?);
            rest = &after[end + 1..];
        } else {
            return Err(format!("unrecognized character in action: {rest}"));
        }
    }
    Ok(steps)
}

/// A field's name up to the next dot or bracket; `\.` belongs to the name.
fn field<'r>(rest: &'r str, steps: &mut Vec<Step>) -> &'r str {
    let mut name = String::new();
    let mut characters = rest.char_indices();
    let mut end = rest.len();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            '.' | '[' | ' ' => {
                end = index;
                break;
            }
            other => name.push(other),
        }
    }
    if name == "*" {
        steps.push(Step::All);
    } else if !name.is_empty() {
        steps.push(Step::Field(name));
    }
    rest[end..].trim_start_matches(' ')
}

/// Where the bracket closes, brackets and quotes inside respected.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut quote = None;
    for (index, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), character) if character == open => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(index),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn bracket(inside: &str) -> Result<Step, String> {
    if inside == "*" {
        return Ok(Step::All);
    }
    if let Some(filter) = inside.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        return self::filter(filter.trim());
    }
    if inside.starts_with(['"', '\'']) {
        let names = inside.split(',').map(|name| unquote(name.trim())).collect::<Result<Vec<_>, _>>()?;
        return Ok(Step::Several(names));
    }
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| format!("invalid array index {inside}"));
    if inside.contains(':') {
        let parts: Vec<&str> = inside.split(':').collect();
        let bound =
            |part: Option<&&str>| part.filter(|part| !part.trim().is_empty()).map(|part| number(part)).transpose();
        return Ok(Step::Slice(bound(parts.first())?, bound(parts.get(1))?, bound(parts.get(2))?.unwrap_or(1)));
    }
    Ok(Step::Index(number(inside)?))
}

fn filter(text: &str) -> Result<Step, String> {
    for operator in ["==", "!=", "<=", ">=", "<", ">"] {
        let Some((left, right)) = split_outside_quotes(text, operator) else { continue };
        let right = right.trim();
        let operand = if right.starts_with(['"', '\'']) {
            Operand::Value(Value::String(unquote(right)?))
        } else if right.starts_with(['@', '$', '.']) {
            Operand::Path(steps(right)?)
        } else {
            Operand::Value(serde_json::from_str(right).map_err(|_| format!("unrecognized filter value {right}"))?)
        };
        return Ok(Step::Filter { path: steps(left.trim())?, operator: operator.into(), operand: Some(operand) });
    }
    Ok(Step::Filter { path: steps(text)?, operator: String::new(), operand: None })
}

fn split_outside_quotes<'t>(text: &'t str, operator: &str) -> Option<(&'t str, &'t str)> {
    let mut quote = None;
    for (index, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), character) if character == open => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, _) if text[index..].starts_with(operator) => {
                return Some((&text[..index], &text[index + operator.len()..]));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates() {
        fn check(template: &str, expected: Result<&str, &str>) {
            let object = json!({"items": [
                {"metadata": {"name": "a", "labels": {"app.io/x": "1"}}, "spec": {"replicas": 2},
                 "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]}},
                {"metadata": {"name": "b"}, "spec": {"replicas": 3}}], "data": {"k": "v\n"}});
            let found = evaluate(template, &object);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{template}");
        }
        check("{.items[*].metadata.name}", Ok("a b"));
        check("{.items[0].metadata.name}{\"\\n\"}", Ok("a\n"));
        check("{.items[-1].metadata.name}", Ok("b"));
        check("{.data}", Ok("{\"k\":\"v\\n\"}"));
        check("{range .items[*]}{.metadata.name}={.spec.replicas}{\"\\n\"}{end}", Ok("a=2\nb=3\n"));
        check("{.items[?(@.spec.replicas>2)].metadata.name}", Ok("b"));
        check("{.items[0].status.conditions[?(@.type==\"Ready\")].status}", Ok("True"));
        check("{.items[0].metadata.labels['app\\.io/x']}", Ok("1"));
        check("{.items[0].metadata.labels.app\\.io/x}", Ok("1"));
        check("{..name}", Ok("a b"));
        check("{.items[0:1].metadata.name}", Ok("a"));
        check("name: {.items[0].nothing}", Ok("name: "));
        check("{.items[7].x}", Err("array index out of bounds: index 7, length 2"));
        check("{.items", Err("unclosed action"));
        check("{items}", Err("unrecognized identifier items"));
    }
}
