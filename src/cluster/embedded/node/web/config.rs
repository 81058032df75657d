//! nginx's configuration, as far as a static site needs it: parsed to servers and locations, or refused with nginx's
//! own `[emerg]` line.

use regex::Regex;

use super::super::super::images::FileTree;

/// Blocks nest at most this deep.
const DEPTH_MAX: usize = 16;

/// A mistake, worded as nginx words it: the text after `nginx: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[emerg] {0}")]
pub struct ConfigError(pub String);

/// A `server` block.
#[derive(Debug, Clone, Default)]
pub struct Server {
    pub ports: Vec<u16>,
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
        all.access_log = all.access_log.or(outer.access_log);
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

/// A statement: words, and the block that follows them.
#[derive(Debug)]
struct Statement {
    words: Vec<String>,
    block: Option<Vec<Statement>>,
    line: usize,
}

/// Reads every `/etc/nginx/conf.d/*.conf`, in order.
///
/// # Errors
/// The first mistake, as nginx words it.
pub fn parse(files: &FileTree) -> Result<Vec<Server>, ConfigError> {
    let mut servers = Vec::new();
    let mut outer = Settings::default();
    for (path, content) in files.range("/etc/nginx/conf.d/".to_owned()..) {
        let Some(name) = path.strip_prefix("/etc/nginx/conf.d/") else { break };
        if name.contains('/') || name.strip_suffix(".conf").is_none() {
            continue;
        }
        let text = String::from_utf8_lossy(content);
        for statement in statements(&text, path)? {
            let place = Place { path, line: statement.line };
            if statement.words[0] == "server" {
                let block = statement.block.ok_or_else(|| place.error("directive \"server\" has no opening \"{\""))?;
                servers.push(server(block, path)?);
            } else {
                set(&mut outer, &statement, &place, Context::Http)?;
            }
        }
    }
    for server in &mut servers {
        server.settings = server.settings.inherit(&outer);
        for location in &mut server.locations {
            location.settings = location.settings.inherit(&server.settings);
        }
    }
    Ok(servers)
}

struct Place<'a> {
    path: &'a str,
    line: usize,
}

impl Place<'_> {
    fn error(&self, what: &str) -> ConfigError {
        ConfigError(format!("{what} in {}:{}", self.path, self.line))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Http,
    Server,
    Location,
}

fn server(block: Vec<Statement>, path: &str) -> Result<Server, ConfigError> {
    let mut server = Server::default();
    for statement in block {
        let place = Place { path, line: statement.line };
        match (statement.words[0].as_str(), &statement.block) {
            ("listen", None) => server.ports.extend(port(&statement, &place)?),
            ("server_name", None) => server.names.extend(statement.words[1..].iter().cloned()),
            ("location", Some(_)) => location(statement, path, &mut server.locations, 0)?,
            _ => set(&mut server.settings, &statement, &place, Context::Server)?,
        }
    }
    if server.ports.is_empty() {
        server.ports.push(80);
    }
    Ok(server)
}

fn port(statement: &Statement, place: &Place<'_>) -> Result<Option<u16>, ConfigError> {
    let word = statement.words.get(1).ok_or_else(|| arguments(statement, place))?;
    let digits = word.rsplit(':').next().unwrap_or(word).trim_end_matches(']');
    if statement.words.iter().any(|word| word == "ssl") {
        return Err(place.error("the embedded sandbox serves no TLS (\"listen … ssl\")"));
    }
    match digits.parse() {
        Ok(port) => Ok(Some(port)),
        Err(_) if word.starts_with('[') || word.contains('.') => Ok(Some(80)),
        Err(_) => Err(place.error(&format!("invalid port in \"{word}\" of the \"listen\" directive"))),
    }
}

fn location(statement: Statement, path: &str, into: &mut Vec<Location>, depth: usize) -> Result<(), ConfigError> {
    let place = Place { path, line: statement.line };
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
        let place = Place { path, line: inner.line };
        if inner.words[0] == "location" && depth < DEPTH_MAX {
            location(inner, path, into, depth + 1)?;
        } else {
            set(&mut settings, &inner, &place, Context::Location)?;
        }
    }
    into.push(Location { pattern, settings });
    Ok(())
}

fn arguments(statement: &Statement, place: &Place<'_>) -> ConfigError {
    place.error(&format!("invalid number of arguments in \"{}\" directive", statement.words[0]))
}

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
    "expires",
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

fn set(settings: &mut Settings, statement: &Statement, place: &Place<'_>, context: Context) -> Result<(), ConfigError> {
    let name = statement.words[0].as_str();
    let words: Vec<String> = statement.words[1..].to_vec();
    let need = |count: usize| if words.len() >= count { Ok(()) } else { Err(arguments(statement, place)) };
    if statement.block.is_some() && !matches!(name, "types" | "if" | "limit_except") {
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
        "access_log" => settings.access_log = Some(words.first().is_none_or(|word| word != "off")),
        "autoindex" => settings.autoindex = Some(flag(&words, place)?),
        "stub_status" => settings.stub_status = true,
        "deny" => settings.deny |= words.first().is_some_and(|word| word == "all"),
        "allow" | "types" => {}
        "set" => {
            need(2)?;
            settings.variables.push((words[0].trim_start_matches('$').into(), words[1].clone()));
        }
        _ if WITHOUT_EFFECT.contains(&name) => {}
        "proxy_pass" | "fastcgi_pass" | "uwsgi_pass" | "grpc_pass" | "if" | "limit_except" | "auth_basic" => {
            return Err(place.error(&format!(
                "the embedded sandbox does not know the directive \"{name}\" (a real nginx does: --sandbox kind)"
            )));
        }
        _ => return Err(unknown(name, place)),
    }
    Ok(())
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

/// Takes the text apart into statements.
fn statements(text: &str, path: &str) -> Result<Vec<Statement>, ConfigError> {
    let mut reader = Reader { rest: text.chars().peekable(), line: 1, path };
    let statements = reader.block(0)?;
    Ok(statements)
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    path: &'a str,
}

impl Reader<'_> {
    fn error(&self, what: &str) -> ConfigError {
        Place { path: self.path, line: self.line }.error(what)
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn block(&mut self, depth: usize) -> Result<Vec<Statement>, ConfigError> {
        if depth > DEPTH_MAX {
            return Err(self.error("blocks nest too deeply"));
        }
        let mut statements = Vec::new();
        let mut words: Vec<String> = Vec::new();
        let mut line = self.line;
        loop {
            let Some(&next) = self.rest.peek() else {
                if depth > 0 || !words.is_empty() {
                    let missing = if words.is_empty() { "\"}\"" } else { "\";\" or \"}\"" };
                    return Err(self.error(&format!("unexpected end of file, expecting {missing}")));
                }
                return Ok(statements);
            };
            match next {
                c if c.is_whitespace() => {
                    self.next();
                }
                '#' => {
                    while self.rest.peek().is_some_and(|c| *c != '\n') {
                        self.next();
                    }
                }
                ';' => {
                    self.next();
                    if words.is_empty() {
                        return Err(self.error("unexpected \";\""));
                    }
                    statements.push(Statement { words: std::mem::take(&mut words), block: None, line });
                }
                '{' => {
                    self.next();
                    if words.is_empty() {
                        return Err(self.error("unexpected \"{\""));
                    }
                    let block = if words[0] == "types" { self.skip_block()? } else { self.block(depth + 1)? };
                    statements.push(Statement { words: std::mem::take(&mut words), block: Some(block), line });
                }
                '}' => {
                    self.next();
                    if depth == 0 || !words.is_empty() {
                        return Err(self.error("unexpected \"}\""));
                    }
                    return Ok(statements);
                }
                quote @ ('"' | '\'') => {
                    if words.is_empty() {
                        line = self.line;
                    }
                    words.push(self.quoted(quote)?);
                }
                _ => {
                    if words.is_empty() {
                        line = self.line;
                    }
                    words.push(self.bare());
                }
            }
        }
    }

    fn skip_block(&mut self) -> Result<Vec<Statement>, ConfigError> {
        while let Some(c) = self.next() {
            if c == '}' {
                return Ok(Vec::new());
            }
        }
        Err(self.error("unexpected end of file, expecting \"}\""))
    }

    fn quoted(&mut self, quote: char) -> Result<String, ConfigError> {
        self.next();
        let mut word = String::new();
        while let Some(c) = self.next() {
            match c {
                '\\' => match self.next() {
                    Some('n') => word.push('\n'),
                    Some('t') => word.push('\t'),
                    Some('r') => word.push('\r'),
                    Some(escaped @ ('"' | '\'' | '\\' | '$')) => word.push(escaped),
                    Some(other) => word.extend(['\\', other]),
                    None => break,
                },
                c if c == quote => return Ok(word),
                c => word.push(c),
            }
        }
        Err(self.error("unexpected end of file, expecting \";\" or \"}\""))
    }

    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some(&c) = self.rest.peek() {
            let variable = c == '{' && word.ends_with('$');
            if c.is_whitespace() || c == ';' || (c == '{' && !variable) {
                break;
            }
            self.next();
            word.push(c);
            if variable {
                while let Some(inner) = self.next() {
                    word.push(inner);
                    if inner == '}' {
                        break;
                    }
                }
            }
        }
        word
    }
}
