//! `kubectl get`, `kubectl events`.

use futures_util::{AsyncBufReadExt, StreamExt};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::connection::{Connection, TABLE};
use super::error::KubectlError;
use super::flags::{Arguments, Flag, optional, switch, value};
use super::output::{self, columns, jsonpath, table, yaml};
use super::select::{self, Scope, Selection};
use super::{Outcome, manifests, positionals};
use crate::discovery::Resource;

pub const FLAGS: &[Flag] = &[
    value("output", Some('o')),
    value("selector", Some('l')),
    value("field-selector", None),
    value("label-columns", Some('L')),
    value("sort-by", None),
    value("chunk-size", None),
    value("raw", None),
    value("subresource", None),
    value("template", None),
    manifests::FILENAME,
    manifests::RECURSIVE,
    switch("all-namespaces", Some('A')),
    switch("watch", Some('w')),
    switch("watch-only", None),
    switch("output-watch-events", None),
    switch("show-labels", None),
    switch("show-kind", None),
    switch("no-headers", None),
    switch("show-managed-fields", None),
    switch("ignore-not-found", None),
    switch("allow-missing-template-keys", None),
    optional("server-print", "true"),
];
pub const EVENT_FLAGS: &[Flag] = &[
    value("output", Some('o')),
    value("for", None),
    value("types", None),
    switch("all-namespaces", Some('A')),
    switch("no-headers", None),
];

/// How objects are to be shown.
enum Format<'a> {
    Table { wide: bool },
    Yaml,
    Json,
    Name,
    JsonPath(String),
    Columns(&'a str),
}

fn format(arguments: &Arguments) -> Result<Format<'_>, KubectlError> {
    let Some(text) = arguments.value("output") else { return Ok(Format::Table { wide: false }) };
    let (kind, template) = match text.split_once('=') {
        Some((kind, template)) => (kind, Some(template)),
        None => (text, arguments.value("template")),
    };
    let needed = || template.ok_or_else(|| KubectlError::other("template format specified but no template given"));
    match kind {
        "" => Ok(Format::Table { wide: false }),
        "wide" => Ok(Format::Table { wide: true }),
        "yaml" => Ok(Format::Yaml),
        "json" => Ok(Format::Json),
        "name" => Ok(Format::Name),
        "jsonpath" => needed().map(|template| Format::JsonPath(template.to_owned())),
        "jsonpath-as-json"
        | "jsonpath-file"
        | "go-template"
        | "go-template-file"
        | "template"
        | "templatefile"
        | "custom-columns-file"
        | "kyaml" => Err(KubectlError::Absent { what: format!("`-o {kind}`") }),
        "custom-columns" => template
            .map(Format::Columns)
            .ok_or_else(|| KubectlError::other("custom-columns format specified but no custom columns given")),
        other => Err(KubectlError::other(format!(
            "unable to match a printer suitable for the output format \"{other}\", allowed formats are: custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,templatefile,wide,yaml"
        ))),
    }
}

pub async fn run(arguments: &Arguments) -> Outcome {
    let format = format(arguments)?;
    let connection = Connection::open(arguments).await?;
    if let Some(path) = arguments.value("raw") {
        output::print(&connection.text(path).await?);
        return Ok(0);
    }
    let scope = Scope::of(arguments);
    let selections = selections(&connection, arguments).await?;
    if selections.iter().any(|selection| selection.name.is_some()) {
        if scope.all_namespaces {
            return Err(KubectlError::other("a resource cannot be retrieved by name across all namespaces"));
        }
        if scope.labels.is_some() {
            return Err(KubectlError::other("name cannot be provided when a selector is specified"));
        }
    }
    if arguments.is_set("watch") || arguments.is_set("watch-only") {
        return watch(&connection, arguments, &selections, &scope, &format).await;
    }
    match format {
        Format::Table { wide } => tables(&connection, arguments, &selections, &scope, wide).await,
        format => whole(&connection, arguments, &selections, &scope, &format).await,
    }
}

async fn selections(connection: &Connection, arguments: &Arguments) -> Result<Vec<Selection>, KubectlError> {
    if arguments.values("filename").is_empty() {
        if arguments.positional.is_empty() {
            return Err(KubectlError::Plain(
                "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported resources.\n\nerror: Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and examples".into(),
            ));
        }
        return select::parse(connection, &positionals(arguments), arguments).await;
    }
    let discovery = connection.discovery().await?;
    manifests::read(arguments)?
        .iter()
        .map(|manifest| {
            let resource = discovery.of(manifest.text("apiVersion"), manifest.text("kind"));
            let resource = resource.ok_or_else(|| KubectlError::UnknownKind(manifest.text("kind").to_owned()))?;
            Ok(Selection { resource: resource.clone(), name: Some(manifest.name().to_owned()) })
        })
        .collect()
}

/// Objects of one kind as the server renders them.
struct Rows {
    resource: Resource,
    columns: Vec<Value>,
    items: Vec<Value>,
    resource_version: String,
}

async fn fetch_rows(connection: &Connection, selection: &Selection, scope: &Scope) -> Result<Rows, KubectlError> {
    let mut path = selection.path(connection, scope);
    path.push_str(if path.contains('?') { "&includeObject=Object" } else { "?includeObject=Object" });
    let answer = connection.get_table(&path).await?;
    Ok(Rows {
        resource: selection.resource.clone(),
        columns: answer["columnDefinitions"].as_array().cloned().unwrap_or_default(),
        items: answer["rows"].as_array().cloned().unwrap_or_default(),
        resource_version: answer["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned(),
    })
}

async fn tables(
    connection: &Connection,
    arguments: &Arguments,
    selections: &[Selection],
    scope: &Scope,
    wide: bool,
) -> Outcome {
    let mut found: Vec<Rows> = Vec::new();
    let mut errors = Vec::new();
    for selection in selections {
        match fetch_rows(connection, selection, scope).await {
            // Objects of one kind share a table.
            Ok(rows) => {
                match found.last_mut().filter(|last| last.resource == rows.resource && selection.name.is_some()) {
                    Some(last) => last.items.extend(rows.items),
                    None => found.push(rows),
                }
            }
            Err(error) if error.is_not_found() && arguments.is_set("ignore-not-found") => {}
            Err(error) => errors.push(error),
        }
    }
    found.retain(|rows| !rows.items.is_empty());
    if found.is_empty() && errors.is_empty() && !arguments.is_set("ignore-not-found") {
        output::complain(&nothing_found(connection, selections, scope));
    }
    let kinds = found.iter().map(|rows| &rows.resource.plural).collect::<std::collections::BTreeSet<_>>();
    let view = View {
        wide,
        with_kind: kinds.len() > 1
            || selections.len() > 1 && selections.iter().any(|one| one.name.is_none())
            || arguments.is_set("show-kind"),
        with_namespace: scope.all_namespaces,
        headers: !arguments.is_set("no-headers"),
        labels: arguments.is_set("show-labels"),
        label_columns: arguments.values("label-columns").iter().flat_map(|keys| keys.split(',')).collect(),
    };
    let texts: Vec<String> = found
        .iter_mut()
        .map(|rows| {
            if let Some(path) = arguments.value("sort-by") {
                sort(&mut rows.items, |row| &row["object"], path);
            }
            table::rows(&view.rows(rows))
        })
        .collect();
    output::print(&texts.join("\n"));
    KubectlError::of(errors).map_or(Ok(0), Err)
}

fn nothing_found(connection: &Connection, selections: &[Selection], scope: &Scope) -> String {
    let is_namespaced = selections.iter().any(|selection| selection.resource.namespaced);
    if is_namespaced && !scope.all_namespaces {
        format!("No resources found in {} namespace.", connection.namespace)
    } else {
        "No resources found".into()
    }
}

/// Which columns are shown.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct View<'a> {
    wide: bool,
    with_kind: bool,
    with_namespace: bool,
    headers: bool,
    labels: bool,
    label_columns: Vec<&'a str>,
}

impl View<'_> {
    fn rows(&self, found: &Rows) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        if self.headers {
            rows.push(self.header(found));
        }
        rows.extend(found.items.iter().map(|row| self.row(found, row)));
        rows
    }

    fn is_shown(&self, column: &Value) -> bool {
        self.wide || column["priority"].as_i64().unwrap_or(0) == 0
    }

    fn header(&self, found: &Rows) -> Vec<String> {
        let shown = found.columns.iter().filter(|column| self.is_shown(column));
        let mut header: Vec<String> = Vec::new();
        if self.with_namespace && found.resource.namespaced {
            header.push("NAMESPACE".into());
        }
        header.extend(shown.map(|column| column["name"].as_str().unwrap_or_default().to_uppercase()));
        header.extend(self.label_columns.iter().map(|key| key.rsplit('/').next().unwrap_or(key).to_uppercase()));
        if self.labels {
            header.push("LABELS".into());
        }
        header
    }

    fn row(&self, found: &Rows, row: &Value) -> Vec<String> {
        let metadata = &row["object"]["metadata"];
        let mut cells: Vec<String> = Vec::new();
        if self.with_namespace && found.resource.namespaced {
            cells.push(metadata["namespace"].as_str().unwrap_or_default().to_owned());
        }
        for (index, column) in found.columns.iter().enumerate().filter(|(_, column)| self.is_shown(column)) {
            let text = cell(&row["cells"][index]);
            let is_name = column["format"] == "name" || index == 0 && column["name"] == "Name";
            cells.push(if self.with_kind && is_name { select::label(&found.resource, &text) } else { text });
        }
        let labels = metadata["labels"].as_object();
        for key in &self.label_columns {
            let value = labels.and_then(|labels| labels.get(*key)).and_then(Value::as_str);
            cells.push(value.unwrap_or_default().to_owned());
        }
        if self.labels {
            let mut all: Vec<String> = labels
                .into_iter()
                .flatten()
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                .collect();
            // By the whole text, as the real one does, so that `app.kubernetes.io/name=` comes before `app=`.
            all.sort();
            cells.push(if all.is_empty() { "<none>".into() } else { all.join(",") });
        }
        cells
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<none>".into(),
        other => other.to_string(),
    }
}

/// Sorts by what a path leads to: numbers by value, all else by text.
fn sort(rows: &mut [Value], object: impl Fn(&Value) -> &Value, path: &str) {
    let path = path.trim_start_matches('{').trim_end_matches('}');
    let template = format!("{{{}{path}}}", if path.starts_with('.') { "" } else { "." });
    rows.sort_by(|left, right| {
        let key = |row: &Value| jsonpath::evaluate(&template, object(row)).unwrap_or_default();
        let (left, right) = (key(left), key(right));
        match (left.parse::<f64>(), right.parse::<f64>()) {
            (Ok(left), Ok(right)) => left.total_cmp(&right),
            _ => left.cmp(&right),
        }
    });
}

/// Whole objects, as YAML, JSON, names or templates.
async fn whole(
    connection: &Connection,
    arguments: &Arguments,
    selections: &[Selection],
    scope: &Scope,
    format: &Format<'_>,
) -> Outcome {
    let (mut found, mut errors) = select::objects(connection, selections, scope).await;
    if arguments.is_set("ignore-not-found") {
        errors.retain(|error| !error.is_not_found());
    }
    if !arguments.is_set("show-managed-fields") {
        for (_, object) in &mut found {
            without_managed_fields(object);
        }
    }
    let is_single = selections.len() == 1 && selections[0].name.is_some();
    if is_single && found.is_empty() {
        return KubectlError::of(errors).map_or(Ok(0), Err);
    }
    let mut objects: Vec<Value> = found.iter().map(|(_, object)| object.clone()).collect();
    if let Some(path) = arguments.value("sort-by") {
        sort(&mut objects, |object| object, path);
    }
    match format {
        Format::Name => {
            for (resource, object) in &found {
                output::line(&select::label(resource, object["metadata"]["name"].as_str().unwrap_or_default()));
            }
        }
        Format::Columns(specification) => {
            let objects: Vec<&Value> = objects.iter().collect();
            let headers = !arguments.is_set("no-headers");
            output::print(&columns::render(specification, &objects, headers).map_err(KubectlError::Other)?);
        }
        format => {
            let value = if is_single { objects.remove(0) } else { list(&objects) };
            output::print(&render(format, &value)?);
        }
    }
    KubectlError::of(errors).map_or(Ok(0), Err)
}

fn render(format: &Format<'_>, value: &Value) -> Result<String, KubectlError> {
    match format {
        Format::Yaml => Ok(yaml::document(value)),
        Format::Json => Ok(output::json::pretty(value)),
        Format::JsonPath(template) => jsonpath::evaluate(template, value)
            .map_err(|why| KubectlError::other(format!("error executing jsonpath \"{template}\": {why}"))),
        _ => Ok(String::new()),
    }
}

fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}})
}

pub fn without_managed_fields(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
}

/// Prints objects as they change, until interrupted.
async fn watch(
    connection: &Connection,
    arguments: &Arguments,
    selections: &[Selection],
    scope: &Scope,
    format: &Format<'_>,
) -> Outcome {
    let [selection] = selections else {
        return Err(KubectlError::other("you may only specify a single resource type"));
    };
    let mut selection = selection.clone();
    let mut scope = scope.clone();
    let view = View {
        wide: matches!(format, Format::Table { wide: true }),
        with_kind: arguments.is_set("show-kind"),
        with_namespace: scope.all_namespaces,
        headers: !arguments.is_set("no-headers"),
        labels: arguments.is_set("show-labels"),
        label_columns: arguments.values("label-columns").iter().flat_map(|keys| keys.split(',')).collect(),
    };
    let mut rows = fetch_rows(connection, &selection, &scope).await?;
    let mut widths: Vec<usize> = Vec::new();
    if !arguments.is_set("watch-only") {
        print_watched(format, &view, &rows, &mut widths, view.headers)?;
    }
    if let Some(name) = selection.name.take() {
        scope.fields = Some(format!("metadata.name={name}"));
        rows.resource_version = rows
            .items
            .first()
            .and_then(|row| row["object"]["metadata"]["resourceVersion"].as_str())
            .unwrap_or_default()
            .into();
    }
    let mut path = selection.path(connection, &scope);
    path.push_str(if path.contains('?') { "&" } else { "?" });
    path.push_str(&format!("watch=true&includeObject=Object&resourceVersion={}", rows.resource_version));
    let headers_were_printed = !rows.items.is_empty() && !arguments.is_set("watch-only");
    let mut headers_are_due = view.headers && !headers_were_printed;
    let response = connection.send(http::Method::GET, &path, TABLE, None).await?;
    let stream = http_body_util::BodyDataStream::new(response.into_body());
    let reader = futures_util::TryStreamExt::into_async_read(stream.map(|item| item.map_err(std::io::Error::other)));
    let mut lines = futures_util::io::BufReader::new(reader).lines();
    while let Some(Ok(line)) = lines.next().await {
        let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
        if event["type"] == "BOOKMARK" {
            continue;
        }
        if event["type"] == "ERROR" {
            return Err(KubectlError::Status(Box::new(event["object"].clone())));
        }
        if let Some(columns) = event["object"]["columnDefinitions"].as_array().filter(|columns| !columns.is_empty()) {
            rows.columns.clone_from(columns);
        }
        rows.items = event["object"]["rows"].as_array().cloned().unwrap_or_default();
        print_watched(format, &view, &rows, &mut widths, headers_are_due)?;
        headers_are_due = false;
    }
    Ok(0)
}

/// Rows below earlier ones: columns never become narrower than they were.
fn print_watched(
    format: &Format<'_>,
    view: &View<'_>,
    rows: &Rows,
    widths: &mut Vec<usize>,
    headers: bool,
) -> Result<(), KubectlError> {
    if rows.items.is_empty() {
        return Ok(());
    }
    match format {
        Format::Table { .. } => {
            let mut lines: Vec<Vec<String>> = rows.items.iter().map(|row| view.row(rows, row)).collect();
            if headers {
                lines.insert(0, view.header(rows));
            }
            output::print(&remembering(&lines, widths));
        }
        Format::Name => {
            for row in &rows.items {
                let name = row["object"]["metadata"]["name"].as_str().unwrap_or_default();
                output::line(&select::label(&rows.resource, name));
            }
        }
        format => {
            for row in &rows.items {
                let mut object = select::complete(row["object"].clone(), &rows.resource);
                without_managed_fields(&mut object);
                let separator = if matches!(format, Format::Yaml) { "---\n" } else { "" };
                output::print(&(separator.to_owned() + &render(format, &object)?));
            }
        }
    }
    Ok(())
}

fn remembering(lines: &[Vec<String>], widths: &mut Vec<usize>) -> String {
    for line in lines {
        for (index, cell) in line.iter().enumerate() {
            let width = (cell.chars().count() + table::TABLE.padding).max(table::TABLE.width_min);
            match widths.get_mut(index) {
                Some(known) => *known = width.max(*known),
                None => widths.push(width),
            }
        }
    }
    let render = |line: &Vec<String>| {
        let last = line.len().saturating_sub(1);
        let cells = line.iter().enumerate().map(|(index, cell)| match widths.get(index) {
            Some(width) if index < last => format!("{cell:<width$}"),
            _ => cell.clone(),
        });
        cells.collect::<String>() + "\n"
    };
    lines.iter().map(render).collect()
}

/// `kubectl events`: by time, with the kinds as they are written.
pub async fn events(arguments: &Arguments) -> Outcome {
    let connection = Connection::open(arguments).await?;
    let resource = connection.resource("events").await?;
    let all = arguments.is_set("all-namespaces");
    let list = connection.get(&resource.collection((!all).then_some(connection.namespace.as_str()))).await?;
    let mut events = list["items"].as_array().cloned().unwrap_or_default();
    if let Some(target) = arguments.value("for") {
        let (kind, name) =
            target.split_once('/').ok_or_else(|| KubectlError::other("--for must be in resource/name form"))?;
        let kind = connection.resource(kind).await?.kind.clone();
        events.retain(|event| event["involvedObject"]["name"] == name && event["involvedObject"]["kind"] == kind);
    }
    if let Some(types) = arguments.value("types") {
        events.retain(|event| types.split(',').any(|kind| event["type"] == kind));
    }
    if events.is_empty() {
        let place = if all { String::new() } else { format!(" in {} namespace.", connection.namespace) };
        output::complain(&format!("No events found{place}"));
        return Ok(0);
    }
    events.sort_by_key(last_seen);
    let now = Timestamp::now();
    let mut rows = Vec::new();
    if !arguments.is_set("no-headers") {
        let mut header = vec!["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];
        if all {
            header.insert(0, "NAMESPACE");
        }
        rows.push(header.into_iter().map(str::to_owned).collect());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for event in &events {
        let object = &event["involvedObject"];
        let mut row = vec![
            super::describe::event_age(event, now),
            text(&event["type"]),
            text(&event["reason"]),
            format!("{}/{}", text(&object["kind"]), text(&object["name"])),
            text(&event["message"]).trim().to_owned(),
        ];
        if all {
            row.insert(0, text(&event["metadata"]["namespace"]));
        }
        rows.push(row);
    }
    output::print(&table::rows(&rows));
    Ok(0)
}

/// When an event was last seen, as it sorts.
pub fn last_seen(event: &Value) -> String {
    let times = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    times.into_iter().find_map(Value::as_str).unwrap_or_default().to_owned()
}
