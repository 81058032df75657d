//! `-o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName`.

use serde_json::Value;

use super::{jsonpath, table};

/// Columns with their headers and paths.
pub fn render(specification: &str, objects: &[&Value], headers: bool) -> Result<String, String> {
    let columns: Vec<(&str, String)> = specification
        .split(',')
        .map(|column| {
            let (header, path) = column.split_once(':').ok_or_else(|| {
                format!("unexpected custom-columns spec: {column}, expected <header>:<json-path-expr>")
            })?;
            let path = path.trim_start_matches('{').trim_end_matches('}');
            let dotted = if path.starts_with(['.', '[']) { path.to_owned() } else { format!(".{path}") };
            Ok((header, dotted))
        })
        .collect::<Result<_, String>>()?;
    let mut rows: Vec<Vec<String>> = Vec::new();
    if headers {
        rows.push(columns.iter().map(|(header, _)| (*header).to_owned()).collect());
    }
    for object in objects {
        let cell = |(_, path): &(&str, String)| {
            let found = jsonpath::evaluate(&format!("{{{path}}}"), object).unwrap_or_default();
            if found.is_empty() { "<none>".to_owned() } else { found }
        };
        rows.push(columns.iter().map(cell).collect());
    }
    Ok(table::rows(&rows))
}
