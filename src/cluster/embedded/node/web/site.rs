//! A started server: its configuration, its files, and the answers that it gives.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::super::super::images::FileTree;
use super::config::{self, ConfigError, Location, Pattern, Server, Settings};
use super::mime;

const REDIRECTS_MAX: usize = 10;
const SERVER: &str = "nginx/1.29.3";

/// A web server with its files.
#[derive(Debug, Clone)]
pub struct Site {
    servers: Vec<Server>,
    files: Arc<FileTree>,
    hostname: String,
    started: Timestamp,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub method: &'a str,
    /// Path and query as sent.
    pub target: &'a str,
    pub host: &'a str,
    pub port: u16,
    pub remote: &'a str,
    pub user_agent: &'a str,
    pub referer: &'a str,
    pub range: Option<&'a str>,
    pub if_none_match: Option<&'a str>,
    pub if_modified_since: Option<&'a str>,
}

impl Default for Query<'_> {
    fn default() -> Self {
        Self {
            method: "GET",
            target: "/",
            host: "localhost",
            port: 80,
            remote: "127.0.0.1",
            user_agent: "-",
            referer: "-",
            range: None,
            if_none_match: None,
            if_modified_since: None,
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// The line for the access log, where the place writes one.
    pub log: Option<String>,
}

impl Site {
    /// Starts: reads the configuration from the files.
    ///
    /// # Errors
    /// nginx's own line for the first mistake.
    pub fn start(files: Arc<FileTree>, hostname: &str, now: Timestamp) -> Result<Self, ConfigError> {
        let servers = config::parse(&files)?;
        Ok(Self { servers, files, hostname: hostname.into(), started: now })
    }

    /// The same configuration over other files, as when a mounted volume changed.
    #[must_use]
    pub fn with_files(&self, files: Arc<FileTree>) -> Self {
        Self { files, ..self.clone() }
    }

    pub fn files(&self) -> &FileTree {
        &self.files
    }

    /// Whether some server listens on this port.
    pub fn listens(&self, port: u16) -> bool {
        self.servers.iter().any(|server| server.ports.contains(&port))
    }

    /// The ports that its servers listen on.
    pub fn ports(&self) -> BTreeSet<u16> {
        self.servers.iter().flat_map(|server| server.ports.iter().copied()).collect()
    }

    /// By its name, exact or `*.domain`, else the port's default.
    fn server(&self, port: u16, host: &str) -> Option<&Server> {
        let on_port = || self.servers.iter().filter(move |server| server.ports.contains(&port));
        let named = |fits: &dyn Fn(&str) -> bool| on_port().find(|server| server.names.iter().any(|name| fits(name)));
        named(&|name| name.eq_ignore_ascii_case(host))
            .or_else(|| named(&|name| name.strip_prefix('*').is_some_and(|domain| host.ends_with(domain))))
            .or_else(|| on_port().find(|server| server.default_ports.contains(&port)))
            .or_else(|| on_port().next())
    }

    /// Answers a query; `None` where nothing listens on its port.
    pub fn answer(&self, query: &Query<'_>, now: Timestamp) -> Option<Answer> {
        let server = self.server(query.port, query.host.split(':').next().unwrap_or(query.host))?;
        let path = query.target.split('?').next().unwrap_or("/");
        let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
        let mut run = Run { site: self, server, query, now, redirects: 0 };
        let (mut answer, settings) = run.at(&normal(&path));
        answer.headers.insert(0, ("Server".into(), SERVER.into()));
        if settings.access_log != Some(false) {
            let line = log_line(query, &answer, now);
            answer.log = Some(match &settings.log_format {
                None => line,
                Some(format) => run.expand(&log_variables(format, query, &answer, now), &settings, &path),
            });
        }
        if query.method == "HEAD" {
            let length = answer.body.len();
            answer.headers.push(("Content-Length".into(), length.to_string()));
            answer.body = Bytes::new();
        }
        Some(answer)
    }
}

/// One query on its way through a server.
struct Run<'a> {
    site: &'a Site,
    server: &'a Server,
    query: &'a Query<'a>,
    now: Timestamp,
    redirects: usize,
}

impl Run<'_> {
    fn at(&mut self, path: &str) -> (Answer, Settings) {
        self.redirects += 1;
        if self.redirects > REDIRECTS_MAX {
            return (error_page(500), self.server.settings.clone());
        }
        let location = choose(self.server, path);
        let settings = location.map_or_else(|| self.server.settings.clone(), |location| location.settings.clone());
        for (regex, replacement, how) in &settings.rewrites {
            if let Some(captures) = regex.captures(path) {
                let mut target = String::new();
                captures.expand(replacement, &mut target);
                return match how.as_str() {
                    "permanent" => (redirect(301, &target), settings),
                    "redirect" => (redirect(302, &target), settings),
                    _ if target.starts_with("http") => (redirect(302, &target), settings),
                    _ => self.at(&normal(&target)),
                };
            }
        }
        let answer = self.in_location(path, location, &settings);
        self.finish(answer, path, settings)
    }

    fn in_location(&mut self, path: &str, location: Option<&Location>, settings: &Settings) -> Answer {
        if settings.deny {
            return error_page(403);
        }
        if let Some((code, text)) = &settings.answer {
            return self.returned(*code, text, settings, path);
        }
        if settings.stub_status {
            let text =
                "Active connections: 1 \nserver accepts handled requests\n 1 1 1 \nReading: 0 Writing: 1 Waiting: 0 \n";
            return Answer { status: 200, headers: vec![content_type("text/plain")], body: text.into(), log: None };
        }
        if !matches!(self.query.method, "GET" | "HEAD") {
            return error_page(405);
        }
        if let Some(candidates) = &settings.try_files {
            return self.tried(candidates, path, location, settings);
        }
        self.file(path, location, settings)
    }

    fn returned(&self, code: u16, text: &str, settings: &Settings, path: &str) -> Answer {
        let text = self.expand(text, settings, path);
        if matches!(code, 301 | 302 | 303 | 307 | 308) {
            return redirect(code, &text);
        }
        if text.is_empty() && code >= 300 {
            return error_page(code);
        }
        let kind = settings.default_type.clone().unwrap_or_else(|| "application/octet-stream".into());
        Answer { status: code, headers: vec![content_type(&kind)], body: text.into(), log: None }
    }

    fn tried(&mut self, candidates: &[String], path: &str, location: Option<&Location>, settings: &Settings) -> Answer {
        let (last, files) = candidates.split_last().expect("the parser counted them");
        for candidate in files {
            let candidate = self.expand(candidate, settings, path);
            let on_disk = on_disk(&candidate, location, settings);
            if candidate.ends_with('/') {
                if self.is_directory(&on_disk) {
                    return self.file(&candidate, location, settings);
                }
            } else if self.site.files.contains_key(&on_disk) {
                return self.content(&on_disk, settings);
            }
        }
        if let Some(code) = last.strip_prefix('=') {
            return error_page(code.parse().unwrap_or(404));
        }
        let target = self.expand(last, settings, path);
        self.at(&target).0
    }

    fn file(&mut self, path: &str, location: Option<&Location>, settings: &Settings) -> Answer {
        let on_disk = on_disk(path, location, settings);
        if path.ends_with('/') {
            for index in settings.index.clone().unwrap_or_else(|| vec!["index.html".into()]) {
                let file = format!("{}/{index}", on_disk.trim_end_matches('/'));
                if self.site.files.contains_key(&file) {
                    return self.content(&file, settings);
                }
            }
            return error_page(if self.is_directory(&on_disk) { 403 } else { 404 });
        }
        if self.site.files.contains_key(&on_disk) {
            return self.content(&on_disk, settings);
        }
        if self.is_directory(&on_disk) {
            return redirect(301, &format!("http://{}{path}/", self.query.host));
        }
        error_page(404)
    }

    fn is_directory(&self, path: &str) -> bool {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        self.site.files.range(prefix.clone()..).next().is_some_and(|(file, _)| file.starts_with(&prefix))
    }

    fn content(&self, file: &str, settings: &Settings) -> Answer {
        let content = self.site.files.get(file).cloned().unwrap_or_default();
        let kind = mime::of_path(file)
            .map(str::to_owned)
            .or_else(|| settings.default_type.clone())
            .unwrap_or_else(|| "application/octet-stream".into());
        let substituted = self.substitute(&content, &kind, settings);
        let mut headers = vec![content_type(&with_charset(&kind, settings))];
        if let Some(body) = substituted {
            return Answer { status: 200, headers, body, log: None };
        }
        let etag = entity_tag(&content);
        headers.push(("Last-Modified".into(), http_date(self.site.started)));
        headers.push(("ETag".into(), etag.clone()));
        headers.push(("Accept-Ranges".into(), "bytes".into()));
        let unchanged = match self.query.if_none_match {
            Some(tags) => tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag || tag.trim() == "*"),
            None => self.query.if_modified_since.is_some_and(|time| time == http_date(self.site.started)),
        };
        if unchanged {
            headers.remove(0);
            return Answer { status: 304, headers, body: Bytes::new(), log: None };
        }
        match self.query.range.and_then(|range| byte_range(range, content.len())) {
            None => Answer { status: 200, headers, body: content, log: None },
            Some(Part::Unsatisfiable) => {
                let mut answer = error_page(416);
                answer.headers.push(("Content-Range".into(), format!("bytes */{}", content.len())));
                answer
            }
            Some(Part::Bytes(first, last)) => {
                headers.push(("Content-Range".into(), format!("bytes {first}-{last}/{}", content.len())));
                Answer { status: 206, headers, body: content.slice(first..=last), log: None }
            }
        }
    }

    /// Replaces by `sub_filter`; `None` where it does not apply.
    fn substitute(&self, content: &Bytes, kind: &str, settings: &Settings) -> Option<Bytes> {
        let applies =
            kind == "text/html" || settings.substitute_types.iter().any(|other| other == kind || other == "*");
        if settings.substitutions.is_empty() || !applies {
            return None;
        }
        let mut text = String::from_utf8_lossy(content).into_owned();
        for (from, to) in &settings.substitutions {
            let from = self.expand(from, settings, self.query.target);
            let to = self.expand(to, settings, self.query.target);
            if !from.is_empty() {
                text = if settings.substitute_once == Some(false) {
                    text.replace(&from, &to)
                } else {
                    text.replacen(&from, &to, 1)
                };
            }
        }
        Some(text.into())
    }

    fn finish(&mut self, mut answer: Answer, path: &str, settings: Settings) -> (Answer, Settings) {
        let page = settings.error_pages.iter().find(|(codes, _)| codes.contains(&answer.status));
        if answer.status >= 400
            && let Some((_, page)) = page
            && page.starts_with('/')
            && self.redirects < REDIRECTS_MAX
        {
            let status = answer.status;
            let page = page.clone();
            let (inner, _) = self.at(&page);
            if inner.status == 200 {
                answer = Answer { status, ..inner };
            }
        }
        let succeeded = matches!(answer.status, 200 | 201 | 204 | 206 | 301 | 302 | 303 | 304 | 307 | 308);
        if let Some(expires) = settings.expires.filter(|_| succeeded) {
            answer.headers.extend(expires.headers(self.now));
        }
        for (name, value, always) in &settings.headers {
            if *always || succeeded {
                answer.headers.push((name.clone(), self.expand(value, &settings, path)));
            }
        }
        (answer, settings)
    }

    /// Replaces nginx's variables.
    fn expand(&self, text: &str, settings: &Settings, path: &str) -> String {
        if !text.contains('$') {
            return text.into();
        }
        let mut result = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            result.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let (name, remaining) =
                if let Some((name, remaining)) = after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                    (name, remaining)
                } else {
                    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                    after.split_at(end)
                };
            match self.variable(name, settings, path) {
                Some(value) => result.push_str(&value),
                None => result.push_str(&rest[at..rest.len() - remaining.len()]),
            }
            rest = remaining;
        }
        result.push_str(rest);
        result
    }

    fn variable(&self, name: &str, settings: &Settings, path: &str) -> Option<String> {
        if let Some((_, value)) = settings.variables.iter().find(|(variable, _)| variable == name) {
            return Some(value.clone());
        }
        let arguments = self.query.target.split_once('?').map_or("", |(_, arguments)| arguments);
        Some(match name {
            "host" => self.query.host.split(':').next().unwrap_or_default().into(),
            "http_host" => self.query.host.into(),
            "uri" | "document_uri" => path.into(),
            "request_uri" => self.query.target.into(),
            "args" | "query_string" => arguments.into(),
            "is_args" => if arguments.is_empty() { "" } else { "?" }.into(),
            "hostname" => self.site.hostname.clone(),
            "remote_addr" => self.query.remote.into(),
            "remote_port" => "0".into(),
            "server_port" => self.query.port.to_string(),
            "server_addr" => "127.0.0.1".into(),
            "server_name" => self.server.names.first().cloned().unwrap_or_default(),
            "server_protocol" => "HTTP/1.1".into(),
            "scheme" => "http".into(),
            "request_method" => self.query.method.into(),
            "http_user_agent" => self.query.user_agent.into(),
            "http_referer" => self.query.referer.into(),
            "nginx_version" => "1.29.3".into(),
            "time_iso8601" => self.now.to_string(),
            _ => return None,
        })
    }
}

/// The location that nginx would choose: exact, then the longest prefix, then the first expression.
fn choose<'a>(server: &'a Server, path: &str) -> Option<&'a Location> {
    let mut best: Option<(&Location, usize, bool)> = None;
    for location in &server.locations {
        match &location.pattern {
            Pattern::Exact(exact) if exact == path => return Some(location),
            Pattern::Prefix { prefix, final_prefix }
                if path.starts_with(prefix.as_str()) && best.is_none_or(|(_, length, _)| prefix.len() > length) =>
            {
                best = Some((location, prefix.len(), *final_prefix));
            }
            _ => {}
        }
    }
    if let Some((location, _, true)) = best {
        return Some(location);
    }
    let mut expressions = server.locations.iter();
    expressions
        .find(|location| matches!(&location.pattern, Pattern::Regex(regex) if regex.is_match(path)))
        .or(best.map(|(location, _, _)| location))
}

/// The file that a path means in a location.
fn on_disk(path: &str, location: Option<&Location>, settings: &Settings) -> String {
    let prefix = location.and_then(|location| match &location.pattern {
        Pattern::Prefix { prefix, .. } | Pattern::Exact(prefix) => Some(prefix.as_str()),
        Pattern::Regex(_) => None,
    });
    if let (Some(alias), Some(prefix)) = (&settings.alias, prefix) {
        return normal(&format!("{alias}{}", path.strip_prefix(prefix).unwrap_or(path)));
    }
    let root = settings.root.as_deref().unwrap_or("/etc/nginx/html");
    normal(&format!("{root}{path}"))
}

fn content_type(kind: &str) -> (String, String) {
    ("Content-Type".into(), kind.into())
}

fn with_charset(kind: &str, settings: &Settings) -> String {
    match &settings.charset {
        Some(charset) if kind.starts_with("text/") => format!("{kind}; charset={charset}"),
        _ => kind.into(),
    }
}

fn redirect(code: u16, target: &str) -> Answer {
    let mut answer = error_page(code);
    answer.headers.push(("Location".into(), target.into()));
    answer
}

fn error_page(code: u16) -> Answer {
    let title = format!("{code} {}", reason(code));
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n<hr><center>{SERVER}</center>\r\n</body>\r\n</html>\r\n"
    );
    Answer { status: code, headers: vec![content_type("text/html")], body: body.into(), log: None }
}

fn reason(code: u16) -> &'static str {
    match code {
        301 => "Moved Permanently",
        302 => "Found",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        416 => "Requested Range Not Satisfiable",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        _ => http::StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason()).unwrap_or(""),
    }
}

fn entity_tag(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    let start = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    format!("\"{start:08x}-{:x}\"", content.len())
}

/// A range of bytes that was asked for.
enum Part {
    Bytes(usize, usize),
    Unsatisfiable,
}

/// `None` where no range is asked for, or none that is understood.
fn byte_range(text: &str, length: usize) -> Option<Part> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    if last.contains(',') {
        return None;
    }
    let last_byte = length.checked_sub(1)?;
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => (first, last.min(last_byte)),
        (Ok(first), Err(_)) => (first, last_byte),
        (Err(_), Ok(count)) => (length.saturating_sub(count), last_byte),
        _ => return None,
    };
    Some(if range.0 <= range.1 { Part::Bytes(range.0, range.1) } else { Part::Unsatisfiable })
}

pub fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn log_line(query: &Query<'_>, answer: &Answer, now: Timestamp) -> String {
    format!(
        "{} - - [{}] \"{} {} HTTP/1.1\" {} {} \"{}\" \"{}\"",
        query.remote,
        now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        query.method,
        query.target,
        answer.status,
        if query.method == "HEAD" { 0 } else { answer.body.len() },
        query.referer,
        query.user_agent
    )
}

/// Fills in what only a log line has; the rest is left to the query's own variables.
fn log_variables(format: &str, query: &Query<'_>, answer: &Answer, now: Timestamp) -> String {
    let bytes = if query.method == "HEAD" { 0 } else { answer.body.len() };
    let request = format!("{} {} HTTP/1.1", query.method, query.target);
    let time = now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
    let pairs = [
        ("$remote_user", "-"),
        ("$time_local", &time),
        ("$request_time", "0.000"),
        ("$request_length", "0"),
        ("$request_uri", query.target),
        ("$request_method", query.method),
        ("$request", &request),
        ("$status", &answer.status.to_string()),
        ("$body_bytes_sent", &bytes.to_string()),
        ("$bytes_sent", &bytes.to_string()),
        ("$http_x_forwarded_for", "-"),
        ("$upstream_addr", "-"),
        ("$pid", "30"),
    ];
    pairs.iter().fold(format.to_owned(), |line, (name, value)| line.replace(name, value))
}

/// `/a//b/../c` as `/a/c`, a slash at the end kept.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let slash = if path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    format!("/{}{slash}", parts.join("/"))
}
