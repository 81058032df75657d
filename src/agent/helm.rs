//! `werf helm …`: the commands that read releases, printed as Helm prints them.

use serde_json::Value;

use super::arguments::Options;
use super::cluster::Cluster;
use super::fault::Fault;
use super::history::History;
use super::output::Output;
use super::yaml;
use crate::release::{Release, Status};

/// `werf helm list`.
///
/// # Errors
/// The cluster does not answer.
pub async fn list(options: &Options, output: &Output) -> Result<u8, Fault> {
    let cluster = connect(options).await?;
    let path = match (&options.namespace, options.all_namespaces) {
        (_, true) => "/api/v1/secrets".to_owned(),
        (namespace, false) => format!("/api/v1/namespaces/{}/secrets", namespace.as_deref().unwrap_or("default")),
    };
    let secrets = cluster.list(&format!("{path}?labelSelector=owner%3Dhelm")).await?;
    let releases = secrets.iter().map(Release::from_secret).collect::<Result<Vec<_>, _>>()?;
    let mut rows = newest(releases, options.all);
    if let Some(filter) = &options.filter {
        let filter = regex::Regex::new(filter)
            .map_err(|error| Fault::Usage(format!("invalid argument {filter:?} for \"--filter\" flag: {error}")))?;
        rows.retain(|release| filter.is_match(&release.name));
    }
    if options.short {
        output.data(&rows.iter().map(|release| format!("{}\n", release.name)).collect::<String>());
        return Ok(0);
    }
    if options.format.as_deref().is_some_and(|format| format != "table") {
        let items: Vec<Value> = rows.iter().map(list_item).collect();
        return print_structured(&Value::Array(items), options, output);
    }
    let header = ["NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION"];
    let mut table = vec![header.map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(|release| {
        vec![
            release.name.clone(),
            release.namespace.clone(),
            release.version.to_string(),
            go_time(&release.info.last_deployed),
            release.info.status.to_string(),
            chart(release),
            release.chart.metadata.app_version.clone(),
        ]
    }));
    output.data(&columns(&table));
    Ok(0)
}

/// The newest revision of each release, sorted by name; without `all` only those that are deployed or failed.
fn newest(releases: Vec<Release>, all: bool) -> Vec<Release> {
    let mut newest: std::collections::BTreeMap<(String, String), Release> = std::collections::BTreeMap::new();
    for release in releases {
        let key = (release.name.clone(), release.namespace.clone());
        if newest.get(&key).is_none_or(|known| known.version < release.version) {
            newest.insert(key, release);
        }
    }
    let shown = |release: &Release| all || matches!(release.info.status, Status::Deployed | Status::Failed);
    newest.into_values().filter(shown).collect()
}

fn list_item(release: &Release) -> Value {
    serde_json::json!({
        "name": release.name, "namespace": release.namespace, "revision": release.version.to_string(),
        "updated": go_time(&release.info.last_deployed), "status": release.info.status.name(), "chart": chart(release),
        "app_version": release.chart.metadata.app_version,
    })
}

/// `werf helm history RELEASE`.
///
/// # Errors
/// There is no such release.
pub async fn history(options: &Options, output: &Output) -> Result<u8, Fault> {
    let cluster = connect(options).await?;
    let mut releases = read(&cluster, options).await?.0;
    let surplus = releases.len().saturating_sub(options.max.unwrap_or(256));
    releases.drain(..surplus);
    if options.format.as_deref().is_some_and(|format| format != "table") {
        let items: Vec<Value> = releases
            .iter()
            .map(|release| {
                serde_json::json!({
                    "revision": release.version, "updated": release.info.last_deployed, "status": release.info.status.name(),
                    "chart": chart(release), "app_version": release.chart.metadata.app_version,
                    "description": release.info.description,
                })
            })
            .collect();
        return print_structured(&Value::Array(items), options, output);
    }
    let header = ["REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION"];
    let mut table = vec![header.map(str::to_owned).to_vec()];
    table.extend(releases.iter().map(|release| {
        vec![
            release.version.to_string(),
            ansi_time(&release.info.last_deployed),
            release.info.status.to_string(),
            chart(release),
            release.chart.metadata.app_version.clone(),
            release.info.description.clone(),
        ]
    }));
    output.data(&columns(&table));
    Ok(0)
}

/// `werf helm status RELEASE`.
///
/// # Errors
/// There is no such release.
pub async fn status(options: &Options, output: &Output) -> Result<u8, Fault> {
    if let Some(format) = options.format.as_deref().filter(|format| *format != "table") {
        return Err(Fault::unsupported(format!("`werf helm status --output {format}`")));
    }
    let release = revision(options).await?;
    output.data(&head(&release));
    output.data("TEST SUITE: None\n");
    if !release.info.notes.is_empty() {
        output.data(&format!("NOTES:\n{}\n", release.info.notes));
    }
    Ok(0)
}

/// `werf helm get all|values|manifest|notes|hooks|metadata RELEASE`.
///
/// # Errors
/// There is no such release, or no such thing to get.
pub async fn get(what: &str, options: &Options, output: &Output) -> Result<u8, Fault> {
    let release = revision(options).await?;
    let user_values = release.config.clone().unwrap_or(Value::Null);
    match what {
        "values" if options.all => output.data(&format!("COMPUTED VALUES:\n{}", yaml::write(&computed(&release)))),
        "values" if options.format.is_some() => return print_structured(&user_values, options, output),
        "values" => output.data(&format!("USER-SUPPLIED VALUES:\n{}", yaml::write(&user_values))),
        "manifest" => output.data(&format!("{}\n", release.manifest)),
        "notes" => output.data(&format!("NOTES:\n{}\n", release.info.notes)),
        "hooks" => output.data(&hooks(&release)),
        "metadata" if options.format.as_deref().is_some_and(|format| format != "table") => {
            return print_structured(&metadata_object(&release), options, output);
        }
        "metadata" => output.data(&metadata(&release)),
        "all" => {
            let chart = &release.chart.metadata;
            output.data(&head(&release));
            output.data(&format!(
                "CHART: {}\nVERSION: {}\nAPP_VERSION: {}\nTEST SUITE: None\nUSER-SUPPLIED VALUES:\n{}\nCOMPUTED VALUES:\n{}\nHOOKS:\n{}MANIFEST:\n{}\n",
                chart.name,
                chart.version,
                chart.app_version,
                yaml::write(&user_values),
                yaml::write(&computed(&release)),
                hooks(&release),
                release.manifest
            ));
            if !release.info.notes.is_empty() {
                output.data(&format!("NOTES:\n{}\n", release.info.notes));
            }
        }
        other => {
            return Err(Fault::Usage(format!(
                "unknown command \"helm get {other}\": expected all, values, manifest, notes, hooks or metadata"
            )));
        }
    }
    Ok(0)
}

fn computed(release: &Release) -> Value {
    let mut values = release.chart.values.clone();
    if let Some(config) = &release.config {
        super::values::merge(&mut values, config);
    }
    values
}

fn head(release: &Release) -> String {
    format!(
        "NAME: {}\nLAST DEPLOYED: {}\nNAMESPACE: {}\nSTATUS: {}\nREVISION: {}\n",
        release.name,
        ansi_time(&release.info.last_deployed),
        release.namespace,
        release.info.status,
        release.version
    )
}

fn hooks(release: &Release) -> String {
    release.hooks.iter().map(|hook| format!("---\n# Source: {}\n{}\n", hook.path, hook.manifest)).collect()
}

fn metadata(release: &Release) -> String {
    let chart = &release.chart.metadata;
    let other = |key: &str| chart.other.get(key).cloned().unwrap_or(Value::Null);
    let annotations: Vec<String> = match other("annotations") {
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect()
        }
        _ => Vec::new(),
    };
    let dependencies: Vec<String> = match other("dependencies") {
        Value::Array(items) => items.iter().filter_map(|item| item.get("name")?.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    format!(
        "NAME: {}\nCHART: {}\nVERSION: {}\nAPP_VERSION: {}\nANNOTATIONS: {}\nDEPENDENCIES: {}\nNAMESPACE: {}\nREVISION: {}\nSTATUS: {}\nDEPLOYED_AT: {}\n",
        release.name,
        chart.name,
        chart.version,
        chart.app_version,
        annotations.join(","),
        dependencies.join(","),
        release.namespace,
        release.version,
        release.info.status,
        whole_seconds(&release.info.last_deployed)
    )
}

fn metadata_object(release: &Release) -> Value {
    let chart = &release.chart.metadata;
    let mut object = serde_json::json!({
        "name": release.name, "chart": chart.name, "version": chart.version, "appVersion": chart.app_version,
        "namespace": release.namespace, "revision": release.version, "status": release.info.status.name(),
        "deployedAt": whole_seconds(&release.info.last_deployed),
    });
    for key in ["annotations", "dependencies"] {
        if let Some(value) = chart.other.get(key) {
            object[key] = value.clone();
        }
    }
    object
}

/// The time without the fraction of its second: RFC 3339 as Go prints it.
fn whole_seconds(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => jiff::tz::TimeZone::UTC.to_datetime(time).strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => time.to_owned(),
    }
}

async fn connect(options: &Options) -> Result<Cluster, Fault> {
    Cluster::connect(options.kubeconfig.as_deref(), options.context.as_deref()).await
}

async fn read(cluster: &Cluster, options: &Options) -> Result<History, Fault> {
    let Some(name) = options.words.last() else {
        return Err(Fault::Usage("\"helm\" requires the name of a release".into()));
    };
    let history = History::read(cluster, options.namespace.as_deref().unwrap_or("default"), name).await?;
    if history.0.is_empty() {
        return Err(Fault::invalid("release: not found"));
    }
    Ok(history)
}

async fn revision(options: &Options) -> Result<Release, Fault> {
    let history = read(&connect(options).await?, options).await?;
    let release = match options.revision {
        Some(revision) => history.revision(revision),
        None => history.last(),
    };
    release.cloned().ok_or_else(|| Fault::invalid("release: not found"))
}

fn chart(release: &Release) -> String {
    format!("{}-{}", release.chart.metadata.name, release.chart.metadata.version)
}

fn print_structured(value: &Value, options: &Options, output: &Output) -> Result<u8, Fault> {
    match options.format.as_deref() {
        Some("json") => output.data(&format!("{value}\n")),
        Some("yaml") => output.data(&yaml::write(value)),
        other => {
            return Err(Fault::Usage(format!(
                "invalid format type {:?}: expected table, json or yaml",
                other.unwrap_or_default()
            )));
        }
    }
    Ok(0)
}

/// Helm's tables: every cell padded to its column, a tab between columns.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            format!("{}\n", cells.join("\t"))
        })
        .collect()
}

/// `2026-11-23 10:36:38.366339099 +0000 UTC`.
fn go_time(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => format!("{} +0000 UTC", time.to_string().replace('T', " ").trim_end_matches('Z')),
        Err(_) => time.to_owned(),
    }
}

/// `Mon Nov 23 10:36:48 2026`.
fn ansi_time(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => jiff::tz::TimeZone::UTC.to_datetime(time).strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_tables_as_helm_prints_them() {
        assert_eq!(go_time("2026-11-23T10:36:38.366339099Z"), "2026-11-23 10:36:38.366339099 +0000 UTC");
        assert_eq!(whole_seconds("2026-11-23T10:36:38.366339099Z"), "2026-11-23T10:36:38Z");
        assert_eq!(ansi_time("2026-11-03T10:36:48.1Z"), "Tue Nov  3 10:36:48 2026");
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            columns(&[row(&["NAME", "APP VERSION"]), row(&["demo-app", ""])]),
            "NAME    \tAPP VERSION\ndemo-app\t           \n"
        );
    }
}
