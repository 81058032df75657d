//! nginx's configuration, as far as a static site needs it: parsed to servers and locations, or refused with nginx's
//! own `[emerg]` line.

use std::collections::HashMap;

use regex::Regex;

use super::super::super::images::FileTree;
use super::expires::Expires;
use super::syntax::{self, Place, Statement};

pub use super::syntax::ConfigError;

/// Locations nest at most this deep.
const DEPTH_MAX: usize = 16;
/// Where nginx begins to read.
const MAIN: &str = "/etc/nginx/nginx.conf";

/// A `server` block.
#[derive(Debug, Clone, Default)]
pub struct Server {
    pub ports: Vec<u16>,
    /// The ports for which this is the server of names that no server has.
    pub default_ports: Vec<u16>,
    pub names: Vec<String>,
    pub settings: Settings,
    pub locations: Vec<Location>,
}

/// A `location` block.
#[derive(Debug, Clone)]
pub struct Location {
    pub pattern: Pattern,
    pub settings: Settings,
}

/// How a location is chosen.
#[derive(Debug, Clone)]
pub enum Pattern {
    Exact(String),
    /// `final_prefix` is `^~`: no regular expression is tried after it.
    Prefix {
        prefix: String,
        final_prefix: bool,
    },
    Regex(Regex),
}

/// What can be set in a server and in a location; a location inherits what it does not set.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub root: Option<String>,
    pub alias: Option<String>,
    pub index: Option<Vec<String>>,
    pub try_files: Option<Vec<String>>,
    pub answer: Option<(u16, String)>,
    pub rewrites: Vec<(Regex, String, String)>,
    pub error_pages: Vec<(Vec<u16>, String)>,
    pub headers: Vec<(String, String, bool)>,
    pub default_type: Option<String>,
    pub charset: Option<String>,
    pub substitutions: Vec<(String, String)>,
    pub substitute_once: Option<bool>,
    pub substitute_types: Vec<String>,
    pub access_log: Option<bool>,
    /// The format that `access_log` names; nginx's `combined` where it names none.
    pub log_format: Option<String>,
    pub expires: Option<Expires>,
    pub autoindex: Option<bool>,
    pub stub_status: bool,
    pub deny: bool,
    pub variables: Vec<(String, String)>,
}

impl Settings {
    /// These settings, with those of `outer` where they say nothing.
    pub fn inherit(&self, outer: &Self) -> Self {
        let mut all = self.clone();
        all.root = all.root.or_else(|| outer.root.clone());
        all.index = all.index.or_else(|| outer.index.clone());
        all.default_type = all.default_type.or_else(|| outer.default_type.clone());
        all.charset = all.charset.or_else(|| outer.charset.clone());
        all.substitute_once = all.substitute_once.or(outer.substitute_once);
        if all.access_log.is_none() {
            all.access_log = outer.access_log;
            all.log_format.clone_from(&outer.log_format);
        }
        all.expires = all.expires.or(outer.expires);
        all.autoindex = all.autoindex.or(outer.autoindex);
        if all.error_pages.is_empty() {
            all.error_pages.clone_from(&outer.error_pages);
        }
        if all.headers.is_empty() {
            all.headers.clone_from(&outer.headers);
        }
        if all.substitutions.is_empty() {
            all.substitutions.clone_from(&outer.substitutions);
        }
        if all.substitute_types.is_empty() {
            all.substitute_types.clone_from(&outer.substitute_types);
        }
        all.variables.extend(outer.variables.iter().cloned());
        all
    }
}

/// Reads `nginx.conf` and what it includes; without one, every `conf.d/*.conf`.
///
/// # Errors
/// The first mistake, as nginx words it.
pub fn parse(files: &FileTree) -> Result<Vec<Server>, ConfigError> {
    let mut http = Http::default();
    if files.contains_key(MAIN) {
        for statement in syntax::read(files, MAIN)? {
            main(statement, &mut http)?;
        }
    } else {
        for path in syntax::matching(files, "/etc/nginx/conf.d/*.conf") {
            http.add(syntax::read(files, &path)?)?;
        }
    }
    for server in &mut http.servers {
        server.settings = server.settings.inherit(&http.settings);
        for location in &mut server.locations {
            location.settings = location.settings.inherit(&server.settings);
        }
    }
    Ok(http.servers)
}

/// The `http` block.
#[derive(Default)]
struct Http {
    servers: Vec<Server>,
    settings: Settings,
    /// `log_format` by name.
    formats: HashMap<String, String>,
}

/// A directive outside of all blocks.
fn main(statement: Statement, http: &mut Http) -> Result<(), ConfigError> {
    let place = statement.place();
    match (statement.words[0].as_str(), statement.block.is_some()) {
        ("http", true) => http.add(statement.block.unwrap_or_default()),
        (
            "user"
            | "worker_processes"
            | "worker_rlimit_nofile"
            | "worker_shutdown_timeout"
            | "error_log"
            | "pid"
            | "load_module"
            | "daemon"
            | "master_process"
            | "env"
            | "pcre_jit"
            | "timer_resolution",
            false,
        )
        | ("events", true) => Ok(()),
        ("stream" | "mail", true) => Err(unsupported(&statement.words[0], &place)),
        ("server" | "location", _) => {
            Err(place.error(&format!("\"{}\" directive is not allowed here", statement.words[0])))
        }
        (name, _) => Err(unknown(name, &place)),
    }
}

impl Http {
    fn add(&mut self, statements: Vec<Statement>) -> Result<(), ConfigError> {
        for statement in statements {
            let place = statement.place();
            match (statement.words[0].as_str(), statement.block.is_some()) {
                ("server", true) => {
                    let server = server(statement.block.unwrap_or_default(), &self.formats)?;
                    self.servers.push(server);
                }
                ("server", false) => return Err(place.error("directive \"server\" has no opening \"{\"")),
                ("log_format", false) => {
                    let (Some(name), true) = (statement.words.get(1), statement.words.len() > 2) else {
                        return Err(arguments(&statement, &place));
                    };
                    let pieces: Vec<&str> = statement.words[2..].iter().map(String::as_str).collect();
                    let format = pieces.iter().filter(|piece| !piece.starts_with("escape=")).copied().collect();
                    self.formats.insert(name.clone(), format);
                }
                _ => set(&mut self.settings, &statement, Context::Http, &self.formats)?,
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Http,
    Server,
    Location,
}

type Formats = HashMap<String, String>;

fn server(block: Vec<Statement>, formats: &Formats) -> Result<Server, ConfigError> {
    let mut server = Server::default();
    for statement in block {
        let place = statement.place();
        match (statement.words[0].as_str(), &statement.block) {
            ("listen", None) => {
                let port = port(&statement, &place)?;
                server.ports.push(port);
                if statement.words.iter().any(|word| word == "default_server") {
                    server.default_ports.push(port);
                }
            }
            ("server_name", None) => server.names.extend(statement.words[1..].iter().cloned()),
            ("location", Some(_)) => location(statement, &mut server.locations, 0, formats)?,
            _ => set(&mut server.settings, &statement, Context::Server, formats)?,
        }
    }
    if server.ports.is_empty() {
        server.ports.push(80);
    }
    Ok(server)
}

fn port(statement: &Statement, place: &Place<'_>) -> Result<u16, ConfigError> {
    let word = statement.words.get(1).ok_or_else(|| arguments(statement, place))?;
    let digits = word.rsplit(':').next().unwrap_or(word).trim_end_matches(']');
    if statement.words.iter().any(|word| word == "ssl") {
        return Err(place.error("the embedded sandbox serves no TLS (\"listen … ssl\")"));
    }
    match digits.parse() {
        Ok(port) => Ok(port),
        Err(_) if word.starts_with('[') || word.contains('.') => Ok(80),
        Err(_) => Err(place.error(&format!("invalid port in \"{word}\" of the \"listen\" directive"))),
    }
}

fn location(
    statement: Statement,
    into: &mut Vec<Location>,
    depth: usize,
    formats: &Formats,
) -> Result<(), ConfigError> {
    let place = statement.place();
    let words: Vec<&str> = statement.words[1..].iter().map(String::as_str).collect();
    let regex = |text: &str, plain: bool| {
        let text = if plain { text.to_owned() } else { format!("(?i){text}") };
        Regex::new(&text)
            .map_err(|_| place.error(&format!("the embedded sandbox cannot read the expression \"{text}\"")))
    };
    let pattern = match words.as_slice() {
        ["=", path] => Pattern::Exact((*path).into()),
        ["^~", prefix] => Pattern::Prefix { prefix: (*prefix).into(), final_prefix: true },
        ["~", text] => Pattern::Regex(regex(text, true)?),
        ["~*", text] => Pattern::Regex(regex(text, false)?),
        [prefix] if !prefix.starts_with('@') => Pattern::Prefix { prefix: (*prefix).into(), final_prefix: false },
        [name] => Pattern::Exact((*name).into()),
        _ => return Err(place.error("invalid number of arguments in \"location\" directive")),
    };
    let mut settings = Settings::default();
    for inner in statement.block.into_iter().flatten() {
        if inner.words[0] == "location" && depth < DEPTH_MAX {
            location(inner, into, depth + 1, formats)?;
        } else {
            set(&mut settings, &inner, Context::Location, formats)?;
        }
    }
    into.push(Location { pattern, settings });
    Ok(())
}

fn arguments(statement: &Statement, place: &Place<'_>) -> ConfigError {
    place.error(&format!("invalid number of arguments in \"{}\" directive", statement.words[0]))
}

/// What nginx knows and the built-in server does not; one that ends with `_` stands for all that begin so.
const OF_A_REAL_NGINX: &[&str] = &[
    "add_after_body",
    "add_before_body",
    "auth_",
    "break",
    "dav_methods",
    "fastcgi_",
    "geo",
    "grpc_",
    "if",
    "js_",
    "limit_",
    "map",
    "mirror",
    "perl_",
    "proxy_",
    "real_ip_header",
    "satisfy",
    "scgi_",
    "secure_link",
    "set_real_ip_from",
    "slice",
    "split_clients",
    "ssi",
    "ssl_",
    "upstream",
    "uwsgi_",
    "valid_referers",
];

/// Directives that change nothing that a learner could see here.
const WITHOUT_EFFECT: &[&str] = &[
    "access_log_format",
    "aio",
    "client_body_buffer_size",
    "client_max_body_size",
    "client_body_timeout",
    "client_header_timeout",
    "directio",
    "error_log",
    "etag",
    "gzip",
    "gzip_comp_level",
    "gzip_disable",
    "gzip_min_length",
    "gzip_proxied",
    "gzip_static",
    "gzip_types",
    "gzip_vary",
    "if_modified_since",
    "keepalive_requests",
    "keepalive_timeout",
    "large_client_header_buffers",
    "log_not_found",
    "log_subrequest",
    "merge_slashes",
    "open_file_cache",
    "open_file_cache_errors",
    "open_file_cache_min_uses",
    "open_file_cache_valid",
    "port_in_redirect",
    "absolute_redirect",
    "reset_timedout_connection",
    "resolver",
    "send_timeout",
    "sendfile",
    "server_name_in_redirect",
    "server_names_hash_bucket_size",
    "server_tokens",
    "sub_filter_last_modified",
    "tcp_nodelay",
    "tcp_nopush",
    "types_hash_max_size",
    "underscores_in_headers",
    "variables_hash_max_size",
    "internal",
    "disable_symlinks",
    "http2",
];

fn set(settings: &mut Settings, statement: &Statement, context: Context, formats: &Formats) -> Result<(), ConfigError> {
    let place = &statement.place();
    let name = statement.words[0].as_str();
    let words: Vec<String> = statement.words[1..].to_vec();
    let need = |count: usize| if words.len() >= count { Ok(()) } else { Err(arguments(statement, place)) };
    let is_block = matches!(name, "types" | "if" | "limit_except" | "map" | "geo" | "upstream" | "split_clients");
    if statement.block.is_some() && !is_block {
        return Err(unknown(name, place));
    }
    match name {
        "root" => {
            need(1)?;
            settings.root = Some(words[0].trim_end_matches('/').into());
        }
        "alias" if context == Context::Location => {
            need(1)?;
            settings.alias = Some(words[0].clone());
        }
        "index" => settings.index = Some(words),
        "try_files" => {
            need(2)?;
            settings.try_files = Some(words);
        }
        "return" => {
            need(1)?;
            settings.answer = Some(answer(&words, place)?);
        }
        "rewrite" => {
            need(2)?;
            let regex = Regex::new(&words[0]).map_err(|_| {
                place.error(&format!("the embedded sandbox cannot read the expression \"{}\"", words[0]))
            })?;
            settings.rewrites.push((regex, words[1].clone(), words.get(2).cloned().unwrap_or_default()));
        }
        "error_page" => {
            need(2)?;
            let (page, codes) = words.split_last().expect("counted above");
            let codes = codes.iter().filter_map(|code| code.parse().ok()).collect();
            settings.error_pages.push((codes, page.clone()));
        }
        "add_header" => {
            need(2)?;
            let always = words.get(2).is_some_and(|word| word == "always");
            settings.headers.push((words[0].clone(), words[1].clone(), always));
        }
        "default_type" => settings.default_type = words.into_iter().next(),
        "charset" => settings.charset = words.into_iter().next().filter(|charset| charset != "off"),
        "sub_filter" => {
            need(2)?;
            settings.substitutions.push((words[0].clone(), words[1].clone()));
        }
        "sub_filter_once" => settings.substitute_once = Some(flag(&words, place)?),
        "sub_filter_types" => settings.substitute_types = words,
        "access_log" => {
            settings.access_log = Some(words.first().is_none_or(|word| word != "off"));
            settings.log_format = match words.get(1).filter(|name| *name != "combined" && !name.contains('=')) {
                None => None,
                Some(name) => Some(
                    formats.get(name).ok_or_else(|| place.error(&format!("unknown log format \"{name}\"")))?.clone(),
                ),
            };
        }
        "expires" => {
            need(1)?;
            settings.expires = Some(Expires::parse(&words).ok_or_else(|| place.error("invalid value"))?);
        }
        "autoindex" => settings.autoindex = Some(flag(&words, place)?),
        "stub_status" => settings.stub_status = true,
        "deny" => settings.deny |= words.first().is_some_and(|word| word == "all"),
        "allow" | "types" => {}
        "set" => {
            need(2)?;
            settings.variables.push((words[0].trim_start_matches('$').into(), words[1].clone()));
        }
        _ if WITHOUT_EFFECT.contains(&name) => {}
        _ if OF_A_REAL_NGINX
            .iter()
            .any(|known| name == *known || (known.ends_with('_') && name.starts_with(known))) =>
        {
            return Err(unsupported(name, place));
        }
        _ => return Err(unknown(name, place)),
    }
    Ok(())
}

fn unsupported(name: &str, place: &Place<'_>) -> ConfigError {
    place.error(&format!(
        "the embedded sandbox does not know the directive \"{name}\" (a real nginx does: --sandbox kind)"
    ))
}

fn unknown(name: &str, place: &Place<'_>) -> ConfigError {
    place.error(&format!("unknown directive \"{name}\""))
}

fn flag(words: &[String], place: &Place<'_>) -> Result<bool, ConfigError> {
    match words.first().map(String::as_str) {
        Some("on") => Ok(true),
        Some("off") => Ok(false),
        other => Err(place.error(&format!(
            "invalid value \"{}\" in directive, it must be \"on\" or \"off\"",
            other.unwrap_or_default()
        ))),
    }
}

fn answer(words: &[String], place: &Place<'_>) -> Result<(u16, String), ConfigError> {
    match (words[0].parse::<u16>(), words.get(1)) {
        (Ok(code), text) if code < 1000 => Ok((code, text.cloned().unwrap_or_default())),
        (Err(_), None) if words[0].starts_with("http") || words[0].starts_with('$') => Ok((302, words[0].clone())),
        _ => Err(place.error(&format!("invalid return code \"{}\"", words[0]))),
    }
}
